"""A fault of booper's own on a page: the browser gets a page, the server the fault."""

import sqlite3
import subprocess
import sys
from contextlib import closing

import httpx
import pytest
from starlette.responses import Response

from booper.api.access import Access
from booper.api.call import Call
from booper.api.operations import Documentation, Operation
from booper.app import Booper
from booper.config import Config
from tests.conftest import KEY
from tests.support.dashboard import Browser, Seen
from tests.support.target import FakeTarget

pytestmark = pytest.mark.anyio


class Fault(Exception):
    """A fault with something in it that is nobody's business."""


async def fail(call: Call) -> Response:
    """Fail."""
    raise Fault("secret")


FAILING = Operation(
    "GET", "/api/counts", Access.READ, fail, Documentation(tag="test", responses={})
)


async def test_a_fault_is_a_page_and_is_logged(config: Config, target: FakeTarget) -> None:
    """Without its innards, with the policy; the server gets the error itself."""
    async with (
        Booper(config, api_key=KEY, transport=target, operations=[FAILING]) as running,
        Browser(running.asgi) as browser,
    ):
        await browser.sign_in(KEY)
        with pytest.raises(Fault):
            await browser.get("/")
        quiet = httpx.ASGITransport(running.asgi, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=quiet, base_url=browser.base_url) as other:
            other.cookies.update(browser.cookies)
            response = await other.get("/")
    assert response.status_code == 500
    assert "its log says why" in response.text
    assert "secret" not in response.text
    assert "default-src 'none'" in response.headers["content-security-policy"]
    assert response.headers["cache-control"] == "no-store"


async def test_sessions_that_cannot_be_read_are_told_on_a_page(
    browser: Browser, config: Config
) -> None:
    """With its policy, as whoever looks is no program."""
    await browser.sign_in(KEY)
    with closing(sqlite3.connect(config.database.path)) as opened:
        opened.execute("ALTER TABLE sessions RENAME TO elsewhere")
    response = await browser.get("/status")
    assert response.status_code == 503
    assert response.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in response.headers["content-security-policy"]
    assert response.headers["cache-control"] == "no-store"
    assert "no such table: sessions" in Seen(response.text).text


def test_a_start_does_not_load_what_only_pages_need() -> None:
    """Templates are loaded for the first page; who never opens one does not pay for them."""
    code = "import booper.app, sys; print('jinja2' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
