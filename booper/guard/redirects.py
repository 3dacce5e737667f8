"""Following a redirect, if a job asks for it (RFC 9110 §15.4). Each hop is vetted again."""

import re
from collections.abc import Callable
from typing import Final

from msgspec.structs import replace

from booper.errors import InvalidRedirect, MalformedURL, TargetRefused
from booper.guard.names import shown
from booper.guard.policy import Guard
from booper.guard.target import Target, parse_reference
from booper.model.job import Request

MAX_HOPS: Final = 5

_KEEP_METHOD: Final = frozenset({307, 308})
_REDIRECTS: Final = frozenset({301, 302, 303}) | _KEEP_METHOD
_BODY_HEADERS: Final = frozenset({"content-type"})


# What an error does not repeat of a Location: user names, passwords, parameters.
_USER_INFO: Final = re.compile(r"[^/]*@")
_PARAMETERS: Final = re.compile(r"[?#].*", re.DOTALL)


def is_redirect(status: int, location: str | None) -> bool:
    """Return whether a response sends the request elsewhere."""
    return status in _REDIRECTS and location is not None


def follow(location: str, base: Target, guard: Guard, hosts: Callable[[str], str]) -> Target:
    """Return the target that a response from `base` leads to, once the guard has let it pass.

    `hosts` says where requests to a URL really go.

    Raises:
        InvalidRedirect: `location` is no URL. This may be retried.
        TargetRefused: the guard lets no request there. This is final.
    """
    try:
        return guard.check(hosts(parse_reference(location, base).url))
    except MalformedURL as error:
        raise InvalidRedirect(f"{_named(location)}: {error}") from None
    except TargetRefused as error:
        raise TargetRefused(f"{_named(location)}: {error}") from None


def redirected(request: Request, status: int, url: str) -> Request:
    """Return the request for the next hop.

    303 becomes a GET, and so do 301 and 302 of a POST, as in every client; the others keep
    method and body.
    """
    to_get = status == 303 or (status in (301, 302) and request.method == "POST")
    following = replace(request, url=url)
    if to_get and status not in _KEEP_METHOD:
        headers = _without(following.headers, _BODY_HEADERS)
        following = replace(following, method="GET", content=b"", headers=headers)
    return following


def for_other_origin(request: Request, secret_headers: frozenset[str]) -> Request:
    """Return a request without the headers, in lower case, that only its first origin may see."""
    return replace(request, headers=_without(request.headers, secret_headers))


def _named(location: str) -> str:
    return f"redirected to {shown(_USER_INFO.sub('', _PARAMETERS.sub('', location)))}"


def _without(headers: dict[str, str], names: frozenset[str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in names}
