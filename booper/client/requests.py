"""How the operations' calls are spelled, and which of them can be made twice."""

from typing import Any, Final
from urllib.parse import quote
from uuid import UUID, uuid4

from booper.client.answers import Changed
from booper.client.call import Call, data
from booper.client.encoding import check_text, encode
from booper.client.errors import InvalidArgument
from booper.client.fields import written

_KEY_TTL: Final = [1, "hour"]


def reading(path: str, read: Any, parameters: Any = None) -> Call[Any]:
    """Return a call that only reads."""
    return Call(method="GET", path=path, query=parameters or {}, read=read, is_repeatable=True)


def posting(path: str, body: bytes | None, read: Any, *, is_repeatable: bool = False) -> Call[Any]:
    """Return a call that does something, once unless it is repeatable."""
    return Call(method="POST", path=path, body=body, read=read, is_repeatable=is_repeatable)


def changing(path: str, dry_run: bool, which: dict[str, Any], *, is_repeatable: bool) -> Call[Any]:
    """Return a call that changes all jobs that a filter matches."""
    body = encode({"filter": which, "dry_run": dry_run})
    return posting(path, body, data(Changed), is_repeatable=is_repeatable)


def place(collection: str, item: int | UUID | str) -> str:
    """Return where a thing is. Raises: InvalidArgument, for a name that would lead elsewhere."""
    text = str(item)
    check_text(f"the id of one of the {collection}", text)
    if text.strip(".") == "":
        raise InvalidArgument(f"expected the id of one of the {collection}, got {text!r}")
    return f"/api/{collection}/{quote(text, safe='')}"


def keyed(fields: Any) -> dict[str, Any]:
    """Write a create's fields, with a key of its own where none is given."""
    sent = written(fields)
    if sent.get("idempotency_key") is None:
        sent["idempotency_key"] = str(uuid4())
        if sent.get("idempotency_ttl") is None:
            sent["idempotency_ttl"] = _KEY_TTL
    return sent


def is_kept(sent: dict[str, Any]) -> bool:
    """Return whether the key of a create outlives its job, so that a second try finds it taken.

    A schedule keeps its key (contract §5). With `reject` a second try is refused what was done.
    """
    kept = ("idempotency_ttl", "cron", "repeat_every")
    stays = any(sent.get(name) is not None for name in kept)
    return stays and sent.get("on_conflict") != "reject"
