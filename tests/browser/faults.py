"""Faults to be planted into what booper sends, so that tests show that they are found."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

END_OF_MAIN = b"</main>"


class Replacing:
    """Replaces a part of every page and file by another."""

    def __init__(self, old: bytes, new: bytes) -> None:
        self.old = old
        self.new = new

    def __call__(self, app: ASGIApp) -> ASGIApp:
        """Return an application that sends the other part."""

        async def planted(scope: Scope, receive: Receive, send: Send) -> None:
            async def send_planted(message: Message) -> None:
                await send(self._changed(message))

            await app(scope, receive, send_planted)

        return planted

    def _changed(self, message: Message) -> Message:
        if message["type"] == "http.response.start":
            kept = [each for each in message["headers"] if each[0] != b"content-length"]
            return {**message, "headers": kept}
        return {**message, "body": message.get("body", b"").replace(self.old, self.new)}


class Plant(Replacing):
    """Adds markup at the end of the main part of every page. It may change between two pages."""

    def __init__(self, markup: str = "") -> None:
        super().__init__(END_OF_MAIN, b"")
        self.markup = markup

    @property
    def markup(self) -> str:
        """Return what is added."""
        return self.new.removesuffix(END_OF_MAIN).decode()

    @markup.setter
    def markup(self, markup: str) -> None:
        self.new = markup.encode() + END_OF_MAIN
