"""Reading requests: which are refused, which are the same however they come (RFC 9112)."""

from itertools import pairwise

import pytest

from booper.errors import BooperError
from booper.server.head import METHODS, Head
from booper.server.reader import RequestReader
from tests.support.framing import LOOSER, STRICTER, Recorder, booper_reads, compare_many

HOST = b"Host: a.example\r\n"
CHUNKED = b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"


def request(line: bytes, *fields: bytes, body: bytes = b"") -> bytes:
    """Return a request with a Host header."""
    return b"\r\n".join([line, b"Host: a.example", *fields, b"", body])


def bare(line: bytes, *fields: bytes) -> bytes:
    """Return a request with these headers alone."""
    return b"\r\n".join([line, *fields, b"", b""])


GET = b"GET / HTTP/1.1"
POST = b"POST / HTTP/1.1"

# what is sent, and the status of the refusal
REFUSED = {
    # Host: RFC 9112 §3.2, with the grammar of RFC 9110 §7.2 and RFC 3986 §3.2.2
    "no Host": (bare(GET), 400),
    "two Hosts": (bare(GET, b"Host: a", b"Host: b"), 400),
    "the same Host twice": (bare(GET, b"Host: a", b"host: a"), 400),
    "two Hosts in HTTP/1.0": (bare(b"GET / HTTP/1.0", b"Host: a", b"Host: a"), 400),
    "space in Host": (bare(GET, b"Host: a b"), 400),
    "URL as Host": (bare(GET, b"Host: http://a/"), 400),
    "path in Host": (bare(GET, b"Host: a/b"), 400),
    "user in Host": (bare(GET, b"Host: u@a"), 400),
    "two ports": (bare(GET, b"Host: a:80:81"), 400),
    "a port that is no number": (bare(GET, b"Host: a:http"), 400),
    "IPv6 without brackets": (bare(GET, b"Host: ::1"), 400),
    "an open bracket": (bare(GET, b"Host: [::1"), 400),
    "no IPv6 in brackets": (bare(GET, b"Host: [1:2]"), 400),
    "letters that are not ASCII": (bare(GET, b"Host: b\xc3\xbccher.example"), 400),
    "half an escape": (bare(GET, b"Host: a%2"), 400),
    "no Host beside an absolute-form": (bare(b"GET http://a/ HTTP/1.1"), 400),
    # the request line: RFC 9112 §3
    "two spaces": (request(b"GET  / HTTP/1.1"), 400),
    "two spaces before the version": (request(b"GET /  HTTP/1.1"), 400),
    "a tab": (request(b"GET\t/ HTTP/1.1"), 400),
    "a space in the target": (request(b"GET /a b HTTP/1.1"), 400),
    "a space at the end": (request(b"GET / HTTP/1.1 "), 400),
    "HTTP/0.9": (b"GET /\r\n\r\n", 400),
    "HTTP/0.9 by name": (request(b"GET / HTTP/0.9"), 400),
    "HTTP/2 by name": (request(b"GET / HTTP/2.0"), 400),
    "the preface of HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "lower-case http": (request(b"GET / http/1.1"), 400),
    "RTSP": (request(b"OPTIONS / RTSP/1.0"), 400),
    "ICE": (request(b"SOURCE / ICE/1.0"), 400),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    "a line feed first": (b"\n" + request(GET), 400),
    # targets: §3.2
    "a fragment": (request(b"GET /a#b HTTP/1.1"), 400),
    "no slash": (request(b"GET a HTTP/1.1"), 400),
    "authority-form": (request(b"GET a.example:80 HTTP/1.1"), 400),
    "asterisk-form": (request(b"GET * HTTP/1.1"), 400),
    "another scheme": (request(b"GET ftp://a/ HTTP/1.1"), 400),
    "a scheme alone": (request(b"GET http:// HTTP/1.1"), 400),
    "a user": (request(b"GET http://u@a/ HTTP/1.1"), 400),
    "a port alone": (request(b"GET http://:80/ HTTP/1.1"), 400),
    "a byte that is not ASCII": (request(b"GET /\xc3\xbc HTTP/1.1"), 400),
    "NUL in the target": (request(b"GET /\0 HTTP/1.1"), 400),
    # methods: RFC 9110 §9.1
    "an unknown method": (request(b"FOO / HTTP/1.1"), 501),
    "lower case": (request(b"get / HTTP/1.1"), 501),
    "a longer name": (request(b"GETS / HTTP/1.1"), 501),
    "CONNECT": (request(b"CONNECT a.example:80 HTTP/1.1"), 501),
    "WebDAV": (request(b"PROPFIND / HTTP/1.1"), 501),
    "RTSP's methods": (request(b"DESCRIBE / HTTP/1.1"), 501),
    "no method": (request(b" / HTTP/1.1"), 400),
    "a method that is no token": (request(b"G@T / HTTP/1.1"), 400),
    # lines: §2.2, §5
    "a bare LF after the line": (b"GET / HTTP/1.1\n" + HOST + b"\r\n", 400),
    "a bare LF after a header": (b"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", 400),
    "a bare LF at the end": (b"GET / HTTP/1.1\r\nHost: a\r\n\n", 400),
    "bare LFs alone": (b"GET / HTTP/1.1\nHost: a\n\n", 400),
    "a bare CR": (request(GET, b"X: a\rb"), 400),
    "CR CR LF": (request(GET, b"X: a\r"), 400),
    "a folded header": (request(GET, b"X: a", b" b"), 400),
    "a folded header, by a tab": (request(GET, b"X: a", b"\tb"), 400),
    "space before the headers": (bare(GET, b" X: a", b"Host: a"), 400),
    "space before the colon": (request(GET, b"X : a"), 400),
    "no colon": (request(GET, b"X"), 400),
    "no name": (request(GET, b": a"), 400),
    "NUL in a value": (request(GET, b"X: a\0b"), 400),
    "a control character in a value": (request(GET, b"X: a\x01b"), 400),
    "DEL in a value": (request(GET, b"X: a\x7fb"), 400),
    "NUL in a name": (request(GET, b"X\0: a"), 400),
    "a name that is not ASCII": (request(GET, b"\xc3\x9c: a"), 400),
    # lengths: §6.2, §6.3
    "a length with a sign": (request(POST, b"Content-Length: +1"), 400),
    "a negative length": (request(POST, b"Content-Length: -1"), 400),
    "a length with a space": (request(POST, b"Content-Length: 1 1"), 400),
    "a length in hexadecimal": (request(POST, b"Content-Length: 0x1"), 400),
    "a fraction": (request(POST, b"Content-Length: 1.0"), 400),
    "an underscore": (request(POST, b"Content-Length: 1_0"), 400),
    "digits that are not ASCII": (request(POST, b"Content-Length: \xd9\xa1"), 400),
    "an empty length": (request(POST, b"Content-Length:"), 400),
    "a list of lengths": (request(POST, b"Content-Length: 1, 1"), 400),
    "two lengths": (request(POST, b"Content-Length: 1", b"Content-Length: 2"), 400),
    "a length twice": (request(POST, b"Content-Length: 1", b"Content-Length: 1"), 400),
    "a huge length": (request(POST, b"Content-Length: " + b"9" * 30), 400),
    # transfer codings: §6.1, §6.3
    "length and chunks": (
        request(POST, b"Content-Length: 1", b"Transfer-Encoding: chunked"),
        400,
    ),
    "chunks and length": (
        request(POST, b"Transfer-Encoding: chunked", b"Content-Length: 1"),
        400,
    ),
    "chunks in HTTP/1.0": (request(b"POST / HTTP/1.0", b"Transfer-Encoding: chunked"), 400),
    "a coding that does not end": (request(POST, b"Transfer-Encoding: gzip"), 400),
    "chunked before another": (request(POST, b"Transfer-Encoding: chunked, gzip"), 400),
    "chunked twice": (request(POST, b"Transfer-Encoding: chunked, chunked"), 400),
    "chunked in two lines": (
        request(POST, b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"),
        400,
    ),
    "identity": (request(POST, b"Transfer-Encoding: identity"), 400),
    "no coding": (request(POST, b"Transfer-Encoding:"), 400),
    "nearly chunked": (request(POST, b"Transfer-Encoding: xchunked"), 400),
    "chunked in quotes": (request(POST, b'Transfer-Encoding: "chunked"'), 400),
    "chunked with a parameter": (request(POST, b"Transfer-Encoding: chunked;q=1"), 400),
    "chunked behind a vertical tab": (request(POST, b"Transfer-Encoding: \x0bchunked"), 400),
    "gzip in chunks": (request(POST, b"Transfer-Encoding: gzip, chunked"), 501),
    "gzip in chunks, in two lines": (
        request(POST, b"Transfer-Encoding: gzip", b"Transfer-Encoding: chunked"),
        501,
    ),
    # chunks: §7.1
    "a size that is none": (CHUNKED + b"x\r\n", 400),
    "no size": (CHUNKED + b"\r\n", 400),
    "a size with a sign": (CHUNKED + b"+1\r\na\r\n0\r\n\r\n", 400),
    "a negative size": (CHUNKED + b"-1\r\na\r\n0\r\n\r\n", 400),
    "a size with a prefix": (CHUNKED + b"0x1\r\na\r\n0\r\n\r\n", 400),
    "a space before a size": (CHUNKED + b" 1\r\na\r\n0\r\n\r\n", 400),
    "a space behind a size": (CHUNKED + b"1 \r\na\r\n0\r\n\r\n", 400),
    "a size in 17 digits": (CHUNKED + b"00000000000000001\r\na\r\n0\r\n\r\n", 400),
    "a bare LF behind a size": (CHUNKED + b"1\na\r\n0\r\n\r\n", 400),
    "a bare LF in an extension": (CHUNKED + b"1;a\nb\r\na\r\n0\r\n\r\n", 400),
    "an extension without a name": (CHUNKED + b"1;\r\na\r\n0\r\n\r\n", 400),
    "an open quote": (CHUNKED + b'1;a="\r\na\r\n0\r\n\r\n', 400),
    "a bare LF behind a chunk": (CHUNKED + b"1\r\na\n0\r\n\r\n", 400),
    "a chunk that is longer": (CHUNKED + b"1\r\nab\r\n0\r\n\r\n", 400),
    "a chunk that is shorter": (CHUNKED + b"3\r\na\r\n0\r\n\r\n", 400),
    "a bare LF behind the last size": (CHUNKED + b"0\n\n", 400),
    "a bare LF behind the last chunk": (CHUNKED + b"0\r\n\n", 400),
    "a trailer without a colon": (CHUNKED + b"0\r\nX\r\n\r\n", 400),
    "a folded trailer": (CHUNKED + b"0\r\nX: a\r\n b\r\n\r\n", 400),
    # sizes: RFC 9110 §15.5.15, RFC 6585 §5
    "a long URL": (request(b"GET /" + b"x" * (16 << 10) + b" HTTP/1.1"), 414),
    "a URL without end": (b"GET /" + b"x" * (17 << 10), 414),
    "a long header": (request(GET, b"X: " + b"y" * (32 << 10)), 431),
    "many headers": (request(GET, *[b"X: y"] * 100), 431),
    "long trailers": (CHUNKED + b"0\r\nX: " + b"y" * (33 << 10), 431),
    "a long extension": (CHUNKED + b"1;" + b"y" * (33 << 10), 431),
}


def halves(data: bytes) -> list[list[bytes]]:
    """Return the same in one segment, in one for each byte, and cut in two at every place."""
    if len(data) > 1_000:
        return [[data], [data[:100], data[100:]]]
    pieces = [data[at : at + 1] for at in range(len(data))]
    return [[data], pieces, *([data[:at], data[at:]] for at in range(1, len(data)))]


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_valid_is_refused_however_it_is_cut(case: str) -> None:
    """Each has its status, nothing of it becomes a request, nor does what follows it."""
    data, status = REFUSED[case]
    for segments in halves(data):
        reading = booper_reads([*segments, request(GET)])
        assert (reading.status, reading.requests) == (status, []), segments


@pytest.mark.parametrize("case", REFUSED)
def test_what_stands_before_is_read(case: str) -> None:
    """A request is not lost because of what follows it in the same segment."""
    data, status = REFUSED[case]
    first = request(POST, b"Content-Length: 3", body=b"abc")
    reading = booper_reads([first + data])
    assert (reading.status, reading.requests) == (status, [(b"POST", b"/", b"abc")])


# what is sent, and the target and the Host of the request
TARGETS = {
    "a path": (request(b"GET /a/b?c=d HTTP/1.1"), b"/a/b?c=d", b"a.example"),
    "two slashes": (request(b"GET //a HTTP/1.1"), b"//a", b"a.example"),
    "a URL as a query": (request(b"GET /?u=http://b/ HTTP/1.1"), b"/?u=http://b/", b"a.example"),
    # §3.2.2: its host replaces that of Host; a path that is missing is "/"
    "absolute-form": (request(b"GET http://b.example/c?d HTTP/1.1"), b"/c?d", b"b.example"),
    "no path": (request(b"GET http://b.example HTTP/1.1"), b"/", b"b.example"),
    "no path, a port": (request(b"GET http://b.example:80 HTTP/1.1"), b"/", b"b.example:80"),
    "no path, a query": (request(b"GET http://b.example?c HTTP/1.1"), b"/?c", b"b.example"),
    "IPv6": (request(b"GET HTTP://[::1]:2667 HTTP/1.1"), b"/", b"[::1]:2667"),
    "https": (request(b"GET https://b.example/ HTTP/1.1"), b"/", b"b.example"),
    # §3.2.4
    "asterisk-form": (request(b"OPTIONS * HTTP/1.1"), b"*", b"a.example"),
    "the same in absolute-form": (request(b"OPTIONS http://b HTTP/1.1"), b"*", b"b"),
    # §3.2: what a Host may be
    "a port": (bare(GET, b"Host: a.example:2667"), b"/", b"a.example:2667"),
    "an empty port": (bare(GET, b"Host: a.example:"), b"/", b"a.example:"),
    "an empty Host": (bare(GET, b"Host:"), b"/", b""),
    "an underscore": (bare(GET, b"Host: my_service"), b"/", b"my_service"),
    "an IPv6 Host": (bare(GET, b"Host: [2001:db8::1]:80"), b"/", b"[2001:db8::1]:80"),
    "an escape": (bare(GET, b"Host: a%20b"), b"/", b"a%20b"),
    "HTTP/1.0 with Host": (bare(b"GET / HTTP/1.0", b"Host: a"), b"/", b"a"),
    "HTTP/1.0 without": (bare(b"GET / HTTP/1.0"), b"/", None),
    # RFC 9110 §2.5: a higher minor version is read as the highest that is known
    "HTTP/1.2": (request(b"GET / HTTP/1.2"), b"/", b"a.example"),
    "empty lines before it": (b"\r\n\r\n" + request(GET), b"/", b"a.example"),
}


@pytest.mark.parametrize("case", TARGETS)
def test_targets_and_hosts_are_understood_however_they_are_cut(case: str) -> None:
    """Each form that is allowed leads to a path and a host."""
    data, target, host = TARGETS[case]
    for segments in halves(data):
        head = only_head(segments)
        assert (head.target, dict(head.headers).get(b"host")) == (target, host)


def only_head(segments: list[bytes]) -> Head:
    """Return the head of the one request in some segments."""
    recorder = Recorder()
    reader = RequestReader(recorder)
    for segment in segments:
        reader.feed(segment)
    assert recorder.reading.requests
    (head,) = recorder.heads
    return head


OFFERS = (
    (b"Connection: Upgrade", b"Upgrade: h2c"),
    (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAARAAAAA"),
    (b"Connection: keep-alive, Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13"),
    (b"Upgrade: foo/1, TLS/1.0", b"Connection: upgrade"),
    (b"Proxy-Connection: upgrade", b"Upgrade: x"),
    (b"Connection: upgrade",),
    (b"Upgrade: x",),
)
SMUGGLED = b"POST /api/jobs HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
NEXT = request(b"GET /next HTTP/1.1")


@pytest.mark.parametrize("offer", OFFERS)
@pytest.mark.parametrize("is_chunked", [False, True])
def test_an_offered_upgrade_changes_nothing(offer: tuple[bytes, ...], is_chunked: bool) -> None:
    """RFC 9110 §7.8: a server may ignore it; the body stays the body, the next one the next."""
    if is_chunked:
        length, body = (
            b"Transfer-Encoding: chunked",
            b"%x\r\n%b\r\n0\r\n\r\n"
            % (
                len(SMUGGLED),
                SMUGGLED,
            ),
        )
    else:
        length, body = b"Content-Length: %d" % len(SMUGGLED), SMUGGLED
    data = request(POST, *offer, length, body=body) + NEXT
    for segments in halves(data):
        reading = booper_reads(segments)
        assert reading.error is None
        assert reading.requests == [(b"POST", b"/", SMUGGLED), (b"GET", b"/next", b"")], segments


TRAILERS = (
    b"Authorization: Bearer sk_public_20230921",
    b"Content-Type: text/plain",
    b"Host: other.example",
    b"Connection: close",
    b"Connection: upgrade\r\nUpgrade: h2c",
    b"Content-Length: 5",
    b"Transfer-Encoding: gzip",
    b"Expect: 100-continue",
    b"X-Empty:",
)


@pytest.mark.parametrize("trailer", TRAILERS)
def test_trailers_are_dropped(trailer: bytes) -> None:
    """RFC 9110 §6.5.1: none becomes a header, of its own request or of the next one."""
    plain = [(b"host", b"a.example"), (b"transfer-encoding", b"chunked")]
    data = CHUNKED + b"1\r\na\r\n0\r\n" + trailer + b"\r\n\r\n" + NEXT
    for segments in halves(data):
        recorder = Recorder()
        reader = RequestReader(recorder)
        for segment in segments:
            reader.feed(segment)
        assert recorder.reading.requests == [(b"POST", b"/", b"a"), (b"GET", b"/next", b"")]
        assert [list(head.headers) for head in recorder.heads] == [plain, plain[:1]]
        assert all(head.keep_alive for head in recorder.heads)


# a request, and whether another one may follow on its connection (RFC 9112 §9.3)
PERSISTENCE = (
    (request(GET), True),
    (request(GET, b"Connection: keep-alive"), True),
    (request(GET, b"Connection: close"), False),
    (request(GET, b"Connection: Close, X"), False),
    (request(GET, b"Connection: x", b"Connection: close"), False),
    (request(GET, b"Connection: not-close"), True),
    (request(GET, b"Proxy-Connection: close"), True),
    (request(b"GET / HTTP/1.0", b"Connection: keep-alive"), False),
)


@pytest.mark.parametrize(("data", "may_follow"), PERSISTENCE)
def test_nothing_is_read_behind_the_last_request(data: bytes, may_follow: bool) -> None:
    """What follows a request that ends its connection is dropped, whatever it is."""
    reading = booper_reads([data + NEXT + b"\0"])
    assert len(reading.requests) == (2 if may_follow else 1)
    assert (reading.error is None) is not may_follow


# a request, and whether its client waits until its body is asked for (RFC 9110 §10.1.1)
EXPECTATIONS = (
    (request(POST, b"Content-Length: 1", b"Expect: 100-continue", body=b"a"), True),
    (request(POST, b"Content-Length: 1", b"Expect: 100-Continue", body=b"a"), True),
    (CHUNKED.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n") + b"0\r\n\r\n", True),
    (request(POST, b"Content-Length: 0", b"Expect: 100-continue"), False),
    (request(GET, b"Expect: 100-continue"), False),
    (request(POST, b"Content-Length: 1", b"Expect: other", body=b"a"), False),
    (
        request(b"POST / HTTP/1.0", b"Content-Length: 1", b"Expect: 100-continue", body=b"a"),
        False,
    ),
)


@pytest.mark.parametrize(("data", "expects"), EXPECTATIONS)
def test_a_body_is_asked_for_only_where_one_comes(data: bytes, expects: bool) -> None:
    """A request without a body, or of HTTP/1.0, is not answered with 100."""
    assert only_head([data]).expects_continue is expects


def test_a_body_comes_in_one_piece_for_each_segment() -> None:
    """However many chunks a segment has, the receiver is told once."""
    data = CHUNKED + b"1\r\na\r\n" * 1_000 + b"0\r\n\r\n"
    told: list[bytes] = []

    class Counting(Recorder):
        def on_body(self, body: bytes) -> None:
            told.append(body)

    RequestReader(Counting()).feed(data)
    assert told == [b"a" * 1_000]


def test_the_limits_themselves_are_allowed() -> None:
    """A URL, a number of headers and a head as large as they may be."""
    line = b"GET /" + b"x" * ((16 << 10) - 1) + b" HTTP/1.1"
    assert booper_reads([request(line)]).error is None
    assert booper_reads([request(GET, *[b"X: y"] * 99)]).error is None
    rest = (32 << 10) - len(request(GET, b"X: ")) + len(b"\r\n\r\n")
    assert booper_reads([request(GET, b"X: " + b"y" * rest)]).error is None
    assert booper_reads([request(GET, b"X: " + b"y" * (rest + 1))]).status == 431


def test_the_methods_are_those_of_the_standards() -> None:
    """RFC 9110 §9.3 without CONNECT, which is for proxies, and PATCH of RFC 5789."""
    known = "GET HEAD POST PUT DELETE OPTIONS TRACE PATCH"
    assert {name.decode() for name in METHODS} == set(known.split())
    for method in METHODS:
        assert booper_reads([request(method + b" / HTTP/1.1")]).error is None


# heads after one with `Content-Length: 3`, and how long the body of each is; None is a refusal
ANOTHER_LENGTH = (
    (b"4", 4),
    (b"12", 12),
    (b"0", 0),
    (b"003", 3),
    (b"", None),
    (b"+4", None),
    (b"4 4", None),
    (b"4, 4", None),
    (b"4\r\nContent-Length: 4", None),
    (b"4\r\nTransfer-Encoding: chunked", None),
    (b"9" * 30, None),
)


@pytest.mark.parametrize(("digits", "length"), ANOTHER_LENGTH)
@pytest.mark.parametrize("name", [b"Content-Length: ", b"content-length:"])
def test_a_head_like_the_one_before_is_read_as_the_first(
    name: bytes, digits: bytes, length: int | None
) -> None:
    """What is remembered of a connection's last head never decides otherwise than the standard."""
    others = (b"X-Length: 3", b"Expect: 100-continue")
    first = request(POST, others[0], name + b"3", others[1], body=b"abc")
    second = request(POST, others[0], name + digits, others[1], body=b"x" * (length or 0))
    recorder = Recorder()
    reader = RequestReader(recorder)
    reader.feed(first)
    if length is None:
        with pytest.raises(BooperError):
            reader.feed(second)
        return
    reader.feed(second)
    assert recorder.reading.requests == [(b"POST", b"/", b"abc"), (b"POST", b"/", b"x" * length)]
    assert [head.expects_continue for head in recorder.heads] == [True, length > 0]
    assert dict(recorder.heads[1].headers)[b"content-length"] == digits
    assert recorder.heads[1] == only_head([second])


def test_a_receiver_may_stop_the_reader() -> None:
    """Nothing more of a request that nobody wants is told of."""

    class Stopping(Recorder):
        def on_body(self, body: bytes) -> None:
            reader.stop()

    recorder = Stopping()
    reader = RequestReader(recorder)
    reader.feed(request(POST, b"Content-Length: 1", body=b"a") + NEXT)
    reader.feed(NEXT)
    assert recorder.reading.requests == []


def test_an_error_is_one_of_boopers() -> None:
    """The message names what is wrong and what came instead."""
    reader = RequestReader(Recorder())
    with pytest.raises(BooperError, match=r"Host must be 'name' or 'name:port', got 'a b'"):
        reader.feed(bare(GET, b"Host: a b"))


def test_booper_and_h11_find_the_same_requests() -> None:
    """In 4,000 streams made up by chance; where one stops before, the reason is known.

    `python -m tests.torture --only framing` compares 20,000.
    """
    reasons = compare_many(4_000, seed=1)
    assert reasons.total() == 4_000
    assert reasons.keys() == {None, *STRICTER, *LOOSER}


def test_cut_positions_are_all_places_in_a_stream() -> None:
    """What `halves` returns is the same bytes each time."""
    assert all(b"".join(segments) == b"abcd" for segments in halves(b"abcd"))
    firsts = [segments[0] for segments in halves(b"abcd")[2:]]
    assert [len(b) - len(a) for a, b in pairwise(firsts)] == [1, 1]
