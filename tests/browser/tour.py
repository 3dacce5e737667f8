"""A tour: each page in each of its states, looked at in several ways."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

from booper.config import Config
from tests.browser.chromium import Chromium
from tests.browser.dev import DEV_SEEDS, serving_dev
from tests.browser.pages import DEV_VIEWS, VIEWS, View, see, views_of
from tests.browser.seeds import SEEDS, Ids, with_alerts
from tests.browser.site import Site, Wrap, serving_site, unchanged
from tests.browser.visitor import Look, Visitor
from tests.conftest import KEY


@dataclass(frozen=True, slots=True)
class Stop:
    """A page that a tour shows: in a state, with what a seed has."""

    visitor: Visitor
    view: View
    seed: str

    def __str__(self) -> str:
        """Return a name for it, which can be that of a file."""
        return f"{self.view.name}.{self.seed}.{self.visitor.look}"


Inspect = Callable[[Stop], Awaitable[Sequence[str]]]
"""Returns what is wrong with a page."""


@dataclass(slots=True)
class Findings:
    """How many pages a tour has shown, and what was wrong with them."""

    shown: int = 0
    wrong: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Tour:
    """Which pages are shown, and how: `names` are those of views, all if there are none."""

    looks: Sequence[Look]
    seeds: Sequence[str] = ("empty", "full", "long", *DEV_SEEDS)
    names: Sequence[str] = ()
    wrap: Wrap = unchanged

    async def take(
        self, chromium: Chromium, configs: Callable[[], Config], inspect: Inspect
    ) -> Findings:
        """Show each page and inspect it. `configs` returns settings with a database of their own.

        What the pages do against their policy is wrong, too.
        """
        findings = Findings()
        for seed in self.seeds:
            async with self._serving(seed, configs()) as site:
                ids = await {**SEEDS, **DEV_SEEDS}[seed](site)
                for look in self.looks:
                    await self._show(chromium, site, look, (seed, ids), inspect, findings)
        return findings

    def _serving(self, seed: str, config: Config) -> AbstractAsyncContextManager[Site]:
        if seed in DEV_SEEDS:
            return serving_dev(config, self.wrap)
        return serving_site(config if seed == "empty" else with_alerts(config), self.wrap)

    async def _show(
        self,
        chromium: Chromium,
        site: Site,
        look: Look,
        seeded: tuple[str, Ids],
        inspect: Inspect,
        findings: Findings,
    ) -> None:
        seed, ids = seeded
        async with chromium.visit(site, look) as stranger, chromium.visit(site, look) as user:
            if seed in SEEDS:
                await user.sign_in(KEY)
            for view in views_of(ids, VIEWS if seed in SEEDS else DEV_VIEWS):
                if self.names and view.name not in self.names:
                    continue
                stop = Stop(user if view.is_signed_in else stranger, view, seed)
                await see(stop.visitor, view, ids)
                wrong = [*await inspect(stop), *await stop.visitor.found()]
                findings.wrong += [f"{stop}: {each}" for each in wrong]
                findings.shown += 1
                stop.visitor.faults.clear()
