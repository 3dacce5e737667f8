"""Schedules over HTTP: their resource, their changes, and the fields of a recurring create."""

import asyncio
import json
import re
from datetime import timedelta
from typing import Any

import httpx
import pytest

from booper.app import Booper
from booper.clock import VirtualClock
from tests.support.api import URL, Api
from tests.support.target import FakeTarget

pytestmark = pytest.mark.anyio

JSON = {"Content-Type": "application/json"}

# Contract §6.
KEYS = {
    "id",
    "name",
    "description",
    "inserted_at",
    "disabled_at",
    "ended_at",
    "next_run_at",
    "user_id",
    "frequency",
    "args",
}
NEXT = {"next_runs", "next_runs_local", "state", "previous", "state_version"}
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


async def patch(api: Api, path: str, **fields: object) -> Any:
    """Change a schedule and return its resource."""
    response = await api.patch(path, json=fields)
    assert response.status_code == 200, response.text
    return response.json()["data"]


async def post(api: Api, path: str, verb: str) -> Any:
    """Disable or enable a schedule and return its resource."""
    response = await api.post(f"{path}/{verb}")
    assert response.status_code == 200, response.text
    return response.json()["data"]


async def runs(api: Api, path: str, query: str = "") -> Any:
    """Return a schedule's jobs, oldest first."""
    schedule_id = path.rpartition("/")[2]
    order = "order_by=id,asc&limit=100"
    response = await api.get(f"/api/jobs?schedule_id={schedule_id}&{order}&{query}")
    return response.json()["data"]


async def waiting(api: Api, path: str) -> list[str]:
    """Return when a schedule's waiting runs are due."""
    found = await runs(api, path, "state=scheduled")
    return [each["job"]["scheduled_at"] for each in found]


async def skipped(api: Api) -> list[Any]:
    """Return what was skipped, newest first."""
    response = await api.get("/api/logs?event=schedule.skipped")
    return [entry["payload"] for entry in response.json()["data"]]


def at(*times: str, day: str = "2030-01-01") -> list[str]:
    """Write times of a day as `job.*` has them."""
    return [f"{day}T{time}:00.000000Z" for time in times]


def sent_at(target: FakeTarget) -> list[str]:
    """Return the planned times of what a target received."""
    return [request.headers["booper-scheduled-at"] for request in target.received]


def pointers(response: httpx.Response) -> list[str]:
    """Return where the errors of a 422 point."""
    assert response.status_code == 422, response.text
    assert response.headers["content-type"] == "application/problem+json"
    return [error["pointer"] for error in response.json()["errors"]]


async def run_until(booper: Booper, clock: VirtualClock, minutes: int, step: int = 1) -> None:
    """Advance time by some minutes at once, sending what is due."""
    for _ in range(0, minutes, step):
        clock.advance(timedelta(minutes=step))
        await booper.wait_idle()


# The resource.


async def test_a_recurring_create_returns_its_first_run(api: Api) -> None:
    """The response is the first run's job, with its schedule's id (§4)."""
    data = await api.create(repeat_every=[1, "hour"], schedule_in=60, name="n", description="d")
    assert re.fullmatch(UUID, data["schedule_id"])
    assert data["schedule_id"] != data["id"]
    assert data["job"]["scheduled_at"] == "2030-01-01T12:01:00.000000Z"
    assert (data["name"], data["description"]) == ("n", "d")


async def test_a_schedule_has_exactly_the_documented_keys(api: Api) -> None:
    """`frequency` and `args` as they were sent, `inserted_at` whole seconds without a zone (§6)."""
    fields = {"repeat_every": [2, "minutes"], "schedule_in": 60, "name": "n", "description": "d"}
    data = await api.create(**fields)
    shown = await api.read(f"/api/schedules/{data['schedule_id']}")
    assert set(shown) == KEYS | NEXT
    assert {name: shown[name] for name in KEYS} == {
        "id": data["schedule_id"],
        "name": "n",
        "description": "d",
        "inserted_at": "2030-01-01T12:00:00",
        "disabled_at": None,
        "ended_at": None,
        "next_run_at": "2030-01-01T12:01:00.000000Z",
        "user_id": data["user_id"],
        "frequency": {"repeat_every": [2, "minutes"]},
        "args": {"url": URL, **fields},
    }
    [listed] = (await api.get("/api/schedules")).json()["data"]
    assert listed == {name: shown[name] for name in KEYS}


@pytest.mark.parametrize(
    ("fields", "frequency"),
    [
        ({"repeat_every": 90}, {"repeat_every": 90}),
        ({"repeat_every": [1.5, "hours"]}, {"repeat_every": [1.5, "hours"]}),
        ({"cron": "0 9 * * 1-5"}, {"cron": "0 9 * * 1-5", "timezone": "UTC"}),
        (
            {"cron": "@daily", "timezone": "Europe/Berlin"},
            {"cron": "@daily", "timezone": "Europe/Berlin"},
        ),
    ],
)
async def test_frequency_says_how_a_schedule_repeats(
    api: Api, fields: dict[str, object], frequency: dict[str, object]
) -> None:
    """An interval as it was sent, a cron with its time zone (§6)."""
    assert (await api.read(await api.create_schedule(**fields)))["frequency"] == frequency


async def test_times_stand_in_their_three_styles(api: Api) -> None:
    """`inserted_at` has no zone, `disabled_at` whole seconds and `Z`, runs six digits (§4)."""
    path = await api.create_schedule(schedule_in=90)
    assert (await api.read(path))["next_runs"][0] == "2030-01-01T12:01:30.000000Z"
    disabled = await post(api, path, "disable")
    assert disabled["inserted_at"] == "2030-01-01T12:00:00"
    assert disabled["disabled_at"] == "2030-01-01T12:00:00Z"


