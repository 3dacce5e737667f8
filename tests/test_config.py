"""The configuration: what a file may say, and what is said about one that is wrong."""

import re
import tomllib
from base64 import b64encode
from pathlib import Path
from typing import Any, get_type_hints

import msgspec
import pytest

from booper.app import Booper
from booper.config import Config, Database, Delivery, Origin, Targets, Webhooks, read_config
from booper.errors import ConfigError

EXAMPLE = Path(__file__).parent.parent / "booper.toml.example"
SETTING = re.compile(r"# (\w+ = .+)")

# Contract §12; what it does not name is what the example says.
DEFAULTS = {
    ("server", "host"): "127.0.0.1",
    ("server", "port"): 2667,
    ("server", "max_body_bytes"): 1_048_576,
    ("server", "rate_limit"): 0,
    ("database", "durability"): "full",
    ("delivery", "concurrency"): 64,
    ("delivery", "per_host"): 16,
    ("delivery", "timeout_seconds"): 30,
    ("delivery", "max_response_bytes"): 262_144,
    ("delivery", "grace_seconds"): 10,
    ("retry", "max_attempts"): 15,
    ("retry", "backoff"): "exponential",
}

# The least and the most of every bounded setting, and the nearest values outside.
BOUNDS: dict[tuple[str, str], tuple[list[float], list[float]]] = {
    ("server", "port"): ([0, 65_535], [-1, 65_536]),
    ("server", "max_body_bytes"): ([1_024, 1_073_741_824], [1_023, 1_073_741_825]),
    ("server", "max_connections"): ([1, 100_000], [0, 100_001]),
    ("server", "rate_limit"): ([0, 0.1, 100_000], [-0.1, 100_000.1]),
    ("server", "rate_burst"): ([1, 100_000], [0, 100_001]),
    ("backup", "keep"): ([1, 1_000], [0, 1_001]),
    ("delivery", "concurrency"): ([1, 10_000], [0, 10_001]),
    ("delivery", "per_host"): ([1, 10_000], [0, 10_001]),
    ("delivery", "timeout_seconds"): ([0.001, 900], [0, -1, 900.001]),
    ("delivery", "max_response_bytes"): ([0, 67_108_864], [-1, 67_108_865]),
    ("delivery", "grace_seconds"): ([0, 900], [-0.001, 900.001]),
    ("retry", "max_attempts"): ([1, 10_000], [0, 10_001]),
    ("retention", "schedule_runs"): ([1, 10_000], [0, 10_001]),
    ("retention", "max_bytes"): ([0, 1_048_576, 1 << 50], [-1, 1_000, (1 << 50) + 1]),
    ("alerts", "failures"): ([1, 100], [0, 101]),
    ("alerts", "disk_free_bytes"): ([0, 1 << 50], [-1, (1 << 50) + 1]),
    ("alerts", "smtp_port"): ([1, 65_535], [0, 65_536]),
    ("limits", "max_waiting"): ([0, 1_000_000_000], [-1, 1_000_000_001]),
}

