"""Numbers that no reference changes are sent with the text with which they came (RFC 8259 §6)."""

from datetime import timedelta
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.json import encode

from booper.app import Booper
from booper.clock import VirtualClock
from booper.model import exact
from tests.support.target import FakeTarget

pytestmark = pytest.mark.anyio

URL = "https://target.test/hook"
JSON = {"Content-Type": "application/json"}

NUMBERS = [
    "1.10",
    "0.1234567890123456789",
    "100000000000000000000.01",
    "100000000000000000000000",
    "18446744073709551616",
    "-0",
    "-0.0",
    "0.0",
    "1.0",
    "1E5",
    "1e+5",
    "1.50E-10",
    "2.2250738585072014e-308",
    "1e-400",
    "9007199254740993",
]


@pytest.mark.parametrize("number", NUMBERS)
def test_a_number_keeps_its_text(number: str) -> None:
    """Alone, in a list and in an object, beside strings that look like it."""
    for text in (number, f"[{number},1]", f'{{"{number}":{number},"a":"\\"{number},"}}'):
        assert encode(exact.decode(text)).decode() == text


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers())
def test_every_number_keeps_its_text(number: float) -> None:
    """As Python writes it, in a list behind a string that ends in a backslash."""
    text = f'["\\\\",{number!r}]'
    assert encode(exact.decode(text)).decode() == text


async def post(api: httpx.AsyncClient, path: str, text: str) -> dict[str, Any]:
    """Post JSON text as it is; return what was made."""
    response = await api.post(path, content=text, headers=JSON)
    assert response.is_success, response.text
    data: dict[str, Any] = response.json()["data"]
    return data


def create(number: str, timing: str) -> str:
    """Return the JSON of a create with a number in its body, its query and a header."""
    return (
        f'{{"method":"post","url":"{URL}","body":{{"n":{number},"ref":"$state.none",'
        f'"list":[{number}]}},"query":{{"q":{number},"l":[{number}]}},"headers":{{"X-N":{number}}},'
        f'"metadata":false{timing}}}'
    )


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("timing", ["", ',"repeat_every":60', ',"cron":"* * * * *"'])
async def test_a_run_sends_what_a_one_off_sends(
    booper: Booper,
    api: httpx.AsyncClient,
    clock: VirtualClock,
    target: FakeTarget,
    number: str,
    timing: str,
) -> None:
    """Body, query and headers; GET shows the same, and the log too."""
    made = await post(api, "/api/jobs", create(number, timing))
    clock.advance(timedelta(minutes=1))
    await booper.wait_idle()
    sent = target.received[0]
    ref = "null" if timing else '"$state.none"'
    assert sent.read().decode() == f'{{"n":{number},"ref":{ref},"list":[{number}]}}'
    assert sent.url.params.get_list("q") + sent.url.params.get_list("l") == [number] * 2
    assert sent.headers["x-n"] == number
    shown = (await api.get(f"/api/jobs/{made['job_id']}")).text
    assert f'"q":{number},"l":[{number}]' in shown
    assert f'"X-N":{number}' in shown
    assert f'"n":{number}' in (await api.get("/api/logs?event=worker.http.request")).text


@pytest.mark.parametrize("number", NUMBERS)
async def test_what_a_target_answers_comes_back_as_it_was(
    booper: Booper, api: httpx.AsyncClient, clock: VirtualClock, target: FakeTarget, number: str
) -> None:
    """`$previous` and `$state` keep the text too, by reference and as metadata, and when merged."""
    response = f'{{"n":{number},"$set":{{"kept":{number}}}}}'
    target.respond(httpx.Response(200, content=response.encode()))
    text = f'{{"method":"post","url":"{URL}","repeat_every":60,'
    text += '"body":{"p":"$previous.n","s":"$state.kept"},"query":{"q":"$previous.n"}}'
    await post(api, "/api/jobs", text)
    await booper.wait_idle()
    target.respond(httpx.Response(200, content=b'{"$set":{"other":1}}'))
    clock.advance(timedelta(minutes=1))
    await booper.wait_idle()
    sent = target.received[1]
    assert f'"p":{number},"s":{number}' in sent.read().decode()
    assert f'"$previous":{response},"$state":{{"kept":{number}}}' in sent.read().decode()
    assert sent.url.params["q"] == number
    clock.advance(timedelta(minutes=1))
    await booper.wait_idle()
    assert f'"$state":{{"kept":{number},"other":1}}' in target.received[2].read().decode()


@pytest.mark.parametrize("number", NUMBERS)
async def test_every_way_of_giving_a_body_keeps_it(
    booper: Booper, api: httpx.AsyncClient, clock: VirtualClock, target: FakeTarget, number: str
) -> None:
    """Batch, PATCH, replace and a run with another body."""
    schedule = f'"method":"post","url":"{URL}","repeat_every":60,"metadata":false'
    body = f'"body":{{"n":{number},"r":"$job.none"}}'
    batch = f'{{"jobs":[{{{schedule},{body},"tags":["batch"]}}]}}'
    assert (await api.post("/api/jobs/batch", content=batch, headers=JSON)).status_code == 201
    patched = await post(api, "/api/jobs", f'{{{schedule},"body":{{}}}}')
    path = f"/api/schedules/{patched['schedule_id']}"
    key = '"idempotency_key":"k","on_conflict":"replace"'
    await post(api, "/api/jobs", f'{{{schedule},{key},"body":{{}}}}')
    await booper.wait_idle()
    target.received.clear()
    response = await api.patch(path, content=f"{{{body}}}", headers=JSON)
    assert response.status_code == 200
    await post(api, "/api/jobs", f"{{{schedule},{key},{body}}}")
    await post(api, f"{path}/run", f"{{{body}}}")
    await booper.wait_idle()
    clock.advance(timedelta(minutes=1))
    await booper.wait_idle()
    sent = [request.read().decode() for request in target.received]
    assert sent == [f'{{"n":{number},"r":null}}'] * 4


@pytest.mark.parametrize("number", ["1e999", "-1e400", "1.0e309"])
async def test_what_no_double_can_hold_is_refused_as_before(
    booper: Booper, api: httpx.AsyncClient, target: FakeTarget, number: str
) -> None:
    """In a create it is malformed; in a response it leaves `$previous` empty."""
    for field in ("body", "query"):
        text = f'{{"url":"{URL}","repeat_every":60,"{field}":{{"n":{number}}}}}'
        response = await api.post("/api/jobs", content=text, headers=JSON)
        assert response.status_code == 400
    with pytest.raises(ValueError):  # noqa: PT011 - msgspec's, whose class matters to nobody
        exact.decode(number)
