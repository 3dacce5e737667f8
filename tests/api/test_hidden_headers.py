"""Creates with hidden headers of another job: sent to its origin alone, and never shown."""

from typing import Any

import pytest

from booper.app import Booper
from tests.support.api import URL, Api
from tests.support.target import FakeTarget

pytestmark = pytest.mark.anyio

SECRET = "Bearer s3cr3t"


@pytest.fixture
async def job_id(api: Api) -> int:
    """Return a job with a secret header that waits for an hour."""
    headers = {"Authorization": SECRET, "X-Shop": "one"}
    return await api.create_id(headers=headers, schedule_in=3600)


async def create(api: Api, job_id: object, **fields: Any) -> Any:
    """Return the response to a create with the hidden headers of a job."""
    body = {"url": URL, "headers": {"authorization": "[redacted]"}, **fields}
    return await api.post(f"/api/jobs?headers_from={job_id}", json=body)


async def test_the_value_is_sent_and_not_shown(
    booper: Booper, api: Api, target: FakeTarget, job_id: int
) -> None:
    """Neither by the create, nor by the job, nor by its log."""
    created = await create(api, job_id)
    assert created.status_code == 201
    await booper.wait_idle()
    assert target.received[-1].headers["authorization"] == SECRET
    new_id = created.json()["data"]["job_id"]
    shown = [
        created,
        await api.get(f"/api/jobs/{new_id}"),
        await api.get(f"/api/logs?job_id={new_id}"),
    ]
    for response in shown:
        assert "s3cr3t" not in response.text
        assert "[redacted]" in response.text


async def test_the_uuid_names_the_job_too(api: Api, job_id: int) -> None:
    """As in paths."""
    uuid = (await api.read(f"/api/jobs/{job_id}"))["id"]
    assert (await create(api, uuid)).status_code == 201


async def test_a_schedule_keeps_it(
    booper: Booper, api: Api, target: FakeTarget, job_id: int
) -> None:
    """For each of its runs."""
    created = await create(api, job_id, repeat_every=3600)
    await booper.wait_idle()
    assert target.received[-1].headers["authorization"] == SECRET
    assert "s3cr3t" not in created.text


@pytest.mark.parametrize(
    "url",
    [
        "https://other.test/hook",
        "http://target.test/hook",
        "https://target.test:8443/hook",
        "https://target.test.evil.test/",
        "https://target.test@evil.test/",
    ],
)
@pytest.mark.parametrize("query", ["", "&dry_run=true"])
async def test_another_origin_gets_nothing(api: Api, job_id: int, url: str, query: str) -> None:
    """Whatever it looks like; the error stands at the header, or at the URL."""
    response = await create(api, f"{job_id}{query}", url=url)
    assert response.status_code == 422
    [error] = response.json()["errors"]
    assert error["pointer"] == ("/url" if "@" in url else "/headers/authorization")
    assert "s3cr3t" not in response.text
    assert len(await api.read("/api/jobs")) == 1


async def test_another_header_gets_nothing(api: Api, job_id: int) -> None:
    """Under a name that is not hidden, a value could be read."""
    response = await create(api, job_id, headers={"X-Other": "[redacted]"})
    assert response.status_code == 422
    [error] = response.json()["errors"]
    assert error["pointer"] == "/headers/X-Other"


async def test_a_dry_run_shows_it_redacted(api: Api, job_id: int) -> None:
    """As a create does."""
    response = await create(api, f"{job_id}&dry_run=true")
    assert response.status_code == 200
    assert "s3cr3t" not in response.text


@pytest.mark.parametrize("name", ["999", "x", "", "-1", "9" * 30])
async def test_a_job_that_is_not_there_is_an_error(api: Api, name: str) -> None:
    """At the parameter."""
    response = await create(api, name)
    assert response.status_code == 422
    assert response.json()["errors"][0]["pointer"] == "/headers_from"


async def test_a_job_of_another_user_is_not_there(booper: Booper, admin: Api, job_id: int) -> None:
    """As everywhere."""
    key = (await admin.act("/api/keys", {"name": "b", "scope": "write", "user": "bob"}))["key"]
    async with Api(booper.asgi, key) as bob:
        response = await create(bob, job_id)
        assert response.status_code == 422
        assert response.json()["errors"][0]["pointer"] == "/headers_from"


async def test_without_the_parameter_the_text_is_a_value(
    booper: Booper, api: Api, target: FakeTarget
) -> None:
    """A job may send whatever text."""
    await api.create(headers={"X": "[redacted]"})
    await booper.wait_idle()
    assert target.received[-1].headers["x"] == "[redacted]"
