"""axe on a page: what keeps somebody from using it (https://github.com/dequelabs/axe-core)."""

from functools import cache
from importlib.resources import files
from typing import Final

from playwright.async_api import Page

RULES: Final = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")

RUN = """async (tags) => {
  const only = { type: "tag", values: tags };
  const done = await axe.run({ runOnly: only, resultTypes: ["violations"] });
  return done.violations.map(({ id, nodes }) =>
    `${id}: ${nodes.length} of ${nodes[0].html.slice(0, 200)}: ${nodes[0].failureSummary}`);
}"""


@cache
def _axe() -> str:
    return (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")


async def violations_on(page: Page) -> list[str]:
    """Return the rules that a page breaks, each with the first element that does.

    axe is evaluated by the debugger: the page's policy, which stays in force, would not load it.
    """
    await page.evaluate(_axe())
    found: list[str] = await page.evaluate(RUN, list(RULES))
    return found
