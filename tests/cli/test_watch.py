"""`booper jobs watch` and `booper logs tail`: what they show of what changes, and how they end."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import httpx
import pytest

from booper.cli.output import Output
from booper.cli.watch import Tail, UntilChange, tail, watch, watch_status
from booper.client import Client, LogEntry, Unreachable
from booper.testing import VirtualBooper
from tests.support.processes import DEADLINE_SECONDS, allow_local_targets, run, serving, until

START = datetime(2030, 1, 1, 12, 0, tzinfo=UTC)


class Over(Exception):
    """Ends what goes on for ever."""


@pytest.fixture
def booper() -> Iterator[VirtualBooper]:
    """Run a booper whose time is the test's."""
    with VirtualBooper(start=START) as running:
        yield running


def entry(number: int, seconds: float = 0.0) -> LogEntry:
    """Return an entry written so long after the start."""
    return LogEntry(
        id=UUID(int=number),
        event="worker.http.request",
        inserted_at=START + timedelta(seconds=seconds),
        job_id=number,
        payload={},
        user_id=UUID(int=0),
    )


def numbers(entries: list[LogEntry]) -> list[int]:
    """Return which entries these are."""
    return [each.id.int for each in entries]


def test_a_watched_job_is_shown_at_each_change(
    booper: VirtualBooper, capsys: pytest.CaptureFixture[str]
) -> None:
    """Once at first, then only when something of it has changed; a completed one is a success."""
    booper.respond("https://a.test/", 500, 200)
    job = booper.client.jobs.create(url="https://a.test/", schedule_in=60, backoff=[60])
    waits = iter([59, 60, 60])

    def pause(_: float) -> None:
        booper.advance(seconds=next(waits))

    assert watch(Output(booper.client, True), str(job.job_id), 1, pause)

    shown = [json.loads(line)["job"] for line in capsys.readouterr().out.splitlines()]
    assert [(each["state"], each["attempt"]) for each in shown] == [
        ("scheduled", 0),
        ("retryable", 1),
        ("completed", 2),
    ]


def test_a_job_that_comes_to_nothing_is_no_success(booper: VirtualBooper) -> None:
    """Cancelled before it was watched, or discarded while it was."""
    cancelled = booper.client.jobs.create(url="https://a.test/", schedule_in=60)
    booper.client.jobs.cancel(cancelled.id)
    booper.respond("https://a.test/", 410)
    discarded = booper.client.jobs.create(url="https://a.test/", schedule_in=60)
    for job in (cancelled, discarded):
        out = Output(booper.client, False)
        assert not watch(out, str(job.job_id), 1, lambda _: booper.advance(minutes=1))


def test_a_watched_status_is_shown_again_and_again(
    booper: VirtualBooper, capsys: pytest.CaptureFixture[str]
) -> None:
    """As it is then, here with a job more each time."""
    created = iter([1, 2])

    def pause(_: float) -> None:
        if next(created, None) is None:
            raise Over
        booper.client.jobs.create(url="https://a.test/", schedule_in=60)

    with pytest.raises(Over):
        watch_status(Output(booper.client, True), pause)

    shown = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [each["jobs"]["scheduled"] for each in shown] == [0, 1, 2]
    assert {each["status"] for each in shown} == {"ready"}


def test_each_entry_is_shown_once_and_in_its_order() -> None:
    """The list is read from its newest end, as far back as something new may lie."""
    following = Tail()
    assert numbers(following.fresh([entry(2, 1), entry(1)])) == [1, 2]
    assert numbers(following.fresh([entry(4, 3), entry(3, 2), entry(2, 1), entry(1)])) == [3, 4]
    assert following.fresh([entry(4, 3)]) == []


def test_an_attempt_that_took_long_is_shown_whole() -> None:
    """Its request is of a time long before others that were shown, and listed beside its end."""
    following = Tail()
    following.fresh([entry(1, 60)])
    list_now = [entry(4, 62), entry(3, 61), entry(2, 1), entry(1, 60)]
    assert numbers(following.fresh(list_now)) == [2, 3, 4]


def test_what_was_seen_is_known_also_where_the_newest_was_deleted() -> None:
    """By one of those before it."""
    following = Tail()
    following.fresh([entry(3), entry(2), entry(1)])
    assert following.fresh([entry(1)]) == []
    assert numbers(following.fresh([entry(4), entry(1)])) == [4]


def test_no_more_is_read_than_is_needed() -> None:
    """The whole past of a million entries is not fetched again every second."""
    read: list[int] = []

    def past() -> Iterator[LogEntry]:
        for number in range(100, 0, -1):
            read.append(number)
            yield entry(number, number)

    following = Tail()
    following.fresh([entry(99, 99), entry(98, 98), entry(97, 97)])
    assert numbers(following.fresh(past())) == [100]
    assert read == [100, 99]


def test_what_was_there_before_a_full_first_page_is_not_new() -> None:
    """The first page holds a hundred of one second; the hundred before them stay unseen."""
    entries = [entry(number, number / 1_000) for number in range(200, 0, -1)]
    following = Tail()
    assert numbers(following.fresh(entries[:100])) == [*range(101, 201)]
    assert following.fresh(entries) == []


