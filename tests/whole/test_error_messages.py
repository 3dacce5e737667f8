"""Wrong inputs by every way in: each message names what is wrong, its value, and what is right."""

import json
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from booper.app import Booper
from booper.cli import main
from booper.config import read_config
from booper.errors import ConfigError

pytestmark = pytest.mark.anyio

Row = tuple[str, str, str, str]
URL = "https://a.example/"
NOBODY = "http://127.0.0.1:1"
ISO = "2030-01-31T09:00:00Z"

# What is typed (a space apart), what is wrong with it, its value, and what would be right.
COMMANDS: list[Row] = [
    ("jobs list --limit 0", "--limit", "0", "1<=x<=100"),
    ("jobs list --limit many", "--limit", "'many'", "integer"),
    ("jobs list --state gone", "--state", "'gone'", "'scheduled'"),
    ("jobs list --since yesterday", "--since", "'yesterday'", "such as '2 hours'"),
    ("jobs watch 1 --every 0", "--every", "'0'", "from 0.01 to 3600 seconds"),
    ("jobz list", "command", "'jobz'", "'jobs'"),
    ("jobs lst", "command", "'lst'", "'list'"),
    ("status --urll x", "option", "'--urll'", "'--url'"),
    ("status --url localhost", "--url", "'localhost'", "http://127.0.0.1:2667"),
    ("status --url ftp://a.example", "--url", "'ftp://a.example'", "http://127.0.0.1:2667"),
    ("logs list --job one", "--job", "'one'", "integer"),
    ("keys create a --scope god", "--scope", "'god'", "'admin'"),
    ("schedules next a --count 0", "--count", "0", "1<=x<=100"),
    ("serve --port 70000", "--port", "70000", "0<=x<=65535"),
    ("serve --port http", "--port", "'http'", "integer"),
    ("dev --map nonsense", "map", "'nonsense'", "FROM=TO, such as https://api.example.com="),
    ("dev --map ftp://a=http://b", "map", "'ftp://a'", "https:// or http://"),
    ("run walk https://a.example", "METHOD", "'walk'", "get, post, put"),
    ("run https://a.example post", "METHOD", "https://a.example", "`booper run post https"),
    ("run https://a.example -d [1", "--data", "'[1'", "JSON"),
    ("run get https://a.example -d [1]", "--data", "'[1]'", "NAME=VALUE or a JSON object"),
    ("run post https://a.example -d x", "--data", "'x'", "NAME=VALUE, JSON, @FILE or -"),
    ("run post https://a.example -d @/none", "--data", "@/none", "NAME=VALUE, JSON, @FILE or -"),
    ("run https://a.example -H nonsense", "--header", "'nonsense'", "NAME:VALUE"),
    ("run https://a.example --in soon", "--in", "'soon'", '"1h30m"'),
    ("run https://a.example --every 0x", "--every", "'0x'", '"1h30m"'),
    ("run https://a.example --timeout never", "--timeout", "'never'", '"1h30m"'),
    ("run https://a.example --idempotency-ttl 1x", "--idempotency-ttl", "'1x'", '"1h30m"'),
    ("run https://a.example --at 2030-13-01", "--at", "'2030-13-01'", ISO),
    ("run https://a.example --at 20300131", "--at", "'20300131'", "2030-01-31T00:00:00Z"),
    ("run https://a.example --max-attempts many", "--max-attempts", "'many'", "integer"),
]

