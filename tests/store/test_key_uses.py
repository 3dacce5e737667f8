"""When keys were last used: noted in memory, shown at once, and written when that is asked for."""

from datetime import datetime, timedelta

import pytest

from booper.model.key import ApiKey
from booper.store.base import Store
from tests.conftest import START
from tests.support import stores
from tests.support.stores import MINUTE, SECOND, Restart, key

pytestmark = pytest.mark.anyio

opening, process, store, restart = stores.opening, stores.process, stores.store, stores.restart


@pytest.fixture
async def used(store: Store) -> ApiKey:
    """Return a key."""
    return await store.keys.create(key("hers", user="alice"), START)


async def uses(store: Store) -> list[datetime | None]:
    """Return when each key was last used."""
    return [each.last_used_at for each in await store.keys.list()]


async def write(store: Store) -> int:
    """Write what is new; return how many changes that took."""
    before = store.vitals.commits.sizes.read().total
    await store.keys.write_uses()
    return int(store.vitals.commits.sizes.read().total - before)


async def test_a_key_that_was_not_used_has_no_last_use(store: Store, used: ApiKey) -> None:
    """Nor does writing give it one, or write at all."""
    assert used.last_used_at is None
    assert await write(store) == 0
    assert await uses(store) == [None]


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        ([timedelta(0)], timedelta(0)),
        ([timedelta(seconds=59, microseconds=999_999)], timedelta(0)),
        ([MINUTE], MINUTE),
        ([SECOND, 90 * SECOND], MINUTE),
        ([5 * MINUTE, MINUTE], MINUTE),  # the clock was wrong and is set back
        ([-SECOND], -MINUTE),
    ],
)
async def test_the_last_use_is_shown_to_the_minute_before_and_after_it_is_written(
    store: Store,
    used: ApiKey,
    restart: Restart,
    after: list[timedelta],
    expected: timedelta,
) -> None:
    """`START` is a whole minute; seconds are cut off, never rounded up."""
    assert (START.second, START.microsecond) == (0, 0)
    for duration in after:
        store.keys.note_use(used, START + duration)
    assert await uses(store) == [START + expected]
    assert await write(store) == 1
    assert await uses(store) == [START + expected]
    assert await uses(await restart()) == [START + expected]


async def test_uses_in_one_minute_are_written_once(store: Store, used: ApiKey) -> None:
    """Of many keys by one change; later uses in a written minute are nothing new."""
    other = await store.keys.create(key("other"), START)
    written = []
    for seconds in (0, 30, 59, 60, 61):
        store.keys.note_use(used, START + seconds * SECOND)
        store.keys.note_use(other, START + seconds * SECOND)
        written.append(await write(store))
    assert written == [1, 0, 0, 1, 0]
    assert await uses(store) == [START + MINUTE] * 2


async def test_a_clock_that_is_set_back_moves_what_was_written(
    store: Store, used: ApiKey, restart: Restart
) -> None:
    """Else a key would have been used in the future until that comes."""
    for minutes in (10, 2):
        store.keys.note_use(used, START + minutes * MINUTE)
        assert await write(store) == 1
    assert await uses(await restart()) == [START + 2 * MINUTE]


async def test_more_keys_than_a_statement_takes_are_all_written(
    store: Store, restart: Restart
) -> None:
    """Each with its own minute, and no other key."""
    made = [
        await store.keys.create(key(str(number)), START + number * SECOND) for number in range(150)
    ]
    for number, each in enumerate(made[:-1]):
        store.keys.note_use(each, START + number * MINUTE)
    assert await write(store) == 1
    expected = [*(START + number * MINUTE for number in range(149)), None]
    assert await uses(await restart()) == expected


async def test_a_revoked_key_keeps_its_last_use(
    store: Store, used: ApiKey, restart: Restart
) -> None:
    """Whether it was written before the revoke or not."""
    other = await store.keys.create(key("other"), START + SECOND)
    store.keys.note_use(used, START)
    await write(store)
    store.keys.note_use(other, START + MINUTE)
    revoked = [await store.keys.revoke(each.id, START + 2 * MINUTE) for each in (used, other)]
    assert [each.last_used_at for each in revoked] == [START, START + MINUTE]
    await write(store)
    assert await (await restart()).keys.list() == revoked


async def test_a_session_knows_what_was_written_of_its_key(store: Store, used: ApiKey) -> None:
    """Its own last use is another."""
    await store.sessions.add(b"a" * 32, used.id, START + MINUTE)
    store.keys.note_use(used, START)
    await write(store)
    found = await store.sessions.find(b"a" * 32)
    assert found is not None
    assert (found.key.last_used_at, found.last_used_at) == (START, START + MINUTE)
