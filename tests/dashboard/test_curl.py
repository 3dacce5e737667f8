"""Pasted curl commands: what each means, and what is said of what it cannot mean here.

The requests are those that curl 7.88 sends (https://curl.se/docs/manpage.html).
"""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest

from booper.dashboard.curl import MAX_WORDS, NoCommand, read_curl
from booper.dashboard.new_form import read, write
from booper.model.fields import CREATE_FIELDS
from tests.conftest import KEY
from tests.dashboard.test_new import shown
from tests.support.api import Api
from tests.support.dashboard import Browser, Seen

pytestmark = pytest.mark.anyio

U = "https://a.test/x"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def post(body: Any = None, headers: Mapping[str, str] = FORM, **more: Any) -> dict[str, Any]:
    """Return the fields of a POST; without headers it has none."""
    given = {"headers": dict(headers)} if headers else {}
    body_given = {} if body is None else {"body": body}
    return {"method": "post", "url": U, **given, **body_given, **more}


def get(url: str = U, **more: Any) -> dict[str, Any]:
    """Return the fields of a GET."""
    return {"method": "get", "url": url, **more}


MEANT: Mapping[str, dict[str, Any]] = {
    f"curl {U}": get(),
    f"$ curl '{U}'": get(),
    f"/usr/bin/curl --url {U}": get(),
    f'curl "{U}?a=1&b=2"': get(f"{U}?a=1&b=2"),
    f"curl -X DELETE {U}": get(method="delete"),
    f"curl -XPUT {U} -d x=1": post("x=1", method="put"),
    f"curl --request patch {U} -da": post("a", method="patch"),
    f"curl -d a=1 --data b=2 {U}": post("a=1&b=2"),
    f"curl {U} --data-ascii 'a b'": post("a b"),
    f"curl {U} --data-raw '@x'": post("@x"),
    f"curl {U} --data-binary $'a\\nb\\x41\\101\\tc'": post("a\nbAA\tc"),
    f"curl {U} -d ''": post(None, {}),
    f"curl {U} -d 'é'": post("é"),
    f"curl {U} --data-urlencode 'a=b c&d' --data-urlencode 'e f' --data-urlencode =x": post(
        "a=b+c%26d&e+f&x"
    ),
    f"curl -G -d q=1 {U}": get(f"{U}?q=1"),
    f"curl -G --data-urlencode 'q=a b/é' -d z=1 '{U}?x=1'": get(f"{U}?x=1&q=a+b%2F%C3%A9&z=1"),
    f"""curl --json '{{"a": 1}}' {U}""": post({"a": 1}, {"Accept": "application/json"}),
    f"""curl --json '{{"a":' --json '1}}' {U}""": post({"a": 1}, {"Accept": "application/json"}),
    f"""curl {U} -H 'content-type: application/json' -d '[1, "x"]'""": post([1, "x"], {}),
    f"""curl {U} -H 'Content-Type: application/json; v=1' -d '{{"a": 1}}'""": post(
        {"a": 1}, {"Content-Type": "application/json; v=1"}
    ),
    f"curl {U} -H 'Content-Type: text/plain' -d 'Hi'": post("Hi", {"Content-Type": "text/plain"}),
    f"curl -u joe:pa:ss {U}": get(headers={"Authorization": "Basic am9lOnBhOnNz"}),
    f"curl --oauth2-bearer tok {U}": get(headers={"Authorization": "Bearer tok"}),
    f"curl -b 'a=1' -b 'b=2; c=3' {U}": get(headers={"Cookie": "a=1; b=2; c=3"}),
    f"curl -A me -e http://r.test/ {U}": get(
        headers={"User-Agent": "me", "Referer": "http://r.test/"}
    ),
    f"curl -H 'A: 1' -H 'a: 2' -H 'B;' -H Accept:x {U}": get(
        headers={"A": "1, 2", "B": "", "Accept": "x"}
    ),
    f"curl -m 5 {U}": get(timeout="5"),
    f"curl {U} \\\n  -H 'A: b' \\\r\n  -d 'x\ny'": post("x\ny", {"A": "b", **FORM}),
    f'curl {U} -d "a\\"b\\$c\\\\d\\e"\'f\'g\\ h': post('a"b$c\\d\\efg h'),
    f"curl {U} -H $'X: it\\'s \\u00fc \\xc3\\xbc \\\\'": get(headers={"X": "it's ü ü \\"}),
    f"curl -- {U}": get(),
    f'curl "{U}" -d @- --data-raw b': post("b"),
}
"""Commands, and the fields of the create that sends the same request."""

