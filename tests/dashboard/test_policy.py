"""What browsers are allowed, on every response, and which requests of theirs count."""

from collections.abc import AsyncIterator

import httpx
import pytest
from msgspec.structs import replace

from booper.app import Booper
from booper.clock import VirtualClock
from booper.config import Config, Server
from booper.dashboard.application import PAGES
from booper.dashboard.static import static_files
from tests.conftest import KEY
from tests.support.api import Api
from tests.support.dashboard import ORIGIN, Browser, Seen, filled
from tests.support.target import FakeTarget

pytestmark = pytest.mark.anyio

# Issue 22, "Policy"; https://www.w3.org/TR/CSP3/, https://fetch.spec.whatwg.org/#nosniff
POLICY = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
}


def policy_of(response: httpx.Response) -> dict[str, str]:
    """Return what a response has of the policy."""
    return {name: response.headers[name] for name in POLICY if name in response.headers}


@pytest.mark.parametrize("is_signed_in", [False, True])
async def test_every_response_has_the_policy(
    browser: Browser, api: Api, is_signed_in: bool
) -> None:
    """Each page and change, what is not there, what is not allowed, and what is refused."""
    job_id = await api.create_id(schedule_in=3600)
    schedule_id = (await api.create_schedule(schedule_in=3600)).rpartition("/")[2]
    ids = {"job_id": str(job_id), "schedule_id": schedule_id}
    responses = []
    for page in PAGES:
        if is_signed_in:
            await browser.sign_in(KEY)
        path = filled(page.path, ids)
        path = path.replace("/events", "/events?job_id=0")  # no stream, which would not end
        responses += [
            await browser.request(page.method, path, headers={"Sec-Fetch-Site": "same-origin"}),
            await browser.request(page.method, path, headers={"Sec-Fetch-Site": "cross-site"}),
            await browser.put(path, headers={"Sec-Fetch-Site": "same-origin"}),
            await browser.get(path, headers={"Host": "evil.test"}),
        ]
    responses += [
        await browser.get(path)
        for path in ("/nothing", "/jobs/0", "/jobs?state=no", "/static/no.css", "/static/")
    ]
    assert {response.status_code for response in responses} >= {303, 403, 404, 405}
    for response in responses:
        assert policy_of(response) == POLICY, response.url
        assert response.headers["cache-control"] == "no-store", response.url


async def test_the_stream_of_changes_has_the_policy(browser: Browser) -> None:
    """It is not stored either; what stands between may not change it."""
    await browser.sign_in(KEY)
    response = await browser.head("/events")
    assert policy_of(response) == POLICY
    assert response.headers["cache-control"] == "no-cache, no-transform"


async def test_a_file_is_kept_for_good_under_the_name_of_its_content(browser: Browser) -> None:
    """Another name is not there, so what is kept is never out of date."""
    files = static_files()
    for source, file in files.items():
        response = await browser.get(f"/static/{file.name}")
        assert response.content == file.content
        assert policy_of(response) == POLICY
        assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert response.headers["content-type"] == file.media_type
        assert (await browser.get(f"/static/{source}")).status_code == 404


def test_style_script_and_icons_are_small() -> None:
    """At most 60 KB together."""
    assert sum(len(file.content) for file in static_files().values()) <= 60_000


async def test_no_page_has_style_or_script_in_it(browser: Browser, api: Api) -> None:
    """The policy would stop them; nor does anything come from elsewhere."""
    job_id = await api.create_id(body={"a": 1}, method="post")
    schedule_id = (await api.create_schedule(schedule_in=3600)).rpartition("/")[2]
    await browser.sign_in(KEY)
    for page in PAGES:
        if page.method != "GET" or page.path == "/events":  # which has no markup, and no end
            continue
        response = await browser.get(
            filled(page.path, {"job_id": str(job_id), "schedule_id": schedule_id})
        )
        if response.status_code == 303:
            continue
        seen = Seen(response.text)
        attributes = {name for _, found in seen.elements for name in found}
        assert not {name for name in attributes if name == "style" or name.startswith("on")}
        assert "style" not in seen.names
        assert seen.names.count("script") == len(seen.values("script", "src")) == 1
        assert {link[0] for link in seen.links} <= {"/", "#"}
        assert not {link for link in seen.links if link.startswith("//")}


