"""A rule finds in SQL exactly the people for whom it holds, in every form, on both databases."""

from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from pydantic import TypeAdapter, ValidationError
from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session

from services.profile.people.person import PROFILES
from services.profile.segments import repository
from services.profile.segments.compiling import Compiler, large_conditions, people_of
from services.profile.segments.leaves import World
from services.profile.segments.rules import CheckedRule, conditions
from services.profile.segments.walking import in_order, walk
from tests.profile.bench import Bench
from tests.profile.segments import oracle
from tests.profile.segments.strategies import rule_documents, texts

RULE: TypeAdapter[Any] = TypeAdapter(CheckedRule)
WORLD = World(oracle.NOW, oracle.TYPES)


def read(document: Any) -> Any:
    """The rule; None for one that is refused as too deep."""
    try:
        return RULE.validate_python(document)
    except ValidationError as error:
        if "too_large_rule" not in str(error):
            raise
        return None


def found(session: Session, rule: Any, tests: list[Any] | None) -> set[Any]:
    condition = Compiler(WORLD, tests).expression(rule)
    return set(session.execute(select(PROFILES.c.id).where(condition)).scalars())


def check(session: Session, rule: Any, people: list[oracle.Someone]) -> None:
    expected = {one.id for one in people if oracle.holds(rule, one)}
    leaves = list(conditions(rule))
    for tests in (None, [], leaves[::2], leaves[::-1]):
        assert found(session, rule, tests) == expected
    chosen = large_conditions(rule, WORLD, lambda part: repository.size(session, part) * 20_000)
    assert repository.count(session, Compiler(WORLD, chosen).expression(rule)) == len(expected)
    condition = Compiler(WORLD).expression(rule)
    for next_page in (
        lambda after: repository.members(session, condition, after, 7),
        lambda after: walk(session, rule, WORLD, after, 7),
    ):
        walked: list[Any] = []
        while page := next_page(walked[-1] if walked else None):
            walked += page
        assert walked == sorted(expected)


async def test_rules_find_whom_they_hold_for_on_sqlite(bench: Bench) -> None:
    people = oracle.population(1)
    await bench.database.transaction(lambda s: oracle.store(s, people))

    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
    @given(rule_documents)
    def every(document: Any) -> None:
        rule = read(document)
        if rule is not None:
            with Session(bench.database.writer) as session:  # type: ignore[attr-defined]  # SQLite's
                check(session, rule, people)

    every()


async def test_rules_find_whom_they_hold_for_on_postgresql(postgres_bench: Bench) -> None:
    people = oracle.population(2, 25)
    await postgres_bench.database.transaction(lambda s: oracle.store(s, people))
    documents: list[Any] = []

    @settings(max_examples=80, deadline=None, database=None)
    @given(rule_documents)
    def collect(document: Any) -> None:
        documents.append(document)

    collect()

    def work(session: Session) -> None:
        for rule in filter(None, map(read, documents)):
            check(session, rule, people)

    await postgres_bench.database.scan(work, seconds=60)


class TestNoTextOfAUserInSql:
    @settings(max_examples=200, deadline=None)
    @given(texts)
    def test_every_text_is_a_bound_parameter(self, text: str) -> None:
        marked = f"canary{text}canary"
        rule = RULE.validate_python(
            {
                "all": [
                    {"field": marked, "is": marked},
                    {"field": marked, "in": [marked, 1]},
                    {"field": marked, "contains": marked},
                    {"tag": marked},
                    {"bait": marked},
                    {"consent": marked},
                    {"language": marked},
                ]
            }
        )
        for types in ({}, {marked: "multi_choice"}):
            expression = Compiler(World(oracle.NOW, types)).expression(rule)
            for dialect in (sqlite.dialect(), postgresql.asyncpg.dialect()):
                assert "canary" not in str(
                    select(PROFILES).where(expression).compile(dialect=dialect)
                )

    @pytest.mark.parametrize(
        "document",
        [
            {"field": "city", "is": "a\x00b"},
            {"field": "c\nity", "is": "a"},
            {"tag": "\x1b[31m"},
            {"field": "age", "at_least": float("inf")},
            {"field": "age", "at_least": 10**400},
            {"field": "born", "at_least": "yesterday"},
            {"field": "city"},
            {"field": "city", "raw": "1=1"},
            {"sql": "1=1"},
            {"all": []},
            {},
            {"tag": "x", "bait": "y"},
            {"engagement": "clicked", "within_days": 0},
            {"engagement": "slept"},
        ],
    )
    def test_what_is_no_rule_is_refused(self, document: Any) -> None:
        with pytest.raises(ValidationError):
            RULE.validate_python(document)


