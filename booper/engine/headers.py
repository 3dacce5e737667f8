"""Which headers a user may put on an outgoing request."""

import re

MAX_NAME_BYTES = 256
MAX_VALUE_BYTES = 8 * 1024

# RFC 9110 §5.6.2, token.
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# RFC 9110 §5.5: a field value has no control characters but the tab; %x80-FF is obs-text.
_NOT_IN_VALUE = re.compile(r"[^\t\x20-\x7e\x80-\xff]")

# RFC 9110 §7.6.1 and RFC 9112 §6: what frames or routes the message belongs to its sender.
_RESERVED = {
    "booper-own": "it is how booper knows itself",
    "connection": "it belongs to the connection",
    "content-length": "it follows from the body",
    "expect": "booper sends the body at once",
    "host": "it follows from the url",
    "keep-alive": "it belongs to the connection",
    "te": "it belongs to the connection",
    "trailer": "booper sends no trailers",
    "transfer-encoding": "it follows from the body",
    "upgrade": "booper does not change protocols",
}


def check_header(name: str, value: str) -> None:
    """Check that a user's header can be sent as it is, without changing the message around it.

    A value that passes is latin-1 text. Messages show the name only: values may be secrets.

    Raises:
        ValueError: the name is no token (RFC 9110 §5.6.2), too long or reserved for booper, or
            the value is no field value (RFC 9110 §5.5) or too long.
    """
    check_name(name)
    _check_free(name)
    if len(value) > MAX_VALUE_BYTES:
        raise ValueError(
            f"header {name!r} must have a value of at most {MAX_VALUE_BYTES} bytes, "
            f"got {len(value)}"
        )
    bad = _NOT_IN_VALUE.search(value)
    if bad:
        raise ValueError(
            f"header {name!r} must have a value without line breaks, control characters "
            f"or characters beyond latin-1, got {bad[0]!r} at position {bad.start()}"
        )
    if value != value.strip(" \t"):
        raise ValueError(f"header {name!r} must have a value without space around it")


def check_name(name: str) -> None:
    """Check that a text can name a header at all. Raises: ValueError."""
    if len(name) > MAX_NAME_BYTES:
        raise ValueError(
            f"header name must have at most {MAX_NAME_BYTES} bytes, got {len(name)}: {name[:40]!r}…"
        )
    if not _TOKEN.fullmatch(name):
        raise ValueError(
            f"header name must consist of letters, digits and !#$%&'*+-.^_`|~, got {name!r}"
        )


def _check_free(name: str) -> None:
    lowered = name.lower()
    reason = _RESERVED.get(lowered)
    if lowered.startswith("proxy-"):
        reason = "it is meant for a proxy"
    if reason:
        raise ValueError(f"header {name!r} cannot be set: {reason}")
