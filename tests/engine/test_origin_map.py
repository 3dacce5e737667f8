"""The host map: requests to some origins go elsewhere, and nothing else of them changes."""

import pytest

from booper.engine.origin_map import OriginMap
from booper.errors import ConfigError

MAP = OriginMap.parse(
    ["https://api.example.com=http://localhost:3000", "http://b.test:81=https://[::1]:9"], {}
)


@pytest.mark.parametrize(
    ("url", "sent_to"),
    [
        ("https://api.example.com/a/b?c=d&e", "http://localhost:3000/a/b?c=d&e"),
        ("https://API.example.com:443", "http://localhost:3000/"),
        ("http://b.test:81/x", "https://[::1]:9/x"),
        ("http://api.example.com/", "http://api.example.com/"),
        ("https://api.example.com:444/", "https://api.example.com:444/"),
        ("https://example.com/", "https://example.com/"),
        ("http://b.test/", "http://b.test/"),
    ],
)
def test_an_origin_is_replaced_and_the_rest_stays(url: str, sent_to: str) -> None:
    """Scheme, host and port must be the same; path and query go along."""
    assert MAP.applied_to(url) == sent_to


def test_an_entry_replaces_booper_s_own() -> None:
    """What a developer says goes before what booper maps by itself."""
    own = {"https://scheduler.booper.dev": "http://127.0.0.1:1"}
    mapped = OriginMap.parse(["https://scheduler.booper.dev=http://127.0.0.1:2"], own)
    assert mapped.applied_to("https://scheduler.booper.dev/") == "http://127.0.0.1:2/"


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("https://a.test", "must be FROM=TO"),
        ("a.test=http://b.test", "must begin with https://"),
        ("https://a.test/path=http://b.test", "without a path"),
        ("https://a.test=http://b.test?c", "without a path"),
        ("https://a.test=", "must begin with https://"),
        ("https://a.test=http://b.test:x", "port must be a number"),
    ],
)
def test_a_bad_entry_says_what_would_be_right(entry: str, message: str) -> None:
    """Each error names the form, with an example, and what is wrong."""
    with pytest.raises(ConfigError, match=message) as raised:
        OriginMap.parse([entry], {})
    assert "https://api.example.com=http://localhost:3000" in str(raised.value)


def test_an_origin_goes_to_one_place() -> None:
    """Of two places neither is taken in silence; the same place twice is no contradiction."""
    first = "https://a.test=http://b.test"
    for spelling in ("https://a.test", "https://A.test:443/"):
        with pytest.raises(ConfigError, match=r"is mapped twice, to http://b\.test and to http:"):
            OriginMap.parse([first, f"{spelling}=http://c.test"], {})
    assert OriginMap.parse([first, first], {}).applied_to("https://a.test/") == "http://b.test/"
