"""Reports of jobs to their users' own URLs: callbacks and webhook events (contract §7).

A report is an internal job: this module says which ones a state brings with it; the store writes
them with that state, and the loop sends them like any other job.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
from msgspec.structs import replace

from booper.errors import TargetRefused
from booper.guard.policy import Guard
from booper.model.args import Args, decode_args, encode_args
from booper.model.job import (
    FINISHED,
    OWN_KINDS,
    Attempt,
    Failed,
    Job,
    Kind,
    NewJob,
    Outcome,
    Request,
    Responded,
    State,
)
from booper.model.origin import path_key
from booper.wire.payload import outcome_payload
from booper.wire.redaction import Redaction
from booper.wire.report import (
    JOB_ERROR,
    JOB_FINISHED,
    JOB_REQUEST,
    JOB_RESPONSE,
    JOB_STARTED,
    callback_body,
    event_body,
    sent_request,
)

_REPORTED_BY_CALLBACK = frozenset({State.COMPLETED, State.DISCARDED})

INTERRUPTED = "booper stopped during the attempt"
NO_TIME = timedelta(0)


class Reports:
    """The internal jobs that report what happens to a job."""

    def __init__(self, guard: Guard, max_attempts: int, redaction: Redaction) -> None:
        self._guard = guard
        self._max_attempts = max_attempts
        self._redaction = redaction

    def begun(self, attempt: Attempt, request: Request | None, now: datetime) -> Sequence[NewJob]:
        """Report that an attempt begins, and with which request (None: it cannot be built)."""
        if not _is_watched(attempt):
            return ()
        events = [self._event(attempt, JOB_STARTED, {}, now)]
        if request is not None:
            sent = sent_request(request, self._redaction)
            events.append(self._event(attempt, JOB_REQUEST, sent, now))
        return events

    def cut_off(self, attempt: Attempt, rescued: Job, now: datetime) -> Sequence[NewJob]:
        """Report that the process died during an attempt, and the job's end if this was it."""
        if rescued.state in FINISHED:
            message = rescued.last_error or INTERRUPTED
            outcome = Failed("interrupted", message, NO_TIME)
            return self.ended(attempt, None, outcome, rescued, now)
        if not _is_watched(attempt):
            return ()
        data = {"error": "interrupted", "message": INTERRUPTED}
        return [self._event(attempt, JOB_ERROR, data, now)]

    def ended(
        self,
        attempt: Attempt,
        request: Request | None,
        outcome: Outcome,
        settled: Job,
        now: datetime,
    ) -> Sequence[NewJob]:
        """Report what an attempt brought, and the job's end if this was it."""
        if attempt.job.kind not in OWN_KINDS:
            return ()
        reports: list[NewJob] = []
        if attempt.args.webhook_url is not None:
            reports.append(self._outcome_event(attempt, outcome, now))
            if settled.state in FINISHED:
                reports.append(self._finished(settled, attempt.args, now))
        if attempt.args.callback_url is not None and settled.state in _REPORTED_BY_CALLBACK:
            reports.append(self._callback(attempt, request, outcome, settled, now))
        return reports

    def cancelled(self, job: Job, now: datetime) -> Sequence[NewJob]:
        """Report that a job was cancelled."""
        if job.kind not in OWN_KINDS:
            return ()
        args = decode_args(job.args)
        return [self._finished(job, args, now)] if args.webhook_url is not None else []

    def _outcome_event(self, attempt: Attempt, outcome: Outcome, now: datetime) -> NewJob:
        event = JOB_RESPONSE if isinstance(outcome, Responded) else JOB_ERROR
        return self._event(attempt, event, outcome_payload(outcome, self._redaction), now)

    def _finished(self, job: Job, args: Args, now: datetime) -> NewJob:
        data = {"state": job.state, "last_error": job.last_error}
        return self._event(Attempt(job, args), JOB_FINISHED, data, now)

    def _event(
        self, attempt: Attempt, event: str, data: Mapping[str, object], now: datetime
    ) -> NewJob:
        job, url = attempt.job, attempt.args.webhook_url
        assert url is not None
        body = event_body(event, job, data, now)
        return self._report(Kind.WEBHOOK, job, attempt.args, url, body, now)

    def _callback(
        self,
        attempt: Attempt,
        request: Request | None,
        outcome: Outcome,
        settled: Job,
        now: datetime,
    ) -> NewJob:
        url = attempt.args.callback_url
        assert url is not None
        body = callback_body(settled, request, outcome, self._redaction, now)
        return self._report(Kind.CALLBACK, settled, attempt.args, url, body, now)

    def forward(self, user_id: UUID, url: str, body: Mapping[str, object], now: datetime) -> NewJob:
        """Pass a channel's message on to the operator's URL."""
        return self._internal(Kind.CHANNEL, user_id, None, url, body, now)

    def _report(
        self,
        kind: Kind,
        about: Job,
        asked: Args,
        url: str,
        body: Mapping[str, object],
        now: datetime,
    ) -> NewJob:
        report = self._internal(kind, about.user_id, about.id, url, body, now)
        return report if asked.keep_for is None else replace(report, keep_for=asked.kept_for)

    def _internal(
        self,
        kind: Kind,
        user_id: UUID,
        parent_id: int | None,
        url: str,
        body: Mapping[str, object],
        now: datetime,
    ) -> NewJob:
        args = Args(method="post", url=url, body=msgspec.Raw(msgspec.json.encode(body)))
        return NewJob(
            user_id=user_id,
            args=encode_args(args),
            origin=self._origin(url),
            path=path_key(url),
            scheduled_at=now,
            planned_at=now,
            max_attempts=self._max_attempts,
            kind=kind,
            parent_id=parent_id,
        )

    def _origin(self, url: str) -> str:
        """Return whose slots a report takes; one refused by now is discarded when sent."""
        try:
            return self._guard.check_own(url).origin
        except TargetRefused:
            return ""


def _is_watched(attempt: Attempt) -> bool:
    return attempt.args.webhook_url is not None and attempt.job.kind in OWN_KINDS
