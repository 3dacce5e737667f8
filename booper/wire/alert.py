"""Alerts as they are sent: booper's own JSON, what ntfy, Discord and Slack take, and mail."""

import re
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime
from enum import StrEnum
from typing import Any, Final
from urllib.parse import unquote, urlsplit, urlunsplit

from booper.model.alert import Alert, Telling
from booper.wire.discord import discord_body
from booper.wire.timestamps import precise

AUTHOR: Final = "booper"

# ntfy's scale is 1 to 5 ("Message priority"): 4 is "high", 3 the default.
_PRIORITIES: Final = {Telling.OPENED: 4, Telling.CLOSED: 3}
_TAGS: Final = {Telling.OPENED: "rotating_light", Telling.CLOSED: "white_check_mark"}

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")

MAX_TITLE: Final = 200
MAX_TEXT: Final = 1_500
"""Characters of what is made of an alert for people; ntfy takes 4,096 bytes."""


class Form(StrEnum):
    """What the receiver of alerts understands."""

    BOOPER = "booper"
    NTFY = "ntfy"
    DISCORD = "discord"
    SLACK = "slack"


def alert_url(alert: Alert, public_url: str) -> str | None:
    """Return where there is more of an alert, None if booper does not know its own URL."""
    return f"{public_url}{alert.path}" if public_url else None


def alert_body(alert: Alert, telling: Telling, now: datetime, public_url: str) -> dict[str, Any]:
    """Return what is sent of an alert, in booper's own form."""
    return {
        "type": str(telling),
        "timestamp": precise(now),
        "data": {
            "id": str(alert.id),
            "kind": str(alert.kind),
            "subject": alert.subject,
            "since": precise(alert.since),
            "detail": alert.detail,
            "url": alert_url(alert, public_url),
        },
    }


def title(alert: Alert, telling: Telling) -> str:
    """Return an alert as one line for people."""
    mark = "" if telling is Telling.OPENED else "over: "
    return _line(f"{mark}{alert.kind} {alert.subject}".rstrip(), MAX_TITLE)


def text(alert: Alert, telling: Telling, public_url: str) -> str:
    """Return what people read below the title."""
    count = f" ({alert.count} times)" if telling is Telling.OPENED and alert.count > 1 else ""
    lines = [
        f"{_line(alert.detail, MAX_TEXT)}{count}",
        f"Since {alert.since:%Y-%m-%d %H:%M:%SZ}.",
        alert_url(alert, public_url) or "",
    ]
    return "\n".join(filter(None, lines))


def form_body(
    form: Form, alert: Alert, telling: Telling, now: datetime, url: str, public_url: str
) -> dict[str, Any]:
    """Return the JSON that the receiver at `url` takes."""
    match form:
        case Form.BOOPER:
            return alert_body(alert, telling, now, public_url)
        case Form.NTFY:
            return {
                "topic": ntfy_parts(url)[1],
                "title": title(alert, telling),
                "message": text(alert, telling, public_url),
                "priority": _PRIORITIES[telling],
                "tags": [_TAGS[telling]],
            }
        case Form.DISCORD:
            content = f"**{title(alert, telling)}**\n{text(alert, telling, public_url)}"
            return discord_body(content, AUTHOR)
        case Form.SLACK:
            heading = _slack(title(alert, telling))
            return {"text": f"*{heading}*\n{_slack(text(alert, telling, public_url))}"}


def form_url(form: Form, url: str) -> str:
    """Return where an alert is posted: ntfy takes JSON at its root."""
    return ntfy_parts(url)[0] if form is Form.NTFY else url


def ntfy_parts(url: str) -> tuple[str, str]:
    """Return the root of an ntfy server and the topic, of the URL of a topic.

    Raises:
        ValueError: it names no topic.
    """
    parts = urlsplit(url)
    folder, _, topic = parts.path.rstrip("/").rpartition("/")
    if not topic:
        raise ValueError("expected the URL of a topic, such as https://ntfy.sh/my-topic")
    root = urlunsplit((parts.scheme, parts.netloc, f"{folder}/", parts.query, ""))
    return root, unquote(topic)


def mail(
    alert: Alert, telling: Telling, now: datetime, public_url: str, sender: str, to: str
) -> EmailMessage:
    """Return the mail of an alert; all of one opening are one thread (RFC 5322 §3.6.4)."""
    message = EmailMessage()
    message["From"] = sender
    message["To"] = to
    message["Subject"] = f"[booper] {title(alert, telling)}"
    message["Date"] = format_datetime(now)
    message["Message-ID"] = f"<{alert.id.hex}.{telling.name.lower()}.{now:%Y%m%d%H%M%S}@booper>"
    message["References"] = f"<{alert.id.hex}@booper>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834 §5
    message.set_content(text(alert, telling, public_url) + "\n")
    return message


def _line(value: str, most: int) -> str:
    """Return text on one line, cut where it is too long."""
    line = _CONTROL.sub(" ", value)
    return line if len(line) <= most else line[: most - 1] + "…"


def _slack(value: str) -> str:
    """Return text in which Slack reads no links and no mentions ("Escaping text")."""
    return value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
