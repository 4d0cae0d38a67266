"""People are found, a segment is made, a template is tried, campaigns go out to whom they may."""

from tests.e2e.api import JSON, until
from tests.e2e.chapters.collecting import CONSENT, PHONE, REPORT, SECRET
from tests.e2e.chapters.waiting import profile_of
from tests.e2e.mails import read, target_of
from tests.e2e.scene import Person, Scene

FIRST, SECOND = "春茶上新", "品鉴会"
OPERATOR = "operator@company.example"
MAY_GET = ("ann", "bo", "chen")
"""Verified, agreed, and did not take it back."""


async def find_people(scene: Scene) -> None:
    """Each is found by address, however it is typed, with consent, values and what happened."""
    for person in scene.people.values():
        profile = await profile_of(scene, person)
        person.profile_id = profile["id"]
        kinds: set[str] = await until(
            lambda person=person: _kinds(scene, person),  # type: ignore[misc]
            lambda seen, person=person: (  # type: ignore[misc]
                {"lead.submitted", "push.sent"} <= seen
                and (not person.verifies or {"lead.verified", "lead.opened"} <= seen)
            ),
            f"the timeline of {person.name}",
        )
        assert ("lead.verified" in kinds) == person.verifies
        profile = await scene.api.get(f"/v1/profiles/{person.profile_id}")
        assert [tag["tag"] for tag in profile["tags"]] == ["report"]
        assert (profile["contacts"][0]["verified_at"] is not None) == person.verifies
        given = [c for c in profile["consents"] if c["given"] and c["purpose"] == "marketing"]
        assert bool(given) == person.consents, person.name
        if person.consents:
            proof = profile["consent_proofs"][0]
            assert proof["text_version"] == "2026-03"
            assert proof["proof"]["ip_hash"]
    found = await scene.api.profile_of("  BO@PEOPLE.example ")
    assert found is not None
    assert found["id"] == scene.people["bo"].profile_id
    phone = await scene.api.post(
        "/v1/profiles/lookup", {"channel": "phone", "address": f"+86 {PHONE}"}
    )
    assert phone["contacts"][0]["channel"] == "phone"


async def _kinds(scene: Scene, person: Person) -> set[str]:
    items = await scene.api.all(f"/v1/profiles/{person.profile_id}/timeline")
    return {item["kind"] for item in items}


async def come_again(scene: Scene) -> None:
    """fei asks again: one more entry, not one more profile; S8 lets one mail a day go per bait."""
    fei = scene.people["fei"]
    again = await scene.public.post(
        f"/v1/baits/{REPORT}/leads", json={"contact": {"email": "Fei@People.Example"}}
    )
    assert again.status_code == 202
    scene.book.note("submitted", bait=REPORT)
    scene.book.note("dropped", bait=REPORT)
    profile = await until(
        lambda: scene.api.profile_of(fei.email),
        lambda found: found["lead_count"] == 2,
        "the second lead of fei",
    )
    assert profile["id"] == fei.profile_id


async def withdraw(scene: Scene) -> None:
    """dora takes her consent back on the phone; an operator records it."""
    dora = scene.people["dora"]
    recorded = await scene.api.post(
        f"/v1/profiles/{dora.profile_id}/consents",
        {"channel": "email", "given": False, "provenance": "told us by telephone"},
    )
    assert not any(consent["given"] for consent in recorded["consents"])


async def make_segment(scene: Scene) -> None:
    """Everybody who asked for the report: whom a campaign may reach is not the segment's question."""
    rule = {"all": [{"tag": "report"}, {"contact": "email"}]}
    tried = await scene.api.post("/v1/segments/preview", {"rule": rule})
    assert tried["count"] == len(scene.people)
    scene.segment = await scene.api.post("/v1/segments", {"name": "茶客", "rule": rule})
    path = f"/v1/segments/{scene.segment['id']}"
    assert (await scene.api.get(f"{path}/count"))["count"] == len(scene.people)
    members = await scene.api.get(f"{path}/members")
    assert set(members["items"]) == {person.profile_id for person in scene.people.values()}
    agreed = {"rule": {"all": [{"consent": "marketing", "channel": "email"}, {"verified": True}]}}
    assert (await scene.api.post("/v1/segments/preview", agreed))["count"] == len(MAY_GET)


