"""Keys and sessions: who has which scope, until when, and how soon everybody hears of an end."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import get_args

import pytest

from services.shared.auth.keys import Keys, Scope
from services.shared.auth.models import OperatorSession
from services.shared.clock import VirtualClock
from services.shared.database.sqlite import SqliteDatabase
from services.shared.errors import Unauthenticated
from services.shared.ids import Ids
from tests.contract.bus.stands import bytes_on_disk
from tests.ground import sqlite_database


class Store:
    """The auth store, as two services have it."""

    def __init__(self, database: SqliteDatabase) -> None:
        self.clock = VirtualClock()
        self.database = database
        self.keys = Keys(database, self.clock, Ids(self.clock))
        self.elsewhere = Keys(database, self.clock, Ids(self.clock))

    async def id_of(self, name: str) -> object:
        return next(key.id for key in await self.keys.listing() if key.name == name)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    database = sqlite_database(tmp_path / "auth.sqlite", "auth")
    yield Store(database)
    await database.close()


async def test_a_key_may_what_its_scopes_say_and_admin_may_all_but_speak_as_a_service(
    store: Store,
) -> None:
    for scope in get_args(Scope):
        caller = await store.keys.caller(await store.keys.create(scope, [scope]))
        allowed = {other for other in get_args(Scope) if caller.may(other)}
        everything = {"admin", "read", "leads", "report"}
        assert allowed == (everything if scope == "admin" else {scope})


async def test_secrets_are_long_random_and_kept_as_hashes_only(
    store: Store, tmp_path: Path
) -> None:
    secrets = {await store.keys.create("k", ["read"]) for _ in range(5)}
    assert len(secrets) == 5
    assert all(secret.startswith("bw_") and len(secret) >= 40 for secret in secrets)
    stored = bytes_on_disk(tmp_path / "auth.sqlite")
    assert not any(secret.encode() in stored for secret in secrets)


@pytest.mark.parametrize("secret", ["", "bw_nothing", "bw_\x00", "\ud800", "x" * 100_000])
async def test_what_is_no_key_is_refused(store: Store, secret: str) -> None:
    await store.keys.create("k", ["read"])
    for _ in range(2):  # the second answer comes from the cache
        with pytest.raises(Unauthenticated):
            await store.keys.caller(secret)


async def test_scopes_that_do_not_exist_are_refused(store: Store) -> None:
    for scopes in ([], ["root"], ["read", "write"]):
        with pytest.raises(ValueError, match="scopes are"):
            await store.keys.create("k", scopes)  # type: ignore[arg-type]
    assert await store.keys.listing() == []


async def test_a_revoked_key_is_refused_here_at_once_and_everywhere_within_five_seconds(
    store: Store,
) -> None:
    secret = await store.keys.create("k", ["admin"])
    cookie = await store.keys.log_in(secret)
    for keys in (store.keys, store.elsewhere):
        await keys.caller(secret)
        await keys.caller(cookie)
    assert await store.keys.revoke(await store.id_of("k"))  # type: ignore[arg-type]
    for word in (secret, cookie):
        with pytest.raises(Unauthenticated):
            await store.keys.caller(word)
    await store.elsewhere.caller(secret)  # it has not heard of it
    store.clock.advance(5.1)
    for word in (secret, cookie):
        with pytest.raises(Unauthenticated):
            await store.elsewhere.caller(word)
    assert not await store.keys.revoke(await store.id_of("k"))  # type: ignore[arg-type]


async def test_a_new_key_is_known_everywhere_within_five_seconds(store: Store) -> None:
    secret = "bw_told beforehand"
    with pytest.raises(Unauthenticated):
        await store.elsewhere.caller(secret)
    await store.keys.create("k", ["read"], secret)
    store.clock.advance(5.1)
    assert (await store.elsewhere.caller(secret)).name == "k"


async def test_look_ups_are_cached_and_a_flood_of_wrong_keys_is_bounded(store: Store) -> None:
    secret = await store.keys.create("k", ["read"])
    first = await store.keys.caller(secret)
    assert await store.keys.caller(secret) is first
    for number in range(2500):
        with pytest.raises(Unauthenticated):
            await store.keys.caller(f"bw_{number}")
    assert len(store.keys._cache) <= 1000
    assert await store.keys.caller(secret) == first


async def test_a_session_acts_with_the_scopes_of_its_key_until_it_ends(store: Store) -> None:
    cookie = await store.keys.log_in(await store.keys.create("ops", ["read"]))
    caller = await store.keys.caller(cookie)
    assert caller.session_id is not None
    assert caller.may("read")
    assert not caller.may("admin")
    store.clock.advance(timedelta(days=13, hours=23).total_seconds())
    await store.keys.caller(cookie)
    store.clock.advance(timedelta(hours=2).total_seconds())
    with pytest.raises(Unauthenticated):
        await store.keys.caller(cookie)


async def test_logging_out_ends_a_session(store: Store) -> None:
    cookie = await store.keys.log_in(await store.keys.create("ops", ["admin"]))
    await store.keys.caller(cookie)
    await store.keys.log_out(cookie)
    with pytest.raises(Unauthenticated):
        await store.keys.caller(cookie)


@pytest.mark.parametrize("scope", ["leads", "report", "internal"])
async def test_only_people_log_in(store: Store, scope: Scope) -> None:
    with pytest.raises(Unauthenticated):
        await store.keys.log_in(await store.keys.create("k", [scope]))


async def test_a_session_opens_no_session(store: Store) -> None:
    cookie = await store.keys.log_in(await store.keys.create("ops", ["admin"]))
    with pytest.raises(Unauthenticated):
        await store.keys.log_in(cookie)


async def test_sessions_that_ran_out_are_not_kept_for_ever(store: Store) -> None:
    secret = await store.keys.create("ops", ["admin"])
    for _ in range(3):
        await store.keys.log_in(secret)
    store.clock.advance(timedelta(days=15).total_seconds())
    await store.keys.log_in(secret)
    kept = await store.database.read(
        lambda s: len(s.execute(OperatorSession.__table__.select()).all())  # type: ignore[attr-defined]
    )
    assert kept == 1
