"""Schedules on pages: in words, with their runs, what they skipped and keep, and their changes."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import chain
from zoneinfo import ZoneInfo

import httpx
import pytest

from booper.app import Booper
from booper.clock import VirtualClock
from booper.config import Config
from tests.conftest import KEY
from tests.support.api import Api
from tests.support.dashboard import Browser, Seen
from tests.support.target import FakeTarget

pytestmark = pytest.mark.anyio

HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
async def signed_in(browser: Browser) -> None:
    """Sign in with the first key."""
    await browser.sign_in(KEY)


async def created(api: Api, **fields: object) -> str:
    """Create a schedule and return the path of its page."""
    return (await api.create_schedule(**fields)).removeprefix("/api")


async def test_there_may_be_none(browser: Browser) -> None:
    """The page says how to make one."""
    seen = await browser.see("/schedules")
    assert "There is no schedule." in seen.text
    assert seen.values("tr", "id") == []


async def test_the_list_has_each_in_words(browser: Browser, api: Api, clock: VirtualClock) -> None:
    """With its state and its next run; the newest first."""
    first = await created(
        api, cron="0 9 * * 1-5", timezone="Europe/Berlin", name="Standup", method="post"
    )
    clock.advance(timedelta(seconds=1))
    second = await created(api, repeat_every=[90, "minutes"], schedule_in=60)
    clock.advance(timedelta(seconds=1))
    third = await created(api, repeat_every=[1, "hour"], schedule_in=3600)
    await api.act(f"/api{second}/disable")
    seen = await browser.see("/schedules")
    assert [row.removeprefix("schedule-") for row in seen.values("tr", "id")] == [
        path.removeprefix("/schedules/") for path in (third, second, first)
    ]
    for text in (
        "StandupPOST https://target.test/hook active at 09:00 from Monday to Friday"
        "0 9 * * 1-5 Europe/Berlin 2030-01-02 08:00:00",
        "disabled every 1 hour 30 minutes \u2013",
        "active every hour 2030-01-01 13:00:02",
    ):
        assert text in seen.text, text


async def test_one_that_is_over_has_ended(browser: Browser, booper: Booper, api: Api) -> None:
    """It can be run, but neither disabled nor enabled."""
    path = await created(api, repeat_every=[1, "hour"], max_runs=1)
    await booper.wait_idle()
    seen = await browser.see(path)
    assert "It ended at 2030-01-01 12:00:00" in seen.text
    actions = seen.values("form", "action")
    assert f"{path}/run" in actions
    assert not {f"{path}/disable", f"{path}/enable"} & set(actions)


def leading(seen: Seen, relation: str) -> str:
    """Return where a page's link of a relation leads, nothing if it has none."""
    return "".join(
        found["href"] or "" for _, found in seen.elements if found.get("rel") == relation
    )


async def test_pages_go_both_ways(browser: Browser, api: Api) -> None:
    """Forward to the last schedule and back to the first, none missing and none twice."""
    paths = [await created(api, repeat_every=[n + 1, "hours"]) for n in range(120)]
    # Within a millisecond their ids are in any order, which is then that of the list.
    rows = [f"schedule-{path.rpartition('/')[2]}" for path in sorted(paths, reverse=True)]
    seen: Seen | None = None
    path, forward = "/schedules", list[list[str]]()
    while path:
        seen = await browser.see(path)
        forward.append(seen.values("tr", "id"))
        path = leading(seen, "next")
    assert [len(page) for page in forward] == [50, 50, 20]
    assert list(chain(*forward)) == rows
    backward = [forward[-1]]
    while seen is not None and (path := leading(seen, "prev")):
        seen = await browser.see(path)
        if rows_here := seen.values("tr", "id"):
            backward.insert(0, rows_here)
    assert list(chain(*backward)) == rows


NIGHTS = {
    ("Europe/Berlin", datetime(2030, 3, 31)),
    ("Europe/Berlin", datetime(2030, 10, 27)),
    ("America/New_York", datetime(2030, 3, 10)),
    ("America/New_York", datetime(2030, 11, 3)),
}
"""The nights of 2030 in which the clocks are changed: 2 to 3 in spring, 3 (2) to 2 (1) in autumn.

https://eur-lex.europa.eu/eli/dir/2000/84/oj, 15 U.S. Code § 260a
"""


def wall_times(zone: ZoneInfo, at: datetime) -> Iterator[datetime]:
    """Yield every hour of real time as the clocks of a zone show it."""
    while True:
        yield at.astimezone(zone)
        at += HOUR


