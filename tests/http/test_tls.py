"""TLS to targets: whose certificates are trusted, and which end of a connection is one."""

import asyncio
import datetime
import ssl
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from booper.guard.target import parse_target
from booper.http.body import Body, read_body
from booper.http.client import SocketClient
from booper.http.connecting import Route, make_ssl_context
from booper.http.errors import ConnectError
from tests.support.http_server import answering, read_request, serve
from tests.support.loops import both_loops

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

pytestmark = pytest.mark.anyio

anyio_backend = both_loops


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """A throwaway certificate authority."""
    return trustme.CA()


async def loopback() -> Sequence[str]:
    """The address of every test server."""
    return ["127.0.0.1"]


async def fetch(client: SocketClient, url: str) -> Body:
    """Send a GET and read the body of the response."""
    async with asyncio.timeout(5):
        response = await client.send("GET", parse_target(url), (), b"", loopback)
        return await read_body(response.stream, 1000)


@pytest.fixture
async def client(authority: trustme.CA) -> AsyncIterator[SocketClient]:
    """A client as it is by default, which also trusts the throwaway authority."""
    context = make_ssl_context()
    authority.configure_trust(context)
    client = SocketClient(context)
    yield client
    await client.aclose()


def context_for(authority: trustme.CA, name: str) -> ssl.SSLContext:
    """A server's TLS with a certificate for a name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


def common_name_only(folder: Path, name: str) -> tuple[ssl.SSLContext, Path]:
    """A server's TLS whose certificate has a name in its subject alone, and its authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1000))
        .not_valid_after(now + datetime.timedelta(days=10_000))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "cert.pem").write_bytes(certificate.public_bytes(pem))
    (folder / "key.pem").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context, folder / "cert.pem"


async def test_a_common_name_is_no_name(tmp_path: Path) -> None:
    """Only subjectAltName says whom a certificate is for (RFC 9110 §4.3.4)."""
    server_tls, trusted = common_name_only(tmp_path, "target.example")
    context = make_ssl_context()
    context.load_verify_locations(trusted)
    client = SocketClient(context)
    async with serve(answering(OK), ssl_context=server_tls) as server:
        with pytest.raises(ConnectError, match="certificate was refused: Hostname mismatch"):
            await fetch(client, server.url(scheme="https", host="target.example"))
    await client.aclose()


async def test_an_origin_may_have_a_trust_of_its_own(authority: trustme.CA) -> None:
    """A route's context holds for its origin, and the client's for all others."""
    own = make_ssl_context()
    authority.configure_trust(own)
    trusted = Route(ssl_context=own)
    client = SocketClient(
        routes=lambda target: trusted if target.host == "own.example" else Route()
    )
    for host, is_trusted in [("own.example", True), ("other.example", False)]:
        async with serve(answering(OK), ssl_context=context_for(authority, host)) as server:
            url = server.url(scheme="https", host=host)
            if is_trusted:
                assert (await fetch(client, url)).content == b"ok"
            else:
                with pytest.raises(ConnectError, match="certificate was refused"):
                    await fetch(client, url)
    await client.aclose()


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
ENDLESS = b"HTTP/1.1 200 OK\r\n\r\nok"


@pytest.mark.parametrize("is_notified", [True, False], ids=["close_notify", "cut"])
@pytest.mark.parametrize(
    "response", [OK, CHUNKED, ENDLESS], ids=["length", "chunks", "until close"]
)
async def test_only_an_announced_end_is_the_end_of_a_body(
    client: SocketClient, authority: trustme.CA, response: bytes, is_notified: bool
) -> None:
    """A body that ends with its TLS connection is whole only after close_notify (RFC 9112 §9.8).

    One that says itself where it ends is whole in any case.
    """

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(response)
        await writer.drain()
        if is_notified:
            writer.close()
            return
        # The connection below TLS ends, and TLS is told nothing of it.
        below = writer.transport.get_extra_info("socket")
        with below.dup() if hasattr(below, "dup") else below as wire:
            wire.shutdown(2)

    async with serve(script, ssl_context=context_for(authority, "127.0.0.1")) as server:
        body = await fetch(client, server.url(scheme="https"))
    assert body.content == b"ok"
    is_cut = response is ENDLESS and not is_notified
    assert (body.is_cut, "close_notify" in body.fault) == (is_cut, is_cut)
