"""A channel's message in the JSON that Discord takes."""

from typing import Any, Final

# Discord's webhook resource, "Execute Webhook": both limits count code points.
MAX_CONTENT_LENGTH: Final = 2_000
MAX_USERNAME_LENGTH: Final = 80

# Discord refuses the whole message for such a user name ("Usernames and Nicknames").
_REFUSED_PARTS: Final = ("clyde", "discord")
_REFUSED_NAMES: Final = ("everyone", "here")


def discord_body(content: str, author: str | None) -> dict[str, Any]:
    """Return the body of Discord's "Execute Webhook" for a message; it can ping nobody.

    What is too long is cut; a user name that Discord would refuse is left out.
    """
    body: dict[str, Any] = {
        "content": _cut(content, MAX_CONTENT_LENGTH),
        "allowed_mentions": {"parse": []},
    }
    username = _cut((author or "").strip(), MAX_USERNAME_LENGTH)
    if username and not _is_refused(username.lower()):
        body["username"] = username
    return body


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _is_refused(username: str) -> bool:
    return username in _REFUSED_NAMES or any(part in username for part in _REFUSED_PARTS)
