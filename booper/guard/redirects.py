"""Following a redirect, where a job asks for it (RFC 9110 §15.4). Each hop is vetted anew."""

from typing import Final
from urllib.parse import urljoin

from msgspec.structs import replace

from booper.errors import TargetRefused
from booper.guard.target import Target
from booper.model.job import Request

MOST_HOPS: Final = 5

_KEEP_METHOD: Final = frozenset({307, 308})
_REDIRECTS: Final = frozenset({301, 302, 303}) | _KEEP_METHOD
_BODY_HEADERS: Final = frozenset({"content-type"})


def is_redirect(status: int, location: str | None) -> bool:
    """Say whether an answer sends the request elsewhere."""
    return status in _REDIRECTS and location is not None


def redirected(request: Request, status: int, location: str, base: Target) -> Request:
    """Return the request for the next hop.

    303 becomes a GET, and so do 301 and 302 of a POST, as every client has it; the others keep
    method and body.

    Raises:
        TargetRefused: `location` cannot be read.
    """
    to_get = status == 303 or (status in (301, 302) and request.method == "POST")
    try:
        following = replace(request, url=urljoin(base.url, location))
    except ValueError as error:
        raise TargetRefused(f"redirected to no URL: {error}") from error
    if to_get and status not in _KEEP_METHOD:
        headers = _without(following.headers, _BODY_HEADERS)
        following = replace(following, method="GET", content=b"", headers=headers)
    return following


def for_other_origin(request: Request, secret_headers: frozenset[str]) -> Request:
    """Return a request without the headers, in lower case, that only its first origin may see."""
    return replace(request, headers=_without(request.headers, secret_headers))


def _without(headers: dict[str, str], names: frozenset[str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in names}
