"""The certificates that the environment names: SSL_CERT_FILE, SSL_CERT_DIR and SSLKEYLOGFILE.

OpenSSL passes over a file that is not there, and every certificate is refused later, without a
word about the variable. Here a wrong value is an error that names it.
"""

import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Final

FILE: Final = "SSL_CERT_FILE"
FOLDERS: Final = "SSL_CERT_DIR"
KEY_LOG: Final = "SSLKEYLOGFILE"


class InvalidCertificates(ValueError):
    """A variable names certificates that cannot be read; the message names it and its value."""


def named_context(environment: Mapping[str, str]) -> ssl.SSLContext | None:
    """Return a context that trusts what the environment names; None if it names nothing.

    Raises:
        InvalidCertificates: a variable's value cannot be used.
    """
    file, folders = environment.get(FILE), environment.get(FOLDERS)
    _check_key_log(environment.get(KEY_LOG))
    if folders and not any(Path(folder).is_dir() for folder in folders.split(os.pathsep)):
        raise InvalidCertificates(
            f"{FOLDERS}: there is no folder {folders!r}; name one with certificates, or unset it"
        )
    if not file and not folders:
        return None
    try:
        return ssl.create_default_context(cafile=file or None, capath=folders or None)
    except OSError as error:
        is_read = isinstance(error, ssl.SSLError)
        reason = "it holds none in PEM form" if is_read else error.strerror
        raise InvalidCertificates(
            f"{FILE}: cannot read certificates from {file!r} ({reason}); "
            "name a PEM file, or unset it"
        ) from error


def _check_key_log(path: str | None) -> None:
    """Check the file to which Python writes the keys of TLS connections, wherever it is set."""
    if not path:
        return
    try:
        with Path(path).open("ab"):
            pass
    except OSError as error:
        raise InvalidCertificates(
            f"{KEY_LOG}: cannot write to {path!r} ({error.strerror}); "
            "name a file that can be written, or unset it"
        ) from error