async def test_a_schedule_hides_the_secrets_of_its_args(api: Api) -> None:
    """`Authorization` and `Cookie` show in the create's response alone; runs still send them."""
    headers = {"Authorization": "Bearer hidden", "Cookie": "hidden=1", "X-A": "shown"}
    path = await api.create_schedule(headers=headers, schedule_in=60)
    responses = [
        await api.get(path),
        await api.get("/api/schedules"),
        await api.patch(path, json={"name": "n"}),
        await api.post(f"{path}/disable"),
        await api.post(f"{path}/enable"),
    ]
    for response in responses:
        assert "hidden" not in response.text
        assert "shown" in response.text


async def test_schedules_are_listed_newest_first_in_pages(api: Api, clock: VirtualClock) -> None:
    """`limit` and `offset` page, `order_by` takes `inserted_at` and `id` in its spellings (§2)."""
    made = []
    for _ in range(12):
        made.append(
            (await api.create(repeat_every=[1, "hour"], schedule_in=[1, "day"]))["schedule_id"]
        )
        clock.advance(timedelta(seconds=1))

    async def ids(query: str = "") -> list[str]:
        response = await api.get(f"/api/schedules?{query}")
        assert response.status_code == 200, response.text
        return [each["id"] for each in response.json()["data"]]

    assert await ids() == made[:1:-1]
    assert await ids("limit=100") == made[::-1]
    assert await ids("limit=3&offset=2") == made[9:6:-1]
    for order in ("inserted_at,asc", "id,asc", '["inserted_at","asc"]'):
        assert await ids(f"limit=100&order_by={order}") == made
    assert await ids("limit=2&order_by[]=id&order_by[]=desc") == made[:9:-1]


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("limit=0", "/limit"),
        ("limit=101", "/limit"),
        ("offset=-1", "/offset"),
        ("offset=10001", "/offset"),
        ("order_by=scheduled_at", "/order_by"),
        ("order_by=name", "/order_by"),
        ("state=scheduled", "/state"),
    ],
)
async def test_a_wrong_parameter_of_the_list_is_refused(api: Api, query: str, pointer: str) -> None:
    """Lists of schedules are as strict as any other (§2)."""
    assert pointers(await api.get(f"/api/schedules?{query}")) == [pointer]


async def test_a_schedule_of_another_user_is_not_there(api: Api, admin: Api) -> None:
    """404 for each operation, an empty list, and the schedule stays as it was (§1)."""
    path = await api.create_schedule(schedule_in=60)
    before = await api.read(path)
    response = await admin.post("/api/keys", json={"name": "second", "user": "somebody else"})
    theirs = {"Authorization": f"Bearer {response.json()['data']['key']}"}
    for method, suffix in [
        ("GET", ""),
        ("PATCH", ""),
        ("DELETE", ""),
        ("POST", "/disable"),
        ("POST", "/enable"),
        ("POST", "/run"),
        ("PUT", "/state"),
    ]:
        body = {"name": "theirs"} if method in ("PATCH", "PUT") else None
        response = await api.request(method, path + suffix, json=body, headers=theirs)
        assert response.status_code == 404, method + suffix
        assert response.headers["content-type"] == "application/problem+json"
    assert (await api.get("/api/schedules", headers=theirs)).json() == {"data": []}
    assert await api.read(path) == before
    assert len(await runs(api, path)) == 1


# The next runs.


async def test_the_next_runs_are_five_after_now(api: Api) -> None:
    """Without parameters the next five planned times, in UTC as in `job.*` (§6)."""
    path = await api.create_schedule(schedule_in=[1, "hour"], repeat_every=[30, "minutes"])
    shown = await api.read(path)
    assert shown["next_runs"] == at("13:00", "13:30", "14:00", "14:30", "15:00")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("next_runs=0", []),
        ("next_runs=1", ["13:00"]),
        ("next_runs=2&after=2030-01-01T13:00:00Z", ["14:00", "15:00"]),  # after, not from
        ("next_runs=2&after=2030-01-01T12:59:59", ["13:00", "14:00"]),
        ("next_runs=1&after=2030-01-01T21:00:00%2B07:00", ["15:00"]),
        ("next_runs=1&after=1893506400", ["15:00"]),  # 14:00 is 1893456000 + 50400
        ("next_runs=1&after=1893506400000", ["15:00"]),
    ],
)
async def test_next_runs_and_after_say_how_many_and_from_when(
    api: Api, query: str, expected: list[str]
) -> None:
    """`next_runs=N` up to 100, `after` a time as in a create."""
    path = await api.create_schedule(schedule_in=[1, "hour"])
    assert (await api.read(path, query))["next_runs"] == at(*expected)


async def test_a_hundred_runs_can_be_asked_for(api: Api) -> None:
    """The most there are in one response; they are an hour apart."""
    shown = await api.read(await api.create_schedule(cron="0 * * * *"), "next_runs=100")
    assert len(shown["next_runs"]) == len(shown["next_runs_local"]) == 100
    assert len(set(shown["next_runs"])) == 100
    # The first is 13:00; 99 hours later it is 16:00, four days on.
    assert shown["next_runs"][-1] == "2030-01-05T16:00:00.000000Z"


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("next_runs=101", "/next_runs"),
        ("next_runs=-1", "/next_runs"),
        ("next_runs=", "/next_runs"),
        ("next_runs=x", "/next_runs"),
        ("next_runs=1.0", "/next_runs"),
        ("next_runs=" + "9" * 5_000, "/next_runs"),
        ("after=", "/after"),
        ("after=tomorrow", "/after"),
        ("after=9999-12-31T23:59:59Z", "/after"),
        ("nextruns=5", "/nextruns"),
    ],
)
async def test_a_wrong_question_for_runs_is_refused(api: Api, query: str, pointer: str) -> None:
    """Both parameters are checked, and unknown ones refused."""
    path = await api.create_schedule()
    assert pointers(await api.get(f"{path}?{query}")) == [pointer]


