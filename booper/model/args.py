"""What a user asks for: the fields of `POST /api/jobs` (contract §3), as they were sent.

The same type validates a request, is stored with the job, and is read back to send it.
"""

from typing import Any

import msgspec

from booper.model.duration import Duration
from booper.model.moment import Moment

METHODS = ("get", "post", "put", "patch", "delete")


class Args(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    """The fields of a create; None means absent. `body` is kept as the JSON text it came as."""

    method: str | None = None
    url: str
    query: dict[str, Any] | None = None
    headers: dict[str, str | int | float | bool] | None = None
    body: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    schedule_in: Duration | None = None
    scheduled_at: Moment | None = None
    idempotency_key: str | None = None
    name: str | None = None
    description: str | None = None
    max_attempts: int | None = None
    backoff: str | list[Duration] | None = None
    timeout: Duration | None = None
    expect_status: list[int | str] | None = None


def encode_args(args: Args) -> str:
    """Write the fields that were sent as JSON text; absent and null ones are left out."""
    return msgspec.json.encode(args).decode()


def decode_args(text: str) -> Args:
    """Read what `encode_args` wrote."""
    return _decoder.decode(text)


_decoder = msgspec.json.Decoder(Args)
