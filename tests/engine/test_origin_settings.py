"""Settings of one origin, or of all origins of a host: `[origins."https://api.example.com"]`."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from booper.app import Booper
from booper.config import Config, Delivery, Origin, read_config
from booper.errors import ConfigError
from tests.conftest import KEY
from tests.support.target import FakeTarget


def read(folder: Path, text: str) -> Config:
    """Read a configuration file of this text."""
    path = folder / "booper.toml"
    path.write_text(text, encoding="utf-8")
    return read_config(path, {})


def refusal(folder: Path, text: str) -> str:
    """Return what is said about a wrong file, in one line that names the file."""
    with pytest.raises(ConfigError) as caught:
        read(folder, text)
    message = str(caught.value)
    assert message.startswith(f"{folder / 'booper.toml'}: ")
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("https://api.example.com:8443", "https://api.example.com:8443"),
        ("https://API.example.com:443", "https://api.example.com"),
        ("https://api.example.com/", "https://api.example.com"),
        ("http://bücher.example", "http://xn--bcher-kva.example"),
        ("http://[0:0::1]:80", "http://[::1]"),
        ("api.example.com", "api.example.com"),
        ("API.example.com.", "api.example.com"),
        ("api.example.com:8443", "api.example.com:8443"),
        ("10.0.0.1", "10.0.0.1"),
        ("::1", "[::1]"),
        ("[::1]:8443", "[::1]:8443"),
        ("app:", "app:"),
    ],
)
def test_a_table_names_an_origin_or_a_host(tmp_path: Path, written: str, name: str) -> None:
    """Its name is read as URLs are, so that each spelling means the same origin."""
    config = read(tmp_path, f'[origins."{written}"]\nslots = 4\n')
    assert config.origins == {name: Origin(slots=4)}
    assert Config(origins={written: Origin(slots=4)}).origins == config.origins


def test_all_settings_of_an_origin_can_be_given(tmp_path: Path) -> None:
    """What is left out is None: it is as for all others."""
    config = read(
        tmp_path,
        """
        [origins."https://api.example.com"]
        slots = 4
        proxy = "http://user:p%40ss@proxy.example:3128"
        proxy_resolves = true
        ca = "ca.pem"
        cert = "client.pem"
        key = "client.key"
        verify = true
        [origins."api.example.com"]
        proxy = ""
        """,
    )
    assert config.origins == {
        "https://api.example.com": Origin(
            slots=4,
            proxy="http://user:p%40ss@proxy.example:3128",
            proxy_resolves=True,
            ca="ca.pem",
            cert="client.pem",
            key="client.key",
            verify=True,
        ),
        "api.example.com": Origin(proxy=""),
    }


ORIGIN = '[origins."https://a.example"]\n'


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (ORIGIN + "slots = 0", '[origins."https://a.example"] slots: expected a whole number from'),
        (ORIGIN + "slots = 10001", "a whole number from 1 to 10000, got 10001"),
        (ORIGIN + 'slots = "4"', "a whole number from 1 to 10000"),
        (ORIGIN + 'verify = "no"', "verify: expected true or false"),
        (ORIGIN + "proxy_resolves = 1", "proxy_resolves: expected true or false"),
        (ORIGIN + "ca = 5", "ca: expected text"),
        (ORIGIN + 'ca = ""', "the path of a PEM file"),
        (ORIGIN + 'cert = ""', "the path of a PEM file"),
        (ORIGIN + 'key = ""', "the path of a PEM file"),
        (ORIGIN + 'proxy = "proxy.example"', "the URL of an HTTP proxy"),
        (ORIGIN + "slot = 4", "unknown setting 'slot'; did you mean 'slots'?"),
        (ORIGIN + "per_host = 4", "unknown setting 'per_host'; did you mean 'slots'?"),
        (ORIGIN + 'cafile = "x"', "did you mean 'ca'?"),
        (ORIGIN + "tls_verify = true", "did you mean 'verify'?"),
        (ORIGIN + "insecure = true", "did you mean 'verify'?"),
        ('[origins."https://a.example/path"]\nslots = 4', "expected an origin such as"),
        ('[origins."https://a.example?q"]\nslots = 4', "expected an origin such as"),
        ('[origins."ftp://a.example"]\nslots = 4', "expected an origin such as"),
        ('[origins."*.example"]\nslots = 4', "expected an origin such as"),
        ('[origins."a b"]\nslots = 4', "expected an origin such as"),
        ('[origins.""]\nslots = 4', "expected an origin such as"),
        ('[origins."A.example"]\n[origins."a.example"]', "is there twice"),
        ("[origins]\nslots = 4", 'such as [origins."https://api.example.com:8443"]'),
        ("origins = 5", 'such as [origins."https://api.example.com:8443"]'),
        ('[origin."https://a.example"]\nslots = 4', "did you mean 'origins'?"),
    ],
)
def test_a_wrong_table_of_an_origin_is_refused(tmp_path: Path, text: str, told: str) -> None:
    """The message names the table and says what would be right."""
    assert told in refusal(tmp_path, text)


@pytest.mark.parametrize("table", ["delivery", 'origins."https://a.example"'])
def test_a_message_about_a_proxy_shows_no_password(tmp_path: Path, table: str) -> None:
    """A wrong URL of a proxy may have one."""
    for url in ('"https://jane:hunter2@proxy.example"', '"http://jane:hunter2@proxy.example/x"'):
        assert "hunter2" not in refusal(tmp_path, f"[{table}]\nproxy = {url}")


@pytest.mark.parametrize("value", [5, [], {"https://a.example": {"slots": 4}}, {5: Origin()}])
def test_origins_in_python_are_tables_by_name(value: Any) -> None:
    """What is none is told, and what it would be."""
    with pytest.raises(ConfigError, match="origin"):
        Config(origins=value)


@pytest.mark.anyio
async def test_an_origin_has_its_own_number_of_slots(config: Config, target: FakeTarget) -> None:
    """An origin's table goes before its host's, and both before `per_host`."""
    slots = {
        "https://a.test:8443": Origin(slots=1),
        "a.test": Origin(slots=2),
        "b.test": Origin(slots=4),
    }
    settings = Config(
        database=config.database,
        targets=config.targets,
        delivery=Delivery(per_host=3),
        origins=slots,
    )
    urls = ["https://a.test:8443/", "https://a.test/", "http://a.test/", "https://b.test/"]
    target.hold()
    async with (
        Booper(settings, api_key=KEY, transport=target) as booper,
        httpx.AsyncClient(
            transport=httpx.ASGITransport(booper.asgi),
            base_url="http://booper.test",
            headers={"Authorization": f"Bearer {KEY}"},
        ) as api,
    ):
        jobs = [{"url": url} for url in [*urls, "https://c.test/"] for _ in range(6)]
        await api.post("/api/jobs/batch", json={"jobs": jobs})
        while len(target.received) < 1 + 2 + 2 + 4 + 3:
            target.arrived.clear()
            await target.arrived.wait()
        sent = [str(request.url) for request in target.received]
        target.release()
        await booper.wait_idle()
    expected = dict(zip([*urls, "https://c.test/"], (1, 2, 2, 4, 3), strict=True))
    assert {url: sent.count(url) for url in expected} == expected
    assert len(target.received) == len(jobs)
