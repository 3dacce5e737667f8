"""Alerts by mail: what a mail server is told, and what is said of one that does not take it."""

import asyncio
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email import message_from_string, policy
from uuid import UUID

import pytest

from booper.engine.alert_channels import NotSent
from booper.engine.mail import MailChannel, MailServer, Security
from booper.model.alert import Alert, AlertKind, Telling

pytestmark = pytest.mark.anyio

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
ALERT = Alert(
    id=UUID(int=7),
    kind=AlertKind.DISK_LOW,
    key="",
    subject="disk",
    detail="9 bytes are free",
    path="/api/status",
    since=NOW,
    last_at=NOW,
)


class Post:
    """A mail server that speaks just enough of SMTP (RFC 5321), and keeps what it is told.

    It refuses the receiver `refused`.
    """

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.mails: list[str] = []
        self.port = 0
        self._serving: list[asyncio.Task[None]] = []

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Post"]:
        """Listen until the end of the block."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        async with server:
            yield self
            await asyncio.gather(*self._serving)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.append(task)
        writer.write(b"220 post.test\r\n")
        while line := (await reader.readline()).decode().strip():
            self.lines.append(line)
            verb = line.split()[0].upper()
            if verb == "DATA":
                writer.write(b"354 go on\r\n")
                self.mails.append((await reader.readuntil(b"\r\n.\r\n")).decode())
            writer.write(self._response(verb, line))
            if verb == "QUIT":
                break
        writer.close()
        await writer.wait_closed()

    def _response(self, verb: str, line: str) -> bytes:
        if verb == "EHLO":
            return b"250-post.test\r\n250 AUTH PLAIN\r\n"
        if "refused@" in line:
            return b"550 no such mailbox\r\n"
        return {"AUTH": b"235 welcome\r\n", "QUIT": b"221 bye\r\n"}.get(verb, b"250 fine\r\n")


def channel(port: int, *receivers: str, user: str = "", security: str = "none") -> MailChannel:
    """Return a way to receivers, over a server on this machine."""
    server = MailServer(
        host="127.0.0.1",
        port=port,
        security=Security(security),
        user=user,
        password="secret-7d1f",
        sender="booper@example.com",
        receivers=receivers,
    )
    return MailChannel(server, "https://b.example", ssl.create_default_context)


async def test_a_mail_is_sent_to_each_receiver() -> None:
    """From the sender, with the alert in it, and without a login where there is no user."""
    async with Post().running() as post:
        ways = channel(post.port, "you@example.com", "me@example.com")
        await ways.send(ALERT, Telling.OPENED, NOW)
    commands = [line.split()[0].upper() for line in post.lines]
    assert commands == ["EHLO", "MAIL", "RCPT", "RCPT", "DATA", "QUIT"]
    assert post.lines[1].upper().startswith("MAIL FROM:<BOOPER@EXAMPLE.COM>")
    [text] = post.mails
    read = message_from_string(text, policy=policy.default)
    assert read["Subject"] == "[booper] disk.low disk"
    assert read["To"] == "you@example.com, me@example.com"
    assert "9 bytes are free" in text
    assert "https://b.example/api/status" in text


async def test_a_user_logs_in() -> None:
    """By the mechanism that the server offers (RFC 4616)."""
    async with Post().running() as post:
        await channel(post.port, "you@example.com", user="booper").send(ALERT, Telling.OPENED, NOW)
    expected = b64encode(b"\0booper\0secret-7d1f").decode()
    assert f"AUTH PLAIN {expected}" in post.lines


async def test_a_server_that_does_not_take_it_is_told_of_without_secrets() -> None:
    """A refused receiver, no encryption where that is wanted, and nobody there."""
    async with Post().running() as post:
        with pytest.raises(NotSent, match="no such mailbox"):
            await channel(post.port, "refused@example.com").send(ALERT, Telling.OPENED, NOW)
        way = channel(post.port, "you@example.com", user="booper", security="starttls")
        with pytest.raises(NotSent, match="STARTTLS") as caught:
            await way.send(ALERT, Telling.OPENED, NOW)
        assert "AUTH" not in "".join(post.lines)
    assert "secret" not in str(caught.value)
    with pytest.raises(NotSent, match="ConnectionRefusedError"):
        await channel(post.port, "you@example.com").send(ALERT, Telling.OPENED, NOW)


async def test_a_server_that_hangs_holds_up_one_mail_alone() -> None:
    """Whoever waits can be cancelled, and no second thread is made beside the one that hangs."""
    hung, is_over, closed = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hung.set()
        await is_over.wait()
        writer.close()
        await writer.wait_closed()
        closed.set()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    async with server:
        way = channel(server.sockets[0].getsockname()[1], "you@example.com")
        task = asyncio.create_task(way.send(ALERT, Telling.OPENED, NOW))
        await hung.wait()
        task.cancel()
        await asyncio.wait({task})
        with pytest.raises(NotSent, match="has not done with the mail before"):
            await way.send(ALERT, Telling.OPENED, NOW)
        is_over.set()
        await closed.wait()
