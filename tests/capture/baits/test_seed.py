"""The sample bait."""

from pathlib import Path

from tests.capture.system import CaptureSystem, capture_system


class TestSeed:
    async def test_a_fresh_installation_has_it_and_it_works(self, capture: CaptureSystem) -> None:
        assert (await capture.client.get("/b/welcome")).status_code == 200
        assert (await capture.post("welcome")).status_code == 202
        by_phone = await capture.post("welcome", contact={"phone": "13800138000"})
        assert by_phone.status_code == 202

    async def test_it_is_made_once(self, capture: CaptureSystem) -> None:
        await capture.service.seed.sow()
        await capture.service.seed.sow()
        listed = await capture.client.get("/v1/baits", headers=capture.admin)
        assert [item["slug"] for item in listed.json()["items"]] == ["welcome"]

    async def test_a_changed_or_retired_one_stays_as_it_is(self, tmp_path: Path) -> None:
        async with capture_system(tmp_path) as capture:
            await capture.change("welcome", title="Ours")
            await capture.client.post(
                "/v1/baits/welcome/retire", headers={**capture.admin, "if-match": "*"}
            )
        async with capture_system(tmp_path) as capture:
            shown = await capture.client.get("/v1/baits/welcome", headers=capture.admin)
            assert shown.json()["bait"]["title"] == "Ours"
            assert shown.json()["state"] == "retired"