async def test_local_runs_carry_the_offset_of_their_zone(api: Api) -> None:
    """`next_runs_local` shows the wall clock over both DST nights (§6)."""
    path = await api.create_schedule(cron="30 9 * * SUN", timezone="Europe/Berlin")
    # Summer time begins on Sunday 2030-03-31 and ends on Sunday 2030-10-27 (IANA, EU rule).
    spring = await api.read(path, "next_runs=2&after=2030-03-23")
    assert spring["next_runs"] == ["2030-03-24T08:30:00.000000Z", "2030-03-31T07:30:00.000000Z"]
    assert spring["next_runs_local"] == ["2030-03-24T09:30:00+01:00", "2030-03-31T09:30:00+02:00"]
    autumn = await api.read(path, "next_runs=2&after=2030-10-19")
    assert autumn["next_runs"] == ["2030-10-20T07:30:00.000000Z", "2030-10-27T08:30:00.000000Z"]


async def test_local_runs_of_a_zoneless_schedule_are_in_utc(api: Api) -> None:
    """Without `timezone` the zone is UTC, whose offset is shown as well."""
    shown = await api.read(await api.create_schedule(schedule_in=60), "next_runs=1")
    assert shown["next_runs_local"] == ["2030-01-01T12:01:00+00:00"]


async def test_next_runs_end_with_the_schedule(
    api: Api, booper: Booper, clock: VirtualClock
) -> None:
    """`ends_at` and `max_runs` bound what is shown; a disabled schedule shows none."""
    path = await api.create_schedule(
        schedule_in=60, repeat_every=60, ends_at="2030-01-01T12:03:00Z"
    )
    assert (await api.read(path))["next_runs"] == at("12:01", "12:02", "12:03")
    path = await api.create_schedule(schedule_in=60, repeat_every=60, max_runs=3)
    assert (await api.read(path))["next_runs"] == at("12:01", "12:02", "12:03")
    await run_until(booper, clock, 1)
    assert (await api.read(path))["next_runs"] == at("12:02", "12:03")
    await post(api, path, "disable")
    shown = await api.read(path)
    assert (shown["next_runs"], shown["next_runs_local"]) == ([], [])


async def test_max_runs_counts_from_the_next_one_whatever_after_says(
    api: Api,
) -> None:
    """Runs that lie before `after` are counted: the schedule ends no later for it."""
    path = await api.create_schedule(schedule_in=60, repeat_every=60, max_runs=3)
    shown = await api.read(path, "after=2030-01-01T12:02:00Z")
    assert shown["next_runs"] == at("12:03")
    assert (await api.read(path, "after=2030-01-01T12:03:00Z"))["next_runs"] == []


# Changing a schedule.


async def test_a_patch_changes_just_what_it_names(
    api: Api, booper: Booper, clock: VirtualClock, target: FakeTarget
) -> None:
    """A delta: named fields are replaced, all others stay, and the next run is sent so (§10)."""
    path = await api.create_schedule(
        method="post", body={"a": 1}, schedule_in=60, name="old", metadata=False
    )
    changed = await patch(api, path, body={"b": 2}, name="new", headers={"X-A": "b"})
    assert set(changed) == KEYS | NEXT
    assert changed["name"] == "new"
    assert changed["args"] == {
        "method": "post",
        "url": URL,
        "body": {"b": 2},
        "headers": {"X-A": "b"},
        "schedule_in": 60,
        "repeat_every": [1, "hour"],
        "name": "new",
        "metadata": False,
    }
    assert await api.read(path) == changed
    clock.advance(timedelta(seconds=60))
    await booper.wait_idle()
    [sent] = target.received
    assert (sent.headers["x-a"], json.loads(sent.read())) == ("b", {"b": 2})


async def test_null_removes_a_field(
    api: Api, booper: Booper, clock: VirtualClock, target: FakeTarget
) -> None:
    """`null` means absent (§3): the field goes back to its default."""
    path = await api.create_schedule(
        method="post", body={"a": 1}, schedule_in=60, name="n", metadata=False
    )
    changed = await patch(api, path, body=None, method=None, name=None, metadata=None)
    assert changed["name"] is None
    assert changed["args"] == {"url": URL, "schedule_in": 60, "repeat_every": [1, "hour"]}
    clock.advance(timedelta(seconds=60))
    await booper.wait_idle()
    [sent] = target.received
    assert (sent.method, sent.read()) == ("GET", b"")


async def test_an_empty_patch_changes_nothing(api: Api) -> None:
    """`{}` names no field."""
    path = await api.create_schedule(schedule_in=60)
    before = await api.read(path)
    assert await patch(api, path) == before
    assert await waiting(api, path) == at("12:01")


async def test_a_patch_without_timing_keeps_the_grid(
    api: Api, booper: Booper, clock: VirtualClock
) -> None:
    """Another name must neither run a schedule at once nor move its times."""
    path = await api.create_schedule(schedule_in=[10, "minutes"])
    await run_until(booper, clock, 40, 10)  # it ran at 12:10
    await patch(api, path, name="n", url="https://other.test/")
    assert await waiting(api, path) == at("13:10")


async def test_a_new_interval_goes_on_from_the_first_run(
    api: Api, booper: Booper, clock: VirtualClock
) -> None:
    """The grid is anchored at the first run (§3): 12:10 and every 25 minutes, so 12:35, 13:00."""
    path = await api.create_schedule(schedule_in=[10, "minutes"])
    await run_until(booper, clock, 40, 10)
    changed = await patch(api, path, repeat_every=[25, "minutes"])
    assert changed["frequency"] == {"repeat_every": [25, "minutes"]}
    assert changed["next_runs"][:2] == at("13:00", "13:25")
    assert await waiting(api, path) == at("13:00")


