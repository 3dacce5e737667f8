"""`booper serve`: the daemon's process: its sockets, its signals and its log."""

import asyncio
import faulthandler
import logging
import os
import socket
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

from booper.app import Booper
from booper.cli.addresses import local_url
from booper.cli.binding import bound, bound_addresses
from booper.cli.greeting import greet, say_stopping
from booper.cli.logging_setup import log_to
from booper.cli.process import run_process, stop_event, tune_gc, until_stopped
from booper.cli.stuck import watched
from booper.cli.supervisor import BEATS_PER_TIMEOUT, Supervisor
from booper.clock import SystemClock
from booper.config import Config, Server
from booper.databases import shown
from booper.errors import ConfigError, StoreUnavailable
from booper.server.limits import Limits
from booper.server.listener import Listener, check_socket_path, listening
from booper.setting_changes import Changes

log = logging.getLogger("booper")

# How long a loop may be stuck where no service manager says it; at half of it the log has why.
PATIENCE = timedelta(seconds=60)


def run(read: Callable[[], Config], api_key: str | None) -> None:
    """Serve until a signal; a second one stops at once, as a crash would.

    `read` returns the settings; SIGHUP has them read again.

    Raises:
        StartError: booper cannot start.
    """
    config = read()
    log_to(sys.stderr, config.logging)
    # A watchdog ends a process that is stuck by SIGABRT: the log then has where its main thread
    # was. The frames of threads that run meanwhile cannot be read here; `watched` logs those.
    with suppress(ValueError, OSError):  # standard error is closed
        faulthandler.enable(all_threads=False)
    run_process(_serve(config, read, api_key))


async def _serve(config: Config, read: Callable[[], Config], api_key: str | None) -> None:
    hangup = asyncio.Event()
    stop = stop_event(hangup.set)
    supervisor = Supervisor(os.environ)
    with _listened_on(config.server, supervisor.sockets()) as sockets:
        addresses = bound_addresses(sockets)
        if not config.database.url:
            check_socket_path(Path(config.database.path))
        async with Booper(config, api_key=api_key, address=addresses, follow=False) as booper:
            grace = config.delivery.grace_seconds
            limits = Limits(connections=config.server.max_connections)
            listener = Listener(booper.asgi, grace, sockets, limits, booper.is_crowded)
            tune_gc()
            greet(config, addresses, booper.first_key)
            status = f"serves {shown(config)} on {local_url(*addresses[0])}"
            async with (
                listening(listener) as listeners,
                _beside(
                    _supervise(supervisor, booper, status),
                    _reload_forever(hangup, booper, read, supervisor, status),
                ),
            ):
                try:
                    await until_stopped(stop, booper.wait_failed, listeners)
                finally:
                    supervisor.stopping()
                    say_stopping(booper.config.logging)
                    listener.close()
                    await booper.drain()


@contextmanager
def _listened_on(server: Server, passed: list[socket.socket]) -> Iterator[list[socket.socket]]:
    """Listen on the sockets that were passed, else on the configured addresses.

    Raises:
        StartError: one of them cannot be listened on.
    """
    if not passed:
        with bound(server.hosts, server.port) as sockets:
            yield sockets
        return
    with ExitStack() as stack:
        for each in passed:
            stack.enter_context(each)
        yield passed


@asynccontextmanager
async def _beside(*works: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Do work until the end of the block; what fails of it is logged."""
    tasks = [asyncio.create_task(work) for work in works]
    for task in tasks:
        task.add_done_callback(_log_failure)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()


def _log_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.critical("a part of this process failed", exc_info=error)


async def _supervise(supervisor: Supervisor, booper: Booper, status: str) -> None:
    """Notify the service manager that booper is ready, and from then on that it works."""
    clock, patience = SystemClock(), supervisor.watchdog or PATIENCE
    async with watched(patience / 2) as watch:

        async def beat() -> StoreUnavailable | None:
            error = await booper.beat()
            watch.feed()
            return error

        await beat()
        supervisor.ready(status)
        await supervisor.watch(beat, status, clock)
        while True:  # nobody has to be told; the log is what shows a loop that is stuck
            watch.feed()
            await clock.pause(patience / BEATS_PER_TIMEOUT)


async def _reload_forever(
    hangup: asyncio.Event,
    booper: Booper,
    read: Callable[[], Config],
    supervisor: Supervisor,
    status: str,
) -> None:
    """Read the settings again at each hangup, and go on by them where that is possible."""
    while await hangup.wait():
        hangup.clear()
        supervisor.reloading()
        try:
            changes = booper.use(read())
            log_to(sys.stderr, changes.config.logging)
            _log_changes(changes)
        except ConfigError as error:
            log.error("SIGHUP: the settings stay as they are: %s", error)
        supervisor.ready(status)


def _log_changes(changes: Changes) -> None:
    log.info("SIGHUP: changed settings: %s", ", ".join(changes.made) or "none")
    if changes.waiting:
        log.warning("SIGHUP: these wait for a restart: %s", ", ".join(changes.waiting))
