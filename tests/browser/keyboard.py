"""Somebody who has no mouse: the focus moves by Tab, and must be seen wherever it is."""

from typing import Final

from playwright.async_api import Page, expect

from tests.browser.visitor import Visitor

MAX_TABS: Final = 150

# A radio button that looks like a tab shows the focus on the text beside it.
FOCUS: Final = """() => {
  const at = document.activeElement;
  const outline = (each) => {
    const style = each && getComputedStyle(each);
    return style && style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1;
  };
  const box = at.getBoundingClientRect();
  return {
    name: at === document.body ? "" : at.getAttribute("aria-label") || at.labels?.[0]?.innerText
      || at.innerText || at.name || at.localName,
    isOutlined: outline(at) || outline(at.matches(".ways input") && at.nextElementSibling),
    isInside: box.width > 0 && box.bottom > 0 && box.top < innerHeight,
  };
}"""


class Unseen(AssertionError):
    """The focus cannot be seen, or does not come to where it should."""


class Typist:
    """Somebody who uses the keyboard alone."""

    def __init__(self, visitor: Visitor) -> None:
        self.visitor = visitor
        self.page: Page = visitor.page

    async def tab_to(self, name: str) -> None:
        """Press Tab until something with this name has the focus. Raises: Unseen."""
        passed = []
        for _ in range(MAX_TABS):
            await self.page.keyboard.press("Tab")
            focus = await self.page.evaluate(FOCUS)
            passed.append(focus["name"])
            if focus["name"] and not (focus["isOutlined"] and focus["isInside"]):
                raise Unseen(f"the focus is not to be seen on {focus['name']!r}")
            if focus["name"].strip() == name:
                return
        raise Unseen(f"no Tab leads to {name!r}, only to {passed}")

    async def press(self, name: str, key: str = "Enter", question: str = "") -> None:
        """Go to something and press a key on it."""
        await self.tab_to(name)
        if question:
            self.visitor.expect_question(question)
        await self.page.keyboard.press(key)

    async def type(self, name: str, text: str) -> None:
        """Go to a field and type into it."""
        await self.tab_to(name)
        await self.page.keyboard.type(text)

    async def read(self, text: str) -> None:
        """Wait for a notice."""
        await expect(self.page.get_by_role("status").filter(has_text=text)).to_be_visible()


async def create_cancel_retry(visitor: Visitor, key: str, target: str) -> None:
    """Sign in, create a job, cancel it and send it again, by the keyboard alone. Raises: Unseen."""
    typist = Typist(visitor)
    page = visitor.page
    await visitor.open("/sign-in")
    await expect(page.get_by_label("API key")).to_be_focused()
    await page.keyboard.type(key)
    await page.keyboard.press("Enter")
    await page.get_by_role("heading", name="Home", exact=True).wait_for()
    await typist.press("New")
    await page.get_by_role("heading", name="New", exact=True).wait_for()
    await typist.press("Skip to the page")
    await typist.type("URL", target)
    await typist.tab_to("Now")
    await page.keyboard.press("ArrowRight")  # to "In a while", as among all radio buttons
    await typist.type("In", "2 hours")
    await typist.press("Check")
    await page.get_by_text("It is sent at").wait_for()
    await typist.press("Create")
    await typist.read("The job is created.")
    await typist.press("Cancel", question="Cancel this job?")
    await typist.read("The job is cancelled.")
    await typist.press("Retry")
    await typist.read("The job is due again now.")
