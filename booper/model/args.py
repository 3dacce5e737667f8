"""What a user asks for: the fields of `POST /api/jobs` (contract §3), as they were sent.

The same type validates a request, is stored with the job, and is read back to send it.
"""

from datetime import timedelta
from typing import Any

import msgspec
from msgspec.structs import replace

from booper.model import exact
from booper.model.duration import Duration, parse_duration
from booper.model.moment import Moment

METHODS = ("get", "post", "put", "patch", "delete")

METHODS_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
"""Methods whose request has a length even where it has no body (RFC 9110 §8.6)."""


class Args(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    """The fields of a create; null means absent. `body` is kept as the JSON text it came as."""

    method: str | None = None
    url: str
    query: dict[str, Any] | None = None
    headers: dict[str, str | int | float | bool] | None = None
    body: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    schedule_in: Duration | None = None
    scheduled_at: Moment | None = None
    idempotency_key: str | None = None
    callback_url: str | None = None
    webhook_url: str | None = None
    repeat_every: Duration | None = None
    cron: str | None = None
    timezone: str | None = None
    starts_at: Moment | None = None
    ends_at: Moment | None = None
    max_runs: int | None = None
    jitter: Duration | None = None
    overlap: str | None = None
    misfire: str | None = None
    on_conflict: str | None = None
    idempotency_ttl: Duration | None = None
    keep_for: Duration | None = None
    metadata: bool | None = None
    tags: list[str] | None = None
    name: str | None = None
    description: str | None = None
    max_attempts: int | None = None
    backoff: str | list[Duration] | None = None
    timeout: Duration | None = None
    follow_redirects: bool | None = None
    expect_status: list[int | str] | None = None

    @property
    def is_recurring(self) -> bool:
        """Return whether this asks for a schedule."""
        return self.repeat_every is not None or self.cron is not None

    @property
    def kept_for(self) -> timedelta | None:
        """Return how long a job is kept after its end, None if that is not said."""
        return None if self.keep_for is None else parse_duration(self.keep_for)


def encode_args(args: Args) -> str:
    """Write the fields that were sent as JSON text; absent and null ones are left out."""
    return _encoder.encode(args).decode()


def decode_args(text: str) -> Args:
    """Read what `encode_args` wrote."""
    return with_exact_numbers(_decoder.decode(text), text)


def with_exact_numbers(args: Args, text: bytes | str) -> Args:
    """Return args whose query and headers have their numbers as they stand in the JSON text."""
    if args.query is None and args.headers is None:
        return args
    has_number = any(type(value) in (int, float) for value in (args.headers or {}).values())
    names = ["query"] * bool(args.query) + ["headers"] * has_number
    if not names:
        return args
    fields = _fields.decode(text)
    return replace(args, **{name: exact.decode(fields[name]) for name in names})


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Args)
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
