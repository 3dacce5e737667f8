"""Hostile texts in everything of others that pages show, and what they must not become."""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import httpx
from playwright.async_api import Page

from tests.browser.site import Site
from tests.browser.visitor import Visitor
from tests.dashboard.test_hostile_text import HIDDEN, TEXTS

TARGET: Final = "http://127.0.0.1:9/"

MORE: Final = (
    "<img src=http://evil.test/x onerror=alert(1)>",
    "<iframe src=http://evil.test/></iframe>",
    "<link rel=stylesheet href=//evil.test/x.css>",
    "<meta http-equiv=refresh content='0;url=http://evil.test/'>",
    "<base href=http://evil.test/>",
    "<form action=http://evil.test/><button autofocus>",
    "<object data=http://evil.test/></object><embed src=//evil.test/>",
    "<video src=http://evil.test/x autoplay><audio src=//evil.test/y autoplay>",
    "<a href=javascript:alert(1) autofocus onfocus=alert(1)>x</a>",
    "<details open ontoggle=alert(1)>",
    "<input autofocus onfocus=alert(1)>",
    "<body onload=alert(1)>",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<template><script>alert(1)</script></template>",
    "<select><option></select><script>alert(1)</script>",
    "</option></select><script>alert(1)</script>",
    "</svg><script>alert(1)</script>",
    "</summary></details><script>alert(1)</script>",
    "</bdi></td></tr></table><script>alert(1)</script>",
    "<plaintext>",
    "<xmp><listing>",
    "--><script>alert(1)</script><!--",
    "<![CDATA[<script>alert(1)</script>]]>",
    "<?xml version='1.0'?><!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]>&e;",
    "<script\t>alert(1)</script\n>",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "\uff1cscript\uff1ealert(1)\uff1c/script\uff1e",
    "+ADw-script+AD4-alert(1)+ADw-/script+AD4-",
    "&#60;script&#62;alert(1)&#60;/script&#62;",
    "&NewLine;&Tab;&lt;b&gt;",
    "\\u003cscript\\u003ealert(1)\\u003c/script\\u003e",
    '"onmouseover="alert(1)',
    "`onmouseover=`alert(1)",
    "' autofocus onfocus='alert(1)",
    "${alert(1)}#{alert(1)}{%print(1)%}",
    "{{constructor.constructor('alert(1)')()}}",
    "data:text/html,<script>alert(1)</script>",
    "//evil.test/x",
    "http://evil.test/x",
    "9223372036854775808",
    "-9223372036854775809",
    "1e400",
    "NaN",
    "__proto__",
    "\u202e\u2066reversed\u2069\u202c",
    "\u2028line\u2029paragraph",
    "\u0301\u0301\u0301leading",
    "Z" + "\u0335\u0321\u0342" * 60,
    "\ufdfd\ufdfd\ufdfd",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467\ufe0f",
    "\ue000\uf8ff\U000f0000",
    "\ufffd\ufffe\uffff",
    "=cmd|'/C calc'!A0",
    "'; DROP TABLE jobs; --",
    "$(reboot)`reboot`",
    "a\tb\tc",
    " leading and trailing ",
    "line\r\nline\nSet-Cookie: x=1",
    "a\x00b",
    "\x1b[31mred\x1b[0m\x07",
    "\x80\x9b31m",
)
"""What other suites of hostile strings have, beside those of `tests/dashboard`."""

RAW: Final[Mapping[str, bytes]] = {
    "a lone surrogate in JSON": b'{"text": "\\ud800"}',
    "bytes that are no UTF-8": b"\xff\xfe\x00<script>alert(1)</script>",
    "an encoded surrogate": b"\xed\xa0\x80<b>",
    "a number of 2^63": b'{"n": 9223372036854775808, "m": 1e999}',
    "markup as JSON": b'{"<script>alert(1)</script>": ["<img src=//evil.test/x>"]}',
    "a line of 1 MiB": b"<b>" * (1 << 18) + b"<script>alert(1)</script>",
    "JSON a thousand deep": b"[" * 1_000 + b"]" * 1_000,
    "a page": b"<!doctype html><script>alert(1)</script><img src=//evil.test/x>",
}
"""Bodies of responses that are no text, or not only."""