# table, setting, a value of a wrong type as TOML, what the message must say was expected
WRONG_TYPES = [
    ("server", "host", "5", "an address or a list of addresses"),
    ("server", "port", '"2667"', "a whole number from 0 to 65535"),
    ("server", "port", "true", "a whole number from 0 to 65535"),
    ("server", "port", "80.5", "a whole number from 0 to 65535"),
    ("server", "max_body_bytes", "[]", "a whole number"),
    ("server", "public_url", "5", "text"),
    ("server", "public_url", '"booper.example.com"', "expected a URL such as"),
    ("server", "public_url", '"ftp://booper.example.com"', "expected a URL such as"),
    ("server", "public_url", '"https://"', "expected a URL such as"),
    ("server", "public_url", '"https://me@booper.example.com"', "expected a URL such as"),
    ("server", "public_url", '"https://booper.example.com/?a"', "expected a URL such as"),
    ("server", "public_url", '"https://booper.example.com/#a"', "expected a URL such as"),
    ("server", "public_url", '"https://booper.example.com:99999"', "expected a URL such as"),
    ("server", "public_url", '"https://[::1"', "expected a URL such as"),
    ("server", "public_url", '"https://a.example/two words"', "expected a URL such as"),
    ("server", "public_url", '"https://a.example/../b"', "its path may have letters, digits"),
    ("server", "public_url", '"https://a.example//b"', "its path may have letters, digits"),
    ("server", "public_url", '"https://a.example/%62"', "its path may have letters, digits"),
    ("server", "trusted_proxies", '"127.0.0.1"', "a list of text"),
    ("server", "trusted_proxies", '["proxy.example"]', "the addresses or networks of proxies"),
    ("server", "trusted_proxies", '["10.0.0.1/8"]', "the addresses or networks of proxies"),
    ("server", "trusted_proxies", '["*"]', "the addresses or networks of proxies"),
    ("server", "max_connections", '"all"', "a whole number from 1 to 100000"),
    ("server", "rate_limit", '"off"', "a number from 0 to 100000"),
    ("server", "rate_burst", "1.5", "a whole number from 1 to 100000"),
    ("server", "idempotency_ttl", '"1 month"', "1h30m"),
    ("server", "idempotency_ttl", "true", "seconds or [n, unit]"),
    ("server", "idempotency_ttl", "[1]", "seconds or [n, unit]"),
    ("server", "idempotency_ttl", "-1", "must not be negative"),
    ("server", "idempotency_ttl", "1e300", "must be at most a century"),
    ("retention", "completed", '"for ever"', 'or "forever"'),
    ("retention", "cancelled", "-1", "must not be negative"),
    ("retention", "discarded", '[1, "month"]', "unknown unit 'month'"),
    ("retention", "audit", "true", "seconds or [n, unit]"),
    ("retention", "buckets", "true", "seconds or [n, unit]"),
    ("retention", "schedule_runs", "true", "a whole number from 1 to 10000"),
    ("retention", "max_bytes", '"1 GB"', "a whole number from 0 to 1125899906842624"),
    ("server", "idempotency_ttl", "nan", "must be at most a century"),
    ("server", "idempotency_ttl", '[1, "fortnight"]', "unknown unit 'fortnight'"),
    ("server", "cors_origins", '"https://app.example.com"', "a list of text"),
    ("server", "cors_origins", '["app.example.com"]', "origins as browsers send them"),
    ("server", "cors_origins", '["https://app.example.com/"]', "origins as browsers send them"),
    ("server", "cors_origins", '["https://App.example.com"]', "origins as browsers send them"),
    ("server", "cors_origins", '["https://app.example.com:443"]', "origins as browsers send them"),
    ("server", "cors_origins", '["*.example.com"]', "origins as browsers send them"),
    ("server", "cors_origins", '["null"]', "origins as browsers send them"),
    ("server", "pages", '"off"', "true or false"),
    ("server", "metrics", "true", "text"),
    ("server", "metrics", '"opne"', "did you mean 'open'?"),
    ("server", "metrics", '"127.0.0.1"', 'an address such as "127.0.0.1:9667"'),
    ("server", "metrics", '"127.0.0.1:65536"', 'an address such as "127.0.0.1:9667"'),
    ("server", "metrics", '"::1:9667"', 'an address such as "127.0.0.1:9667"'),
    ("server", "metrics", '":9667"', 'an address such as "127.0.0.1:9667"'),
    ("metrics", "schedules", '"nightly"', "a list of text"),
    ("metrics", "schedules", '[""]', "names or ids of schedules"),
    ("metrics", "schedules", str([str(n) for n in range(201)]), "at most 200 schedules, got 201"),
    ("database", "path", "false", "text"),
    ("database", "url", "1", "text"),
    ("database", "pooled", "1", "true or false"),
    ("database", "listen_url", "1", "text"),
    ("database", "durability", '"fast"', '"full" or "normal"'),
    ("logging", "format", '"xml"', '"auto" or "text" or "json"'),
    ("logging", "level", '"INFO"', '"info" or "warning" or "error"'),
    ("logging", "access", '"yes"', "true or false"),
    ("database", "copy_before_upgrade", "1", "true or false"),
    ("backup", "every", '"daily"', "1h30m"),
    ("backup", "every", "true", "seconds or [n, unit]"),
    ("backup", "every", "59", "at least a minute"),
    ("backup", "every", "-1", "must not be negative"),
    ("backup", "folder", "[]", "text"),
    ("backup", "folder", '""', "the path of a folder"),
    ("backup", "keep", '"all"', "a whole number from 1 to 1000"),
    ("targets", "require_https", '"yes"', "true or false"),
    ("targets", "require_https", "1", "true or false"),
    ("targets", "allow_private_networks", "0", "true or false"),
    ("targets", "allow", '"localhost"', "a list of text"),
    ("targets", "allow", "[8080]", "a list of text"),
    ("delivery", "concurrency", "2030-01-01", "a whole number from 1 to 10000"),
    ("delivery", "per_host", "{}", "a whole number from 1 to 10000"),
    ("delivery", "timeout_seconds", '"30s"', "a number over 0 to 900"),
    ("delivery", "timeout_seconds", "nan", "a number over 0 to 900"),
    ("delivery", "max_response_bytes", "1e3", "a whole number"),
    ("delivery", "grace_seconds", "inf", "a number from 0 to 900"),
    ("delivery", "grace_seconds", "nan", "a number from 0 to 900"),
    ("delivery", "redact_headers", '"X-Api-Key"', "a list of text"),
    ("delivery", "app_host", "5", "text"),
    ("delivery", "app_host", '""', "a host or host:port"),
    ("delivery", "app_host", '"https://app.example"', "a host or host:port"),
    ("delivery", "app_host", '"a b"', "a host or host:port"),
    ("delivery", "app_host", '"app.example/path"', "a host or host:port"),
    ("delivery", "app_name", "5", "text"),
    ("delivery", "app_name", '"Shop"', "lower-case letters, digits and inner hyphens"),
    ("delivery", "app_name", '"-shop"', "lower-case letters, digits and inner hyphens"),
    ("delivery", "app_name", f'"{64 * "a"}"', "lower-case letters, digits and inner hyphens"),
    ("delivery", "proxy", "5", "text"),
    ("delivery", "proxy", '"proxy.example:3128"', "the URL of an HTTP proxy"),
    ("delivery", "proxy", '"https://proxy.example"', "got the scheme 'https'"),
    ("delivery", "proxy", '"socks5://proxy.example"', "got the scheme 'socks5'"),
    ("delivery", "proxy", '"http://"', "got no host"),
    ("delivery", "proxy", '"http://proxy.example:0"', "its host or port is wrong"),
    ("delivery", "proxy", '"http://proxy.example:99999"', "its host or port is wrong"),
    ("delivery", "proxy", '"http://[::1"', "its host or port is wrong"),
    ("delivery", "proxy", '"http://proxy.example/path"', "got something behind the host"),
    ("delivery", "proxy", '"http://proxy.example?a"', "got something behind the host"),
    ("delivery", "proxy", '"http://pro xy"', "got a space"),
    ("delivery", "proxy_resolves", '"yes"', "true or false"),
    ("retry", "max_attempts", "[15]", "a whole number from 1 to 10000"),
    ("retry", "backoff", "5", "exponential"),
    ("webhooks", "secret", "5", "text"),
    ("webhooks", "secret", "true", "text"),
    ("webhooks", "secret", "[5]", "text"),
    ("webhooks", "secret", "{}", "text"),
    ("channels", "discord", "5", "text"),
    ("channels", "discord", "[]", "text"),
    ("alerts", "url", "5", "text"),
    ("alerts", "url", '"alerts.example"', "an http:// or https:// URL"),
    ("alerts", "url", '"app:/alerts"', "an http:// or https:// URL"),
    ("alerts", "url", '"https://me:secret@alerts.example/"', "an http:// or https:// URL"),
    ("alerts", "form", '"teams"', '"booper" or "ntfy" or "discord" or "slack"'),
    ("alerts", "events", '"disk.low"', "a list of text"),
    ("alerts", "events", '["disk"]', "unknown event 'disk'; expected schedule.failed, "),
    ("alerts", "events", '["disk.low:nightly"]', 'a tag only in "job.discarded:TAG"'),
    ("alerts", "events", '["job.discarded:"]', 'a tag only in "job.discarded:TAG"'),
    ("alerts", "failures", "true", "a whole number from 1 to 100"),
    ("alerts", "late", '"soon"', "1h30m"),
    ("alerts", "late", "-1", "must not be negative"),
    ("alerts", "disk_free_bytes", '"1 GB"', "a whole number from 0 to 1125899906842624"),
    ("alerts", "repeat", "59", "0 for once only, or at least a minute"),
    ("alerts", "repeat", '[1, "month"]', "unknown unit 'month'"),
    ("alerts", "heartbeat_url", "[]", "text"),
    ("alerts", "heartbeat_url", '"ftp://alerts.example"', "an http:// or https:// URL"),
    ("alerts", "smtp_host", "25", "text"),
    ("alerts", "smtp_host", '"smtp.example.com/"', "a host such as smtp.example.com"),
    ("alerts", "smtp_host", '"smtp.example.com"', 'write from = "booper@example.com"'),
    ("alerts", "smtp_port", '"587"', "a whole number from 1 to 65535"),
    ("alerts", "smtp_security", '"ssl"', '"starttls" or "tls" or "none"'),
    ("alerts", "smtp_user", "5", "text"),
    ("alerts", "smtp_password", "5", "text"),
    ("alerts", "from", "5", "text"),
    ("alerts", "from", '"booper"', "an address such as booper@example.com"),
    ("alerts", "to", '"you@example.com"', "a list of text"),
    ("alerts", "to", '["you@example.com\\nBcc: all@example.com"]', "addresses such as"),
    ("limits", "max_waiting", '"none"', "a whole number from 0 to 1000000000"),
    ("client", "url", "2667", "text"),
    ("client", "key", "5", "text"),
]

