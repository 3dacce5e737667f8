"""Our reading of responses beside h11's: the same outcome, or a difference listed with a reason.

Both get the same bytes, split anywhere, then the end of the connection. An outcome is (status,
headers with lower-case names, body), or REFUSED.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import h11
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from booper.http.errors import ProtocolError
from booper.http.response import DONE, ResponseReader

Outcome = tuple[int, list[tuple[bytes, bytes]], bytes] | None
REFUSED: Outcome = None

LINE = b"HTTP/1.1 200 OK\r\n"
CHUNKED = LINE + b"Transfer-Encoding: chunked\r\n\r\n"


def read_with_ours(method: bytes, pieces: list[bytes]) -> Outcome:
    """Read with `ResponseReader`; a status that stands in spite of a fault counts as refused."""
    response = ResponseReader(is_head=method == b"HEAD", max_header_bytes=16384)
    try:
        for piece in pieces:
            response.feed(piece)
            if response.phase is DONE:
                break
        response.feed_eof()
    except ProtocolError:
        return REFUSED
    if response.fault:
        return REFUSED
    headers = [(name.lower(), value) for name, value in response.headers]
    # h11 hands on the transfer coding in lower case: it is a case-insensitive name.
    coding = b"transfer-encoding"
    headers = [(name, v.lower() if name == coding else v) for name, v in headers]
    return response.status, headers, response.take()


def read_with_h11(method: bytes, pieces: list[bytes]) -> Outcome:
    """Read with h11's client, the independent reference."""
    reference = h11.Connection(h11.CLIENT)
    reference.send(h11.Request(method=method, target="/", headers=[("Host", "h")]))
    reference.send(h11.EndOfMessage())
    head: h11.Response | None = None
    body = b""
    waiting = [*pieces, b""]
    try:
        while True:
            match reference.next_event():
                case h11.NEED_DATA:
                    reference.receive_data(waiting.pop(0))
                case h11.Response() as head:
                    pass
                case h11.Data(data=data):
                    body += data
                case h11.EndOfMessage():
                    assert head is not None
                    return head.status_code, [(bytes(n), bytes(v)) for n, v in head.headers], body
                case h11.ConnectionClosed() | h11.PAUSED:
                    return REFUSED
                case _:
                    pass
    except h11.RemoteProtocolError:
        return REFUSED


# The deliberate differences


@dataclass(frozen=True)
class Difference:
    """Where the two part, why ours is meant, and a response (to a GET) that shows it."""

    name: str
    reason: str
    applies: Callable[[bytes], bool]
    sample: bytes
    is_refused_by_ours: bool = True


def names(data: bytes) -> list[bytes]:
    """The lower-case names of everything in `data` that looks like a header line."""
    lines = data.lower().replace(b"\r", b"\n").split(b"\n")
    return [line.partition(b":")[0].strip() for line in lines if b":" in line]


def has_control(data: bytes) -> bool:
    """Whether a control character other than tab and line ends is in `data`."""
    return any((byte < 32 and byte not in b"\t\r\n") or byte == 127 for byte in data)


