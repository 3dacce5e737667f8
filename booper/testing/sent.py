"""What a booper has sent, and how a test finds the requests it means among them."""

import re
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any

import msgspec

from booper.engine.observer import Observer
from booper.model.job import Attempt, Kind, Request

_BARE = re.compile(r"https?://[^/?*]+")


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """One request that left: of which job, which attempt at it, and when (by booper's clock).

    `headers` have lower-case names. `kind` tells callbacks and webhooks from the jobs themselves.
    """

    at: datetime
    job_id: int
    attempt: int
    kind: Kind
    method: str
    url: str
    headers: Mapping[str, str]
    content: bytes

    @property
    def text(self) -> str:
        """Return the body as text."""
        return self.content.decode()

    def json(self) -> Any:
        """Return the body's value. Raises: msgspec.DecodeError, it is no JSON."""
        return msgspec.json.decode(self.content)

    def __str__(self) -> str:
        body = f" {self.content[:200].decode(errors='replace')}" if self.content else ""
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.method} {self.url}{body}"


class SentRequests(list[Sent]):
    """Requests in the order in which they left; each matcher returns those that match it."""

    def to(self, url: str) -> "SentRequests":
        """Keep those to a URL, in which `*` stands for anything; its query may be left out."""
        return SentRequests(each for each in self if is_match(url, each.url))

    def with_method(self, method: str) -> "SentRequests":
        """Keep those with a method, however it is written."""
        return SentRequests(each for each in self if each.method == method.upper())

    def with_header(self, name: str, value: str) -> "SentRequests":
        """Keep those with a header."""
        return SentRequests(each for each in self if each.headers.get(name.lower()) == value)

    def with_json(self, **fields: object) -> "SentRequests":
        """Keep those whose body is a JSON object with these fields, whatever else is in it."""
        return SentRequests(each for each in self if _has_fields(each.content, fields))

    def one(self) -> Sent:
        """Return the only one. Raises: AssertionError, there is none or there are more."""
        if len(self) != 1:
            raise AssertionError(f"expected one request, got {self!r}")
        return self[0]

    def __repr__(self) -> str:
        if not self:
            return "no request"
        return "\n".join([f"{len(self)} request{'s' * (len(self) > 1)}:", *map(str, self)])


class Recorder(Observer):
    """An observer that keeps each request that leaves."""

    def __init__(self) -> None:
        self._sent: list[Sent] = []

    def so_far(self) -> SentRequests:
        """Return what has left until now."""
        return SentRequests(self._sent)

    def forget(self) -> None:
        """Begin anew."""
        self._sent.clear()

    def sent(self, attempt: Attempt, request: Request) -> None:
        """Keep it."""
        job = attempt.job
        self._sent.append(
            Sent(
                at=job.attempted_at or job.scheduled_at,
                job_id=job.id,
                attempt=job.attempt,
                kind=job.kind,
                method=request.method,
                url=request.url,
                headers={name.lower(): value for name, value in request.headers.items()},
                content=request.content,
            )
        )


def is_match(pattern: str, url: str) -> bool:
    """Return whether a pattern with `*` for anything matches a URL, with or without its query."""
    expression, url = _compiled(_with_path(pattern)), _with_path(url)
    return any(expression.fullmatch(form) for form in (url, url.partition("?")[0]))


def _with_path(url: str) -> str:
    """Return a URL with the path that one without any means (RFC 9110 §4.2.3)."""
    return f"{url}/" if _BARE.fullmatch(url) else url


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, pattern.split("*"))))


def _has_fields(content: bytes, fields: Mapping[str, object]) -> bool:
    try:
        body = msgspec.json.decode(content)
    except msgspec.DecodeError:
        return False
    absent = object()
    return isinstance(body, dict) and all(
        body.get(name, absent) == value for name, value in fields.items()
    )
