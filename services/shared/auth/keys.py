"""The auth store: makes, finds and revokes keys and sessions. Look-ups are cached for up to 5 s."""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, get_args
from uuid import UUID

from sqlalchemy import update
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite
from sqlmodel import Session, col, delete, select

from services.shared.auth.models import ApiKey, OperatorSession
from services.shared.clock import Clock
from services.shared.database import Database
from services.shared.errors import Unauthenticated
from services.shared.ids import Ids

Scope = Literal["admin", "read", "leads", "report", "internal"]
SCOPES: tuple[str, ...] = get_args(Scope)

_CACHE_SECONDS = 5.0
_CACHE_SIZE = 1000
_SESSION = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: a key (or an operator's session made with it) and what it may do."""

    key_id: UUID
    name: str
    scopes: frozenset[str]
    session_id: UUID | None = None

    def may(self, scope: Scope) -> bool:
        """Admin may all but speak as a service; a key of scope internal may only that."""
        if scope in self.scopes:
            return True
        return "admin" in self.scopes and scope != "internal"


class Keys:
    """The store of keys and sessions."""

    def __init__(self, database: Database, clock: Clock, ids: Ids) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids
        self._cache: dict[str, tuple[float, Caller | None]] = {}

    async def create(self, name: str, scopes: Sequence[Scope], secret: str | None = None) -> str:
        """Make a key; the secret is shown this once. Raises ValueError for an unknown scope."""
        wrong = [scope for scope in scopes if scope not in SCOPES]
        if wrong or not scopes:
            raise ValueError(f"scopes are: {', '.join(SCOPES)}")
        secret = secret or f"bw_{secrets.token_urlsafe(32)}"
        key = ApiKey(
            id=self._ids.new(),
            name=name,
            secret_hash=_hash(secret),
            scopes=list(scopes),
            created_at=self._clock.now(),
        )
        await self._database.transaction(lambda session: session.add(key))
        return secret

    async def ensure(self, name: str, scopes: Sequence[Scope], secret: str) -> None:
        """Make a key with a given secret, unless it is there."""
        row = {
            "id": self._ids.new(),
            "name": name,
            "secret_hash": _hash(secret),
            "scopes": list(scopes),
            "created_at": self._clock.now(),
        }

        def work(session: Session) -> None:
            dialect = session.get_bind().dialect.name
            insert = insert_postgresql if dialect == "postgresql" else insert_sqlite
            # four services start at once, and each makes sure of the same key
            session.execute(insert(ApiKey).values(row).on_conflict_do_nothing())

        await self._database.transaction(work)

    async def listing(self) -> Sequence[ApiKey]:
        """All keys, also revoked ones."""
        return await self._database.read(
            lambda session: session.exec(select(ApiKey).order_by(col(ApiKey.created_at))).all()
        )

    async def revoke(self, key_id: UUID) -> bool:
        """End a key and its sessions; False when there is none."""

        def work(session: Session) -> bool:
            result = session.execute(
                update(ApiKey)
                .where(col(ApiKey.id) == key_id, col(ApiKey.revoked_at).is_(None))
                .values(revoked_at=self._clock.now())
            )
            session.execute(delete(OperatorSession).where(col(OperatorSession.key_id) == key_id))
            return bool(result.rowcount)  # type: ignore[attr-defined]  # a CursorResult

        ended = await self._database.transaction(work)
        self._cache.clear()
        return ended

    async def caller(self, secret: str) -> Caller:
        """Who has this key or session cookie. Raises `Unauthenticated`."""
        hashed = _hash(secret)
        cached = self._cache.get(hashed)
        if cached is None or self._clock.monotonic() - cached[0] > _CACHE_SECONDS:
            found = await self._database.read(lambda session: self._find(session, hashed))
            if len(self._cache) >= _CACHE_SIZE:
                self._cache.clear()
            cached = (self._clock.monotonic(), found)
            self._cache[hashed] = cached
        if cached[1] is None:
            raise Unauthenticated
        return cached[1]

    async def log_in(self, secret: str) -> str:
        """Open an operator session with a key of scope admin or read; the cookie's value.

        Raises `Unauthenticated`.
        """
        caller = await self.caller(secret)
        if caller.session_id is not None or not caller.scopes & {"admin", "read"}:
            raise Unauthenticated
        cookie = f"bws_{secrets.token_urlsafe(32)}"
        now = self._clock.now()
        opened = OperatorSession(
            id=self._ids.new(),
            secret_hash=_hash(cookie),
            key_id=caller.key_id,
            created_at=now,
            expires_at=now + _SESSION,
        )

        def work(session: Session) -> None:
            session.execute(delete(OperatorSession).where(col(OperatorSession.expires_at) <= now))
            session.add(opened)

        await self._database.transaction(work)
        return cookie

    async def log_out(self, cookie: str) -> None:
        """End a session."""
        await self._database.transaction(
            lambda session: session.execute(
                delete(OperatorSession).where(col(OperatorSession.secret_hash) == _hash(cookie))
            )
        )
        self._cache.pop(_hash(cookie), None)

    def _find(self, session: Session, hashed: str) -> Caller | None:
        key = session.exec(select(ApiKey).where(ApiKey.secret_hash == hashed)).first()
        opened = None
        if key is None:
            opened = session.exec(
                select(OperatorSession).where(OperatorSession.secret_hash == hashed)
            ).first()
            if opened is None or opened.expires_at <= self._clock.now():
                return None
            key = session.get(ApiKey, opened.key_id)
        if key is None or key.revoked_at is not None:
            return None
        return Caller(key.id, key.name, frozenset(key.scopes), opened.id if opened else None)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
