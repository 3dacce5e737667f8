"""What the dashboard reads of a store and writes to it: who is signed in."""

import pytest

from booper.model.key import ApiKey
from booper.model.session import MAX_IDLE
from booper.store.base import Store
from tests.conftest import START
from tests.support import stores
from tests.support.stores import MINUTE, Restart, key

pytestmark = pytest.mark.anyio

opening, process, store, restart = stores.opening, stores.process, stores.store, stores.restart

DIGEST, OTHER = b"a" * 32, b"b" * 32


@pytest.fixture
async def owned(store: Store) -> ApiKey:
    """Return a key that may open sessions."""
    return await store.keys.create(key("hers", user="alice"), START)


async def test_a_session_is_found_with_its_key(
    store: Store, owned: ApiKey, restart: Restart
) -> None:
    """Also by a later process; another digest finds nothing."""
    await store.sessions.add(DIGEST, owned.id, START)
    store = await restart()
    found = await store.sessions.find(DIGEST)
    assert found is not None
    assert (found.key, found.inserted_at, found.last_used_at) == (owned, START, START)
    assert await store.sessions.find(OTHER) is None


async def test_a_use_is_noted(store: Store, owned: ApiKey) -> None:
    """It moves `last_used_at` alone; of a session that is not there, nothing is noted."""
    await store.sessions.add(DIGEST, owned.id, START)
    await store.sessions.note_use(DIGEST, START + MINUTE)
    await store.sessions.note_use(OTHER, START + MINUTE)
    found = await store.sessions.find(DIGEST)
    assert found is not None
    assert (found.inserted_at, found.last_used_at) == (START, START + MINUTE)
    assert await store.sessions.find(OTHER) is None


async def test_a_removed_session_is_gone(store: Store, owned: ApiKey) -> None:
    """No other is; to remove it again changes nothing."""
    await store.sessions.add(DIGEST, owned.id, START)
    await store.sessions.add(OTHER, owned.id, START)
    await store.sessions.remove(DIGEST)
    await store.sessions.remove(DIGEST)
    assert await store.sessions.find(DIGEST) is None
    assert await store.sessions.find(OTHER) is not None


async def test_a_session_knows_that_its_key_is_revoked(store: Store, owned: ApiKey) -> None:
    """It is not open from then on."""
    await store.sessions.add(DIGEST, owned.id, START)
    await store.keys.revoke(owned.id, START + MINUTE)
    found = await store.sessions.find(DIGEST)
    assert found is not None
    assert found.key.revoked_at == START + MINUTE
    assert not found.is_open_at(START + MINUTE)


async def test_a_session_ends_when_it_is_not_used(store: Store, owned: ApiKey) -> None:
    """After 30 days it is not open; the next sign-in forgets it, and keeps the others."""
    await store.sessions.add(DIGEST, owned.id, START)
    await store.sessions.add(OTHER, owned.id, START)
    await store.sessions.note_use(OTHER, START + MINUTE)
    found = await store.sessions.find(DIGEST)
    assert found is not None
    assert found.is_open_at(START + MAX_IDLE - MINUTE)
    assert not found.is_open_at(START + MAX_IDLE)
    await store.sessions.add(b"c" * 32, owned.id, START + MAX_IDLE)
    assert await store.sessions.find(DIGEST) is None
    assert await store.sessions.find(OTHER) is not None