# a wrong backoff as TOML, and a word of what is wrong with it
WRONG_BACKOFFS = [
    ('"linear"', '"exponential" or a list of durations'),
    ("[]", "at least one"),
    ("[10, -1]", "must not be negative"),
    ("[nan]", "century"),
    ("[inf]", "century"),
    ('[[1, "fortnight"]]', "unknown unit 'fortnight'"),
    ('[[5300, "weeks"]]', "century"),  # a century is 36525 days, 5217.9 weeks
    ('[5, "minutes"]', "minutes"),
    ("[true]", "backoff"),
    ("[1e300]", "century"),
    ("[1" + "0" * 400 + "]", "century"),
]

# Standard Webhooks 1.0.0: `whsec_` and the base64 of 24 to 64 bytes; here 24, 32 and 64.
SECRETS = ["whsec_" + b64encode(bytes(range(length))).decode() for length in (24, 32, 64)]

# a wrong list of secrets as TOML, and a word of what is wrong with it
WRONG_SECRETS = [
    (f'["{SECRETS[0]}", "{SECRETS[1]}", "{SECRETS[2]}"]', "at most two"),
    ('"secret"', "whsec_"),
    ('""', "whsec_"),
    ('"whsec_"', "24 to 64 bytes"),
    ('"whsec_c2VjcmV0"', "24 to 64 bytes"),  # six bytes
    ('"whsec_' + "A" * 31 + '"', "base64"),  # no whole number of bytes
    ('"whsec_' + "!" * 32 + '"', "base64"),
    (f'["{SECRETS[0]}", ""]', "whsec_"),
    ('"whsec_' + b64encode(bytes(65)).decode() + '"', "24 to 64 bytes"),
]

