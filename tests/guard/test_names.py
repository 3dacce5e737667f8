"""Which names a URL may have: those that a resolver can be asked for."""

# Look-alikes are what some of these rows are about.

import httpx
import pytest

from booper.app import Booper
from booper.errors import MalformedURL
from booper.guard.names import normal_host
from tests.support.target import FakeTarget

MAX_LABEL_LENGTH = "a" * 63
MAX_NAME_LENGTH = ".".join([MAX_LABEL_LENGTH] * 3 + ["b" * 61])  # 3 * 64 + 61 = 253


@pytest.mark.parametrize(
    ("written", "host"),
    [
        # LDH and underscores
        ("foo_bar.example", "foo_bar.example"),
        ("_acme._tcp.example", "_acme._tcp.example"),
        ("a--b.example", "a--b.example"),
        ("ab--c.example", "ab--c.example"),
        ("0.example", "0.example"),
        (MAX_LABEL_LENGTH, MAX_LABEL_LENGTH),
        (MAX_NAME_LENGTH, MAX_NAME_LENGTH),
        (MAX_NAME_LENGTH + ".", MAX_NAME_LENGTH),
        # A-labels: of IDNA 2008, of symbols and emoji, of ß and ς
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("xn--i-7iq.ws", "xn--i-7iq.ws"),
        ("xn--ls8h.la", "xn--ls8h.la"),
        ("XN--LS8H.LA", "xn--ls8h.la"),
        ("xn--fa-hia.de", "xn--fa-hia.de"),
        ("xn--p1ai", "xn--p1ai"),
        # both in one name
        ("my_app.xn--p1ai", "my_app.xn--p1ai"),
        ("_x.xn--ls8h.foo_bar.example", "_x.xn--ls8h.foo_bar.example"),
        # as they are written elsewhere
        ("my_app.рф", "my_app.xn--p1ai"),
        ("foo_bar.bücher.example", "foo_bar.xn--bcher-kva.example"),
        ("a--b.bücher.example.", "a--b.xn--bcher-kva.example"),
        ("my_app。рф", "my_app.xn--p1ai"),
    ],
)
def test_a_name_that_can_be_asked_for_is_accepted(written: str, host: str) -> None:
    """Labels of letters, digits, hyphens and underscores, and A-labels, in any mixture."""
    assert normal_host(written) == host


@pytest.mark.parametrize(
    "written",
    [
        "",
        ".",
        "a..b",
        "-a.example",
        "a-.example",
        "a b.example",
        "a/b.рф",
        "a@b.рф",
        "a:b.рф",
        MAX_LABEL_LENGTH + "a",
        MAX_NAME_LENGTH + "b",
        "ü" * 64,
        # no Punycode; of a control character; of a capital; of ASCII alone; of nothing
        "xn--99999999999.com",
        "xn--0.com",
        "xn--a.com",
        "xn--example.com",
        "xn--abc-.com",
        "xn--",
        "рф..рф",
        "\u200b",
    ],
)
def test_what_no_name_can_be_is_refused(written: str) -> None:
    """It would not resolve, or parsers read it differently."""
    with pytest.raises(MalformedURL):
        normal_host(written)


@pytest.mark.anyio
@pytest.mark.parametrize("name", ["xn--i-7iq.ws", "my_app.xn--p1ai", "foo_bar.example"])
async def test_a_job_is_sent_to_such_a_name(
    booper: Booper, api: httpx.AsyncClient, target: FakeTarget, name: str
) -> None:
    """The request names the host as it was written."""
    made = await api.post("/api/jobs", json={"url": f"https://{name}/hook"})
    assert made.status_code == 201, made.text
    await booper.wait_idle()
    shown = (await api.get(f"/api/jobs/{made.json()['data']['job_id']}")).json()["data"]
    assert shown["job"]["state"] == "completed"
    [request] = target.received
    assert request.headers["host"] == name
