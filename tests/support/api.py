"""A client of booper's API for tests: httpx's own, and the few calls that most tests make."""

from typing import Any

import httpx
from starlette.types import ASGIApp

URL = "https://target.test/hook"
"""Where jobs go that name no other URL."""


class Api(httpx.AsyncClient):
    """A client of an ASGI application, or of what a transport leads to; with a key, it sends that.

    `get`, `post` and the like return responses. The calls below must succeed and return the data.
    """

    def __init__(
        self,
        app: ASGIApp | httpx.AsyncBaseTransport,
        key: str | None = None,
        url: str = "http://booper.test",
    ) -> None:
        if not isinstance(app, httpx.AsyncBaseTransport):
            app = httpx.ASGITransport(app)
        super().__init__(
            transport=app,
            base_url=url,
            headers={"Authorization": f"Bearer {key}"} if key else {},
        )

    async def create(self, **fields: object) -> Any:
        """Create a job or a schedule and return the resource of the job or of the first run."""
        response = await self.post("/api/jobs", json={"url": URL, **fields})
        assert response.status_code == 201, response.text
        return response.json()["data"]

    async def create_id(self, **fields: object) -> int:
        """Create a job and return its number."""
        return int((await self.create(**fields))["job_id"])

    async def create_schedule(self, **fields: object) -> str:
        """Create a schedule, hourly unless the fields say when, and return its path."""
        recurrence = {} if {"cron", "repeat_every"} & set(fields) else {"repeat_every": [1, "hour"]}
        return f"/api/schedules/{(await self.create(**recurrence, **fields))['schedule_id']}"

    async def read(self, path: str, query: str = "") -> Any:
        """Return what is at a path."""
        response = await self.get(f"{path}?{query}" if query else path)
        assert response.status_code == 200, response.text
        return response.json()["data"]

    async def job(self, reference: object) -> Any:
        """Return the inner part of a job by its number or UUID: state, times, attempts."""
        return (await self.read(f"/api/jobs/{reference}"))["job"]

    async def act(self, path: str, body: object = None) -> Any:
        """Post to a path, such as that of a pause or of a cancel, and return the data."""
        response = await (self.post(path) if body is None else self.post(path, json=body))
        assert response.is_success, response.text
        return response.json()["data"]
