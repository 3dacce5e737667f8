"""`booper.testing`: what a program's own tests are given."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from booper.alert_settings import Alerts
from booper.client import Refused
from booper.config import Config, Database, Targets
from booper.errors import Conflict
from booper.model.job import Kind, State
from booper.testing import VirtualBooper
from tests.support.documents import BLOCKS

START = datetime(2030, 1, 1, 12, 0, tzinfo=UTC)
URL = "https://api.example.com/remind"
DAY = timedelta(days=1)


@pytest.fixture
def booper() -> Iterator[VirtualBooper]:
    """Run one, as the plugin's fixture does, at a moment that can be read."""
    with VirtualBooper(start=START) as running:
        yield running


def pytest_run(folder: Path, *options: str, **tests: str) -> str:
    """Run a user's test files in a folder of their own, and return what pytest prints."""
    for name, text in tests.items():
        (folder / f"test_{name}.py").write_text(text)
    others = ("-p", "no:cacheprovider", "-p", "no:schemathesis", "-p", "no:hypothesispytest")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-v", "-W", "error", *others, *options],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.stdout + done.stderr


def test_the_readmes_reminder_passes_as_it_stands(tmp_path: Path) -> None:
    """The fixture is there with nothing but booper installed, and warns of nothing."""
    good = next(text for _, text in BLOCKS if "VirtualBooper" in text)
    late = good.replace("days=3", "days=5")
    printed = pytest_run(tmp_path, good=good, late=late)
    assert re.findall(r"test_(\w+)\.py::\S+ (\w+)", printed)[:2] == [
        ("good", "PASSED"),
        ("late", "FAILED"),
    ]


def test_the_plugin_can_be_switched_off(tmp_path: Path) -> None:
    """A suite with a fixture or a plugin of this name says so."""
    printed = pytest_run(tmp_path, "-p", "no:booper", mine="def test(booper): ...")
    assert "fixture 'booper' not found" in printed


def test_the_plugin_costs_nothing_until_it_is_used() -> None:
    """Importing it imports nothing of booper's but its version."""
    code = "import booper.plugin, sys; print([m for m in sys.modules if m.startswith('booper')])"
    printed = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert printed == "['booper', 'booper.plugin']\n"


def test_time_stands_still_until_it_is_moved(booper: VirtualBooper) -> None:
    """By a duration, to a moment, to the next job; each tells what ran."""
    for days in (1, 2, 3):
        booper.client.jobs.create(url=f"https://a.test/{days}", schedule_in=days * DAY)
    assert (booper.now, booper.drain().count, booper.sent) == (START, 0, [])

    journey = booper.advance(DAY, hours=-1, minutes=30)
    assert (journey.count, booper.now) == (0, START + timedelta(hours=23, minutes=30))
    journey = booper.run_next()
    assert (journey.count, booper.now) == (1, START + DAY)
    journey = booper.advance_to(START + 7 * DAY)
    assert journey.states == {State.COMPLETED: 2}
    assert [ran.url for ran in journey.ran] == ["https://a.test/2", "https://a.test/3"]
    assert [sent.at for sent in booper.sent] == [START + n * DAY for n in (1, 2, 3)]


def test_a_year_can_pass(booper: VirtualBooper) -> None:
    """A schedule runs on each of 365 days; what was sent can be forgotten."""
    booper.client.jobs.create(url=URL, cron="0 9 * * *")
    assert booper.advance(days=365).count == len(booper.sent) == 365
    booper.forget_sent()
    booper.advance(days=1)
    assert booper.sent.one().at == datetime(2031, 1, 2, 9, 0, tzinfo=UTC)


def test_time_does_not_go_back(booper: VirtualBooper) -> None:
    """The error says what time it is; a moment without a zone is none."""
    with pytest.raises(Conflict, match="time only goes forward: it is 2030-01-01T12:00:00"):
        booper.advance(days=-1)
    with pytest.raises(ValueError, match="expected a datetime with a time zone"):
        booper.advance_to(datetime(2030, 2, 1))
    with pytest.raises(ValueError, match="expected a datetime with a time zone"):
        VirtualBooper(start=datetime(2030, 2, 1))


