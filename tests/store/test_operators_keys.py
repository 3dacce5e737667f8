"""Keys that an operator gives to booper, or that a first start makes."""

import pytest

from booper.model.key import NewKey
from booper.store.base import Store
from tests.conftest import START
from tests.support import stores
from tests.support.stores import MINUTE, key

pytestmark = pytest.mark.anyio

opening, process, store = stores.opening, stores.process, stores.store


async def test_a_first_key_is_made_once(store: Store) -> None:
    """It is prepared before it is there, and only where it comes to be."""
    prepared: list[str] = []
    made = await store.keys.create_first(key("first"), START, lambda: prepared.append("first"))
    assert await store.keys.list() == [made]
    assert prepared == ["first"]
    again = await store.keys.create_first(key("second"), START, lambda: prepared.append("second"))
    assert (again, prepared) == (None, ["first"])
    assert await store.keys.list() == [made]


async def test_a_first_key_that_cannot_be_prepared_is_not_made(store: Store) -> None:
    """The error is that of who prepares it."""

    def fail() -> None:
        raise RuntimeError("no room")

    with pytest.raises(RuntimeError, match="no room"):
        await store.keys.create_first(key("first"), START, fail)
    assert await store.keys.list() == []


async def test_a_revoked_key_was_a_first_one(store: Store) -> None:
    """Whoever revoked it wants no other to be made."""
    made = await store.keys.create(key("mine"), START)
    await store.keys.revoke(made.id, START)
    assert await store.keys.create_first(key("first"), START, lambda: None) is None


async def test_a_key_of_the_operator_is_made_once_and_found_afterwards(store: Store) -> None:
    """As it was, also after it was revoked."""
    made = await store.keys.ensure(key("given"), START)
    assert await store.keys.ensure(key("given"), START + MINUTE) == made
    revoked = await store.keys.revoke(made.id, START + MINUTE)
    assert await store.keys.ensure(key("given"), START + MINUTE) == revoked
    assert await store.keys.list() == [revoked]


async def test_a_key_that_nobody_was_given_is_left_by_nobody(store: Store) -> None:
    """It may have the name of those that are given: somebody made it, or moved it here."""
    made = await store.keys.create(NewKey("given", None, bytes(32)), START)
    await store.keys.revoke_left("given", START + MINUTE)
    assert await store.keys.list() == [made]


async def test_keys_that_nobody_was_given_are_replaced_at_once(store: Store) -> None:
    """Those of that name alone; what was revoked before stays as it is."""
    digests = [bytes([number]) * 32 for number in range(4)]
    old, gone, new = [
        await store.keys.create(NewKey("given", None, digest), START) for digest in digests[:3]
    ]
    other = await store.keys.create(NewKey("another", None, digests[3]), START)
    await store.keys.revoke(gone.id, START)
    await store.keys.revoke_replaced(new, START + MINUTE)
    revoked = {each.id: each.revoked_at for each in await store.keys.list()}
    assert revoked == {old.id: START + MINUTE, gone.id: START, new.id: None, other.id: None}
