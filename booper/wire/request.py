"""What a target receives: the request of an attempt, by what its user asked for (§6, §8)."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import msgspec

from booper.model import dynamic, exact, identity
from booper.model.args import METHODS_WITH_BODY, Args
from booper.model.job import Attempt, Job, Request
from booper.wire.job import job_state
from booper.wire.timestamps import precise


def render(attempt: Attempt, user_agent: str, now: datetime) -> Request:
    """Return an attempt's request; a header of the user replaces booper's own of that name.

    Raises:
        dynamic.RenderError: the value of a reference cannot stand where it is used.
    """
    args, context = attempt.args, _context(attempt, now)
    method = (args.method or "get").upper()
    user_headers = _headers(args.headers or {}, context)
    query = _query(args.query or {}, context)
    given = {name.title(): name for name in user_headers}  # as booper spells its own
    if len(given) < len(user_headers):  # of a job that an older version accepted
        user_headers = {name: user_headers[name] for name in given.values()}
    content = _content(args, method, context, is_typed="Content-Type" in given)
    headers = _own_headers(attempt.job, user_agent, has_body=bool(content))
    if given:
        own = {name: value for name, value in headers.items() if name not in given}
        headers = user_headers | own
    base, added = _url_and_query(args.url, query)
    return Request(method, base + added, headers, content, user_headers, query, added)


def text_of(value: object) -> str:
    """Return the value of a header or a parameter as text: text as it is, all else as JSON."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _context(attempt: Attempt, now: datetime) -> dynamic.Context | None:
    """Return what a run of a schedule may refer to; a one-off job refers to nothing."""
    if attempt.previous is None or attempt.state is None:
        return None
    job: dict[str, Any] = msgspec.to_builtins(job_state(attempt.job, now))
    previous, state = exact.decode(attempt.previous), exact.decode(attempt.state)
    return dynamic.Context(job, previous, state)


def _headers(headers: Mapping[str, Any], context: dynamic.Context | None) -> dict[str, str]:
    if context is not None:
        return dynamic.render_headers(headers, context)
    return {name: text_of(value) for name, value in headers.items()}


def _query(query: Mapping[str, Any], context: dynamic.Context | None) -> dict[str, Any]:
    return dict(query) if context is None else dict(dynamic.render_query(query, context))


def _content(args: Args, method: str, context: dynamic.Context | None, *, is_typed: bool) -> bytes:
    """Return the body's bytes: JSON, or a string's own text where the user said what it is.

    A run's body has its references replaced and the schedule's metadata merged in; a GET or DELETE
    without a configured body has nowhere for it.
    """
    if context is None:
        raw = b"" if args.body is msgspec.UNSET else bytes(args.body)
    elif args.body is msgspec.UNSET and method not in METHODS_WITH_BODY:
        return b""
    else:
        body = None if args.body is msgspec.UNSET else exact.decode(args.body)
        rendered = dynamic.render(body, context)
        if args.metadata is not False:
            rendered = dynamic.with_metadata(rendered, context)
        raw = b"" if rendered is None else msgspec.json.encode(rendered)
    if raw.startswith(b'"') and is_typed:
        return msgspec.json.decode(raw, type=str).encode()
    return raw


def _own_headers(job: Job, user_agent: str, *, has_body: bool) -> dict[str, str]:
    headers = {
        "User-Agent": user_agent,
        "Booper-Job-Id": str(job.id),
        "Booper-Attempt": str(job.attempt),
        "Booper-Scheduled-At": precise(job.planned_at),
        "Idempotency-Key": identity.text_of(job.uuid),
        # Nothing is gained by compressing what is kept whole: ask for the bytes as they are.
        "Accept-Encoding": "identity",
    }
    return headers | {"Content-Type": "application/json"} if has_body else headers


def with_query(url: str, query: Mapping[str, Any]) -> str:
    """Return a URL with query parameters: a list repeats its name, null leaves it out."""
    base, added = _url_and_query(url, query)
    return base + added


def _url_and_query(url: str, query: Mapping[str, Any]) -> tuple[str, str]:
    """Return a URL and the text that a query adds to it; a fragment goes if any is added."""
    if not query:
        return url, ""
    pairs = [
        (name, text_of(item))
        for name, value in query.items()
        for item in (value if isinstance(value, list) else [value])
        if item is not None
    ]
    if not pairs:
        return url, ""
    base, _, _ = url.partition("#")
    separator = "&" if "?" in base else "?"
    return base, separator + urlencode(pairs)
