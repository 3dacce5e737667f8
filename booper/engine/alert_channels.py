"""Where alerts go over HTTP: one request each, past every queue, slot and breaker of jobs."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, Protocol

import msgspec

from booper.clock import SystemClock
from booper.engine import signing
from booper.engine.delivery import Delivery
from booper.errors import Shortage
from booper.model.alert import Alert, Telling
from booper.model.job import Failed, Outcome, Refused, Request, Responded
from booper.wire.alert import Form, form_body, form_url

TIMEOUT: Final = timedelta(seconds=10)


class NotSent(Exception):
    """An alert that did not reach its receiver; the message says why, and has no URL."""


class AlertChannel(Protocol):
    """A way to whoever wants alerts; `name` is what it is called in the log."""

    name: str

    async def send(self, alert: Alert, telling: Telling, now: datetime) -> None:
        """Send what there is to tell of an alert. Raises: NotSent."""
        ...


class WebhookChannel:
    """A URL that alerts are posted to, in a form that its receiver takes."""

    def __init__(
        self,
        delivery: Delivery,
        url: str,
        form: Form,
        user_agent: str,
        public_url: str,
        secrets: Sequence[signing.Secret],
    ) -> None:
        self.name = str(form)
        self._delivery = delivery
        self._url = url
        self._form = form
        self._user_agent = user_agent
        self._public_url = public_url
        self._secrets = secrets

    async def send(self, alert: Alert, telling: Telling, now: datetime) -> None:
        """Post what there is to tell of an alert. Raises: NotSent."""
        body = form_body(self._form, alert, telling, now, self._url, self._public_url)
        content = msgspec.json.encode(body)
        headers = {"User-Agent": self._user_agent, "Content-Type": "application/json"}
        if self._form is Form.BOOPER and self._secrets:
            at = int(SystemClock().now().timestamp())  # receivers check it
            identity = _message_id(alert, telling)
            headers |= signing.headers(self._secrets, identity, at, content)
        url = form_url(self._form, self._url)
        await exchange(self._delivery, Request("POST", url, headers, content, {}, {}))


async def exchange(delivery: Delivery, request: Request) -> None:
    """Send a request of booper's own. Raises: NotSent, if the response is no success."""
    try:
        outcome = await delivery.send(request, TIMEOUT)
    except Shortage as error:
        raise NotSent(str(error)) from error
    if (problem := _problem(outcome)) is not None:
        raise NotSent(problem)


def _problem(outcome: Outcome) -> str | None:
    """Return why a request did not arrive, without its URL; None if it did."""
    match outcome:
        case Responded(response=response):
            status = response.status
            return None if 200 <= status < 300 else f"the receiver responded {status}"
        case Failed(error=error, message=message):
            return f"{error}: {message}"
        case Refused():
            return "the URL cannot be used"


def _message_id(alert: Alert, telling: Telling) -> str:
    """Return what is the same on every delivery of one message, and differs between messages."""
    name = f"{alert.id}_{telling.name.lower()}"
    is_repeated = telling is Telling.OPENED and alert.told is Telling.OPENED
    if not is_repeated or alert.told_at is None:
        return name
    return f"{name}_{int(alert.told_at.timestamp())}"
