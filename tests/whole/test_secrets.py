"""Secrets that pass through booper: in no line of its log, in no error, and keys in no file."""

from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.processes import (
    Daemon,
    LocalTarget,
    allow_local_targets,
    bearer,
    database_copy,
    listening_target,
    run,
    serving,
    until,
)

# Each stands in one place of a request, so that a leak tells where it came from.
CANARIES = {
    place: f"canary-{place}-7d1f"
    for place in (
        *("authorization", "cookie", "header", "body", "query", "path", "api-query", "junk"),
        *("alerts", "heartbeat", "smtp"),
    )
}
WEBHOOK_SECRET = "whsec_" + b64encode(b"canary-webhook-secret-7d1f").decode()
KEYS = ("sk_canary_fixed_0123456789", "sk_canary_unknown_0123456789")
SETTINGS = f"""
[delivery]
redact_headers = ["X-Api-Key"]
[webhooks]
secret = "{WEBHOOK_SECRET}"
[alerts]
url = "http://127.0.0.1:1/{CANARIES["alerts"]}"
heartbeat_url = "http://127.0.0.1:1/{CANARIES["heartbeat"]}"
smtp_host = "127.0.0.1"
smtp_port = 1
smtp_password = "{CANARIES["smtp"]}"
from = "booper@example.com"
to = ["you@example.com"]
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Daemon:
    """Run a daemon into trouble, and return what is left: it has stopped, its log is whole."""
    with troubled(tmp_path_factory.mktemp("secrets")) as daemon:
        assert daemon.stop() == 0
    return daemon


@contextmanager
def troubled(folder: Path) -> Iterator[Daemon]:
    """Run a daemon with secrets in every place, and let everything go wrong."""
    allow_local_targets(folder, SETTINGS)
    with (
        listening_target() as target,
        serving(folder, key=KEYS[0], environment={"BOOPER_API_KEY": KEYS[0]}) as daemon,
    ):
        made = run(folder, "keys", "create", "second")
        assert made.returncode == 0
        (folder / "second").write_text(made.stdout.split()[-1], encoding="utf-8")
        _trouble(daemon, target)
        yield daemon


def _trouble(daemon: Daemon, target: LocalTarget) -> None:
    """Post jobs that arrive, that fail, that are refused, and requests that are no jobs."""
    headers = {
        "Authorization": CANARIES["authorization"],
        "Cookie": CANARIES["cookie"],
        "x-api-key": CANARIES["header"],
    }
    fields = {
        "method": "post",
        "headers": headers,
        "body": {"secret": CANARIES["body"]},
        "query": {"token": CANARIES["query"]},
        "max_attempts": 1,
    }
    reports = {"webhook_url": target.url + "/reports", "callback_url": target.url + "/reports"}
    path = "/" + CANARIES["path"]
    numbers = [
        daemon.post(target.url + path, **fields, **reports),
        daemon.post("http://127.0.0.1:1" + path, **fields),  # nothing listens there
        daemon.post("https://nowhere.invalid" + path, **fields),  # RFC 6761 §6.4: no such name
    ]
    ended = {"completed", "discarded"}
    until(lambda: {daemon.job(number)["state"] for number in numbers} <= ended, "the jobs ended")
    until(lambda: "alerts cannot be sent by booper" in daemon.log, "an alert was not posted")
    until(lambda: "alerts cannot be sent by mail" in daemon.log, "an alert was not mailed")
    wrong: list[tuple[str, str, object]] = [
        ("POST", "/api/jobs", {**fields, "url": f"http://10.0.0.1{path}"}),
        ("POST", "/api/jobs", {**fields, "url": target.url, "headerz": CANARIES["junk"]}),
        ("GET", f"/api/jobs?limit={CANARIES['api-query']}", None),
        ("GET", f"/api/{CANARIES['api-query']}", None),
    ]
    for method, address, body in wrong:
        assert daemon.api.request(method, address, json=body).status_code in (404, 422)
    junk = CANARIES["junk"].encode()
    assert daemon.api.post("/api/jobs", content=junk).status_code == 400
    assert daemon.api.get("/api/jobs", headers=bearer(KEYS[1])).status_code == 401


def test_no_secret_stands_in_the_log_of_the_process(told: Daemon) -> None:
    """Whatever was sent, refused or failed: neither standard output nor error repeats it."""
    text = told.output + told.log
    assert "attempt 1" in text
    assert "canary" not in text.replace(str(told.folder), "")
    assert WEBHOOK_SECRET not in text
    assert "sk_" not in text


def test_no_key_and_no_webhook_secret_stands_in_a_file(told: Daemon) -> None:
    """The database and what lies beside it hold digests of keys, and not the webhook secret."""
    secrets = [*KEYS, WEBHOOK_SECRET, (told.folder / "second").read_text(encoding="utf-8")]
    for path in told.folder.glob("booper.db*"):
        content = path.read_bytes() if path.is_file() else b""
        assert not any(secret.encode() in content for secret in secrets), path


LOGGED = "SELECT payload || coalesce(request, '') FROM logs"


def test_secret_headers_stand_in_no_stored_log_entry(told: Daemon) -> None:
    """Entries keep the names, and say that the values are hidden (contract §4)."""
    with database_copy(told.folder) as database:
        payloads = [row[0] for row in database.execute(LOGGED)]
        reports = [
            row[0] for row in database.execute("SELECT args FROM jobs WHERE parent_id IS NOT NULL")
        ]
    assert payloads
    assert reports
    text = "".join(map(str, [*payloads, *reports]))
    assert text.count("[redacted]") >= 3
    for place in ("authorization", "cookie", "header"):
        assert CANARIES[place] not in text


def test_no_error_of_a_job_repeats_its_secrets(told: Daemon) -> None:
    """`last_error` and the logged errors name what failed, not what was sent."""
    with database_copy(told.folder) as database:
        rows = database.execute(
            "SELECT last_error FROM jobs UNION ALL"
            " SELECT payload FROM logs WHERE event IN ('worker.http.error', 'worker.http.failed')"
        )
        errors = [row[0] for row in rows if row[0] is not None]
    assert len(errors) >= 2
    assert not any(canary in error for canary in CANARIES.values() for error in errors)
