"""Headers as text and as the bytes that travel."""

from booper.http.base import Headers


def encode_headers(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    """Encode headers as the guard has checked them; httpx itself would allow ASCII alone.

    What a run's references brought into a header may lie beyond latin-1 and goes as UTF-8.
    """
    names, values = "\n".join(headers), "\n".join(headers.values())
    try:
        # None of them has a line feed, so all are encoded in one step (a third of the time).
        encoded = names.encode("ascii").split(b"\n"), values.encode("latin-1").split(b"\n")
        return list(zip(*encoded, strict=True)) if headers else []
    except UnicodeEncodeError:
        return [(name.encode("ascii"), _encoded_value(value)) for name, value in headers.items()]


def _encoded_value(value: str) -> bytes:
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError:
        return value.encode()


def decode_headers(headers: Headers) -> dict[str, str]:
    """Return a response's headers under lower-case names, as UTF-8 if all of them are that.

    `httpx.Headers` returns the same, walking the whole list for each name.
    """
    try:
        return _joined(headers, "utf-8")
    except UnicodeDecodeError:
        return _joined(headers, "latin-1")


def _joined(headers: Headers, encoding: str) -> dict[str, str]:
    """Return each name once; of a repeated one the values in order (RFC 9110 §5.2)."""
    joined: dict[str, str] = {}
    for raw_name, raw_value in headers:
        name, value = raw_name.lower().decode(encoding), raw_value.decode(encoding)
        joined[name] = f"{joined[name]}, {value}" if name in joined else value
    return joined
