"""A curl command that somebody pastes, as the fields of a create that sends the same request.

No file is read and no variable is looked up: what a command takes from elsewhere is said, and what
booper does not have is said, too.
"""

from base64 import b64encode
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote_plus

import msgspec

from booper.dashboard.curl_options import FROM_FILES, OTHER_WAYS, cut, options
from booper.dashboard.lines import Untypable, read_json
from booper.dashboard.shell_words import UnclosedQuote, split
from booper.model.args import METHODS

MAX_NOTES: Final = 20
MAX_WORDS: Final = 1_000
"""Each word is compared with those before it, so that many more would hold up everything else."""

_FORM: Final = "application/x-www-form-urlencoded"
_JSON: Final = "application/json"


class Pasted(msgspec.Struct, frozen=True):
    """The fields that a command means, and what is to be said about it."""

    fields: Mapping[str, Any]
    notes: tuple[str, ...]


class NoCommand(ValueError):
    """The text is no curl command; it says why."""


def read_curl(text: str) -> Pasted:
    """Return what a curl command means. Raises: NoCommand."""
    try:
        command = split(text)
    except UnclosedQuote as error:
        raise NoCommand(str(error)) from error
    words = [word for word in command.words if word != "$"]  # a prompt that was copied along
    if not words or words[0].rpartition("/")[2].removesuffix(".exe") != "curl":
        raise NoCommand("expected a command that begins with “curl”")
    if len(words) > MAX_WORDS:
        raise NoCommand(f"expected at most {MAX_WORDS:,} words, got {len(words):,}")
    reader = _Reader()
    for word in command.expanded:
        reader.note(f"a shell would replace a part of {cut(word)}: it is taken as it stands")
    if command.rest:
        reader.note(f"left out, as it is another command or goes to a file: {cut(command.rest)}")
    for name, value in options(words[1:], reader.note):
        reader.take(name, value)
    return Pasted(reader.fields(), tuple(reader.notes[:MAX_NOTES]))