def test_what_was_sent_can_be_found(booper: VirtualBooper) -> None:
    """By URL with or without its query, method, header and fields of the body, and together."""
    jobs = booper.client.jobs
    jobs.create(method="post", url=URL, body={"to": "ada", "n": 1}, headers={"X-Trace": "7"})
    booper.drain()
    jobs.create(method="get", url="https://api.example.com/list", query={"page": "2"})
    booper.drain()
    sent = booper.sent

    assert [each.method for each in sent.to("https://api.example.com/*")] == ["POST", "GET"]
    assert [each.method for each in sent.to("*/list?page=2")] == ["GET"]
    assert sent.to("https://api.example.com/list").one() is sent[1]
    assert sent.to("https://api.example.com/") == []
    assert sent.to("https://api.example.com/remind.") == []
    assert sent.with_method("post").with_json(to="ada").with_header("x-trace", "7").one() is sent[0]
    assert sent.with_json(to="ada", cc=None) == []
    assert sent.with_header("X-Trace", "8") == []
    assert sent[0].json() == {"to": "ada", "n": 1}
    assert sent[0].text == '{"to":"ada","n":1}'
    assert (sent[0].job_id, sent[0].attempt, sent[0].kind) == (1, 1, Kind.REQUEST)


@pytest.mark.parametrize("url", ["https://bare.test", "https://bare.test/", "https://bare.test*"])
def test_a_url_without_a_path_is_that_with_an_empty_one(booper: VirtualBooper, url: str) -> None:
    """However it is written in the job, the response's rule and the matcher."""
    booper.respond(url, 500)
    for written in ("https://bare.test", "https://bare.test/"):
        booper.client.jobs.create(url=written, max_attempts=1)
    assert booper.drain().states == {State.DISCARDED: 2}
    assert len(booper.sent.to(url)) == 2


def test_one_says_what_there_is_instead(booper: VirtualBooper) -> None:
    """None, or each with its time, method, URL and body."""
    with pytest.raises(AssertionError, match="expected one request, got no request"):
        booper.sent.one()
    for _ in range(2):
        booper.client.jobs.create(method="post", url=URL, body={"n": 1})
    booper.drain()
    with pytest.raises(AssertionError) as failed:
        booper.sent.one()
    line = '2030-01-01 12:00:00 POST https://api.example.com/remind {"n":1}'
    assert str(failed.value) == f"expected one request, got 2 requests:\n{line}\n{line}"


def test_answers_come_in_order_and_the_last_one_again_and_again(booper: VirtualBooper) -> None:
    """The backoff of one minute puts the attempts at 0, 1, 2 and 3 minutes."""
    booper.respond(URL, 500, TimeoutError(), httpx.ConnectError("refused"), 200)
    job = booper.client.jobs.create(url=URL, backoff=[60])
    journey = booper.advance(hours=1)
    assert [(ran.status, ran.error) for ran in journey.ran] == [
        (500, None),
        (None, "timeout"),
        (None, "connect"),
        (200, None),
    ]
    assert [sent.at - START for sent in booper.sent] == [timedelta(minutes=n) for n in range(4)]
    assert booper.client.jobs.get(job.job_id).state == "completed"
    booper.client.jobs.create(url=URL)
    assert booper.drain().states == {State.COMPLETED: 1}


def test_a_later_answer_goes_over_an_earlier_one(booper: VirtualBooper) -> None:
    """And one for a method leaves the other methods to what else there is; the rest is 200."""
    booper.respond("https://api.example.com/*", 404)
    booper.respond(URL, 410, method="post")
    for method, url in (("post", URL), ("put", URL), ("post", "https://elsewhere.test/")):
        booper.client.jobs.create(method=method, url=url, max_attempts=1)  # type: ignore[arg-type]
    assert sorted(ran.status or 0 for ran in booper.drain().ran) == [200, 404, 410]


