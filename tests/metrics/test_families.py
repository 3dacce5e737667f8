"""What the metrics show of the loop and the store, and that each is described and used rightly."""

import json
import re
from datetime import timedelta

import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from booper.app import Booper
from booper.cli import main
from booper.clock import VirtualClock
from booper.config import Config, Delivery, Metrics
from booper.metrics.families import MAX_ORIGINS
from tests.conftest import KEY, START
from tests.support.api import Api
from tests.support.documents import DOCS, ROOT
from tests.support.scrape import HEADERS, Scrape, families, scraped
from tests.support.target import FakeTarget

pytestmark = pytest.mark.anyio

RULES = (ROOT / "booper" / "metrics" / "rules.yml").read_text(encoding="utf-8")
DASHBOARD = json.loads((ROOT / "booper" / "metrics" / "grafana.json").read_text(encoding="utf-8"))

# What Prometheus adds to all that it scrapes.
ADDED = {"instance", "job"}


@pytest.fixture
def config(config: Config) -> Config:
    """Return settings with 30 slots, two for each origin, and a schedule that metrics name."""
    return replace(
        config,
        delivery=Delivery(concurrency=30, per_host=2),
        metrics=Metrics(schedules=("nightly",)),
    )


async def filled(booper: Booper, api: Api, clock: VirtualClock, target: FakeTarget) -> None:
    """Make 3 jobs of an origin and 1 of each of 24 others due; 26 of these 27 are in flight."""
    target.hold()
    at = (START + timedelta(seconds=1)).isoformat()
    for number, count in [(0, 3), *((number, 1) for number in range(1, 25))]:
        for _ in range(count):
            await api.create(url=f"https://t{number}.test/", scheduled_at=at)
    clock.set(START + timedelta(seconds=3))
    while len(target.received) < 26:
        target.arrived.clear()
        await target.arrived.wait()


async def test_the_busiest_origins_are_named_and_the_rest_is_added_up(
    booper: Booper, api: Api, clock: VirtualClock, target: FakeTarget
) -> None:
    """So that a million origins are 21 series."""
    await filled(booper, api, clock, target)
    scrape = await scraped(api)
    in_flight = scrape.by("booper_in_flight", "origin")
    assert len(in_flight) == MAX_ORIGINS + 1
    assert in_flight["https://t0.test",] == 2
    assert in_flight["other",] == 26 - 2 - 19
    assert scrape.value("booper_slots") == 30
    target.release()


async def test_a_job_that_waits_for_a_slot_of_its_origin_is_overdue_and_not_ready(
    booper: Booper, api: Api, clock: VirtualClock, target: FakeTarget
) -> None:
    """It was due at second 1, and it is second 3; it is not booper that keeps it."""
    await filled(booper, api, clock, target)
    scrape = await scraped(api)
    assert scrape.value("booper_overdue_jobs") == 1
    assert scrape.value("booper_oldest_due_seconds") == 2
    assert scrape.value("booper_oldest_ready_seconds") == 0
    target.release()


async def test_pauses_and_breakers_are_shown(
    booper: Booper, api: Api, admin: Api, clock: VirtualClock, target: FakeTarget
) -> None:
    """After 20 failures in a row an origin is only probed."""
    for _ in range(20):
        target.respond(ConnectionRefusedError("down"))
        await api.create(url="https://down.test/", max_attempts=1)
        await booper.wait_idle()
    await admin.act("/api/pause", {"host": "a.test"})
    scrape = await scraped(api)
    assert scrape.by("booper_breaker_open", "origin") == {("https://down.test",): 1}
    assert (scrape.value("booper_paused_origins"), scrape.value("booper_paused")) == (1, 0)
    await admin.act("/api/pause")
    scrape = await scraped(api)
    assert (scrape.value("booper_paused_origins"), scrape.value("booper_paused")) == (1, 1)


async def test_a_retry_is_counted_by_what_it_led_to(
    booper: Booper, api: Api, clock: VirtualClock, target: FakeTarget
) -> None:
    """A job that fails once and then completes is two attempts."""
    target.respond(TimeoutError())
    await api.create(max_attempts=2, backoff=[[1, "minute"]])
    await booper.wait_idle()
    clock.set(START + timedelta(minutes=2))
    await booper.wait_idle()
    attempts = (await scraped(api)).by("booper_attempts_total", "kind", "outcome", "result")
    assert attempts == {
        ("request", "retried", "timeout"): 1,
        ("request", "completed", "2xx"): 1,
    }


