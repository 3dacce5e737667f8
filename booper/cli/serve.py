"""`booper serve`: the daemon's process: its sockets, its signals, its log and its first words."""

import asyncio
import gc
import logging
import os
import shlex
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import click
import uvloop

from booper import __version__
from booper.app import Booper
from booper.cli.addresses import is_every_address, local_url
from booper.cli.binding import bound, bound_addresses
from booper.cli.logging_setup import log_to
from booper.cli.streams import say
from booper.config import Config
from booper.first_key import Address
from booper.server.files import raise_file_limit
from booper.server.limits import Limits
from booper.server.listener import Listener, check_socket_path
from booper.store.sqlite import FirstKeyFile

log = logging.getLogger("booper")

STOPPED_AT_ONCE = 130


def run(config: Config, api_key: str | None) -> None:
    """Serve until a signal; a second one stops at once, as a crash would.

    Raises:
        StartError: booper cannot start.
    """
    log_to(sys.stderr)
    raise_file_limit()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(config, api_key))


async def _serve(config: Config, api_key: str | None) -> None:
    stop = _stop_event()
    database = Path(config.database.path)
    with bound(config.server.hosts, config.server.port) as sockets:
        addresses = bound_addresses(sockets)
        check_socket_path(database)
        booper = Booper(config, api_key=api_key, address=addresses, follow=False)
        async with booper:
            grace = config.delivery.grace_seconds
            limits = Limits(connections=config.server.max_connections)
            listener = Listener(booper.asgi, grace, sockets, limits, booper.is_crowded)
            tune_gc()
            _greet(config, addresses, booper.first_key)
            await _until_stopped(booper, listener, stop)


async def _until_stopped(booper: Booper, listener: Listener, stop: asyncio.Event) -> None:
    """Listen until told to stop, or until the loop fails: without it nothing would be sent."""
    async with asyncio.TaskGroup() as group:
        group.create_task(listener.listen())
        loop = asyncio.create_task(booper.wait_failed())
        told = asyncio.create_task(stop.wait())
        await asyncio.wait({loop, told}, return_when=asyncio.FIRST_COMPLETED)
        with suppress(OSError):
            click.echo("booper is stopping; a second signal stops it at once", err=True)
        listener.close()
        await booper.drain()
    told.cancel()
    await loop


def tune_gc() -> None:
    """Keep what the imports have made out of each garbage collection, and collect less often.

    A full one would stop the loop for 20 ms to look through that again (measured). Little of what
    a request or a job makes is for the collector; by the library's own threshold of 700 objects it
    looks for it so often that this takes 3 % of the time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)


def _stop_event() -> asyncio.Event:
    """Return an event that the first SIGINT or SIGTERM sets; the second ends the process.

    So does SIGHUP on a terminal, however often it comes: a terminal that closes and the shell in
    it both send one. Without a terminal it is what asks daemons to read their settings again.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal() -> None:
        if stop.is_set():
            os._exit(STOPPED_AT_ONCE)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, on_signal)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as nohup sets it
        on_hangup = stop.set if _is_on_terminal() else _keep_settings
        loop.add_signal_handler(signal.SIGHUP, on_hangup)
    return stop


def _is_on_terminal() -> bool:
    """Return whether one of the standard streams is a terminal."""
    return any(_is_terminal(number) for number in range(3))


def _is_terminal(number: int) -> bool:
    try:
        return os.isatty(number)
    except OSError:  # it is closed
        return False


def _keep_settings() -> None:
    log.warning("SIGHUP changes nothing: settings are read at the start; restart to change them")


def _greet(config: Config, addresses: Sequence[Address], first_key: str | None) -> None:
    """Print where booper listens; of a first start also the key, or where that is."""
    url, *others = dict.fromkeys(local_url(host, port) for host, port in addresses)
    say(f"booper {__version__} serves {config.database.path} on {url}")
    for other in others:
        say(f"and on {other}")
    every = [host for host, _ in addresses if is_every_address(host)]
    if every:
        say(
            f"It listens on every address of this machine ({', '.join(every)}). "
            "From another machine, use its name or address instead."
        )
    file = FirstKeyFile(Path(config.database.path))
    is_on_terminal = sys.stdout.isatty()
    if first_key is not None and is_on_terminal:
        say(
            "\nYour first API key; it is shown only this once:\n\n"
            f"    export BOOPER_API_KEY={first_key}\n"
        )
        _show_a_try(url)
        file.remove()
    elif file.path.exists() and (first_key is not None or is_on_terminal):
        say(
            f"\nYour first API key is in {file.path}, for its owner alone to read:\n\n"
            f'    export BOOPER_API_KEY="$(cat {shlex.quote(str(file.path))})"\n'
        )
        _show_a_try(url)
    elif file.path.exists():
        log.info("the first API key is still in %s; delete the file when you have it", file.path)


def _show_a_try(url: str) -> None:
    authorization = '-H "Authorization: Bearer $BOOPER_API_KEY"'
    say(
        "Try it: this request is sent to booper itself in five seconds.\n\n"
        f"    curl -X POST {url}/api/jobs \\\n"
        f"      {authorization} \\\n"
        "      -H 'Content-Type: application/json' \\\n"
        f'      -d \'{{"method": "post", "url": "{url}/api/echo", '
        '"body": {"content": "Hello"}, "schedule_in": [5, "seconds"]}\'\n\n'
        "Then see what happened:\n\n"
        f"    curl {authorization} {url}/api/jobs/1\n"
        f"    curl {authorization} {url}/api/logs\n"
    )
