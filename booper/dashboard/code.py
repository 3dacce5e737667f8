"""Programs that create the same job as a form: curl, Python and JavaScript, ready to be copied.

They hold no secret: the key comes from the environment, hidden values are to be put in.
"""

import json
import shlex
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

import msgspec

from booper.dashboard.lines import pretty_json
from booper.dashboard.text import visible, visible_json, visible_word
from booper.model import exact
from booper.wire.redaction import REDACTED

_MAX_OF_JAVASCRIPT: Final = 2**53 - 1
_PROTOTYPE: Final = "__proto__"
_INDENT: Final = "    "


class Codes(msgspec.Struct, frozen=True):
    """The same create three times; `hidden` are the headers whose values are to be put in."""

    curl: str
    python: str
    javascript: str
    hidden: tuple[str, ...] = ()


def codes_of(fields: Mapping[str, Any], url: str) -> Codes:
    """Return programs that create a job with these fields at the booper that has this URL."""
    hidden = tuple(name for name, each in fields.get("headers", {}).items() if each == REDACTED)
    return Codes(_curl(fields, url), _python(fields, url), _javascript(fields, url), hidden)


def curl_command(method: str, url: str, body: str | None) -> str:
    """Return a curl command that sends a request to the API; its body is JSON."""
    lines = [f"curl -X {method} {shlex.quote(url)}", '-H "Authorization: Bearer $BOOPER_API_KEY"']
    if body is not None:
        option = "--data-raw" if body.startswith("@") else "-d"  # -d reads the file @name
        lines += ["-H 'Content-Type: application/json'", f"{option} {visible_word(body)}"]
    return " \\\n  ".join(lines)


def _curl(fields: Mapping[str, Any], url: str) -> str:
    return curl_command("POST", f"{url}/api/jobs", _posted(fields))


def _posted(fields: Mapping[str, Any]) -> str:
    """Return the JSON of a create in lines; its body in one, as the target gets it so."""
    texts = {
        name: _compact(value) if name == "body" else _indented(pretty_json(value), "  ")
        for name, value in fields.items()
    }
    lines = ",\n".join(f'  "{name}": {text}' for name, text in texts.items())
    return f"{{\n{lines}\n}}"


def _compact(value: Any) -> str:
    return visible_json(msgspec.json.encode(value).decode())


def _javascript(fields: Mapping[str, Any], url: str) -> str:
    text = pretty_json(fields)
    if _survives_javascript(_decoded(fields)):
        body = f"JSON.stringify({_indented(text, '  ')})"
    else:
        # As text: an object would lose digits of its numbers, or a name.
        body = visible(json.dumps(msgspec.json.format(text, indent=-1), ensure_ascii=True))
    return f"""const response = await fetch({json.dumps(f"{url}/api/jobs")}, {{
  method: "POST",
  headers: {{
    Authorization: `Bearer ${{process.env.BOOPER_API_KEY}}`,
    "Content-Type": "application/json",
  }},
  body: {body},
}});
console.log(response.status, await response.json());"""


def _python(fields: Mapping[str, Any], url: str) -> str:
    values = _decoded(fields)
    given = [f"{_INDENT * 2}{name}={_literal(value, 2)}," for name, value in values.items()]
    imports = ["import os"]
    if any(isinstance(each, msgspec.Raw) and _is_odd(each) for each in _all(values)):
        imports.append("from decimal import Decimal")
    return "\n".join(
        (
            *imports,
            "",
            "from booper.client import Client",
            "",
            f'with Client({_text(url)}, os.environ["BOOPER_API_KEY"]) as booper:',
            f"{_INDENT}job = booper.jobs.create(",
            *given,
            f"{_INDENT})",
            "print(job.job_id)",
        )
    )


def _literal(value: Any, depth: int) -> str:
    """Return a value of JSON as Python writes it."""
    match value:
        case dict():
            items = [f"{_text(name)}: {_literal(each, depth + 1)}" for name, each in value.items()]
            return _block("{", items, "}", depth)
        case list():
            return _block("[", [_literal(each, depth + 1) for each in value], "]", depth)
        case str():
            return _text(value)
        case msgspec.Raw():
            number = bytes(value).decode()
            return f'Decimal("{number}")' if _is_odd(value) else number
        case _:
            return repr(value)


def _block(opening: str, items: list[str], closing: str, depth: int) -> str:
    if not items:
        return opening + closing
    inner = "".join(f"\n{_INDENT * (depth + 1)}{item}," for item in items)
    return f"{opening}{inner}\n{_INDENT * depth}{closing}"


def _text(text: str) -> str:
    """Return text as a literal of Python, with an escape for each hidden character."""
    return visible(json.dumps(text, ensure_ascii=False))


def _indented(text: str, indent: str) -> str:
    return text.replace("\n", f"\n{indent}")


def _decoded(fields: Mapping[str, Any]) -> Any:
    return exact.decode(msgspec.json.encode(fields))


def _all(value: Any) -> Iterable[Any]:
    """Yield a value of JSON, and all in it; of an object its names, too."""
    yield value
    if isinstance(value, Mapping):
        for name, each in value.items():
            yield name
            yield from _all(each)
    elif isinstance(value, list):
        for each in value:
            yield from _all(each)


def _is_odd(number: msgspec.Raw) -> bool:
    """Return whether a number is written in a way that a float would not be."""
    text = bytes(number).decode()
    return repr(float(text)) != text


def _survives_javascript(value: Any) -> bool:
    return not any(
        each == _PROTOTYPE
        or (isinstance(each, int) and abs(each) > _MAX_OF_JAVASCRIPT)
        or (isinstance(each, msgspec.Raw) and not _is_a_double(bytes(each).decode()))
        for each in _all(value)
    )


def _is_a_double(text: str) -> bool:
    return Decimal(text) == Decimal(repr(float(text))) and not text.startswith("-0")
