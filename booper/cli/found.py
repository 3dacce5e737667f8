"""The schedule that a person means: by its id, the first part of one, or its name."""

from uuid import UUID

from booper.client import Client, InvalidArgument

_MIN_PREFIX = 4
_MAX_SHOWN = 3


def schedule_id(client: Client, typed: str) -> str:
    """Return the id of a schedule; what names none is returned as it is, for the server to say.

    Raises:
        InvalidArgument: several schedules are meant.
    """
    try:
        UUID(typed)
    except ValueError:
        pass
    else:
        return typed
    is_prefix = len(typed) >= _MIN_PREFIX
    meant = [
        str(each.id)
        for each in client.schedules.iterate()
        if each.name == typed or (is_prefix and str(each.id).startswith(typed.lower()))
    ]
    if len(meant) > 1:
        shown = ", ".join(meant[:_MAX_SHOWN]) + (", …" if len(meant) > _MAX_SHOWN else "")
        raise InvalidArgument(
            f"{typed!r} matches {len(meant)} schedules ({shown}); type more of the id"
        )
    return meant[0] if meant else typed
