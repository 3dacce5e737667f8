"""The API by resource: each operation with all of its description, and a form that tries it."""

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from booper.app import Booper
from tests.conftest import KEY
from tests.dashboard.test_hostile_text import HIDDEN, TEXTS
from tests.support.api import URL, Api
from tests.support.dashboard import Browser, Seen

pytestmark = pytest.mark.anyio

JSON = "application/json"
IDS = {"job_id": "1", "schedule_id": "0", "log_id": "0", "key_id": "0", "name": "news"}


class Each:
    """An operation of the OpenAPI document."""

    def __init__(self, path: str, method: str, raw: dict[str, Any]) -> None:
        self.path, self.method, self.raw = path, method.upper(), raw
        self.page = f"/docs/api/{raw['tags'][0]}/{raw['operationId']}"
        kinds = [kind for each in raw["responses"].values() for kind in each.get("content", {})]
        self.is_json = set(kinds) <= {JSON}

    @property
    def target(self) -> str:
        """Return the path with values for its parameters."""
        path = self.path
        for name, value in IDS.items():
            path = path.replace(f"{{{name}}}", value)
        return path


async def described(api: Api) -> list[Each]:
    """Return all operations that the running booper has."""
    document = (await api.get("/openapi.json")).json()
    return [
        Each(path, method, raw)
        for path, methods in document["paths"].items()
        for method, raw in methods.items()
    ]


async def test_each_operation_has_its_place(browser: Browser, api: Api) -> None:
    """In the list, in that of its resource, and on a page of its own."""
    all_of_api = (await browser.see("/docs/api")).values("a", "href")
    for each in await described(api):
        of_tag = (await browser.see(f"/docs/api/{each.raw['tags'][0]}")).values("a", "href")
        assert all_of_api.count(each.page) == of_tag.count(each.page) == 1
        assert f"{each.method} {each.path}" in (await browser.see(each.page)).text


async def test_the_page_of_an_operation_has_all_of_its_description(
    browser: Browser, api: Api
) -> None:
    """Parameters, fields, types, responses, errors and examples."""
    components = (await api.get("/openapi.json")).json()["components"]
    for each in await described(api):
        page = await browser.see(each.page)
        for text in texts_of(each.raw, components):
            assert " ".join(text.replace("`", "").split()) in page.text, each.page
        fields = fields_of(content_of(each.raw)["schema"], components["schemas"])
        assert set(fields) <= set(page.text.partition("Responses")[0].split()), each.page


def texts_of(raw: dict[str, Any], components: dict[str, Any]) -> Iterator[str]:
    """Yield what the page of an operation must say."""
    yield raw["summary"]
    yield raw["description"]
    for parameter in raw["parameters"]:
        yield f"{parameter['name']} "
        yield parameter["description"]
    for example in content_of(raw)["examples"].values():
        yield json.dumps(example["value"], indent=2, ensure_ascii=False)
    for status, response in raw["responses"].items():
        if "$ref" not in response:
            yield f"{status} {response['description']}"
            continue
        error = components["responses"][response["$ref"].rpartition("/")[2]]
        [content] = error["content"].values()
        yield f"{status} {error['description']} {content['example']['detail']}"
    for name in re.findall(r'"#/components/schemas/(\w+)"', json.dumps(raw)):
        yield components["schemas"][name].get("description", "")
        for field in fields_of(components["schemas"][name], components["schemas"]):
            yield f"{field} "


