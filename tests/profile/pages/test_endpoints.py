"""`/people` as an operator sees it."""

import csv
import io
from uuid import UUID

import pytest

from services.profile.pages.export import neutral
from services.shared.auth.access import SESSION_COOKIE
from services.shared.contact import Channel
from services.shared.events.engagements import EngagementClicked, EngagementUnsubscribed
from services.shared.events.parts import CausePart
from services.shared.events.push import PushSent
from tests.profile.bench import Bench

BROWSER = {"accept": "text/html"}
SAME_ORIGIN = {"sec-fetch-site": "same-origin"}


@pytest.fixture
async def operator(bench: Bench) -> Bench:
    bench.client.cookies.set(SESSION_COOKIE, await bench.ground.keys.log_in(bench.key))
    return bench


async def somebody(bench: Bench) -> UUID:
    phone = bench.contact("13800138000", Channel.PHONE)
    lead = bench.lead(
        "li.hua@shop.example",
        phone,
        consent=True,
        tags=("vip",),
        fields={"city": "上海", "note": "<script>alert(1)</script>"},
        field_types={"city": "text", "note": "text"},
    )
    key = lead.contacts[0].contact_key
    about = {"engagement_id": bench.ground.ids.new(), "contact_key": key, "channel": "email"}
    await bench.feed(
        lead,
        bench.verified(lead),
        PushSent(
            delivery_id=bench.ground.ids.new(),
            cause=CausePart(kind="campaign", id="1"),
            contact_key=key,
            channel="email",
        ),
        EngagementClicked(**about, link=1, url="https://shop.example/"),
        EngagementUnsubscribed(**about, way="one_click"),
    )
    return (await bench.states())[-1].profile_id


class TestList:
    async def test_sends_strangers_to_the_login(self, bench: Bench) -> None:
        answer = await bench.client.get("/people", params={"tag": "vip"}, headers=BROWSER)
        assert answer.status_code == 303
        assert answer.headers["location"] == "/login?next=/people%3Ftag%3Dvip"

    @pytest.mark.parametrize(
        ("lang", "words"), [("zh", "按联系方式查找"), ("en", "Find by contact")]
    )
    async def test_speaks_both_languages(self, operator: Bench, lang: str, words: str) -> None:
        await somebody(operator)
        page = (await operator.client.get("/people", params={"lang": lang})).text
        assert words in page
        assert "li.hua@shop.example" in page
        assert "vip" in page

    async def test_says_when_there_is_nobody(self, operator: Bench) -> None:
        assert "没有符合条件的人" in (await operator.client.get("/people")).text

    async def test_walks_through_pages(self, operator: Bench) -> None:
        await operator.feed(*(operator.lead(f"p{n}@x.example", tags=("t&=",)) for n in range(31)))
        first = (await operator.client.get("/people", params={"tag": "t&="})).text
        assert first.count("@x.example") == 30
        link = first.split('rel="next" href="')[1].split('"')[0].replace("&amp;", "&")
        assert (await operator.client.get(link)).text.count("@x.example") == 1

    @pytest.mark.parametrize("typed", ["LI.HUA@shop.example", "138 0013 8000"])
    async def test_finds_by_any_contact_without_an_address_in_the_url(
        self, operator: Bench, typed: str
    ) -> None:
        person = await somebody(operator)
        answer = await operator.client.post("/people", data={"contact": typed}, headers=SAME_ORIGIN)
        assert answer.status_code == 303
        assert answer.headers["location"] == f"/people/{person}"

    @pytest.mark.parametrize("typed", ["nobody@shop.example", "", "<b>", "\x00"])
    async def test_says_when_nobody_is_found_and_keeps_what_was_typed(
        self, operator: Bench, typed: str
    ) -> None:
        answer = await operator.client.post("/people", data={"contact": typed}, headers=SAME_ORIGIN)
        assert answer.status_code == 200
        assert 'role="alert"' in answer.text
        assert "<b>" not in answer.text

    async def test_another_site_may_not_search(self, operator: Bench) -> None:
        answer = await operator.client.post(
            "/people", data={"contact": "x"}, headers={"sec-fetch-site": "cross-site"}
        )
        assert answer.status_code == 403


