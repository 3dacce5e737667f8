"""Jobs that nobody thought of, and a target that answers anything."""

from random import Random
from typing import Any

import httpx
import msgspec
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.support.target import FakeTarget

# What a user may come upon: text with every character, names that mean something to booper.
TEXT = st.one_of(
    st.text(max_size=20),
    st.sampled_from(["$previous.a", "$state.a.0", "$job.id", "$job", "$$", "$", "\r\nX: y", "é"]),
)
VALUE = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), TEXT),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
URL = st.one_of(
    st.sampled_from(["https://target.test/", "http://target.test:1/é?a=%zz#f", "https://ü.test"]),
    st.builds("https://target.test/{}".format, TEXT),
    st.builds("https://{}/".format, st.text(min_size=1, max_size=10)),
)
NAME = st.sampled_from(["X-A", "Content-Type", "cookie", "User-Agent", "Booper-Job-Id"]) | TEXT
DURATION = st.one_of(
    st.integers(0, 10_000),
    st.floats(0, 1e9),
    st.tuples(st.integers(1, 99), st.sampled_from(["seconds", "minutes", "weeks"])),
)
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "method": st.sampled_from(["get", "Post", "PUT", "patch", "delete"]),
    "query": st.dictionaries(TEXT, VALUE, max_size=3),
    "headers": st.dictionaries(NAME, TEXT | st.integers(), max_size=3),
    "body": VALUE,
    "idempotency_key": TEXT,
    "callback_url": URL,
    "webhook_url": URL,
    "name": TEXT,
    "max_attempts": st.integers(1, 20),
    "backoff": st.just("exponential") | st.lists(DURATION, min_size=1, max_size=3),
    "timeout": st.floats(0.001, 900),
    "follow_redirects": st.booleans(),
    "expect_status": st.lists(st.sampled_from([200, 404, 599, "2xx", "3xx"]), min_size=1),
    "tags": st.lists(TEXT, max_size=2),
    "schedule_in": DURATION,
}
# A schedule in its own right ends after a few runs, or the virtual days would take real ones.
RECURRING: dict[str, st.SearchStrategy[Any]] = {
    "jitter": DURATION,
    "overlap": st.sampled_from(["skip", "queue", "allow"]),
    "misfire": st.sampled_from(["latest", "skip", "all"]),
    "metadata": st.booleans(),
}
RUNS = {"max_runs": st.integers(1, 3)}
EVERY = {"repeat_every": DURATION}
CRON = {"cron": st.sampled_from(["* * * * *", "0 9 * * 1-5", "@hourly", "30 2 29 2 *"])}
BODIES = st.one_of(
    st.fixed_dictionaries({"url": URL}, optional=FIELDS),
    st.fixed_dictionaries({"url": URL, **EVERY, **RUNS}, optional={**FIELDS, **RECURRING}),
    st.fixed_dictionaries({"url": URL, **CRON, **RUNS}, optional={**FIELDS, **RECURRING}),
)


def bodies(count: int) -> list[bytes]:
    """Return made-up bodies of creates, the same ones each time."""
    found: list[bytes] = []

    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(BODIES)
    def collect(body: dict[str, Any]) -> None:
        found.append(msgspec.json.encode(body))

    collect()
    return found


class Capricious(FakeTarget):
    """A target that answers anything."""

    def __init__(self, random: Random) -> None:
        super().__init__()
        self._random = random

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer or fail by chance."""
        self.received.append(request)
        response = self._random.choice(ANSWERS)
        if isinstance(response, Exception):
            raise response
        status, headers, content = response
        return httpx.Response(status, headers=headers, content=content)


AS_JSON = [(b"Content-Type", b"application/json")]
ANSWERS: list[Exception | tuple[int, list[tuple[bytes, bytes]], bytes]] = [
    httpx.ConnectError("refused"),
    httpx.ReadError(""),
    httpx.RemoteProtocolError("malformed"),
    (200, [], b""),
    (200, AS_JSON, b'{"a": 1, "$set": {"a": [1, {"b": null}], "": "$state.a"}}'),
    (200, AS_JSON, b'{"$set": 1}'),
    (200, AS_JSON, b"[" * 5_000 + b"]" * 5_000),
    (200, AS_JSON, b'"\\ud800"'),
    (204, [(b"X", b"\xff\xfe")], b""),
    (302, [(b"Location", b"http://[::1")], b""),
    (302, [(b"Location", b"https://target.test/\xff\r")], b""),
    (307, [(b"Location", b"//\x00@/")], b""),
    (404, [], b"\x00\xff" * 100),
    (410, [], b""),
    (429, [(b"Retry-After", b"9" * 400)], b""),
    (503, [(b"Retry-After", b"Thu, 31 Dec 9999 23:59:60 GMT")], b""),
    (999, [], b""),
]
