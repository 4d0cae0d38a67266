"""What SMTP replies mean, as one table: stage × code × enhanced code × words → class.

Sources: RFC 5321 (codes), RFC 3463 and its registry (enhanced codes), RFC 7504 (521, 556), RFC 7505 (null
MX), Google's and Yahoo's published sender tables. A change of a provider is an edit of `RULES`.

Only replies that say the address itself is dead suppress a person. A policy refusal never does: it
is marked `threshold`, and one that a DNS mistake can cause is marked `confirm`; `Judge` counts both.
"""

import re
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from services.push.channels.base import OutcomeClass, Scope

RETRY = OutcomeClass.RETRY_LATER
LIMITED = OutcomeClass.RATE_LIMITED
RECIPIENT = OutcomeClass.PERMANENT_RECIPIENT
CONFIG = OutcomeClass.PERMANENT_CONFIG
SOFT = OutcomeClass.SOFT


class Stage(StrEnum):
    """Which command a reply answers; the same code means different things at different stages."""

    GREETING = "greeting"
    HELLO = "hello"
    TLS = "tls"
    AUTH = "auth"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    DOT = "dot"
    RSET = "rset"


SESSION = frozenset({Stage.GREETING, Stage.HELLO, Stage.TLS, Stage.AUTH})
SENDER = frozenset({Stage.MAIL, Stage.RSET})
BODY = frozenset({Stage.DATA, Stage.DOT})
TRANSACTION = SENDER | BODY | {Stage.RCPT}
AFTER_MAIL = BODY | {Stage.RCPT}
AT_RCPT = frozenset({Stage.RCPT})


@dataclass(frozen=True, slots=True)
class Rule:
    """One row. Patterns must match whole codes; `words` is searched in the text; empty matches all."""

    stages: frozenset[Stage]
    code: str
    enhanced: str
    outcome: OutcomeClass
    words: str = ""
    scope: Scope = "channel"
    retry_after: timedelta | None = None
    confirm: bool = False
    threshold: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a reply means. `code` is the reply's, with its enhanced code when it has one."""

    outcome: OutcomeClass
    code: str
    scope: Scope = "channel"
    retry_after: timedelta | None = None
    confirm: bool = False
    threshold: bool = False


_UNKNOWN = (
    r"unknown (?:user|recipient|mailbox|address)|(?:user|recipient|mailbox|account) unknown"
    r"|no such (?:user|recipient|mailbox|address|account|person)|does(?: not|n't) exist"
    r"|(?:user|recipient|mailbox|address) (?:was )?not found|no mailbox here"
)
_FULL = r"(?:mailbox|inbox) (?:is )?full|over ?quota|quota (?:is )?exceeded|exceed\w* .*quota"
_RATE = r"\brate\b|too (?:quickly|many|fast)"
_DAY = timedelta(days=1)
_NONE = "-"  # the enhanced code of a reply without one
_AUTHENTICATION = r"[45]\.7\.(?:2[3-79]|3[0-2]|40)"  # SPF, DKIM, DMARC, PTR, TLS