ALL: Final = (*TEXTS, *MORE)

# How many elements of each kind a page has, with the names of their attributes.
COUNT: Final = """() => {
  const found = {};
  for (const each of document.querySelectorAll("*")) {
    const key = `${each.localName} ${each.getAttributeNames().sort().join(" ")}`;
    found[key] = (found[key] ?? 0) + 1;
  }
  return found;
}"""


async def plant(site: Site, texts: Sequence[str], raw: bytes = b"") -> Sequence[str]:
    """Make a job and a schedule that have texts wherever some may stand; return their pages.

    The first is their name, too. `raw` is what the target responds, the texts unless it is given.
    """
    name = re.sub(r"[\x00-\x1f\x7f-\x9f]", "", texts[0])[:200].strip() or "x"
    body = {text: [text] for text in texts}
    plain = [text for text in texts if text.isascii() and text.isprintable()][:20]
    fields: dict[str, Any] = {
        "url": f"{TARGET}?{httpx.QueryParams({'q': texts[0][:500]})}",
        "name": name,
        "description": name,
        "method": "post",
        "body": body,
        "query": {f"q{n}": text[:500] for n, text in enumerate(texts[:10])},
        "headers": {f"X-Text-{n}": text.strip() for n, text in enumerate(plain)},
    }
    response = httpx.Response(500, content=raw) if raw else httpx.Response(500, json=body)
    site.target.clear()
    site.target.respond(response)
    job = await site.api.create_id(**fields, max_attempts=1)
    await site.booper.wait_idle()
    path = (await site.api.create_schedule(**fields, schedule_in=3600)).removeprefix("/api")
    return f"/jobs/{job}", f"/new?from={job}", path, f"{path}/change", "/jobs", "/schedules"


def harmless(text: str) -> str:
    """Return a text of the same length, of which the same use can be made."""
    is_plain = text.isascii() and text.isprintable()
    return ("h" if is_plain else "é") * len(text)


async def elements_on(page: Page) -> Counter[str]:
    """Return how many elements of each kind a page has."""
    return Counter(await page.evaluate(COUNT))


async def look_at(visitor: Visitor, paths: Sequence[str]) -> list[Counter[str]]:
    """Return the elements of each page, from the last to the first, which stays open."""
    found = []
    for path in reversed(paths):
        await visitor.open(path)
        found.append(await elements_on(visitor.page))
    return found


async def faults_of(visitor: Visitor, texts: Sequence[str], raw: bytes = b"") -> list[str]:
    """Return what texts become that are not shown as text, or that are not shown at all."""
    paths = await plant(visitor.site, texts, raw)
    elements = await look_at(visitor, paths)
    seen = " ".join((await visitor.page.locator("main").inner_text()).split())
    missing = [text for text in texts if shown(text) not in seen]
    twins = await plant(visitor.site, [*map(harmless, texts)], b"h" * len(raw))
    expected = await look_at(visitor, twins)
    return [
        *[f"{text!r:.80} is not shown as {shown(text)!r:.80}" for text in missing],
        *[
            f"{path} of {texts[0]!r:.60}: {dict(got - wanted)}"
            for path, got, wanted in zip(reversed(paths), elements, expected, strict=True)
            if got - wanted
        ],
        *await visitor.found(),
    ]


def shown(text: str) -> str:
    """Return how JSON shows a text, with escapes for what cannot be seen, and single spaces."""
    written = json.dumps(text, ensure_ascii=False)
    for separator in ("\u2028", "\u2029"):
        written = written.replace(separator, f"\\u{ord(separator):x}")
    escaped = HIDDEN.sub(lambda found: found[0].encode("unicode_escape").decode(), written)
    return " ".join(escaped.split())
