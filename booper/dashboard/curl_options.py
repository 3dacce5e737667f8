"""The options of curl 8 that can be read here (https://curl.se/docs/manpage.html)."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

_TAKEN: Final[Mapping[str, str]] = {
    "X": "request",
    "H": "header",
    "d": "data",
    "u": "user",
    "b": "cookie",
    "A": "user-agent",
    "e": "referer",
    "m": "max-time",
    "F": "form",
    "T": "upload-file",
    "K": "config",
    "x": "proxy",
    "o": "output",
    "w": "write-out",
    "c": "cookie-jar",
    "D": "dump-header",
    "E": "cert",
    "r": "range",
    "G": "get",
    "I": "head",
    "L": "location",
    "k": "insecure",
    "s": "silent",
    "S": "show-error",
    "v": "verbose",
    "i": "include",
    "f": "fail",
    "g": "globoff",
    "n": "netrc",
    "N": "no-buffer",
    "O": "remote-name",
    "#": "progress-bar",
    "j": "junk-session-cookies",
    "q": "disable",
}
"""The long name of each short option that is known."""

_WITH_VALUE: Final = frozenset(
    [
        "request",
        "header",
        "data",
        "data-ascii",
        "data-raw",
        "data-binary",
        "data-urlencode",
        "json",
        "user",
        "url",
        "cookie",
        "user-agent",
        "referer",
        "max-time",
        "oauth2-bearer",
        "form",
        "form-string",
        "upload-file",
        "config",
        "proxy",
        "output",
        "write-out",
        "cookie-jar",
        "dump-header",
        "cert",
        "key",
        "cacert",
        "connect-timeout",
        "retry",
        "retry-delay",
        "retry-max-time",
        "limit-rate",
        "range",
        "resolve",
        "connect-to",
        "max-redirs",
        "url-query",
    ]
)
_WITHOUT: Final = frozenset(
    [
        "get",
        "head",
        "location",
        "insecure",
        "silent",
        "show-error",
        "verbose",
        "include",
        "fail",
        "fail-with-body",
        "globoff",
        "netrc",
        "no-buffer",
        "remote-name",
        "progress-bar",
        "junk-session-cookies",
        "disable",
        "compressed",
        "http1.0",
        "http1.1",
        "http2",
        "http3",
        "ipv4",
        "ipv6",
        "location-trusted",
        "no-progress-meter",
        "tcp-nodelay",
        "no-keepalive",
    ]
)
FROM_FILES: Final = frozenset({"upload-file", "config", "netrc", "cert", "key", "cacert"})
"""The options that read files."""

OTHER_WAYS: Final[Mapping[str, str]] = {
    "insecure": "booper checks certificates as its settings say",
    "head": "booper sends no HEAD requests",
    "form": "booper sends no multipart forms",
    "form-string": "booper sends no multipart forms",
    "proxy": "booper uses the proxy of its settings",
    "retry": "see “Attempts at most” under “Advanced”",
    "range": "write the header Range instead",
    "url-query": "write it as the query instead",
    "location-trusted": "booper sends credentials to no other origin",
}
"""Why an option is left out that changes what is sent; the others change only what curl shows."""


def options(words: Sequence[str], note: Callable[[str], None]) -> Iterator[tuple[str, str]]:
    """Yield the long name and the value of each option; what is no option is a URL."""
    waiting = iter(words)
    are_over = False
    for word in waiting:
        if are_over or not word.startswith("-") or word == "-":
            yield "url", word
        elif word == "--":
            are_over = True
        elif word.startswith("--"):
            yield from _long(word, waiting, note)
        else:
            yield from _short(word, waiting, note)


def _long(
    word: str, waiting: Iterator[str], note: Callable[[str], None]
) -> Iterator[tuple[str, str]]:
    name = word.removeprefix("--")
    if name in _WITHOUT:
        yield name, ""
    elif name not in _WITH_VALUE:
        note(f"{cut(word)} is not known here: what stands behind it may be wrong")
    elif (value := next(waiting, None)) is None:
        note(f"{word} has no value")
    else:
        yield name, value


def _short(
    word: str, waiting: Iterator[str], note: Callable[[str], None]
) -> Iterator[tuple[str, str]]:
    """Yield the options of `-sSXPOST`: flags, then one that takes the rest or the next word."""
    for place, letter in enumerate(word[1:], 2):
        name = _TAKEN.get(letter)
        if name is None:
            note(f"-{cut(letter)} is not known here: what stands behind it may be wrong")
        elif name in _WITHOUT:
            yield name, ""
            continue
        elif (value := word[place:] or next(waiting, None)) is None:
            note(f"-{letter} has no value")
        else:
            yield name, value
        return


def cut(text: str) -> str:
    """Return text as a note shows it: not all of what is long."""
    return text if len(text) <= 60 else f"{text[:60]}…"
