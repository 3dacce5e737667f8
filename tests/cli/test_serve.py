"""`booper serve` and `booper check` as processes: first words, settings, refusals, stops."""

import json
import shlex
import shutil
import signal
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import httpx
import pytest

from tests.support.processes import (
    DEADLINE_SECONDS,
    Daemon,
    LocalTarget,
    allow_local_targets,
    bearer,
    database_copy,
    listening_target,
    monotonic,
    run,
    serving,
    until,
)

KEY = "sk_an_operators_own_key"
OTHER_KEY = "sk_an_operators_next_key"

# Well under the default grace of 10 s, well over what an exit costs on a busy machine.
PROMPT_SECONDS = 3.0


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Run a daemon for the first time in its folder, with nothing configured."""
    with serving(tmp_path_factory.mktemp("first")) as daemon:
        yield daemon


@pytest.fixture
def target() -> Iterator[LocalTarget]:
    """Run a target on this machine."""
    with listening_target() as running:
        yield running


def printed_commands(daemon: Daemon) -> list[str]:
    """Return the commands a first start has printed, each in one line."""
    text = daemon.output.replace("\\\n", " ").replace("$BOOPER_API_KEY", daemon.key or "")
    return [line.strip() for line in text.splitlines() if line.strip().startswith("curl ")]


def curl(command: str) -> Any:
    """Run a curl command as a reader of it would, and return the JSON it prints."""
    if shutil.which("curl") is None:
        return sent_like_curl(command).json()
    done = subprocess.run(
        ["sh", "-c", command], capture_output=True, timeout=DEADLINE_SECONDS, check=True
    )
    return json.loads(done.stdout)


def sent_like_curl(command: str) -> httpx.Response:
    """Send what a curl command of the greeting would, where there is no curl."""
    words = iter(shlex.split(command)[1:])
    method, url, headers, content = "GET", "", {}, None
    for word in words:
        match word:
            case "-X":
                method = next(words)
            case "-H":
                name, _, value = next(words).partition(": ")
                headers[name] = value
            case "-d":
                content = next(words)
            case _:
                url = word
    return httpx.request(method, url, headers=headers, content=content, trust_env=False)


def assert_refused(done: CompletedProcess[str], code: int, *words: str) -> None:
    """Check that a command ended with one line that a person understands, and this exit code."""
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith("booper: ")
    assert done.stderr.count("\n") == 1, done.stderr
    for word in words:
        assert word in done.stderr


def test_the_printed_commands_work_as_they_stand(first: Daemon) -> None:
    """The commands of the greeting post a job to booper itself and show that it completed."""
    post, get_job, get_logs = printed_commands(first)
    assert '[5, "seconds"]' in post
    created = curl(post.replace('[5, "seconds"]', '[0.1, "seconds"]'))["data"]
    until(lambda: curl(get_job)["data"]["job"]["state"] == "completed", "the job completed")
    entries = curl(get_logs)["data"]
    assert [entry["event"] for entry in entries] == ["worker.http.response", "worker.http.request"]
    assert {entry["job_id"] for entry in entries} == {created["job_id"]}
    assert entries[0]["payload"]["status"] == 200
    assert entries[0]["payload"]["body"] == {"content": "Hello"}


def test_the_log_tells_attempts_and_no_secrets(first: Daemon) -> None:
    """Standard error has a line for each attempt; the key and the bodies stay out of it."""
    number = first.post(f"{first.url}/api/echo", method="post", body={"content": "a secret"})
    until(lambda: f"job {number} attempt 1: responded 200" in first.log, "the attempt is logged")
    assert "a secret" not in first.log
    assert str(first.key) not in first.log


def test_its_files_are_nobody_elses_to_read(first: Daemon) -> None:
    """The database, its log, the lock and the socket can be opened by their owner alone."""
    files = {path.name: path.stat().st_mode for path in first.folder.glob("booper.db*")}
    assert {"booper.db", "booper.db-wal", "booper.db.lock", "booper.db.sock"} <= set(files)
    assert {name: oct(stat.S_IMODE(mode)) for name, mode in files.items()} == dict.fromkeys(
        files, oct(0o600)
    )
    assert stat.S_ISSOCK(files["booper.db.sock"])


def test_a_database_is_served_once(first: Daemon) -> None:
    """A second daemon on the same database is refused in one line, which names the first."""
    done = run(first.folder, "serve", "--port", "0")
    assert_refused(done, 1, "booper.db", str(first.process.pid))


def test_a_refused_daemon_leaves_the_running_one_its_socket(first: Daemon) -> None:
    """After a second daemon was refused, the first can still be administrated."""
    assert run(first.folder, "serve", "--port", "0").returncode == 1
    listed = run(first.folder, "keys", "list")
    assert listed.returncode == 0, listed.stderr


def test_a_taken_port_is_named(first: Daemon, tmp_path: Path) -> None:
    """A daemon whose port is taken ends with one line: the address, and how to choose another."""
    port = str(first.api.base_url.port)
    done = run(tmp_path, "serve", "--port", port)
    assert_refused(done, 1, f"127.0.0.1:{port}: something listens there already", "--port")


def test_an_address_of_another_machine_is_named(tmp_path: Path) -> None:
    """192.0.2.1 is nobody's (RFC 5737 §3)."""
    done = run(tmp_path, "serve", "--host", "192.0.2.1", "--port", "0")
    assert_refused(done, 1, "192.0.2.1:0: this machine has no such address", "--host")


