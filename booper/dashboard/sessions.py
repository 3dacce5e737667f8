"""Who looks at the dashboard: sessions opened with an API key, kept by a cookie.

The store has the SHA-256 of a session's token alone. Each request looks the session up, so that it
ends at once when its key is revoked.
"""

import secrets
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

import msgspec
from starlette.types import Scope as ASGIScope

from booper.api.access import Principal, count_request, known_key
from booper.api.services import Services
from booper.errors import StoreUnavailable, Unauthenticated
from booper.model.key import ApiKey, Scope, digest_of
from booper.model.session import MAX_IDLE

COOKIE: Final = "booper_session"


class Viewer(msgspec.Struct, frozen=True):
    """Who looks at a page: what they may do, the key's name, and the user's.

    `token` is that of their session, None where none is needed.
    """

    principal: Principal
    key_name: str
    user: str
    token: str | None

    def may(self, scope: str) -> bool:
        """Return whether they may do what needs a key of a scope."""
        return self.principal.scope.allows(Scope(scope))


async def viewer_of(headers: Mapping[bytes, bytes], services: Services) -> Viewer | None:
    """Return who is signed in, by the cookie of a request; None if nobody is."""
    token = token_in(headers)
    if token is None:
        return None
    now, digest = services.clock.now(), digest_of(token)
    session = await services.store.sessions.find(digest)
    if session is None or not session.is_open_at(now):
        return None
    services.store.keys.note_use(session.key, now)
    if not session.is_noted_at(now):
        with suppress(StoreUnavailable):  # pages show what is wrong with the disk
            await services.store.sessions.note_use(digest, now)
    return _viewer(session.key, token, digest)


async def viewer_with(key: str, services: Services) -> Viewer | None:
    """Return who looks at pages with this key and without a session, None if it is unknown."""
    try:
        return _viewer(await known_key(key, services), None, None)
    except Unauthenticated:
        return None


async def open_session(key: str, services: Services) -> str:
    """Open a session with a key; return its token. Raises: Unauthenticated, TooManyRequests."""
    known = await known_key(key, services)
    count_request(known.id, services)
    if services.shared_rate_limit is not None:
        await services.shared_rate_limit.take(known.id)
    token = secrets.token_urlsafe(32)
    await services.store.sessions.add(digest_of(token), known.id, services.clock.now())
    return token


async def close_session(headers: Mapping[bytes, bytes], services: Services) -> None:
    """Forget the session of a request, if it has one, and end its live feeds."""
    token = token_in(headers)
    if token is not None:
        digest = digest_of(token)
        await services.store.sessions.remove(digest)
        services.feeds.end_of(digest)


def token_in(headers: Mapping[bytes, bytes]) -> str | None:
    """Return the token in a request's cookies; of several the first, which is the nearest path's.

    (RFC 6265 §5.4)
    """
    for pair in headers.get(b"cookie", b"").decode("latin-1").split(";"):
        name, _, value = pair.strip().partition("=")
        if name == COOKIE and value:
            return value
    return None


def cookie(token: str, base: str, scope: ASGIScope, headers: Mapping[bytes, bytes]) -> str:
    """Return the header that keeps a session in a browser; an empty token ends it.

    Where TLS ends at a proxy, the browser's `Origin` tells of it.
    """
    is_tls = scope.get("scheme") == "https" or headers.get(b"origin", b"").startswith(b"https:")
    age = int(MAX_IDLE.total_seconds()) if token else 0
    secure = "; Secure" if is_tls else ""
    path = base or "/"
    return f"{COOKIE}={token}; Path={path}; Max-Age={age}; HttpOnly; SameSite=Lax{secure}"


def _viewer(key: ApiKey, token: str | None, session: bytes | None) -> Viewer:
    principal = Principal(key.user_id, key.scope, key.id, session)
    return Viewer(principal, key.name, key.user, token)
