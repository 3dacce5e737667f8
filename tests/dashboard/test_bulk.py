"""Changes of many jobs: of those that are ticked, and of all that match a filter."""

from datetime import timedelta
from urllib.parse import urlencode

import httpx
import pytest

from booper.app import Booper
from booper.clock import VirtualClock
from tests.conftest import KEY, START
from tests.support.api import URL, Api
from tests.support.dashboard import ORIGIN, Browser, Seen
from tests.support.target import FakeTarget

pytestmark = pytest.mark.anyio

BACK = "/jobs?tag=a&state=scheduled"


@pytest.fixture(autouse=True)
async def signed_in(browser: Browser) -> None:
    """Sign in with the first key."""
    await browser.sign_in(KEY)


async def submitted(browser: Browser, path: str, pairs: list[tuple[str, str]]) -> Seen:
    """Post a form as a browser does, in the order of its fields; return the page it leads to."""
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    response = await browser.submit(path, content=urlencode(pairs).encode(), headers=headers)
    assert response.status_code == 303, response.text
    return await browser.see(response.headers["location"])


async def ticked(browser: Browser, action: str, *numbers: object, back: str = BACK) -> Seen:
    """Tick jobs, press a button, and return the page it leads to."""
    pairs = [("back", back), *(("job", str(number)) for number in numbers), ("action", action)]
    return await submitted(browser, "/jobs/selected", pairs)


def fields(seen: Seen) -> list[tuple[str, str]]:
    """Return the fields that a form without one to fill in would send."""
    return [
        (found["name"] or "", found["value"] or "")
        for name, found in seen.elements
        if name == "input" and found.get("type") == "hidden"
    ]


async def states(api: Api, *numbers: int) -> list[str]:
    """Return the states of jobs."""
    return [(await api.job(number))["state"] for number in numbers]


async def in_each_state(
    api: Api, booper: Booper, clock: VirtualClock, target: FakeTarget
) -> dict[str, int]:
    """Return jobs by their states: scheduled, retryable, completed, discarded and cancelled."""
    made = {}
    for state, status in (("completed", 200), ("discarded", 410), ("retryable", 500)):
        target.respond(httpx.Response(status))
        made[state] = await api.create_id(backoff=[300], tags=["a"])
        await booper.wait_idle()
    for state in ("cancelled", "scheduled"):
        made[state] = await api.create_id(schedule_in=3600, tags=["a"])
    await api.act(f"/api/jobs/{made['cancelled']}/cancel")
    clock.set(START + timedelta(seconds=1))
    return made


DONE = {
    "cancel": (
        {"scheduled", "retryable"},
        {"cancelled"},
        "2 jobs are cancelled. 4 jobs are not: 1 cancelled already, 1 completed already, "
        "1 discarded already, 1 not there any more.",
    ),
    "retry": (
        {"discarded", "cancelled"},
        {"retryable", "available"},  # with an attempt behind it, and without
        "2 jobs are due again now. 4 jobs are not: 1 completed already, 1 not there any more, "
        "1 waiting for a retry, 1 scheduled.",
    ),
    "run": (
        {"scheduled", "retryable"},
        set[str](),
        "2 jobs are due now. 4 jobs are not: 1 cancelled already, 1 completed already, "
        "1 discarded already, 1 not there any more.",
    ),
}
"""By action: the states in which a job is changed, the states after it, and what is said."""


@pytest.mark.parametrize("action", DONE)
async def test_what_is_ticked_is_changed_and_the_rest_has_a_reason(
    browser: Browser,
    booper: Booper,
    api: Api,
    clock: VirtualClock,
    target: FakeTarget,
    action: str,
) -> None:
    """One of each state, and one that is not there, by a single button."""
    jobs = await in_each_state(api, booper, clock, target)
    other = await api.create_id(schedule_in=3600)
    await api.act("/api/pause", {"host": "target.test"})  # so that what is due stays so
    changed, after, said = DONE[action]
    seen = await ticked(browser, action, *jobs.values(), 999_999)
    assert said in seen.text
    for state, number in jobs.items():
        job = await api.job(number)
        if state not in changed:
            assert job["state"] == state
        elif after:
            assert job["state"] in after
        else:
            assert job["scheduled_at"] == "2030-01-01T12:00:01.000000Z"
    assert await states(api, other) == ["scheduled"]


async def test_more_than_are_on_a_page_are_not_changed_in_part(browser: Browser, api: Api) -> None:
    """All of those that are ticked or none."""
    job_id = await api.create_id(schedule_in=60)
    ticks = [("job", str(number)) for number in range(job_id, job_id + 101)]
    content = urlencode([("action", "cancel"), *ticks]).encode()
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    response = await browser.submit("/jobs/selected", content=content, headers=headers)
    assert response.status_code == 422
    assert "expected at most 100 ticked jobs, got 101" in response.text
    assert await states(api, job_id) == ["scheduled"]


