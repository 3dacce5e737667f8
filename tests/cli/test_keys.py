"""`booper keys`, with a daemon that serves the database and without one."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import Daemon, bearer, run, serving

KEY = re.compile(r"^ +(sk_\S+)$", re.MULTILINE)


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Run a daemon whose keys are managed while it serves."""
    with serving(tmp_path_factory.mktemp("keys")) as running:
        yield running


def create(folder: Path, *arguments: str) -> str:
    """Make a key by the command and return it."""
    done = run(folder, "keys", "create", *arguments)
    assert done.returncode == 0, done.stderr
    (key,) = KEY.findall(done.stdout)
    return str(key)


def listed(folder: Path) -> dict[str, list[str]]:
    """Return what `booper keys list` shows: id, user, time and revocation by the key's name."""
    done = run(folder, "keys", "list")
    assert done.returncode == 0, done.stderr
    assert "sk_" not in done.stdout
    rows = [line.split() for line in done.stdout.splitlines()[1:]]
    return {row[1]: [row[0], *row[2:]] for row in rows}


def revoke(folder: Path, key: str) -> None:
    """Revoke a key by the command."""
    done = run(folder, "keys", "revoke", key)
    assert done.returncode == 0, done.stderr


def status(daemon: Daemon, key: str) -> int:
    """Return what a key gets for a list of its jobs."""
    return daemon.api.get("/api/jobs", headers=bearer(key)).status_code


def test_a_key_made_while_booper_serves_works_at_once(daemon: Daemon) -> None:
    """A key of the first user, made beside the daemon, sees what the first key sees."""
    number = daemon.post(f"{daemon.url}/api/echo", schedule_in=3600)
    key = create(daemon.folder, "second")
    response = daemon.api.get(f"/api/jobs/{number}", headers=bearer(key))
    assert response.status_code == 200


def test_more_keys_than_a_page_has_are_all_listed(daemon: Daemon) -> None:
    """A page has 100 at most; the command shows every key, the oldest first."""
    for number in range(101):
        daemon.api.post("/api/keys", json={"name": f"many-{number}"})
    names = [name for name in listed(daemon.folder) if name.startswith("many-")]
    assert names == [f"many-{number}" for number in range(101)]


def test_a_revoked_key_is_refused_at_once(daemon: Daemon) -> None:
    """The running daemon answers 401 to a key from the moment the command returns."""
    key = create(daemon.folder, "leaked", "--user", "carol")
    assert status(daemon, key) == 200
    revoke(daemon.folder, "leaked")
    assert status(daemon, key) == 401
    assert status(daemon, str(daemon.key)) == 200
    keys = listed(daemon.folder)
    # id, user, time, revocation
    assert (keys["leaked"][1], keys["leaked"][-1] == "-") == ("carol", False)
    assert (keys["first"][1], keys["first"][-1] == "-") == ("default", True)


def test_users_do_not_see_each_others_jobs(daemon: Daemon) -> None:
    """Another user's job is not there: not in a list, not by its number, not to be cancelled."""
    number = daemon.post(f"{daemon.url}/api/echo", schedule_in=3600)
    bob = bearer(create(daemon.folder, "laptop", "--user", "bob"))
    assert daemon.api.get("/api/jobs", headers=bob).json() == {"data": []}
    assert daemon.api.get(f"/api/jobs/{number}", headers=bob).status_code == 404
    assert daemon.api.post(f"/api/jobs/{number}/cancel", headers=bob).status_code == 404
    body = {"url": f"{daemon.url}/api/echo", "schedule_in": 3600}
    bobs = daemon.api.post("/api/jobs", headers=bob, json=body).json()["data"]["job_id"]
    assert daemon.api.get(f"/api/jobs/{bobs}").status_code == 404
    assert daemon.job(number)["state"] == "scheduled"