@pytest.mark.parametrize(
    ("url", "response", "told"),
    [
        ("/remind", 500, "expected a URL such as"),
        ("api.example.com/remind", 500, "expected a URL such as"),
        ("app:/remind", 500, "expected a URL such as"),
        (URL, "500", "expected a status"),
        (URL, 42, "expected a status"),
        (URL, TimeoutError, r"TimeoutError\(\)"),
    ],
)
def test_a_response_that_nothing_would_get_is_told_at_once(
    booper: VirtualBooper, url: str, response: Any, told: str
) -> None:
    """Else the test would go on with the 200 that answers what nobody has spoken of."""
    with pytest.raises(ValueError, match=told):
        booper.respond(url, response)


def test_a_whole_response_reaches_the_next_run(booper: VirtualBooper) -> None:
    """What a run stores by `$set` is in the body of the one after it."""
    booper.respond(URL, httpx.Response(200, json={"$set": {"seen": [1]}}))
    booper.client.jobs.create(
        method="post", url=URL, body={"seen": "$state.seen"}, cron="0 * * * *", metadata=False
    )
    booper.advance(hours=3)
    assert [sent.json() for sent in booper.sent] == [{"seen": None}, {"seen": [1]}, {"seen": [1]}]


def test_a_function_answers_and_may_ask_booper(booper: VirtualBooper) -> None:
    """A target that makes the next job, as programs do."""

    def first(request: httpx.Request) -> httpx.Response:
        booper.client.jobs.create(url="https://api.example.com/next", schedule_in=DAY)
        return httpx.Response(200, text=request.headers["host"])

    booper.respond(URL, first)
    job = booper.client.jobs.create(url=URL)
    booper.advance(days=2)
    assert [sent.url for sent in booper.sent] == [URL, "https://api.example.com/next"]
    (response,) = booper.client.logs.list(job_id=job.job_id, event="worker.http.response")
    assert response.payload["body"] == "api.example.com"


def test_what_a_function_raises_is_raised_in_the_test(booper: VirtualBooper) -> None:
    """Once: an assertion in it is one of the test. Failures of the network are none."""

    def wrong(request: httpx.Request) -> httpx.Response:
        raise AssertionError("not this one")

    def broken(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadError("cut")

    booper.respond(URL, wrong, broken)
    booper.client.jobs.create(url=URL, backoff=[60], max_attempts=2)
    with pytest.raises(AssertionError, match="not this one"):
        booper.drain()
    assert booper.advance(minutes=1).ran[0].error == "read"


def test_an_error_that_nobody_was_told_of_is_raised_at_the_end() -> None:
    """A test that never drains fails all the same, but for the error it fails with already."""

    def use(error: Exception | None) -> None:
        with VirtualBooper() as booper:
            booper.respond(URL, wrong)
            booper.client.jobs.create(url=URL)
            booper._running.portal.call(booper._running.booper.wait_idle)
            if error:
                raise error

    def wrong(request: httpx.Request) -> httpx.Response:
        raise AssertionError("not this one")

    with pytest.raises(AssertionError, match="not this one"):
        use(None)
    with pytest.raises(ValueError, match="the first"):
        use(ValueError("the first"))


def test_time_cannot_be_moved_by_what_answers(booper: VirtualBooper) -> None:
    """It would wait for itself."""

    def moving(request: httpx.Request) -> httpx.Response:
        booper.advance(days=1)
        return httpx.Response(200)

    booper.respond(URL, moving)
    booper.client.jobs.create(url=URL)
    with pytest.raises(RuntimeError, match="time cannot move while a request has no response"):
        booper.drain()


@pytest.mark.parametrize(
    "ask",
    [
        lambda booper: booper.client,
        lambda booper: booper.async_client,
        lambda booper: booper.url,
        lambda booper: booper.advance(days=1),
        lambda booper: booper.advance_to(START + DAY),
        lambda booper: booper.run_next(),
        lambda booper: booper.drain(),
    ],
)
def test_it_runs_in_a_with_alone(ask: Callable[[VirtualBooper], object]) -> None:
    """Before and after it, what needs it to run says so; time and what was sent can be read."""
    booper = VirtualBooper(start=START)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="with VirtualBooper"):
            ask(booper)
        assert (booper.now, booper.sent) == (START, [])
        with booper:
            pass


