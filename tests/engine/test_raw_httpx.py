"""What is made of wire forms is, to whoever asks, what httpx would have made itself."""

from typing import Final

import httpx
import pytest

from booper.engine.raw import RawHeaders, RawRequest, RawResponse

pytestmark = pytest.mark.anyio

URL: Final = httpx.URL("https://a.example/b?c=d")
PAIRS = [(b"Set-Cookie", b"a=1"), (b"X-Name", b"J\xc3\xbcrgen"), (b"set-cookie", b"b=2")]


@pytest.fixture
def headers() -> RawHeaders:
    """Return headers of which nothing has been asked."""
    return RawHeaders(PAIRS)


def test_raw_pairs_are_those_given(headers: RawHeaders) -> None:
    """Names keep their letters, repeated ones their order."""
    assert headers.raw == PAIRS


def test_all_else_is_as_httpx_has_it(headers: RawHeaders) -> None:
    """Names are found in any letter case, values of a repeated name are joined."""
    plain = httpx.Headers(PAIRS)
    assert headers["SET-COOKIE"] == "a=1, b=2"
    assert headers["x-name"] == "Jürgen"
    assert headers.multi_items() == plain.multi_items()
    assert headers.encoding == plain.encoding == "utf-8"
    assert headers == plain
    assert httpx.Headers(headers) == plain
    assert repr(headers).removeprefix("Raw") == repr(plain)


def test_a_change_shows_in_the_raw_pairs(headers: RawHeaders) -> None:
    """A transport of somebody else's may set or drop what it likes."""
    del headers["set-cookie"]
    headers["Via"] = "1.1 proxy"
    assert headers.raw == [PAIRS[1], (b"Via", b"1.1 proxy")]


def test_what_is_no_header_is_missing(headers: RawHeaders) -> None:
    """Reading into httpx's form happens for its own attribute alone."""
    with pytest.raises(AttributeError, match="'RawHeaders' object has no attribute 'items_'"):
        headers.items_  # noqa: B018


def test_a_request_has_all_that_httpx_gives_one(headers: RawHeaders) -> None:
    """Each attribute of httpx's, private ones too, with the value that it has there."""
    stream, extensions = httpx.ByteStream(b"body"), {"timeout": None}
    mine = RawRequest("POST", URL, headers, stream, extensions)
    plain = httpx.Request("POST", URL, headers=PAIRS, stream=stream, extensions=extensions)
    assert vars(mine) == vars(plain)


def test_a_response_has_all_that_httpx_gives_one(headers: RawHeaders) -> None:
    """Each attribute of httpx's, private ones too, with the value that it has there."""
    stream, extensions = httpx.ByteStream(b"body"), {"http_version": b"HTTP/1.1"}
    mine = RawResponse(200, headers, stream, extensions)
    plain = httpx.Response(200, headers=PAIRS, stream=stream, extensions=extensions)
    assert vars(mine) == vars(plain)


async def test_a_responses_body_is_read_as_httpx_reads_it(headers: RawHeaders) -> None:
    """Its stream is read once and then closed."""
    response = RawResponse(200, headers, httpx.ByteStream(b"body"), {})
    assert await response.aread() == b"body"
    assert response.is_closed