async def test_an_interval_becomes_a_cron_and_back(api: Api) -> None:
    """Changing the kind of recurrence takes both fields, one of them null."""
    path = await api.create_schedule(schedule_in=[10, "minutes"])
    changed = await patch(
        api, path, repeat_every=None, schedule_in=None, cron="0 9 * * *", timezone="Asia/Tokyo"
    )
    assert changed["frequency"] == {"cron": "0 9 * * *", "timezone": "Asia/Tokyo"}
    # 9:00 in Tokyo, which is nine hours ahead all year, is midnight in UTC.
    assert await waiting(api, path) == at("00:00", day="2030-01-02")
    assert changed["next_runs_local"][0] == "2030-01-02T09:00:00+09:00"
    await patch(api, path, cron=None, timezone=None, repeat_every=[6, "hours"], schedule_in=60)
    assert await waiting(api, path) == at("12:01")


async def test_a_new_start_moves_the_grid(api: Api, booper: Booper, clock: VirtualClock) -> None:
    """`schedule_in` in a change counts from now, as in a create."""
    path = await api.create_schedule(schedule_in=[10, "minutes"])
    await run_until(booper, clock, 20, 10)
    await patch(api, path, schedule_in=[5, "minutes"])
    assert await waiting(api, path) == at("12:25")
    await run_until(booper, clock, 5, 5)
    assert await waiting(api, path) == at("13:25")


async def test_a_patch_is_not_judged_by_the_time_of_the_create(
    api: Api, booper: Booper, clock: VirtualClock
) -> None:
    """A stored `schedule_in` is over: it must not count again from now and miss `ends_at`."""
    path = await api.create_schedule(
        schedule_in=[1, "hour"], repeat_every=[10, "minutes"], ends_at="2030-01-01T13:30:00Z"
    )
    await run_until(booper, clock, 70, 10)  # it is 13:10
    assert (await patch(api, path, name="n"))["name"] == "n"
    assert await waiting(api, path) == at("13:20")


async def test_an_ended_schedule_goes_on_with_a_later_end(
    api: Api, booper: Booper, clock: VirtualClock
) -> None:
    """A change recomputes the next run (§10), of what has ended as well."""
    path = await api.create_schedule(schedule_in=60, repeat_every=60, max_runs=1)
    await run_until(booper, clock, 1)
    assert (await waiting(api, path), (await api.read(path))["next_runs"]) == ([], [])
    await patch(api, path, max_runs=2)
    assert await waiting(api, path) == at("12:02")
    await run_until(booper, clock, 2)
    assert await waiting(api, path) == []


async def test_a_disabled_schedule_is_changed_without_running(
    api: Api, booper: Booper, clock: VirtualClock, target: FakeTarget
) -> None:
    """A change does not enable; the new plan counts once it is enabled."""
    path = await api.create_schedule(schedule_in=60)
    await post(api, path, "disable")
    changed = await patch(api, path, repeat_every=[10, "minutes"])
    assert changed["disabled_at"] == "2030-01-01T12:00:00Z"
    await run_until(booper, clock, 30, 10)
    assert (target.received, await waiting(api, path)) == ([], [])
    await post(api, path, "enable")
    assert await waiting(api, path) == at("12:31")  # the grid of 12:01


async def test_changed_tags_are_those_of_later_runs(
    api: Api,
) -> None:
    """Filters see what a change has made of the waiting run."""
    path = await api.create_schedule(schedule_in=60, tags=["old"])
    await patch(api, path, tags=["new"])
    found = (await api.get("/api/jobs?state=scheduled&tag=new")).json()["data"]
    assert len(found) == 1
    assert (await api.get("/api/jobs?state=scheduled&tag=old")).json()["data"] == []


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"url": "ftp://target.test/"}, ["/url"]),
        ({"url": None}, ["/url"]),
        ({"method": "fetch"}, ["/method"]),
        ({"repeat_every": 0}, ["/repeat_every"]),
        ({"repeat_every": [1, "moment"]}, ["/repeat_every/1"]),
        ({"cron": "0 9 * * *"}, ["/repeat_every"]),  # beside the interval that is there
        ({"repeat_every": None}, [""]),
        ({"repeat_every": None, "cron": "0 9 * *"}, ["/cron"]),
        ({"timezone": "Berlin"}, ["/timezone"]),
        ({"idempotency_key": "other"}, ["/idempotency_key"]),
        ({"on_conflict": "replace"}, ["/on_conflict"]),
        ({"idempotency_ttl": 60}, ["/idempotency_ttl"]),
        ({"nam": "n"}, ["/nam"]),
        ({"id": "x"}, ["/id"]),
        ({"disabled_at": None}, ["/disabled_at"]),
        ({"method": "fetch", "max_runs": 0, "tags": 5}, ["/max_runs", "/method", "/tags"]),
        ({"headers": {"X A": "b"}}, ["/headers/X A"]),
    ],
)
async def test_a_wrong_patch_changes_nothing(
    api: Api, fields: dict[str, object], expected: list[str]
) -> None:
    """A change is checked as a create is: 422 with pointers, and the schedule stays."""
    path = await api.create_schedule(schedule_in=60, idempotency_key="k")
    before = await api.read(path)
    response = await api.patch(path, json=fields)
    assert sorted(pointers(response)) == expected
    assert await api.read(path) == before
    assert await waiting(api, path) == at("12:01")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b'{"body": NaN}', 400),
        (b"[]", 422),
        (b"null", 422),
        (b'"text"', 422),
    ],
)
async def test_a_patch_that_is_no_object_is_refused(api: Api, body: bytes, status: int) -> None:
    """What is not JSON is 400, what is no object 422."""
    path = await api.create_schedule()
    assert (await api.patch(path, content=body, headers=JSON)).status_code == status


async def test_a_patch_of_another_content_type_is_415(api: Api) -> None:
    """Changes are JSON (§1)."""
    path = await api.create_schedule()
    response = await api.patch(path, content=b"<a/>", headers={"Content-Type": "text/xml"})
    assert response.status_code == 415


# Disable, enable, delete.


