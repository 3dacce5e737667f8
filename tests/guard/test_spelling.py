"""The one spelling of a URL's path and query: what is judged is what is shown and sent."""

from random import Random
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from booper.app import Booper
from booper.clock import VirtualClock
from booper.config import Config
from booper.errors import TargetRefused
from booper.guard.target import parse_reference, parse_target
from tests.conftest import KEY
from tests.support.http_server import RawServer, answering_then_waiting, serve

SPELLINGS: tuple[tuple[str, str], ...] = (
    # dots (URL Standard, "path state"; the first is RFC 3986 §5.2.4 as well)
    ("/a/b/..", "/a/"),
    ("/a/b/.", "/a/b/"),
    ("/a/b/../", "/a/"),
    ("/a/b/./c", "/a/b/c"),
    ("/a/b/../c", "/a/c"),
    ("/a/b/../c/../../d", "/d"),
    ("/a/../../..", "/"),
    ("/a/../../../b", "/b"),
    ("/..", "/"),
    ("/.", "/"),
    ("/./.a", "/.a"),
    ("/...", "/..."),
    ("/a../b", "/a../b"),
    ("/..a/b", "/..a/b"),
    # An empty segment is a segment.
    ("/a/b//..", "/a/b/"),
    ("/a/b//../..", "/a/"),
    ("////../..", "//"),
    ("//a", "//a"),
    ("/a//", "/a//"),
    # dots that are percent-encoded, in either case
    ("/a/%2e", "/a/"),
    ("/a/b/%2e%2e", "/a/"),
    ("/a/b/%2E%2e/c", "/a/c"),
    ("/a/b/.%2e", "/a/"),
    ("/a/b/%2e.", "/a/"),
    ("/a/%2e./%2e%2e/.%2e/%2e.b", "/%2e.b"),
    ("/a/%2e%2", "/a/%2e%2"),
    ("/a/%252e%252e/b", "/a/%252e%252e/b"),
    # An encoded slash parts no segments.
    ("/a%2f..", "/a%2f.."),
    ("/a%2f../b", "/a%2f../b"),
    # Dots of a query are none of a path.
    ("/a?b/../c", "/a?b/../c"),
    ("/a/..?b", "/?b"),
    ("/a/..#b", "/"),
    # the path percent-encode set: C0, over ~, space " # < > ? ^ ` { }
    ("/!$%&'()*+,-.:;=@[]_|~", "/!$%&'()*+,-.:;=@[]_|~"),
    ('/"<>^`{}', "/%22%3C%3E%5E%60%7B%7D"),
    # U+4F60 is E4 BD A0 in UTF-8.
    ("/你", "/%E4%BD%A0"),
    ("/%E4%bd%A0%41", "/%E4%bd%A0%41"),
    ("/%", "/%"),
    ("/%zz%4", "/%zz%4"),
    # the special-query percent-encode set: C0, over ~, space " # ' < >
    ("/?!$%&()*+,-./:;=?@[]^_`{|}~", "/?!$%&()*+,-./:;=?@[]^_`{|}~"),
    ("/?\"'<>", "/?%22%27%3C%3E"),
    ("/?你=%zz", "/?%E4%BD%A0=%zz"),
    # no path, no query, an empty one
    ("", "/"),
    ("?", "/?"),
    ("/?", "/?"),
    ("/#", "/"),
    ("?a", "/?a"),
)


@pytest.mark.parametrize(("written", "spelled"), SPELLINGS)
def test_a_path_and_query_are_spelled_by_the_url_standard(written: str, spelled: str) -> None:
    """Dots go, what the sets name is encoded, and nothing else of a URL changes."""
    target = parse_target(f"https://example.com{written}")
    assert target.request_target == spelled
    assert target.url == f"https://example.com{spelled}"
    assert parse_target(target.url) == target


@pytest.mark.parametrize(("written", "spelled"), SPELLINGS)
def test_the_program_around_booper_gets_the_same_spelling(written: str, spelled: str) -> None:
    """What holds for hosts holds for `app:/…`, which has a path at least."""
    if written.startswith("/") and not written.startswith("//"):
        assert parse_target(f"app:{written}").url == f"app:{spelled}"


def test_no_dots_make_a_host_of_a_program_s_path() -> None:
    """`app://b` would be read as a host."""
    with pytest.raises(TargetRefused, match="app: and a path"):
        parse_target("app:/a/..//b")


@given(st.lists(st.sampled_from(["/", ".", "..", "%2e", "%2E.", "a", "é", "?", "%"])).map("".join))
def test_a_spelling_is_its_own_and_other_readers_leave_it(text: str) -> None:
    """However often it is read, by booper or by httpx, it stays what was judged."""
    target = parse_target(f"https://example.com/{text}")
    assert parse_target(target.url) == target
    assert httpx.URL(target.url).raw_path.decode() == target.request_target


