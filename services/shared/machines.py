"""Which programs say of themselves that they are no person: known robots by their User-Agent."""

import functools
import re

_LONGEST = 512
_CACHED = 4096

# Programs that fetch pages for other programs, beside the robots that the list knows.
_TOOLS = re.compile(
    r"^(python-|python/|curl/|wget/|java/|go-http-client|okhttp/|axios/|node-fetch|libwww|"
    r"apache-httpclient|postmanruntime|httpie/|scrapy/|aiohttp/)",
    re.IGNORECASE,
)


def is_robot(user_agent: str) -> str | None:
    """The reason why a User-Agent is no person's browser, or None.

    `no-agent`: it is empty; `tool`: a library or command; `robot`: in the list of crawler-user-agents.
    """
    return _classed(user_agent[:_LONGEST])


@functools.lru_cache(maxsize=_CACHED)
def _classed(user_agent: str) -> str | None:
    if not user_agent.strip():
        return "no-agent"
    if _TOOLS.match(user_agent):
        return "tool"
    # imported here: the list is read and compiled when the first visitor comes, not at the start
    from crawleruseragents import is_crawler

    return "robot" if is_crawler(user_agent) else None