def content_of(raw: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON that an operation takes, nothing if it takes none."""
    nothing: dict[str, Any] = {JSON: {"schema": {}, "examples": {}}}
    content: dict[str, Any] = raw.get("requestBody", {"content": nothing})["content"][JSON]
    return content


def fields_of(schema: dict[str, Any], schemas: dict[str, Any]) -> list[str]:
    """Return the names of an object's fields."""
    if "$ref" in schema:
        return fields_of(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    return list(schema.get("properties", {}))


@pytest.mark.parametrize("scope", ["read", "write", "admin"])
async def test_the_form_is_there_for_whom_the_api_lets_in(
    browser: Browser, booper: Booper, api: Api, keys: dict[str, str], scope: str
) -> None:
    """Whoever sees no form is refused by the API, and by the page as well."""
    operations = await described(api)
    await browser.sign_in(keys[scope])
    offered = 0
    async with Api(booper.asgi, keys[scope]) as own:
        for each in operations:
            is_offered = "try-form" in (await browser.see(each.page)).ids
            offered += is_offered
            if is_offered:
                continue
            refused = await browser.submit(each.page, {"body": "{}"})
            if each.is_json:
                response = await own.request(each.method, each.target)
                assert (response.status_code, refused.status_code) == (403, 403), each.page
            else:
                assert refused.status_code == 409
    assert offered == sum(each.is_json for each in operations) or scope != "admin"
    assert 0 < offered < len(operations)


async def test_nobody_in_particular_sees_a_form(browser: Browser, api: Api) -> None:
    """But a link to the sign-in, which leads back."""
    page = await browser.see("/docs/api/jobs/get_jobs")
    assert "try-form" not in page.ids
    assert "/sign-in?next=%2Fdocs%2Fapi%2Fjobs%2Fget_jobs" in page.values("a", "href")
    response = await browser.submit("/docs/api/jobs/get_jobs")
    assert response.headers["location"] == "/sign-in"


async def test_what_is_read_is_what_the_api_returns(
    browser: Browser, api: Api, keys: dict[str, str]
) -> None:
    """Of each operation that only reads and needs no id: status and body."""
    await api.create(schedule_in=60)
    await browser.sign_in(KEY)
    found = [each for each in await described(api) if each.method == "GET" and each.is_json]
    unsteady = ("/openapi.json", "/api/status", "/api/rates")  # long, or of the moment
    plain = [each for each in found if "{" not in each.path and each.path not in unsteady]
    assert len(plain) >= 8
    for each in plain:
        response = await api.get(each.path)
        shown = await tried(browser, each.page, {})
        assert f"{response.status_code} {response.reason_phrase}" in shown.text
        assert json.loads(shown.inside("response-body")) == response.json(), each.path


async def tried(browser: Browser, page: str, fields: dict[str, str]) -> Seen:
    """Return the page after an operation was tried."""
    response = await browser.submit(page, fields)
    assert response.status_code == 200, response.text
    return Seen(response.text)


async def test_a_create_is_tried(browser: Browser, api: Api) -> None:
    """The form keeps what was typed; the response is the API's, with its headers."""
    await browser.sign_in(KEY)
    body = json.dumps({"url": URL, "schedule_in": 60, "body": {"big": 2**63}})
    shown = await tried(browser, "/docs/api/jobs/post_jobs", {"body": body})
    job = json.loads(shown.inside("response-body"))["data"]
    assert "201 Created" in shown.text
    assert f"location/api/jobs/{job['job_id']}" in shown.text
    assert (await api.read(f"/api/jobs/{job['job_id']}"))["args"]["body"] == {"big": 2**63}
    assert shown.inside("f-body") == body


async def test_a_dry_run_is_tried(browser: Browser, api: Api) -> None:
    """A parameter of the query; nothing is stored."""
    await browser.sign_in(KEY)
    fields = {"body": json.dumps({"url": URL}), "query.dry_run": "true"}
    shown = await tried(browser, "/docs/api/jobs/post_jobs", fields)
    assert "200 OK" in shown.text
    assert "POST /api/jobs?dry_run=true" in shown.text
    assert await api.read("/api/jobs") == []


@pytest.mark.parametrize(
    ("body", "status"),
    [("{", "400 Bad Request"), ('{"url": 7}', "422 Unprocessable"), ("", "400 Bad Request")],
)
async def test_what_the_api_refuses_is_shown(browser: Browser, body: str, status: str) -> None:
    """As the API responds."""
    await browser.sign_in(KEY)
    shown = await tried(browser, "/docs/api/jobs/post_jobs", {"body": body})
    assert status in shown.text
    assert json.loads(shown.inside("response-body"))["status"] == int(status[:3])


async def test_an_id_is_tried(browser: Browser, api: Api) -> None:
    """A parameter of the path; what is there is cancelled, what is not is 404."""
    await browser.sign_in(KEY)
    job_id = await api.create_id(schedule_in=60)
    page = "/docs/api/jobs/post_jobs_job_id_cancel"
    assert "200 OK" in (await tried(browser, page, {"path.job_id": str(job_id)})).text
    assert (await api.job(job_id))["state"] == "cancelled"
    for wrong in ("0", "", "1/../2", "%2e%2e"):
        assert "404 Not Found" in (await tried(browser, page, {"path.job_id": wrong})).text


async def test_a_deletion_is_asked_for_twice(browser: Browser) -> None:
    """Its button is behind another, without a script."""
    await browser.sign_in(KEY)
    page = await browser.see("/docs/api/keys/delete_keys_key_id")
    form = next(at for at, (_, found) in enumerate(page.elements) if found.get("id") == "try-form")
    names = page.names[form:]
    assert names.index("summary") < names.index("button")


async def test_another_users_job_is_not_there(
    browser: Browser, api: Api, keys: dict[str, str]
) -> None:
    """The operation is called with the visitor's own key."""
    job_id = await api.create_id(schedule_in=60)
    await browser.sign_in(keys["other"])
    page = "/docs/api/jobs/post_jobs_job_id_cancel"
    assert "404 Not Found" in (await tried(browser, page, {"path.job_id": str(job_id)})).text
    assert (await api.job(job_id))["state"] == "scheduled"


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": ""}])
async def test_no_other_site_tries_anything(
    browser: Browser, api: Api, headers: dict[str, str]
) -> None:
    """Not with a form, and not by a link, as nothing is tried by GET."""
    await browser.sign_in(KEY)
    body = json.dumps({"url": URL})
    response: httpx.Response = await browser.submit(
        "/docs/api/jobs/post_jobs", {"body": body}, headers=headers
    )
    assert response.status_code == 403
    await browser.get("/docs/api/jobs/post_jobs", params={"body": body})
    assert await api.read("/api/jobs") == []


PAGES = [
    ("/docs/api/jobs/post_jobs", ("body", "query.headers_from", "query.dry_run")),
    ("/docs/api/jobs/get_jobs_job_id", ("path.job_id",)),
    ("/docs/api/probes/post_echo", ("body",)),
]


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
async def test_what_is_typed_is_text(browser: Browser, text: str) -> None:
    """In the form, in the response, and in the command: no element more, nothing hidden."""
    await browser.sign_in(KEY)
    for page, names in PAGES:
        for typed in (text, json.dumps(text, ensure_ascii=False)):
            shown = await tried(browser, page, dict.fromkeys(names, typed))
            plain = await tried(browser, page, dict.fromkeys(names, "'harmless'"))
            known = [(name, sorted(found)) for name, found in plain.elements]
            more = [(name, sorted(found)) for name, found in shown.elements]
            assert [each for each in more if each not in known] == []
            assert not HIDDEN.search(shown.inside("response-body"))
            if "body" in names:
                assert shown.inside("f-body") == typed.replace("\r\n", "\n")
