"""`booper dev`: the process around the bench: its folder, its socket, its terminal."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, nullcontext, suppress
from pathlib import Path

import click
import uvloop

from booper import __version__
from booper.cli.addresses import local_url
from booper.cli.binding import bound, bound_addresses
from booper.cli.serve import spare_collector
from booper.cli.streams import say
from booper.clock import RunningClock, SystemClock
from booper.config import Config, Database, Delivery, Server, Targets
from booper.dev.bench import PUBLIC_KEY, Bench
from booper.dev.console import Console
from booper.engine.observer import Observer
from booper.server.door import Limits
from booper.server.files import raise_file_limit
from booper.server.listener import Listener, listening
from booper.temporary import temporary_folder


def run(
    hosts: Sequence[str],
    port: int,
    database: str | None,
    maps: Sequence[str],
    *,
    is_frozen: bool,
    is_shown: bool | None,
) -> None:
    """Serve a developer until `q` or a signal; `is_shown` is whether there is a console.

    Raises:
        StartError: it cannot start.
    """
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(message)s")
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)  # the sink breaks off on purpose
    raise_file_limit()
    kept = nullcontext(Path(database)) if database is not None else temporary_database()
    with kept as path, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        config = throwaway(path, tuple(hosts), port)
        runner.run(_serve(config, maps, is_frozen=is_frozen, is_shown=is_shown))


def throwaway(database: Path, host: str | tuple[str, ...], port: int) -> Config:
    """Return settings for a booper that nobody relies on: any target is fine."""
    return Config(
        server=Server(host=host, port=port),
        database=Database(path=str(database), durability="normal"),
        targets=Targets(require_https=False, allow_private_networks=True),
        delivery=Delivery(grace_seconds=0),
    )


@contextmanager
def temporary_database() -> Iterator[Path]:
    """Return where a database may lie, in a folder that goes at the end. Raises: StartError."""
    with temporary_folder("booper-dev-") as folder:
        yield folder / "booper.db"


@asynccontextmanager
async def benching(
    config: Config,
    clock: RunningClock,
    *,
    maps: Sequence[str] = (),
    observers: Sequence[Observer] = (),
) -> AsyncIterator[tuple[Bench, str]]:
    """Run a bench that listens, and tell its URL. Raises: StartError."""
    with bound(config.server.hosts, config.server.port) as sockets:
        addresses = bound_addresses(sockets)
        bench = Bench(config, clock, address=addresses, maps=maps, observers=observers)
        limits = Limits(connections=config.server.max_connections)
        async with bench:
            listener = Listener(bench.asgi, config.delivery.grace_seconds, sockets, limits)
            async with listening(listener):
                yield bench, local_url(*addresses[0])


async def _serve(
    config: Config, maps: Sequence[str], *, is_frozen: bool, is_shown: bool | None
) -> None:
    clock = RunningClock(SystemClock().now(), is_frozen=is_frozen)
    console = _console(clock)
    stop = _stop_event()
    is_seen = sys.stdout.isatty() if is_shown is None else is_shown
    observers = [console] if is_seen else []
    async with AsyncExitStack() as stack:
        bench, url = await stack.enter_async_context(
            benching(config, clock, maps=maps, observers=observers)
        )
        spare_collector()
        _greet(url, clock)
        if is_seen and sys.stdin.isatty():
            _listen_to_keys(stack, bench, console, stop)
        await _until_stopped(bench, stop)


async def _until_stopped(bench: Bench, stop: asyncio.Event) -> None:
    """Wait until told to stop. Raises: whatever ended the loop before that."""
    loop = asyncio.create_task(bench.wait_failed())
    told = asyncio.create_task(stop.wait())
    await asyncio.wait({loop, told}, return_when=asyncio.FIRST_COMPLETED)
    told.cancel()
    if not loop.done():
        loop.cancel()
    else:
        loop.result()


def _listen_to_keys(
    stack: AsyncExitStack, bench: Bench, console: Console, stop: asyncio.Event
) -> None:
    from booper.dev.keys import HELP, Keys, pressed  # terminals are not everywhere

    keys = Keys(bench, console, stop.set)
    stack.push_async_callback(keys.close)
    stack.enter_context(pressed(keys.press))
    console.say(HELP)


def _console(clock: RunningClock) -> Console:
    is_colored = sys.stdout.isatty() and not os.environ.get("NO_COLOR")

    def write(line: str) -> None:
        with suppress(OSError):  # whoever read it is gone, which is nothing to the jobs
            click.echo(line, color=is_colored)

    return Console(clock, write, is_colored=is_colored)


def _stop_event() -> asyncio.Event:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


def _greet(url: str, clock: RunningClock) -> None:
    time = "stands still" if clock.is_frozen else "runs"
    say(
        f"booper {__version__} for development on {url}, also as https://scheduler.booper.dev\n"
        f"The key is {PUBLIC_KEY}; the clock {time} at {clock.now():%Y-%m-%d %H:%M:%S} UTC.\n\n"
        "Try it: remind the sink in three days, and let them pass.\n\n"
        f"    curl {url}/api/jobs -H 'Authorization: Bearer {PUBLIC_KEY}' \\\n"
        "      -H 'Content-Type: application/json' \\\n"
        f'      -d \'{{"method": "post", "url": "{url}/dev/sink/hello", '
        '"schedule_in": [3, "days"]}\'\n'
        f"    curl {url}/api/dev/clock -H 'Authorization: Bearer {PUBLIC_KEY}' \\\n"
        "      -H 'Content-Type: application/json' -d '{\"advance\": [3, \"days\"]}'\n"
        f"    curl {url}/api/dev/sink -H 'Authorization: Bearer {PUBLIC_KEY}'\n"
    )
