"""Channels: the live feeds, the helper endpoints over them, and Discord's form (contract §2)."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import ExitStack
from datetime import timedelta
from random import Random
from typing import Any
from uuid import UUID

import httpx
import pytest
from msgspec.structs import replace
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Message as Event

from booper import config as settings
from booper.api.channels import write
from booper.api.event_stream import EventStream
from booper.api.problems import ProblemResponse
from booper.app import Booper
from booper.clock import VirtualClock
from booper.config import Config
from booper.engine.channels import Channels, Dropped, Feed
from booper.engine.feeds import Feeds, FeedUnavailable
from booper.errors import BooperError
from booper.model.message import Message
from tests.conftest import START
from tests.support.api import Api
from tests.support.streams import PATIENCE_SECONDS, Stream, connected, data_of
from tests.support.target import FakeTarget

pytestmark = pytest.mark.anyio

ANN = UUID(int=1)
BOB = UUID(int=2)
ANNS_KEY, BOBS_KEY = UUID(int=3), UUID(int=4)
DISCORD_URL = "https://discord.test/api/webhooks/1/token"


@pytest.fixture
def feeds() -> Feeds:
    """Return room for three feeds, two of one key."""
    return Feeds(max_feeds=3, max_feeds_of_key=2)


@pytest.fixture
def channels(clock: VirtualClock, feeds: Feeds) -> Channels:
    """Return channels whose feeds have room for two messages each."""
    return Channels(clock, Random(1), feeds, feed_room=2)


@pytest.fixture
def config(config: Config) -> Config:
    """Return a test's settings with a Discord webhook."""
    return replace(config, channels=settings.Channels(discord=DISCORD_URL))


@pytest.fixture
async def stranger(booper: Booper) -> AsyncIterator[Api]:
    """Return a client without a key."""
    async with Api(booper.asgi) as client:
        yield client


