"""The published request and the six examples (contract §11), run against little target programs.

Virtual months pass: the clock goes from planned time to planned time, and those are worked out
here by plain arithmetic, so a run at any other time would be missing or too many.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from booper.app import Booper
from booper.clock import VirtualClock
from booper.config import Config, Database, Targets
from tests.conftest import START
from tests.support.api import Api
from tests.support.programs import (
    Announcements,
    DiscordWebhook,
    Hosts,
    StoryAlerts,
    WelcomeMail,
    content_of,
    helpers,
    json_of,
    planned_at,
)

pytestmark = pytest.mark.anyio

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)

PUBLIC_KEY = "sk_public_20230921"
MAIL_KEY = "re_123456789"


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """Return settings as they are by default, but for what makes thousands of runs quick.

    No name is looked up and no socket opened: the target stands in for all hosts.
    """
    return Config(
        database=Database(path=str(tmp_path / "booper.db"), durability="normal"),
        targets=Targets(),
    )


@pytest.fixture
def discord() -> DiscordWebhook:
    """Return the channel of the standup."""
    return DiscordWebhook()


@pytest.fixture
def stories() -> StoryAlerts:
    """Return the program that alerts to stories."""
    return StoryAlerts()


@pytest.fixture
def releases() -> Announcements:
    """Return the program that announces releases: one comes out every 10 days after `START`."""
    return Announcements(START, 10 * DAY)


@pytest.fixture
def mail() -> WelcomeMail:
    """Return the program that sends welcome mails."""
    return WelcomeMail(MAIL_KEY)


@pytest.fixture
def target(
    discord: DiscordWebhook, stories: StoryAlerts, releases: Announcements, mail: WelcomeMail
) -> Hosts:
    """Return the hosts that the examples call."""
    return Hosts(
        {
            "scheduler.booper.dev": helpers,
            "discord.com": discord,
            "stories.test": stories.answer_previous,
            "memory.test": stories.answer_state,
            "releases.test": releases,
            "mail.test": mail,
        }
    )


async def pass_through(booper: Booper, clock: VirtualClock, times: Iterable[datetime]) -> None:
    """Advance to these times one after the other; everything due at each is done."""
    for at in times:
        clock.set(at)
        await booper.wait_idle()


def grid(first: datetime, every: timedelta, until: datetime) -> list[datetime]:
    """Return the times from `first` on, `every` apart, up to `until` and not beyond."""
    return [first + n * every for n in range((until - first) // every + 1)]


def days(first: datetime, until: datetime, weekdays: Iterable[int]) -> list[datetime]:
    """Return the times of `first` on the days that are such weekdays (0: Monday)."""
    return [at for at in grid(first, DAY, until) if at.weekday() in weekdays]


async def test_the_published_request_arrives_after_thirty_seconds(
    config: Config, clock: VirtualClock, target: Hosts
) -> None:
    """The request of the create page, header by header, is one POST of its body 30 s later."""
    async with (
        Booper(
            config, api_key=PUBLIC_KEY, clock=clock, random=Random(1), transport=target
        ) as booper,
        Api(booper.asgi) as client,
    ):
        response = await client.post(
            "/api/jobs",
            headers={
                "Content-Type": "application/json",
                "Authorization": "Bearer sk_public_20230921",
            },
            content=b'{"method": "post", "url": "https://scheduler.booper.dev/api/broadcast", '
            b'"body": {"content": "Testing 123", "channel": "discord"}, '
            b'"schedule_in": [30, "seconds"]}',
        )
        assert response.status_code == 201
        await pass_through(booper, clock, [START + timedelta(seconds=29)])
        assert target.received == []
        await pass_through(
            booper, clock, grid(START + timedelta(seconds=30), DAY, START + 90 * DAY)
        )
    (request,) = target.received
    assert (request.method, str(request.url)) == (
        "POST",
        "https://scheduler.booper.dev/api/broadcast",
    )
    assert json_of(request) == {"content": "Testing 123", "channel": "discord"}
    assert request.headers["content-type"] == "application/json"
    assert planned_at(request) == START + timedelta(seconds=30)


async def test_the_ping_goes_out_every_five_minutes(
    booper: Booper, api: Api, clock: VirtualClock, target: Hosts
) -> None:
    """The first ping leaves after 10 s, then one every 5 minutes on that grid, without a body.

    A day has 24 * 60 / 5 = 288 pings, a week 2,016.
    """
    await api.create(
        method="get",
        url="https://scheduler.booper.dev/api/ping",
        schedule_in=[10, "seconds"],
        repeat_every=[5, "minutes"],
    )
    times = grid(START + timedelta(seconds=10), timedelta(minutes=5), START + 7 * DAY)
    assert len(times) == 2_016
    await pass_through(booper, clock, times)
    assert [planned_at(request) for request in target.received] == times
    assert {(request.method, request.url.path) for request in target.received} == {
        ("GET", "/api/ping")
    }
    for request in target.received:
        assert content_of(request) == b""
        assert "content-type" not in request.headers


async def test_story_alerts_tell_of_each_story_once(
    booper: Booper,
    api: Api,
    clock: VirtualClock,
    target: Hosts,
    stories: StoryAlerts,
) -> None:
    """What a run answers as `sent` is what the next one gets as `exclude`, hour by hour.

    From noon on New Year's Day to noon on 31 January there are 30 * 24 + 1 = 721 runs, the first
    at once. At the n-th the program knows stories 1 to n; the even ones have enough points.
    """
    await api.create(
        method="post",
        url="https://stories.test/alerts",
        body={"min": 200, "exclude": "$previous.sent"},
        repeat_every=[1, "hour"],
    )
    times = grid(START, HOUR, START + 30 * DAY)
    assert len(times) == 721
    await pass_through(booper, clock, times)
    assert [planned_at(request) for request in target.received] == times
    assert stories.alerted == list(range(2, 722, 2))
    for index, request in enumerate(target.received):
        body = json_of(request)
        sent = list(range(2, index + 1, 2))
        job_id = int(request.headers["booper-job-id"])
        assert (body["min"], body["exclude"]) == (200, sent if index else None)
        assert (body["$previous"], body["$state"]) == ({"sent": sent} if index else {}, {})
        assert body["$job"]["id"] == job_id
        assert body.keys() == {"min", "exclude", "$job", "$previous", "$state"}


async def test_story_alerts_with_memory_survive_a_pause(
    booper: Booper,
    api: Api,
    clock: VirtualClock,
    target: Hosts,
    stories: StoryAlerts,
) -> None:
    """What a run stores by `$set` comes back as `$state`, also after a month of being disabled.

    Hourly for a week from the first at once: 7 * 24 + 1 = 169 runs. Then 30 days without, and the
    next one is on the old grid, an hour after the enable.
    """
    resource = await api.create(
        method="post",
        url="https://memory.test/alerts",
        body={"min": 200, "exclude": "$state.sent"},
        repeat_every=[1, "hour"],
    )
    schedule = f"/api/schedules/{resource['schedule_id']}"
    week = grid(START, HOUR, START + 7 * DAY)
    assert len(week) == 169
    await pass_through(booper, clock, week)
    await api.post(f"{schedule}/disable")
    await pass_through(booper, clock, [START + 37 * DAY])
    await api.post(f"{schedule}/enable")
    later = grid(START + 37 * DAY + HOUR, HOUR, START + 38 * DAY)
    assert len(later) == 24
    await pass_through(booper, clock, later)
    assert [planned_at(request) for request in target.received] == week + later
    # 169 + 24 = 193 calls, so 193 stories; each even one was told of once.
    assert stories.alerted == list(range(2, 194, 2))
    first, *_, last = map(json_of, target.received)
    assert (first["exclude"], first["$state"]) == (None, {})
    assert last["exclude"] == list(range(2, 193, 2))
    assert last["$state"] == {"sent": list(range(2, 193, 2))}


async def test_the_standup_is_called_on_working_days(
    booper: Booper,
    api: Api,
    clock: VirtualClock,
    target: Hosts,
    discord: DiscordWebhook,
) -> None:
    """The form with its raw spaces calls the standup at 9:00 from Monday to Friday.

    1 January 2030 is a Tuesday. January has 23 working days, of which the first is over at noon,
    February 20 and March 21: 22 + 20 + 21 = 63.
    """
    response = await api.post(
        "/api/jobs",
        headers={"Content-Type": "application/x-www-form-urlencoded"},
        content=b"method=post&url=https://discord.com/api/webhooks/1/token"
        b"&body[content]=Time for standup!&cron=0 9 * * 1-5",
    )
    assert response.status_code == 201, response.text
    end = datetime(2030, 3, 31, 12, tzinfo=UTC)
    times = days(datetime(2030, 1, 2, 9, tzinfo=UTC), end, weekdays=range(5))
    assert len(times) == 63
    # Every morning comes, those of the weekends as well.
    await pass_through(booper, clock, grid(datetime(2030, 1, 2, 9, tzinfo=UTC), DAY, end))
    assert [planned_at(request) for request in target.received] == times
    assert discord.messages == ["Time for standup!"] * 63
    for request in target.received:
        body = json_of(request)
        assert body.keys() == {"content", "$job", "$previous", "$state"}
        assert (body["$previous"], body["$state"]) == ({}, {})


@pytest.mark.parametrize(
    ("cron", "weekdays", "runs"),
    [("0 10 * * MON", [0], 26), ("0 10 * * MON,WED,FRI", [0, 2, 4], 78)],
)
async def test_each_release_is_announced_once(
    booper: Booper,
    api: Api,
    clock: VirtualClock,
    target: Hosts,
    releases: Announcements,
    cron: str,
    weekdays: list[int],
    runs: int,
) -> None:
    """The announcement compares the newest release with the one it mailed last, for half a year.

    From Tuesday, 1 January, to Tuesday, 2 July, are 26 weeks: 26 Mondays, 78 of three weekdays.
    A release comes every 10 days; the last before the last run is the 18th, of 30 June. With one
    run a week some releases are overtaken by the next.
    """
    await api.create(
        method="post",
        url="https://releases.test/announce",
        body={"last_sent_release": "$state.last_sent_release"},
        cron=cron,
    )
    end = START + 26 * 7 * DAY
    times = days(datetime(2030, 1, 1, 10, tzinfo=UTC) + DAY, end, weekdays)
    assert len(times) == runs
    await pass_through(booper, clock, times)
    assert [planned_at(request) for request in target.received] == times
    newest = [(at - START) // (10 * DAY) for at in times]
    expected = [number for number in dict.fromkeys(newest) if number]
    assert releases.mailed == expected
    assert expected[-1] == 18
    known: int | None = None
    for request, number in zip(target.received, newest, strict=True):
        body = json_of(request)
        assert body["last_sent_release"] == known
        assert body["$state"] == ({} if known is None else {"last_sent_release": known})
        known = number or None


async def test_the_welcome_mail_is_sent_once(
    booper: Booper,
    api: Api,
    clock: VirtualClock,
    target: Hosts,
    mail: WelcomeMail,
) -> None:
    """However often it is posted within 45 minutes, one mail goes out, as it was written."""
    body = {"from": "team@example.com", "to": "jane@example.com", "subject": "Welcome!"}
    fields = {
        "method": "post",
        "url": "https://mail.test/emails",
        "headers": {"Authorization": f"Bearer {MAIL_KEY}"},
        "body": body,
        "schedule_in": [45, "minutes"],
        "idempotency_key": "jane@example.com:welcome",
    }
    first = await api.create(**fields)
    for _ in range(3):
        clock.advance(timedelta(minutes=10))
        response = await api.post("/api/jobs", json=fields)
        assert (response.status_code, response.json()["data"]["id"]) == (200, first["id"])
        assert response.json()["data"]["job"]["has_confict"] is True
    await pass_through(booper, clock, grid(START + timedelta(minutes=45), DAY, START + 60 * DAY))
    (request,) = target.received
    assert planned_at(request) == START + timedelta(minutes=45)
    assert json_of(request) == body
    assert request.headers["authorization"] == f"Bearer {MAIL_KEY}"
    assert request.headers["idempotency-key"] == first["id"]
    assert mail.sent == ["jane@example.com"]