class TestBounds:
    def test_too_deep(self) -> None:
        deep: Any = {"tag": "x"}
        for _ in range(8):
            deep = {"not": deep}
        assert read(deep) is None

    def test_far_too_deep_is_no_crash(self) -> None:
        deep: Any = {"tag": "x"}
        for _ in range(5000):
            deep = {"all": [deep]}
        assert read(deep) is None

    def test_too_many(self) -> None:
        assert read({"any": [{"tag": str(n)} for n in range(59)]}) is not None
        assert read({"any": [{"any": [{"tag": str(n)} for n in range(40)]}] * 2}) is None


async def test_large_conditions_are_tested_on_the_smallest(bench: Bench) -> None:
    sizes = {"tags": 400_000, "field_values": 300_000, "engagement_facts": 10}
    rule = RULE.validate_python(
        {"all": [{"tag": "x"}, {"field": "city", "is": "y"}, {"engagement": "clicked"}]}
    )
    chosen = large_conditions(rule, WORLD, lambda part: sizes[part.table.name])
    assert chosen == [rule.all[1], rule.all[0]]  # the rarer one first
    sizes["engagement_facts"] = 500_000
    chosen = large_conditions(rule, WORLD, lambda part: sizes[part.table.name])
    assert chosen == [rule.all[0], rule.all[2]]


@pytest.mark.parametrize(
    "document",
    [
        {"field": "city", "is": "x"},
        {"field": "city", "contains": "x"},
        {"field": "age", "at_least": 3},
        {"field": "age", "known": True},
        {"tag": "x"},
        {"bait": "x"},
        {"contact": "email", "verified": True},
        {"verified": False},
        {"consent": "marketing", "channel": "email"},
        {"consent": "marketing"},
        {"engagement": "clicked", "within_days": 3},
        {"engagement": "clicked"},
    ],
)
async def test_a_test_on_a_person_begins_with_the_person(bench: Bench, document: Any) -> None:
    """Without statistics: a wrong choice reads a whole range for each of a million people."""
    rule = RULE.validate_python(document)
    condition = Compiler(WORLD).expression(rule)
    statement = select(PROFILES.c.id).where(condition).order_by(PROFILES.c.id).limit(10)
    with Session(bench.database.writer) as session:  # type: ignore[attr-defined]  # SQLite's
        compiled = statement.compile(
            dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True}
        )
        plan = session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}").all()
    steps = [row[3] for row in plan if "SCAN" in row[3] or "SEARCH" in row[3]]
    assert steps[0].startswith("SCAN profiles")
    assert len(steps) > 1
    assert all("profile_id=?" in step for step in steps[1:]), steps
    assert not any("TEMP B-TREE" in row[3] for row in plan)


@pytest.mark.parametrize(
    "document",
    [
        {"field": "city", "is": "x"},
        {"field": "age", "is": 3},
        {"tag": "x"},
        {"bait": "x"},
        {"consent": "marketing", "channel": "email"},
    ],
)
@pytest.mark.parametrize("after", [None, UUID(int=5)])
async def test_a_walk_reads_only_the_people_of_a_set_in_their_order(
    bench: Bench, document: Any, after: UUID | None
) -> None:
    rule = RULE.validate_python({"all": [document, {"created_within_days": 3}]})
    [(leaf, part)] = in_order(rule, WORLD)
    person, statement = people_of(part)
    statement = statement.where(Compiler(WORLD).but(rule, leaf)).order_by(person).limit(10)
    if after is not None:
        statement = statement.where(person > after)
    with Session(bench.database.writer) as session:  # type: ignore[attr-defined]  # SQLite's
        compiled = statement.compile(
            dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True}
        )
        plan = session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}").all()
    steps = [row[3] for row in plan]
    assert steps[0].startswith("SEARCH walked USING COVERING INDEX")
    assert steps[1:] == ["SEARCH profiles USING PRIMARY KEY (id=?)"], steps


async def test_a_walk_takes_the_set_with_the_fewest_people_there(bench: Bench) -> None:
    people = oracle.population(3)
    await bench.database.transaction(lambda s: oracle.store(s, people))
    rules = [
        RULE.validate_python({"tag": oracle.TAG_WORDS[0]}),
        RULE.validate_python({"tag": "nobody"}),
    ]
    parts = [part for rule in rules for _, part in in_order(rule, WORLD)]
    with Session(bench.database.writer) as session:  # type: ignore[attr-defined]  # SQLite's
        assert repository.sparsest(session, parts, None, 1) == 1
        assert repository.sparsest(session, parts[::-1], None, 1) == 0
