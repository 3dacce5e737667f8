"""Bodies as files: the bytes that were sent and received."""

from collections.abc import Mapping

import httpx
import pytest

from booper.app import Booper
from tests.conftest import KEY
from tests.support.api import Api
from tests.support.dashboard import Browser
from tests.support.target import FakeTarget

pytestmark = pytest.mark.anyio

JSON = {"content-type": "application/json"}
BODIES: dict[str, tuple[Mapping[str, str], bytes]] = {
    "json with its spaces and numbers": (JSON, b'{ "n": 1.10,\n"big":9223372036854775808 }'),
    "markup": ({"content-type": "text/html"}, b"<script>alert(1)</script>"),
    "text": ({"content-type": "text/plain; charset=utf-8"}, "a\u202eb\x00\r\n".encode()),
    "bytes": ({"content-type": "image/png"}, b"\x89PNG\r\n\x1a\n\xff\xfe"),
    "nothing": ({}, b""),
}


@pytest.mark.parametrize("name", BODIES)
async def test_a_response_is_downloaded_as_it_came(
    browser: Browser, booper: Booper, api: Api, target: FakeTarget, name: str
) -> None:
    """By the link on its job's page, as a file of text that no browser runs."""
    headers, content = BODIES[name]
    target.respond(httpx.Response(200, headers=headers, content=content))
    job_id = await api.create_id()
    await booper.wait_idle()
    await browser.sign_in(KEY)
    seen = await browser.see(f"/jobs/{job_id}")
    [link] = [link for link in seen.values("a", "href") if link.startswith("/logs/")]
    response = await browser.get(link)
    assert response.content == content
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    expected = f'attachment; filename="job-{job_id}-response.txt"'
    assert response.headers["content-disposition"] == expected
    assert response.headers["x-content-type-options"] == "nosniff"


async def test_a_request_is_downloaded_as_it_was_sent(
    browser: Browser, booper: Booper, api: Api, target: FakeTarget
) -> None:
    """Which the target has seen."""
    job_id = await api.create_id(method="post", body={"n": 1.5, "big": 2**63})
    await booper.wait_idle()
    await browser.sign_in(KEY)
    seen = await browser.see(f"/jobs/{job_id}")
    link = next(link for link in seen.values("a", "href") if link.startswith("/logs/"))
    response = await browser.get(link)
    assert response.content == target.received[0].content
    assert f'"job-{job_id}-request.txt"' in response.headers["content-disposition"]
