"""A batch costs no more than what came in: errors, hints, its responses, its transactions."""

from typing import Any

import httpx
import pytest

from booper.api.budget import MAX_BATCH_ERRORS, MAX_HINTS

pytestmark = pytest.mark.anyio

URL = "https://target.test/"
COUNT = 1_000
MIB = 1 << 20


async def responses(api: httpx.AsyncClient, jobs: list[Any], query: str = "") -> list[Any]:
    """Post a batch and return its responses."""
    response = await api.post(f"/api/jobs/batch{query}", json={"jobs": jobs})
    assert response.status_code == 201, response.text[:300]
    found: list[Any] = response.json()["data"]
    return found


def details(found: list[Any]) -> list[str]:
    """Return the details of all errors."""
    return [error["detail"] for item in found for error in item["error"]["errors"]]


@pytest.mark.parametrize(
    ("job", "pointer"),
    [
        ({"timezone": "Europe/Berlyn{n}", "cron": "0 0 * * *"}, "/timezone"),
        ({"timezone": "Erope/Berlin{n}", "scheduled_at": "2040-01-01T00:00"}, "/timezone"),
        ({"schedule_inn{n}": 1}, "/schedule_inn{n}"),
        ({"shedule_in{n}": 1}, "/shedule_in{n}"),
    ],
)
async def test_what_may_be_meant_is_looked_for_a_few_times_in_a_batch(
    api: httpx.AsyncClient, job: dict[str, Any], pointer: str
) -> None:
    """Each of a thousand wrong items says what is wrong, the first ten also what may be meant."""
    jobs = [
        {"url": URL, **{name.format(n=n): _filled(value, n) for name, value in job.items()}}
        for n in range(COUNT)
    ]
    found = await responses(api, jobs)
    assert [item["error"]["errors"][0]["pointer"] for item in found] == [
        pointer.format(n=n) for n in range(COUNT)
    ]
    assert sum("did you mean" in detail for detail in details(found)) == MAX_HINTS
    assert all("unknown" in detail for detail in details(found))


def _filled(value: Any, number: int) -> Any:
    return value.format(n=number) if isinstance(value, str) else value


async def test_the_errors_of_a_batch_are_bounded(api: httpx.AsyncClient) -> None:
    """A thousand items with 101 wrong fields each: a hundred errors each for ten of them, then one.

    Ten hundreds are `MAX_BATCH_ERRORS`.
    """
    jobs = [{"url": URL, **{f"u{n}": 1 for n in range(101)}} for _ in range(COUNT)]
    found = await responses(api, jobs)
    counts = [len(item["error"]["errors"]) for item in found]
    assert counts == [100] * (MAX_BATCH_ERRORS // 100) + [1] * (COUNT - MAX_BATCH_ERRORS // 100)


async def test_jobs_that_were_there_are_shown_in_full_up_to_4_mib(api: httpx.AsyncClient) -> None:
    """A thousand short creates that name one large job are not answered with a gigabyte."""
    large = {"url": URL, "body": "x" * (MIB - 1_000), "schedule_in": 60, "idempotency_key": "key"}
    assert (await api.post("/api/jobs", json=large)).status_code == 201
    found = await responses(api, [{"url": URL, "idempotency_key": "key"}] * 100)
    assert [item["status"] for item in found] == [200] * 100
    assert [item.get("is_shortened", False) for item in found] == [False] * 4 + [True] * 96
    assert {item["data"]["job_id"] for item in found} == {found[0]["data"]["job_id"]}
    assert {len(item["data"]["args"]) for item in found} == {4, 0}


async def test_an_atomic_batch_has_up_to_4_mib(api: httpx.AsyncClient) -> None:
    """It is one transaction, which others wait for; without `atomic` the same jobs are taken."""
    jobs = [{"url": URL, "body": "x" * (MIB - 1_000), "schedule_in": 60}] * 5
    response = await api.post("/api/jobs/batch?atomic=true", json={"jobs": jobs})
    assert response.status_code == 422
    [error] = response.json()["errors"]
    assert error["pointer"] == "/jobs"
    assert "at most 4194304 bytes" in error["detail"]
    assert (await api.get("/api/jobs")).json()["data"] == []
    assert {item["status"] for item in await responses(api, jobs[:3], "?atomic=true")} == {201}
    assert {item["status"] for item in await responses(api, jobs)} == {201}


async def test_a_batch_of_every_kind_is_answered_in_order(api: httpx.AsyncClient) -> None:
    """Parts begin anywhere: plain jobs, tags, keys, schedules and wrong ones keep their places."""
    kinds: list[tuple[dict[str, Any], int]] = [
        ({"schedule_in": 60}, 201),
        ({"schedule_in": 60, "tags": [f"tag {n}" for n in range(20)]}, 201),
        ({"schedule_in": 60, "idempotency_key": "same"}, 200),
        ({"cron": "0 0 29 2 */7"}, 201),
        ({"nothing": 1}, 422),
        ({"schedule_in": 60, "body": "x" * 70_000}, 201),
    ]
    jobs = [{"url": f"{URL}{n}", **fields} for n in range(50) for fields, _ in kinds]
    found = await responses(api, jobs)
    expected = [status for _ in range(50) for _, status in kinds]
    expected[2] = 201
    assert [item["status"] for item in found] == expected
    for job, item in zip(jobs, found, strict=True):
        if item["status"] == 201:
            assert item["data"]["args"]["url"] == job["url"]


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ({"a": [1] * 30_000}, "at most 4096 parameters, got 30000"),
        ({f"a{n}": "" for n in range(5_000)}, "at most 4096 parameters, got 5000"),
        ({"a": "x" * 70_000}, "must have at most 65536 bytes of JSON"),
        ({"a": [[]] * 100_000}, "must have at most 65536 bytes of JSON"),
    ],
)
@pytest.mark.parametrize("more", [{}, {"repeat_every": 60}])
async def test_a_query_that_no_url_could_hold_is_refused(
    api: httpx.AsyncClient, query: Any, detail: str, more: dict[str, Any]
) -> None:
    """A URL has at most 8,192 characters, a parameter at least two."""
    response = await api.post("/api/jobs", json={"url": URL, "query": query, **more})
    assert response.status_code == 422
    [error] = response.json()["errors"]
    assert error["pointer"] == "/query"
    assert detail in error["detail"]
