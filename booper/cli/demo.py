"""`booper demo`: the check after an install. One request to itself, and how late it was."""

import asyncio
import logging
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import click
import msgspec
import uvloop

from booper import __version__
from booper.cli.dev import benching, temporary_database, throwaway
from booper.cli.text import to_json
from booper.client import AsyncClient
from booper.clock import RunningClock, SystemClock
from booper.config import Config
from booper.dev.bench import PUBLIC_KEY
from booper.engine.observer import Observer
from booper.errors import StartError
from booper.model.job import Attempt, Job, Outcome, Request, State
from booper.travel import Ran, ran

PATIENCE: Final = timedelta(seconds=10)


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a demo: when the request was due, when it came, and the response."""

    url: str
    scheduled_at: datetime
    received_at: datetime
    late_seconds: float
    status: int


def run(delay: timedelta, *, is_json: bool) -> None:
    """Show it, in a folder that goes at the end. Raises: StartError, it does not work."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(message)s")
    say: Callable[[str], None] = (lambda _: None) if is_json else click.echo
    with (
        temporary_database() as path,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        shown = runner.run(show(throwaway(path, "127.0.0.1", 0), delay, say))
    if is_json:
        click.echo(to_json(shown))
    say("booper works here. Continue with `booper serve`, or `booper dev` for development.")


async def show(config: Config, delay: timedelta, say: Callable[[str], None]) -> Shown:
    """Run a booper that sends itself a request. Raises: StartError, it did not come or was late."""
    settled = _Settled()
    clock = RunningClock(SystemClock().now())
    async with benching(config, clock, observers=[settled]) as (bench, url):
        say(f"started   booper {__version__} at {url}")
        target = f"{url}/dev/sink/hello"
        async with AsyncClient(url, PUBLIC_KEY) as client:
            job = await client.jobs.create(
                method="post", url=target, body={"content": "Hello"}, schedule_in=delay
            )
        say(f"created   a job: POST {target} in {delay.total_seconds():g} s")
        result = await _awaited(settled.result, delay + PATIENCE)
        if result.state is not State.COMPLETED or result.status is None:
            raise StartError(
                f"the request did not arrive: {result.error or result.status}; check whether "
                f"a firewall or a proxy on this machine blocks {target}"
            )
        (arrived,) = bench.sink.arrived("/hello")
        received_at = datetime.fromisoformat(arrived.received_at)
        late = (received_at - job.scheduled_at).total_seconds()
        say(f"arrived   {arrived.body}, {late * 1e3:.1f} ms late")
        duration = result.duration.total_seconds() * 1e3
        say(f"responded {result.status} after {duration:.1f} ms: the job is {result.state}")
        return Shown(
            url=target,
            scheduled_at=job.scheduled_at,
            received_at=received_at,
            late_seconds=late,
            status=result.status,
        )


async def _awaited(result: "asyncio.Future[Ran]", patience: timedelta) -> Ran:
    try:
        async with asyncio.timeout(patience.total_seconds()):
            return await result
    except TimeoutError:
        raise StartError(
            f"no request arrived within {patience.total_seconds():g} s; is this machine very busy, "
            "or is its clock being set?"
        ) from None


class _Settled(Observer):
    """What waits for the first attempt's end."""

    def __init__(self) -> None:
        self.result: asyncio.Future[Ran] = asyncio.get_running_loop().create_future()

    def settled(
        self, attempt: Attempt, request: Request | None, outcome: Outcome, job: Job
    ) -> None:
        """Keep what came of it."""
        if not self.result.done():
            self.result.set_result(ran(attempt, request, outcome, job))
