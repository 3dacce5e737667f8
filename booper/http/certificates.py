"""When the TLS certificates of origins end, as their servers showed them to connections."""

import ssl
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from booper.clock import EPOCH

MAX_ORIGINS: Final = 1_000
"""Origins whose certificates are known; above that the one connected to longest ago is forgotten.
"""


class Certificates:
    """The ends of the certificates that origins showed last.

    Only those that were verified are known: of others Python does not read the contents.
    """

    def __init__(self) -> None:
        self._ends: dict[str, datetime] = {}
        """By origin; the one connected to last is the last."""

    def note(self, origin: str, certificate: Mapping[str, Any] | None) -> None:
        """Note what a new connection to an origin was shown, as `SSLSocket.getpeercert` has it."""
        self._ends.pop(origin, None)
        if not certificate:
            return
        if len(self._ends) >= MAX_ORIGINS:
            del self._ends[next(iter(self._ends))]
        seconds = ssl.cert_time_to_seconds(certificate["notAfter"])
        self._ends[origin] = EPOCH + timedelta(seconds=seconds)

    def end_of(self, origin: str) -> datetime | None:
        """Return when the certificate of an origin ends.

        None stands for an origin that showed none, or none that was verified.
        """
        return self._ends.get(origin)