SAID: Mapping[str, str] = {
    f"curl -k {U}": "booper checks certificates as its settings say",
    f"curl -s {U}": "--silent is left out",
    f"curl -sSv {U}": "--verbose is left out",
    f"curl -L {U}": "booper follows up to 5 redirects",
    f"curl -d @/etc/passwd {U}": "--data @/etc/passwd: files are not read",
    f"curl --data-binary @/etc/passwd {U}": "files are not read",
    f"curl --data-urlencode a@/etc/passwd {U}": "files are not read",
    f"curl --json @/etc/passwd {U}": "files are not read",
    f"curl -H @/etc/passwd {U}": "files are not read",
    f"curl -b /etc/passwd {U}": "files are not read",
    f"curl -K /etc/passwd {U}": "files are not read",
    f"curl -T /etc/passwd {U}": "files are not read",
    f"curl -n {U}": "files are not read",
    f"curl -F a=@/etc/passwd {U}": "booper sends no multipart forms",
    f"curl -I {U}": "booper sends no HEAD requests",
    f"curl -X OPTIONS {U}": "booper does not send the method OPTIONS",
    f"curl -u joe {U}": "-u has no password",
    f"curl -x http://p.test {U}": "booper uses the proxy of its settings",
    f"curl --frobnicate {U}": "--frobnicate is not known here",
    f"curl -Z {U}": "-Z is not known here",
    f"curl {U} -d": "-d has no value",
    f"curl {U} --data": "--data has no value",
    f"curl {U} {U}/2": f"a job has one URL: {U}/2",
    f"curl {U}?a=1&b=2": "left out, as it is another command or goes to a file: &b=2",
    f"curl {U} | jq .": "| jq .",
    f"curl {U} > out": "> out",
    f"curl {U} -H 'A:'": "-H A: sends nothing",
    f'curl {U} -H "A: $TOKEN"': "a shell would replace a part of A: $TOKEN",
    f"curl {U}/`id`": "a shell would replace a part of",
    f"curl {U}/[1-3]": "several URLs",
    "curl a.test": "curl takes http",
    "curl -s": "there is no URL",
    f"curl {U} -d '{{\"a\": 1}}'": "curl sends the body as a form",
    f"curl {U} -H 'Content-Type: application/json' -d '{{'": "it is taken as text",
}
"""Commands, and what is said of each."""


def test_there_are_enough_of_them() -> None:
    """At least 30 whose meaning is known."""
    assert len(MEANT) >= 30


@pytest.mark.parametrize("command", MEANT)
def test_a_command_means_the_request_that_curl_sends(command: str) -> None:
    """So do the fields of the form that it fills."""
    meant = read_curl(command)
    assert meant.fields == MEANT[command]
    typed = read(write(meant.fields))
    expected = {**MEANT[command]}
    if "timeout" in expected:
        expected["timeout"] = 5
    assert typed.errors == []
    decoded = {name: plain(value) for name, value in typed.fields.items()}
    assert decoded == expected
    assert set(meant.fields) <= set(CREATE_FIELDS)


def plain(value: Any) -> Any:
    """Return JSON that is kept as text as its value."""
    return msgspec.json.decode(value) if isinstance(value, msgspec.Raw) else value


@pytest.mark.parametrize("command", SAID)
def test_what_it_cannot_mean_is_said(command: str) -> None:
    """And not guessed."""
    assert SAID[command] in "\n".join(read_curl(command).notes)


@pytest.mark.parametrize("command", MEANT)
def test_nothing_is_said_without_need(command: str) -> None:
    """A command that means all that it says gets no note."""
    assert len(read_curl(command).notes) == command.count("@-")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "begins with “curl”"),
        ("wget https://a.test", "begins with “curl”"),
        ("curl 'https://a.test", 'a quote is not closed: "\'https://a.test"'),
        ('curl "', "a quote is not closed"),
        ("curl $'x", "a quote is not closed"),
        ("curl \\", "a quote is not closed"),
        (" | curl x", "begins with “curl”"),
    ],
)
def test_what_is_no_command_is_refused(text: str, said: str) -> None:
    """With what would be one."""
    with pytest.raises(NoCommand, match=said.replace("$", r"\$")):
        read_curl(text)


def test_no_file_is_read(tmp_path: Path) -> None:
    """Whatever a command names, not a character of it comes into the form."""
    secret = tmp_path / "secret"
    secret.write_text("s3cr3t")
    options = ("-d @", "--data @", "--data-binary @", "--json @", "-H @", "-b ", "-K ", "-T ")
    for option in (*options, "--data-urlencode a@", "--data-urlencode @", "-F a=@", "-E "):
        assert "s3cr3t" not in str(read_curl(f"curl {option}{secret} {U}"))


@pytest.mark.parametrize("text", ["'" * 99_999, "\\\n" * 50_000, "$'" + "\\x41" * 9_999, "-" * 9])
def test_a_long_command_is_read_quickly(text: str) -> None:
    """In time that grows with its length: it ends here at all."""
    with suppress(NoCommand):
        read_curl(f"curl {U} {text}")


def test_a_command_of_too_many_words_is_refused() -> None:
    """As they are compared with each other; a word may be as long as it is."""
    assert read_curl(f"curl {U}{' -sS' * (MAX_WORDS - 2)}").fields == get()
    with pytest.raises(NoCommand, match="expected at most 1,000 words, got 1,001"):
        read_curl(f"curl {U}{' -sS' * (MAX_WORDS - 1)}")


async def test_a_pasted_command_fills_the_form(browser: Browser, api: Api) -> None:
    """Creates nothing yet; its notes stand above."""
    await browser.sign_in(KEY)
    command = f"""curl -k '{U}?a=b' --json '{{"a": [1.10]}}' -H 'X-Shop: it'"'"'s'"""
    response = await browser.submit("/new/curl", {"curl": command})
    seen = Seen(response.text)
    typed = shown(seen, response.text)
    assert response.status_code == 200
    assert (typed["method"], typed["url"]) == ("post", f"{U}?a=b")
    assert typed["headers"] == "X-Shop: it's\nAccept: application/json"
    assert typed["body"] == '{\n  "a": [\n    1.10\n  ]\n}'
    assert "booper checks certificates" in seen.text
    assert await api.read("/api/jobs") == []
    assert (await browser.submit("/new", typed)).status_code == 303


async def test_what_is_no_command_is_kept_with_what_is_wrong(browser: Browser) -> None:
    """To be mended."""
    await browser.sign_in(KEY)
    response = await browser.submit("/new/curl", {"curl": "wget <b>"})
    seen = Seen(response.text)
    assert response.status_code == 422
    assert seen.inside("f-curl") == "wget <b>"
    assert "begins with “curl”" in seen.text
