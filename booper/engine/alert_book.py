"""The book of alerts: in memory, and in the database as far as that can be written."""

import asyncio
import logging
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from msgspec.structs import replace

from booper.errors import StoreUnavailable
from booper.model.alert import Alert, AlertKind, Finding, Telling, is_over, told
from booper.store.alerting import Alerting

log = logging.getLogger("booper.alerts")

MAX_ALERTS: Final = 1_000
"""How many alerts there are at most; what else goes wrong meanwhile is only logged."""

STORE_SECONDS: Final = 20.0
"""How long a write may take: one that hangs must not keep alerts from being sent."""

Key = tuple[AlertKind, str]


class AlertBook:
    """All alerts by kind and key; what has changed is written by `save`."""

    def __init__(self, store: Alerting, store_seconds: float = STORE_SECONDS) -> None:
        self._store = store
        self._store_seconds = store_seconds
        self._alerts: dict[Key, Alert] = {}
        self._unsaved: dict[Key, Alert | None] = {}
        self._saved_until = 0
        self._saving = asyncio.Lock()
        self._is_loaded = False

    def __iter__(self) -> Iterator[Alert]:
        """Iterate over all alerts as they are now, the one that opened first first."""
        return iter(
            sorted(self._alerts.values(), key=lambda each: (each.since, each.kind, each.key))
        )

    def find(self, kind: AlertKind, key: str) -> Alert | None:
        """Return an alert, None if there is none."""
        return self._alerts.get((kind, key))

    def is_open(self, kind: AlertKind, key: str) -> bool:
        """Return whether there is an alert that has not closed."""
        alert = self.find(kind, key)
        return alert is not None and alert.is_open

    def has_room_for(self, finding: Finding) -> bool:
        """Return whether the alert of a finding is there, or can be."""
        return (finding.kind, finding.key) in self._alerts or len(self._alerts) < MAX_ALERTS

    def put(self, alert: Alert) -> None:
        """Put an alert in the place of that of its kind and key."""
        key = (alert.kind, alert.key)
        before, self._alerts[key] = self._alerts.get(key), alert
        if before is None or replace(alert, detail=before.detail) != before:
            self._unsaved[key] = alert  # how long it lasts by now is no reason to write

    def tell(self, alert: Alert, telling: Telling, now: datetime) -> None:
        """Note that something was sent about an alert as it was."""
        if (current := self.find(alert.kind, alert.key)) is not None:
            self.put(told(current, telling, alert, now))

    def forget_what_is_over(self, now: datetime, repeat: timedelta) -> None:
        """Forget alerts that have closed, and on which nothing depends."""
        for key, alert in list(self._alerts.items()):
            if is_over(alert, now, repeat):
                del self._alerts[key]
                self._unsaved[key] = None

    def forget(self) -> None:
        """Forget all: another process has kept it meanwhile, and may have changed it."""
        self._alerts.clear()
        self._unsaved.clear()
        self._is_loaded = False

    async def load(self) -> Sequence[Alert]:
        """Read the alerts of earlier runs, if that was not done; return them.

        Raises:
            StoreUnavailable: they cannot be read now.
        """
        if self._is_loaded:
            return []
        alerts = await self._store.alerts()
        self._alerts = {(each.kind, each.key): each for each in alerts} | self._alerts
        self._is_loaded = True
        return alerts

    async def save(self, until: int) -> None:
        """Write what has changed, and that incidents up to a number are dealt with.

        What cannot be written stays for the next time.
        """
        async with self._saving:
            unsaved = dict(self._unsaved)
            if not unsaved and until == self._saved_until:
                return
            alerts = [each for each in unsaved.values() if each is not None]
            gone = [key for key, each in unsaved.items() if each is None]
            try:
                async with asyncio.timeout(self._store_seconds):
                    await self._store.save(alerts, gone, until)
            except (StoreUnavailable, TimeoutError) as error:
                log.debug("alerts are in memory alone: %s", error)
                return
            self._saved_until = until
            for key, each in unsaved.items():
                if self._unsaved.get(key) is each:
                    del self._unsaved[key]
