"""What a single request shows: whether it is a machine's, and by which sign."""

import re
from collections.abc import Mapping
from functools import lru_cache

from services.shared.machines import is_robot

HEAD, PREFETCH, GATEWAY = "head", "prefetch", "gateway"

_PURPOSES = ("purpose", "sec-purpose", "x-purpose", "x-moz")
# words of mail gateways and privacy proxies that the list of robots does not have
_GATEWAYS = re.compile(
    r"barracuda|proofpoint|mimecast|ironport|fireeye|trendmicro|forcepoint|symantec|sophos|"
    r"urldefense|safelinks|linkcheck|^mozilla/5\.0$",
    re.IGNORECASE,
)
_USUAL = 400
"""Letters of a user agent that is worth remembering."""
_AHEAD = ("prefetch", "prerender", "preview")
# they fetch a picture when the person opens the mail, in the person's place
_PICTURE_PROXIES = ("GoogleImageProxy", "YahooMailProxy")


def sign_of(method: str, headers: Mapping[str, str], *, picture: bool = False) -> str:
    """The sign that a request is a machine's; "" when it shows none.

    `picture`: the open pixel, which some mail services fetch for a person.
    """
    if method == "HEAD":
        return HEAD
    for name in _PURPOSES:
        value = headers.get(name)
        if value and any(word in value.lower() for word in _AHEAD):
            return PREFETCH
    agent = headers.get("user-agent", "")
    if picture and any(proxy in agent for proxy in _PICTURE_PROXIES):
        return ""
    return _sign_of_agent(agent) if len(agent) < _USUAL else _look_up(agent)


def _look_up(agent: str) -> str:
    """The sign in the name of a program."""
    if _GATEWAYS.search(agent):
        return GATEWAY
    return is_robot(agent) or ""


_sign_of_agent = lru_cache(maxsize=2048)(_look_up)