async def test_the_last_success_is_known_after_a_restart(
    config: Config, clock: VirtualClock, target: FakeTarget
) -> None:
    """By the schedule's name; it is the end of the run."""
    name = "booper_schedule_last_success_timestamp_seconds"
    for restart in range(2):
        async with (
            Booper(config, api_key=KEY, clock=clock, transport=target) as booper,
            Api(booper.asgi, KEY) as api,
        ):
            if not restart:
                await api.create(name="nightly", cron="0 * * * *")
                assert (await scraped(api)).value(name, schedule="nightly") == 0
                clock.set(START + timedelta(hours=1))
                await booper.wait_idle()
            expected = (START + timedelta(hours=1)).timestamp()
            assert (await scraped(api)).value(name, schedule="nightly") == expected


# --- described and used ---------------------------------------------------------------------------


async def a_full_scrape(
    booper: Booper, api: Api, admin: Api, clock: VirtualClock, target: FakeTarget
) -> str:
    """Return a scrape in which each metric has a sample."""
    await test_pauses_and_breakers_are_shown(booper, api, admin, clock, target)
    await api.get("/api/nothing")
    response = await api.get("/metrics", headers=HEADERS)
    return response.text


async def test_the_reference_lists_every_metric_with_its_labels(
    booper: Booper, api: Api, admin: Api, clock: VirtualClock, target: FakeTarget
) -> None:
    """And none that does not exist."""
    shown: dict[str, set[str]] = {}
    for family in families(await a_full_scrape(booper, api, admin, clock, target)):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        shown[name] = labels
    listed = {
        name: set(filter(None, re.split(", ", labels)))
        for name, labels in re.findall(r"`((?:booper|process)_\w+)(?:\{(.+?)\})?`", DOCS["metrics"])
    }
    assert listed == shown


def expressions() -> list[str]:
    """Return every expression of the dashboard and of the rules."""
    panels = DASHBOARD["panels"]
    found = [target["expr"] for panel in panels for target in panel["targets"]]
    blocks = re.findall(r"expr: (?:\|\n((?: {10}.+\n)+)|(.+)\n)", RULES)
    return [*found, *(block or line for block, line in blocks)]


async def test_every_expression_is_found_in_a_live_scrape(
    booper: Booper, api: Api, admin: Api, clock: VirtualClock, target: FakeTarget
) -> None:
    """Each name with each of its labels, and each value of one that is spelled out."""
    scrape = Scrape(await a_full_scrape(booper, api, admin, clock, target))
    assert len(expressions()) > 21 + 20
    for expression in expressions():
        selectors = re.findall(r"\b((?:booper|process)_\w+)(?:\{(.*?)\})?", expression)
        assert selectors, expression
        for name, matchers in selectors:
            samples = [labels for found, labels, _ in scrape.samples if found == name]
            assert samples, f"{name} in {expression}"
            for label, operator, value in re.findall(r'(\w+)(=~|!=|=)"(.*?)"', matchers):
                values = {labels.get(label) for labels in samples}
                assert label in ADDED or None not in values, f"{label} of {name}"
                if operator == "=":
                    assert value in values, expression
        for group in re.findall(r"by \((.*?)\)", expression):
            known = {label for name, _ in selectors for label in labels_of(scrape, name)}
            assert set(group.split(", ")) <= known | ADDED, expression


def labels_of(scrape: Scrape, name: str) -> set[str]:
    """Return the labels of a metric."""
    return {label for found, labels, _ in scrape.samples if found == name for label in labels}


def test_the_dashboard_fits_any_grafana() -> None:
    """It has an address of its own, asks for the data source, and names no one's."""
    assert DASHBOARD["uid"] == "booper"
    assert "id" not in DASHBOARD
    variables = {each["name"]: each for each in DASHBOARD["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    source = {"type": "prometheus", "uid": "${datasource}"}
    ids: list[int] = []
    for panel in DASHBOARD["panels"]:
        ids.append(panel["id"])
        assert panel["datasource"] == source
        assert all(target["datasource"] == source for target in panel["targets"])
        assert all('instance=~"$instance"' in target["expr"] for target in panel["targets"])
    assert len(set(ids)) == len(ids)


def test_no_panel_covers_another() -> None:
    """The grid is 24 wide."""
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells


@pytest.mark.parametrize(("name", "file"), [("grafana", "grafana.json"), ("rules", "rules.yml")])
def test_the_command_prints_the_file(name: str, file: str) -> None:
    """To its last byte."""
    text = (ROOT / "booper" / "metrics" / file).read_text(encoding="utf-8")
    assert CliRunner().invoke(main, ["metrics", name]).stdout == text
