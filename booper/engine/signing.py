"""Signatures of outgoing events, by Standard Webhooks 1.0.0 with symmetric secrets (HMAC-SHA256).

A receiver that knows one of the secrets can tell that an event came from here, unchanged and just
now. During a rotation an event is signed with the old and the new secret, so receivers change over
at their own time. This module neither stores secrets nor reads the clock.

Source: https://github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

SECRET_PREFIX = "whsec_"
"""How a secret is told from other keys when it is shown or configured."""

MIN_KEY_BYTES = 24
MAX_KEY_BYTES = 64

# The full stop separates what is signed, so the specification keeps it out of the id. The rest of
# the set is what can stand in a header.
_MESSAGE_ID = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Secret:
    """A signing key of 24 to 64 bytes. Neither its repr nor its errors show the key.

    Raises:
        ValueError: The key is shorter or longer than that.
    """

    key: bytes = field(repr=False)

    def __post_init__(self) -> None:
        """Check the length."""
        if not MIN_KEY_BYTES <= len(self.key) <= MAX_KEY_BYTES:
            raise ValueError(
                f"webhook secret must have {MIN_KEY_BYTES} to {MAX_KEY_BYTES} bytes, "
                f"got {len(self.key)}"
            )

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a secret in the form `whsec_<base64>`.

        Raises:
            ValueError: The prefix, the base64 (RFC 4648 §4, padded) or the length is wrong.
        """
        if not text.startswith(SECRET_PREFIX):
            raise ValueError(f"webhook secret must begin with {SECRET_PREFIX!r}")
        try:
            key = base64.b64decode(text.removeprefix(SECRET_PREFIX), validate=True)
        except ValueError as error:
            raise ValueError(f"webhook secret must be base64 after the prefix: {error}") from None
        return cls(key)


def sign(secrets: Sequence[Secret], message_id: str, timestamp: int, body: bytes) -> str:
    """Return the value of `webhook-signature`: one `v1,<base64>` per secret, separated by spaces.

    `message_id` is the same on every attempt of one event. `timestamp` is the attempt's start in
    real time, in whole seconds of Unix time. `body` is exactly what is sent.

    Raises:
        ValueError: There is no secret, or the id is not made of letters, digits, `_` and `-`.
    """
    if not secrets:
        raise ValueError("signing needs at least one webhook secret, got none")
    if not _MESSAGE_ID.fullmatch(message_id):
        raise ValueError(f"message id must be letters, digits, '_' or '-', got {message_id!r}")
    content = f"{message_id}.{timestamp}.".encode() + body
    return " ".join(_signature(secret, content) for secret in secrets)


def headers(
    secrets: Sequence[Secret], message_id: str, timestamp: int, body: bytes
) -> dict[str, str]:
    """Return the three headers of a signed event; the parameters are those of `sign`.

    Raises:
        ValueError: As `sign`.
    """
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign(secrets, message_id, timestamp, body),
    }


def _signature(secret: Secret, content: bytes) -> str:
    """Return one versioned signature; `v1` is HMAC-SHA256."""
    digest = hmac.digest(secret.key, content, hashlib.sha256)
    return f"v1,{base64.b64encode(digest).decode()}"
