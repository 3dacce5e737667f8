"""One exchange over a target that answers by a script: what it becomes as an outcome."""

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

import httpx
import pytest

from booper.engine.delivery import Delivery
from booper.errors import Shortage
from booper.fence import Fence
from booper.guard.policy import Guard
from booper.http.adapter import HttpxClient
from booper.model.job import Failed, Refused, Request, Responded, Response
from tests.support.target import FakeTarget

URL = "https://203.0.113.7/work"
LIMIT = 10
GUARD = Guard(require_https=True, allow_private_networks=False, allow=["203.0.113.7"], own=())

pytestmark = pytest.mark.anyio


class Chunks(httpx.AsyncByteStream):
    """A body in pieces, which remembers whether it was closed."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = pieces
        self.is_closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece

    async def aclose(self) -> None:
        """Note it."""
        self.is_closed = True


async def test_an_error_whose_text_is_no_unicode_is_an_outcome() -> None:
    """A library may put bytes it could not decode into its message, as lone surrogates."""
    target = FakeTarget()
    target.respond(httpx.ConnectError("no route to \udcff"))
    outcome = await Delivery(HttpxClient(target), GUARD, LIMIT).send(
        Request("GET", URL, {}, b"", {}, {}), timedelta(seconds=5)
    )
    assert isinstance(outcome, Failed)
    assert (outcome.error, outcome.message) == ("connect", "no route to ?")


async def test_nothing_is_sent_once_the_fence_is_closed() -> None:
    """Whatever carries the request: others may have sent it by now."""
    target, fence = FakeTarget(), Fence()
    delivery = Delivery(HttpxClient(target), GUARD, LIMIT, fence=fence)
    request, timeout = Request("GET", URL, {}, b"", {}, {}), timedelta(seconds=5)
    assert isinstance(await delivery.send(request, timeout), Responded)
    fence.move(0.0)
    with pytest.raises(Shortage, match="the lease of this node has ended"):
        await delivery.send(request, timeout)
    assert len(target.received) == 1


async def answered(response: httpx.Response) -> Response:
    """Send a request to a target that answers so, and return what is kept of the response."""
    target = FakeTarget()
    target.respond(response)
    outcome = await Delivery(HttpxClient(target), GUARD, LIMIT).send(
        Request("GET", URL, {}, b"", {}, {}), timedelta(seconds=5)
    )
    assert isinstance(outcome, Responded)
    return outcome.response


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ([(b"X-Name", b"v")], {"x-name": "v"}),
        ([(b"A", b"1"), (b"B", b"2"), (b"a", b"3")], {"a": "1, 3", "b": "2"}),
        ([(b"A", b""), (b"A", b"")], {"a": ", "}),
        ([(b"A", b"caf\xc3\xa9")], {"a": "caf\u00e9"}),
        ([(b"A", b"caf\xe9")], {"a": "caf\u00e9"}),
        ([(b"A", b"\xc3\xa9"), (b"B", b"\xe9")], {"a": "\u00c3\u00a9", "b": "\u00e9"}),
    ],
    ids=["name", "repeated", "empty", "UTF-8", "latin-1", "both"],
)
async def test_headers_are_kept_under_lower_case_names(
    raw: list[tuple[bytes, bytes]], expected: dict[str, str]
) -> None:
    """A repeated name has its values in order (RFC 9110 §5.2); one value beyond UTF-8, all are
    latin-1; and `httpx.Headers` reads the same in them."""
    response = await answered(httpx.Response(200, headers=raw, stream=Chunks()))
    assert response.headers == expected == dict(httpx.Headers(raw))
    assert list(response.headers) == list(expected)


@pytest.mark.parametrize(
    ("pieces", "body", "is_cut"),
    [
        ([b"12345", b"67890"], b"1234567890", False),
        ([b"12345", b"67890", b"1"], b"1234567890", True),
        ([b"12345678901"], b"1234567890", True),
        ([], b"", False),
    ],
    ids=["full", "one more piece", "one more byte", "empty"],
)
async def test_a_body_is_read_to_the_limit_and_its_stream_closed(
    pieces: list[bytes], body: bytes, *, is_cut: bool
) -> None:
    """What is beyond the limit is not kept, and the response is marked as cut."""
    stream = Chunks(*pieces)
    response = await answered(httpx.Response(200, stream=stream))
    assert (response.body, response.is_cut) == (body, is_cut)
    assert stream.is_closed


class VettedTarget(FakeTarget):
    """A target that has a name looked up and its addresses vetted first, as a connection does."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Vet the addresses, then answer by the script."""
        await request.extensions["addresses"]()
        return await super().handle_async_request(request)


async def sent_by_name(
    url: str, answers: dict[str, list[str]], *responses: httpx.Response
) -> Responded | Failed | Refused:
    """Send a request while the name servers answer so, under the default policy."""

    async def resolve(host: str, port: int) -> Sequence[str]:
        return answers[host]

    target = VettedTarget()
    target.respond(*responses)
    guard = Guard(
        require_https=True, allow_private_networks=False, allow=[], own=(), resolve=resolve
    )
    return await Delivery(HttpxClient(target), guard, LIMIT).send(
        Request("GET", url, {}, b"", {}, {}), timedelta(seconds=5), follow_redirects=True
    )


@pytest.mark.parametrize(
    "addresses",
    [
        ["10.0.0.1"],
        ["127.0.0.1"],
        ["192.168.0.1"],
        ["0.0.0.0"],
        ["::"],
        ["169.254.169.254"],
        ["fe80::1"],
        ["8.8.8.8", "0.0.0.0"],
        ["192.168.0.1", "8.8.8.8"],
        ["not an address"],
    ],
    ids=" ".join,
)
async def test_a_forbidden_address_of_a_name_fails_the_attempt_and_is_no_refusal(
    addresses: list[str],
) -> None:
    """A captive portal or a block list answers so for a while (contract §12); it may be retried."""
    outcome = await sent_by_name("https://api.example.com/", {"api.example.com": addresses})
    assert isinstance(outcome, Failed)
    assert outcome.error == "guard"
    assert outcome.message.startswith("host api.example.com ")


async def test_a_redirect_to_a_name_with_a_forbidden_address_fails_the_attempt() -> None:
    """The same response about the next hop is the same trouble."""
    responses = {"first.example": ["8.8.8.8"], "next.example": ["0.0.0.0"]}
    hop = httpx.Response(302, headers={"Location": "https://next.example/"})
    outcome = await sent_by_name("https://first.example/", responses, hop)
    assert isinstance(outcome, Failed)
    assert outcome.error == "guard"
    assert "next.example resolves to an address that is 'this network'" in outcome.message
    assert "0.0.0.0" not in outcome.message


@pytest.mark.parametrize("location", ["https://10.0.0.1/", "https://0.0.0.0/", "https://[::]/"])
async def test_a_redirect_to_a_forbidden_literal_is_refused_for_good(location: str) -> None:
    """What a URL shows by itself stays final, wherever the URL comes from."""
    hop = httpx.Response(302, headers={"Location": location})
    outcome = await sent_by_name("https://first.example/", {"first.example": ["8.8.8.8"]}, hop)
    assert isinstance(outcome, Refused)


@pytest.mark.parametrize("literal", ["10.0.0.1", "127.0.0.1", "0.0.0.0", "[::1]"])
async def test_a_forbidden_literal_is_refused_for_good(literal: str) -> None:
    """No name server has answered this; it will be the same tomorrow."""
    assert isinstance(await sent_by_name(f"https://{literal}/", {}), Refused)