async def test_disabling_cancels_the_waiting_run(
    api: Api, booper: Booper, clock: VirtualClock, target: FakeTarget
) -> None:
    """Nothing is sent while a schedule is disabled; doing it twice is one (§6)."""
    path = await api.create_schedule(schedule_in=60, repeat_every=60)
    first = await post(api, path, "disable")
    assert set(first) == KEYS
    assert [each["job"]["state"] for each in await runs(api, path)] == ["cancelled"]
    await run_until(booper, clock, 10, 5)
    assert target.received == []
    assert await post(api, path, "disable") == first


async def test_enabling_plans_the_next_run_after_now(
    api: Api, booper: Booper, clock: VirtualClock, target: FakeTarget
) -> None:
    """What lay in between is one entry with the reason `disabled`, and does not run (§6)."""
    path = await api.create_schedule(schedule_in=60, repeat_every=60)
    await post(api, path, "disable")
    clock.advance(timedelta(minutes=10, seconds=30))
    enabled = await post(api, path, "enable")
    assert (set(enabled), enabled["disabled_at"]) == (KEYS, None)
    assert await waiting(api, path) == at("12:11")
    # 12:01 to 12:10.
    assert await skipped(api) == [
        {"reason": "disabled", "first": at("12:01")[0], "last": at("12:10")[0], "count": 10}
    ]
    clock.advance(timedelta(seconds=30))
    await booper.wait_idle()
    assert sent_at(target) == at("12:11")


async def test_enabling_what_is_enabled_changes_nothing(api: Api) -> None:
    """A second `enable` plans no second run."""
    path = await api.create_schedule(schedule_in=60)
    before = await api.read(path)
    shown = await post(api, path, "enable")
    assert shown == {name: before[name] for name in KEYS}
    assert await waiting(api, path) == at("12:01")


async def test_a_brief_disabling_loses_no_run(
    api: Api, booper: Booper, clock: VirtualClock, target: FakeTarget
) -> None:
    """Disabled and enabled before its time, a schedule runs when it was to run, with no gap."""
    path = await api.create_schedule(schedule_in=60)
    for _ in range(3):
        await post(api, path, "disable")
        await post(api, path, "enable")
    await run_until(booper, clock, 1)
    assert sent_at(target) == at("12:01")
    assert await skipped(api) == []


async def test_disabling_leaves_a_running_request_alone(
    api: Api, booper: Booper, target: FakeTarget
) -> None:
    """Only the waiting run is cancelled; what is on its way ends as it ends."""
    target.hold()
    path = await api.create_schedule()
    await first_arrival(target)
    await post(api, path, "disable")
    target.release()
    await booper.wait_idle()
    assert [each["job"]["state"] for each in await runs(api, path)] == ["completed", "cancelled"]


async def test_previous_is_lost_on_disabling_and_state_kept(
    api: Api, booper: Booper, clock: VirtualClock, target: FakeTarget
) -> None:
    """`$previous` is `{}` after a disable, `$state` survives it (§6)."""
    target.respond(httpx.Response(200, json={"seen": 1, "$set": {"kept": 2}}))
    path = await api.create_schedule(method="post", repeat_every=60)
    await booper.wait_idle()
    await run_until(booper, clock, 1)
    await post(api, path, "disable")
    await post(api, path, "enable")
    await run_until(booper, clock, 1)
    first, second, third = (json.loads(request.read()) for request in target.received)
    assert (first["$previous"], first["$state"]) == ({}, {})
    assert (second["$previous"]["seen"], second["$state"]) == (1, {"kept": 2})
    assert (third["$previous"], third["$state"]) == ({}, {"kept": 2})


async def test_a_cancelled_run_of_a_disabled_schedule_starts_nothing(
    api: Api, booper: Booper, clock: VirtualClock, target: FakeTarget
) -> None:
    """Sending that one run again does not make the disabled schedule go on."""
    path = await api.create_schedule(schedule_in=60, repeat_every=60)
    await post(api, path, "disable")
    [cancelled] = await runs(api, path)
    response = await api.post(f"/api/jobs/{cancelled['job_id']}/retry")
    assert response.status_code in (200, 409)
    await run_until(booper, clock, 5)
    assert len(target.received) <= 1
    assert await waiting(api, path) == []


async def test_a_deleted_schedule_is_gone_and_its_jobs_stay(
    api: Api, booper: Booper, clock: VirtualClock, target: FakeTarget
) -> None:
    """204 without a body; the waiting run is cancelled, past jobs are still listed (§6)."""
    path = await api.create_schedule(repeat_every=60)
    await booper.wait_idle()
    response = await api.delete(path)
    assert (response.status_code, response.content) == (204, b"")
    assert "content-type" not in response.headers
    assert [each["job"]["state"] for each in await runs(api, path)] == ["completed", "cancelled"]
    assert (await api.get("/api/schedules")).json() == {"data": []}
    for method, suffix in [("GET", ""), ("DELETE", ""), ("POST", "/enable"), ("POST", "/run")]:
        assert (await api.request(method, path + suffix)).status_code == 404
    await run_until(booper, clock, 5, 5)
    assert len(target.received) == 1


@pytest.mark.parametrize("verb", ["disable", "delete", "patch"])
async def test_a_run_that_is_cancelled_with_its_schedule_is_reported(
    api: Api, booper: Booper, target: FakeTarget, verb: str
) -> None:
    """`job.finished` comes once for each job at its end, cancelled ones included (§7)."""
    events = "https://events.test/"
    path = await api.create_schedule(schedule_in=60, webhook_url=events)
    if verb == "patch":
        await patch(api, path, name="n")
        if [each["job"]["state"] for each in await runs(api, path)] == ["scheduled"]:
            return  # changed in its place, so nothing has ended
    elif verb == "delete":
        await api.delete(path)
    else:
        await post(api, path, "disable")
    await booper.wait_idle()
    told = [json.loads(request.read()) for request in target.received]
    assert [event["type"] for event in told] == ["job.finished"]


# Run now.


