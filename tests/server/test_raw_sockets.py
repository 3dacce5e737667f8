"""A running daemon over raw sockets: half-closed clients, offered upgrades, trailers.

Between two segments another connection is answered, so that the daemon has seen the first one.
"""

import json
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPResponse

import pytest

from tests.support.processes import DEADLINE_SECONDS, Daemon, run, serving

KEY = "sk_a_key_for_raw_sockets"
AUTHORIZED = f"Authorization: Bearer {KEY}".encode()
JSON = b"Content-Type: application/json"
JOB = b'{"url": "https://a.example/", "schedule_in": 3600}'


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Run a daemon whose key is known."""
    folder = tmp_path_factory.mktemp("wire")
    with serving(folder, key=KEY, environment={"BOOPER_API_KEY": KEY}) as running:
        yield running


def request(line: bytes, *fields: bytes, body: bytes = b"") -> bytes:
    """Return a request."""
    return b"\r\n".join([line + b" HTTP/1.1", b"Host: booper.test", *fields, b"", body])


def posted(path: bytes, *fields: bytes, body: bytes, is_chunked: bool) -> bytes:
    """Return a POST, with its body in one piece or in two chunks."""
    if not is_chunked:
        return request(b"POST " + path, *fields, JSON, b"Content-Length: %d" % len(body), body=body)
    half = len(body) // 2
    chunks = [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (body[:half], body[half:])]
    encoded = b"".join([*chunks, b"0\r\n\r\n"])
    return request(b"POST " + path, *fields, JSON, b"Transfer-Encoding: chunked", body=encoded)


PING = request(b"GET /api/ping")
PONG = (200, {"message": "Pong"})


@contextmanager
def connected(daemon: Daemon) -> Iterator[socket.socket]:
    """Open a connection."""
    address = ("127.0.0.1", daemon.api.base_url.port or 0)
    with socket.create_connection(address, timeout=DEADLINE_SECONDS) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield connection


class Exchange:
    """Segments that are sent one after the other, and the responses to them."""

    def __init__(self, daemon: Daemon, other: socket.socket) -> None:
        self._daemon = daemon
        self._other = other

    def __call__(
        self, segments: Sequence[bytes], *, count: int, half_closes: bool = False
    ) -> list[tuple[int, object]]:
        """Return the status and the JSON of this many responses, and check that no more come."""
        with connected(self._daemon) as connection:
            for segment in segments[:-1]:
                connection.sendall(segment)
                self._other.sendall(PING)
                assert response(self._other) == PONG
            connection.sendall(segments[-1])
            if half_closes:
                connection.shutdown(socket.SHUT_WR)
            answered = [response(connection) for _ in range(count)]
            if not half_closes:
                connection.shutdown(socket.SHUT_WR)
            assert connection.recv(1) == b""
        return answered


def response(connection: socket.socket, method: str = "GET") -> tuple[int, object]:
    """Read a response: its status and its JSON."""
    answer = HTTPResponse(connection, method=method)
    # Its own file would read ahead into the next response.
    answer.fp = connection.makefile("rb", buffering=0)  # type: ignore[assignment]  # a raw one
    answer.begin()
    body = b""
    while len(body) < (answer.length or 0) + len(body):
        body += answer.read(answer.length)
    return answer.status, json.loads(body) if body else None


@pytest.fixture
def exchange(daemon: Daemon) -> Iterator[Exchange]:
    """Return what sends segments."""
    with connected(daemon) as other:
        yield Exchange(daemon, other)


def job_count(daemon: Daemon) -> int:
    """Return how many jobs there are."""
    return len(daemon.api.get("/api/jobs", params={"limit": 100}).json()["data"])


def cuts(data: bytes) -> list[list[bytes]]:
    """Return the same whole, and cut in two at every place."""
    return [[data], *([data[:at], data[at:]] for at in range(1, len(data)))]


@pytest.mark.parametrize("is_chunked", [False, True])
@pytest.mark.parametrize("before", [0, 1, 3])
def test_a_client_that_half_closes_gets_its_responses(
    daemon: Daemon, exchange: Exchange, before: int, is_chunked: bool
) -> None:
    """Five of five: whoever has sent all may end its side, and learns that its job is there."""
    create = posted(b"/api/jobs", AUTHORIZED, body=JOB, is_chunked=is_chunked)
    for _ in range(5):
        known = job_count(daemon)
        *pings, created = exchange([PING * before + create], count=before + 1, half_closes=True)
        assert pings == [PONG] * before
        assert created[0] == 201
        assert job_count(daemon) == known + 1


def test_half_closing_may_follow_any_cut(daemon: Daemon, exchange: Exchange) -> None:
    """The end comes with the last segment, wherever the one before it has ended."""
    data = PING + posted(b"/api/echo", body=b'{"a": 1}', is_chunked=True)
    for segments in cuts(data):
        answered = exchange(segments, count=2, half_closes=True)
        assert answered == [PONG, (200, {"a": 1})], segments


# what has come when the client ends its side, and the statuses of the responses
CREATE = posted(b"/api/jobs", AUTHORIZED, body=JOB, is_chunked=False)
CHUNKED_CREATE = posted(b"/api/jobs", AUTHORIZED, body=JOB, is_chunked=True)
ENDS = {
    "nothing": (b"", []),
    "half a head": (CREATE[:40], [400]),
    "half a body": (CREATE[:-10], [400]),
    "half a chunk": (CHUNKED_CREATE[:-15], [400]),
    "all but the last chunk": (CHUNKED_CREATE[:-5], [400]),
}
BEHIND = {
    "half a head": CREATE[:40],
    "half a body": CREATE[:-10],
    "half a chunk": CHUNKED_CREATE[:-15],
    "garbage": b"\0",
}


@pytest.mark.parametrize("case", ENDS)
def test_what_has_not_come_whole_is_not_done(daemon: Daemon, exchange: Exchange, case: str) -> None:
    """Half a create makes no job, and its client learns why."""
    known = job_count(daemon)
    data, statuses = ENDS[case]
    answered = exchange([data], count=len(statuses), half_closes=True)
    assert [status for status, _ in answered] == statuses
    assert job_count(daemon) == known


@pytest.mark.parametrize("case", BEHIND)
def test_what_came_before_is_answered(daemon: Daemon, case: str) -> None:
    """The one that has not come whole is refused, unless the first is still being answered."""
    known = job_count(daemon)
    with connected(daemon) as connection:
        connection.sendall(PING + BEHIND[case])
        connection.shutdown(socket.SHUT_WR)
        assert response(connection) == PONG
        rest = connection.makefile("rb").read()
    assert rest == b"" or rest.startswith(b"HTTP/1.1 400 ")
    assert job_count(daemon) == known


def test_a_large_response_comes_whole(daemon: Daemon, exchange: Exchange) -> None:
    """A half-closed client may take its time to read."""
    ((status, document),) = exchange([request(b"GET /openapi.json")], count=1, half_closes=True)
    assert status == 200
    assert document == daemon.api.get("/openapi.json").json()


def test_the_socket_beside_the_database_answers_half_closed_clients(daemon: Daemon) -> None:
    """What administers is served as any other client."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(DEADLINE_SECONDS)
        connection.connect(str(daemon.folder / "booper.db.sock"))
        connection.sendall(request(b"GET /api/keys"))
        connection.shutdown(socket.SHUT_WR)
        assert response(connection)[0] == 200