async def next_of(feed: Feed) -> Message | Dropped:
    """Return a feed's next item, which must be there already."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        return await anext(feed)


class TestChannels:
    """The feeds themselves."""

    async def test_a_message_reaches_every_subscriber_of_its_channel(
        self, channels: Channels
    ) -> None:
        """Publishing says how many listen, and each of them gets the message."""
        message = channels.message("demo", "Hello", "Ann")
        with channels.subscribe(ANN, "demo") as one, channels.subscribe(ANN, "demo") as two:
            assert channels.publish(ANN, message) == 2
            assert await next_of(one) == message
            assert await next_of(two) == message

    async def test_nobody_listening_is_no_error(self, channels: Channels) -> None:
        """A message without subscribers is gone: the next one hears only what comes later."""
        assert channels.publish(ANN, channels.message("demo", "early")) == 0
        later = channels.message("demo", "late")
        with channels.subscribe(ANN, "demo") as feed:
            assert channels.publish(ANN, later) == 1
            assert await next_of(feed) == later

    async def test_users_and_channels_are_kept_apart(self, channels: Channels) -> None:
        """The same name is another channel for another user, and another name is another one."""
        with channels.subscribe(ANN, "demo") as feed:
            assert channels.publish(BOB, channels.message("demo", "not for Ann")) == 0
            assert channels.publish(ANN, channels.message("toast", "not here")) == 0
            mine = channels.message("demo", "for Ann")
            assert channels.publish(ANN, mine) == 1
            assert await next_of(feed) == mine

    async def test_a_message_is_stamped_by_the_clock(
        self, channels: Channels, clock: VirtualClock
    ) -> None:
        """A message bears the clock's time, and a later one a greater id of version 7."""
        first = channels.message("demo", "one")
        clock.advance(timedelta(microseconds=1))
        second = channels.message("demo", "two")
        assert (first.at, second.at) == (START, START + timedelta(microseconds=1))
        assert first.id < second.id
        assert first.id.version == 7
        assert first.author is None

    async def test_a_slow_reader_is_told_what_it_lost(self, channels: Channels) -> None:
        """With room for two, of five messages the oldest three go, and the reader hears it once."""
        messages = [channels.message("demo", str(number)) for number in range(5)]
        with channels.subscribe(ANN, "demo") as feed:
            for message in messages:
                channels.publish(ANN, message)
            assert await next_of(feed) == Dropped(3)
            assert [await next_of(feed) for _ in range(2)] == messages[3:]
            channels.publish(ANN, messages[0])
            assert await next_of(feed) == messages[0]

    async def test_a_cancelled_wait_loses_nothing(self, channels: Channels) -> None:
        """A reader may give up waiting and come back."""
        with channels.subscribe(ANN, "demo") as feed:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0):
                    await anext(feed)
            message = channels.message("demo", "still here")
            channels.publish(ANN, message)
            assert await next_of(feed) == message

    async def test_subscribers_are_bounded_over_all_users(self, channels: Channels) -> None:
        """The fourth of three is refused; one that leaves makes room again."""
        with ExitStack() as stack:
            stack.enter_context(channels.subscribe(ANN, "one"))
            stack.enter_context(channels.subscribe(ANN, "two"))
            with channels.subscribe(BOB, "one"), pytest.raises(FeedUnavailable, match="all 3 live"):
                stack.enter_context(channels.subscribe(BOB, "two"))
            stack.enter_context(channels.subscribe(BOB, "two"))

    async def test_a_key_has_its_share_of_the_feeds(self, channels: Channels) -> None:
        """One key cannot take all; another one of the same user has its own share."""
        with ExitStack() as stack:
            stack.enter_context(channels.subscribe(ANN, "one", ANNS_KEY))
            with channels.subscribe(ANN, "two", ANNS_KEY):
                with pytest.raises(FeedUnavailable, match="all 2 live feeds that a key may have"):
                    stack.enter_context(channels.subscribe(ANN, "one", ANNS_KEY))
                with channels.subscribe(ANN, "one", BOBS_KEY):
                    pass
            stack.enter_context(channels.subscribe(ANN, "one", ANNS_KEY))

    async def test_the_feeds_of_a_revoked_key_end_at_once(
        self, channels: Channels, feeds: Feeds
    ) -> None:
        """What is unread is lost; the feeds of other keys, of the same user too, go on."""
        with (
            channels.subscribe(ANN, "demo", ANNS_KEY) as ended,
            channels.subscribe(ANN, "demo", BOBS_KEY) as other,
        ):
            message = channels.message("demo", "unread")
            channels.publish(ANN, message)
            feeds.end_of(ANNS_KEY)
            assert [item async for item in ended] == []
            assert await next_of(other) == message
        feeds.end_of(ANNS_KEY)

    async def test_closing_ends_every_feed_at_once(self, channels: Channels, feeds: Feeds) -> None:
        """A waiting reader and one with unread messages both end, and nobody new is taken."""
        with channels.subscribe(ANN, "demo") as idle, channels.subscribe(BOB, "demo") as busy:
            channels.publish(BOB, channels.message("demo", "unread"))
            waiting = asyncio.ensure_future(anext(idle, None))
            feeds.close()
            async with asyncio.timeout(PATIENCE_SECONDS):
                assert await waiting is None
                assert [item async for item in busy] == []
        with (
            pytest.raises(FeedUnavailable, match="stopping"),
            channels.subscribe(ANN, "demo"),
        ):
            pass