def test_entries_are_shown_as_they_come(
    booper: VirtualBooper, capsys: pytest.CaptureFixture[str]
) -> None:
    """First as many of the past as were asked for, then each new one."""
    send(booper, "one")

    pause = in_turn(lambda: send(booper, "two"), lambda: None)
    with pytest.raises(Over):
        tail(Output(booper.client, False), None, None, 1, 1.0, pause)
    first, *lines = capsys.readouterr().out.splitlines()
    assert first == "2030-01-01 12:00:00Z  job 1  worker.http.response 200"
    assert sorted(line.partition("worker.")[2] for line in lines) == [
        "http.request https://a.test/two",
        "http.response 200",
    ]


def test_a_restart_of_booper_is_told_once_and_outlasted(
    booper: VirtualBooper, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was written meanwhile comes when it answers again."""
    send(booper, "one")
    iterate = booper.client.logs.iterate

    def unreachable(**_: object) -> Iterator[LogEntry]:
        raise Unreachable("GET /api/logs", "http://booper.test", "refused", may_have_happened=False)

    def away() -> None:
        monkeypatch.setattr(type(booper.client.logs), "iterate", staticmethod(unreachable))

    def back() -> None:
        monkeypatch.setattr(type(booper.client.logs), "iterate", staticmethod(iterate))
        send(booper, "two")

    pause = in_turn(away, lambda: None, back)
    with pytest.raises(Over):
        tail(Output(booper.client, False), None, None, 0, 1.0, pause)
    printed = capsys.readouterr()
    assert printed.err.count("polling until it responds") == 1
    assert printed.out.count("https://a.test/two") == 1
    assert "https://a.test/one" not in printed.out


class Unhelpful(httpx.BaseTransport):
    """A booper that says nothing of what changes."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Refuse whatever is asked."""
        return httpx.Response(404, json={"title": "Not found", "detail": "/api/events"})


def test_a_booper_that_does_not_say_what_changes_is_polled() -> None:
    """As an older one, each time after the pause."""
    waited = list[float]()
    with Client("http://booper.test", transport=Unhelpful()) as client:
        wait = UntilChange(client, 7, waited.append)
        wait(1.0)
        wait(2.0)
    assert waited == [1.0, 2.0]


def send(booper: VirtualBooper, path: str) -> None:
    """Send a job."""
    booper.client.jobs.create(url=f"https://a.test/{path}")
    booper.drain()


def in_turn(*steps: Callable[[], None]) -> Callable[[float], None]:
    """Return a pause in which these happen, one at a time; after them it raises `Over`."""
    remaining = iter(steps)

    def pause(_: float) -> None:
        step = next(remaining, None)
        if step is None:
            raise Over
        step()

    return pause


def test_the_commands_follow_a_real_booper(tmp_path: Path) -> None:
    """Without a poll: it says what changes. Ctrl-C ends the tail; the watch ends by itself."""
    allow_local_targets(tmp_path)
    with serving(tmp_path) as daemon, Client(daemon.url, daemon.key) as client:
        assert daemon.key is not None
        environment = {"BOOPER_URL": daemon.url, "BOOPER_API_KEY": daemon.key}
        command = [sys.executable, "-m", "booper", "logs", "tail", "--every", "1h", "--json"]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, text=True
        ) as following:
            number = client.jobs.create(url=f"{daemon.url}/api/ping").job_id
            watched = run(
                tmp_path, "jobs", "watch", str(number), "--every", "1h", environment=environment
            )
            assert (watched.returncode, watched.stderr) == (0, "")
            assert f"job {number}: completed" in watched.stdout
            assert following.stdout is not None
            events = [json.loads(following.stdout.readline())["event"] for _ in range(2)]
            assert events == ["worker.http.request", "worker.http.response"]
            following.send_signal(signal.SIGINT)
            until(lambda: following.poll() is not None, "the tail ended")
            assert following.stderr is not None
            assert (following.returncode, following.stderr.read()) == (0, "")
        refused = run(tmp_path, "jobs", "watch", "99", environment=environment)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert "404 Not found" in refused.stderr


def test_a_watch_that_is_broken_off_says_nothing_of_the_job(tmp_path: Path) -> None:
    """1 would mean that the job was discarded or cancelled."""
    with serving(tmp_path) as daemon, Client(daemon.url, daemon.key) as client:
        assert daemon.key is not None
        number = client.jobs.create(url="https://a.test/", schedule_in="1 day").job_id
        environment = {"BOOPER_URL": daemon.url, "BOOPER_API_KEY": daemon.key}
        with subprocess.Popen(
            [sys.executable, "-m", "booper", "jobs", "watch", str(number), "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            text=True,
        ) as watching:
            assert watching.stdout is not None
            assert json.loads(watching.stdout.readline())["job_id"] == number
            watching.send_signal(signal.SIGINT)
            assert watching.communicate(timeout=DEADLINE_SECONDS) == ("", "")
            assert watching.returncode == 130