async def test_run_now_adds_a_run_beside_the_plan(
    api: Api, booper: Booper, clock: VirtualClock, target: FakeTarget
) -> None:
    """201 with the new job; the plan and the count of runs stay as they were (§10)."""
    path = await api.create_schedule(method="post", body={"a": 1}, schedule_in=60, max_runs=2)
    response = await api.post(f"{path}/run")
    assert response.status_code == 201
    data = response.json()["data"]
    assert response.headers["location"] == f"/api/jobs/{data['job_id']}"
    assert data["schedule_id"] == path.rpartition("/")[2]
    assert data["job"]["scheduled_at"] == at("12:00")[0]
    await booper.wait_idle()
    assert await waiting(api, path) == at("12:01")
    await run_until(booper, clock, 61, 1)
    assert sent_at(target) == at("12:00", "12:01", "13:01")
    sent = json.loads(target.received[0].read())
    assert sent["a"] == 1
    assert {"$job", "$previous", "$state"} <= set(sent)
    assert sent["$job"]["id"] == data["job_id"]


async def test_run_now_takes_another_body_for_once(
    api: Api, booper: Booper, clock: VirtualClock, target: FakeTarget
) -> None:
    """A body in the request replaces the schedule's own for this run, references and all."""
    target.respond(httpx.Response(200, json={"$set": {"n": [1]}}))
    path = await api.create_schedule(method="post", body={"a": 1}, repeat_every=60)
    await booper.wait_idle()
    response = await api.post(f"{path}/run", json={"body": {"b": "$state.n"}})
    assert response.json()["data"]["args"]["body"] == {"b": "$state.n"}
    await booper.wait_idle()
    await run_until(booper, clock, 1)
    bodies = [json.loads(request.read()) for request in target.received]
    own = [{k: v for k, v in body.items() if not k.startswith("$")} for body in bodies]
    assert own == [{"a": 1}, {"b": [1]}, {"a": 1}]
    assert (await api.read(path))["args"]["body"] == {"a": 1}


@pytest.mark.parametrize("content", [b"", b"{}"])
async def test_run_now_without_a_body_is_the_schedules_own(
    api: Api, booper: Booper, target: FakeTarget, content: bytes
) -> None:
    """No override is no change."""
    path = await api.create_schedule(method="put", body=[1], schedule_in=60)
    response = await api.post(f"{path}/run", content=content, headers=JSON)
    assert response.status_code == 201
    await booper.wait_idle()
    assert [json.loads(request.read()) for request in target.received] == [[1]]


async def test_run_now_with_null_sends_no_configured_body(
    api: Api, booper: Booper, target: FakeTarget
) -> None:
    """`null` means absent: only the metadata is left (§6)."""
    path = await api.create_schedule(method="post", body={"a": 1}, schedule_in=60)
    await api.post(f"{path}/run", json={"body": None})
    await booper.wait_idle()
    assert set(json.loads(target.received[0].read())) == {"$job", "$previous", "$state"}


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"{", 400),
        (b'{"body": NaN}', 400),
        (b'{"bdy": 1}', 422),
        (b'{"body": 1, "method": "get"}', 422),
        (b"[]", 422),
        (b'{"body": ' + b"[" * 500 + b"]" * 500 + b"}", 422),
    ],
)
async def test_a_wrong_override_runs_nothing(
    api: Api, booper: Booper, target: FakeTarget, content: bytes, status: int
) -> None:
    """Only `body` can be overridden."""
    path = await api.create_schedule(schedule_in=60)
    response = await api.post(f"{path}/run", content=content, headers=JSON)
    assert response.status_code == status
    await booper.wait_idle()
    assert target.received == []


async def test_run_now_answers_like_a_create_and_hides_secrets_later(
    api: Api,
) -> None:
    """The caller of `run` need not know the schedule's secrets: they stay hidden (§4)."""
    path = await api.create_schedule(headers={"Authorization": "Bearer hidden"}, schedule_in=60)
    assert "hidden" not in (await api.post(f"{path}/run")).text


async def test_a_disabled_schedule_runs_now_when_asked(
    api: Api, booper: Booper, target: FakeTarget
) -> None:
    """An extra run is no part of the plan: it goes, and the schedule stays disabled."""
    path = await api.create_schedule(schedule_in=60)
    await post(api, path, "disable")
    assert (await api.post(f"{path}/run")).status_code == 201
    await booper.wait_idle()
    assert len(target.received) == 1
    assert (await api.read(path))["disabled_at"] is not None
    assert await waiting(api, path) == []


# The fields of a recurring create; test_api_input has the wrong shapes of each.


async def test_the_first_run_of_an_interval_is_now(
    api: Api, booper: Booper, clock: VirtualClock, target: FakeTarget
) -> None:
    """Without a start a `repeat_every` runs at once and then on its grid (§3)."""
    await api.create_schedule(repeat_every=[5, "minutes"])
    await booper.wait_idle()
    await run_until(booper, clock, 11)
    assert sent_at(target) == at("12:00", "12:05", "12:10")


async def test_the_first_run_of_a_cron_is_its_next_match(api: Api, clock: VirtualClock) -> None:
    """Without a start a `cron` waits for its next match (§3)."""
    clock.advance(timedelta(seconds=1))
    assert await waiting(api, await api.create_schedule(cron="0 * * * *")) == at("13:00")


async def test_a_cron_begins_after_its_start(api: Api) -> None:
    """`schedule_in` and `scheduled_at` say from when on a cron's matches count."""
    path = await api.create_schedule(cron="0 * * * *", schedule_in=[90, "minutes"])
    assert await waiting(api, path) == at("14:00")
    path = await api.create_schedule(cron="0 * * * *", scheduled_at="2030-01-01T15:00:00Z")
    assert await waiting(api, path) == at("15:00")


