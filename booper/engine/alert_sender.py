"""The sender of alerts: it sends what is due, and tries again what did not arrive.

An alert counts as told once each channel has taken it. One that keeps failing does not hold up what
another channel has taken for ever, nor does it get anything twice from here.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from booper.clock import Clock
from booper.engine.alert_channels import AlertChannel, NotSent
from booper.engine.alerts import Alerts
from booper.model.alert import Alert, Telling, telling_of

log = logging.getLogger("booper.alerts")

MAX_TRIES: Final = 5
"""How often a channel fails until an alert that another one has taken counts as told."""

FIRST_REST: Final = timedelta(seconds=10)
MAX_REST: Final = timedelta(minutes=5)

MAX_TOLD: Final = 20
WINDOW: Final = timedelta(minutes=1)
"""How many messages are sent within a time; the others wait, and some of them end meanwhile."""

Message = tuple[UUID, Telling]


class Outlet:
    """A channel, what it has taken by now, and since when it fails."""

    def __init__(self, channel: AlertChannel) -> None:
        self.failures = 0
        self.error = ""
        self._channel = channel
        self._taken: set[Message] = set()
        self._rests_until: datetime | None = None

    async def offer(self, alert: Alert, telling: Telling, now: datetime) -> bool:
        """Send an alert unless it was taken already, or the channel rests; return whether it is."""
        message = (alert.id, telling)
        if message in self._taken:
            return True
        until = self._rests_until
        if until is not None and until - MAX_REST <= now < until:
            return False
        try:
            await self._channel.send(alert, telling, now)
        except NotSent as error:
            self._fail(str(error), now)
            return False
        if self.failures:
            log.info("alerts are sent by %s again", self._channel.name)
        self._taken.add(message)
        self.failures, self.error, self._rests_until = 0, "", None
        return True

    def forget(self, message: Message) -> None:
        """Forget what every channel has taken."""
        self._taken.discard(message)

    def _fail(self, error: str, now: datetime) -> None:
        if error != self.error:
            log.error("alerts cannot be sent by %s: %s", self._channel.name, error)
        self.error = error
        rest = min(FIRST_REST * 2 ** min(self.failures, 10), MAX_REST)
        self.failures, self._rests_until = self.failures + 1, now + rest


class AlertSender:
    """An agent that sends alerts by some channels; without any, the log alone has them."""

    def __init__(self, alerts: Alerts, channels: Sequence[AlertChannel], clock: Clock) -> None:
        self._alerts = alerts
        self._clock = clock
        self._sent_at: deque[datetime] = deque(maxlen=MAX_TOLD)
        self._outlets = [Outlet(channel) for channel in channels]

    def use(self, channels: Sequence[AlertChannel]) -> None:
        """Send by other channels from now on."""
        self._outlets = [Outlet(channel) for channel in channels]

    @property
    def has_channels(self) -> bool:
        """Return whether it sends alerts to anybody."""
        return bool(self._outlets)

    async def run(self) -> None:
        """Send what is due after each look, until cancelled."""
        while True:
            await self._clock.wait(self._alerts.is_due, None)
            self._alerts.is_due.clear()
            await self.send_due()
            self._alerts.error = "; ".join(each.error for each in self._outlets if each.error)

    async def send_due(self) -> None:
        """Send all alerts that are due now, as far as the channels take them."""
        for known in self._alerts.book:
            now = self._clock.now()
            alert = self._alerts.book.find(known.kind, known.key)
            telling = telling_of(alert, now, self._alerts.rules.repeat) if alert else None
            if alert is None or telling is None or telling is Telling.NOTHING:
                continue
            if not self._has_room(now) or not await self._alerts.leads():
                return
            if await self._is_taken(alert, telling, now):
                self._log(alert, telling)
                self._alerts.tell(alert, telling, now)
                await asyncio.shield(self._alerts.save())  # or it would be sent twice

    async def _is_taken(self, alert: Alert, telling: Telling, now: datetime) -> bool:
        """Send an alert; return whether it counts as told."""
        outlets = self._outlets
        taken = [await outlet.offer(alert, telling, now) for outlet in outlets]
        is_told = all(taken) or (
            any(taken)
            and all(
                is_taken or outlet.failures >= MAX_TRIES
                for is_taken, outlet in zip(taken, outlets, strict=True)
            )
        )
        if is_told:
            for outlet in outlets:
                outlet.forget((alert.id, telling))
            if outlets:
                self._sent_at.append(now)
        return is_told

    def _has_room(self, now: datetime) -> bool:
        """Return whether another message may be sent now."""
        if len(self._sent_at) < MAX_TOLD:
            return True
        first = self._sent_at[0]
        return not first <= now < first + WINDOW

    def _log(self, alert: Alert, telling: Telling) -> None:
        level = logging.WARNING if telling is Telling.OPENED else logging.INFO
        text = f"{telling}: {alert.kind} {alert.subject!r}: {alert.detail}"
        log.log(level, "%s", text)