class TestEventStream:
    """The event stream format (HTML standard §9.2) and the life of a subscription."""

    async def test_it_opens_at_once_and_shows_messages_and_losses(self, channels: Channels) -> None:
        """A comment comes first; a message is an id, a name and one line of data."""
        async with connected(EventStream(channels.subscribe(ANN, "demo"), write)) as stream:
            status, headers = await stream.start()
            assert status == 200
            assert headers["content-type"] == "text/event-stream"
            assert headers["cache-control"] == "no-cache, no-transform"
            assert "content-length" not in headers
            assert await stream.block() == ": connected\n\n"
            message = channels.message("demo", "two\r\nlines", "Ann")
            for _ in range(3):
                channels.publish(ANN, message)
            # Room for two, and all three came before the stream could read: one is lost.
            assert await stream.block() == 'event: dropped\ndata: {"count":1}\n\n'
            block = await stream.block()
        lines = block.split("\n")
        assert lines[:2] == [f"id: {message.id}", "event: message"]
        assert lines[3:] == ["", ""]
        assert data_of(block) == {
            "id": str(message.id),
            "channel": "demo",
            "content": "two\r\nlines",
            "author": "Ann",
            "at": "2030-01-01T12:00:00.000000Z",
        }

    async def test_an_idle_stream_is_kept_alive_in_real_time(self, channels: Channels) -> None:
        """With nothing to say a comment is sent, whatever the virtual clock shows."""
        async with connected(EventStream(channels.subscribe(ANN, "demo"), write, 0)) as stream:
            await stream.start()
            assert await stream.block() == ": connected\n\n"
            assert await stream.block() == ": keep-alive\n\n"
            assert await stream.block() == ": keep-alive\n\n"

    async def test_a_client_that_leaves_is_forgotten(self, channels: Channels) -> None:
        """Once the client is gone, nobody listens any more."""
        async with connected(EventStream(channels.subscribe(ANN, "demo"), write)) as stream:
            await stream.start()
            assert channels.publish(ANN, channels.message("demo", "heard")) == 1
        assert channels.publish(ANN, channels.message("demo", "unheard")) == 0

    @pytest.mark.parametrize("spec", ["2.3", "2.4"])
    async def test_a_stream_ends_when_the_channels_close(
        self, channels: Channels, feeds: Feeds, spec: str
    ) -> None:
        """The body comes to its proper end, and the subscription is released."""
        app = EventStream(channels.subscribe(ANN, "demo"), write)
        async with connected(app, spec=spec) as stream:
            await stream.start()
            await stream.block()
            feeds.close()
            assert await stream.block() == ""
        assert channels.publish(ANN, channels.message("demo", "unheard")) == 0

    async def test_a_failing_send_releases_the_subscription(self, channels: Channels) -> None:
        """From ASGI 2.4 on a lost client is an OSError of `send`; the feed goes with it."""

        async def send(event: Event) -> None:
            raise OSError("the client is gone")

        app = EventStream(channels.subscribe(ANN, "demo"), write)
        scope = {"type": "http", "asgi": {"spec_version": "2.4"}}
        with pytest.raises(ClientDisconnect):
            await app(scope, Stream().receive, send)
        assert channels.publish(ANN, channels.message("demo", "unheard")) == 0

    async def test_one_stream_too_many_is_told_so(self, clock: VirtualClock) -> None:
        """503 with `Retry-After`, as problem details, rather than a stream that breaks."""
        channels = Channels(clock, Random(1), Feeds(max_feeds=0))

        async def endpoint(request: Request) -> Response:
            return EventStream(channels.subscribe(ANN, "demo"), write)

        async def refuse(request: Request, error: Exception) -> Response:
            assert isinstance(error, BooperError)
            return ProblemResponse(error)

        app = Starlette(routes=[Route("/", endpoint)], exception_handlers={BooperError: refuse})
        async with Api(app) as client:
            response = await client.get("/")
        assert response.status_code == 503
        assert response.headers["content-type"] == "application/problem+json"
        assert response.headers["retry-after"] == "1"
        assert response.json()["title"] == "Feed unavailable"