DIFFERENCES = [
    Difference(
        "repeated length",
        "RFC 9112 §6.3 lets a client refuse even equal ones, the simplest smuggling trick",
        lambda d: names(d).count(b"content-length") > 1,
        LINE + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nok",
    ),
    Difference(
        "length as a list",
        "the same, spelled as one line",
        lambda d: b"," in d,
        LINE + b"Content-Length: 2, 2\r\n\r\nok",
    ),
    Difference(
        "length and chunked",
        "RFC 9112 §6.3: ought to be handled as an error",
        lambda d: {b"content-length", b"transfer-encoding"} <= set(names(d)),
        LINE + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    Difference(
        "chunked in HTTP/1.0",
        "RFC 9112 §6.1: its framing is faulty",
        lambda d: b"HTTP/1.0" in d and b"transfer-encoding" in names(d),
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    Difference(
        "another version",
        "only HTTP/1.0 and 1.1 were asked for",
        lambda d: any(v in d for v in (b"HTTP/0.9", b"HTTP/2.0", b"HTTP/1.2")),
        b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    ),
    Difference(
        "control characters",
        "RFC 9110 §5.5: dangerous in a value",
        has_control,
        LINE + b"X: a\x1bb\r\nContent-Length: 0\r\n\r\n",
    ),
    Difference(
        "control characters in the reason phrase",
        "the phrase is dropped unread",
        has_control,
        b"HTTP/1.1 200 \0\r\nContent-Length: 0\r\n\r\n",
        is_refused_by_ours=False,
    ),
    Difference(
        "interim answer that ends the connection",
        "an HTTP/1.0 or `Connection: close` head has no successor",
        lambda d: b"HTTP/1.0 10" in d or b"close" in d,
        b"HTTP/1.0 100 C\r\n\r\n" + LINE + b"Content-Length: 0\r\n\r\n",
    ),
    Difference(
        "space around a chunk size",
        "RFC 9112 §7.1.1 has it only as `bad whitespace`; strict like the sizes themselves",
        lambda d: b"chunked" in d and (b" \r\n" in d or b"\t\r\n" in d or b" ;" in d),
        CHUNKED + b"2 \r\nok\r\n0\r\n\r\n",
    ),
    Difference(
        "chunk extension that is no token",
        "RFC 9112 §7.1.1 spells extensions; llhttp holds to it",
        lambda d: b"chunked" in d and b";" in d,
        CHUNKED + b"2;(\r\nok\r\n0\r\n\r\n",
    ),
    Difference(
        "framing header in a trailer",
        "RFC 9110 §6.5.1: a trailer must not frame",
        lambda d: b"0\r\nContent-Length" in d,
        CHUNKED + b"2\r\nok\r\n0\r\nContent-Length: 2\r\n\r\n",
    ),
    Difference(
        "empty lines before the status line",
        "harmless, and what a server that counts its line ends badly sends",
        lambda d: d.startswith((b"\r", b"\n")),
        b"\r\n" + LINE + b"Content-Length: 0\r\n\r\n",
        is_refused_by_ours=False,
    ),
]


@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda d: d.name)
def test_a_listed_difference_is_real(difference: Difference) -> None:
    """Each line of the table is shown by its sample: one side refuses, the other reads it."""
    pieces = [difference.sample]
    ours, reference = read_with_ours(b"GET", pieces), read_with_h11(b"GET", pieces)
    assert difference.applies(difference.sample)
    assert (ours is REFUSED) is difference.is_refused_by_ours
    assert (reference is REFUSED) is not difference.is_refused_by_ours


# Generated answers

STATUSES = [b"200"] * 9 + [b"201", b"204", b"304", b"404", b"500", b"599", b"999"]
BAD_STATUSES = [b"101", b"099", b"20", b"2000"]
VALUES = st.sampled_from(
    [b"", b"a", b"a b", b" a\t", b"\xe9", b"a\x1bb", b"a\0b", b"a\r\n b", b"a\rb", b"a:b", b"\x7f"]
)
EXTRA = st.tuples(
    st.sampled_from([b"X-A", b"Date", b"Set-Cookie", b"X A", b"", b"X\x00", b" X", b"X-A "]), VALUES
).map(lambda pair: pair[0] + b":" + pair[1])
GOOD_EXTRA = st.sampled_from(
    [b"X-A: 1", b"x-a:2", b"Connection: close", b"Connection: keep-alive", b"Set-Cookie: a=b; c"]
)
BODY = st.binary(max_size=12)


def chunk(data: bytes, size: bytes, extension: bytes) -> bytes:
    """One chunk whose size is spelled `size`, or rightly where that is empty."""
    return (size or b"%x" % len(data)) + extension + b"\r\n" + data + b"\r\n"


CHUNKS = st.lists(
    st.builds(
        chunk,
        st.binary(min_size=1, max_size=20),
        st.sampled_from(
            [b""] * 8 + [b"0x2", b"-1", b"+2", b"g", b"2 ", b" 2", b"fffffffffffffffff"]
        ),
        st.sampled_from([b""] * 12 + [b";a", b";a=b", b';a="b"', b"; a", b";", b";a\x01"]),
    ),
    max_size=4,
).map(b"".join)
CHUNKED_END = st.sampled_from(
    [b"0\r\n\r\n"] * 12
    + [b"0\r\nX: y\r\n\r\n", b"000\r\n\r\n", b"0\r\n", b"", b"0\r\nContent-Length: 1\r\n\r\n"]
)
SOUND_FRAMING: st.SearchStrategy[tuple[list[bytes], bytes]] = st.one_of(
    BODY.map(lambda body: ([b"Content-Length: %d" % len(body)], body)),
    BODY.map(lambda body: ([], body)),
    st.tuples(CHUNKS, CHUNKED_END).map(lambda p: ([b"Transfer-Encoding: chunked"], p[0] + p[1])),
)
ODD_FRAMING: st.SearchStrategy[tuple[list[bytes], bytes]] = st.tuples(
    st.lists(
        st.sampled_from(
            [
                b"Content-Length: 3",
                b"Content-Length: 03",
                b"Content-Length: 4",
                b"Content-Length: +3",
                b"Content-Length: 3, 3",
                b"Content-Length:",
                b"Content-Length: 3a",
                b"Content-Length : 3",
                b"Content-Length: 0x3",
                b"Transfer-Encoding: chunked",
                b"Transfer-Encoding: Chunked ",
                b"Transfer-Encoding: gzip, chunked",
                b"Transfer-Encoding: identity",
                b"Transfer-Encoding: xchunked",
            ]
        ),
        max_size=3,
    ),
    st.sampled_from([b"abc", b"3\r\nabc\r\n0\r\n\r\n", b""]),
)
INTERIM = st.sampled_from(
    [b""] * 4
    + [
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 103 E\r\nLink: x\r\n\r\nHTTP/1.1 102 P\r\n\r\n",
        b"HTTP/1.1 100 C\r\nContent-Length: 5\r\n\r\n",
        b"HTTP/1.0 100 C\r\n\r\n",
        b"\r\n",
    ]
)
VERSIONS = [b"HTTP/1.1"] * 16 + [b"HTTP/1.0", b"HTTP/1.0", b"HTTP/2.0", b"HTTP/1.2", b"http/1.1"]
END_OF_LINE = st.sampled_from([b"\r\n"] * 24 + [b"\n"])


@st.composite
def responses(draw: st.DrawFn) -> bytes:
    """A response: mostly sound, with one or another part broken, perhaps cut or garbled."""
    status = draw(st.sampled_from(STATUSES * 4 + BAD_STATUSES))
    reason = draw(st.sampled_from([b" OK"] * 6 + [b"", b" ", b" \xe9", b" a\0"]))
    framing, body = draw(st.one_of(*[SOUND_FRAMING] * 4, ODD_FRAMING))
    extra = draw(st.lists(st.one_of(*[GOOD_EXTRA] * 12, EXTRA), max_size=3))
    end = draw(END_OF_LINE)
    lines = [draw(st.sampled_from(VERSIONS)) + b" " + status + reason, *extra, *framing, b"", b""]
    data: bytes = draw(INTERIM) + end.join(lines) + body
    match draw(st.sampled_from(["whole"] * 10 + ["cut", "garbled"])):
        case "cut":
            return data[: draw(st.integers(0, len(data)))]
        case "garbled":
            at = draw(st.integers(0, len(data)))
            return data[:at] + draw(st.binary(max_size=3)) + data[at:]
        case _:
            return data


def split(data: bytes, points: list[int]) -> list[bytes]:
    """Cut `data` at `points`, each taken modulo its length."""
    at = sorted({point % (len(data) + 1) for point in points} | {0, len(data)})
    return [data[a:b] for a, b in pairwise(at)]


@settings(
    derandomize=True,
    max_examples=1500,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(
    method=st.sampled_from([b"GET", b"GET", b"POST", b"HEAD"]),
    data=responses(),
    points=st.lists(st.integers(0, 400), max_size=6),
)
@example(method=b"HEAD", data=LINE + b"Content-Length: 5\r\n\r\nabcde", points=[])
@example(method=b"GET", data=b"HTTP/1.1 204 N\r\nContent-Length: 5\r\n\r\nabcde", points=[])
def test_ours_agrees_with_h11(method: bytes, data: bytes, points: list[int]) -> None:
    """The outcomes are equal, or one side refuses for a listed reason; splits change nothing."""
    ours = read_with_ours(method, split(data, points))
    assert ours == read_with_ours(method, split(data, list(range(len(data)))))
    reference = read_with_h11(method, split(data, points))
    if ours == reference:
        return
    assert (ours is REFUSED) != (reference is REFUSED), "both read it, and differently"
    is_refused_by_ours = ours is REFUSED
    assert any(
        difference.applies(data)
        for difference in DIFFERENCES
        if difference.is_refused_by_ours is is_refused_by_ours
    )