# A line of booper.toml, the setting, its value, and what would be right.
SETTINGS: list[Row] = [
    ('[server]\nport = "x"', "[server] port", "'x'", "from 0 to 65535"),
    ("[server]\nport = 70000", "[server] port", "70000", "from 0 to 65535"),
    ("[server]\nhost = 5", "[server] host", "5", "an address or a list of addresses"),
    ('[server]\nrate_limit = "off"', "[server] rate_limit", "'off'", "from 0 to 100000"),
    ("[server]\nprt = 1", "[server] unknown setting", "'prt'", "did you mean 'port'"),
    ("[servr]\nport = 1", "unknown table", "[servr]", "did you mean 'server'"),
    ("port = 1", "unknown table", "[port]", "server, database, backup, targets"),
    ('[targets]\nallow = "localhost"', "[targets] allow", "'localhost'", "a list of text"),
    ('[targets]\nallow = ["http://b:3"]', "[targets] allow", "'http://b:3'", "write 'b:3'"),
    ('[retry]\nbackoff = "slow"', "[retry] backoff", "'slow'", '"exponential" or a list'),
    ("[retry]\nmax_attempts = 0", "[retry] max_attempts", "0", "from 1 to 10000"),
    ("[delivery]\ntimeout_seconds = -1", "timeout_seconds", "-1", "over 0 to 900"),
    ('[delivery]\nredact_headers = ["a b"]', "redact_headers", "'a b'", "letters, digits"),
    ('[client]\nurl = "localhost"', "[client] url", "'localhost'", "http://127.0.0.1:2667"),
    ('[database]\npath = "/"', "[database] path", "'/'", "the path of a file"),
    ('[database]\ndurability = "none"', "durability", "'none'", '"full" or "normal"'),
]

# Fields of a create as JSON, the field that is wrong, its value, and what would be right.
FIELDS: list[Row] = [
    ('{"method": "walk"}', "/method", "'walk'", "get, post, put, patch, delete"),
    ('{"url": "nonsense"}', "/url", "'nonsense'", "https:// or http://"),
    ('{"url": 5}', "/url", "5", "text"),
    ('{"urll": "x"}', "/urll", "unknown field", "did you mean 'url'"),
    ('{"schedule_in": "soon"}', "/schedule_in", "'soon'", '"1h30m"'),
    ('{"schedule_in": -1}', "/schedule_in", "-1", "must not be negative"),
    ('{"schedule_in": [5, "moons"]}', "/schedule_in/1", "'moons'", "seconds, minutes, hours"),
    ('{"scheduled_at": "tomorrow"}', "/scheduled_at", "'tomorrow'", ISO),
    ('{"scheduled_at": "20300131"}', "/scheduled_at", "'20300131'", "2030-01-31T00:00:00Z"),
    ('{"cron": "* *"}', "/cron", "'* *'", "five fields (minute, hour"),
    ('{"cron": "61 * * * *"}', "/cron", "'61'", "0 to 59"),
    ('{"cron": "@daily", "timezone": "Berlin"}', "/timezone", "'Berlin'", "'Europe/Berlin'"),
    ('{"repeat_every": 0}', "/repeat_every", "0", "at least 1 second"),
    ('{"headers": {"X": null}}', "/headers/X", "null", "text, a number, true or false"),
    ('{"headers": {"a b": "c"}}', "/headers/a b", "'a b'", "letters, digits"),
    ('{"headers": []}', "/headers", "an empty list", "an object"),
    ('{"query": "x"}', "/query", '"x"', "an object"),
    ('{"max_attempts": 0}', "/max_attempts", "0", "from 1 to 10000"),
    ('{"timeout": 9999}', "/timeout", "9999", "at most 15 minutes"),
    ('{"expect_status": [99]}', "/expect_status/0", "99", 'from 100 to 599 or a class such as "3'),
    ('{"tags": "a"}', "/tags", '"a"', "a list of text"),
    ('{"backoff": "fast"}', "/backoff", "'fast'", '"exponential" or a list of durations'),
    ('{"follow_redirects": "yes"}', "/follow_redirects", '"yes"', "true or false"),
    ('{"callback_url": "ftp://a"}', "/callback_url", "'ftp://a'", "https:// or http://"),
]

