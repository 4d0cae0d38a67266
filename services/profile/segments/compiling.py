"""A rule as an SQL expression over `profiles`. Every text and number of a rule is a bound parameter.

Each condition is a set of profile ids from an index. It is asked for as membership (`id IN (…)`), which
builds the set once and can be what the database begins with; or as existence (`EXISTS`), which tests one
person after the other. Walking through members in the order of their ids asks for existence, so that a
page costs a page and not a set. Counting begins with the small sets and tests for the large ones.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, ColumnElement, and_, literal_column, not_, or_, select, true
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.util import ClauseAdapter
from sqlalchemy.sql.visitors import InternalTraversal, replacement_traverse

from services.profile.people.person import PROFILES
from services.profile.segments import rules
from services.profile.segments.leaves import Expression, Having, Own, World, asked

LARGE = 150_000
"""A set with more people is dear to build: it is rather tested for each."""

RANGED = frozenset({"at", "channel", "number_value", "text_value", "verified_at"})
"""Columns by which an index that does not begin with the person could seem the better one."""


@dataclass(frozen=True)
class Compiler:
    """Compiles rules. `tests` are the conditions to ask for as existence; None: all of them.

    Where all have to hold, they are asked in the order of `tests`: who fails the first is not asked the others.
    """

    world: World
    tests: Sequence[Any] | None = None

    def expression(self, rule: Any) -> Expression:
        """The condition on `profiles` that holds for the people of a rule."""
        if isinstance(rule, rules.AllRule):
            return and_(*(self.expression(inner) for inner in sorted(rule.all, key=self._turn)))
        if isinstance(rule, rules.AnyRule):
            return or_(*(self.expression(inner) for inner in rule.any))
        if isinstance(rule, rules.NotRule):
            return not_(self.expression(rule.not_))
        test = self.tests is None or rule in self.tests
        found = or_(*(_part(part, test=test) for part in asked(rule, self.world)))
        if isinstance(rule, rules.VerifiedRule) and not rule.verified:
            return not_(found)
        return found

    def but(self, rule: Any, known: Any) -> Expression:
        """The same for people for whom one of the rule's own conditions is known to hold."""
        if not isinstance(rule, rules.AllRule):
            return true()
        return and_(true(), *(self.expression(inner) for inner in rule.all if inner != known))

    def _turn(self, rule: Any) -> int:
        """Sets come before tests."""
        return self.tests.index(rule) + 1 if self.tests and rule in self.tests else 0


class _Unindexed(ColumnElement[Any]):
    """A column that SQLite shall not look up in an index: to test a person, it must begin with the person.

    Without statistics its planner prefers `kind = ? AND at >= ?` to `profile_id = ? AND kind = ?`, and
    reads the whole range for everybody.
    """

    inherit_cache = True
    _traverse_internals: Any = [("column", InternalTraversal.dp_clauseelement)]  # noqa: RUF012  # as SQLAlchemy declares it

    def __init__(self, column: ColumnElement[Any]) -> None:
        self.column = column
        self.type = column.type


@compiles(_Unindexed)
def _as_it_is(element: Any, compiler: Any, **options: Any) -> str:
    return str(compiler.process(element.column, **options))


@compiles(_Unindexed, "sqlite")
def _with_plus(element: Any, compiler: Any, **options: Any) -> str:
    return f"+{compiler.process(element.column, **options)}"


def _part(part: Having | Own, *, test: bool) -> Expression:
    if isinstance(part, Own):
        return part.expression
    table = part.table
    if not test:
        return PROFILES.c.id.in_(select(table.c.profile_id).where(*part.conditions))
    conditions = [_unindexed(condition) for condition in part.conditions]
    one: Any = select(literal_column("1")).select_from(table)
    exists: Expression = one.where(table.c.profile_id == PROFILES.c.id, *conditions).exists()
    return exists


def _unindexed(condition: Expression) -> Expression:
    def replace(element: Any, **_: Any) -> Any:
        ranged = isinstance(element, Column) and element.name in RANGED
        return _Unindexed(element) if ranged else None

    replaced: Expression = replacement_traverse(condition, {}, replace)
    return replaced


def large_conditions(rule: Any, world: World, size: Callable[[Having], int]) -> list[Any]:
    """The conditions to test for when the people of a rule are counted, the rarest first; the others are sets.

    Where several have to hold, the smallest set is what one begins with, and large ones are tests on it.
    `size` tells how many rows fulfil a condition (it may stop counting at some number over `LARGE`).
    """
    if not isinstance(rule, rules.AllRule):
        return []
    sizes: dict[Any, int] = {}
    direct: dict[Any, int] = {}
    for inner in rule.all:
        for leaf in rules.conditions(inner):
            parts = [part for part in asked(leaf, world) if isinstance(part, Having)]
            if not parts:
                continue
            sizes[leaf] = sum(size(part) for part in parts)
            if leaf is inner and not _negated(leaf):
                direct[leaf] = sizes[leaf]
    if not direct:
        return []
    first = min(direct, key=lambda leaf: direct[leaf])
    large = (leaf for leaf, number in sizes.items() if number > LARGE and leaf != first)
    return sorted(large, key=lambda leaf: sizes[leaf])


def people_of(part: Having) -> tuple[ColumnElement[Any], Any]:
    """The people of a set, to be walked in their order: their ids, and a statement that selects them.

    Each is joined with the profile. SQLite shall begin with the set, not with the profiles.
    """
    walked = part.table.alias("walked")
    person = walked.c.profile_id
    adapter = ClauseAdapter(walked)
    conditions = [adapter.traverse(condition) for condition in part.conditions]
    both = walked.join(PROFILES, PROFILES.c.id == _Unindexed(person))
    return person, select(person).distinct().select_from(both).where(*conditions)


def _negated(leaf: Any) -> bool:
    return isinstance(leaf, rules.VerifiedRule) and not leaf.verified
