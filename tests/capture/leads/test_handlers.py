"""What capture does with profile's news."""

from typing import Any
from uuid import UUID, uuid4

from services.capture.leads.handlers import ProfileNews
from services.shared.events import Event, Received
from services.shared.events.profiles import ProfileErased, ProfileLeadAccepted, ProfileMerged
from tests.capture.system import CaptureSystem


def news(event: Event) -> Received[Any]:
    from services.shared.clock import EPOCH
    from services.shared.events import Record

    record = Record("profile-events", 0, 0, "k", (), b"{}")
    return Received(event, uuid4(), EPOCH, "k", None, record)


class Profile:
    """Says things as profile does."""

    def __init__(self, capture: CaptureSystem) -> None:
        self._capture = capture
        self._spec = ProfileNews(capture.ground.clock).spec

    async def says(self, event: Event) -> None:
        handler = self._spec.handlers[type(event)]
        await self._capture.ground.database.transaction(lambda s: handler(s, [news(event)]))

    async def accepted(self, lead_id: UUID, profile_id: UUID) -> None:
        await self.says(
            ProfileLeadAccepted(
                profile_id=profile_id,
                lead_id=lead_id,
                bait_id=uuid4(),
                contact_keys=(),
                new=True,
            )
        )


class TestProfileNews:
    async def test_a_lead_gets_its_profile(self, capture: CaptureSystem) -> None:
        await capture.bait()
        lead_id = UUID((await capture.post()).json()["lead_id"])
        profile_id = uuid4()
        await Profile(capture).accepted(lead_id, profile_id)
        shown = await capture.client.get(f"/v1/leads/{lead_id}", headers=capture.admin)
        assert shown.json()["profile_id"] == str(profile_id)

    async def test_who_is_erased_leaves_nothing(self, capture: CaptureSystem) -> None:
        await capture.bait()
        await capture.post(contact={"email": "gone@shop.example"})
        await capture.post(contact={"email": "gone2@shop.example"})
        await capture.post(contact={"email": "stays@shop.example"})
        by_profile, by_key, other = await capture.leads()
        link = await capture.link()
        profile = Profile(capture)
        merged, survivor = uuid4(), uuid4()
        await profile.accepted(by_profile.id, merged)
        await profile.says(ProfileMerged(profile_id=survivor, merged_id=merged))
        for _ in range(2):
            await profile.says(
                ProfileErased(profile_id=survivor, contact_keys=(by_key.contact_key,))
            )
        leads = {lead.id: lead for lead in await capture.leads()}
        for lead_id in (by_profile.id, by_key.id):
            assert leads[lead_id].document == "{}"
            assert leads[lead_id].contact_key == ""
            assert leads[lead_id].revoked_at is not None
        assert "stays@shop.example" in leads[other.id].document
        assert (await capture.client.get(link)).status_code == 200

    async def test_the_links_of_who_was_erased_are_gone(self, capture: CaptureSystem) -> None:
        await capture.bait()
        await capture.post()
        link = await capture.link()
        (lead,) = await capture.leads()
        await Profile(capture).says(
            ProfileErased(profile_id=uuid4(), contact_keys=(lead.contact_key,))
        )
        for method in ("GET", "POST"):
            assert (await capture.client.request(method, link)).status_code == 410
