"""The page of keys: when each was last used."""

import re
from datetime import timedelta

import pytest

from booper.clock import VirtualClock
from tests.conftest import KEY
from tests.support.api import Api
from tests.support.dashboard import Browser

pytestmark = pytest.mark.anyio


def rows(page: str) -> list[str]:
    """Return the text of each row of a page's table, the heads first, with a bar between cells."""
    found = re.findall(r"<tr.*?</tr>", page, re.DOTALL)
    cells = [re.findall(r"<t[hd].*?</t[hd]>", row, re.DOTALL) for row in found]
    return ["|".join(" ".join(re.sub("<.*?>", " ", c).split()) for c in row) for row in cells]


async def test_keys_show_when_they_were_last_used(
    browser: Browser, admin: Api, clock: VirtualClock
) -> None:
    """To the minute: the one that is signed in by this page, the spare one never."""
    await browser.sign_in(KEY)
    clock.advance(timedelta(seconds=90))  # from 2030-01-01T12:00:00Z
    await admin.act("/api/keys", {"name": "spare"})
    head, spare, own = rows((await browser.get("/keys")).text)
    assert head.startswith("Name|User|Scope|Created|Last used|State|")
    assert spare.startswith("spare|default|write|2030-01-01 12:01:30|\u2013|valid|")
    begin = "BOOPER_API_KEY (you)|default|admin|2030-01-01 12:00:00|2030-01-01 12:01|valid|"
    assert own.startswith(begin)