# the word of an error, and what is refused for it (§6)
REFUSED_CRONS = {
    "0 9 L * *": "L",
    "0 9 15W * *": "W",
    "0 9 * * 1#2": "#",
    "0 9 ? * 1": "?",
    "R * * * *": "R",
    "H * * * *": "H",
    "@reboot": "@reboot",
    "0 0 9 * * *": "five fields",
    "0 9 * * * 2030": "five fields",
    "0 9 * *": "five fields",
    "0 17-9 * * *": "reversed",
    "5-1 * * * *": "reversed",
    "0 9 * * FRI-MON": "reversed",
    "0 0 31 2 *": "never",
    "0 0 30 FEB *": "never",
    "0 0 31 4,6,9,11 *": "never",
    "60 * * * *": "59",
    "* * * * MOM": "MON",
    "@dayly": "@daily",
}


async def test_a_cron_that_the_contract_refuses_is_422(api: Api) -> None:
    """Each refused form of §6 points at `/cron` and says which part is wrong."""
    for cron, word in REFUSED_CRONS.items():
        response = await api.post("/api/jobs", json={"url": URL, "cron": cron})
        assert pointers(response) == ["/cron"], cron
        assert word in response.json()["errors"][0]["detail"], cron
    assert (await api.get("/api/schedules")).json() == {"data": []}


@pytest.mark.parametrize(
    ("cron", "first"),
    [
        # The clock stands a second past noon of Tuesday 2030-01-01.
        ("@hourly", "2030-01-01T13:00"),
        ("@daily", "2030-01-02T00:00"),
        ("@midnight", "2030-01-02T00:00"),
        ("@weekly", "2030-01-06T00:00"),  # a Sunday
        ("@monthly", "2030-02-01T00:00"),
        ("@yearly", "2031-01-01T00:00"),
        ("@annually", "2031-01-01T00:00"),
        ("0 10 * * MON", "2030-01-07T10:00"),
        ("0 10 * * MON,WED,FRI", "2030-01-02T10:00"),
        ("*/20 13-14 * JAN *", "2030-01-01T13:00"),
        ("0 0 29 2 *", "2032-02-29T00:00"),
        ("0 0 13 * FRI", "2030-01-04T00:00"),  # either: the first Friday
        ("0 0 */2 * FRI", "2030-01-11T00:00"),  # both: an odd day that is a Friday
    ],
)
async def test_a_cron_that_the_contract_has_is_accepted(
    api: Api, clock: VirtualClock, cron: str, first: str
) -> None:
    """Names, lists, steps and aliases work over HTTP as in `test_cron_table`."""
    clock.advance(timedelta(seconds=1))
    data = await api.create(cron=cron)
    assert data["job"]["scheduled_at"] == f"{first}:00.000000Z"


@pytest.mark.parametrize("recurring", [{}, {"repeat_every": [1, "day"]}])
async def test_a_time_without_a_zone_is_in_the_timezone(
    api: Api, recurring: dict[str, object]
) -> None:
    """`timezone` gives a zone-less `scheduled_at` its meaning; others keep their own (§3)."""
    for text, due in [
        ("2030-01-02T09:00:00", "2030-01-02T08:00:00.000000Z"),  # Berlin is an hour ahead
        ("2030-07-02T09:00:00", "2030-07-02T07:00:00.000000Z"),  # and two in summer
        ("2030-01-02T09:00:00Z", "2030-01-02T09:00:00.000000Z"),
        ("2030-01-02T09:00:00-05:00", "2030-01-02T14:00:00.000000Z"),
    ]:
        fields = {"scheduled_at": text, "timezone": "Europe/Berlin", **recurring}
        response = await api.post("/api/jobs", json={"url": URL, **fields})
        assert response.json()["data"]["job"]["scheduled_at"] == due, text


async def test_starts_at_opens_the_window(
    api: Api, booper: Booper, clock: VirtualClock, target: FakeTarget
) -> None:
    """No run lies before `starts_at`; a zone-less one is in `timezone`."""
    path = await api.create_schedule(cron="*/10 * * * *", starts_at="2030-01-01T12:20:00Z")
    assert await waiting(api, path) == at("12:20")
    path = await api.create_schedule(
        cron="0 * * * *", starts_at="2030-01-01T15:30:00", timezone="Europe/Berlin"
    )
    assert await waiting(api, path) == at("15:00")  # 14:30 in UTC
    await run_until(booper, clock, 30, 10)
    assert sent_at(target) == at("12:20", "12:30")


async def test_an_interval_begins_with_its_window(api: Api) -> None:
    """Of an interval that starts later, the start is the first run."""
    path = await api.create_schedule(repeat_every=[1, "hour"], starts_at="2030-01-01T13:15:00Z")
    assert (await api.read(path, "next_runs=2"))["next_runs"] == at("13:15", "14:15")


async def test_ends_at_closes_the_window(
    api: Api, booper: Booper, clock: VirtualClock, target: FakeTarget
) -> None:
    """The last run lies at or before `ends_at`; then nothing waits any more."""
    path = await api.create_schedule(repeat_every=60, ends_at="2030-01-01T12:02:59Z")
    await booper.wait_idle()
    await run_until(booper, clock, 5)
    assert sent_at(target) == at("12:00", "12:01", "12:02")
    assert await waiting(api, path) == []
    assert await skipped(api) == []


async def test_max_runs_bounds_the_runs(
    api: Api, booper: Booper, clock: VirtualClock, target: FakeTarget
) -> None:
    """After that many runs the schedule has ended; retries are none of them."""
    target.respond(httpx.Response(500))
    path = await api.create_schedule(repeat_every=[1, "hour"], max_runs=2, backoff=[60])
    await booper.wait_idle()
    await run_until(booper, clock, 240, 1)
    assert sent_at(target) == at("12:00", "12:00", "13:00")
    assert await waiting(api, path) == []
    assert (await api.read(path))["next_runs"] == []


