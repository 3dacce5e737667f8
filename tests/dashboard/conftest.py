"""What tests of the dashboard share: keys of each scope, and browsers that are signed in."""

from collections.abc import AsyncIterator

import pytest

from booper.app import Booper
from tests.support.api import Api
from tests.support.dashboard import Browser


@pytest.fixture
async def browser(booper: Booper) -> AsyncIterator[Browser]:
    """Return a browser that nobody has signed in with."""
    async with Browser(booper.asgi) as browser:
        yield browser


@pytest.fixture
async def keys(admin: Api) -> dict[str, str]:
    """Return a key of each scope of the first user, and one of another user, by their names."""
    found = {}
    for name, fields in {
        "read": {"scope": "read"},
        "write": {"scope": "write"},
        "admin": {"scope": "admin"},
        "other": {"scope": "write", "user": "bob"},
    }.items():
        found[name] = (await admin.act("/api/keys", {"name": name, **fields}))["key"]
    return found
