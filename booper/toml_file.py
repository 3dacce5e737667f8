"""Reading a file of TOML, with errors that name the file and what is wrong with it."""

import tomllib
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from pathlib import Path
from typing import Any

from booper.errors import ConfigError


def load_toml(path: Path) -> dict[str, Any]:
    """Return what a file of settings holds. Raises: ConfigError."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    try:
        return tomllib.loads(_decode(path, raw))
    # Not TOML, a number too long to read; nested too deeply.
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error


def _decode(path: Path, raw: bytes) -> str:
    """Return the text of a file in UTF-8, as TOML is, without the mark that some editors write.

    Raises:
        ConfigError: it is in another encoding.
    """
    if raw.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) or (raw[1:] and b"\0" in raw[:2]):
        raise ConfigError(f"{path} is in UTF-16 or UTF-32; save it in UTF-8")
    try:
        return raw.removeprefix(BOM_UTF8).decode()
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        where = f"byte 0x{raw[error.start]:02x} in line {line}"
        raise ConfigError(f"{path} is not in UTF-8: {where}; save it in UTF-8") from error