RULES: tuple[Rule, ...] = (
    # before any message: about this relay, or about us
    Rule(frozenset({Stage.GREETING}), "554|521", "", CONFIG),
    Rule(SESSION, "4..", "", RETRY),
    Rule(SESSION, "5..", "", CONFIG),
    # temporary by code: Gmail's authentication codes first, they never heal by waiting
    Rule(TRANSACTION, "4..", _AUTHENTICATION, CONFIG),
    Rule(TRANSACTION, "4..", r"4\.7\.(?:0|28)", LIMITED),
    Rule(AFTER_MAIL, "4..", r"4\.2\.1", LIMITED, scope="recipient"),
    Rule(TRANSACTION, "4..", "", RETRY),
    # a client bug at any stage
    Rule(TRANSACTION, "50[0-4]|555", "", CONFIG),
    # about the sender: a reply to MAIL cannot know the recipient yet
    Rule(SENDER, "5..", r"5\.4\.5", LIMITED, retry_after=_DAY),
    Rule(SENDER, "5..", "", CONFIG),
    # about the recipient
    Rule(AFTER_MAIL, "556", "", RECIPIENT),
    Rule(AFTER_MAIL, "5..", r"5\.1\.[013]", RECIPIENT),
    Rule(AFTER_MAIL, "5..", r"5\.1\.(?:6|10)|5\.7\.(?:13|17|18)|5\.6\.7", RECIPIENT),
    Rule(AFTER_MAIL, "5..", r"5\.1\.2|5\.4\.4", RECIPIENT, confirm=True),
    Rule(AFTER_MAIL, "5..", r"5\.1\.[78]", CONFIG),
    Rule(AFTER_MAIL, "5..", r"5\.2\.1", LIMITED, words=_RATE, scope="recipient"),
    Rule(AFTER_MAIL, "5..", r"5\.2\.1", RECIPIENT),
    Rule(AFTER_MAIL, "5..", r"5\.1\.4|5\.2\.[024]", SOFT),
    # size, routing, protocol, content
    Rule(AFTER_MAIL, "5..", r"5\.2\.3|5\.3\.4", CONFIG),
    Rule(AFTER_MAIL, "5..", r"5\.3\.[025]", SOFT),
    Rule(AFTER_MAIL, "5..", r"5\.3\.1", RETRY),
    Rule(AFTER_MAIL, "5..", r"5\.4\.5", LIMITED, retry_after=_DAY),  # Gmail: the day's quota
    Rule(AFTER_MAIL, "5..", r"5\.4\.[1237]", RETRY),
    Rule(AFTER_MAIL, "5..", r"5\.4\.6", CONFIG),
    Rule(AFTER_MAIL, "5..", r"5\.5\.\d+", CONFIG),
    Rule(AFTER_MAIL, "5..", r"5\.6\.\d+", CONFIG, threshold=True),
    # policy: 5.7.27 is null MX in the registry and SPF at Gmail
    Rule(AFTER_MAIL, "5..", r"5\.7\.27", RECIPIENT, words=r"recipient.*null mx"),
    Rule(AFTER_MAIL, "5..", _AUTHENTICATION, CONFIG),
    Rule(AFTER_MAIL, "5..", r"5\.7\.(?:8|9|14|515)", CONFIG),
    Rule(AFTER_MAIL, "5..", r"5\.7\.28", LIMITED),
    Rule(AFTER_MAIL, "5..", r"5\.7\.\d+", CONFIG, threshold=True),
    # no enhanced code, or one that the registry does not know
    Rule(AT_RCPT, "55[013]", _NONE, RECIPIENT, words=_UNKNOWN),
    Rule(AFTER_MAIL, "55.", _NONE, SOFT, words=_FULL),
    Rule(AT_RCPT, "552", "", RETRY),
    Rule(BODY, "552", "", SOFT),
    Rule(AFTER_MAIL, "55[0134]", "", CONFIG, threshold=True),
    Rule(AFTER_MAIL, "5..", "", CONFIG, threshold=True),
)

_ENHANCED = re.compile(r"\b([245])\.(\d{1,3})\.(\d{1,3})\b")
_WAIT = re.compile(
    r"\b(?:in|after|wait)\s+(\d{1,5})\s*(s|secs?|seconds?|m|mins?|minutes?|h|hours?)\b",
    re.IGNORECASE,
)
_SECONDS = {"s": 1, "m": 60, "h": 3600}


def enhanced_code(text: str) -> str | None:
    """The enhanced code at the head of a reply's text (RFC 2034), else None."""
    found = _ENHANCED.match(text.lstrip())
    return found[0] if found else None


def classify(stage: Stage, code: int, text: str) -> Verdict:
    """What a 4xx or 5xx reply means.

    Where code and enhanced code disagree on temporary or permanent, the code governs (RFC 2034, 4).
    Any other code is one that the stage cannot have: RETRY_LATER, and the caller gives up the connection.
    """
    digits = str(code)
    enhanced = enhanced_code(text) or _NONE
    name = digits if enhanced == _NONE else f"{digits} {enhanced}"
    if digits[0] in "45":
        known = enhanced if enhanced[0] == digits[0] else _NONE
        for rule in RULES:
            if _matches(rule, stage, digits, known, text):
                return Verdict(
                    rule.outcome,
                    name,
                    rule.scope,
                    rule.retry_after or _asked_wait(digits, text),
                    rule.confirm,
                    rule.threshold,
                )
    return Verdict(RETRY, name)


def _matches(rule: Rule, stage: Stage, code: str, enhanced: str, text: str) -> bool:
    if stage not in rule.stages or not re.fullmatch(rule.code, code):
        return False
    if rule.enhanced and not re.fullmatch(rule.enhanced, enhanced):
        return False
    return not rule.words or re.search(rule.words, text, re.IGNORECASE) is not None


def _asked_wait(code: str, text: str) -> timedelta | None:
    """The wait that a temporary refusal names ("try again in 300 seconds"), at most a day."""
    found = _WAIT.search(text) if code[0] == "4" else None
    if found is None:
        return None
    return min(timedelta(seconds=int(found[1]) * _SECONDS[found[2][0].lower()]), _DAY)


_ADDRESS = re.compile(r"[^\s<>\"'(),;:]+@[^\s<>\"'(),;]+")
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_DETAIL = 200


def masked(text: str, address: str = "") -> str:
    """The text for an operator: addresses and the recipient's local part masked, at most 200 long."""
    line = _UNSEEN.sub(" ", text[:2000])
    if "@" in line:
        line = _ADDRESS.sub("<address>", line)
    local = address.rpartition("@")[0]
    if local and local.casefold() in line.casefold():
        line = re.sub(rf"(?<!\w){re.escape(local)}(?!\w)", "<address>", line, flags=re.IGNORECASE)
    return line.strip()[:_DETAIL]
