"""Texts of others in the form of a new job: kept as they are, and never more than text."""

import pytest

from booper.dashboard.new_form import blank
from tests.conftest import KEY
from tests.dashboard.test_hostile_text import TEXTS
from tests.support.api import URL, Api
from tests.support.dashboard import Browser, Seen

pytestmark = pytest.mark.anyio

MORE = [
    "</textarea><script>alert(1)</script>",
    "\n</textarea>",
    "</TextArea\n><img src=//evil.test onerror=alert(1)>",
    '" autofocus onfocus="alert(1)',
    "' onfocus='alert(1)",
    '"></select><option selected>',
    "<base href=//evil.test>",
    "<meta http-equiv=refresh content=0;url=//evil.test>",
    "<form action=//evil.test><button>",
    "<link rel=stylesheet href=//evil.test>",
    "<iframe srcdoc='<script>alert(1)</script>'>",
    "data:text/html,<script>alert(1)</script>",
    "https://evil.test/?<script>",
    "//evil.test",
    "/\\evil.test",
    "%0d%0aLocation: //evil.test",
    "a\r\nSet-Cookie: b=c",
    "${7*7}",
    "{{ config }}",
    "{% include 'layout.html' %}",
    "$(touch /tmp/x)`id`; rm -rf ~",
    "'; DROP TABLE jobs; --",
    "\\",
    "\\'",
    "\t\t",
    "\v\f",
    "\x1b]8;;http://evil.test\x07link",
    "a" * 20_000,
    "[" * 500,
    '{"a": "</script>"}',
    '{"__proto__": {"x": 1}}',
    "9" * 400,
    "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"),
    "\ufffe\uffff",
    "\u2028\u2029",
    "\u202dltr\u202c",
    "ﷺ" * 50,
    "e" + "\u0301" * 200,
]
ALL = [*TEXTS, *MORE]
FIELDS = [name for name in blank() if name not in ("when", "body_kind", "from")]


def test_there_are_enough_of_them() -> None:
    """At least 40, none twice."""
    assert len(set(ALL)) == len(ALL) >= 40


async def sent(browser: Browser, path: str, text: str, when: str) -> Seen:
    """Return the page of a form that has a text in each of its fields."""
    typed = {**dict.fromkeys(FIELDS, text), "when": when, "body_kind": text, "from": ""}
    response = await browser.submit(path, typed)
    assert response.status_code in (200, 422)
    return Seen(response.text)


@pytest.mark.parametrize("path", ["/new", "/new/check"])
@pytest.mark.parametrize("text", ALL, ids=range(len(ALL)))
async def test_a_text_in_each_field_is_text(
    browser: Browser, api: Api, text: str, path: str
) -> None:
    """The page has no element and no attribute that one of a harmless text lacks."""
    await browser.sign_in(KEY)
    seen = await sent(browser, path, text, "cron")
    harmless = await sent(browser, path, "harm less", "cron")
    known = {(name, *sorted(found)) for name, found in harmless.elements}
    more = {(name, *sorted(found)) for name, found in seen.elements} - known
    assert {name for name, *_ in more} <= {"li", "p", "input", "textarea", "select"}
    allowed = {"aria-describedby", "aria-invalid"}
    for name, *attributes in more:
        plain = [set(found) for each, *found in known if each == name]
        assert any(set(attributes) - allowed <= found for found in plain), (name, attributes)
    kept = text.replace("\x00", "\ufffd").replace("\r\n", "\n")
    for name in ("query", "headers", "body", "description"):
        assert seen.inside(f"f-{name}") == kept
    assert "evil.test" not in "".join(seen.links)
    assert await api.read("/api/jobs") == []


@pytest.mark.parametrize("text", ALL, ids=range(len(ALL)))
async def test_a_body_of_such_a_text_is_created_as_it_is(
    browser: Browser, api: Api, text: str
) -> None:
    """As text, and shown by the job and by the form that is like it."""
    await browser.sign_in(KEY)
    response = await browser.submit("/new", {"url": URL, "body": text, "body_kind": "text"})
    assert response.status_code == 303
    [job] = await api.read("/api/jobs")
    expected = text.replace("\r\n", "\n")
    assert job["args"].get("body", "") == (expected if text.strip() else "")
    page = Seen((await browser.get(f"/new?from={job['job_id']}")).text)
    known = {name for name, _ in (await browser.see("/new")).elements}
    assert set(page.names) - {"hidden"} <= known | {"p"}


@pytest.mark.parametrize("text", ALL, ids=range(len(ALL)))
async def test_a_pasted_text_is_text(browser: Browser, api: Api, text: str) -> None:
    """As no command, a URL, a header or a body of one: what it means fills fields, no more."""
    await browser.sign_in(KEY)
    quoted = "'" + text.replace("'", "'\\''") + "'"
    for command in (
        text,
        f"curl {quoted} -H {quoted} -d {quoted} -{text}",
        f"curl --{quoted} |{text}",
    ):
        response = await browser.submit("/new/curl", {"curl": command})
        assert response.status_code in (200, 422)
        seen = Seen(response.text)
        known = {name for name, _ in (await browser.see("/new")).elements}
        assert set(seen.names) <= known | {"li", "p"}
        assert not {each for _, found in seen.elements for each in found if each.startswith("on")}
        assert "evil.test" not in "".join(seen.links)
    assert await api.read("/api/jobs") == []