class _Reader:
    """Takes options in their order, as curl does."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self._urls: list[str] = []
        self._method = ""
        self._headers: dict[str, str] = {}
        self._data: list[str] | None = None
        self._is_json = self._is_query = self._follows = False
        self._timeout = ""

    def note(self, text: str) -> None:
        """Add a note about the command, once."""
        if text not in self.notes:
            self.notes.append(text)

    def take(self, name: str, value: str) -> None:
        """Take an option."""
        match name:
            case "url":
                self._urls.append(value)
            case "request":
                self._method = value
            case "header":
                self._header(value)
            case "data" | "data-ascii" | "data-binary" | "data-raw" | "json":
                self._take_data(name, value)
            case "data-urlencode":
                self._take_encoded(value)
            case "cookie":
                self._cookie(value)
            case "user" | "oauth2-bearer" | "user-agent" | "referer":
                self._named_header(name, value)
            case "get":
                self._is_query = True
            case "location":
                self._follows = True
                self.note("-L: booper follows up to 5 redirects")
            case "max-time":
                self._timeout = value
            case _:
                self._leave(name, value)

    def fields(self) -> dict[str, Any]:
        """Return the fields of a create."""
        url, data = self._url(), "&".join(self._data or [])
        if self._is_json:
            data = "".join(self._data or [])
        if self._is_query and data:
            url += ("&" if "?" in url else "?") + data
        has_body = self._data is not None and not self._is_query
        body = self._body(data) if has_body and data else {}
        found: dict[str, Any] = {
            "method": self._final_method(has_body),
            "url": url,
            "headers": self._headers,
        }
        found |= {**body, "timeout": self._timeout, "follow_redirects": self._follows or None}
        return {name: value for name, value in found.items() if value not in (None, "", {})}

    def _leave(self, name: str, value: str) -> None:
        if name in FROM_FILES:
            self.note(f"--{name} {cut(value)}: files are not read".replace(" :", ":"))
        else:
            why = OTHER_WAYS.get(name, "it has no meaning for booper")
            self.note(f"--{name} is left out: {why}")

    def _url(self) -> str:
        if not self._urls:
            self.note("there is no URL")
            return ""
        for more in self._urls[1:]:
            self.note(f"left out, as a job has one URL: {cut(more)}")
        url = self._urls[0]
        if set("{}[]") & set(url):
            self.note("curl would take {} and [] in the URL for several URLs: it is left as it is")
        if "://" not in url:
            self.note("the URL has no scheme: curl takes http")
            return f"http://{url}"
        return url

    def _final_method(self, has_body: bool) -> str:
        method = (self._method or ("post" if has_body else "get")).lower()
        if method not in METHODS:
            self.note(f"booper does not send the method {cut(self._method)}")
            return "get"
        return method

    def _body(self, data: str) -> dict[str, Any]:
        """Return the body: JSON if the command says that it is, otherwise text as it is."""
        kind = self._kind_of_body(data)
        if kind.partition(";")[0].strip().lower() != _JSON:
            return {"body": data}
        try:
            body = read_json(data)
        except Untypable as error:
            self.note(f"the body {error}: it is taken as text")
            return {"body": data}
        if kind == _JSON:  # which booper says of JSON anyway
            self._headers = {
                name: value
                for name, value in self._headers.items()
                if name.lower() != "content-type"
            }
        elif isinstance(body, str):
            return {"body": data}
        return {"body": body}

    def _kind_of_body(self, data: str) -> str:
        names = {name.lower(): name for name in self._headers}
        if "content-type" in names:
            return self._headers[names["content-type"]]
        kind = _JSON if self._is_json else _FORM
        self._headers["Content-Type"] = kind
        if self._is_json and "accept" not in names:
            self._headers["Accept"] = _JSON
        if not self._is_json and data.lstrip().startswith(("{", "[")):
            self.note(
                "curl sends the body as a form, as no Content-Type is given: if it is to be JSON, "
                "take that header out and choose JSON"
            )
        return kind

    def _header(self, line: str) -> None:
        if line.startswith("@"):
            self.note(f"-H {cut(line)}: files are not read")
            return
        name, colon, value = line.partition(":")
        if not colon and line.endswith(";"):  # how curl writes a header without a value
            name, value = line[:-1], ""
        elif not colon or not value.strip():
            self.note(f"-H {cut(line)} sends nothing")
            return
        self._add(name.strip(), value.strip())

    def _add(self, name: str, value: str) -> None:
        """Add a header; values of one name are joined (RFC 9110, 5.3; RFC 6265, 5.4)."""
        known = next((each for each in self._headers if each.lower() == name.lower()), name)
        joint = "; " if name.lower() == "cookie" else ", "
        before = self._headers.get(known)
        self._headers[known] = value if before is None else f"{before}{joint}{value}"

    def _named_header(self, option: str, value: str) -> None:
        match option:
            case "user":
                if ":" not in value:
                    self.note("-u has no password, which curl would ask for")
                token = b64encode(value.encode()).decode()
                self._add("Authorization", f"Basic {token}")
            case "oauth2-bearer":
                self._add("Authorization", f"Bearer {value}")
            case "user-agent":
                self._add("User-Agent", value)
            case _:
                self._add("Referer", value.removesuffix(";auto"))

    def _cookie(self, value: str) -> None:
        if "=" in value:
            self._add("Cookie", value)
        else:
            self.note(f"-b {cut(value)}: files are not read")

    def _take_data(self, option: str, value: str) -> None:
        self._is_json |= option == "json"
        self._data = self._data or []
        if value.startswith("@") and option != "data-raw":
            self.note(f"--{option} {cut(value)}: files are not read; put the content in the body")
        else:
            self._data.append(value)

    def _take_encoded(self, value: str) -> None:
        self._data = self._data or []
        name, sign, content = value.partition("=")
        if not sign and "@" in value:
            self.note(f"--data-urlencode {cut(value)}: files are not read")
            return
        encoded = quote_plus(content if sign else value)
        self._data.append(f"{name}={encoded}" if name and sign else encoded)