@pytest.mark.parametrize("path", ["/api/broadcast", "/api/channels/demo"])
class TestPosting:
    """What both endpoints take and answer."""

    @pytest.mark.parametrize(
        "body",
        [
            {"content": "Testing 123"},
            {"content": "Testing 123", "author": None},
            {"content": "x" * 4_000, "author": "a" * 255},
            {"content": "Hi", "$job": {"id": 7, "x": [1]}, "$previous": {}, "$state": {"n": 1}},
        ],
    )
    async def test_exactly_what_was_sent_is_echoed(
        self, api: Api, path: str, body: dict[str, Any]
    ) -> None:
        """No envelope and no defaults; a run's metadata is no unknown field."""
        response = await api.post(path, json=body)
        assert response.status_code == 200
        assert response.headers["content-type"] == "application/json"
        assert response.json() == body

    async def test_a_form_is_as_good(self, api: Api, path: str) -> None:
        """A form is echoed as JSON."""
        response = await api.post(path, data={"content": "Hi there", "author": "Ann"})
        assert response.status_code == 200
        assert response.json() == {"content": "Hi there", "author": "Ann"}

    @pytest.mark.parametrize(
        ("body", "pointers"),
        [
            ({}, ["/content"]),
            ({"content": None}, ["/content"]),
            ({"content": 5}, ["/content"]),
            ({"content": ""}, ["/content"]),
            ({"content": " \n "}, ["/content"]),
            ({"content": "x" * 4_001, "author": "a" * 256}, ["/content", "/author"]),
            ({"content": "Hi", "author": 5}, ["/author"]),
            ({"content": "Hi", "autor": "Ann"}, ["/autor"]),
            ([], [""]),
            ("Hi", [""]),
        ],
    )
    async def test_a_wrong_field_is_named(
        self, api: Api, path: str, body: Any, pointers: list[str]
    ) -> None:
        """Every wrong field is pointed at, and nothing is sent."""
        response = await api.post(path, json=body)
        assert response.status_code == 422
        assert [error["pointer"] for error in response.json()["errors"]] == pointers

    async def test_an_unknown_field_gets_a_hint(self, api: Api, path: str) -> None:
        """A typo is told with the name that may be meant."""
        response = await api.post(path, json={"content": "Hi", "autor": "Ann"})
        assert "did you mean 'author'?" in response.json()["errors"][0]["detail"]

    async def test_what_cannot_be_read_is_malformed(self, api: Api, path: str) -> None:
        """400 for what is not JSON, in the keys that are ignored as well."""
        for content in (b"", b"{", b'{"content": "Hi", "$job": "\xff"}'):
            assert (await api.post(path, content=content)).status_code == 400

    async def test_strangers_may_not_post(self, stranger: Api, path: str) -> None:
        """Without a key this would be an open relay."""
        response = await stranger.post(path, json={"content": "spam"})
        assert response.status_code == 401


