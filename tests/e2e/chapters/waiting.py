"""Conditions that several chapters wait for."""

from tests.e2e.api import JSON, until
from tests.e2e.scene import Person, Scene


async def profile_of(scene: Scene, person: Person) -> JSON:
    """The profile of a person, as soon as there is one."""
    found: JSON = await until(
        lambda: scene.api.profile_of(person.email), bool, f"the profile of {person.name}"
    )
    return found


async def lead_of(scene: Scene, person: Person) -> str:
    """The id of the lead that a person left by a form, as their timeline tells it."""
    profile = await profile_of(scene, person)
    timeline = await scene.api.get(f"/v1/profiles/{profile['id']}/timeline")
    leads = [item for item in timeline["items"] if "lead_id" in item["details"]]
    assert leads, timeline
    lead_id: str = leads[0]["details"]["lead_id"]
    return lead_id
