"""The budgets of shape: length of files and functions, arguments, broad excepts, mocks."""

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from checks.sources import is_migration, is_test, python_files

Function = ast.FunctionDef | ast.AsyncFunctionDef

BROAD = frozenset({"Exception", "BaseException"})
MOCKS = frozenset({"Mock", "MagicMock", "AsyncMock", "NonCallableMock", "create_autospec", "patch"})


@dataclass(frozen=True)
class Limits:
    """Lines, unless the name says otherwise. p90: nine of ten have at most so many."""

    file: int = 500
    file_p90: int = 350
    function: int = 70
    function_p90: int = 35
    arguments: int = 8
    broad_excepts: int = 3
    mocked_tests_percent: int = 15
    may_catch_broadly: tuple[str, ...] = ("services/shared/runner",)


@dataclass
class _Sizes:
    files: list[int] = field(default_factory=list)
    functions: list[int] = field(default_factory=list)


def p90(values: Sequence[int]) -> int:
    """The smallest value that nine of ten do not exceed; 0 of nothing."""
    ordered = sorted(values)
    return ordered[(9 * len(ordered) + 9) // 10 - 1] if ordered else 0


def functions(tree: ast.AST) -> Iterator[Function]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def length(function: Function) -> int:
    return (function.end_lineno or function.lineno) - function.lineno + 1


def argument_count(function: Function) -> int:
    """Arguments that a caller may give: neither self nor cls, `*` and `**` once each."""
    given = function.args
    names = [a.arg for a in (*given.posonlyargs, *given.args)]
    if names and names[0] in ("self", "cls"):
        names = names[1:]
    return (
        len(names) + len(given.kwonlyargs) + sum(a is not None for a in (given.vararg, given.kwarg))
    )


def _caught(node: ast.expr | None) -> Iterator[str]:
    if node is None:
        yield "BaseException"
    elif isinstance(node, ast.Tuple):
        for element in node.elts:
            yield from _caught(element)
    elif isinstance(node, ast.Name):
        yield node.id


def broad_excepts(tree: ast.AST) -> Iterator[int]:
    """Lines of handlers that catch everything and do not raise it again as their last act."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler):
            passes_on = isinstance(node.body[-1], ast.Raise)
            if BROAD.intersection(_caught(node.type)) and not passes_on:
                yield node.lineno
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            names = {a.id for a in node.args if isinstance(a, ast.Name)}
            if node.func.attr == "suppress" and names & BROAD:
                yield node.lineno


def uses_mock(test: Function) -> bool:
    """Whether a test replaces parts of the program instead of handing it fakes."""
    if any(a.arg == "mocker" for a in test.args.args):
        return True
    for node in ast.walk(test):
        if isinstance(node, ast.Name) and node.id in MOCKS:
            return True
        if isinstance(node, ast.Attribute):
            owner = node.value.id if isinstance(node.value, ast.Name) else ""
            if node.attr in MOCKS or (owner == "monkeypatch" and node.attr == "setattr"):
                return True
    return False


def _check_functions(
    name: str, tree: ast.AST, sizes: _Sizes, limits: Limits, *, tests: bool
) -> Iterator[str]:
    for function in functions(tree):
        lines = length(function)
        sizes.functions.append(lines)
        place = f"{name}:{function.lineno} {function.name}"
        if lines > limits.function:
            yield f"{place}: {lines} lines, allowed are {limits.function}"
        # A test's arguments are its fixtures.
        if not tests and (count := argument_count(function)) > limits.arguments:
            yield f"{place}: {count} arguments, allowed are {limits.arguments}"


def _check_p90(title: str, sizes: _Sizes, limits: Limits) -> Iterator[str]:
    if (reached := p90(sizes.files)) > limits.file_p90:
        yield f"{title}: nine of ten files have up to {reached} lines, allowed are {limits.file_p90}"
    if (reached := p90(sizes.functions)) > limits.function_p90:
        yield f"{title}: nine of ten functions have up to {reached} lines, allowed are {limits.function_p90}"


def _check_broad(places: Sequence[str], limits: Limits) -> Iterator[str]:
    for place in places:
        if not place.startswith(limits.may_catch_broadly):
            yield f"{place}: catches everything; only the runner may"
    if len(places) > limits.broad_excepts:
        yield f"{len(places)} broad excepts, allowed are {limits.broad_excepts}: {', '.join(places)}"


def _check_mocks(tests: Sequence[Function], limits: Limits) -> Iterator[str]:
    mocked = [test.name for test in tests if uses_mock(test)]
    if mocked and 100 * len(mocked) > limits.mocked_tests_percent * len(tests):
        yield (
            f"{len(mocked)} of {len(tests)} tests use mocks, "
            f"allowed are {limits.mocked_tests_percent} %: {', '.join(mocked[:10])}"
        )


def check(root: Path, limits: Limits | None = None) -> list[str]:
    """Complaints about the shape of the checkout at `root`."""
    allowed = limits or Limits()
    complaints: list[str] = []
    sizes = {"sources": _Sizes(), "tests": _Sizes()}
    broad: list[str] = []
    tests: list[Function] = []
    for path in python_files(root):
        if is_migration(path):
            continue
        name, in_tests = path.relative_to(root).as_posix(), is_test(path, root)
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text, name)
        group = sizes["tests" if in_tests else "sources"]
        lines = text.count("\n")
        group.files.append(lines)
        if lines > allowed.file:
            complaints.append(f"{name}: {lines} lines, allowed are {allowed.file}")
        complaints += _check_functions(name, tree, group, allowed, tests=in_tests)
        if name.startswith("services/"):
            broad += [f"{name}:{line}" for line in broad_excepts(tree)]
        if in_tests:
            tests += [f for f in functions(tree) if f.name.startswith("test_")]
    for title, group in sizes.items():
        complaints += _check_p90(title, group, allowed)
    return [*complaints, *_check_broad(broad, allowed), *_check_mocks(tests, allowed)]