class TestEndpoints:
    """Names, Discord and the live feed, over a running booper."""

    async def test_ping_needs_no_key(self, stranger: Api) -> None:
        """The older form of ping answers as ping does."""
        response = await stranger.get("/api/channels/ping")
        assert (response.status_code, response.json()) == (200, {"message": "Pong"})

    async def test_the_path_of_ping_is_no_channels(self, api: Api) -> None:
        """As `/api/jobs/batch` is no job: a path of its own has its own methods (405 + Allow)."""
        response = await api.post("/api/channels/ping", json={"content": "Hi"})
        assert response.status_code == 405
        assert "GET" in response.headers["allow"]
        broadcast = await api.post("/api/broadcast", json={"content": "Hi", "channel": "ping"})
        assert broadcast.status_code == 200

    @pytest.mark.parametrize("name", ["a b", "a.b", "ä", "x" * 65, "a\n"])
    async def test_a_bad_name_is_no_channel(self, api: Api, name: str) -> None:
        """422 where the body names it, 404 where the path does; both state the rule."""
        response = await api.post("/api/broadcast", json={"content": "Hi", "channel": name})
        assert response.status_code == 422
        [error] = response.json()["errors"]
        assert error["pointer"] == "/channel"
        assert "1 to 64 letters" in error["detail"]
        url = httpx.URL("http://booper.test/api/channels/").join(
            "/api/channels/" + "".join(f"%{byte:02X}" for byte in name.encode())
        )
        for response in (
            await api.post(url, json={"content": "Hi"}),
            await api.get(httpx.URL(f"{url}/events")),
        ):
            assert response.status_code == 404
            assert "1 to 64 letters" in response.json()["detail"]

    async def test_the_path_names_the_channel(self, api: Api) -> None:
        """In the older form a `channel` in the body is an unknown field."""
        response = await api.post("/api/channels/demo", json={"content": "Hi", "channel": "toast"})
        assert response.status_code == 422
        assert response.json()["errors"][0]["pointer"] == "/channel"

    @pytest.mark.parametrize(
        ("path", "body", "channel"),
        [
            ("/api/broadcast", {"content": "Hi"}, "demo"),
            ("/api/broadcast", {"content": "Hi", "channel": None}, "demo"),
            ("/api/broadcast", {"content": "Hi", "channel": "toast"}, "toast"),
            ("/api/channels/my-own_1", {"content": "Hi", "author": "Ann", "$job": {}}, "my-own_1"),
        ],
    )
    async def test_a_message_appears_on_the_live_feed(
        self,
        api: Api,
        booper: Booper,
        path: str,
        body: dict[str, Any],
        channel: str,
    ) -> None:
        """Whoever has the stream open reads it, without the metadata of the run that sent it."""
        async with connected(booper.asgi, f"/api/channels/{channel}/events") as stream:
            assert (await stream.start())[0] == 200
            assert await stream.block() == ": connected\n\n"
            assert (await api.post(path, json=body)).status_code == 200
            shown = data_of(await stream.block())
        assert shown.pop("id")
        assert shown == {
            "channel": channel,
            "content": "Hi",
            "author": body.get("author"),
            "at": "2030-01-01T12:00:00.000000Z",
        }

    async def test_another_user_reads_nothing(self, api: Api, admin: Api, booper: Booper) -> None:
        """A channel of the same name is another one for another user."""
        made = await admin.post("/api/keys", json={"name": "other", "user": "bob"})
        other = {"Authorization": f"Bearer {made.json()['data']['key']}"}
        async with connected(booper.asgi, "/api/channels/demo/events") as stream:
            await stream.start()
            await stream.block()
            sent = await api.post("/api/broadcast", json={"content": "Bob's"}, headers=other)
            assert sent.status_code == 200
            await api.post("/api/broadcast", json={"content": "mine"})
            assert data_of(await stream.block())["content"] == "mine"

    async def test_the_feed_needs_a_key(self, stranger: Api) -> None:
        """Nobody listens without one."""
        assert (await stranger.get("/api/channels/demo/events")).status_code == 401

    async def test_head_of_a_feed_ends(self, api: Api) -> None:
        """HEAD answers the headers of the stream, without one."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            response = await api.head("/api/channels/demo/events")
        assert response.status_code == 200
        assert response.headers["content-type"] == "text/event-stream"
        assert "content-length" not in response.headers

    @pytest.mark.parametrize(
        ("path", "extra"),
        [("/api/broadcast", {"channel": "discord"}), ("/api/channels/discord", {})],
    )
    async def test_discord_is_forwarded(
        self,
        api: Api,
        booper: Booper,
        target: FakeTarget,
        path: str,
        extra: dict[str, str],
    ) -> None:
        """One POST of Discord's form goes to the operator's webhook."""
        body = {"content": "@everyone", "author": "Ann", **extra}
        assert (await api.post(path, json=body)).status_code == 200
        await booper.wait_idle()
        [sent] = target.received
        assert (sent.method, str(sent.url)) == ("POST", DISCORD_URL)
        assert json.loads(sent.read()) == {
            "content": "@everyone",
            "username": "Ann",
            "allowed_mentions": {"parse": []},
        }

    async def test_other_channels_are_not_forwarded(
        self, api: Api, booper: Booper, target: FakeTarget
    ) -> None:
        """Only `discord` leaves booper."""
        for channel in ("demo", "toast", "Discord"):
            await api.post("/api/broadcast", json={"content": "Hi", "channel": channel})
        await booper.wait_idle()
        assert target.received == []

    async def test_draining_ends_a_feed(self, booper: Booper) -> None:
        """A stop drains before it waits for clients, and a reader would never leave by itself."""
        async with connected(booper.asgi, "/api/channels/demo/events") as stream:
            await stream.start()
            await stream.block()
            await booper.drain()
            assert await stream.block() == ""