def test_a_second_start_makes_no_key_and_the_first_key_still_works(tmp_path: Path) -> None:
    """There is one first key; what it opens is there again after the next start."""
    with serving(tmp_path) as daemon:
        key = daemon.key
        number = daemon.post(f"{daemon.url}/api/echo", method="post", schedule_in=3600)
        asked_at = monotonic()
        assert daemon.stop() == 0
        assert monotonic() - asked_at < PROMPT_SECONDS
    with serving(tmp_path, key=key) as daemon:
        assert daemon.first_key == key
        assert "curl" not in daemon.output
        assert daemon.job(number)["state"] == "scheduled"
        daemon.tell(signal.SIGINT)
        assert daemon.wait_exit() == 0


def test_options_win_over_the_file_that_the_environment_names(tmp_path: Path) -> None:
    """`BOOPER_CONFIG` names the file; `--host`, `--port` and `--database` win over it."""
    config = tmp_path / "other.toml"
    # Nothing can listen on 192.0.2.1: the range is for documentation only (RFC 5737).
    config.write_text(
        '[server]\nhost = "192.0.2.1"\nport = 1\nmax_body_bytes = 1024\n'
        '[database]\npath = "from_the_file.db"\n',
        encoding="utf-8",
    )
    with serving(
        tmp_path,
        *("--host", "127.0.0.2", "--database", "from_the_option.db"),
        environment={"BOOPER_CONFIG": str(config)},
    ) as daemon:
        assert daemon.api.base_url.host == "127.0.0.2"
        assert (tmp_path / "from_the_option.db").exists()
        assert not (tmp_path / "from_the_file.db").exists()
        # What no option touches still holds: a body of over 1,024 bytes is refused.
        assert daemon.api.post("/api/echo", json="x" * 1024).status_code == 413


def test_the_file_alone_says_where_to_listen(first: Daemon, tmp_path: Path) -> None:
    """Without options the file's host and port count: here they are taken, which is said."""
    host, port = "127.0.0.1", first.api.base_url.port
    config = tmp_path / "booper.toml"
    config.write_text(f'[server]\nhost = "{host}"\nport = {port}\n', encoding="utf-8")
    assert_refused(run(tmp_path, "serve", "--config", "booper.toml"), 1, f"{host}:{port}")


def test_an_operators_key_works_until_it_is_replaced(tmp_path: Path) -> None:
    """`BOOPER_API_KEY` is a key that works and is never printed; the next one replaces it."""
    with serving(tmp_path, key=KEY, environment={"BOOPER_API_KEY": KEY}) as daemon:
        assert daemon.first_key is None
        number = daemon.post(f"{daemon.url}/api/echo", schedule_in=3600)
        assert KEY not in daemon.output + daemon.log
        daemon.kill()
    with serving(tmp_path, key=OTHER_KEY, environment={"BOOPER_API_KEY": OTHER_KEY}) as daemon:
        assert daemon.job(number)["state"] == "scheduled"
        refused = daemon.api.get("/api/jobs", headers=bearer(KEY))
        assert refused.status_code == 401


@pytest.mark.parametrize("key", ["long_enough_but_without_the_prefix", "sk_0123456789abcdef\n"])
def test_a_key_that_cannot_serve_is_refused(tmp_path: Path, key: str) -> None:
    """A bad `BOOPER_API_KEY` ends the start with one line; it does not repeat the key.

    No header carries a line break (RFC 9110 §5.5): every client's key would be another one.
    """
    done = run(tmp_path, "serve", "--port", "0", environment={"BOOPER_API_KEY": key})
    assert_refused(done, 2, "'sk_'")
    assert key.strip() not in done.stderr


def test_a_public_address_without_a_key_is_refused(tmp_path: Path) -> None:
    """Nothing answers strangers before somebody has made a key; `booper keys create` makes one."""
    done = run(tmp_path, "serve", "--host", "0.0.0.0", "--port", "0")
    assert_refused(done, 1, "0.0.0.0", "BOOPER_API_KEY", "booper keys create")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[server]\nprot = 1\n", ("[server]", "'prot'", "'port'")),
        ("[serve]\nport = 1\n", ("[serve]", "'server'")),
        ("[server]\nport = 65536\n", ("port", "65535", "65536")),
        ("[targets]\nallow = ['10.0.0.0/33']\n", ("allow", "10.0.0.0/33")),
        ("port = \n", ("TOML",)),
    ],
)
def test_a_wrong_configuration_is_one_line(
    tmp_path: Path, text: str, words: tuple[str, ...]
) -> None:
    """`booper check` says in one line what is wrong in the file, and exits with 2."""
    (tmp_path / "booper.toml").write_text(text, encoding="utf-8")
    assert_refused(run(tmp_path, "check", "--config", "booper.toml"), 2, "booper.toml", *words)


