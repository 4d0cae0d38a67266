"""Push's view of people made anew: the same people, nobody who is gone."""

from datetime import timedelta

from services.push.reach.rebuilding import begin_anew
from services.shared.bus import Partition
from services.shared.events.profiles import ProfileErased, ProfileMerged
from services.shared.runner import positions
from tests.push.deliveries.rig import LedgerRig, contact_key, profile
from tests.push.reach.test_handlers import changed, contacts, email, person, suppressed, take


async def test_the_states_of_before_make_the_same_view_and_bring_no_erased_person_back(
    rig: LedgerRig,
) -> None:
    now = rig.clock.now()
    states = [
        changed(now, 3, [email(1, now)]),
        changed(now, 1, [email(2, now)], profile_id=profile(2)),
        changed(now, 1, [email(3, now)], profile_id=profile(3)),
    ]
    await take(rig, *states)
    await take(rig, ProfileMerged(merged_id=profile(2), profile_id=profile(1)))
    await take(rig, ProfileErased(profile_id=profile(3), contact_keys=(contact_key(3),)))
    where = Partition("profiles", 0), Partition("engagements", 0)
    for partition in where:
        await rig.database.transaction(
            lambda s, p=partition: positions.move(s, "push", p, None, 7)  # type: ignore[misc]
        )
    before = await contacts(rig)

    known = await rig.database.transaction(lambda s: begin_anew(s, "push"))
    assert known == 3
    # who asked for something can still be written to, but nobody has agreed to anything
    meanwhile = await contacts(rig)
    assert [row.address for row in meanwhile] == [row.address for row in before]
    assert {(row.marketing, row.agreed_at) for row in meanwhile} == {(None, None)}
    left = await rig.database.read(
        lambda s: positions.stored(s, "push", ("profiles", "engagements"))
    )
    assert left == {where[1]: 7}

    await take(rig, *states)
    assert await contacts(rig) == before
    assert (await person(rig, profile(1))).revision == 3
    assert (await person(rig, profile(2))).alias_of == profile(1)
    assert (await person(rig, profile(3))).erased_at == now
    assert await suppressed(rig) == {(contact_key(3), "erased")}


async def test_when_somebody_was_erased_stays_the_first_time_that_was_said(rig: LedgerRig) -> None:
    now = rig.clock.now()
    await take(rig, changed(now, 1, [email(1, now)]))
    erased = ProfileErased(profile_id=profile(1), contact_keys=(contact_key(1),))
    await take(rig, erased)
    rig.clock.advance(timedelta(hours=1).total_seconds())
    await take(rig, erased)
    assert (await person(rig, profile(1))).erased_at == now
