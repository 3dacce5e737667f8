"""Who asks: from a request's headers to a principal, and what an operation wants of one."""

import hmac
import logging
from collections.abc import Mapping
from enum import StrEnum
from typing import Final
from urllib.parse import unquote
from uuid import UUID

import msgspec
from starlette.types import Scope as ASGIScope

from booper.api.services import Services
from booper.engine.delivery import OWN_HEADER
from booper.errors import Forbidden, Unauthenticated
from booper.model.key import ApiKey, Scope, digest_of

log = logging.getLogger("booper.access")

USER_HEADER: Final = "Booper-User"
"""The user, percent-encoded, for whom an administrator acts; ignored at the public API."""

_USER: Final = USER_HEADER.lower().encode()
_OWN: Final = OWN_HEADER.lower().encode()


class Access(StrEnum):
    """Who may call an operation."""

    OPEN = "no key"
    READ = "a key that may read"
    WRITE = "a key that may write"
    OWN_OR_WRITE = "a key that may write; booper's own deliveries need none"
    ADMIN = "a key of scope admin, or access to the socket beside the database"


_SCOPES: Final = {
    Access.OPEN: Scope.READ,
    Access.READ: Scope.READ,
    Access.WRITE: Scope.WRITE,
    Access.OWN_OR_WRITE: Scope.WRITE,
    Access.ADMIN: Scope.ADMIN,
}


class Principal(msgspec.Struct, frozen=True, gc=False):
    """Who asks: a user, what they may do, and the key they gave.

    `user_id` is None for nobody in particular, `key_id` is None where no key was given. `session`
    is the digest of the dashboard's session by which it was given, None elsewhere.
    """

    user_id: UUID | None
    scope: Scope
    key_id: UUID | None = None
    session: bytes | None = None


_SCHEMES: Final = frozenset({"bearer", "token"})

ANYBODY: Final = Principal(None, Scope.READ)
ADMINISTRATOR: Final = Principal(None, Scope.ADMIN)


async def identify(headers: Mapping[bytes, bytes], access: Access, services: Services) -> Principal:
    """Return who sends a request with these headers, by their lower-case names.

    Raises:
        Unauthenticated, Forbidden: the key is missing, wrong, or not enough.
        TooManyRequests: it was used too often.
    """
    if access is Access.OPEN:
        return ANYBODY
    header = _text(headers, b"authorization")
    if header is None and services.is_administrator:
        if name := _text(headers, _USER):
            user_id = await services.store.keys.user(unquote(name), services.clock.now())
            return Principal(user_id, Scope.ADMIN)
        if access is Access.ADMIN:
            return ADMINISTRATOR
    if access is Access.OWN_OR_WRITE:
        if owner := await _own_user(headers, services):
            return Principal(owner, Scope.WRITE)
        if header is None and services.open_channels_key and not _is_of_a_page(headers, services):
            header = f"Bearer {services.open_channels_key}"
    key = await _key_of(header, services)
    count_request(key.id, services)
    if services.shared_rate_limit is not None:
        await services.shared_rate_limit.take(key.id)
    if not services.is_administrator:
        check_scope(key.scope, access)
    return Principal(key.user_id, key.scope, key.id)


def count_request(key_id: UUID | None, services: Services) -> None:
    """Count a request for the rate limit of its key, if it has one. Raises: TooManyRequests."""
    if services.rate_limit is not None and key_id is not None:
        services.rate_limit.take(key_id)


def check_scope(scope: Scope, access: Access) -> None:
    """Check that a key of this scope may call what has this access. Raises: Forbidden."""
    wanted = _SCOPES[access]
    if not scope.allows(wanted):
        raise Forbidden(f"this needs a key of scope {wanted}; this key has the scope {scope}")


def gives_key(headers: Mapping[bytes, bytes]) -> bool:
    """Return whether a request has a key, as those of browsers never have by themselves."""
    return (_text(headers, b"authorization") or "").partition(" ")[0].lower() in _SCHEMES


def log_refusal(scope: ASGIScope, error: Unauthenticated) -> None:
    """Log who sent a request without a valid key, for whoever counts such attempts."""
    client = scope.get("client")
    log.info(
        "%s %s from %s is refused: %s",
        scope["method"],
        scope["path"][:200],
        client[0] if client else "this machine",
        error,
    )


async def _own_user(headers: Mapping[bytes, bytes], services: Services) -> UUID | None:
    """Return whose job sent this request, if it comes from booper itself."""
    secret, _, job_id = (_text(headers, _OWN) or "").partition(".")
    if not hmac.compare_digest(secret.encode(), services.own_secret.encode()):
        return None
    return await services.store.jobs.owner(int(job_id))


def _is_of_a_page(headers: Mapping[bytes, bytes], services: Services) -> bool:
    """Return whether a page of another origin sends this, as any page can without asking."""
    origin = _text(headers, b"origin")
    if origin is None or f"{services.public_url}/".startswith(f"{origin}/"):
        return False
    return origin.partition("://")[2] != _text(headers, b"host")


def _text(headers: Mapping[bytes, bytes], name: bytes) -> str | None:
    value = headers.get(name)
    return None if value is None else value.decode("latin-1")


async def _key_of(header: str | None, services: Services) -> ApiKey:
    """Return the key of an `Authorization` header.

    Raises:
        Unauthenticated: it is missing, unknown or revoked.
    """
    if header is None:
        raise Unauthenticated("no API key; send the header `Authorization: Bearer sk_…`")
    scheme, _, key = header.partition(" ")
    key = key.strip()
    if not key or scheme.lower() not in _SCHEMES:
        raise Unauthenticated("expected `Authorization: Bearer sk_…`")
    return await known_key(key, services)


async def known_key(key: str, services: Services) -> ApiKey:
    """Return what is stored of a key, and note that it is used.

    Raises:
        Unauthenticated: it is unknown or revoked.
    """
    keys = services.store.keys
    known = await keys.find(digest_of(key))
    if known is not None and known.revoked_at is not None and services.alerts is not None:
        services.alerts.note_revoked_key(known.id, known.name)
    if known is None or known.revoked_at is not None:
        raise Unauthenticated("this API key is unknown or revoked")
    keys.note_use(known, services.clock.now())
    return known
