"""What there is to see: nothing, a busy site, and a busy site whose every text is long."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Final

from booper.config import Config
from booper.engine.breakers import MAX_FAILURES
from tests.browser.site import Site
from tests.support.alerts import alerting, looked

Ids = Mapping[str, str]
"""What the site has, by the name that paths of `pages.py` have for it."""

Seed = Callable[[Site], Awaitable[Ids]]

LATER: Final = [30, "days"]
ROWS: Final = 60
"""More than one page of a list has."""


def with_alerts(config: Config) -> Config:
    """Return settings by which something is wrong from the beginning: the disk is nearly full."""
    return alerting(config, disk_free_bytes=1 << 50)


async def empty(site: Site) -> Ids:
    """Leave a site as it begins."""
    return {}


async def few(site: Site) -> Ids:
    """Fill a site with a job in each state, schedules that have run, keys, pauses and alerts."""
    return await _filled(site, Texts(), 2)


async def full(site: Site) -> Ids:
    """Fill a site as `few` does, with more than a page of each kind, and an open breaker."""
    return await _filled(site, Texts(), ROWS)


async def long(site: Site) -> Ids:
    """Fill a site as `full` does, with the longest texts that are allowed, which have no spaces."""
    return await _filled(site, LongTexts(), ROWS)


SEEDS: Final[Mapping[str, Seed]] = {"empty": empty, "few": few, "full": full, "long": long}


class Texts:
    """Texts of others as they usually are. `host` is where jobs go, as `https://` and a name."""

    name = "Nightly report"
    description = "For the accountants"
    tag = "billing"
    host = "https://api.shop.test"
    path = "orders?since=yesterday"
    user = "bob"
    key = "deploy"
    query: Mapping[str, str] = {"page": "1"}
    headers: Mapping[str, str] = {"X-Shop": "one", "Authorization": "Bearer secret"}
    body: object = {"order": 7, "lines": [{"sku": "a-1", "count": 2}], "paid": True, "note": None}
    error = "out of stock"


class LongTexts(Texts):
    """Texts as long as they may be, or so long that nobody would read them."""

    name = "N" * 200
    description = "description" * 80
    tag = "t" * 64
    host = f"https://{'long-name.' * 20}test"
    path = f"{'path' * 300}?query={'q' * 300}"
    user = "u" * 100
    key = "k" * 100
    query: Mapping[str, str] = {"q" * 60: "v" * 400}
    headers: Mapping[str, str] = {f"X-{'H' * 60}": "v" * 400, "Authorization": "Bearer secret"}
    body: object = {"k" * 200: ["v" * 2_000, {"deep": {"deeper": {"deepest": "x" * 500}}}]}
    error = "e" * 1_000


async def _filled(site: Site, texts: Texts, rows: int) -> Ids:
    site.target.body = {"ok": True, "echo": texts.body}
    site.target.headers = {"X-Trace": "1", "X-Shop": texts.headers.get("X-Shop", "v" * 400)}
    site.target.error = texts.error
    ids = {"cron": await _cron(site, texts), "interval": await _interval(site, texts)}
    ids |= await _ended_schedules(site, texts)
    for _ in range(9):  # the schedules run
        site.clock.advance(timedelta(minutes=20))
        await site.booper.wait_idle()
    ids |= await _ended_jobs(site, texts)
    ids |= await _open_jobs(site, texts, rows)
    ids |= await _keys(site, texts, rows)
    await looked(site.admin, site.clock)
    _certificates(site, texts)
    return ids


async def _cron(site: Site, texts: Texts) -> str:
    path = await site.api.create_schedule(
        url=f"{texts.host}/{texts.path}",
        method="post",
        cron="30 * * * *",
        timezone="Europe/Berlin",
        name=texts.name,
        description=texts.description,
        tags=[texts.tag],
        headers=texts.headers,
        body=texts.body,
    )
    state = {"cursor": "c-17", "seen": [1, 2, 3]}
    response = await site.api.put(f"{path}/state", json=state)
    assert response.is_success, response.text
    return path.rpartition("/")[2]


async def _interval(site: Site, texts: Texts) -> str:
    path = await site.api.create_schedule(
        url=f"{texts.host}/sometimes/{texts.path}",
        repeat_every=[20, "minutes"],
        name=f"{texts.name}2"[-200:],
        max_attempts=1,
    )
    return path.rpartition("/")[2]


async def _ended_schedules(site: Site, texts: Texts) -> dict[str, str]:
    url = f"{texts.host}/{texts.path}"
    disabled = await site.api.create_schedule(url=url, repeat_every="1d", schedule_in=LATER)
    await site.api.act(f"{disabled}/disable")
    ended = await site.api.create_schedule(url=url, repeat_every="1h", max_runs=1)
    return {"disabled": disabled.rpartition("/")[2], "ended": ended.rpartition("/")[2]}


async def _ended_jobs(site: Site, texts: Texts) -> dict[str, str]:
    """Make jobs that have ended in each way."""
    url = f"{texts.host}/{texts.path}"
    shared = {"name": texts.name, "tags": [texts.tag], "query": texts.query}
    completed = await site.api.create_id(
        **shared,
        url=url,
        method="post",
        headers=texts.headers,
        body=texts.body,
        description=texts.description,
        idempotency_key=f"{texts.key}-1",
        webhook_url=url,
        callback_url=url,
    )
    discarded = await site.api.create_id(
        **shared, url=f"{texts.host}/500/{texts.path}", max_attempts=2, backoff=[1]
    )
    await site.booper.wait_idle()
    site.clock.advance(timedelta(seconds=1))
    await site.booper.wait_idle()
    cancelled = await site.api.create_id(**shared, url=url, schedule_in=LATER)
    await site.api.act(f"/api/jobs/{cancelled}/cancel")
    return {
        "completed": str(completed),
        "discarded": str(discarded),
        "cancelled": str(cancelled),
        "log": str((await site.api.read("/api/logs", f"job_id={completed}"))[-1]["id"]),
    }


async def _open_jobs(site: Site, texts: Texts, rows: int) -> dict[str, str]:
    """Make jobs that have not ended, one of each kind and many that wait; and a breaker."""
    url = f"{texts.host}/{texts.path}"
    for n in range(rows):
        await site.api.create_id(url=url, name=texts.name, schedule_in=[n + 1, "hours"])
    scheduled = await site.api.create_id(
        url=url, name=texts.name, headers=texts.headers, schedule_in=LATER
    )
    retryable = await site.api.create_id(
        url=f"{texts.host}/refused/{texts.path}", backoff=[3600], name=texts.name
    )
    await site.booper.wait_idle()
    for _ in range(MAX_FAILURES if rows >= MAX_FAILURES else 0):
        await site.api.create_id(url=f"{texts.host}/503".replace("//", "//down."), max_attempts=1)
        await site.booper.wait_idle()
    await site.admin.act("/api/pause", {"host": "paused.test"})
    available = await site.api.create_id(url="https://paused.test/")
    site.target.hold("/held")
    site.target.arrived.clear()
    executing = await site.api.create_id(url=f"{texts.host}/held", timeout="15 minutes")
    await site.target.arrived.wait()
    return {
        "scheduled": str(scheduled),
        "retryable": str(retryable),
        "available": str(available),
        "executing": str(executing),
    }


def _certificates(site: Site, texts: Texts) -> None:
    """Note a certificate that ends soon, and one that has ended; nothing here connects by TLS."""
    certificates, now = site.booper._parts.certificates, site.clock.now()
    for host, days in ((texts.host, 12), (texts.host.replace("//", "//down."), -1)):
        until = now + timedelta(days=days)
        certificates.note(host, {"notAfter": f"{until:%b %d %H:%M:%S %Y} GMT"})


async def _keys(site: Site, texts: Texts, rows: int) -> dict[str, str]:
    for scope in ("read", "write"):
        await site.key(scope, name=texts.key, user=texts.user)
    for n in range(rows):
        key = await site.key("read", name=f"{n}{texts.key}"[:100])
        if n % 2:
            used = await site.api.get("/api/jobs", headers={"Authorization": f"Bearer {key}"})
            assert used.is_success
    made = await site.admin.act("/api/keys", {"name": texts.key})
    assert (await site.admin.delete(f"/api/keys/{made['id']}")).is_success
    return {"key": str(made["id"])}
