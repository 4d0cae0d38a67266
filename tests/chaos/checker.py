"""The checker: sets that were kept outside the system against what the system says, when it is quiet.

What was sent is counted at the sink, never in the ledger: a ledger that hands a message out twice looks
perfect. What was accepted is counted in the load client's own file.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.stores import Row

PROMISED = ("sent", "unknown")
_FOR_A_LEAD = frozenset({("dropped", "mail_limit")})
"""How a bait mail may end beside these: the person had one for this bait already (S8)."""

_MAY_MISS = frozenset({"campaign clicked", "campaign displayed"})
_LISTED = 3


@dataclass
class Evidence:
    """Everything that a run left behind. Ids are in one spelling, addresses in lower case."""

    acknowledged: Sequence[Mapping[str, Any]]
    sink: Sequence[tuple[str, str, str]]
    """(delivery, recipient, kind) of each message, in order of arrival."""
    leads: Mapping[str, bool]
    handled: set[str]
    profiles: Mapping[str, int]
    contacts: Mapping[str, tuple[str, str, bool]]
    ledger: Sequence[Row]
    suppressed: set[str]
    recipients: set[str]
    """Who the campaign has to reach: agreed, verified and not gone when it began."""
    counters: Mapping[str, int] = field(default_factory=dict)
    """What funnel and `/metrics` say, by `<where> <stage>`."""
    unstored: int = 0
    """Clicks and opens that were answered and, as the system says itself, could not be stored in time."""

    def said(self, what: str) -> list[Mapping[str, Any]]:
        """What was acknowledged of a kind."""
        return [entry for entry in self.acknowledged if entry["what"] == what]


@dataclass
class Findings:
    """What is wrong: how much of each kind, and examples in words."""

    lost: int = 0
    profiles_doubled: int = 0
    messages_doubled: int = 0
    unknown: int = 0
    counters_off: int = 0
    faults: list[str] = field(default_factory=list)

    def miss(self, things: Iterable[Any], what: str) -> None:
        """These were lost."""
        listed = sorted(str(thing) for thing in things)
        self.lost += len(listed)
        self.blame(listed, what)

    def blame(self, things: Iterable[Any], what: str) -> None:
        """These are wrong in a way that words have to say."""
        listed = sorted(str(thing) for thing in things)
        if listed:
            examples = ", ".join(listed[:_LISTED]) + (" …" if len(listed) > _LISTED else "")
            self.faults.append(f"{len(listed)} {what}: {examples}")


def examine(evidence: Evidence) -> Findings:
    """Compare all sets."""
    found = Findings()
    _leads(evidence, found)
    _people(evidence, found)
    _bait_mails(evidence, found)
    _campaign(evidence, found)
    _arrivals(evidence, found)
    _counters(evidence, found)
    found.unknown = sum(row.state == "unknown" for row in evidence.ledger)
    return found


def _leads(evidence: Evidence, found: Findings) -> None:
    accepted = {entry["id"] for entry in evidence.said("lead")}
    found.miss(accepted - evidence.leads.keys(), "accepted leads are not kept")
    found.miss(
        (accepted & evidence.leads.keys()) - evidence.handled,
        "accepted leads never reached profile",
    )
    # a retry with the same key got the answer of the first attempt, so there is no other lead
    found.blame(evidence.leads.keys() - accepted, "leads were made twice")
    addresses = {entry["address"] for entry in evidence.said("lead")}
    verified = {entry["address"] for entry in evidence.said("verified")}
    kept = sum(evidence.leads.values())
    if kept < len(verified):
        found.miss(range(len(verified) - kept), "verified contacts are not verified at capture")
    elif kept > len(verified):
        found.blame(range(kept - len(verified)), "leads are verified that nobody verified")
    known = evidence.contacts
    found.miss(
        {a for a in verified if a in known and not known[a][2]},
        "verified contacts are not verified at profile",
    )
    found.blame(
        {a for a, (_, _, is_verified) in known.items() if is_verified} - verified,
        "contacts are verified that nobody verified",
    )
    found.miss(addresses - known.keys(), "people have no profile")


def _people(evidence: Evidence, found: Findings) -> None:
    owners = {profile for _, profile, _ in evidence.contacts.values()}
    doubled = evidence.profiles.keys() - owners
    found.profiles_doubled = len(doubled)
    found.blame(doubled, "profiles are doubles")
    leads_of = Counter(entry["address"] for entry in evidence.said("lead"))
    wrong = {
        f"{evidence.profiles.get(profile)} instead of {leads_of[address]}"
        for address, (_, profile, _) in evidence.contacts.items()
        if evidence.profiles.get(profile) != leads_of[address]
    }
    found.blame(wrong, "numbers of leads per person are wrong")


def _bait_mails(evidence: Evidence, found: Findings) -> None:
    of_lead = {row.cause_id: row for row in evidence.ledger if row.cause_kind == "lead"}
    accepted = {entry["id"]: entry["address"] for entry in evidence.said("lead")}
    found.miss(accepted.keys() - of_lead.keys(), "accepted leads have no bait mail in the ledger")
    mailed = {
        accepted[lead]
        for lead, row in of_lead.items()
        if lead in accepted and row.state in PROMISED
    }
    found.miss(set(accepted.values()) - mailed, "people got no bait mail and none is unknown")
    found.blame(
        {
            f"{row.state} ({row.reason})"
            for row in of_lead.values()
            if row.state not in PROMISED and (row.state, row.reason) not in _FOR_A_LEAD
        },
        "ends of bait mails that should not be",
    )


def _campaign(evidence: Evidence, found: Findings) -> None:
    rows = {row.address: row for row in evidence.ledger if row.cause_kind == "campaign"}
    reached = {address for address, row in rows.items() if row.state in PROMISED}
    found.miss(
        evidence.recipients - reached, "recipients of the campaign were not mailed, nor unknown"
    )
    found.blame(
        {
            row.state
            for row in rows.values()
            if row.state in {"planned", "held", "claimed", "sending"}
        },
        "states of the campaign's messages that are not settled",
    )
    got = {recipient for _, recipient, kind in evidence.sink if kind == "campaign"}
    found.blame(
        got - evidence.recipients,
        "people got the campaign who had not agreed, not verified, or left",
    )
    left = {entry["address"] for what in ("left", "unsubscribed") for entry in evidence.said(what)}
    keys = {evidence.contacts[address][0] for address in left if address in evidence.contacts}
    found.miss(keys - evidence.suppressed, "people who left are not suppressed")


def _arrivals(evidence: Evidence, found: Findings) -> None:
    arrived = Counter((recipient, kind) for _, recipient, kind in evidence.sink)
    doubled = {key: count for key, count in arrived.items() if count > 1}
    found.messages_doubled = sum(doubled.values()) - len(doubled)
    found.blame({f"{kind} to {recipient}" for recipient, kind in doubled}, "messages came twice")
    at_sink = {delivery for delivery, _, _ in evidence.sink}
    by_id = {row.id: row for row in evidence.ledger}
    found.miss(
        {row.id for row in evidence.ledger if row.state == "sent"} - at_sink,
        "messages are `sent` that never arrived",
    )
    found.blame(
        {d for d in at_sink if d not in by_id or by_id[d].state not in PROMISED},
        "messages arrived of which the ledger says otherwise",
    )


def expected_counters(evidence: Evidence) -> dict[str, int]:
    """What funnel and `/metrics` have to say, by `<where> <stage>`."""
    states = Counter((row.cause_kind, row.state) for row in evidence.ledger)
    orders = {entry["order"]: entry["amount"] for entry in evidence.said("converted")}
    bait = {
        "submitted": len({entry["id"] for entry in evidence.said("lead")}),
        "verified": len({entry["address"] for entry in evidence.said("verified")}),
        "opened": len({entry["address"] for entry in evidence.said("verified")}),
    }
    mail = {stage: states["lead", stage] for stage in ("sent", "unknown", "dropped")}
    campaign = {stage: states["campaign", stage] for stage in ("sent", "unknown")}
    for stage in ("clicked", "displayed", "unsubscribed"):
        campaign[stage] = len({entry["delivery"] for entry in evidence.said(stage)})
    people = {
        "inquired": len({entry["order"] for entry in evidence.said("inquired")}),
        "converted": len(orders),
        "paid": sum(orders.values()),
    }
    groups = {"bait": bait, "mail": mail, "campaign": campaign, "all": people}
    return {f"{where} {stage}": n for where, group in groups.items() for stage, n in group.items()}


def _counters(evidence: Evidence, found: Findings) -> None:
    expected = expected_counters(evidence)
    allowed = evidence.unstored
    for name, value in evidence.counters.items():
        right = expected[name.removeprefix("prometheus ")]
        if name in _MAY_MISS and 0 < right - value <= allowed:
            # promise 1: a click is redirected also when it can't be stored, and that is said
            allowed -= right - value
            continue
        if value != right:
            found.counters_off += abs(value - right)
            found.faults.append(f"the counter `{name}` says {value}, it is {right}")
