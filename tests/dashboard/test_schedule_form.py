"""Forms that change a schedule: only what somebody has changed in them is changed."""

from typing import Any

import httpx
import msgspec
import pytest

from booper.app import Booper
from booper.dashboard.new_form import blank, write
from booper.dashboard.schedule_form import changes_between
from booper.errors import InvalidRequest
from booper.model import exact
from booper.model.fields import CREATE_FIELDS, FIXED_FIELDS
from tests.conftest import KEY
from tests.support.api import URL, Api
from tests.support.dashboard import Browser, Seen
from tests.support.target import FakeTarget

pytestmark = pytest.mark.anyio

SECRET = {"Authorization": "Bearer s3cret", "X-Shop": "one"}


@pytest.fixture
async def page(browser: Browser) -> Browser:
    """Return a browser that is signed in with the first key."""
    await browser.sign_in(KEY)
    return browser


async def created(api: Api, **fields: object) -> str:
    """Create a schedule and return the path of its page."""
    return (await api.create_schedule(**fields)).removeprefix("/api")


def typed_in(seen: Seen) -> dict[str, str]:
    """Return what stands in the fields of a page's form, as a browser would send it."""
    found, choosing = dict[str, str](), ""
    for name, attributes in seen.elements:
        field, value = attributes.get("name") or "", attributes.get("value") or ""
        if name == "input" and (attributes.get("type") != "radio" or "checked" in attributes):
            found[field] = value
        elif name == "select":
            choosing, found[field] = field, ""
        elif name == "option" and "selected" in attributes:
            found[choosing] = value
        elif name == "textarea":
            found[field] = seen.inside(f"f-{field}")
    return found


async def args_of(api: Api, path: str) -> Any:
    """Return the fields of a schedule."""
    return (await api.read(f"/api{path}"))["args"]


async def test_only_what_was_changed_is_changed(
    page: Browser, booper: Booper, api: Api, target: FakeTarget
) -> None:
    """A hidden header keeps its value; what was emptied is removed."""
    path = await created(
        api, cron="0 9 * * *", method="post", body={"n": 1}, headers=SECRET, timeout=5, name="Old"
    )
    before = await args_of(api, path)
    typed = typed_in(await page.see(f"{path}/change"))
    typed |= {"cron": "30 8 * * 1-5", "timezone": "Europe/Berlin", "timeout": "", "name": "New"}
    response = await page.submit(f"{path}/change", typed)
    assert "The schedule is changed." in (await page.see(response.headers["location"])).text
    after = await args_of(api, path)
    assert after.pop("timezone") == "Europe/Berlin"
    assert after == {
        **{name: value for name, value in before.items() if name != "timeout"},
        "cron": "30 8 * * 1-5",
        "name": "New",
    }
    await page.submit(f"{path}/run")
    await booper.wait_idle()
    assert target.received[-1].headers["authorization"] == "Bearer s3cret"


async def test_a_form_that_nobody_has_typed_in_changes_nothing(
    page: Browser, api: Api, admin: Api
) -> None:
    """Whatever its fields are; the audit has no change."""
    path = await created(api, **FULL)
    response = await page.submit(f"{path}/change", typed_in(await page.see(f"{path}/change")))
    assert "Nothing was changed" in (await page.see(response.headers["location"])).text
    assert "schedule.change" not in [entry["action"] for entry in await admin.read("/api/audit")]


FULL: dict[str, Any] = {
    "method": "put",
    "url": "https://target.test/a?b=c",
    "query": {"n": ["1", "2"], "q": "a b=c"},
    "headers": {"Authorization": "Bearer s3cret", "X-Two": "a: b"},
    "body": {"text": 'a "b"\n\r\n \u202e', "big": 2**63, "deep": [1, {"a": None}, True]},
    "schedule_in": [90, "seconds"],
    "callback_url": "https://target.test/callback",
    "webhook_url": "https://target.test/webhook",
    "cron": "0 9 * * MON-FRI",
    "timezone": "Europe/Berlin",
    "starts_at": "2030-02-01T00:00:00Z",
    "ends_at": 1_922_000_000,
    "max_runs": 10,
    "jitter": 30,
    "overlap": "queue",
    "misfire": "all",
    "keep_for": [7, "days"],
    "metadata": False,
    "tags": ["nightly", "b"],
    "name": "Nightly",
    "description": "In two\nlines",
    "max_attempts": 3,
    "backoff": [10, "1m", [5, "minutes"]],
    "timeout": 2.5,
    "follow_redirects": True,
    "expect_status": [200, "3xx"],
}


def test_every_field_that_can_be_changed_is_tried() -> None:
    """A new field must be in the form."""
    assert set(FULL) | {"repeat_every", "scheduled_at"} == set(CREATE_FIELDS) - set(FIXED_FIELDS)


async def test_the_form_has_every_field(page: Browser, api: Api) -> None:
    """Those of a create that a change may touch."""
    seen = await page.see(f"{await created(api)}/change")
    names = set(typed_in(seen)) - {"seen", "when", "body_kind"}
    assert names == set(CREATE_FIELDS) - set(FIXED_FIELDS)


@pytest.mark.parametrize("name", FULL)
def test_each_field_is_removed_where_it_was_emptied(name: str) -> None:
    """And no other is touched; `cron` and `url` cannot be missing."""
    shown = {**write(exact.decode(msgspec.json.encode(FULL))), "when": "cron"}
    typed = {**shown, name: ""}
    if name in ("cron", "url"):
        with pytest.raises(InvalidRequest, match=name):
            changes_between(shown, typed)
    else:
        assert changes_between(shown, typed) == {name: None}


