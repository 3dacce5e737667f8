"""Whether everything on a page is inside the window, and every control shows all of its text."""

from playwright.async_api import Page

# A select shows one option in a box of its own; how wide the text is only a canvas tells.
FIND_CUT = """() => {
  const found = [];
  const root = document.documentElement;
  if (root.scrollWidth > root.clientWidth)
    found.push(`the page is ${root.scrollWidth} pixels wide`);
  const name = (each) => `${each.localName}.${each.className || each.id || each.name}`;
  for (const each of document.querySelectorAll(".table, .top ul, button, .button, summary, th, td"))
    if (each.clientWidth && each.scrollWidth > each.clientWidth + 1)
      found.push(`${name(each)}: ${each.scrollWidth} in ${each.clientWidth} pixels`);
  const pen = document.createElement("canvas").getContext("2d");
  for (const each of document.querySelectorAll("select")) {
    const style = getComputedStyle(each);
    pen.font = style.font;
    const arrow = 20, edges = parseFloat(style.paddingLeft) + parseFloat(style.paddingRight);
    const text = each.selectedOptions[0]?.text ?? "";
    if (each.clientWidth && pen.measureText(text).width + edges + arrow > each.clientWidth)
      found.push(`select ${each.name}: ${text}`);
  }
  return found;
}"""


async def cut_on(page: Page) -> list[str]:
    """Return what is cut off on a page, or makes it wider than the window."""
    found: list[str] = await page.evaluate(FIND_CUT)
    return found
