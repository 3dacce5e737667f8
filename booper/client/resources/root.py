"""The root of both clients: the resources, and the operations that belong to none."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from booper.client.calls import Call, bare, data, posting, query, reading
from booper.client.encoding import encode
from booper.client.fields import written
from booper.client.models import Breaker, LiveChange, Message, Pause
from booper.client.nodes import Node
from booper.client.resources.audit import Audit
from booper.client.resources.jobs import Jobs
from booper.client.resources.keys import Keys
from booper.client.resources.logs import Logs
from booper.client.resources.schedules import Schedules
from booper.client.sending import Operation, Resource, S
from booper.client.streaming import Streaming


class Root(Resource[S]):
    """The base of both clients: the resources, and the operations that belong to none."""

    def __init__(self, sender: S) -> None:
        super().__init__(sender)
        self.jobs: Jobs[S] = Jobs(sender)
        self.schedules: Schedules[S] = Schedules(sender)
        self.logs: Logs[S] = Logs(sender)
        self.keys: Keys[S] = Keys(sender)
        self.audit: Audit[S] = Audit(sender)

    @Operation
    def ping(self) -> Call[dict[str, Any]]:
        """Return what booper responds to a ping; no key is needed."""
        return reading("/api/ping", bare(dict[str, Any]))

    @Operation
    def status(self) -> Call[dict[str, Any]]:
        """Return the status of a booper that stores and sends jobs now. Raises: ServerError."""
        return reading("/readyz", bare(dict[str, Any]))

    @Operation
    def overview(self) -> Call[dict[str, Any]]:
        """Return how booper is doing, as `/api/status` has it. Needs a key that administers."""
        return reading("/api/status", data(dict[str, Any]))

    @Operation
    def nodes(self) -> Call[list[Node]]:
        """Return the processes that serve the database. Needs a key that administers."""
        return reading("/api/nodes", data(list[Node]))

    @Operation
    def counts(self) -> Call[dict[str, Any]]:
        """Return how many jobs the key's user has in each state, and what happened today."""
        return reading("/api/counts", data(dict[str, Any]))

    @Operation
    def rates(
        self,
        *,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        every: int | None = None,
    ) -> Call[list[dict[str, Any]]]:
        """Return what happened to the user's jobs in each span of a time, as `/api/rates` has it.

        `every` is the length of a span in seconds, an hour by default; without a time, it is the
        last 24 hours. Raises: InvalidArgument.
        """
        parameters = query(since=since, until=until, every=every)
        return reading("/api/rates", data(list[dict[str, Any]]), parameters)

    @Streaming
    def events(
        self,
        *,
        job_id: int | UUID | str | None = None,
        schedule_id: UUID | str | None = None,
        state: str | Sequence[str] | None = None,
    ) -> Call[LiveChange]:
        """Iterate over what changes, as it changes; at most twice a second.

        The first one comes at once, and says to read anew. It ends when the server stops, or
        revokes the key; then call it again. Raises: NotFound, there is no such job or schedule.
        """
        parameters = query(job_id=job_id, schedule_id=schedule_id, **written({"state": state}))
        return reading("/api/events", bare(LiveChange), parameters)

    @Operation
    def pause(self, host: str | None = None, *, origin: str | None = None) -> Call[dict[str, Any]]:
        """Pause one origin, all origins of a host, or everything.

        `host` may have a port. Needs a key that administers.
        """
        return posting(
            "/api/pause", _target(host, origin), data(dict[str, Any]), is_repeatable=True
        )

    @Operation
    def resume(self, host: str | None = None, *, origin: str | None = None) -> Call[dict[str, Any]]:
        """Resume one origin, all of a host, or all.

        Needs a key that administers.
        """
        return posting(
            "/api/resume", _target(host, origin), data(dict[str, Any]), is_repeatable=True
        )

    @Operation
    def pauses(self) -> Call[list[Pause]]:
        """Return what is paused; needs a key that administers."""
        return reading("/api/pauses", data(list[Pause]))

    @Operation
    def breakers(self) -> Call[list[Breaker]]:
        """Return the origins that are only probed because they failed again and again."""
        return reading("/api/breakers", data(list[Breaker]))

    @Operation
    def origins(self) -> Call[list[dict[str, Any]]]:
        """Return the origins that jobs go to, as `/api/origins` has them.

        Needs a key that administers.
        """
        return reading("/api/origins", data(list[dict[str, Any]]))

    @Operation
    def reset_breakers(
        self, host: str | None = None, *, origin: str | None = None
    ) -> Call[dict[str, Any]]:
        """Send to one origin, to all of a host, or to all as if it had never failed.

        Needs a key that administers.
        """
        return posting(
            "/api/breakers/reset", _target(host, origin), data(dict[str, Any]), is_repeatable=True
        )

    @Operation
    def prune(self) -> Call[dict[str, Any]]:
        """Delete old jobs from now on, by the server's settings; it goes on after the response.

        Needs a key that administers.
        """
        return posting("/api/prune", b"", data(dict[str, Any]), is_repeatable=True)

    @Operation
    def broadcast(
        self, content: str, *, channel: str | None = None, author: str | None = None
    ) -> Call[Message]:
        """Post a message to a channel."""
        body = {"content": content, "channel": channel, "author": author}
        given = {name: value for name, value in body.items() if value is not None}
        return posting("/api/broadcast", encode(given), bare(Message))


def _target(host: str | None, origin: str | None) -> bytes:
    return encode({"host": host, "origin": origin})
