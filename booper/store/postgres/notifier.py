"""The connection by which nodes tell each other what cannot wait for their next look (`NOTIFY`).

It is one of its own, outside of all transactions: a commit that notifies makes the commits of all
others wait. To lose it costs time alone. A connection may break without a word, so what this node
tells it hears itself, and now and then it tells nothing just to hear that.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from secrets import token_hex
from typing import Any, Final

import msgspec
import psycopg

from booper.clock import Clock, monotonic
from booper.model.job import Job
from booper.store.announcing import Announcements
from booper.store.postgres.connections import CONNECT_SECONDS, KEEPALIVE
from booper.store.postgres.notices import Notices
from booper.store.postgres.silence import shut
from booper.store.sharing import Listener, Notice
from booper.store.values import Subscriber

log = logging.getLogger("booper.store")

CHECK_SECONDS: Final = 10.0
"""After how long without a notice of its own a node tells one that says nothing."""

SILENT_SECONDS: Final = 5.0
"""How long after that, or after a statement, the connection is taken for lost."""

PAUSE_SECONDS: Final = 1.0
"""The pause before it is opened again."""

STOP_SECONDS: Final = 2.0
"""How long the last notice may take."""

LISTEN: Final = "LISTEN booper"
NOTIFY: Final = "SELECT pg_notify('booper', %s)"

EVERYTHING: Final = Notice(are_more=True, are_messages=True)
"""What may have been told while nobody could hear it."""

Connection = psycopg.AsyncConnection[tuple[Any, ...]]


class Notifier:
    """What tells the other nodes of a database `notices`, and a listener what they tell."""

    def __init__(self, url: str, notices: Notices) -> None:
        self._url = url
        self._notices = notices
        self._listener: Listener = _ignore
        self._name = token_hex(8)
        self._wake = asyncio.Event()
        self._own_at = 0.0
        self._is_asked = self._is_lost = self._is_stopping = False

    def listen(self, listener: Listener) -> None:
        """Call `listener` from now on with what other nodes tell, and nobody else."""
        self._listener = listener

    def note_waiting(self, jobs: Sequence[Job]) -> None:
        """Note waiting jobs that were committed."""
        if self._notices.note_waiting(jobs):
            self._wake.set()

    def note_committed(self, results: Sequence[object]) -> None:
        """Note what was committed."""
        self._notices.note_committed(results)

    def note_message(self) -> None:
        """Note that there is a message for feeds."""
        self._notices.note_message()
        self._wake.set()

    async def run(self) -> None:
        """Send and receive notices until `stop`; a connection that is lost is opened again."""
        while not self._is_stopping:
            try:
                await self._connect()
            except (psycopg.Error, OSError) as error:
                self._note_lost(error)
            # Whatever it is: jobs are sent without, a bit later.
            except Exception:
                log.exception("notices of other nodes cannot be read; they are tried again")
            if not self._is_stopping:
                await self._woken(PAUSE_SECONDS)

    def stop(self) -> None:
        """Send all notices that there are, and end."""
        self._is_stopping = True
        self._wake.set()

    async def _connect(self) -> None:
        """Open a connection and use it for as long as it works. Raises: psycopg.Error."""
        connection = await psycopg.AsyncConnection.connect(
            self._url,
            autocommit=True,
            connect_timeout=CONNECT_SECONDS,
            prepare_threshold=None,
            application_name="booper",
            **KEEPALIVE,
        )
        try:
            connection.add_notify_handler(lambda found: self._heard(found.payload.encode()))
            await _execute(connection, LISTEN)
            self._note_back()
            self._listener(EVERYTHING)
            await self._serve(connection)
        finally:
            await connection.close()

    async def _serve(self, connection: Connection) -> None:
        """Hear and tell until the stop. Raises: psycopg.Error."""
        while True:
            self._read(connection)
            notice = self._notices.take_all() if self._is_stopping else self._notices.take()
            if notice is not None:
                await self._tell(connection, notice)
            elif self._is_stopping:
                return
            elif self._seconds_to_check() > 0:
                await self._wait(connection)
            elif self._is_asked:
                raise psycopg.OperationalError("the connection has been silent for too long")
            else:
                self._is_asked = True
                await self._tell(connection, Notice())

    def _read(self, connection: Connection) -> None:
        """Hear what has come. Raises: psycopg.Error."""
        connection.pgconn.consume_input()
        while (found := connection.pgconn.notifies()) is not None:
            self._heard(found.extra)

    async def _tell(self, connection: Connection, notice: Notice) -> None:
        text = msgspec.json.encode((self._name, notice)).decode()
        await _execute(connection, NOTIFY, [text])

    def _heard(self, payload: bytes) -> None:
        """Pass on what another node has told."""
        try:
            name, notice = msgspec.json.decode(payload, type=tuple[str, Notice])
        except (msgspec.DecodeError, UnicodeDecodeError):
            log.warning("a notice on the channel booper is none of booper's: %.80r", payload)
            return
        if name == self._name:
            self._own_at, self._is_asked = monotonic(), False
        else:
            self._listener(notice)

    async def _wait(self, connection: Connection) -> None:
        """Wait until something has come, or is to be told or done."""
        seconds, left = self._seconds_to_check(), self._notices.seconds_left()
        loop, descriptor = asyncio.get_running_loop(), connection.fileno()
        loop.add_reader(descriptor, self._wake.set)
        try:
            await self._woken(seconds if left is None else min(seconds, left))
        finally:
            loop.remove_reader(descriptor)

    async def _woken(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        self._wake.clear()

    def _seconds_to_check(self) -> float:
        """Return how long the connection may be silent yet."""
        patience = CHECK_SECONDS + (SILENT_SECONDS if self._is_asked else 0.0)
        return self._own_at + patience - monotonic()

    def _note_lost(self, error: Exception) -> None:
        if not self._is_lost:
            text = " ".join(str(error).split())
            log.warning("other nodes are heard once a second only, not at once: %s", text)
        self._is_lost = True

    def _note_back(self) -> None:
        if self._is_lost:
            log.warning("other nodes are heard at once again")
        self._own_at, self._is_asked, self._is_lost = monotonic(), False, False


class ToldAnnouncements(Announcements):
    """Announcements of which a notifier is told as well."""

    def __init__(self, notifier: Notifier) -> None:
        super().__init__()
        self._notifier = notifier
        super().subscribe(notifier.note_waiting)

    def subscribe(self, subscriber: Subscriber) -> None:
        """Announce to `subscriber` and the notifier from now on."""

        def announce(jobs: Sequence[Job]) -> None:
            subscriber(jobs)
            self._notifier.note_waiting(jobs)

        super().subscribe(announce)

    def committed(self, results: Sequence[object]) -> None:
        """Announce the waiting jobs among the results of changes that were committed together."""
        super().committed(results)
        self._notifier.note_committed(results)


@asynccontextmanager
async def notifying(url: str | None, clock: Clock) -> AsyncIterator[Notifier | None]:
    """Run a notifier until the end of the block; yields None where it has no URL."""
    if url is None:
        yield None
        return
    notifier = Notifier(url, Notices(clock))
    task = asyncio.create_task(notifier.run(), name="store notifier")
    try:
        yield notifier
    finally:
        await asyncio.shield(_end(notifier, task))


async def _end(notifier: Notifier, task: "asyncio.Task[None]") -> None:
    notifier.stop()
    await asyncio.wait([task], timeout=STOP_SECONDS)
    task.cancel()
    await asyncio.wait([task])


async def _execute(connection: Connection, query: str, values: Sequence[object] = ()) -> None:
    """Run a statement; one without a response ends the connection. Raises: psycopg.Error."""
    loop, descriptor = asyncio.get_running_loop(), connection.fileno()
    timer = loop.call_later(SILENT_SECONDS, shut, descriptor)
    try:
        await connection.execute(query.encode(), values or None)
    finally:
        timer.cancel()


def _ignore(notice: Notice) -> None:
    """Ignore what others tell: there is no loop."""
