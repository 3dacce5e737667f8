"""Faults to be planted into pages, so that tests show that they are found."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

END_OF_MAIN = b"</main>"


class Plant:
    """Adds markup at the end of the main part of every page. It may change between two pages."""

    def __init__(self, markup: str = "") -> None:
        self.markup = markup

    def __call__(self, app: ASGIApp) -> ASGIApp:
        """Return an application whose pages have the markup."""

        async def planted(scope: Scope, receive: Receive, send: Send) -> None:
            async def send_planted(message: Message) -> None:
                await send(self._with_markup(message))

            await app(scope, receive, send_planted)

        return planted

    def _with_markup(self, message: Message) -> Message:
        if message["type"] == "http.response.start":
            kept = [each for each in message["headers"] if each[0] != b"content-length"]
            return {**message, "headers": kept}
        body = message.get("body", b"")
        if END_OF_MAIN not in body:
            return message
        return {**message, "body": body.replace(END_OF_MAIN, self.markup.encode() + END_OF_MAIN)}