# A query of the list of jobs, the parameter, its value, and what would be right.
QUERIES: list[Row] = [
    ("limit=0", "/limit", "'0'", "1 to 100"),
    ("offset=99999", "/offset", "'99999'", "0 to 10000"),
    ("order_by=name", "/order_by", "'name'", "inserted_at, scheduled_at, id"),
    ("state=gone", "/state", "'gone'", "scheduled, available"),
    ("before=soon", "/before", "'soon'", ISO),
    ("schedule_id=5", "/schedule_id", "'5'", "a UUID"),
    ("nonsense=1", "/nonsense", "unknown parameter", "limit, offset, order_by"),
    ("cursor=x", "/cursor", "'x'", "the next_cursor of a page"),
]

# A variable and its value, the variable, the value, and what would be right.
VARIABLES: list[Row] = [
    ("BOOPER_URL=localhost", "BOOPER_URL", "'localhost'", "http://127.0.0.1:2667"),
    ("BOOPER_URL=http://127.0.0.1:99999", "BOOPER_URL", ":99999", "http://127.0.0.1:2667"),
    ("ALL_PROXY=socks4://p.example", "ALL_PROXY", "socks4://p.example", "http://proxy.example:31"),
    ("HTTPS_PROXY=ftp://p.example", "HTTPS_PROXY", "ftp://p.example", "http://proxy.example:31"),
    ("SSL_CERT_FILE=/none", "SSL_CERT_FILE", "'/none'", "a PEM file"),
    ("SSL_CERT_DIR=/none", "SSL_CERT_DIR", "'/none'", "with certificates"),
    ("SSLKEYLOGFILE=/none/a", "SSLKEYLOGFILE", "'/none/a'", "a file that can be written"),
]


def check(message: str, row: Row) -> None:
    """Check that a message has the three parts, and no word of Python or of its libraries."""
    _, what, value, right = row
    assert what in message, message
    assert value in message, message
    assert right in message, message
    for foreign in ("Traceback", "NoneType", " str", "dict", "msgspec", "`int`"):
        assert foreign not in message


@pytest.mark.parametrize("row", COMMANDS, ids=lambda row: row[0])
def test_a_wrong_command_line(row: Row) -> None:
    """It ends with 2, before anybody is asked."""
    result = CliRunner().invoke(main, row[0].split(), env={"BOOPER_URL": NOBODY})
    assert result.exit_code == 2
    check(result.stderr, row)


@pytest.mark.parametrize("row", SETTINGS, ids=lambda row: row[0])
def test_a_wrong_setting(tmp_path: Path, row: Row) -> None:
    """It is one line, with the file's name."""
    path = tmp_path / "booper.toml"
    path.write_text(row[0])
    with pytest.raises(ConfigError) as raised:
        read_config(path, {})
    check(str(raised.value), row)
    assert str(raised.value).startswith(str(path))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("row", FIELDS, ids=lambda row: row[0])
async def test_a_wrong_field(booper: Booper, api: httpx.AsyncClient, row: Row) -> None:
    """422 points at it (RFC 6901)."""
    response = await api.post("/api/jobs", json={"url": URL} | json.loads(row[0]))
    assert response.status_code == 422
    errors = [f"{each['pointer']}: {each['detail']}" for each in response.json()["errors"]]
    check(next(each for each in errors if each.startswith(row[1])), row)


@pytest.mark.parametrize("row", QUERIES, ids=lambda row: row[0])
async def test_a_wrong_parameter(booper: Booper, api: httpx.AsyncClient, row: Row) -> None:
    """422 points at it, as in a body."""
    response = await api.get(f"/api/jobs?{row[0]}")
    assert response.status_code == 422
    (error,) = response.json()["errors"]
    check(f"{error['pointer']}: {error['detail']}", row)


@pytest.mark.parametrize("row", VARIABLES, ids=lambda row: row[0])
def test_a_wrong_variable(row: Row) -> None:
    """It is one line and 2."""
    name, _, value = row[0].partition("=")
    environment = {"BOOPER_URL": "https://booper.example", name: value}
    result = CliRunner().invoke(main, ["status"], env=environment)
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    check(result.stderr, row)


def test_there_are_at_least_sixty() -> None:
    """Of every way in some."""
    assert sum(map(len, (COMMANDS, SETTINGS, FIELDS, QUERIES, VARIABLES))) >= 60
