"""Calls of the API from web pages of other origins (CORS), where the operator allows them."""

from collections.abc import Sequence
from typing import Final

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")

# What the Fetch Standard lets a page neither send nor read unless it is named.
_SENT: Final = ("Authorization", "X-Request-Id")
_READ: Final = ("Location", "Retry-After", "WWW-Authenticate", "Allow", "X-Request-Id")


def with_cors(application: ASGIApp, origins: Sequence[str]) -> ASGIApp:
    """Return the application, open to pages of these origins.

    Credentials of the browser are never allowed: a page sends a key, which it must know.
    """
    if not origins:
        return application
    return CORSMiddleware(
        application,
        allow_origins=origins,
        allow_methods=_METHODS,
        allow_headers=_SENT,
        expose_headers=_READ,
        allow_credentials=False,
    )
