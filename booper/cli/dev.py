"""`booper dev`: the process around the bench: its folder, its socket, its terminal."""

import asyncio
import logging
import os
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, nullcontext
from pathlib import Path
from typing import Final

from msgspec.structs import asdict, replace

from booper import __version__
from booper.cli.addresses import local_url
from booper.cli.binding import bound, bound_addresses
from booper.cli.process import run_process, stop_event, tune_gc, until_stopped
from booper.cli.streams import say
from booper.clock import RunningClock, SystemClock
from booper.config import Channels, Client, Config, Database, Targets
from booper.dev.bench import PUBLIC_KEY, Bench, Watcher
from booper.dev.console import Console, Screen
from booper.dev.layout import wrap
from booper.engine.observer import Observer
from booper.server.limits import Limits
from booper.server.listener import Listener, listening
from booper.temporary import locked_folder

DEFAULT_COLUMNS: Final = 80

# What a file says of these is for a booper that others rely on. None is a whole table.
_IGNORED: Final[Mapping[str, Sequence[str] | None]] = {
    "server": ("host", "port", "rate_limit", "rate_burst"),
    "database": None,
    "targets": None,
    "delivery": ("grace_seconds",),
    "channels": None,
    "client": None,
}


def run(
    given: Config,
    hosts: Sequence[str],
    port: int,
    database: str | None,
    maps: Sequence[str],
    *,
    is_frozen: bool,
    is_shown: bool,
) -> None:
    """Serve a developer until `q` or a signal; `is_shown` is whether each job is shown.

    Raises:
        StartError: it cannot start.
    """
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(message)s")
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)  # the sink breaks off on purpose
    if is_shown:  # the console says more of each attempt
        logging.getLogger("booper.attempts").setLevel(logging.CRITICAL)
    kept = nullcontext(Path(database)) if database is not None else temporary_database()
    with kept as path:
        config = throwaway(path, tuple(hosts), port, given)
        ignored = ignored_settings(given)
        run_process(_serve(config, maps, ignored, is_frozen=is_frozen, is_shown=is_shown))


def throwaway(
    database: Path, host: str | tuple[str, ...], port: int, given: Config | None = None
) -> Config:
    """Return settings for a booper that nobody relies on: any target is fine.

    How requests are sent, retried and signed is as in `given`.
    """
    given = given or Config()
    server = replace(given.server, host=host, port=port, rate_limit=0.0)
    return replace(
        given,
        server=server,
        database=Database(path=str(database), durability="normal"),
        targets=Targets(require_https=False, allow_private_networks=True),
        delivery=replace(given.delivery, grace_seconds=0),
        channels=Channels(),
        client=Client(),
    )


def ignored_settings(given: Config) -> list[str]:
    """Return which settings that were changed mean nothing here, such as "[server] port"."""
    return [
        f"[{table}] {name}"
        for table, names in _IGNORED.items()
        for name, value in asdict(getattr(given, table)).items()
        if (names is None or name in names) and value != getattr(getattr(Config(), table), name)
    ]


@contextmanager
def temporary_database() -> Iterator[Path]:
    """Return where a database may lie, in a folder that goes at the end. Raises: StartError.

    Folders of processes that were killed go now. They had another prefix before they were locked.
    """
    with locked_folder("booper-bench-") as folder:
        yield folder / "booper.db"


@asynccontextmanager
async def benching(
    config: Config,
    clock: RunningClock,
    *,
    maps: Sequence[str] = (),
    observers: Sequence[Observer] = (),
    watcher: Watcher | None = None,
) -> AsyncIterator[tuple[Bench, str]]:
    """Run a bench that listens, and tell its URL. Raises: StartError."""
    with bound(config.server.hosts, config.server.port) as sockets:
        addresses = bound_addresses(sockets)
        url = local_url(*addresses[0])
        bench = Bench(
            config,
            clock,
            address=addresses,
            url=url,
            maps=maps,
            observers=observers,
            watcher=watcher,
        )
        limits = Limits(connections=config.server.max_connections)
        async with bench:
            grace = config.delivery.grace_seconds
            listener = Listener(
                bench.asgi, grace, sockets, limits, lambda: bench.booper.is_crowded()
            )
            async with listening(listener):
                yield bench, url


async def _serve(
    config: Config, maps: Sequence[str], ignored: Sequence[str], *, is_frozen: bool, is_shown: bool
) -> None:
    clock = RunningClock(SystemClock().now(), is_frozen=is_frozen)
    console = Console(clock, _screen(), asyncio.get_running_loop().call_later)
    stop = stop_event()
    watcher = console if is_shown else None
    async with AsyncExitStack() as stack:
        bench, url = await stack.enter_async_context(
            benching(config, clock, maps=maps, watcher=watcher)
        )
        tune_gc()
        _greet(url, clock, ignored)
        if is_shown and sys.stdin.isatty() and sys.stdout.isatty():
            _listen_to_keys(stack, bench, console, stop)
        await until_stopped(stop, bench.wait_failed)


def _listen_to_keys(
    stack: AsyncExitStack, bench: Bench, console: Console, stop: asyncio.Event
) -> None:
    from booper.dev.keys import HELP, Keys
    from booper.dev.terminal import pressed  # terminals are not everywhere

    keys = Keys(bench, console, stop.set)
    stack.push_async_callback(keys.close)
    stack.enter_context(pressed(sys.stdin.fileno(), keys.press))
    console.say(*HELP)


def _screen() -> Screen:
    """Return what standard output can show."""
    is_terminal = sys.stdout.isatty()
    is_dumb = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    return Screen(
        write=say,
        width=_columns if is_terminal else lambda: None,
        is_colored=is_terminal and not is_dumb,
        is_plain=not (sys.stdout.encoding or "").lower().startswith("utf"),
    )


def _columns() -> int:
    """Return the terminal's width now; it may be resized at any time."""
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or DEFAULT_COLUMNS
    except OSError:  # it is gone
        return DEFAULT_COLUMNS


def _greet(url: str, clock: RunningClock, ignored: Sequence[str]) -> None:
    time = "stands still" if clock.is_frozen else "runs"
    unused = f"Ignored by booper dev: {', '.join(ignored)}."
    key = f"-H 'Authorization: Bearer {PUBLIC_KEY}'"
    json = "-H 'Content-Type: application/json'"
    say(
        f"booper {__version__} for development on {url}\n"
        "Requests to https://scheduler.booper.dev go to this booper.\n"
        f"The key is {PUBLIC_KEY}.\n"
        f"The clock {time} at {clock.now():%Y-%m-%d %H:%M:%S} UTC."
    )
    if ignored:
        say("\n".join(wrap([unused], _columns() if sys.stdout.isatty() else len(unused))))
    say(
        "\nTry it: create a reminder for three days from now, and move the clock there.\n\n"
        f"    curl {url}/api/jobs \\\n      {key} \\\n      {json} \\\n"
        '      -d \'{"method": "post", "schedule_in": [3, "days"],\n'
        f'           "url": "{url}/dev/sink/hello"}}\'\n'
        f"    curl {url}/api/dev/clock \\\n      {key} \\\n      {json} \\\n"
        '      -d \'{"advance": [3, "days"]}\'\n'
        f"    curl {url}/api/dev/sink \\\n      {key}\n"
    )
