"""What metrics knows of an installation's past: ten million raw events at full size, and the totals of them.

A tenth of the messages is opened by machines, half by people, and so on; who does what follows from the ids.
"""

from pathlib import Path

from bench.made.profiles import BAITS
from bench.made.stores import filling

TABLES = ("raw_events", "totals", "firsts", "names", "deliveries", "leads", "contact_owners")

_KNOWN = (
    """
INSERT INTO leads (id, bait_id, channel, contact_key, submitted_at)
SELECT l.lead_id, l.bait_id, 'email', c.contact_key, l.at
FROM profile.handled_leads l JOIN profile.contacts c ON c.profile_id = l.profile_id ORDER BY l.lead_id
""",
    """
INSERT INTO contact_owners (contact_key, profile_id, at)
SELECT contact_key, profile_id, added_at FROM profile.contacts ORDER BY profile_id, position
""",
    """
INSERT INTO deliveries (id, campaign_id, bait_id, lead_id, channel, contact_key, profile_id, sent_at)
SELECT id, campaign_id, bait_id, iif(cause_kind = 'lead', replace(cause_id, '-', ''), NULL), channel,
  contact_key, profile_id, iif(state = 'sent', updated_at, NULL)
FROM push.deliveries ORDER BY id
""",
)

_EVENT = """
INSERT INTO raw_events (id, kind, stage, occurred_at, subject, campaign_id, bait_id, channel, number, machine,
  void, joined, reason, credit, amount, currency, contact_key, profile_id, document)
"""
_OF_LEADS = (
    _EVENT
    + """
SELECT named(:kind, id), :kind, :stage, submitted_at + :after, id, NULL, bait_id, channel, 1, 0, 0, 0, '', '',
  NULL, '', NULL, NULL, :document
FROM leads WHERE substr(id, :digit, 2) < :below ORDER BY 1
"""
)
_OUTCOMES = (
    _EVENT
    + """
SELECT named('push.' || state, id), 'push.' || state, state, updated_at, id, campaign_id, bait_id, channel, 1, 0,
  0, 0, coalesce(reason, ''), '', NULL, '', NULL, NULL, iif(code IS NULL, NULL, json_object('code', code))
FROM push.deliveries ORDER BY 1
"""
)
_ENGAGEMENTS = (
    _EVENT
    + """
SELECT named(:kind || :reason, id), :kind, :stage, sent_at + :after, id, campaign_id, bait_id, channel, 1,
  :reason <> '', 0, 0, :reason, :credit, :amount, iif(:amount IS NULL, '', 'CNY'),
  iif(:credit = '', NULL, contact_key), iif(:credit = '', NULL, profile_id), :document
FROM deliveries WHERE sent_at IS NOT NULL AND substr(id, :digit, 2) < :below ORDER BY 1
"""
)
_LINK = '{"link":0,"url":"https://shop.example/catalogue"}'
_MINUTE = 60_000_000

