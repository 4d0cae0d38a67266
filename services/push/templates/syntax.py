"""Reading a template: Jinja's own parser, then a list of what may stand in the tree. All else is refused.

What is left is runs of text with holes, and choices between them: no loops, no calls, no attributes.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from jinja2 import TemplateSyntaxError, nodes

from services.push.templates import marks
from services.push.templates.sandbox import TemplateSandbox
from services.push.templates.variables import UNSUBSCRIBE, is_fit, shown

MAX_BYTES = 200 * 1024
MAX_NODES = 2000
MAX_DEPTH = 20
MAX_CHOICES = 50

_ARGUMENTS: dict[str, tuple[tuple[type, ...], ...]] = {
    "default": ((str, int, float, bool),),
    "upper": (),
    "lower": (),
    "trim": (),
    "truncate": ((int,), (str,)),
    "date": ((str,),),
}
_REQUIRED = {"default": 1, "truncate": 1}
_DATE_DIRECTIVES = frozenset("Ymd%")


class Faulty(Exception):
    """A template is refused: a word of `reasons.REASONS`, the line it stands on, and what exactly."""

    def __init__(self, reason: str, line: int | None = None, what: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.line = line
        self.what = what

    @property
    def detail(self) -> str | None:
        """Line and cause in a form that reads in both languages."""
        place = f"line {self.line}" if self.line else ""
        joined = ": ".join(part for part in (place, self.what[:160]) if part)
        return f"({joined})" if joined else None


@dataclass(frozen=True)
class Run:
    """A run of marked text, by its number."""

    number: int


@dataclass(frozen=True)
class Choice:
    """The first body whose test holds, else `otherwise`."""

    branches: tuple[tuple[nodes.Expr, "Body"], ...]
    otherwise: "Body"


Body = tuple[Run | Choice, ...]


@dataclass
class Expressions:
    """What the parts of one content write into their holes, each once, by number."""

    found: list[nodes.Expr] = field(default_factory=list)
    numbers: dict[str, int] = field(default_factory=dict)

    def number(self, node: nodes.Expr) -> int:
        key = repr(node)
        number = self.numbers.get(key)
        if number is None:
            number = self.numbers[key] = len(self.found)
            self.found.append(node)
        return number

    def slot_names(self) -> dict[int, str]:
        """The slot name of each: its variable, or its number where it is more than a variable."""
        return {
            number: f"var:{node.name if isinstance(node, nodes.Name) else number}"
            for number, node in enumerate(self.found)
        }


@dataclass
class Parsed:
    """A checked template: its shape, its runs of marked text, its tests, the names it uses."""

    body: Body = ()
    runs: list[str] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    outermost: set[int] = field(default_factory=set)
    tests: list[nodes.Expr] = field(default_factory=list)
    names: dict[str, int] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """All runs, also those that never stand in one message together, with edges between them."""
        return marks.EDGE.join(self.runs)

    def lines_of_text(self) -> Callable[[int], int]:
        """Says on which line of the source, near enough, a place in `text` is."""
        starts, numbers, at = [0], [1], 0
        for run, line in zip(self.runs, self.lines, strict=True):
            for count, piece in enumerate(run.split("\n")):
                starts.append(at)
                numbers.append(line + count)
                at += len(piece) + 1  # the line's end, or the edge
        return lambda place: numbers[bisect_right(starts, place) - 1]

    def with_text(self, text: str) -> "Parsed":
        """The same shape over other runs. `text` must hold as many edges."""
        runs = text.split(marks.EDGE)
        if len(runs) != len(self.runs):
            raise ValueError("an edge was lost")
        return Parsed(
            self.body,
            runs,
            self.lines,
            self.outermost,
            self.tests,
            self.names,
        )

    def tree(self) -> nodes.Template:
        """A syntax tree that renders to marked text; the expressions are left as marks."""
        return nodes.Template(self._nodes(self.body), lineno=1)

    def _nodes(self, body: Body) -> list[nodes.Node]:
        made: list[nodes.Node] = []
        for part in body:
            if isinstance(part, Run):
                data = nodes.TemplateData(self.runs[part.number], lineno=1)
                made.append(nodes.Output([data], lineno=1))
                continue
            otherwise = self._nodes(part.otherwise)
            for test, inner in reversed(part.branches):
                chosen = nodes.If(test, self._nodes(inner), [], otherwise, lineno=1)
                otherwise = [chosen]
            made += otherwise
        return made


def parse(source: str, sandbox: TemplateSandbox, expressions: Expressions) -> Parsed:
    """Read and check one part of a template; its expressions are added. Raises `Faulty`."""
    if len(source.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise Faulty("too_long")
    if not is_fit(source):
        raise Faulty("forbidden_characters")
    try:
        tree = sandbox.parse(source)
    except TemplateSyntaxError as error:
        raise Faulty("template_syntax", error.lineno, error.message or "") from error
    except (RecursionError, ValueError, OverflowError) as error:
        raise Faulty("too_complex") from error
    reader = _Reader(expressions)
    reader.parsed.body = reader.body(tree.body, 0)
    return reader.parsed


class _Reader:
    """Walks a syntax tree and keeps what is allowed in it."""

    def __init__(self, expressions: Expressions) -> None:
        self.parsed = Parsed()
        self._expressions = expressions
        self._count = 0
        self._line = 1

    def body(self, statements: Sequence[nodes.Node], depth: int) -> Body:
        made: list[Run | Choice] = [self._run(depth)]
        for statement in statements:
            self._counted(statement, depth)
            self._line = statement.lineno
            if isinstance(statement, nodes.Output):
                last = made[-1]
                assert isinstance(last, Run)
                if not self.parsed.runs[last.number]:
                    self.parsed.lines[last.number] = statement.lineno
                self.parsed.runs[last.number] += "".join(
                    self._output(part, depth) for part in statement.nodes
                )
            elif isinstance(statement, nodes.If):
                made += [self._choice(statement, depth), self._run(depth)]
            else:
                raise Faulty("not_in_templates", statement.lineno, _called(statement))
        return tuple(made)

    def _run(self, depth: int) -> Run:
        number = len(self.parsed.runs)
        self.parsed.runs.append("")
        self.parsed.lines.append(self._line)
        if depth == 0:
            self.parsed.outermost.add(number)
        return Run(number)

    def _choice(self, statement: nodes.If, depth: int) -> Choice:
        branches = []
        for branch in (statement, *statement.elif_):
            test = branch.test
            assert isinstance(test, nodes.Expr)
            self._expression(test, depth + 1)
            self.parsed.tests.append(test)
            branches.append((test, self.body(branch.body, depth + 1)))
        return Choice(tuple(branches), self.body(statement.else_, depth + 1))

    def _output(self, part: nodes.Node, depth: int) -> str:
        self._counted(part, depth)
        if isinstance(part, nodes.TemplateData):
            return part.data
        if isinstance(part, nodes.Name) and part.name == UNSUBSCRIBE:
            self._name(part)
            return marks.LEAVE
        assert isinstance(part, nodes.Expr)
        self._expression(part, depth + 1)
        if isinstance(part, nodes.Const):
            return "" if part.value is None else shown(part.value, "en")
        return marks.expression(self._expressions.number(part))

    def _expression(self, node: nodes.Expr, depth: int) -> None:
        self._counted(node, depth)
        if isinstance(node, nodes.Name):
            if node.name == UNSUBSCRIBE:
                raise Faulty("not_in_templates", node.lineno, UNSUBSCRIBE)
            self._name(node)
        elif isinstance(node, nodes.Const):
            _check_constant(node)
        elif isinstance(node, nodes.Filter):
            self._filter(node, depth)
        elif isinstance(node, nodes.Test):
            given = node.args or node.kwargs or node.dyn_args or node.dyn_kwargs
            if node.name != "defined" or given or not isinstance(node.node, nodes.Name):
                raise Faulty("not_in_templates", node.lineno, f"is {node.name}")
            self._expression(node.node, depth + 1)
        elif isinstance(node, nodes.Compare):
            self._compare(node, depth)
        else:
            for child in _children(node):
                self._expression(child, depth + 1)

    def _filter(self, node: nodes.Filter, depth: int) -> None:
        allowed = _ARGUMENTS.get(node.name)
        given = node.args
        if allowed is None or node.node is None:
            raise Faulty("not_in_templates", node.lineno, f"filter {node.name}")
        wrong = node.kwargs or node.dyn_args or node.dyn_kwargs or len(given) > len(allowed)
        if wrong or len(given) < _REQUIRED.get(node.name, 0):
            raise Faulty("template_syntax", node.lineno, f"arguments of {node.name}")
        for argument, types in zip(given, allowed, strict=False):
            self._counted(argument, depth)
            if not isinstance(argument, nodes.Const) or not isinstance(argument.value, types):
                raise Faulty("template_syntax", node.lineno, f"arguments of {node.name}")
            _check_constant(argument)
        if node.name == "date" and given:
            assert isinstance(given[0], nodes.Const)
            _check_pattern(given[0])
        self._expression(node.node, depth + 1)

    def _compare(self, node: nodes.Compare, depth: int) -> None:
        self._expression(node.expr, depth + 1)
        for operand in node.ops:
            self._counted(operand, depth)
            if operand.op in ("in", "notin"):
                choices = operand.expr
                if not isinstance(choices, nodes.List | nodes.Tuple):
                    raise Faulty("not_in_templates", node.lineno, operand.op)
                if len(choices.items) > MAX_CHOICES:
                    raise Faulty("too_complex", node.lineno)
                for item in choices.items:
                    if not isinstance(item, nodes.Const):
                        raise Faulty("not_in_templates", node.lineno, _called(item))
                    _check_constant(item)
            else:
                self._expression(operand.expr, depth + 1)

    def _name(self, node: nodes.Name) -> None:
        if node.ctx != "load":
            raise Faulty("not_in_templates", node.lineno, node.name)
        self.parsed.names.setdefault(node.name, node.lineno)

    def _counted(self, node: nodes.Node, depth: int) -> None:
        self._count += 1
        if self._count > MAX_NODES or depth > MAX_DEPTH:
            raise Faulty("too_complex", node.lineno)


def _children(node: nodes.Expr) -> tuple[nodes.Expr, ...]:
    """What an allowed expression is made of. Raises `Faulty` for any other."""
    if isinstance(node, nodes.And | nodes.Or):
        return (node.left, node.right)
    if isinstance(node, nodes.Not):
        return (node.node,)
    if isinstance(node, nodes.Concat):
        return tuple(node.nodes)
    if isinstance(node, nodes.CondExpr) and node.expr2 is not None:
        return (node.test, node.expr1, node.expr2)
    raise Faulty("not_in_templates", node.lineno, _called(node))


def _check_constant(node: nodes.Const) -> None:
    value = node.value
    if isinstance(value, str):
        if not is_fit(value):
            raise Faulty("forbidden_characters", node.lineno)
    elif isinstance(value, bool | None):
        return
    elif not isinstance(value, int | float) or not abs(value) < 1e15:
        raise Faulty("out_of_range", node.lineno)


def _check_pattern(node: nodes.Const) -> None:
    parts = str(node.value).split("%%")
    for part in parts:
        for following in part.split("%")[1:]:
            if following[:1] not in _DATE_DIRECTIVES:
                raise Faulty("template_syntax", node.lineno, "date knows %Y %m %d")


def _called(node: nodes.Node) -> str:
    """What a refused piece of template is called by those who write templates."""
    names = {
        "For": "for",
        "Getattr": ".",
        "Getitem": "[ ]",
        "Call": "( )",
        "Assign": "set",
        "AssignBlock": "set",
        "Pow": "**",
        "Mul": "*",
    }
    kind = type(node).__name__
    return names.get(kind, kind.lower())
