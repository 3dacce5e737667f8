"""What a page says after a change: short texts by their names in the address bar."""

from collections.abc import Mapping
from typing import Final

NOTICES: Final[Mapping[str, str]] = {
    "cancelled": "The job is cancelled.",
    "retried": "The job is due again now.",
    "run": "The job is due now.",
    "signed-out": "You are signed out.",
}
"""No other text can be put there by a link."""