BASE = parse_target("http://a/b/c/d;p?q")


@pytest.mark.parametrize(
    ("reference", "url"),
    [
        # RFC 3986 §5.4.1 and §5.4.2, without fragments, which are never sent
        ("g", "http://a/b/c/g"),
        ("./g", "http://a/b/c/g"),
        ("g/", "http://a/b/c/g/"),
        ("/g", "http://a/g"),
        ("//g", "http://g/"),
        ("?y", "http://a/b/c/d;p?y"),
        ("g?y", "http://a/b/c/g?y"),
        ("#s", "http://a/b/c/d;p?q"),
        ("g#s", "http://a/b/c/g"),
        (";x", "http://a/b/c/;x"),
        ("", "http://a/b/c/d;p?q"),
        (".", "http://a/b/c/"),
        ("./", "http://a/b/c/"),
        ("..", "http://a/b/"),
        ("../g", "http://a/b/g"),
        ("../..", "http://a/"),
        ("../../g", "http://a/g"),
        ("../../../../g", "http://a/g"),
        ("/../g", "http://a/g"),
        ("g..", "http://a/b/c/g.."),
        ("g;x=1/../y", "http://a/b/c/y"),
        ("g?y/../x", "http://a/b/c/g?y/../x"),
        # URL Standard: the same scheme without slashes is relative
        ("http:g", "http://a/b/c/g"),
        ("HTTP:/g", "http://a/g"),
        ("https://g/h", "https://g/h"),
        # what browsers encode, strip and drop
        ("/my file", "http://a/my%20file"),
        ("/my file?a b", "http://a/my%20file?a%20b"),
        ("  /g \t", "http://a/g"),
        ("/a\tb\r\nc", "http://a/abc"),
        ("/a\x01b\x85", "http://a/a%01b%C2%85"),
        ("https://g/h i", "https://g/h%20i"),
        ("/caf\xe9", "http://a/caf%C3%A9"),
        ("a:b", None),
        ("/a\\b", None),
        ("//g h/", None),
        ("//", None),
        ("https:", None),
        ("https:/g", None),
        ("//g:x/", None),
    ],
)
def test_a_reference_is_resolved_as_browsers_do(reference: str, url: str | None) -> None:
    """What no URL is after that is refused: None."""
    try:
        found = parse_reference(reference, BASE).url
    except TargetRefused:
        found = None
    assert found == url


@pytest.fixture
async def server() -> Any:
    """Serve 200 to whatever comes."""
    response = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    async with serve(answering_then_waiting(response)) as running:
        yield running


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("written", "query", "sent"),
    [
        ("/a/b/..", None, "/a/"),
        ("/a/%2e%2E/b%zz", None, "/b%zz"),
        ("/a^b|c?it's", None, "/a%5Eb|c?it%27s"),
        ("/é?", None, "/%C3%A9?"),
        ("/a/..#part", {"x y": ["1&2", "é"]}, "/?x+y=1%262&x+y=%C3%A9"),
        ("/a/.?b='", {"c": 1}, "/a/?b=%27&c=1"),
        ("", {"c": None}, "/"),
    ],
)
async def test_what_is_judged_is_shown_and_sent(
    config: Config,
    clock: VirtualClock,
    server: RawServer,
    written: str,
    query: dict[str, object] | None,
    sent: str,
) -> None:
    """Dry run, log entry and the bytes on the wire have one spelling; `args` what was posted."""
    async with (
        Booper(config, api_key=KEY, clock=clock, random=Random(1)) as booper,
        httpx.AsyncClient(
            transport=httpx.ASGITransport(booper.asgi),
            base_url="http://booper.test",
            headers={"Authorization": f"Bearer {KEY}"},
        ) as api,
    ):
        job = {"url": server.url(written), "query": query}
        shown = (await api.post("/api/jobs?dry_run=true", json=job)).json()["data"]
        made = (await api.post("/api/jobs", json=job)).json()["data"]
        await booper.wait_idle()
        [entry] = (await api.get("/api/logs?event=worker.http.request")).json()["data"]
    [request] = server.requests
    assert request.split(b"\r\n")[0] == f"GET {sent} HTTP/1.1".encode()
    assert shown["request"]["url"] == server.url(sent)
    assert shown["guard"] == {"allowed": True, "reason": None}
    assert made["args"]["url"] == job["url"]
    # The log has the parameters of `query` beside the url.
    added = sent if not query or query == {"c": None} else sent[: sent.rindex(_added(query))]
    assert entry["payload"]["url"] == server.url(added)
    assert entry["payload"]["query"] == (query or {})


def _added(query: dict[str, object]) -> str:
    return {"x y": "?x+y=", "c": "&c="}[next(iter(query))]
