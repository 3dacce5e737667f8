"""One attempt: from a claimed job to what is written about it.

It builds, signs and sends the request, has `lifecycle` say what the outcome means, and keeps the
result until the store has it. It knows nothing of slots, timers or other jobs.
"""

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any
from urllib.parse import urlsplit

import msgspec
from msgspec.structs import replace

from booper.clock import Clock
from booper.database_clock import real_clock
from booper.engine import signing
from booper.engine.delivery import Delivery
from booper.engine.observer import Observers
from booper.engine.reports import Reports
from booper.engine.shortages import Shortages
from booper.errors import Shortage, StoreDamaged, StoreUnavailable
from booper.model import dynamic, exact, lifecycle
from booper.model.duration import parse_duration
from booper.model.dynamic import RenderError
from booper.model.job import (
    Attempt,
    Failed,
    Job,
    Kind,
    NewJob,
    Outcome,
    Refused,
    Request,
    Responded,
    State,
)
from booper.model.retry import Backoff
from booper.shortage import shortage_of
from booper.store.queue import Queue
from booper.store.values import Settled, Settlement
from booper.wire.charset import in_utf8
from booper.wire.log import entries_of
from booper.wire.redaction import Redaction
from booper.wire.request import render

log = logging.getLogger("booper")
attempts_log = logging.getLogger("booper.attempts")

# How long to wait after the store could not be used.
STORE_PAUSE = timedelta(seconds=1)

LEVELS = {
    State.COMPLETED: logging.INFO,
    State.CANCELLED: logging.INFO,
    State.DISCARDED: logging.ERROR,
}
"""The level at which an attempt is logged, by the state it leads to; WARNING if it failed."""

SIGNED_KINDS = frozenset({Kind.CALLBACK, Kind.WEBHOOK})


@dataclass(frozen=True, slots=True)
class Defaults:
    """Defaults for attempts whose job does not say otherwise."""

    timeout: timedelta
    backoff: Backoff
    user_agent: str
    redaction: Redaction
    secrets: Sequence[signing.Secret] = ()


class Executed(msgspec.Struct, frozen=True, gc=False):
    """An attempt that was made: its request, its outcome, and what is to be written."""

    attempt: Attempt
    request: Request | None
    outcome: Outcome
    settlement: Settlement


class Executor:
    """The maker of attempts, which also records them."""

    def __init__(
        self,
        queue: Queue,
        delivery: Delivery,
        reports: Reports,
        clock: Clock,
        random: Random,
        defaults: Defaults,
        observers: Observers | None = None,
    ) -> None:
        self._queue = queue
        self._delivery = delivery
        self._reports = reports
        self._clock = clock
        self._random = random
        self._defaults = defaults
        self._observers = observers or Observers()
        self._shortages = Shortages()

    def announce(self, attempt: Attempt, now: datetime) -> Sequence[NewJob]:
        """Return what reports an attempt's beginning; a request that cannot be built has none."""
        if attempt.args.webhook_url is None:
            return ()
        request: Request | None = None
        with suppress(RenderError):
            request = self._render(attempt, now)
        return self._reports.begun(attempt, request, now)

    async def execute(self, attempt: Attempt) -> Executed:
        """Make one attempt; only a cancellation or a shortage ends it without an outcome.

        Raises:
            Shortage: this machine lacks what the attempt needs.
        """
        try:
            request, outcome = await self._send(attempt)
            return self._executed(attempt, request, outcome)
        # Whatever a job makes our own code raise must end that attempt only, never the loop.
        except Exception as error:
            if shortage := shortage_of(error):
                raise shortage from None
            job = attempt.job
            log.exception("job %d: attempt %d failed inside booper", job.id, job.attempt)
            message = f"{type(error).__name__}: {error}".encode(errors="replace").decode()
            outcome = Failed("internal", message, timedelta(0))
            return self._executed(attempt, None, outcome)

    async def give_back(self, attempt: Attempt, shortage: Shortage) -> None:
        """Undo an attempt that a shortage kept from being made; it is due again after a pause.

        Raises:
            StoreDamaged: as `record` does.
        """
        now = self._clock.now()
        due_at = now + self._shortages.pause_after(shortage, now)
        while True:
            try:
                await self._queue.release([attempt.job], due_at)
            except StoreDamaged:
                raise
            except StoreUnavailable as error:
                log.error(
                    "job %d is given back once the store can be used: %s", attempt.job.id, error
                )
                await self._clock.pause(STORE_PAUSE)
            else:
                return

    async def record(self, executed: Executed) -> Settled:
        """Write a result; a store that cannot write now is asked again until it can.

        Raises:
            StoreDamaged: the result lies on a damaged page. No later try would read that; the
                next start sends the job again.
        """
        settlement = executed.settlement
        while True:
            try:
                settled = await self._queue.settle(settlement)
            except StoreDamaged:
                raise
            except StoreUnavailable as error:
                job_id = settlement.claimed.id
                log.error(
                    "job %d: its result is written once the store can be used: %s", job_id, error
                )
                await self._clock.pause(STORE_PAUSE)
            else:
                _log_attempt(executed.attempt, executed.outcome, settled.job)
                self._observers.settled(
                    executed.attempt, executed.request, executed.outcome, settled.job
                )
                return settled

    async def _send(self, attempt: Attempt) -> tuple[Request | None, Outcome]:
        """Send an attempt's request, unless it cannot be built."""
        try:
            request = self._render(attempt, self._clock.now())
        except RenderError as error:
            return None, Refused(str(error))
        self._observers.sent(attempt, request)
        outcome = await self._delivery.send(
            self._signed(attempt.job, request),
            self._timeout(attempt),
            job_id=attempt.job.id,
            follow_redirects=bool(attempt.args.follow_redirects),
        )
        return request, outcome

    def _render(self, attempt: Attempt, now: datetime) -> Request:
        rendered = render(attempt, self._defaults.user_agent, now)
        return self._delivery.as_sent(rendered)

    def _signed(self, job: Job, request: Request) -> Request:
        """Sign a report. Its time is real even if the clock is not: receivers check it."""
        if job.kind not in SIGNED_KINDS or not self._defaults.secrets:
            return request
        at = int(real_clock(self._clock).now().timestamp())
        signature = signing.headers(self._defaults.secrets, str(job.uuid), at, request.content)
        return replace(request, headers=request.headers | signature)

    def _timeout(self, attempt: Attempt) -> timedelta:
        own = attempt.args.timeout
        return parse_duration(own) if own is not None else self._defaults.timeout

    def _executed(self, attempt: Attempt, request: Request | None, outcome: Outcome) -> Executed:
        self._shortages.end()
        return Executed(attempt, request, outcome, self._decide(attempt, request, outcome))

    def _decide(self, attempt: Attempt, request: Request | None, outcome: Outcome) -> Settlement:
        """Decide what an outcome makes of the job, and what is written with it."""
        now = self._clock.now()
        backoff, random = self._defaults.backoff, self._random
        settled = lifecycle.settle(attempt, outcome, now=now, backoff=backoff, random=random)
        previous, changes = _schedule_outputs(settled, outcome)
        return Settlement(
            claimed=attempt.job,
            settled=settled,
            at=now,
            entries=entries_of(attempt, request, outcome, self._defaults.redaction, now),
            reports=self._reports.ended(attempt, request, outcome, settled, now),
            previous=previous,
            changes=changes,
            duration=None if isinstance(outcome, Refused) else outcome.duration,
            was_held=attempt.was_held,
        )