def test_no_key_stands_in_a_file(daemon: Daemon) -> None:
    """Only digests are stored: the one file that holds a key is the first key's own."""
    keys = [str(daemon.key), create(daemon.folder, "looked-for")]
    assert [status(daemon, key) for key in keys] == [200, 200]
    files = [path for path in daemon.folder.glob("booper.db*") if path.is_file()]
    files.remove(daemon.folder / "booper.db.first-key")
    assert {"booper.db", "booper.db-wal"} <= {path.name for path in files}
    for path in files:
        content = path.read_bytes()
        assert not any(key.encode() in content for key in keys), path


@pytest.mark.parametrize(
    ("arguments", "wrong"),
    [
        (("",), "NAME"),
        (("x" * 101,), "NAME"),
        (("a\nb",), "NAME"),
        (("a", "--user", " "), "--user"),
    ],
)
def test_what_cannot_be_a_name_is_told_by_its_place_on_the_command_line(
    tmp_path: Path, arguments: tuple[str, ...], wrong: str
) -> None:
    """A key and a user have 1 to 100 printable characters; 2 means a wrong command line."""
    done = run(tmp_path, "keys", "create", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    told = f"Invalid value for '{wrong}': must have 1 to 100 printable characters"
    assert told in done.stderr
    assert not (tmp_path / "booper.db").exists()


def test_an_unknown_key_is_named(daemon: Daemon) -> None:
    """Revoking what is not there is one line that says so, and exit code 1."""
    done = run(daemon.folder, "keys", "revoke", "nonesuch")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("booper: ")
    assert done.stderr.count("\n") == 1
    assert "'nonesuch'" in done.stderr


def test_two_keys_of_one_name_are_told_apart_by_id(daemon: Daemon) -> None:
    """Revoking by a name that two keys have is refused; by id, that very key is revoked."""
    keys = [create(daemon.folder, "twin") for _ in range(2)]
    refused = run(daemon.folder, "keys", "revoke", "twin")
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    # Keys are listed in order of creation: the later twin is the one that a dict keeps.
    revoke(daemon.folder, listed(daemon.folder)["twin"][0])
    assert [status(daemon, key) for key in keys] == [200, 401]


def test_programs_read_json(daemon: Daemon) -> None:
    """What was made, a list of all, and what was revoked; the key itself is in the first alone."""
    made, listed, revoked = (
        json.loads(run(daemon.folder, "keys", *command, "--json").stdout)
        for command in (("create", "ci", "--scope", "read"), ("list",), ("revoke", "ci"))
    )
    assert status(daemon, made["key"]) == 401  # revoked by now
    assert [key["scope"] for key in listed if key["id"] == made["id"]] == ["read"]
    assert (revoked["id"], revoked["revoked_at"] is None) == (made["id"], False)
    assert made["key"] not in json.dumps([listed, revoked])


def test_keys_are_managed_while_nothing_serves(tmp_path: Path) -> None:
    """The commands work on the file itself, even one they make, and the next daemon obeys."""
    good, bad = create(tmp_path, "good"), create(tmp_path, "bad")
    revoke(tmp_path, "bad")
    assert list(listed(tmp_path)) == ["good", "bad"]
    with serving(tmp_path, key=good) as daemon:
        assert daemon.first_key is None
        assert (status(daemon, good), status(daemon, bad)) == (200, 401)
        daemon.kill()
    # The socket of a daemon that was killed still lies there; nobody answers on it.
    assert (tmp_path / "booper.db.sock").is_socket()
    revoke(tmp_path, "good")
    assert listed(tmp_path)["good"][-1] != "-"


def test_files_made_by_the_keys_command_are_nobody_elses_to_read(tmp_path: Path) -> None:
    """A database that `booper keys` makes is as private as one that `booper serve` makes."""
    create(tmp_path, "first")
    for path in tmp_path.glob("booper.db*"):
        assert oct(path.stat().st_mode & 0o777) == oct(0o600), path.name