async def test_a_job_whose_key_another_has_is_not_sent_again(browser: Browser, api: Api) -> None:
    """It says so, and the others are."""
    first = await api.create_id(schedule_in=60, idempotency_key="k")
    await api.act(f"/api/jobs/{first}/cancel")
    await api.create_id(schedule_in=60, idempotency_key="k")
    seen = await ticked(browser, "retry", first)
    assert (
        "0 jobs are due again now. 1 job is not: "
        "1 held back by another job with the same idempotency key or planned time."
    ) in seen.text


async def test_a_change_leads_back_to_the_list_as_it_was(browser: Browser, api: Api) -> None:
    """Its filter stays; a notice takes the place of the one before; no other page is led to."""
    numbers = [await api.create_id(schedule_in=60, tags=["a"]) for _ in range(3)]
    seen = await browser.see(BACK)
    assert ("back", BACK) in fields(seen)
    assert seen.values("tr", "id") == [f"job-{number}" for number in reversed(numbers)]
    seen = await ticked(browser, "cancel", numbers[0], back=f"{BACK}&notice=run&changed=7")
    assert "1 job is cancelled." in seen.text
    assert seen.values("tr", "id") == [f"job-{number}" for number in reversed(numbers[1:])]
    [back] = [value for name, value in fields(seen) if name == "back"]
    seen = await ticked(browser, "run", back=back)
    assert "tick at least one job" in seen.text
    assert "1 job is" not in seen.text
    for elsewhere in ("https://elsewhere.test/", "//elsewhere.test/jobs", "/\\elsewhere.test"):
        pairs = {"back": elsewhere, "action": "run"}
        location = (await browser.submit("/jobs/selected", pairs)).headers["location"]
        assert location.startswith("/")
        assert not location.startswith(("//", "/\\"))
        assert "elsewhere" not in location.partition("?")[0]


@pytest.mark.parametrize("scope", ["read", "write"])
async def test_only_who_may_change_jobs_sees_boxes(
    browser: Browser, api: Api, keys: dict[str, str], scope: str
) -> None:
    """A reader has the rows without them, and is refused."""
    number = await api.create_id(schedule_in=60)
    await browser.sign_in(keys[scope])
    seen = await browser.see("/jobs")
    boxes = [found for name, found in seen.elements if found.get("type") == "checkbox"]
    assert [box.get("value") for box in boxes] == ([str(number)] if scope == "write" else [])
    assert ("/jobs/selected" in seen.values("form", "action")) is (scope == "write")
    assert any("/jobs/all" in link for link in seen.links) is (scope == "write")
    fields = {"action": "cancel", "job": str(number)}
    assert (await browser.submit("/jobs/selected", fields)).status_code in (303, 403)
    assert (await api.job(number))["state"] == ("cancelled" if scope == "write" else "scheduled")


async def test_jobs_of_others_are_not_there(
    browser: Browser, api: Api, keys: dict[str, str]
) -> None:
    """Ticked by their numbers, or as all there are."""
    number = await api.create_id(schedule_in=60)
    await browser.sign_in(keys["other"])
    assert "1 not there any more" in (await ticked(browser, "cancel", number)).text
    seen = await browser.see("/jobs/all?action=cancel")
    assert "No such job matches." in seen.text
    assert (await api.job(number))["state"] == "scheduled"


@pytest.mark.parametrize(
    ("state", "offered"),
    [
        ("", {"run", "retry", "cancel"}),
        ("scheduled", {"run", "cancel"}),
        ("executing", {"cancel"}),
        ("discarded", {"retry"}),
        ("completed", set()),
    ],
)
async def test_what_can_be_done_to_no_job_of_a_state_is_not_offered(
    browser: Browser,
    booper: Booper,
    api: Api,
    clock: VirtualClock,
    target: FakeTarget,
    state: str,
    offered: set[str],
) -> None:
    """Completed jobs cannot be changed: they have no boxes."""
    await in_each_state(api, booper, clock, target)
    seen = await browser.see(f"/jobs?state={state}")
    buttons = {value for value in seen.values("button", "value") if value}
    assert buttons == (offered if seen.values("tr", "id") else set())