async def test_jitter_delays_a_run_but_not_its_plan(
    api: Api, booper: Booper, clock: VirtualClock, target: FakeTarget
) -> None:
    """A run is due up to `jitter` after its planned time, which the target is told (§3, §8)."""
    path = await api.create_schedule(
        schedule_in=600, repeat_every=[1, "hour"], jitter=[5, "minutes"]
    )
    due = []
    for hour in ("12", "13", "14", "15"):
        [found] = await waiting(api, path)
        assert f"2030-01-01T{hour}:10:00" <= found <= f"2030-01-01T{hour}:15:00.000000Z"
        due.append(found[14:])
        await run_until(booper, clock, 60, 15)
    assert len(set(due)) > 1
    assert sent_at(target)[:4] == at("12:10", "13:10", "14:10", "15:10")
    assert (await api.read(path, "next_runs=1"))["next_runs"] == at("16:10")


@pytest.mark.parametrize(
    ("overlap", "planned", "left_out"),
    [
        # One run is held from 12:00:00 to 12:00:50; a run every 20 seconds, so none is missed.
        ("skip", ["12:00:00", "12:01:00"], 2),
        ("queue", ["12:00:00", "12:00:20", "12:01:00"], 1),
        ("allow", ["12:00:00", "12:00:20", "12:00:40", "12:01:00"], 0),
    ],
)
async def test_overlap_says_what_runs_beside_a_slow_one(
    api: Api,
    booper: Booper,
    clock: VirtualClock,
    target: FakeTarget,
    overlap: str,
    planned: list[str],
    left_out: int,
) -> None:
    """`skip` leaves out what is due meanwhile, `queue` keeps one waiting, `allow` starts all."""
    target.hold()
    path = await api.create_schedule(repeat_every=20, overlap=overlap)
    await first_arrival(target)
    for second in (20, 40):
        clock.advance(timedelta(seconds=20))
        if overlap != "queue":
            await is_dealt_with(api, path, f"2030-01-01T12:00:{second}.000000Z")
    clock.advance(timedelta(seconds=10))
    if overlap == "queue":
        [held] = await runs(api, path, "state=available")
        assert held["job"]["scheduled_at"] == "2030-01-01T12:00:20.000000Z"
    target.release()
    await booper.wait_idle()
    clock.advance(timedelta(seconds=10))
    await booper.wait_idle()
    assert sorted(sent_at(target)) == [f"2030-01-01T{time}.000000Z" for time in planned]
    assert sum(entry["count"] for entry in await skipped(api)) == left_out


async def first_arrival(target: FakeTarget) -> None:
    """Return when a request has reached the target."""
    while not target.received:
        target.arrived.clear()
        await target.arrived.wait()


async def is_dealt_with(api: Api, path: str, planned_at: str) -> None:
    """Return when the loop has left out or begun the run of a planned time."""
    async with asyncio.timeout(5):
        while await waiting(api, path) <= [planned_at]:
            await api.get("/readyz")  # a write, so that the loop's own come first


async def test_skipped_runs_of_one_gap_are_one_entry(
    api: Api, booper: Booper, clock: VirtualClock, target: FakeTarget
) -> None:
    """What an executing run kept from running is one entry, with the first and last time (§6)."""
    target.hold()
    path = await api.create_schedule(repeat_every=60)
    await first_arrival(target)
    for planned_at in at("12:01", "12:02", "12:03"):
        clock.advance(timedelta(minutes=1))
        await is_dealt_with(api, path, planned_at)
    target.release()
    await booper.wait_idle()
    assert await skipped(api) == [
        {"reason": "overlap", "first": at("12:01")[0], "last": at("12:03")[0], "count": 3}
    ]


async def test_metadata_can_be_left_out(api: Api, booper: Booper, target: FakeTarget) -> None:
    """`metadata: false` sends just the configured body, references replaced (§3)."""
    await api.create_schedule(method="post", body={"seen": "$state.seen", "$$": 1}, metadata=False)
    await booper.wait_idle()
    assert json.loads(target.received[0].read()) == {"seen": None, "$$": 1}


async def test_a_retry_never_overtakes_the_next_run(
    api: Api, booper: Booper, clock: VirtualClock, target: FakeTarget
) -> None:
    """A retry that would fall at or after the next planned time discards the run instead (§8)."""
    target.respond(httpx.Response(500), httpx.Response(500))
    path = await api.create_schedule(repeat_every=60, backoff=[30])
    await booper.wait_idle()
    clock.advance(timedelta(seconds=30))
    await booper.wait_idle()  # the second attempt fails; 30 s later the next run is due
    first = (await runs(api, path))[0]["job"]
    assert (first["state"], first["attempt"]) == ("discarded", 2)
    clock.advance(timedelta(seconds=30))
    await booper.wait_idle()
    assert sent_at(target) == at("12:00", "12:00", "12:01")


@pytest.mark.parametrize("how", ["one", "DELETE", "filter"])
@pytest.mark.parametrize("count", [1, 2])
async def test_a_cancelled_run_is_not_among_the_next(api: Api, how: str, count: int) -> None:
    """Half-hourly from 12:30 on: with the first runs cancelled, the next is the one behind them."""
    path = await api.create_schedule(repeat_every=[30, "minutes"], schedule_in=[30, "minutes"])
    for _ in range(count):
        (job,) = (await api.get("/api/jobs?state=scheduled")).json()["data"]
        match how:
            case "one":
                response = await api.post(f"/api/jobs/{job['job_id']}/cancel")
            case "DELETE":
                response = await api.delete(f"/api/jobs/{job['job_id']}")
            case _:
                response = await api.post("/api/jobs/cancel", json={"all": True})
        assert response.status_code == 200
    expected = at("12:30", "13:00", "13:30", "14:00")[count:]
    assert (await api.read(path, "next_runs=4"))["next_runs"][: len(expected)] == expected
    earlier = await api.read(path, "next_runs=1&after=2030-01-01T12:00:00Z")
    assert earlier["next_runs"] == expected[:1]