@pytest.mark.parametrize(("name", "night"), sorted(NIGHTS))
async def test_next_runs_are_those_of_the_zone_over_the_night_of_a_change(
    browser: Browser, api: Api, clock: VirtualClock, name: str, night: datetime
) -> None:
    """Ten times, each as UTC and as `zoneinfo` shows it in the schedule's own zone."""
    zone = ZoneInfo(name)
    begin = (night - HOUR).replace(tzinfo=zone).astimezone(UTC)
    clock.set(begin - timedelta(minutes=30))
    await browser.sign_in(KEY)
    hourly = await created(api, cron="0 * * * *", timezone=name)
    daily = await created(api, cron="30 12 * * *", timezone=name)
    seen = await browser.see(hourly)
    expected = [local for local, _ in zip(wall_times(zone, begin), range(10), strict=False)]
    assert shown_times(seen) == [
        text for local in expected for text in (utc(local), local.isoformat())
    ]
    for local in expected:
        assert f"{local:%a %Y-%m-%d %H:%M:%S} {local.isoformat()[-6:]}" in seen.text
    noons = [
        (night + timedelta(days=day - 1, hours=12, minutes=30)).replace(tzinfo=zone)
        for day in range(12)
    ]
    noons = [noon for noon in noons if noon > begin][:10]
    assert shown_times(await browser.see(daily)) == [
        text for noon in noons for text in (utc(noon), noon.isoformat())
    ]