def _schedule_outputs(settled: Job, outcome: Outcome) -> tuple[str | None, dict[str, Any] | None]:
    """Return what a completed run's response gives its schedule: `$previous` and `$set`."""
    if settled.schedule_id is None or settled.state is not State.COMPLETED:
        return None, None
    assert isinstance(outcome, Responded)
    content: Any = {}
    response = outcome.response
    if not response.is_cut and not response.fault:
        body = in_utf8(response.body, response.headers.get("content-type", ""))
        with suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            content = exact.decode(body)
    previous = msgspec.json.encode(dynamic.take_previous(content)).decode()
    return previous, dynamic.take_set(content)


def _log_attempt(attempt: Attempt, outcome: Outcome, written: Job) -> None:
    """Log one line per attempt: at WARNING if it failed, at ERROR if that was the last.

    A failure names method and origin, and no path, query, header or body: they may hold secrets.
    """
    level = LEVELS.get(written.state, logging.WARNING)
    if not attempts_log.isEnabledFor(level):
        return
    fields: dict[str, Any] = {"job_id": written.id, "attempt": attempt.job.attempt}
    took = timedelta(0)
    match outcome:
        case Responded(response=response, duration=took):
            what = f"responded {response.status}"
            fields["status"] = response.status
        case Failed(error=error, duration=took):
            what = f"failed ({error})"
            fields["error"] = error
        case Refused():
            what = fields["error"] = "refused"
    if level != logging.INFO:
        method, origin = (attempt.args.method or "get").upper(), _origin(attempt.args.url)
        what = f"{method} {origin} {what}"
        fields |= {"method": method, "origin": origin}
    fields["state"] = written.state.value
    fields["duration_ms"] = milliseconds = took.total_seconds() * 1000
    attempts_log.log(
        level,
        "job %d attempt %d: %s in %.0f ms, now %s",
        written.id,
        attempt.job.attempt,
        what,
        milliseconds,
        written.state,
        extra={"fields": fields},
    )


def _origin(url: str) -> str:
    """Return the origin of a URL as it was written, without a user name.

    Of the program around booper it is the path as well, without its query: that program's log is
    where a typo in it is looked for.
    """
    parts = urlsplit(url)
    if not parts.netloc:
        return f"{parts.scheme}:{parts.path}"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
