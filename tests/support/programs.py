"""Little programs to send requests to: what the published examples call, written for these tests.

Each is a function of a request that keeps its own state, as a real one would in its database. They
know of booper only what it sends them.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import httpx
import msgspec

from tests.support.target import FakeTarget

Program = Callable[[httpx.Request], httpx.Response]


class Hosts(FakeTarget):
    """A target on which programs live, each at its host; elsewhere it answers by its script."""

    def __init__(self, programs: Mapping[str, Program]) -> None:
        super().__init__()
        self._programs = programs

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Record a request and let the program at its host answer it."""
        program = self._programs.get(request.url.host)
        if program is None:
            return await super().handle_async_request(request)
        self.received.append(request)
        self.arrived.set()
        await self._open.wait()
        return program(request)


def content_of(request: httpx.Request) -> bytes:
    """Return a request's body."""
    assert isinstance(request.stream, httpx.ByteStream)
    return b"".join(request.stream)


def json_of(request: httpx.Request) -> Any:
    """Return a request's body, which must be JSON."""
    return msgspec.json.decode(content_of(request))


def planned_at(request: httpx.Request) -> datetime:
    """Return the planned time that a request names."""
    return datetime.fromisoformat(request.headers["booper-scheduled-at"])


def helpers(request: httpx.Request) -> httpx.Response:
    """Answer as the hosted service's helper paths do."""
    match request.method, request.url.path:
        case "GET", "/api/ping":
            return httpx.Response(200, json={"message": "Pong"})
        case "POST", "/api/broadcast":
            return httpx.Response(200, json=json_of(request))
        case _:
            return httpx.Response(404)


class DiscordWebhook:
    """Show messages in a channel; answer 204 and nothing else, as Discord does."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Show the posted content."""
        self.messages.append(json_of(request)["content"])
        return httpx.Response(204)


class StoryAlerts:
    """Alert to stories with enough points, but for those it is told to leave out.

    A story appears before each call; the one of the n-th call, from 1 on, has 250 points if n is
    even, else 150. `alerted` are the stories it has told about, by their numbers.
    """

    def __init__(self) -> None:
        self.alerted: list[int] = []
        self._calls = 0

    def sent_after(self, request: httpx.Request) -> list[int]:
        """Alert to what is new; return all that was sent by now."""
        self._calls += 1
        body = json_of(request)
        exclude: list[int] = body["exclude"] or []
        stories = {number: 150 + 100 * (number % 2 == 0) for number in range(1, self._calls + 1)}
        new = [n for n, points in stories.items() if points >= body["min"] and n not in exclude]
        self.alerted += new
        return [*exclude, *new]

    def answer_previous(self, request: httpx.Request) -> httpx.Response:
        """Answer what was sent, to be told of it by the next run."""
        return httpx.Response(200, json={"sent": self.sent_after(request)})

    def answer_state(self, request: httpx.Request) -> httpx.Response:
        """Respond with what is to be sent again, by every run from now on."""
        return httpx.Response(200, json={"$set": {"sent": self.sent_after(request)}})


class Announcements:
    """Mail the newest release, unless it was the last one mailed.

    Release n, from 1 on, comes out n times `every` after `since`.
    """

    def __init__(self, since: datetime, every: timedelta) -> None:
        self.mailed: list[int] = []
        self._since = since
        self._every = every

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Mail if there is something new, and ask to be reminded of it."""
        newest = (planned_at(request) - self._since) // self._every
        if newest == (json_of(request)["last_sent_release"] or 0):
            return httpx.Response(200, json={"email": None})
        self.mailed.append(newest)
        email = f"Release {newest} is out"
        return httpx.Response(200, json={"email": email, "$set": {"last_sent_release": newest}})


class WelcomeMail:
    """Send a mail to whoever has the key; `sent` are the addresses."""

    def __init__(self, key: str) -> None:
        self.sent: list[str] = []
        self._key = key

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Send the mail that is asked for."""
        if request.headers.get("authorization") != f"Bearer {self._key}":
            return httpx.Response(401)
        self.sent.append(json_of(request)["to"])
        return httpx.Response(200, json={"id": "49a3999c"})
