"""When certificates of origins end: read once from each new connection, however it was opened."""

import asyncio
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
import trustme

from booper.guard.target import parse_target
from booper.http.body import read_body
from booper.http.certificates import MAX_ORIGINS, Certificates
from booper.http.client import SocketClient
from booper.http.connecting import Route
from booper.http.errors import ConnectError
from booper.http.tunnel import Proxy
from tests.support.http_server import answering, answering_then_waiting, serve
from tests.support.loops import both_loops
from tests.support.proxy import proxying

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
OLD = datetime(2036, 1, 1, 12, 0, 1, tzinfo=UTC)
NEW = datetime(2037, 2, 28, 23, 59, 59, tzinfo=UTC)

pytestmark = pytest.mark.anyio

anyio_backend = both_loops


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """A throwaway certificate authority."""
    return trustme.CA()


@pytest.fixture
def trust(authority: trustme.CA) -> ssl.SSLContext:
    """A context of a client that trusts the authority."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def server_context(authority: trustme.CA, until: datetime) -> ssl.SSLContext:
    """Return a server's TLS whose certificate ends at a time."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    show(context, authority, until)
    return context


def show(context: ssl.SSLContext, authority: trustme.CA, until: datetime) -> None:
    """Show a certificate that ends at a time to new connections."""
    authority.issue_cert("target.example", not_after=until).configure_cert(context)


async def loopback() -> Sequence[str]:
    """The address of every server here."""
    return ["127.0.0.1"]


async def fetch(client: SocketClient, url: str) -> None:
    """Send a GET and read the response."""
    async with asyncio.timeout(5):
        response = await client.send("GET", parse_target(url), (), b"", loopback)
        await read_body(response.stream, 1000)


@pytest.mark.parametrize("is_tunnelled", [False, True], ids=["direct", "through a proxy"])
async def test_the_end_of_a_certificate_is_known(
    authority: trustme.CA, trust: ssl.SSLContext, is_tunnelled: bool
) -> None:
    """By the name of the origin, to the second; of a proxy, it is the target's certificate."""
    certificates = Certificates()
    async with (
        serve(answering(OK), ssl_context=server_context(authority, NEW)) as server,
        proxying() as proxy,
    ):
        route = Route(Proxy(proxy.port, loopback) if is_tunnelled else None, trust)
        client = SocketClient(routes=lambda target: route, certificates=certificates)
        await fetch(client, server.url(scheme="https", host="Target.example."))
        await client.aclose()
        assert certificates.end_of(f"https://target.example:{server.port}") == NEW
        assert certificates.end_of("https://target.example") is None
        assert len(proxy.asked) == is_tunnelled


async def test_the_certificate_shown_last_counts(
    authority: trustme.CA, trust: ssl.SSLContext
) -> None:
    """Whether it ends later than the one before or earlier."""
    certificates, context = Certificates(), server_context(authority, OLD)
    client = SocketClient(trust, certificates=certificates)
    async with serve(answering(OK), ssl_context=context) as server:
        url = server.url(scheme="https", host="target.example")
        ends = []
        for until in (OLD, NEW, OLD):
            show(context, authority, until)
            await fetch(client, url)
            ends.append(certificates.end_of(parse_target(url).origin))
    await client.aclose()
    assert ends == [OLD, NEW, OLD]
    assert server.connections == 3


async def test_a_kept_connection_is_not_looked_at_again(
    authority: trustme.CA, trust: ssl.SSLContext
) -> None:
    """What it was shown was read when it was opened."""
    certificates = Certificates()
    client = SocketClient(trust, certificates=certificates)
    async with serve(
        answering_then_waiting(OK, OK), ssl_context=server_context(authority, NEW)
    ) as server:
        url = server.url(scheme="https", host="target.example")
        await fetch(client, url)
        certificates.note(parse_target(url).origin, None)
        await fetch(client, url)
        await client.aclose()
    assert (len(server.requests), server.connections) == (2, 1)
    assert certificates.end_of(parse_target(url).origin) is None


async def test_a_refused_certificate_leaves_the_one_before(
    authority: trustme.CA, trust: ssl.SSLContext
) -> None:
    """So that one which has ended goes on to be shown: its connections are refused."""
    certificates, context = Certificates(), server_context(authority, NEW)
    client = SocketClient(trust, certificates=certificates)
    async with serve(answering(OK), ssl_context=context) as server:
        url = server.url(scheme="https", host="target.example")
        await fetch(client, url)
        show(context, authority, datetime(2020, 1, 1, tzinfo=UTC))
        with pytest.raises(ConnectError, match="certificate has expired"):
            await fetch(client, url)
    await client.aclose()
    assert certificates.end_of(parse_target(url).origin) == NEW


async def test_nothing_is_known_without_tls() -> None:
    """Neither of the origin nor of one beside it."""
    certificates = Certificates()
    client = SocketClient(certificates=certificates)
    async with serve(answering(OK)) as server:
        await fetch(client, server.url())
    await client.aclose()
    for scheme in ("http", "https"):
        assert certificates.end_of(f"{scheme}://127.0.0.1:{server.port}") is None


async def test_a_certificate_that_was_not_verified_is_not_known(
    authority: trustme.CA, trust: ssl.SSLContext
) -> None:
    """Python reads none of it; and what was known before is no longer true."""
    any_trusted = ssl.create_default_context()
    any_trusted.check_hostname, any_trusted.verify_mode = False, ssl.CERT_NONE
    certificates = Certificates()
    context = server_context(authority, NEW)
    async with serve(answering(OK), ssl_context=context) as server:
        url = server.url(scheme="https", host="target.example")
        ends = []
        for each in (trust, any_trusted):
            client = SocketClient(each, certificates=certificates)
            await fetch(client, url)
            await client.aclose()
            ends.append(certificates.end_of(parse_target(url).origin))
    assert ends == [NEW, None]


def test_the_origin_connected_to_longest_ago_is_forgotten() -> None:
    """Of more origins than are kept; one that was connected to again is not it."""
    certificates, shown = Certificates(), {"notAfter": "Feb 28 23:59:59 2037 GMT"}
    for n in range(MAX_ORIGINS):
        certificates.note(f"https://o{n}.test", shown)
    certificates.note("https://o0.test", shown)
    assert certificates.end_of("https://o1.test") == NEW
    certificates.note("https://new.test", shown)
    known = [certificates.end_of(f"https://{name}.test") for name in ("o0", "o1", "o2", "new")]
    assert known == [NEW, None, NEW, NEW]
