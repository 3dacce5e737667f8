"""Certificates of single origins: `ca`, `cert`, `key` and `verify` of `[origins."…"]`."""

import ssl
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from msgspec.structs import replace

from booper.app import Booper
from booper.clock import VirtualClock
from booper.config import Config, Origin
from booper.errors import ConfigError
from tests.http.test_proxies import post
from tests.support.http_server import RawServer, answering_then_waiting, serve

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """A private authority that no system trusts."""
    return trustme.CA()


@pytest.fixture
def files(tmp_path: Path, authority: trustme.CA) -> Path:
    """A folder with certificates, keys, and what is neither."""
    client, other = authority.issue_cert("client.example"), authority.issue_cert("other.example")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    trustme.CA().cert_pem.write_to_path(tmp_path / "other-ca.pem")
    client.cert_chain_pems[0].write_to_path(tmp_path / "client.pem")
    client.private_key_pem.write_to_path(tmp_path / "client.key")
    client.private_key_and_cert_chain_pem.write_to_path(tmp_path / "both.pem")
    other.private_key_pem.write_to_path(tmp_path / "other.key")
    key = load_pem_private_key(client.private_key_pem.bytes(), None)
    sealed = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x"))
    (tmp_path / "sealed.key").write_bytes(sealed)
    (tmp_path / "text.pem").write_text("no certificate")
    (tmp_path / "empty.pem").touch()
    return tmp_path


def server_context(authority: trustme.CA, *, wants_client: bool = False) -> ssl.SSLContext:
    """Return the context of a server at 127.0.0.1."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    if wants_client:
        authority.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


async def sent(
    server: RawServer, config: Config, clock: VirtualClock, tables: dict[str, Origin]
) -> str:
    """Send a job to a server under these tables and return its last state or error."""
    [state] = await post(replace(config, origins=tables), clock, server.url(scheme="https"))
    return state


@pytest.mark.anyio
async def test_an_authority_can_be_trusted_for_one_origin(
    config: Config, clock: VirtualClock, authority: trustme.CA, files: Path
) -> None:
    """`ca` is trusted there and nowhere else; another one is not; `verify = false` trusts all."""
    async with serve(answering_then_waiting(OK), ssl_context=server_context(authority)) as server:
        origin = f"https://127.0.0.1:{server.port}"
        for table, is_trusted in (
            ({origin: Origin(ca=str(files / "ca.pem"))}, True),
            ({"127.0.0.1": Origin(ca=str(files / "ca.pem"))}, True),
            ({origin: Origin(verify=False)}, True),
            ({origin: Origin(ca=str(files / "other-ca.pem"))}, False),
            ({origin: Origin(verify=True)}, False),
            ({"https://127.0.0.1": Origin(ca=str(files / "ca.pem"))}, False),
            ({}, False),
        ):
            state = await sent(server, config, clock, table)
            assert (state == "completed") is is_trusted, (table, state)
            assert is_trusted or "its certificate was refused" in state


@pytest.mark.anyio
async def test_a_certificate_is_shown_to_the_origin_that_wants_it(
    config: Config, clock: VirtualClock, authority: trustme.CA, files: Path
) -> None:
    """Certificate and key stand in two files or in one; `ca` may come from the host's table."""
    async with serve(
        answering_then_waiting(OK), ssl_context=server_context(authority, wants_client=True)
    ) as server:
        origin = f"https://127.0.0.1:{server.port}"
        ca = Origin(ca=str(files / "ca.pem"))
        apart = Origin(cert=str(files / "client.pem"), key=str(files / "client.key"))
        together = Origin(cert=str(files / "both.pem"))
        for table, is_let_in in (
            ({origin: apart, "127.0.0.1": ca}, True),
            ({origin: together, "127.0.0.1": ca}, True),
            ({origin: ca, "127.0.0.1": together}, True),
            ({origin: ca}, False),
        ):
            state = await sent(server, config, clock, table)
            assert (state == "completed") is is_let_in, (table, state)


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"ca": "missing.pem"}, "ca: cannot read '.*missing.pem': No such file"),
        ({"ca": "text.pem"}, "ca: '.*text.pem' must hold certificates in PEM form"),
        ({"ca": "empty.pem"}, "ca: '.*empty.pem' must hold certificates in PEM form"),
        ({"ca": "client.key"}, "ca: '.*client.key' must hold certificates in PEM form"),
        ({"ca": "."}, "ca: cannot read|ca: .* must hold certificates"),
        ({"cert": "missing.pem"}, "cert: cannot read '.*missing.pem': No such file"),
        ({"cert": "."}, "cert: cannot read '.*': Is a directory"),
        ({"cert": "text.pem"}, "cert: '.*text.pem' must hold a certificate and its key"),
        ({"cert": "client.pem"}, "cert: '.*client.pem' must hold a certificate and its key"),
        ({"cert": "client.pem", "key": "missing.key"}, "key: cannot read '.*missing.key'"),
        ({"cert": "client.pem", "key": "text.pem"}, "and '.*text.pem' its key, in PEM form"),
        ({"cert": "client.pem", "key": "other.key"}, "key: '.*other.key' is not the key of"),
        ({"cert": "client.pem", "key": "sealed.key"}, "key: '.*sealed.key' is encrypted"),
        ({"key": "client.key"}, "key: it belongs to a certificate; name that by cert"),
    ],
)
def test_a_wrong_file_stops_the_start(
    config: Config, files: Path, table: dict[str, str], told: str
) -> None:
    """The message names the table, the setting and the file."""
    paths = {name: str(files / file) for name, file in table.items()}
    settings = replace(config, origins={"https://a.example": Origin(**paths)})  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=told) as caught:
        Booper(settings)
    assert str(caught.value).startswith('[origins."https://a.example"] ')


def test_trusting_all_and_some_is_a_contradiction(config: Config, files: Path) -> None:
    """One of the two was meant."""
    table = Origin(ca=str(files / "ca.pem"), verify=False)
    with pytest.raises(ConfigError, match="verify: false trusts any certificate"):
        Booper(replace(config, origins={"a.example": table}))