class TestPerson:
    @pytest.mark.parametrize(
        ("lang", "words"),
        [
            (
                "zh",
                [
                    "已撤回",
                    "已验证",
                    "点击了链接",
                    "推送消息（邮箱）已发出",
                    "通过托管页面索取「welcome」",
                ],
            ),
            (
                "en",
                [
                    "Withdrawn",
                    "Verified",
                    "Followed a link",
                    "A campaign message (E-mail) was sent",
                    "through the hosted page",
                ],
            ),
        ],
    )
    async def test_tells_what_is_known(self, operator: Bench, lang: str, words: list[str]) -> None:
        person = await somebody(operator)
        page = (await operator.client.get(f"/people/{person}", params={"lang": lang})).text
        for word in words:
            assert word in page
        assert "<script>alert" not in page
        assert "&lt;script&gt;alert" in page

    async def test_names_who_may_be_the_same(self, operator: Bench) -> None:
        phone = operator.contact("13800138000", Channel.PHONE)
        await operator.feed(operator.lead("a@x.example"), operator.lead(phone))
        first, second = await operator.states()
        await operator.feed(operator.lead("a@x.example", phone))
        for one, other in ((first, second), (second, first)):
            page = (await operator.client.get(f"/people/{one.profile_id}")).text
            assert f'href="/people/{other.profile_id}"' in page

    async def test_earlier_entries_are_a_link_away(self, operator: Bench) -> None:
        leads = []
        for _ in range(41):
            operator.clock.advance(1)
            leads.append(operator.received(operator.lead("a@x.example")))
        await operator.feed(*leads)
        person = (await operator.states())[-1].profile_id
        page = (await operator.client.get(f"/people/{person}")).text
        link = page.split(f'href="/people/{person}?after=')[1].split("#")[0]
        older = (await operator.client.get(f"/people/{person}?after={link}")).text
        assert older.count('class="dot') == 1

    async def test_nobody_is_a_page(self, operator: Bench) -> None:
        answer = await operator.client.get(
            f"/people/{operator.ground.ids.new()}", headers={"accept": "text/html"}
        )
        assert answer.status_code == 404
        assert "text/html" in answer.headers["content-type"]


class TestExport:
    async def test_has_everybody_with_neutral_cells(self, operator: Bench) -> None:
        await somebody(operator)
        await operator.feed(
            operator.lead(
                "b@x.example",
                fields={"city": '=HYPERLINK("http://evil.example")'},
                field_types={"city": "text"},
            )
        )
        answer = await operator.client.get("/people/export.csv")
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        assert answer.content.startswith(b"\xef\xbb\xbf")
        rows = list(csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff"))))
        by_mail = {row["email"]: row for row in rows}
        assert by_mail["li.hua@shop.example"]["phone"] == "13800138000"
        assert by_mail["li.hua@shop.example"]["marketing"] == ""
        assert by_mail["li.hua@shop.example"]["verified"] == "email"
        assert by_mail["b@x.example"]["field: city"].startswith("'=HYPERLINK")

    async def test_is_not_for_strangers(self, bench: Bench) -> None:
        answer = await bench.client.get("/people/export.csv", headers=BROWSER)
        assert answer.status_code == 303

    async def test_goes_on_beyond_one_portion(self, operator: Bench) -> None:
        await operator.feed(*(operator.lead(f"p{n}@x.example") for n in range(1001)))
        text = (await operator.client.get("/people/export.csv")).text
        assert len(text.splitlines()) == 1002

    @pytest.mark.parametrize(
        "cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", " =1", "＝1", "|cmd", "\r=1", "%0A"]
    )
    def test_formulas_become_text(self, cell: str) -> None:
        assert neutral(cell) == f"'{cell}"

    @pytest.mark.parametrize(
        ("value", "cell"), [(-3, "-3"), ("a=b", "a=b"), (None, ""), (True, "true")]
    )
    def test_other_cells_stay(self, value: object, cell: str) -> None:
        assert neutral(value) == cell
