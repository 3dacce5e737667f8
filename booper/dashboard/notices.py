"""What a page says after a change: short texts by their names in the address bar."""

from collections.abc import Mapping
from typing import Final

NOTICES: Final[Mapping[str, str]] = {
    "breaker-reset": "Requests to it are sent again.",
    "cancelled": "The job is cancelled.",
    "created": "The job is created.",
    "exists": "A job or schedule with this idempotency key is there already: nothing is created.",
    "key-revoked": "The key is revoked.",
    "nothing-changed": "Nothing was changed: the form had no other values.",
    "paused": "Requests to it are paused.",
    "resumed": "Requests to it are no longer paused.",
    "retried": "The job is due again now.",
    "run": "The job is due now.",
    "schedule-created": "The schedule is created. This is its first run.",
    "schedule-changed": "The schedule is changed.",
    "schedule-deleted": "The schedule is deleted.",
    "schedule-disabled": "The schedule is disabled.",
    "schedule-enabled": "The schedule is enabled.",
    "state-changed": "$state is replaced.",
    "signed-out": "You are signed out.",
}
"""No other text can be put there by a link."""