async def make_template(scene: Scene) -> JSON:
    """A template is previewed and tried before it is used."""
    shop = scene.site.origin
    template: JSON = await scene.api.post(
        "/v1/templates",
        {
            "name": FIRST,
            "variables": [{"name": "name", "field": "name", "default": "朋友"}],
            "contents": {
                "zh-CN": {
                    "subject": "{{ name }}，新茶到了",
                    "text": f"{{{{ name }}}}，您好！新茶：{shop}/product 故事：{shop}/story",
                    "html": (
                        f"<p>{{{{ name }}}}，您好！</p><p><a href='{shop}/product'>新茶</a> "
                        f'<a href="{shop}/story">故事</a></p>'
                    ),
                }
            },
        },
    )
    path = f"/v1/templates/{template['id']}"
    preview = await scene.api.post(f"{path}/preview", {"values": {"name": "<b>安</b>"}})
    assert preview["subject"] == "<b>安</b>，新茶到了"
    assert "&lt;b&gt;安&lt;/b&gt;" in preview["html"]
    assert preview["links"] == [f"{shop}/product", f"{shop}/story"]
    for_ann = await scene.api.post(
        f"{path}/preview", {"profile_id": scene.people["ann"].profile_id}
    )
    assert for_ann["subject"] == "安，新茶到了"
    tried = await scene.api.post(f"{path}/test", {"address": OPERATOR})
    received = await scene.inbox.arrived(to=OPERATOR)
    assert "新茶到了" in read(received[0]).subject
    decision = await until(
        lambda: scene.api.get(f"/v1/deliveries/{tried['delivery_id']}"),
        lambda found: found["state"] == "sent",
        "the test is sent",
    )
    assert decision["cause"]["kind"] == "test"
    scene.book.note("sent")
    return template


async def run_campaign(scene: Scene, name: str, template: JSON, may_get: tuple[str, ...]) -> None:
    """A campaign reaches exactly those who may get it, once each, and says why not the others."""
    made = await scene.api.post(
        "/v1/campaigns",
        {"name": name, "segment_id": scene.segment["id"], "template_id": template["id"]},
    )
    path = f"/v1/campaigns/{made['id']}"
    assert made["state"] == "draft"
    await scene.api.post(f"{path}/start")
    campaign = await until(
        lambda: scene.api.get(path), lambda now: now["state"] == "done", f"{name} is done", 40
    )
    scene.campaigns.append(campaign)
    for person in scene.people.values():
        if person.name in may_get:
            await _received(scene, person)
            scene.book.note("sent", campaign=name)
    counts = await until(
        lambda: scene.api.get(f"{path}/counts"),
        lambda now: now["planning_complete"] and now["state"] == "done",
        f"the counts of {name}",
    )
    assert counts["members"] == len(scene.people)
    by_state = {(row["state"], row["reason"]): row["count"] for row in counts["deliveries"]}
    assert by_state.get(("sent", None)) == len(may_get)
    others = sum(by_state.values()) - len(may_get) + sum(counts["skipped"].values())
    assert others == len(scene.people) - len(may_get), counts
    dropped = sum(count for (state, _), count in by_state.items() if state == "dropped")
    if dropped:
        scene.book.note("dropped", campaign=name, times=dropped)
    for mails in (scene.inbox.to(person.mailbox) for person in scene.people.values()):
        assert len({mail.message["message-id"] for mail in mails}) == len(mails)


async def _received(scene: Scene, person: Person) -> None:
    mail = await scene.new_mail(person)
    assert [target_of(link) for link in mail.click_links][:2] == [
        f"{scene.site.origin}/product",
        f"{scene.site.origin}/story",
    ]
    assert mail.one_click.startswith(f"{scene.system.url}/u/")
    assert mail.unsubscribe_page.startswith(f"{scene.system.url}/u/")
    assert person.email not in mail.one_click
    assert SECRET not in mail.text


async def nobody_else_got_any(scene: Scene) -> None:
    """What is in the server's hands now is all that there is."""
    for person in scene.people.values():
        assert len(scene.inbox.to(person.mailbox)) == len(person.mails), person.name
    expected = sum(len(person.mails) for person in scene.people.values()) + 1
    assert len(scene.inbox.all()) == expected
    assert CONSENT


async def decisions_are_readable(scene: Scene) -> None:
    """Of each delivery: the state, the reason, and how it came to that."""
    ann = scene.people["ann"]
    timeline = await scene.api.all(f"/v1/profiles/{ann.profile_id}/timeline")
    sent = [item for item in timeline if item["kind"] == "push.sent"]
    assert sent
    for item in sent:
        decision = await scene.api.get(f"/v1/deliveries/{item['details']['delivery_id']}")
        assert decision["state"] == "sent"
        assert [step["state"] for step in decision["trace"]][-1] == "sent"
        assert ann.email not in str(decision)