def test_a_program_can_call_it_over_http(booper: VirtualBooper) -> None:
    """With the key; the client sees the same jobs. The URL stays."""
    response = httpx.post(
        f"{booper.url}/api/jobs",
        json={"url": URL, "schedule_in": [3, "days"]},
        headers={"Authorization": f"Bearer {booper.key}"},
    )
    assert response.status_code == 201
    assert httpx.get(f"{booper.url}/api/jobs").status_code == 401
    (job,) = booper.client.jobs.list()
    assert job.scheduled_at == START + 3 * DAY


def test_callbacks_are_among_what_is_sent(booper: VirtualBooper) -> None:
    """They say of which kind they are, and follow the job at once."""
    booper.client.jobs.create(url=URL, callback_url="https://me.test/done", schedule_in=DAY)
    booper.advance(days=1)
    assert [(sent.kind, sent.url) for sent in booper.sent] == [
        (Kind.REQUEST, URL),
        (Kind.CALLBACK, "https://me.test/done"),
    ]


def test_jobs_for_the_program_itself_reach_it() -> None:
    """A job with an `app:` url is delivered to the app that was given, and seen on its way."""
    paths: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        paths.append(scope["path"])
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    with VirtualBooper(app=app) as booper:
        booper.client.jobs.create(method="post", url="app:/tasks/mail")
        assert booper.drain().states == {State.COMPLETED: 1}
        assert booper.sent.to("app:/tasks/*").one().method == "POST"
    assert paths == ["/tasks/mail"]


def test_a_configuration_holds_as_it_would_in_production(tmp_path: Path) -> None:
    """The targets it does not open are refused. The database is a new one all the same."""
    kept = tmp_path / "booper.db"
    with VirtualBooper(config=Config(database=Database(path=str(kept)))) as booper:
        with pytest.raises(Refused, match="https"):
            booper.client.jobs.create(url="http://api.example.com/")
        booper.client.jobs.create(url="https://api.example.com/")
        assert booper.drain().states == {State.COMPLETED: 1}
    assert not kept.exists()


def test_each_is_alone(booper: VirtualBooper) -> None:
    """Two at once have clocks, jobs and targets of their own."""
    with VirtualBooper(start=START) as other:
        other.client.jobs.create(url=URL)
        other.advance(days=1)
        assert (len(other.sent), other.now) == (1, START + DAY)
        assert (booper.client.jobs.list().data, booper.sent, booper.now) == ((), [], START)


@pytest.mark.anyio
async def test_an_async_test_awaits_the_same_calls(booper: VirtualBooper) -> None:
    """In its own loop, which goes on meanwhile."""
    job = await booper.async_client.jobs.create(url=URL)
    booper.drain()
    assert (await booper.async_client.jobs.get(job.job_id)).state == "completed"


FORWARD: list[tuple[Any, float]] = [
    (60, 60),
    (1.5, 1.5),
    ("5m", 300),
    ("2 hours", 7_200),
    ((5, "minutes"), 300),
    ([1, "hour"], 3_600),
    (timedelta(days=1), 86_400),
]


