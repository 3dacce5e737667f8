"""The address of a server and the key for it, checked before anything is sent."""

from typing import Final

import httpx

from booper.client.errors import InvalidArgument

DEFAULT_URL: Final = "http://127.0.0.1:2667"
_MAX_PORT: Final = 65_535


def check_url(name: str, text: str | httpx.URL) -> httpx.URL:
    """Return the URL of a server; `name` is what the caller knows it by.

    Raises:
        InvalidArgument: it is no http or https URL, or holds more than booper uses.
    """
    if not isinstance(text, str | httpx.URL):
        raise InvalidArgument(f"{name}: {_expected(text)}, which is {_type_of(text)}")
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as error:
        raise InvalidArgument(f"{name}: {_expected(text)} ({error})") from error
    if url.userinfo:
        # It is not quoted: a password stands in it.
        raise InvalidArgument(
            f"{name}: expected a URL without a user name and a password; the key replaces them"
        )
    is_whole = url.scheme in ("http", "https") and url.host and not set(url.host) & set("%[]")
    is_port = url.port is None or 0 < url.port <= _MAX_PORT
    if not is_whole or not is_port or url.query or url.fragment:
        raise InvalidArgument(f"{name}: {_expected(text)}")
    return url


def check_key(name: str, api_key: str | None) -> dict[str, str]:
    """Return the headers that carry a key, none without one; `name` is as above.

    Raises:
        InvalidArgument: it cannot be a key.
    """
    if api_key is None:
        return {}
    if not isinstance(api_key, str):
        # It is not quoted: it may be the key, as bytes or in an object that hides it.
        raise InvalidArgument(
            f"{name}: expected a key such as sk_… as text, got {_type_of(api_key)}"
        )
    if not api_key.isascii() or not api_key.isprintable() or " " in api_key:
        # It is not quoted: what looks like this may be a key with a line break after it.
        raise InvalidArgument(f"{name}: expected a key such as sk_…, without spaces or line breaks")
    return {"Authorization": f"Bearer {api_key}"}


def _expected(text: object) -> str:
    return f"expected a URL such as {DEFAULT_URL}, got {text!r:.80}"


def _type_of(value: object) -> str:
    name = type(value).__name__
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"