def test_serving_with_a_wrong_configuration_says_what_check_says(tmp_path: Path) -> None:
    """`booper serve` refuses what `booper check` refuses, by the same line, and makes no file."""
    (tmp_path / "booper.toml").write_text("[server]\nprot = 1\n", encoding="utf-8")
    served = run(tmp_path, "serve", "--config", "booper.toml")
    checked = run(tmp_path, "check", "--config", "booper.toml")
    assert_refused(served, 2, "'prot'")
    assert served.stderr == checked.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["booper.toml"]


def test_check_passes_a_good_configuration(tmp_path: Path) -> None:
    """`booper check` exits with 0 when the file is fine, whoever names the file."""
    allow_local_targets(tmp_path)
    for options, environment in (
        (["--config", "booper.toml"], {}),
        ([], {"BOOPER_CONFIG": "booper.toml"}),
        (["--config", "booper.toml"], {"BOOPER_CONFIG": "is_not_there.toml"}),
    ):
        done = run(tmp_path, "check", *options, environment=environment)
        assert (done.returncode, done.stderr) == (0, "")
        assert "booper.toml" in done.stdout


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """A configuration that cannot be read is one line and exit code 2."""
    assert_refused(run(tmp_path, "check", "--config", "nowhere.toml"), 2, "nowhere.toml")


def states(folder: Path) -> list[tuple[str, int]]:
    """Return the state and the attempt of every job in a folder's database, in order."""
    with database_copy(folder) as connection:
        return connection.execute("SELECT state, attempt FROM jobs ORDER BY id").fetchall()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_waits_for_what_runs_and_keeps_the_rest(
    tmp_path: Path, target: LocalTarget, number: signal.Signals
) -> None:
    """An attempt that ends within the grace counts; one that does not is made again, as attempt 1.

    "The rest is returned with the attempt not counted" (the architecture's rule 5).
    """
    allow_local_targets(tmp_path, "[delivery]\ngrace_seconds = 0.5\n")
    target.hold()
    with serving(tmp_path) as daemon:
        key = daemon.key
        daemon.post(f"{target.url}/ends-in-time")
        daemon.post(f"{target.url}/hangs", method="post", body={"kept": True})
        until(lambda: len(target.held) == 2, "both requests arrived")
        daemon.tell(number)
        daemon.wait_stopping()
        target.release("/ends-in-time")
        assert daemon.wait_exit() == 0
    assert states(tmp_path) == [("completed", 1), ("scheduled", 0)]
    target.release()
    with serving(tmp_path, key=key) as daemon:
        until(lambda: daemon.job(2)["state"] == "completed", "the job that hung completed")
        assert daemon.job(2)["attempt"] == 1
    assert sorted(target.paths()) == ["/ends-in-time", "/hangs", "/hangs"]
    again = target.received[-1]
    assert (again.path, again.headers["booper-attempt"]) == ("/hangs", "1")
    assert (again.method, json.loads(again.body)) == ("POST", {"kept": True})


def test_a_stop_does_not_use_up_its_grace(tmp_path: Path, target: LocalTarget) -> None:
    """When the last running attempt has ended, booper ends, with most of its grace left."""
    allow_local_targets(tmp_path)
    target.hold()
    with serving(tmp_path) as daemon:
        daemon.post(target.url)
        until(lambda: target.held, "the request arrived")
        daemon.tell(signal.SIGTERM)
        daemon.wait_stopping()
        released_at = monotonic()
        target.release()
        assert daemon.wait_exit() == 0
        assert monotonic() - released_at < PROMPT_SECONDS
    assert states(tmp_path) == [("completed", 1)]


def test_a_second_signal_stops_at_once(tmp_path: Path, target: LocalTarget) -> None:
    """A second signal ends the process like a crash, with 130; what ran is rescued at a start."""
    allow_local_targets(tmp_path)
    target.hold()
    with serving(tmp_path) as daemon:
        daemon.post(target.url)
        until(lambda: target.held, "the request arrived")
        daemon.tell(signal.SIGTERM)
        daemon.wait_stopping()
        asked_at = monotonic()
        daemon.tell(signal.SIGINT)
        assert daemon.wait_exit() == 130
        assert monotonic() - asked_at < PROMPT_SECONDS
    assert states(tmp_path) == [("executing", 1)]
