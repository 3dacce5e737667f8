"""A `booper dev` that a browser of this machine reaches, without a key; and what there is to see.

Its clock stands still. Only it has the pages of `booper.dashboard.dev`.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final

from msgspec.structs import replace

from booper.cli.binding import bound, bound_addresses
from booper.clock import RunningClock
from booper.config import Config, Delivery
from booper.dev.bench import PUBLIC_KEY, Bench
from booper.server.limits import Limits
from booper.server.listener import Listener, listening
from tests.browser.seeds import Ids, LongTexts, Seed, Texts
from tests.browser.site import Site, Wrap, unchanged
from tests.browser.target import PathTarget
from tests.conftest import START
from tests.support.api import Api

CAUGHT: Final = 20
"""So many requests the sink has caught where there is much to see."""


@asynccontextmanager
async def serving_dev(config: Config, wrap: Wrap = unchanged) -> AsyncIterator[Site]:
    """Serve a bench on a free port of 127.0.0.1 until the end of the block."""
    clock, target = RunningClock(START, is_frozen=True), PathTarget()
    with bound(["127.0.0.1"], 0) as sockets:
        addresses = bound_addresses(sockets)
        host, port = addresses[0]
        url = f"http://{host}:{port}"
        async with (
            Bench(
                replace(config, delivery=Delivery(grace_seconds=0)),
                clock,
                address=addresses,
                url=url,
                transport=target,
            ) as bench,
            Api(bench.asgi, PUBLIC_KEY, url) as api,
            listening(Listener(wrap(bench.asgi), 1, sockets, Limits())),
        ):
            yield Site(url, bench.booper, api, api, clock, target)


async def empty(site: Site) -> Ids:
    """Leave it as it begins."""
    return {}


async def full(site: Site) -> Ids:
    """Make attempts that went well and that did not, and requests that the sink has caught."""
    return await _filled(site, Texts())


async def long(site: Site) -> Ids:
    """Do as `full`, with texts as long as they may be, which have no spaces."""
    return await _filled(site, LongTexts())


DEV_SEEDS: Final[Mapping[str, Seed]] = {"dev-empty": empty, "dev-full": full, "dev-long": long}


async def _filled(site: Site, texts: Texts) -> Ids:
    site.target.error = texts.error
    for part in ("200", "500", "refused"):
        await site.api.create(
            url=f"{texts.host}/{part}/{texts.path}", name=texts.name, max_attempts=2, backoff=[1]
        )
    await site.api.create(url=texts.host, name=texts.name, schedule_in=[1, "day"])
    await site.api.act("/api/dev/clock", {"advance": timedelta(minutes=1).total_seconds()})
    for n in range(CAUGHT):
        status = ("200", "404", "503")[n % 3]
        path = f"/dev/sink/{texts.path.partition('?')[0]}/{n}?respond={status}"
        headers = {name: str(value) for name, value in texts.headers.items()}
        response = await site.api.post(path, json=texts.body, headers=headers)
        assert response.status_code == int(status), response.text
    caught = (await site.api.read("/api/dev/sink"))[-1]["number"]
    return {"caught": str(caught)}