# kind, stage, digit, below (of 256, in hex), document
_LEAD_EVENTS = (
    ("lead.submitted", "submitted", 0, 31, "gg", '{"utm_source":"bench"}'),
    ("lead.verified", "verified", 1, 31, "b3", None),
    ("lead.opened", "opened", 1, 29, "80", None),
)
# kind, stage, minutes, digit, below, reason (of a machine), credit, amount, document
_ENGAGED = (
    ("engagement.displayed", "displayed", 9, 29, "80", "", "", None, "{}"),
    ("engagement.displayed", "displayed", 0, 27, "1a", "early", "", None, "{}"),
    ("engagement.clicked", "clicked", 10, 25, "38", "", "", None, _LINK),
    ("engagement.clicked", "clicked", 0, 27, "12", "all_links", "", None, _LINK),
    ("engagement.inquired", "inquired", 60, 23, "06", "", "token", None, "{}"),
    ("engagement.converted", "converted", 600, 21, "04", "", "token", 12_900, "{}"),
    ("engagement.unsubscribed", "unsubscribed", 20, 19, "02", "", "", None, "{}"),
)
_FIRSTS = """
INSERT INTO firsts (subject, stage, at)
SELECT subject, stage, min(occurred_at) FROM raw_events
WHERE subject IS NOT NULL AND stage <> '' AND NOT machine AND NOT void GROUP BY subject, stage
"""
_TOTALS = """
WITH counted AS (
  SELECT strftime('%Y-%m-%d', occurred_at / 1000000 + :east, 'unixepoch') AS day,
    iif(machine, 'machine_' || stage, stage) AS stage, channel, coalesce(bait_id, '') AS bait,
    coalesce(campaign_id, '') AS campaign,
    CASE WHEN machine THEN reason WHEN stage = 'dropped' THEN reason ELSE currency END AS part,
    sum(number) AS number, sum(coalesce(amount, 0)) AS amount
  FROM raw_events GROUP BY 1, 2, 3, 4, 5, 6
),
came AS (
  SELECT day, stage, channel, bait, campaign, '' AS part, 0 AS number, count(*) AS subjects, 0 AS amount
  FROM (
    SELECT strftime('%Y-%m-%d', at / 1000000 + :east, 'unixepoch') AS day, stage, channel,
      coalesce(bait_id, '') AS bait, coalesce(campaign_id, '') AS campaign
    FROM firsts JOIN (
      SELECT id, channel, bait_id, campaign_id FROM deliveries
      UNION ALL SELECT id, channel, bait_id, NULL FROM leads
    ) ON id = subject
  )
  GROUP BY 1, 2, 3, 4, 5
),
cells AS (
  SELECT day, stage, channel, bait, campaign, part, number, 0 AS subjects, amount FROM counted
  UNION ALL SELECT * FROM came
)
INSERT INTO totals (day, stage, channel, bait, campaign, part, number, subjects, amount)
SELECT day, stage, channel, coalesce(dashed(nullif(bait, '')), ''), coalesce(dashed(nullif(campaign, '')), ''),
  part, sum(number), sum(subjects), sum(amount)
FROM (SELECT * FROM cells UNION ALL SELECT '', stage, channel, bait, campaign, part, number, subjects, amount
  FROM cells)
GROUP BY day, stage, channel, bait, campaign, part
"""
_EAST = 8 * 3600
"""Seconds by which the product's default time zone is before UTC."""


def grow_counts(metrics: Path, profile: Path, push: Path) -> int:
    """Fill a metrics database from what the other two hold; how many raw events there are then."""
    with filling(metrics, TABLES, profile, push) as connection:
        for statement in _KNOWN:
            connection.execute(statement)
        connection.executemany(
            "INSERT INTO names (kind, thing, label, seen_at) VALUES ('bait', ?, ?, 0)",
            [(str(bait), slug) for slug, bait in BAITS.items()],
        )
        campaigns = connection.execute(
            "SELECT dashed(id), name, created_at FROM push.campaigns ORDER BY created_at"
        ).fetchall()
        connection.executemany(
            "INSERT INTO names (kind, thing, label, seen_at) VALUES ('campaign', ?, ?, ?)",
            campaigns,
        )
        for kind, stage, minutes, digit, below, document in _LEAD_EVENTS:
            given = {"kind": kind, "stage": stage, "after": minutes * _MINUTE, "digit": digit}
            connection.execute(_OF_LEADS, given | {"below": below, "document": document})
        connection.execute(_OUTCOMES)
        names = (
            "kind",
            "stage",
            "after",
            "digit",
            "below",
            "reason",
            "credit",
            "amount",
            "document",
        )
        for row in _ENGAGED:
            given = dict(zip(names, row, strict=True))
            connection.execute(_ENGAGEMENTS, given | {"after": row[2] * _MINUTE})
        connection.execute(_FIRSTS)
        connection.execute(_TOTALS, {"east": _EAST})
        events: int = connection.execute("SELECT count(*) FROM raw_events").fetchone()[0]
        return events
