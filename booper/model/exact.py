"""JSON values whose numbers keep their text: what no reference changes is sent as it came.

Decoding to floats and back turns `1.10` into `1.1` and loses the digits that no double has. Here
a number with a fraction or an exponent is a `msgspec.Raw`, which is encoded as it is.
"""

import re
from math import isinf
from typing import Any, Final

import msgspec

# Of the numbers without a fraction only this one would lose its text: integers have no size here.
_NEGATIVE_ZERO = re.compile(rb'("[^"\\]*(?:\\.[^"\\]*)*")|(?<![0-9.eE+-])-0(?![0-9.eE])')
# A look ahead of that, which takes a tenth of the time: dates, where there are many, end here.
_SPELLED_LIKE_IT = re.compile(rb"-0(?![0-9.eE])")
_MARK: Final = b"-0e-000000000000000000"


def decode(text: bytes | str | msgspec.Raw) -> Any:
    """Return a JSON value; numbers with a fraction or an exponent keep their text.

    Raises:
        msgspec.DecodeError: `text` is not JSON, or holds a number that no double can hold.
    """
    data = text.encode() if isinstance(text, str) else bytes(text)
    if b"-0" in data and _SPELLED_LIKE_IT.search(data):
        data = _NEGATIVE_ZERO.sub(lambda found: found[1] or _MARK, data)
    return _decoder.decode(data)


def _number(text: str) -> msgspec.Raw:
    if isinf(float(text)):
        raise ValueError(f"expected a number that a double can hold, got {text[:40]}")
    data = text.encode()
    return msgspec.Raw(b"-0" if data == _MARK else data)


_decoder = msgspec.json.Decoder(float_hook=_number)