CHANGES = {
    "a form of our own": ({"Sec-Fetch-Site": "same-origin"}, True),
    "one whose origin agrees": ({"Sec-Fetch-Site": "same-origin", "Origin": ORIGIN}, True),
    "an old browser's form": ({"Origin": ORIGIN}, True),
    "an old browser's, by another name": (
        {"Origin": "http://localhost:2667", "Host": "localhost:2667"},
        True,
    ),
    "neither header": ({}, False),
    "another site": ({"Sec-Fetch-Site": "cross-site"}, False),
    "another host of this site": ({"Sec-Fetch-Site": "same-site"}, False),
    "the address bar": ({"Sec-Fetch-Site": "none"}, False),
    "another site that names our origin": (
        {"Sec-Fetch-Site": "cross-site", "Origin": ORIGIN},
        False,
    ),
    "another origin": ({"Origin": "https://evil.test"}, False),
    "another port": ({"Origin": "http://127.0.0.1:8000"}, False),
    "another name of this machine": ({"Origin": "http://localhost:2667"}, False),
    "another scheme": ({"Origin": "https://127.0.0.1:2667"}, False),
    "an origin that hides": ({"Origin": "null"}, False),
    "an empty origin": ({"Origin": ""}, False),
    "a host of others": ({"Sec-Fetch-Site": "same-origin", "Host": "evil.test"}, False),
    "a host of others that is its origin": (
        {"Origin": "http://evil.test", "Host": "evil.test"},
        False,
    ),
}


@pytest.mark.parametrize("name", CHANGES)
async def test_only_pages_of_the_dashboard_change_anything(
    browser: Browser, api: Api, name: str
) -> None:
    """By `Sec-Fetch-Site`, if it is there, else by `Origin`; without both nothing is done."""
    headers, is_done = CHANGES[name]
    job_id = await api.create_id(schedule_in=3600)
    await browser.sign_in(KEY)
    response = await browser.post(f"/jobs/{job_id}/cancel", headers=headers)
    assert response.status_code == (303 if is_done else 403)
    assert (await api.job(job_id))["state"] == ("cancelled" if is_done else "scheduled")


@pytest.mark.parametrize("path", ["/sign-in", "/sign-out"])
async def test_nobody_is_signed_in_or_out_by_another_site(browser: Browser, path: str) -> None:
    """Neither into somebody else's account nor out of their own."""
    await browser.sign_in(KEY)
    headers = {"Sec-Fetch-Site": "cross-site"}
    response = await browser.post(path, data={"key": KEY}, headers=headers)
    assert response.status_code == 403
    assert "set-cookie" not in response.headers
    assert (await browser.get("/jobs")).status_code == 200


# Where a booper listens -> the hosts it is called by, and whether it responds.
HOSTS: dict[str, dict[str, bool]] = {
    "127.0.0.1": {
        "127.0.0.1:2667": True,
        "127.0.0.1": True,
        "127.1.2.3:2667": True,
        "localhost:8080": True,
        "LOCALHOST": True,
        "[::1]:2667": True,
        "booper.example": True,
        "Booper.Example:443": True,
        "192.0.2.7": False,
        "evil.test": False,
        "localhost.evil.test": False,
        "127.0.0.1.evil.test": False,
        "evil.test:2667": False,
        "booper.example.evil.test": False,
        "": False,
        "a b": False,
        "[::1": False,
        "evil.test@127.0.0.1": False,
    },
    "192.0.2.7": {
        "192.0.2.7:2667": True,
        "127.0.0.1:2667": True,
        "192.0.2.8": False,
        "evil.test": False,
    },
    "0.0.0.0": {"192.0.2.8": True, "[2001:db8::1]:2667": True, "evil.test": False},
    "::": {"192.0.2.8": True, "[2001:db8::1]:2667": True, "evil.test": False},
}


@pytest.fixture(params=HOSTS)
async def listening(
    request: pytest.FixtureRequest, config: Config, clock: VirtualClock, target: FakeTarget
) -> AsyncIterator[tuple[Booper, dict[str, bool]]]:
    """Run a booper that listens on an address; return it and the hosts to call it by."""
    settings = replace(config, server=Server(public_url="https://booper.example"))
    address = (request.param, 2667)
    async with Booper(
        settings, api_key=KEY, address=address, clock=clock, transport=target
    ) as running:
        yield running, HOSTS[request.param]


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT"])
async def test_a_name_that_nobody_has_given_it_is_refused(
    listening: tuple[Booper, dict[str, bool]], method: str
) -> None:
    """By whatever method and path: a page's own name may lead to this machine (DNS rebinding)."""
    booper, hosts = listening
    async with Browser(booper.asgi) as browser:
        for host, is_ours in hosts.items():
            for path in ("/sign-in", "/nothing", "/static/x.css"):
                headers = {"Host": host, "Sec-Fetch-Site": "same-origin"}
                response = await browser.request(method, path, headers=headers)
                assert (response.status_code == 403) is not is_ours, (host, path)


async def test_the_api_responds_by_any_name(listening: tuple[Booper, dict[str, bool]]) -> None:
    """Who calls it has a key, which no browser adds by itself."""
    booper, hosts = listening
    async with Api(booper.asgi, KEY) as api:
        for host in hosts:
            assert (await api.get("/api/jobs", headers={"Host": host})).status_code == 200
