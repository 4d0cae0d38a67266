"""What push has sent: the mail that each lead asked for, and campaigns that have ended."""

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.made.leads import BEGAN, OVER, id_of
from bench.made.stores import filling
from services.shared.clock import to_micros

_ROWS = """
INSERT INTO deliveries (id, cause_kind, cause_id, campaign_id, bait_id, profile_id, contact_key, abuse_key,
  channel, address, template_version_id, built_in, vals, language, marketing, capped, priority, verified, state,
  reason, code, provider_id, not_before, attempt, claim_token, lease_until, sending_at, expires_at, created_at,
  updated_at)
"""
_BAIT_MAILS = (
    _ROWS
    + """
SELECT printf('%012x7', l.at / 1000) || substr(named('bait mail', l.lead_id), 14), 'lead', dashed(l.lead_id),
  NULL, l.bait_id, NULL, c.contact_key, c.abuse_key, 'email', NULL, NULL, 'bait', '{}', 'en', 0, 0, 0,
  c.verified_at IS NOT NULL, 'sent', NULL, '250', NULL, l.at, 1, NULL, NULL, l.at, NULL, l.at, l.at
FROM profile.handled_leads l JOIN reach_contacts c ON c.profile_id = l.profile_id
ORDER BY l.lead_id
"""
)
_MAILS = (
    _ROWS
    + """
WITH RECURSIVE members (number) AS (
  SELECT :first UNION ALL SELECT number + :step FROM members WHERE number + :step <= :people
),
chosen AS (
  SELECT p.id AS person, c.contact_key AS contact, named(:run, p.id) AS any
  FROM members CROSS JOIN reach_profiles p ON p.rowid = members.number
    CROSS JOIN reach_contacts c ON c.profile_id = p.id
  WHERE c.marketing AND c.verified_at IS NOT NULL
)
SELECT printf('%012x7', :at / 1000) || substr(any, 14), 'campaign', dashed(:run), :campaign, NULL, person,
  contact, NULL, 'email', NULL, :template, NULL, '{}', 'en', 1, 1, 5, 1,
  CASE WHEN substr(any, 31) < '02' THEN 'failed' WHEN substr(any, 31) < '04' THEN 'dropped' ELSE 'sent' END,
  CASE WHEN substr(any, 31) < '02' THEN 'hard_bounce' WHEN substr(any, 31) < '04' THEN 'frequency' END,
  CASE WHEN substr(any, 31) < '04' THEN NULL ELSE '250' END, NULL, :at, 1, NULL, NULL, :at, NULL, :at, :at
FROM chosen ORDER BY any
"""
)
_CAMPAIGN = """
INSERT INTO campaigns (id, version, name, segment_id, template_id, channel, start_at, until, priority, capped,
  state, state_reason, state_at, state_by, run_id, due_at, created_at, created_by, started_at, ended_at)
VALUES (:campaign, 3, :name, :segment, :template, 'email', NULL, NULL, 5, 1, 'done', NULL, :at, 'system',
  :run, NULL, :at, 'bench', :at, :at)
"""
_RUN = """
INSERT INTO campaign_runs (id, campaign_id, number, template_version_id, step, walk, cursor, members, skipped,
  complete, waiting_since, final, created_at, completed_at)
VALUES (:run, :campaign, 1, :template, 10, 1, NULL, :members, '{}', 1, NULL,
  json_array(json_array('sent', NULL, :members)), :at, :at)
"""


@dataclass(frozen=True)
class Past:
    """How many campaigns have ended, and about how many mails each was."""

    campaigns: int = 200
    mails: int = 15_000
    seed: int = 1


def campaign_name(number: int) -> str:
    """The name of a campaign of the past."""
    return f"Catalogue {number}"


def grow_ledger(push: Path, profile: Path, past: Past) -> None:
    """Fill the ledger of a push database that knows its people (`grow_reach`)."""
    dice = random.Random(past.seed)
    tables = ("deliveries", "campaigns", "campaign_runs")
    with filling(push, tables, profile) as connection:
        connection.execute(_BAIT_MAILS)
        (people,) = connection.execute("SELECT max(rowid) FROM reach_profiles").fetchone()
        (reachable,) = connection.execute(
            "SELECT count(*) FROM reach_contacts WHERE marketing AND verified_at IS NOT NULL"
        ).fetchone()
        step = max(1, reachable // past.mails)
        for number in range(past.campaigns):
            at = to_micros(BEGAN + OVER * (number + 1) / (past.campaigns + 1))
            given: dict[str, Any] = {
                name: id_of(at, dice) for name in ("campaign", "run", "segment", "template")
            }
            given |= {"at": at, "first": 1 + number % step, "step": step, "people": people}
            sent = connection.execute(_MAILS, given).rowcount
            given |= {"name": campaign_name(number), "members": sent}
            connection.execute(_CAMPAIGN, given)
            connection.execute(_RUN, given)
