"""An erased person does not come back when old records are read again (found by R10)."""

from uuid import UUID, uuid4

from services.shared.clock import EPOCH
from services.shared.events import Received, Record, Tombstone
from services.shared.events.parts import ProfileContactPart, ProfileState
from services.shared.events.profiles import ProfileChanged, ProfileErased
from tests.metrics.bench import Bench

CAMPAIGN = UUID(int=21)
KEY = "c" * 40


def state(profile: UUID) -> ProfileChanged:
    contact = ProfileContactPart(
        channel="email", address="x", identity="x", contact_key=KEY, abuse_key="a"
    )
    now = "2026-03-02T04:00:00Z"
    values = {
        "profile_id": profile,
        "revision": 1,
        "language": "en",
        "timezone": None,
        "contacts": [contact],
        "consents": (),
        "fields": {},
        "tags": (),
        "created_at": now,
        "changed_at": now,
    }
    return ProfileChanged(state=ProfileState.model_validate(values))


async def gone(bench: Bench, profile: UUID) -> None:
    """The tombstone of a profile's states."""
    record = Record("profiles", 0, 1, str(profile), (), None)
    said = Received(Tombstone(), UUID(int=0), EPOCH, record.key, None, record)
    handler = bench.metrics.projections.handlers()[Tombstone]
    await bench.ground.database.transaction(lambda session: handler(session, [said]))


async def test_an_old_state_and_an_old_outcome_bring_nobody_back(bench: Bench) -> None:
    profile = uuid4()
    await bench.tell(state(profile))
    delivery = await bench.sent(CAMPAIGN, email="x@shop.example", profile_id=profile)
    key = bench.contact_key("x@shop.example")
    await bench.tell(ProfileErased(profile_id=profile, contact_keys=(KEY, key)))
    await bench.tell(state(profile))
    await bench.sent(CAMPAIGN, email="x@shop.example", profile_id=profile, delivery=delivery)
    await gone(bench, profile)

    def kept(session: object) -> str:
        from services.metrics.models import metadata

        tables = [table for table in metadata.sorted_tables if table.name != "outbox"]
        return str([session.execute(table.select()).all() for table in tables])  # type: ignore[attr-defined]

    found = await bench.ground.database.read(kept)
    for word in (str(profile), repr(profile), KEY, key):
        assert word not in found