async def test_all_that_match_are_counted_before_they_are_changed(
    browser: Browser, api: Api
) -> None:
    """The page has the number and the filter in words; what comes after it is not touched."""
    numbers = [await api.create_id(schedule_in=3600, tags=["a"]) for _ in range(1_234)]
    others = [await api.create_id(schedule_in=3600), await api.create_id(schedule_in=9, tags=["a"])]
    filtered = "/jobs?tag=a&after=2030-01-01T12:30:00Z&url_prefix=https%3A%2F%2Ftarget.test%2F"
    [link] = [each for each in (await browser.see(filtered)).links if "action=cancel" in each]
    seen = await browser.see(link)
    assert "Cancel 1,234 jobs?" in seen.text
    for label, value in (
        ("State", "scheduled or available or executing or retryable"),
        ("Tag", "a"),
        ("URL begins with", "https://target.test/"),
        ("Scheduled after", "2030-01-01T12:30:00Z"),
    ):
        assert f"{label}{value}" in seen.text
    assert f"after number {others[-1]}, are not touched" in seen.text
    later = await api.create_id(schedule_in=3600, tags=["a"])
    await api.act(f"/api/jobs/{numbers[0]}/cancel")
    after = await submitted(browser, "/jobs/all", fields(seen))
    assert (
        "1,233 jobs are cancelled. 1 job is not: 1 changed since they were counted." in after.text
    )
    assert set(await states(api, *numbers[:5], numbers[-1])) == {"cancelled"}
    assert await states(api, *others, later) == ["scheduled"] * 3
    assert ("tag", "a") in [(e.get("name"), e.get("value")) for _, e in after.elements]


async def test_a_click_that_is_not_bound_would_touch_what_came_later(
    browser: Browser, api: Api
) -> None:
    """The twin: without the number of the count, a later job is cancelled too."""
    await api.create_id(schedule_in=3600)
    seen = await browser.see("/jobs/all?action=cancel")
    later = await api.create_id(schedule_in=3600)
    unbound = [(name, str(2**62) if name == "through" else value) for name, value in fields(seen)]
    await submitted(browser, "/jobs/all", unbound)
    assert await states(api, later) == ["cancelled"]


async def test_all_that_failed_are_sent_again_and_all_that_wait_are_run(
    browser: Browser, booper: Booper, api: Api, clock: VirtualClock, target: FakeTarget
) -> None:
    """Without a filter all are meant in whose state it can be done."""
    jobs = await in_each_state(api, booper, clock, target)
    target.respond(httpx.Response(200))
    for action, title, said in (
        ("retry", "Retry 2 jobs?", "2 jobs are due again now."),
        ("run", "Run 2 jobs now?", "2 jobs are due now."),
    ):
        seen = await browser.see(f"/jobs/all?action={action}")
        assert title in seen.text
        assert "There is no filter" in seen.text
        assert said in (await submitted(browser, "/jobs/all", fields(seen))).text
        await booper.wait_idle()
    assert await states(api, *jobs.values()) == ["completed"] * 5


async def test_what_matches_nothing_has_no_button(browser: Browser, api: Api) -> None:
    """And one that is wrong is explained in the API's words."""
    await api.create_id(schedule_in=60)
    seen = await browser.see("/jobs/all?action=retry")
    assert "No such job matches." in seen.text
    assert "/jobs/all" not in seen.values("form", "action")
    response = await browser.get("/jobs/all?action=cancel&after=soon")
    assert response.status_code == 422
    assert "soon" in Seen(response.text).text
    response = await browser.get("/jobs/all?action=burn")
    assert response.status_code == 422
    assert "expected one of run, retry, cancel" in Seen(response.text).text


async def test_above_the_cap_the_number_says_so(browser: Browser, api: Api) -> None:
    """10,000 are looked at: "10,000 or more", and all of them are cancelled."""
    for _ in range(10):
        jobs = [{"url": URL, "schedule_in": 3600}] * 1_000
        assert (await api.post("/api/jobs/batch", json={"jobs": jobs})).status_code == 201
    seen = await browser.see("/jobs/all?action=cancel")
    assert "Cancel 10,000 jobs?" in seen.text
    await api.create_id(schedule_in=3600)
    seen = await browser.see("/jobs/all?action=cancel")
    assert "Cancel 10,000 or more jobs?" in seen.text
    assert "At most 10,000 jobs are looked at" in seen.text
    assert (
        "10,001 jobs are cancelled." in (await submitted(browser, "/jobs/all", fields(seen))).text
    )


async def test_no_other_site_changes_many_jobs(browser: Browser, api: Api) -> None:
    """The form of another page is refused, whatever it knows."""
    number = await api.create_id(schedule_in=60)
    fields = {"action": "cancel", "job": str(number), "through": str(number)}
    for path in ("/jobs/selected", "/jobs/all"):
        for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": f"{ORIGIN}0"}):
            response = await browser.post(path, data=fields, headers=headers)
            assert response.status_code == 403
    assert await states(api, number) == ["scheduled"]


@pytest.mark.parametrize(
    "query",
    [
        "notice=many-cancelled&changed=<b>&kept=<b>:1&kept=completed:x",
        "notice=many-cancelled&changed=" + "9" * 5_000,
        "notice=many-run&kept=555:1&kept=You must call",
    ],
)
async def test_a_notice_of_many_has_numbers_and_words_of_its_own(
    browser: Browser, query: str
) -> None:
    """A link puts no other text there."""
    seen = await browser.see(f"/jobs?{query}")
    for text in ("<b>", "555", "call", "999"):
        assert text not in seen.text
