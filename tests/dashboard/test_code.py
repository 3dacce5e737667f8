"""The same create as a program: what curl, Python and JavaScript post, read by other means."""

import ast
import json
import shlex
from collections.abc import Mapping, Sequence
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from booper.client.encoding import encode
from booper.client.fields import written
from booper.dashboard.code import codes_of
from booper.model import exact
from tests.dashboard.test_new import BODIES, FULL
from tests.support.api import URL


def fields_of_curl(command: str) -> tuple[list[str], Any]:
    """Return the arguments of a curl command, and the JSON that it posts."""
    words = shlex.split(command.replace("\\\n", ""))
    assert words[0] == "curl"
    return words, exact.decode(words[words.index("-d") + 1])


def fields_of_python(program: str) -> Any:
    """Run a program with a client that sends nothing; return the JSON of its create."""
    calls = list[Any]()

    class Client:
        def __init__(self, url: str, key: str) -> None:
            assert (url, key) == ("http://127.0.0.1:2667", "sk_test")

        def __enter__(self) -> "Client":
            return self

        def __exit__(self, *_: object) -> None: ...

        @property
        def jobs(self) -> "Client":
            return self

        def create(self, **fields: Any) -> Any:
            calls.append(exact.decode(encode(written(fields))))
            return SimpleNamespace(job_id=1)

    real = "from booper.client import Client\n"
    key = 'os.environ["BOOPER_API_KEY"]'
    assert (program.count(real), program.count(key)) == (1, 1)
    sandboxed = program.replace(real, "").replace(key, '"sk_test"')
    exec(compile(ast.parse(sandboxed), "program", "exec"), {"Client": Client, "print": silent})
    [posted] = calls
    return posted


def silent(*values: object) -> None:
    """Print nothing."""


def fields_of_javascript(program: str) -> Any:
    """Return the JSON that a program posts, as far as Python can read it."""
    before, _, after = program.partition("  body: ")
    assert before.startswith('const response = await fetch("http://127.0.0.1:2667/api/jobs", {')
    text = after.partition(",\n});")[0]
    if text.startswith("JSON.stringify("):
        return exact.decode(text.removeprefix("JSON.stringify(").removesuffix(")"))
    return exact.decode(json.loads(text))


PROGRAMS: Sequence[Mapping[str, Any]] = (
    FULL,
    {"url": URL},
    *({"url": URL, "body": msgspec.Raw(body.encode())} for body in BODIES),
    {"url": URL, "headers": {"X": "\u202e'\"\\$(x)`y`"}, "query": {"a'b": ["\n"]}},
)


def values(fields: Any) -> Any:
    """Return JSON whose numbers are compared by their values."""
    match fields:
        case msgspec.Raw():
            return Decimal(bytes(fields).decode())
        case dict():
            return {name: values(value) for name, value in fields.items()}
        case list():
            return [values(value) for value in fields]
        case _:
            return fields


@pytest.mark.parametrize("fields", PROGRAMS)
def test_programs_create_the_same(fields: Mapping[str, Any]) -> None:
    """curl's arguments, the call of the Python client and the JSON of JavaScript."""
    codes = codes_of(fields, "http://127.0.0.1:2667")
    given = exact.decode(msgspec.json.encode(fields))
    words, posted = fields_of_curl(codes.curl)
    assert words[1:4] == ["-X", "POST", "http://127.0.0.1:2667/api/jobs"]
    assert posted == given
    parts = msgspec.json.decode(words[words.index("-d") + 1], type=dict[str, msgspec.Raw])
    if isinstance(fields.get("body"), msgspec.Raw):  # the target gets it as it stands there
        assert bytes(parts["body"]) == bytes(fields["body"])
    # The client writes durations in text as amounts of a unit.
    assert values(fields_of_python(codes.python)) == values(exact.decode(encode(written(given))))
    assert values(fields_of_javascript(codes.javascript)) == values(given)
    for code in (codes.curl, codes.python, codes.javascript):
        assert not {"\u202e", "\u2028", "\U000e0041", "\x00"} & set(code)


def test_javascript_that_would_lose_something_posts_text() -> None:
    """An object would lose digits, or take a name for its prototype."""
    for body, is_text in {
        "9007199254740991": False,
        "9007199254740992": True,
        "0.1": False,
        "0.1234567890123456789": True,
        '{"__proto__": 1}': True,
    }.items():
        fields = {"url": URL, "body": msgspec.Raw(body.encode())}
        program = codes_of(fields, "http://127.0.0.1:2667").javascript
        assert ("JSON.stringify" not in program) is is_text