# Names of settings that are words of Python's.
PYTHON_NAMES = {"from": "from_"}

# What is no host, host:port, IP address or network without host bits.
WRONG_TARGETS = [
    "10.0.0.0/33",
    "10.0.0.0/8/8",
    "10.0.0.1/8",
    "::1/129",
    "https://hooks.internal",
    "hooks.internal/path",
    "two words",
    "user@hooks.internal",
    "hooks.internal:99999",
    "",
]

GOOD_TARGETS = [
    "localhost",
    "hooks.internal",
    "build.internal:8080",
    "192.168.1.7",
    "10.0.0.0/8",
    "fd00::/8",
]


def read(path: Path, text: str) -> Config:
    """Read a configuration file of this text."""
    path.write_text(text, encoding="utf-8")
    return read_config(path, {})


def refusal(path: Path, text: str) -> str:
    """Return what is said about a wrong file; that is one line which names the file."""
    with pytest.raises(ConfigError) as caught:
        read(path, text)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(str(path))
    return message


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where a test's configuration file goes."""
    return tmp_path / "booper.toml"


def settings() -> dict[tuple[str, str], Any]:
    """Return every setting by table and name, with its default."""
    tables = msgspec.to_builtins(Config())
    return {(name, key): value for name, table in tables.items() for key, value in table.items()}


def tables() -> dict[str, type]:
    """Return the tables of settings by their names; origins have one each, under their own."""
    return {**get_type_hints(Config), "origins": Origin}


def test_the_defaults_are_the_contracts() -> None:
    """What the contract's §12 promises is what an empty configuration gives."""
    known = settings()
    assert {name: known[name] for name in DEFAULTS} == DEFAULTS


def test_no_file_and_an_empty_file_give_the_defaults(path: Path) -> None:
    """Everything can be left out."""
    assert read_config(None, {}) == Config()
    assert read(path, "") == Config()


def test_the_example_as_it_is_changes_nothing() -> None:
    """The example names every table and leaves every setting at its default."""
    assert set(tomllib.loads(EXAMPLE.read_text(encoding="utf-8"))) == set(get_type_hints(Config))
    assert read_config(EXAMPLE, {}) == Config()


def test_the_example_documents_every_setting_with_its_default_and_nothing_else() -> None:
    """With its settings uncommented, the example is the defaults, complete."""
    lines = EXAMPLE.read_text(encoding="utf-8").splitlines()
    uncommented = [found[1] if (found := SETTING.fullmatch(line)) else line for line in lines]
    tables = tomllib.loads("\n".join(uncommented))
    documented = {
        (name, key): value for name, table in tables.items() for key, value in table.items()
    }
    expected = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in settings().items()
    }
    assert documented == expected
    assert list(documented) == list(expected)


def test_the_example_explains_every_setting_and_its_bounds() -> None:
    """Each setting stands under a comment of its own, which tells what bounds there are."""
    text = EXAMPLE.read_text(encoding="utf-8")
    paragraphs = re.split(r"\n\n+", text)
    comments = {
        (found[1]).split(" = ")[0]: paragraph.removesuffix(found[0]).strip()
        for paragraph in paragraphs
        if (found := SETTING.fullmatch(paragraph.splitlines()[-1]))
    }
    for name, key in settings():
        assert len(comments[key]) > 40, f"[{name}] {key} has no comment"
    for (_, key), (inside, _) in BOUNDS.items():
        assert str(inside[-1]) in comments[key], f"{key} does not tell its upper bound"