@pytest.mark.parametrize(("duration", "seconds"), FORWARD)
def test_time_passes_by_whatever_is_a_duration(
    booper: VirtualBooper, duration: Any, seconds: float
) -> None:
    """A number is seconds, as everywhere; keywords add to it."""
    began = booper.now
    booper.advance(duration)
    assert booper.now - began == timedelta(seconds=seconds)
    booper.advance(duration, minutes=1)
    assert booper.now - began == timedelta(seconds=2 * seconds + 60)


@pytest.mark.parametrize(
    "moment", ["2040-01-31T12:00:00Z", "2040-01-31T12:00", 2_211_624_000, "20400131T130000+01"]
)
def test_time_goes_to_whatever_is_a_moment(booper: VirtualBooper, moment: Any) -> None:
    """ISO 8601 text and Unix times: 25,597 days and 12 hours are 2,211,624,000 seconds."""
    booper.advance_to(moment)
    assert booper.now == datetime(2040, 1, 31, 12, tzinfo=UTC)


WRONG_WAYS: list[tuple[Callable[[VirtualBooper], object], type[Exception], str]] = [
    (lambda b: b.advance("soon"), ValueError, '"5m"'),
    (lambda b: b.advance(-1), ValueError, "must not be negative, got -1"),
    (lambda b: b.advance(float("nan")), ValueError, "at most a century"),
    (lambda b: b.advance(timedelta.max), ValueError, "at most a century"),
    (lambda b: b.advance(days=10**9), ValueError, "days: must be at most a century"),
    (lambda b: b.advance(seconds="60"), TypeError, "seconds: expected a number, got '60'"),  # type: ignore[arg-type]
    (lambda b: b.advance(None), TypeError, "expected timedelta(minutes=5), seconds"),  # type: ignore[arg-type]
    (lambda b: b.advance(True), TypeError, "got True"),
    (lambda b: b.advance((5,)), TypeError, "got (5,)"),  # type: ignore[arg-type]
    (lambda b: b.advance(datetime(2040, 1, 1)), TypeError, "use advance_to"),  # type: ignore[arg-type]
    (lambda b: b.advance_to("2020-01-01"), Conflict, "time only goes forward"),
    (lambda b: b.advance_to("20400131"), ValueError, "could be 2040-01-31T00:00:00Z or"),
    (lambda b: b.advance_to("tomorrow"), ValueError, "expected an ISO 8601 time"),
    (lambda b: b.advance_to(timedelta(1)), TypeError, "use advance"),  # type: ignore[arg-type]
    (lambda b: b.advance_to(None), TypeError, "got None"),  # type: ignore[arg-type]
    (lambda b: b.advance_to("9000-01-01"), ValueError, "within a century"),
    (lambda b: VirtualBooper(start="20400131"), ValueError, "start: '20400131' could be"),
    (lambda b: VirtualBooper(start=timedelta(1)), TypeError, "start: expected"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("way", "kind", "told"), WRONG_WAYS)
def test_what_is_no_time_is_told_in_plain_words(
    booper: VirtualBooper,
    way: Callable[[VirtualBooper], object],
    kind: type[Exception],
    told: str,
) -> None:
    """The error says what is expected and what came; time stays where it was."""
    began = booper.now
    with pytest.raises(kind, match=re.escape(told)):
        way(booper)
    assert booper.now == began


@pytest.mark.parametrize("url", ["", "https://alerts.test/hook"])
def test_what_would_be_an_alert_is_looked_for_where_somebody_hears_of_it(url: str) -> None:
    """What happens in a test is nobody's alarm, and each look would take as long as a run."""
    targets = Targets(require_https=False, allow_private_networks=True)
    with VirtualBooper(start=START, config=Config(targets=targets, alerts=Alerts(url=url))) as it:
        it.advance(minutes=1)
        with httpx.Client(base_url=it.url, headers={"Authorization": f"Bearer {it.key}"}) as client:
            looks = (client.get("/api/status").json()["data"]["alerts"] for _ in range(100))
            has_looked = any(alerts["looked_at"] is not None for alerts in looks)
    assert has_looked == bool(url)
