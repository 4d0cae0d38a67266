"""Robots by what they say of themselves."""

import pytest

from services.shared.machines import is_robot

IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Mobile/15E148 MicroMessenger/8.0.49(0x18003137) NetType/WIFI Language/zh_CN"
)
OLD_WECHAT = (
    "Mozilla/5.0 (Linux; Android 10; ELE-AL00) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 "
    "Chrome/78.0.3904.62 XWEB/2691 MMWEBSDK/200901 Mobile Safari/537.36 MicroMessenger/7.0.18"
)
PEOPLE = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36",
    IPHONE,
    OLD_WECHAT,
    "Mozilla/5.0 (Linux; U; Android 12; zh-cn) AppleWebKit/537.36 MQQBrowser/14.1 Mobile Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:127.0) Gecko/20100101 Firefox/127.0",
]


@pytest.mark.parametrize("agent", PEOPLE)
def test_browsers_of_people_are_none(agent: str) -> None:
    assert is_robot(agent) is None


@pytest.mark.parametrize(
    ("agent", "reason"),
    [
        ("", "no-agent"),
        ("   ", "no-agent"),
        ("curl/8.5.0", "tool"),
        ("python-httpx/0.27", "tool"),
        ("Go-http-client/2.0", "tool"),
        ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "robot"),
        (
            "Mozilla/5.0 (compatible; Baiduspider/2.0; +http://www.baidu.com/search/spider.html)",
            "robot",
        ),
        ("Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)", "robot"),
    ],
)
def test_robots_are_known_with_the_reason(agent: str, reason: str) -> None:
    assert is_robot(agent) == reason


def test_endless_text_is_read_to_a_bound() -> None:
    assert is_robot(PEOPLE[0] + "x" * 1_000_000) is None
