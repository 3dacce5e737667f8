"""A walk over pages by their links: where they lead, and whether it is there."""

from collections.abc import Callable
from urllib.parse import unquote, urldefrag, urljoin

from tests.support.dashboard import Browser, Seen

Pages = dict[str, Seen]
"""Pages by their paths with their queries."""


async def walk(browser: Browser, start: str, is_wanted: Callable[[str], bool]) -> Pages:
    """Return all pages that links lead to from one of them, if they are wanted."""
    pages, waiting = Pages(), [start]
    while waiting:
        path = waiting.pop()
        if path in pages:
            continue
        response = await browser.get(path)
        assert response.status_code == 200, path
        pages[path] = Seen(response.text)
        links = (urldefrag(urljoin(path, link))[0] for link in pages[path].values("a", "href"))
        waiting += [link for link in links if is_wanted(link)]
    return pages


def faults_of(pages: Pages, is_wanted: Callable[[str], bool]) -> list[str]:
    """Return what is wrong with links and ids: an anchor that is not there, an id given twice."""
    ids = {path: seen.ids for path, seen in pages.items()}
    faults = [
        f"{path}: id {each!r} is there twice"
        for path, found in ids.items()
        for each in {each for each in found if found.count(each) > 1}
    ]
    for path, seen in pages.items():
        for link in seen.values("a", "href"):
            target, anchor = urldefrag(urljoin(path, link))
            if is_wanted(target) and target not in pages:
                faults.append(f"{path}: {link} leads nowhere")
            elif anchor and unquote(anchor) not in ids.get(target, ()):
                faults.append(f"{path}: {link} leads to no id")
    return faults
