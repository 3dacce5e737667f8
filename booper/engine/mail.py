"""Alerts by mail: the standard library's smtplib, which blocks, in a thread of its own.

A mail is rare and need not be fast, so a thread serves as well as another dependency would.
"""

import asyncio
import smtplib
import ssl
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from email.message import EmailMessage
from enum import StrEnum
from functools import partial
from typing import Final

from booper.engine.alert_channels import NotSent
from booper.model.alert import Alert, Telling
from booper.wire.alert import mail

TIMEOUT_SECONDS: Final = 10.0
"""For each response of the server."""

DEADLINE_SECONDS: Final = 60.0
"""For the whole mail: a server that sends a byte now and then never trips the other."""

MakeContext = Callable[[], ssl.SSLContext]


class Security(StrEnum):
    """How the connection to a mail server is encrypted."""

    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class MailServer:
    """The server that takes booper's mail, and who it is from; `user` is empty without a login."""

    host: str
    port: int
    security: Security
    user: str
    password: str = field(repr=False)
    sender: str
    receivers: Sequence[str]


class MailChannel:
    """Mail to whoever wants alerts. `make_context` returns what judges the server's certificate."""

    name = "mail"

    def __init__(self, server: MailServer, public_url: str, make_context: MakeContext) -> None:
        self._server = server
        self._public_url = public_url
        self._make_context = make_context
        self._thread: threading.Thread | None = None

    async def send(self, alert: Alert, telling: Telling, now: datetime) -> None:
        """Mail what there is to tell of an alert. Raises: NotSent."""
        server = self._server
        to = ", ".join(server.receivers)
        message = mail(alert, telling, now, self._public_url, server.sender, to)
        if self._thread is not None and self._thread.is_alive():  # it cannot be cancelled
            raise NotSent("the mail server has not done with the mail before")
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                await self._in_thread(partial(deliver, server, message, self._make_context))
        except TimeoutError as error:
            raise NotSent(f"the mail server took over {DEADLINE_SECONDS:g} s") from error
        except (smtplib.SMTPException, OSError, ValueError) as error:
            raise NotSent(f"{type(error).__name__}: {error}") from error

    async def _in_thread(self, work: Callable[[], None]) -> None:
        """Run blocking work in a thread that the end of the process does not wait for."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()

        def tell(error: Exception | None) -> None:
            if not done.done():
                done.set_result(None) if error is None else done.set_exception(error)

        def run() -> None:
            failure: Exception | None = None
            try:
                work()
            except Exception as error:  # whatever it is, the one who waits has it
                failure = error
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(tell, failure)

        self._thread = threading.Thread(target=run, name="mail", daemon=True)
        self._thread.start()
        await done


def deliver(server: MailServer, message: EmailMessage, make_context: MakeContext) -> None:
    """Give a mail to a server; it blocks.

    Raises:
        SMTPException, OSError, ValueError: the server does not take it.
    """
    with _connected(server, make_context) as client:
        if server.security is Security.STARTTLS:
            client.starttls(context=make_context())
        if server.user:
            client.login(server.user, server.password)
        client.send_message(message, server.sender, list(server.receivers))


def _connected(server: MailServer, make_context: MakeContext) -> smtplib.SMTP:
    if server.security is Security.TLS:
        return smtplib.SMTP_SSL(
            server.host, server.port, timeout=TIMEOUT_SECONDS, context=make_context()
        )
    return smtplib.SMTP(server.host, server.port, timeout=TIMEOUT_SECONDS)