OFFERS = (
    (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAARAAAAA"),
    (b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13"),
    (b"Connection: Upgrade, close", b"Upgrade: any/1"),
)


@pytest.mark.parametrize("is_chunked", [False, True])
@pytest.mark.parametrize("offer", OFFERS)
def test_an_offered_upgrade_is_ignored(
    daemon: Daemon, exchange: Exchange, offer: tuple[bytes, ...], is_chunked: bool
) -> None:
    """A request inside a body stays there, however the bytes are cut; the next one is answered."""
    inner = posted(b"/api/jobs", AUTHORIZED, body=JOB, is_chunked=False).decode()
    body = json.dumps({"inner": inner}).encode()
    data = posted(b"/api/echo", *offer, body=body, is_chunked=is_chunked)
    expected = [(200, {"inner": inner})]
    if b"close" not in offer[0]:
        data, expected = data + PING, [*expected, PONG]
    known = job_count(daemon)
    for segments in cuts(data):
        assert exchange(segments, count=len(expected)) == expected, segments
    assert job_count(daemon) == known
    assert "WebSocket" not in daemon.log
    assert "pgrade" not in daemon.log


def test_a_create_may_offer_an_upgrade(daemon: Daemon, exchange: Exchange) -> None:
    """As Java's HttpClient does by itself, and `curl --http2`."""
    known = job_count(daemon)
    for is_chunked in (False, True):
        data = posted(b"/api/jobs", AUTHORIZED, *OFFERS[0], body=JOB, is_chunked=is_chunked)
        ((status, _),) = exchange([data], count=1)
        assert status == 201
    assert job_count(daemon) == known + 2


@pytest.mark.parametrize("is_offering", [False, True])
def test_a_trailer_lets_nobody_in(daemon: Daemon, exchange: Exchange, is_offering: bool) -> None:
    """A key that comes behind the body is none, however the bytes are cut."""
    fields = OFFERS[0] if is_offering else ()
    whole = posted(b"/api/jobs", *fields, body=JOB, is_chunked=True)
    data = whole[:-2] + AUTHORIZED + b"\r\n\r\n" + PING
    known = job_count(daemon)
    for segments in cuts(data):
        refused, ping = exchange(segments, count=2)
        assert (refused[0], ping) == (401, PONG), segments
    assert job_count(daemon) == known


def test_a_trailer_is_not_the_next_requests_header(daemon: Daemon, exchange: Exchange) -> None:
    """Nor does it change whose key the next request has."""
    whole = posted(b"/api/echo", body=b"{}", is_chunked=True)
    data = whole[:-2] + AUTHORIZED + b"\r\n\r\n" + request(b"GET /api/jobs")
    for segments in cuts(data):
        echoed, refused = exchange(segments, count=2)
        assert (echoed, refused[0]) == ((200, {}), 401), segments


# what is sent, and the status (RFC 9112 §3.2, RFC 9110 §9.1)
STATUSES = {
    "no Host": (b"GET /api/ping HTTP/1.1\r\n\r\n", 400),
    "two Hosts": (b"GET /api/ping HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
    "an invalid Host": (b"GET /api/ping HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
    "absolute-form": (request(b"GET http://booper.test/api/ping"), 200),
    "absolute-form without a path": (request(b"GET http://booper.test"), 403),
    "OPTIONS *": (request(b"OPTIONS *"), 404),
    "an unknown method": (request(b"FOO /api/ping"), 501),
    "a method that the path does not have": (request(b"DELETE /api/ping"), 405),
    "a coding that is unknown": (
        request(b"POST /api/echo", b"Transfer-Encoding: gzip, chunked"),
        501,
    ),
}


@pytest.mark.parametrize("case", STATUSES)
def test_requests_get_the_status_of_the_standard(exchange: Exchange, case: str) -> None:
    """Whole or cut in two, each is answered by the same status, with problem details."""
    data, status = STATUSES[case]
    for segments in cuts(data)[:: len(data) // 8]:
        ((answered, body),) = exchange(segments, count=1)
        assert answered == status
        assert status == 200 or (isinstance(body, dict) and body["status"] == status)


def test_a_body_that_was_not_asked_for_is_no_request(daemon: Daemon, exchange: Exchange) -> None:
    """Who waits for `100 Continue` and is refused may send its body or not: the connection ends."""
    ask = (JSON, b"Expect: 100-continue", b"Content-Length: %d" % len(CREATE))
    head = request(b"POST /api/jobs", *ask)
    known = job_count(daemon)
    for following in (b"", CREATE):
        ((status, _),) = exchange([head, following], count=1)
        assert status == 401
    assert job_count(daemon) == known


def test_the_open_feed_of_a_revoked_key_ends(daemon: Daemon) -> None:
    """Whoever had the key hears nothing that is said from then on."""
    made = run(daemon.folder, "keys", "create", "reader", "--scope", "read", "--json")
    key = json.loads(made.stdout)["key"].encode()
    with connected(daemon) as connection:
        fields = b"Authorization: Bearer " + key
        connection.sendall(request(b"GET /api/channels/demo/events", fields))
        feed = connection.makefile("rb")
        while feed.readline() != b": connected\n":
            pass
        assert run(daemon.folder, "keys", "revoke", "reader").returncode == 0
        assert feed.read().endswith(b"\r\n0\r\n\r\n")