def test_another_way_to_repeat_takes_the_place_of_the_first() -> None:
    """From an interval to a cron, and back."""
    every = {**write({"url": URL, "repeat_every": 60}), "when": "every"}
    assert changes_between(every, {**every, "when": "cron", "cron": "0 9 * * *"}) == {
        "repeat_every": None,
        "cron": "0 9 * * *",
    }
    cron = {**write({"url": URL, "cron": "0 9 * * *"}), "when": "cron"}
    assert changes_between(cron, {**cron, "when": "every", "repeat_every": "5m"}) == {
        "repeat_every": "5m",
        "cron": None,
    }


def test_a_body_of_text_and_one_of_json_are_two() -> None:
    """Though the same is typed."""
    shown = {**blank(), "when": "every", "url": URL, "repeat_every": "60", "body": "5"}
    assert changes_between(shown, {**shown, "body_kind": "text"}) == {"body": "5"}


async def test_hidden_values_are_not_sent_elsewhere(page: Browser, api: Api) -> None:
    """Neither to another origin, nor as the mark that hides them."""
    path = await created(api, headers=SECRET, repeat_every=[1, "hour"])
    typed = typed_in(await page.see(f"{path}/change"))
    assert "Authorization: [redacted]" in typed["headers"]
    response = await page.submit(f"{path}/change", {**typed, "url": "https://evil.test/"})
    assert response.status_code == 422
    assert "hidden values are not sent to another origin" in Seen(response.text).text
    headers = typed["headers"].replace("one", "two")
    response = await page.submit(f"{path}/change", {**typed, "headers": headers})
    assert response.status_code == 422
    assert "its value is hidden; write it again" in Seen(response.text).text
    assert (await args_of(api, path))["url"] == URL
    response = await page.submit(f"{path}/change", {**typed, "url": f"{URL}/elsewhere"})
    assert response.status_code == 303


async def test_what_is_wrong_stands_at_its_field_and_what_was_typed_is_kept(
    page: Browser, api: Api
) -> None:
    """In the words of the API."""
    path = await created(api, cron="0 9 * * *")
    typed = typed_in(await page.see(f"{path}/change"))
    wrong = {**typed, "cron": "0 25 * * *", "tags": "a"}
    response = await page.submit(f"{path}/change", wrong)
    assert response.status_code == 422
    seen = Seen(response.text)
    problem = (await api.patch(f"/api{path}", json={"cron": "0 25 * * *"})).json()
    assert problem["errors"][0]["detail"] in seen.text
    assert typed_in(seen) == wrong
    assert "tags" not in await args_of(api, path)


@pytest.mark.parametrize("form", ["change", "state"])
async def test_who_comes_second_is_told_and_may_insist(page: Browser, api: Api, form: str) -> None:
    """A change by somebody else is not overwritten unseen; what was typed is kept."""
    path = await created(api, repeat_every=[1, "hour"])
    typed = typed_in(await page.see(f"{path}/{form}"))
    if form == "change":
        assert (await api.patch(f"/api{path}", json={"name": "Theirs"})).status_code == 200
        typed["name"] = "Mine"
    else:
        assert (await api.put(f"/api{path}/state", json={"theirs": 1})).status_code == 200
        typed["state"] = '{"mine": 1}'
    response = await page.submit(f"{path}/{form}", typed)
    assert response.status_code == 409
    seen = Seen(response.text)
    assert "has changed since this form was opened" in seen.text
    assert "Theirs" in seen.text or form == "state"
    again = typed_in(seen)
    assert {**again, "seen": ""} == {**typed, "seen": ""}
    assert (await page.submit(f"{path}/{form}", again)).status_code == 303
    found = await api.read(f"/api{path}")
    assert (found["name"] == "Mine") if form == "change" else (found["state"] == {"mine": 1})


async def test_a_state_is_replaced_as_it_is_typed(
    page: Browser, booper: Booper, api: Api, target: FakeTarget
) -> None:
    """Digits are kept, and what is hidden in a text stays what it is."""
    target.respond(httpx.Response(200, json={"$set": {"hidden": "a\u202eb"}}))
    path = await created(api, repeat_every=[1, "hour"])
    await booper.wait_idle()
    typed = typed_in(await page.see(f"{path}/state"))
    text = typed["state"].replace("{", '{"n": 1.10,', 1)
    response = await page.submit(f"{path}/state", {**typed, "state": text})
    assert "$state is replaced." in (await page.see(response.headers["location"])).text
    shown = (await api.get(f"/api{path}")).text
    assert '"n":1.10' in shown
    assert (await api.read(f"/api{path}"))["state"]["hidden"] == "a\u202eb"


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"a": 1e999}', "{" * 2_000])
async def test_what_can_be_no_state_is_explained(page: Browser, api: Api, text: str) -> None:
    """Beside what was typed; the old one stays."""
    path = await created(api)
    typed = typed_in(await page.see(f"{path}/state"))
    response = await page.submit(f"{path}/state", {**typed, "state": text})
    assert response.status_code == 422
    assert typed_in(Seen(response.text))["state"] == text
    assert (await api.read(f"/api{path}"))["state"] == {}