def test_every_bounded_setting_is_in_the_table() -> None:
    """`BOUNDS` covers what the types bound: no bound goes untested."""
    bounded = {
        (name, key)
        for name, kind in tables().items()
        for key, hint in get_type_hints(kind, include_extras=True).items()
        if "Meta(" in repr(hint)
    }
    assert bounded == {*BOUNDS, ("origins", "slots")}


def test_every_setting_has_a_wrong_type_in_the_table() -> None:
    """`WRONG_TYPES` covers every setting."""
    assert {(table, key) for table, key, _, _ in WRONG_TYPES} == set(settings())


@pytest.mark.parametrize(("table", "key"), BOUNDS)
def test_a_number_is_taken_up_to_its_bounds_and_not_beyond(
    path: Path, table: str, key: str
) -> None:
    """The bounds themselves are fine; the message about a value outside names key and value."""
    inside, outside = BOUNDS[table, key]
    for value in inside:
        config = read(path, f"[{table}]\n{key} = {value}")
        assert getattr(getattr(config, table), key) == value
    for value in outside:
        message = refusal(path, f"[{table}]\n{key} = {value}")
        assert f"[{table}] {key}: expected a" in message
        assert message.endswith(f"got {value}")


@pytest.mark.parametrize(("table", "key", "value", "expected"), WRONG_TYPES)
def test_a_value_of_a_wrong_type_is_refused_with_what_was_expected(
    path: Path, table: str, key: str, value: str, expected: str
) -> None:
    """Nothing is converted: text is no number, a number no truth value, a truth value no number."""
    message = refusal(path, f"[{table}]\n{key} = {value}")
    assert f"[{table}] {key}: " in message
    assert expected in message


WRONG_VALUES = [
    *[
        (table, key, tomllib.loads(f"x = {value}")["x"])
        for (table, key), (_, outside) in BOUNDS.items()
        for value in outside
    ],
    *[(table, key, tomllib.loads(f"x = {value}")["x"]) for table, key, value, _ in WRONG_TYPES],
    *[("retry", "backoff", tomllib.loads(f"x = {value}")["x"]) for value, _ in WRONG_BACKOFFS],
    *[("webhooks", "secret", tomllib.loads(f"x = {value}")["x"]) for value, _ in WRONG_SECRETS],
    *[("targets", "allow", [entry]) for entry in WRONG_TARGETS],
    ("delivery", "redact_headers", ["X Key"]),
    ("database", "path", ""),
    ("channels", "discord", "http://discord.com"),
    ("client", "url", "booper.example.com"),
    ("client", "key", "no key"),
]


@pytest.mark.parametrize(("table", "key", "value"), WRONG_VALUES)
def test_a_setting_is_checked_in_python_as_in_a_file(
    path: Path, table: str, key: str, value: Any
) -> None:
    """`Retry(max_attempts=0)` is told what `max_attempts = 0` in a file is told."""
    path.touch()
    with pytest.raises(ConfigError) as in_file:
        read_config(path, {table: {key: value}})
    kind = get_type_hints(Config)[table]
    with pytest.raises(ConfigError) as in_python:
        kind(**{PYTHON_NAMES.get(key, key): value})
    assert str(in_file.value) == f"{path}: {in_python.value}"
    with pytest.raises(ConfigError):
        msgspec.structs.replace(kind(), **{PYTHON_NAMES.get(key, key): value})


def test_a_setting_in_python_takes_what_python_has(tmp_path: Path) -> None:
    """A list where a file has one, a `Path` for a path, one secret that stands alone."""
    assert Targets(allow=["localhost"]).allow == ("localhost",)  # type: ignore[arg-type]
    assert Database(path=tmp_path / "a.db").path == str(tmp_path / "a.db")  # type: ignore[arg-type]
    assert Webhooks(secret=SECRETS[0]).secret == (SECRETS[0],)  # type: ignore[arg-type]
    assert Delivery(timeout_seconds=60).timeout_seconds == 60.0


@pytest.mark.parametrize("value", [{"port": 1}, None, Delivery(), "server"])
def test_a_table_in_python_is_a_table(value: Any) -> None:
    """Another one is told, not found when something is missing in it."""
    with pytest.raises(ConfigError, match=r"server: expected Server\(…\), got "):
        Config(server=value)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"config": "booper.toml"}, "config: expected Config(…), got 'booper.toml'; BOOPER_CONFIG"),
        ({"config": Path("booper.toml")}, "config: expected Config(…), got PosixPath("),
        ({"config": {"server": {}}}, "config: expected Config(…), got {'server': {}}"),
        ({"app": "main:app"}, "app: expected an ASGI application, got 'main:app'; import it"),
        ({"app": 5}, "app: expected an ASGI application, got 5"),
    ],
)
def test_a_booper_is_told_what_it_cannot_be_made_of(arguments: Any, told: str) -> None:
    """Where it is made, not where it first fails."""
    with pytest.raises(ConfigError) as caught:
        Booper(**arguments)
    assert str(caught.value).startswith(told)


