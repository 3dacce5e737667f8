"""A target whose responses depend on the path that is asked for, however many jobs ask."""

import httpx

from tests.support.target import FakeTarget


class PathTarget(FakeTarget):
    """Respond 200 with `body`, or as the first part of the path says.

    `/500` and `/503` are these statuses with `error`, `/refused` is no connection, and every third
    request to `/sometimes` is a 500.
    """

    def __init__(self) -> None:
        super().__init__()
        self.body: object = {"ok": True}
        self.error = "out of stock"
        self.headers: dict[str, str] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Record a request, and respond to it."""
        scripted = await super().handle_async_request(request)
        if scripted.status_code != 200 or scripted.content:
            return scripted
        match request.url.path.split("/")[1]:
            case "500" | "503" as status:
                return httpx.Response(int(status), text=self.error)
            case "refused":
                raise httpx.ConnectError(self.error)
            case "sometimes" if len(self.received) % 3 == 0:
                return httpx.Response(500, text=self.error)
            case _:
                return httpx.Response(200, json=self.body, headers=self.headers)