def utc(at: datetime) -> str:
    """Return a time as the API writes it."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


def shown_times(seen: Seen) -> list[str]:
    """Return the times in the table of the next runs, which has two columns."""
    cells, found = 0, list[str]()
    for name, attributes in seen.elements:
        cells = 2 if name == "td" and attributes.get("data-label") == "UTC" else cells
        if name == "time" and cells:
            found.append(attributes["datetime"] or "")
            cells -= 1
    return found


async def test_a_zone_that_is_utc_needs_no_second_column(browser: Browser, api: Api) -> None:
    """Ten times, each once."""
    seen = await browser.see(await created(api, cron="0 9 * * *"))
    labels = seen.values("td", "data-label")
    assert labels == ["UTC"] * 10


async def ran(booper: Booper, clock: VirtualClock, count: int) -> None:
    """Advance the clock until so many hourly runs have begun."""
    await booper.wait_idle()
    for _ in range(count - 1):
        clock.advance(HOUR)
        await booper.wait_idle()


async def test_one_that_cannot_be_planned_says_why(
    browser: Browser, api: Api, config: Config
) -> None:
    """Its zone is gone since an update of the zones; the rest of it is still in words."""
    path = await created(api, cron="0 9 * * *", timezone="Europe/Berlin")
    with closing(sqlite3.connect(config.database.path)) as opened, opened:
        opened.execute("UPDATE schedules SET args = replace(args, 'Europe/Berlin', 'Mars/Base')")
    error = (await api.read(f"/api{path}"))["error"]
    assert "Mars/Base" in error
    for page in (path, "/schedules"):
        text = (await browser.see(page)).text
        assert error in text
        assert "at 09:00 every day" in text
    assert "No further run is planned." in (await browser.see(path)).text


async def test_the_last_fifty_runs_are_a_strip_of_links(
    browser: Browser, booper: Booper, api: Api, clock: VirtualClock, target: FakeTarget
) -> None:
    """Oldest first, each with its state as a word beside shape and colour."""
    target.respond(*[httpx.Response(410 if n == 50 else 200) for n in range(52)])
    path = await created(api, repeat_every=[1, "hour"])
    await ran(booper, clock, 52)
    seen = await browser.see(path)
    strip = [found for name, found in seen.elements if name == "a" and (found.get("title") or "")]
    jobs = (await api.read("/api/jobs", "limit=100&order_by=id,asc"))[2:52]
    assert [link["href"] for link in strip] == [f"/jobs/{job['job_id']}" for job in jobs]
    assert [link["class"] for link in strip] == ["is-completed"] * 48 + [
        "is-discarded",
        "is-completed",
    ]
    assert (strip[48]["title"] or "").startswith("discarded, 2030-01-03 14:00:00, ")
    assert "completed 49 discarded 1" in seen.text
    assert f"/jobs?schedule_id={path.rpartition('/')[2]}" in seen.values("a", "href")


async def test_a_run_that_waits_is_no_last_run(browser: Browser, api: Api) -> None:
    """It is the first of the next ones."""
    seen = await browser.see(await created(api, repeat_every=[1, "hour"], schedule_in=3600))
    assert "It has not run yet." in seen.text
    assert "svg" not in [name for name, found in seen.elements if found.get("role") == "img"]


async def test_skipped_times_have_their_reason(
    browser: Browser, booper: Booper, api: Api, clock: VirtualClock
) -> None:
    """In the words of its timeline, newest first."""
    path = await created(api, repeat_every=[1, "hour"])
    await booper.wait_idle()
    await browser.submit(f"{path}/disable")
    clock.advance(timedelta(hours=3, minutes=30))
    await browser.submit(f"{path}/enable")
    clock.advance(HOUR)
    await booper.wait_idle()
    events = await api.read(f"/api{path}/timeline")
    [skipped] = [event for event in events if event["event"] == "skipped"]
    assert skipped["reason"] == "disabled"
    seen = await browser.see(path)
    assert f"disabled{skipped['text']}" in seen.text
    for text in ("the schedule was created", "the schedule was disabled by"):
        assert text in seen.text


async def test_it_tells_what_happened_around_a_time(
    browser: Browser, booper: Booper, api: Api, clock: VirtualClock
) -> None:
    """The timeline of the API; a time that is none is explained in its words."""
    path = await created(api, repeat_every=[1, "hour"])
    await ran(booper, clock, 6)
    asked = "2030-01-01T14:00Z"
    seen = await browser.see(f"{path}?at={asked}")
    for event in await api.read(f"/api{path}/timeline", f"at={asked}"):
        assert event["text"] in seen.text
    response = await browser.get(f"{path}?at=soon")
    assert response.status_code == 422
    problem = (await api.get(f"/api{path}/timeline?at=soon")).json()["errors"][0]
    assert problem["detail"] in Seen(response.text).text


async def test_it_shows_what_its_runs_leave(
    browser: Browser, booper: Booper, api: Api, target: FakeTarget
) -> None:
    """`$state` and `$previous`, numbers as they came."""
    target.respond(httpx.Response(200, content=b'{"page":1.10,"$set":{"big":9223372036854775808}}'))
    path = await created(api, repeat_every=[1, "hour"])
    await booper.wait_idle()
    seen = await browser.see(path)
    assert '$state { "big": 9223372036854775808 }' in seen.text
    assert '"page": 1.10' in seen.text


async def test_disable_enable_and_run_lead_on_and_say_what_was_done(
    browser: Browser, booper: Booper, api: Api
) -> None:
    """Each by the form that the page has then."""
    path = await created(api, repeat_every=[1, "hour"], schedule_in=3600)
    for action, is_disabled, said in (
        ("disable", True, "The schedule is disabled."),
        ("enable", False, "The schedule is enabled."),
    ):
        assert f"{path}/{action}" in (await browser.see(path)).values("form", "action")
        response = await browser.submit(f"{path}/{action}")
        assert said in (await browser.see(response.headers["location"])).text
        assert ((await api.read(f"/api{path}"))["disabled_at"] is not None) is is_disabled
    response = await browser.submit(f"{path}/run")
    seen = await browser.see(response.headers["location"])
    assert "The job is due now." in seen.text
    assert path in seen.values("a", "href")
    await booper.wait_idle()
    assert len(await api.read("/api/jobs", "state=completed")) == 1


async def test_a_delete_is_asked_for_without_a_script(browser: Browser, api: Api) -> None:
    """Its button is behind a first one, which says what will be lost."""
    path = await created(api, name="Nightly", cron="0 3 * * *")
    seen = await browser.see(path)
    names = seen.names
    assert "$state is lost" in seen.text
    form = seen.elements.index(("form", {"method": "post", "action": f"{path}/delete"}))
    assert "details" in names[form - 5 : form]
    assert "open" not in seen.elements[form - 1 - names[form - 1 :: -1].index("details")][1]
    response = await browser.submit(f"{path}/delete")
    assert "The schedule is deleted." in (await browser.see(response.headers["location"])).text
    assert (await api.get(f"/api{path}")).status_code == 404


async def test_a_page_with_everything_is_small(
    browser: Browser, booper: Booper, api: Api, clock: VirtualClock
) -> None:
    """At most 60 KB, the list at 50 rows and the schedule at 50 runs."""
    path = await created(api, cron="0 * * * *", timezone="America/New_York", name="n" * 100)
    for _ in range(49):
        await created(api, cron="*/7 1-5 1,15 2-9 MON-FRI", timezone="America/New_York")
    await ran(booper, clock, 51)
    for page in ("/schedules", path):
        assert len((await browser.get(page)).content) <= 60_000


@pytest.mark.parametrize("change", ["run", "disable", "enable", "delete", "change", "state"])
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "http://localhost:8000"},
    ],
    ids=str,
)
async def test_no_other_site_changes_a_schedule(
    browser: Browser, api: Api, headers: dict[str, str], change: str
) -> None:
    """Each of its changes is refused, and it stays as it was."""
    path = await created(api, repeat_every=[1, "hour"], schedule_in=3600)
    before = await api.read(f"/api{path}")
    response = await browser.post(f"{path}/{change}", data={"state": "{}"}, headers=headers)
    assert response.status_code == 403
    assert await api.read(f"/api{path}") == before
    assert len(await api.read("/api/jobs")) == 1