def test_a_booper_without_a_configuration_reads_the_file_that_is_named(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`BOOPER_CONFIG` holds in a program as on the command line; a wrong file is told."""
    path.write_text("[delivery]\nper_host = 3\n")
    monkeypatch.setenv("BOOPER_CONFIG", str(path))
    assert Booper().config == Config(delivery=Delivery(per_host=3))
    assert Booper(Config()).config == Config()
    path.write_text("[delivery]\nper_host = 0\n")
    with pytest.raises(ConfigError, match=r"per_host: expected a whole number from 1 to 10000"):
        Booper()
    monkeypatch.setenv("BOOPER_CONFIG", str(path.with_name("nowhere.toml")))
    with pytest.raises(ConfigError, match="cannot read"):
        Booper()
    for empty in ("", None):
        monkeypatch.setenv("BOOPER_CONFIG", empty or "")
        assert Booper().config == Config()


@pytest.mark.parametrize(
    ("table", "key", "meant"),
    [
        ("server", "address", "host"),
        ("server", "bind", "host"),
        ("database", "file", "path"),
        ("delivery", "timeout", "timeout_seconds"),
        ("delivery", "max_concurrency", "concurrency"),
        ("retry", "retries", "max_attempts"),
        ("targets", "allowlist", "allow"),
        ("client", "api_key", "key"),
    ],
)
def test_a_setting_of_another_program_is_answered_with_ours(
    path: Path, table: str, key: str, meant: str
) -> None:
    """The synonyms are those of the fields of a job."""
    assert f"did you mean {meant!r}?" in refusal(path, f"[{table}]\n{key} = 1")


def test_a_message_about_a_wrong_type_is_a_sentence(path: Path) -> None:
    """What is expected is said in booper's words, once."""
    for value in ("5", '"linear"', "[true]"):
        message = refusal(path, f"[retry]\nbackoff = {value}")
        assert message.lower().count("expected") == 1, message
        assert "`" not in message


def test_a_whole_number_serves_where_a_fraction_could_stand(path: Path) -> None:
    """`timeout_seconds = 60` needs no decimal point."""
    assert read(path, "[delivery]\ntimeout_seconds = 60").delivery.timeout_seconds == 60.0


@pytest.mark.parametrize(("value", "reason"), WRONG_BACKOFFS)
def test_a_wrong_backoff_is_refused_with_its_reason(path: Path, value: str, reason: str) -> None:
    """A word, a length or a unit that no backoff can be made of is found at the start."""
    message = refusal(path, f"[retry]\nbackoff = {value}")
    assert "[retry] backoff: " in message
    assert reason in message


def test_a_backoff_is_the_word_or_a_list_of_durations(path: Path) -> None:
    """Both shapes of the contract's `backoff` can be set."""
    assert read(path, '[retry]\nbackoff = "exponential"').retry.backoff == "exponential"
    listed = read(path, '[retry]\nbackoff = [10, 0.5, [5, "minutes"]]').retry.backoff
    assert listed == [10, 0.5, (5, "minutes")]


@pytest.mark.parametrize("entry", WRONG_TARGETS)
def test_a_wrong_allowed_target_is_refused_and_named(path: Path, entry: str) -> None:
    """An entry that is neither host nor network is found when the file is read, and shown."""
    message = refusal(path, f'[targets]\nallow = ["fine.internal", "{entry}"]')
    assert "[targets] allow: " in message
    assert repr(entry) in message
    assert "a list of text, got" not in message, "it is a list of text"


@pytest.mark.parametrize("name", ["", "X Key", "X-Key:", "Schlüssel", "X\\n", "x" * 300])
def test_what_names_no_header_cannot_be_hidden(path: Path, name: str) -> None:
    """A header's name is a token (RFC 9110 §5.6.2); anything else is a typo, told as such."""
    message = refusal(path, f'[delivery]\nredact_headers = ["X-Key", "{name}"]')
    assert "[delivery] redact_headers: header name must" in message


@pytest.mark.parametrize(
    "url",
    [
        "127.0.0.1:2667",
        "localhost:2667",
        "ftp://booper.example",
        "http://",
        "http://:2667",
        "http://booper.example:x",
        "http://booper.example:65536",
        "http://[::1",
    ],
)
def test_commands_ask_an_http_url_alone(path: Path, url: str) -> None:
    """Anything else is found when the file is read, and shown; both schemes and none are fine."""
    message = refusal(path, f'[client]\nurl = "{url}"')
    assert message.endswith(
        f"[client] url: expected a URL such as http://127.0.0.1:2667, got {url!r}"
    )
    for fine in ("http://127.0.0.1:2667", "https://[::1]/booper/", ""):
        assert read(path, f'[client]\nurl = "{fine}"').client.url == fine


@pytest.mark.parametrize("key", ['"secret_0123456789"', '"sk_0123456789 12"', '"sk_01"', '["sk_"]'])
def test_a_wrong_key_of_the_commands_is_refused_and_not_repeated(path: Path, key: str) -> None:
    """A key is `sk_` and at least 13 characters more (README); what is wrong may be a secret."""
    message = refusal(path, f"[client]\nkey = {key}")
    assert "[client] key: " in message
    assert key.strip('[]"') not in message.replace("'sk_'", "")
    fine = "sk_" + 13 * "x"
    assert read(path, f'[client]\nkey = "{fine}"').client.key == fine


def test_hosts_ports_addresses_and_networks_can_be_allowed(path: Path) -> None:
    """Every kind of entry that the guard knows is taken."""
    listed = ", ".join(f'"{entry}"' for entry in GOOD_TARGETS)
    assert read(path, f"[targets]\nallow = [{listed}]").targets.allow == tuple(GOOD_TARGETS)


def test_secrets_are_one_text_or_a_list_of_two(path: Path) -> None:
    """One secret stands alone or in a list; two may be live, for a rotation; none is fine."""
    old, new, _ = SECRETS
    assert read(path, f'[webhooks]\nsecret = "{old}"').webhooks.secret == (old,)
    assert read(path, f'[webhooks]\nsecret = ["{old}"]').webhooks.secret == (old,)
    assert read(path, f'[webhooks]\nsecret = ["{new}", "{old}"]').webhooks.secret == (new, old)
    assert read(path, "[webhooks]\nsecret = []").webhooks.secret == ()


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_has_24_to_64_bytes(path: Path, secret: str) -> None:
    """The lengths that the specification allows are taken."""
    assert read(path, f'[webhooks]\nsecret = "{secret}"').webhooks.secret == (secret,)


@pytest.mark.parametrize(("value", "reason"), WRONG_SECRETS)
def test_a_wrong_secret_is_refused_with_its_reason(path: Path, value: str, reason: str) -> None:
    """A secret that could sign nothing is found at the start."""
    message = refusal(path, f"[webhooks]\nsecret = {value}")
    assert "[webhooks] secret: " in message
    assert reason in message


@pytest.mark.parametrize(
    "value", [f'["{SECRETS[0]}", 5]', f'["{SECRETS[0]}", "no secret"]', f'[["{SECRETS[0]}"]]']
)
def test_a_message_about_secrets_shows_none(path: Path, value: str) -> None:
    """What is wrong beside a good secret is told without it: messages end up in logs."""
    assert SECRETS[0] not in refusal(path, f"[webhooks]\nsecret = {value}")


def test_a_discord_webhook_is_an_https_url(path: Path) -> None:
    """`[channels] discord` takes the URL that Discord gives; empty means that none is set."""
    url = "https://discord.com/api/webhooks/1/token"
    assert read(path, f'[channels]\ndiscord = "{url}"').channels.discord == url
    assert read(path, '[channels]\ndiscord = ""').channels.discord == ""


@pytest.mark.parametrize("url", ["discord", "http://discord.com/api/webhooks/1/t", "https:/x"])
def test_another_discord_webhook_is_refused(path: Path, url: str) -> None:
    """What is no https URL is found at the start."""
    assert "[channels] discord: " in refusal(path, f'[channels]\ndiscord = "{url}"')


@pytest.mark.parametrize("name", ["", ".", "..", "/", "a\\u0000b"])
def test_a_database_path_that_names_no_file_is_refused(path: Path, name: str) -> None:
    """A path without a file's name in it can hold no database."""
    assert "[database] path: " in refusal(path, f'[database]\npath = "{name}"')


@pytest.mark.parametrize("url", ["db.internal", "mysql://db.internal/b", "/var/lib/booper.db"])
def test_a_database_url_of_another_kind_is_refused(path: Path, url: str) -> None:
    """What it says is not shown: it may hold a password."""
    message = refusal(path, f'[database]\nurl = "{url}"')
    assert '[database] url: expected a URL such as "postgresql://' in message
    assert url not in message


def test_an_unknown_table_is_refused_with_the_near_name(path: Path) -> None:
    """`[sever]` is taken for a misspelt `[server]`, and all tables are listed."""
    message = refusal(path, "[sever]\nport = 1")
    assert "unknown table [sever]; did you mean 'server'?" in message
    assert "server, database, backup, targets, delivery, retry, retention, webhooks" in message


def test_an_unknown_setting_is_refused_with_the_near_name(path: Path) -> None:
    """`prot` is taken for a misspelt `port`; the message says in which table it stands."""
    message = refusal(path, "[server]\nprot = 1")
    assert "[server] unknown setting 'prot'; did you mean 'port'?" in message


def test_an_unknown_name_that_is_near_to_none_gets_the_list_alone(path: Path) -> None:
    """No guess is made where there is nothing to guess."""
    message = refusal(path, "[server]\nzzz = 1")
    assert "did you mean" not in message
    assert "host, port, public_url" in message


def test_a_name_with_a_line_break_stays_on_one_line(path: Path) -> None:
    """TOML allows any character in a quoted name; the message still is one line."""
    refusal(path, '["a\\nb"]')
    refusal(path, '[server]\n"a\\nb" = 1')
    refusal(path, '[server]\nhost = ["a\\nb"]')


def test_a_setting_outside_its_table_is_refused(path: Path) -> None:
    """A setting at the top is an unknown table, and a table given a plain value is no table."""
    assert "unknown table [port]" in refusal(path, "port = 1")
    assert "server must be a table, write [server]" in refusal(path, "server = 1")
    assert "server must be a table" in refusal(path, "[[server]]\nport = 1")


@pytest.mark.parametrize(
    "text",
    ["[server", "port 1", "[server]\nport = ", "[server]\n[server]", '[server]\nhost = "a', "\0"],
)
def test_what_is_not_toml_is_refused_with_the_place(path: Path, text: str) -> None:
    """A syntax error is said with its line, as the TOML parser knows it."""
    assert "is not TOML: " in refusal(path, text)


def test_toml_beyond_the_parsers_powers_is_refused_like_any_other(path: Path) -> None:
    """Absurd nesting and endless numbers end in a line as well, not in a traceback."""
    refusal(path, "a = " + "[" * 100_000)
    refusal(path, "a = 1" + "0" * 5_000)


def test_bytes_that_are_not_utf_8_are_refused(path: Path) -> None:
    """TOML is UTF-8 (toml.io); a Latin-1 file is told so."""
    path.write_bytes(b'[server]\nhost = "caf\xe9"')
    with pytest.raises(ConfigError, match="not in UTF-8: byte 0xe9 in line 2") as caught:
        read_config(path, {})
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_refused(path: Path) -> None:
    """A file that was asked for must be there."""
    with pytest.raises(ConfigError) as caught:
        read_config(path, {})
    assert str(caught.value) == f"cannot read {path}: No such file or directory"


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    """A folder in the file's place is named as such."""
    with pytest.raises(ConfigError) as caught:
        read_config(tmp_path, {})
    assert str(caught.value) == f"cannot read {tmp_path}: Is a directory"


def test_overrides_beat_the_file_one_setting_at_a_time(path: Path) -> None:
    """The command line wins over the file, which keeps what the command line does not name."""
    path.write_text('[server]\nhost = "0.0.0.0"\nport = 1000\n[delivery]\nper_host = 3\n')
    overrides: dict[str, dict[str, Any]] = {
        "server": {"port": 2000, "host": None},
        "database": {"path": "other.db"},
    }
    config = read_config(path, overrides)
    assert (config.server.host, config.server.port) == ("0.0.0.0", 2000)
    assert config.database.path == "other.db"
    assert config.delivery == Delivery(per_host=3)


def test_an_override_is_held_to_the_same_bounds() -> None:
    """A wrong value from the command line is refused as one from the file is."""
    with pytest.raises(ConfigError) as caught:
        read_config(None, {"server": {"port": 70_000}})
    expected = "configuration: [server] port: expected a whole number from 0 to 65535, got 70000"
    assert str(caught.value) == expected


def test_an_override_does_not_hide_a_wrong_file(path: Path) -> None:
    """A table that is none is refused even if one of its settings is overridden."""
    path.write_text("server = 1")
    with pytest.raises(ConfigError, match="server must be a table"):
        read_config(path, {"server": {"port": 2000}})


TEXT = "[server]\nport = 80\n"


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (TEXT.encode("utf-8-sig"), None),
        (TEXT.replace("\n", "\r\n").encode("utf-8-sig"), None),
        (TEXT.encode("utf-16"), "UTF-16"),
        (TEXT.encode("utf-16-le"), "UTF-16"),
        (TEXT.encode("utf-16-be"), "UTF-16"),
        (TEXT.encode("utf-32"), "UTF-32"),
        (f"{TEXT}# é".encode("latin-1"), "not in UTF-8: byte 0xe9 in line 3"),
    ],
)
def test_a_file_of_another_encoding_is_told(tmp_path: Path, raw: bytes, told: str | None) -> None:
    """TOML is UTF-8; editors on Windows begin it with a byte order mark, which is passed over."""
    path = tmp_path / "booper.toml"
    path.write_bytes(raw)
    if told is None:
        assert read_config(path, {}).server.port == 80
        return
    with pytest.raises(ConfigError, match=told) as raised:
        read_config(path, {})
    assert str(path) in str(raised.value)
    assert "save it in UTF-8" in str(raised.value)
