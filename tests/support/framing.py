"""Requests made up by chance, and how booper and h11 read them.

A stream is a few requests behind each other: valid ones, or with an odd part, or with bytes
changed at random, in segments cut at random. Both readers must find the same requests in it;
where one stops before the other, the reason must be one of `STRICTER` or `LOOSER`.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Final

import h11

from booper.errors import BooperError
from booper.server.head import Head
from booper.server.reader import RequestReader

STRICTER: Final = {
    "Host must be": "RFC 9112 §3.2: a Host with an invalid value is 400; h11 takes any value",
    "the request target": "§3.2: a path, or what its method allows; h11 takes any characters",
    "the request line": "§2.2, §2.3: CR LF and HTTP/1; h11 takes LF alone and other versions",
    "the method must be": "RFC 9110 §9.1: an unknown method is 501; h11 leaves that to others",
    "Content-Length and": "RFC 9112 §6.3: a server may refuse both; h11 drops the length",
    "Content-Length must": "§6.3: a server may refuse a list of equal lengths; h11 takes it",
    "Transfer-Encoding needs": "§6.1: such framing in HTTP/1.0 is faulty; h11 reads it",
    "lines must end": "§2.2: h11 takes LF alone, and control characters in values",
    "each header must": "the same; and §5.2: a server may refuse folded lines, h11 unfolds them",
    "each trailer must": "the same, in trailers",
    "each chunk must": "§7.1: h11 takes trailing spaces, any extensions, and 20 digits",
}
"""Beginnings of the messages with which booper refuses what h11 takes, and why."""

LOOSER: Final = {
    "no request line received": "§2.2: more empty lines before a request mean nothing",
    "illegal request line$": "the same, where a segment begins with them",
    "Only Transfer-Encoding: chunked": "§7.1.2: h11 checks trailers as if they were headers",
}
"""Beginnings of the messages with which h11 refuses what booper takes, and why it does."""


@dataclass
class Reading:
    """What a reader has found: whole requests in order, and why it has stopped, if it has."""

    requests: list[tuple[bytes, bytes, bytes]] = field(default_factory=list)
    error: str | None = None
    status: int | None = None


class Recorder:
    """A receiver that keeps each whole request: its method, its target and its body."""

    def __init__(self) -> None:
        self.reading = Reading()
        self.heads: list[Head] = []
        self._body = b""

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._body = b""

    def on_head(self, head: Head) -> None:
        """Keep a head."""
        self.heads.append(head)

    def on_body(self, body: bytes) -> None:
        """Keep a piece of the body."""
        self._body += body

    def on_message_complete(self) -> None:
        """Keep a request."""
        head = self.heads[-1]
        self.reading.requests.append((head.method.encode(), head.target, self._body))


def booper_reads(segments: list[bytes]) -> Reading:
    """Return what booper finds."""
    recorder = Recorder()
    reader = RequestReader(recorder)
    for segment in segments:
        try:
            reader.feed(segment)
        except BooperError as error:
            recorder.reading.error, recorder.reading.status = str(error), error.status
    return recorder.reading


def h11_reads(segments: list[bytes]) -> Reading:
    """Return what h11 finds, where each request is answered with a 404 that keeps the rest."""
    connection, reading = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 16), Reading()
    found: tuple[bytes, bytes] = (b"", b"")
    body = b""
    for segment in segments:
        try:
            connection.receive_data(segment)
            while (event := connection.next_event()) not in (h11.NEED_DATA, h11.PAUSED):
                match event:
                    case h11.Request():
                        found, body = (event.method, event.target), b""
                    case h11.Data():
                        body += bytes(event.data)
                    case h11.EndOfMessage():
                        reading.requests.append((*found, body))
                        if not _answered(connection):
                            return reading
                    case _:
                        return reading
        except h11.RemoteProtocolError as error:
            reading.error = str(error)
            return reading
    return reading


def _answered(connection: h11.Connection) -> bool:
    """Answer a request; return whether another one may follow."""
    connection.send(h11.Response(status_code=404, headers=[("content-length", "0")]))
    connection.send(h11.EndOfMessage())
    if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
        return False
    connection.start_next_cycle()
    return True


METHODS: Final = (b"GET", b"POST", b"PUT", b"PATCH", b"DELETE", b"HEAD", b"OPTIONS")
TARGETS: Final = (b"/", b"/api/jobs", b"/a?b=c&d=%20", b"//x/y", b"/?", b"http://a.example/b?c")
FIELDS: Final = (
    b"Accept: */*",
    b"X-Empty:",
    b"X-Spaces: \t a  b \t ",
    b"Cookie: a=1; b=\xe9",
    b"Upgrade: h2c",
    b"Upgrade: websocket",
    b"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA",
    b"Expect: 100-continue",
    b"TE: trailers",
    b"Proxy-Connection: upgrade",
    b"Connection: upgrade",
    b"Connection: Upgrade, HTTP2-Settings",
    b"Connection: keep-alive",
    b"Content-Type: application/json",
)
EXTENSIONS: Final = (b"", b"", b"", b";a", b";a=b;c", b';a="b;\\"c"')
TRAILERS: Final = (
    b"",
    b"",
    b"Authorization: Bearer sk_public_20230921\r\n",
    b"Connection: close\r\nUpgrade: h2c\r\n",
    b"Host: other.example\r\nExpect: 100-continue\r\n",
)
NASTY: Final = (
    b"\r",
    b"\n",
    b"\r\n",
    b" ",
    b"\t",
    b"\0",
    b":",
    b";",
    b",",
    b"0",
    b"1",
    b"a",
    b"\xff",
)

# parts of a valid request and what stands there instead
ODD: Final[tuple[tuple[bytes, bytes], ...]] = (
    (b" HTTP/1.1", b" HTTP/1.0"),
    (b" HTTP/1.1", b" HTTP/2.0"),
    (b" HTTP/1.1", b" HTTP/1.2"),
    (b" HTTP/1.1", b"  HTTP/1.1"),
    (b" HTTP/1.1", b""),
    (b" HTTP/1.1\r\n", b" HTTP/1.1\n"),
    (b"Host: a.example\r\n", b""),
    (b"Host: a.example\r\n", b"Host: a.example\r\nHost: a.example\r\n"),
    (b"Host: a.example", b"Host: a b"),
    (b"Host: a.example", b"Host : a.example"),
    (b"Host: a.example", b"Host: a.example\r\n folded"),
    (b"Host: a.example\r\n", b"Host: a.example\n"),
    (b"Content-Length: ", b"Content-Length: +"),
    (b"Content-Length: ", b"Content-Length: 0x"),
    (b"Content-Length: ", b"Content-Length: 0"),
    (b"Content-Length: ", b"Content-Length: 1\r\nContent-Length: "),
    (b"Content-Length: ", b"Content-Length: 5, "),
    (b"Content-Length: ", b"Transfer-Encoding: chunked\r\nContent-Length: "),
    (b"Transfer-Encoding: ", b"Content-Length: 3\r\nTransfer-Encoding: "),
    (b"Transfer-Encoding: ", b"Transfer-Encoding: gzip, "),
    (b"Transfer-Encoding: ", b"Transfer-Encoding: x"),
    (b"Transfer-Encoding: ", b"Transfer-Encoding: chunked, "),
    (b"Transfer-Encoding: ", b"Transfer-Encoding: chunked\r\nTransfer-Encoding: "),
    (b"0\r\n", b"0 \r\n"),
    (b"0\r\n", b"00000000000000000000\r\n"),
    (b"\r\n0\r\n", b"\n0\r\n"),
    (b"\r\n0\r\n", b"\r\nx\r\n"),
    (b"0\r\n\r\n", b"0\r\nTransfer-Encoding: gzip\r\nContent-Length: x\r\n\r\n"),
    (b"GET ", b"FOO "),
    (b"POST ", b"post "),
    (b"GET /", b"GET *"),
    (b"GET /", b"GET a.example:80/"),
    (b"POST /", b"\r\n\r\nPOST /"),
)


@dataclass(frozen=True)
class Stream:
    """Bytes with requests; `expected` are these, where the bytes are as they were made."""

    data: bytes
    expected: list[tuple[bytes, bytes, bytes]] | None


def made_up(random: Random) -> Stream:
    """Make a stream: two of five are valid, the others have odd parts or changed bytes."""
    expected, data = [], b""
    for _ in range(random.randint(1, 3)):
        request, encoded = _request(random)
        expected.append(request)
        data += encoded
        if b"\r\nConnection: close\r\n" in encoded.partition(b"\r\n\r\n")[0] + b"\r\n":
            break
    match random.randrange(5):
        case 0 | 1:
            return Stream(data, expected)
        case 2 | 3:
            return Stream(_with_odd_part(data, random), None)
        case _:
            return Stream(_with_changes(data, random), None)


def _request(random: Random) -> tuple[tuple[bytes, bytes, bytes], bytes]:
    method, target = random.choice(METHODS), random.choice(TARGETS)
    fields = [b"Host: a.example", *random.sample(FIELDS, random.randint(0, 5))]
    if random.randrange(8) == 0:
        fields.append(b"Connection: close")
    body, encoded = b"", b""
    match random.randrange(3):
        case 0:
            body = encoded = random.choice((b"", b"{}", b'{"url": "x"}', b"GET / HTTP/1.1\r\n\r\n"))
            fields.append(b"Content-Length: %d" % len(body))
        case 1:
            body, encoded = _chunks(random)
            fields.append(b"Transfer-Encoding: chunked")
        case _:
            pass
    head = b"\r\n".join([b"%b %b HTTP/1.1" % (method, target), *fields, b"", b""])
    return (method, target, body), head + encoded


def _chunks(random: Random) -> tuple[bytes, bytes]:
    """Return a body, and the same in chunks."""
    pieces = [
        random.choice((b"a", b"\r\n", b"0\r\n\r\n", b"x" * 20)) for _ in range(random.randint(0, 3))
    ]
    encoded = b"".join(
        b"%x%b\r\n%b\r\n" % (len(piece), random.choice(EXTENSIONS), piece) for piece in pieces
    )
    return b"".join(pieces), encoded + b"0\r\n" + random.choice(TRAILERS) + b"\r\n"


def _with_odd_part(data: bytes, random: Random) -> bytes:
    fitting = [(part, odd) for part, odd in ODD if part in data]
    part, odd = random.choice(fitting)
    places = [found.start() for found in re.finditer(re.escape(part), data)]
    at = random.choice(places)
    return data[:at] + odd + data[at + len(part) :]


def _with_changes(data: bytes, random: Random) -> bytes:
    for _ in range(random.randint(1, 2)):
        at = random.randrange(len(data))
        data = data[:at] + random.choice((b"", *NASTY)) + data[at + random.randint(0, 1) :]
    return data


def cut(data: bytes, random: Random) -> list[bytes]:
    """Return the same in one segment, in a few, or in one for each byte."""
    count = random.choice((0, 1, 3, len(data)))
    places = sorted(random.sample(range(1, len(data)), min(count, len(data) - 1)))
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]


class Framing(Exception):
    """The two readers have found different requests, for no reason that is known."""


def compare(stream: Stream, random: Random) -> str | None:
    """Return why the readers differ about a stream, None if they do not.

    Raises:
        Framing: there is no good reason.
    """
    segments = cut(stream.data, random)
    ours, whole = booper_reads(segments), booper_reads([stream.data])
    if (ours.requests, ours.status) != (whole.requests, whole.status):
        raise Framing(f"cut makes a difference: {segments}: {ours}; whole: {whole}")
    theirs = h11_reads(segments)
    theirs.requests = [(a, _origin_form(b), c) for a, b, c in theirs.requests]
    if stream.expected is not None:
        expected = [(a, _origin_form(b), c) for a, b, c in stream.expected]
        if ours.error or ours.requests != expected or theirs.requests != expected:
            raise Framing(f"valid: {segments}: booper {ours}, h11 {theirs}, expected {expected}")
        return None
    if ours.requests == theirs.requests and bool(ours.error) == bool(theirs.error):
        return None
    if (reason := _reason(ours, theirs, STRICTER) or _reason(theirs, ours, LOOSER)) is None:
        raise Framing(f"{segments}: booper {ours}, h11 {theirs}")
    return reason


def _reason(stopped: Reading, other: Reading, known: Mapping[str, str]) -> str | None:
    """Return the reason why one stops before the other, None if it does not or has none."""
    found = len(stopped.requests)
    if stopped.error is None or stopped.requests != other.requests[:found]:
        return None
    return next((reason for reason in known if re.match(reason, stopped.error)), None)


def _origin_form(target: bytes) -> bytes:
    """Return a target without its host (RFC 9112 §3.2.2)."""
    path = re.sub(rb"^https?://[^/?]+", b"", target, flags=re.IGNORECASE)
    return path if path == target or path.startswith(b"/") else b"/" + path


def compare_many(count: int, seed: int) -> "Counter[str | None]":
    """Compare so many streams; return how many differ for which reason.

    Raises:
        Framing: there is no good reason.
    """
    random = Random(seed)
    return Counter(compare(made_up(random), random) for _ in range(count))
