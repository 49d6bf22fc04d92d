"""Hold the architecture: floors, import cycles, sizes and a few habits, read from the source alone.

Contract: `check(package)` reads every `.py` file under a package folder (nothing is imported) and
returns a `Report`. The command prints one line per problem, then the totals, and exits 1 where
there is a problem. Run it as `python tools/check_floors.py`; `make lint` does.

- A module imports only from lower floors, or from its own floor without a cycle. Imports under
  `TYPE_CHECKING` and inside functions count like any other.
- An import inside a function that must point upwards or backwards stands in `Rules.late_imports`
  with its reason; a row that is no longer needed is a problem too.
- A *code line* is a line that holds code: not blank, not only a comment, not part of a docstring.
"""

from __future__ import annotations

import ast
import io
import sys
import tokenize
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from pathlib import Path

# Floor by floor, the modules and packages that live there (a package stands for all inside it).
# "" is the package's own __init__: the front door, which nothing inside may need.
FLOORS: tuple[tuple[str, ...], ...] = (
    ("errors", "merge", "_lazy"),
    ("values", "messages", "documents", "outputs", "prompt_values", "jsonstream", "sse", "events"),
    ("run", "scope", "config", "_awaited", "_faults", "_gate", "_ids", "_locate", "_threads"),
    (
        *("flow", "shapes", "_bridge", "_sync", "_sync_fan", "_sync_plan"),
        *("_async", "_async_fan", "_async_plan"),
        *("_terms", "_sync_race", "_async_race"),
    ),
    ("runnables",),
    (
        *("prompts", "output_parsers", "language_models", "tools", "callbacks", "views"),
        *("retrievers", "vectorstores", "embeddings", "chat_history", "rate_limiters"),
        *("graph", "tracers", "timing", "otel", "_otel_context"),
        *("caches", "globals", "example_selectors", "load", "conversation", "json_schema"),
        *("validation", "resilience", "stores", "document_loaders", "indexing"),
        *("text_splitters", "document_transformers"),
        *("_twins", "_progress", "_file_locks", "_fork", "_sqlite", "actions"),
    ),
    ("agents", "providers", "local", "langchain"),
    ("", "serve", "remote", "scale", "explain", "record", "cli", "testing"),
)


@dataclass(frozen=True)
class Rules:
    """What is allowed. Sizes are in code lines; an exception carries the reason it was granted."""

    floors: tuple[tuple[str, ...], ...] = FLOORS
    file_lines: int = 400
    file_lines_hard: int = 600
    body_lines: int = 40
    body_lines_hard: int = 60
    # (first floor, last floor, code lines together); docs/decisions/0002-budgets.md says why
    budgets: tuple[tuple[int, int, int], ...] = ((0, 1, 3850), (2, 3, 4050), (4, 4, 5100))
    # "runnables/base.py" -> why it is longer than file_lines (never than file_lines_hard)
    long_files: Mapping[str, str] = field(default_factory=dict)
    # "runnables/base.py:Runnable.batch" -> why it is longer than body_lines
    long_bodies: Mapping[str, str] = field(default_factory=dict)
    # ("runnables.base", "explain") -> why this import inside a function may point there
    late_imports: Mapping[tuple[str, str], str] = field(default_factory=dict)


RULES = Rules(
    late_imports={
        ("runnables.base", "callbacks.listeners"): "`with_listeners` makes observers, a view",
        ("runnables.base", "resilience.timeout"): "`with_timeout` makes what lives above",
        ("runnables.base", "resilience.hedge"): "`with_hedge` does",
        ("runnables.base", "resilience.breaker"): "`with_circuit_breaker` does",
        ("runnables._about", "graph.build"): "`get_graph` opens a view that lives above",
        ("runnables._viewed", "views"): "`astream_events` and its like open views",
        ("runnables._viewed", "views.stream_events"): "the same",
        ("runnables._viewed", "views.log"): "the same",
        ("runnables._viewed", "timing"): "the same",
        ("runnables._viewed", "views.live"): "`open` gives a handle, a view",
        ("runnables._viewed", "tools.convert"): "`as_tool` makes what lives above",
        ("messages", "conversation"): "the path at which users look for what trims conversations",
        ("messages.ai", "conversation.vendors"): "a provider's content is translated when read",
        ("messages.content", "conversation.vendors.inputs"): "the same, of what users give",
        ("values", "validation"): "pydantic is asked for by a user's model that has a value in it",
        ("messages.base", "validation"): "the same",
        ("messages.convert", "validation"): "the same",
        ("runnables._again", "resilience.recover"): "what streams do after chunks, where asked for",
        ("runnables.retry", "resilience.recover_budget"): '"transient" names classes of errors',
        ("runnables.retry", "resilience.wrong"): "what to write instead, said when it is wrong",
        ("runnables.fallbacks", "resilience.wrong"): "what else has failed, when all have",
        ("runnables._handled", "resilience.wrong"): "the SDKs' classes, when one is given",
        ("runnables.graph", "graph"): "the path at which users look for the graph's classes",
        ("retrievers.document_compressors.by_embedding", "vectorstores.similarity"): (
            "cosines are worked out there, and stores derive from retrievers"
        ),
    },
)


@dataclass(frozen=True)
class Edge:
    """One import: from a module to a module of the same package, both named without the package."""

    source: str
    target: str
    line: int
    late: bool  # inside a function
    implied: bool = False  # a parent package that the import runs on its way


@dataclass(frozen=True)
class Body:
    """A function's body and its size in code lines."""

    name: str
    line: int
    lines: int


@dataclass(frozen=True)
class Module:
    """One file, taken apart. `name` is dotted and without the package ("" is its `__init__`)."""

    name: str
    path: str
    is_package: bool
    tree: ast.Module
    code_lines: frozenset[int]


@dataclass
class Report:
    """What `check` found: problems (one sentence each) and totals (lines to print)."""

    problems: list[str] = field(default_factory=list)
    totals: list[str] = field(default_factory=list)


# ---- reading ----------------------------------------------------------------------------------

_NOT_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
}


def code_lines(source: str, tree: ast.Module) -> frozenset[int]:
    """The numbers of the lines that hold code (a bare string statement is a docstring)."""
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in _NOT_CODE:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and _is_string(node.value):
            lines.difference_update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    blank = {n for n, line in enumerate(source.splitlines(), 1) if not line.strip()}
    return frozenset(lines - blank)


def _is_string(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def read_package(package: Path) -> dict[str, Module]:
    """Every module under the folder, by name."""
    modules: dict[str, Module] = {}
    for file in sorted(package.rglob("*.py")):
        relative = file.relative_to(package)
        parts = list(relative.with_suffix("").parts)
        is_package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if is_package else parts)
        source = file.read_text(encoding="utf-8")
        tree = ast.parse(source, filename=str(file))
        modules[name] = Module(
            name, relative.as_posix(), is_package, tree, code_lines(source, tree)
        )
    return modules


class _Imports(ast.NodeVisitor):
    """Collects (dotted absolute name, imported name or None, line, late) of a module's imports."""

    def __init__(self, package: str, module: Module) -> None:
        self.found: list[tuple[str, str | None, int, bool]] = []
        self._package = package
        self._module = module
        self._depth = 0

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._add(alias.name, None, node.lineno)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        base = self._absolute(node.module, node.level)
        for alias in node.names:
            self._add(base, alias.name, node.lineno)

    def visit_Call(self, node: ast.Call) -> None:
        # importlib.import_module("package.x") is an import too, or it would be a way around.
        called = node.func.attr if isinstance(node.func, ast.Attribute) else None
        called = node.func.id if isinstance(node.func, ast.Name) else called
        if called in {"import_module", "__import__"} and node.args:
            name = node.args[0]
            if isinstance(name, ast.Constant) and isinstance(name.value, str):
                self._add(name.value, None, node.lineno)
        self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._inside(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._inside(node)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._inside(node)

    def visit_If(self, node: ast.If) -> None:
        # For editors and type checkers only: it may point where a late import may.
        if "TYPE_CHECKING" in ast.unparse(node.test):
            self._inside(node)
        else:
            self.generic_visit(node)

    def _inside(self, node: ast.AST) -> None:
        self._depth += 1
        self.generic_visit(node)
        self._depth -= 1

    def _absolute(self, name: str | None, level: int) -> str:
        if not level:
            return name or ""
        here = [self._package, *self._module.name.split(".")] if self._module.name else []
        here = here or [self._package]
        up = level - 1 if self._module.is_package else level
        return ".".join([*here[: len(here) - up], *([name] if name else [])])

    def _add(self, name: str, imported: str | None, line: int) -> None:
        self.found.append((name, imported, line, self._depth > 0))


def edges_of(package: str, module: Module, modules: Mapping[str, Module]) -> Iterator[Edge]:
    """The imports of a module that stay inside the package, each with the parents it runs."""
    visitor = _Imports(package, module)
    visitor.visit(module.tree)
    for dotted, imported, line, late in visitor.found:
        head, _, rest = dotted.partition(".")
        if head != package:
            continue
        # `from a import b` means the module a.b where there is one, else a name inside a.
        longer = f"{rest}.{imported}" if rest else imported or ""
        target = longer if imported and longer in modules else rest
        if target != module.name:
            yield Edge(module.name, target, line, late)
        for parent in _parents(target):
            if parent != module.name and not module.name.startswith(parent + "."):
                yield Edge(module.name, parent, line, late, implied=True)


def _parents(name: str) -> Iterator[str]:
    while name := name.rpartition(".")[0]:
        yield name


def bodies_of(module: Module) -> Iterator[Body]:
    """Every function and method of a module, nested ones too, with the size of its body."""

    def walk(node: ast.AST, scope: str) -> Iterator[Body]:
        for child in ast.iter_child_nodes(node):
            inner = scope
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                inner = f"{scope}.{child.name}" if scope else child.name
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                last = child.body[-1]
                span = range(child.body[0].lineno, (last.end_lineno or last.lineno) + 1)
                yield Body(inner, child.lineno, len(module.code_lines.intersection(span)))
            yield from walk(child, inner)

    yield from walk(module.tree, "")


# ---- judging ----------------------------------------------------------------------------------


def floor_of(name: str, floors: tuple[tuple[str, ...], ...]) -> int | None:
    """The floor of a module (0 is the lowest), or None where the table has no row for it."""
    head = name.partition(".")[0]
    return next((n for n, heads in enumerate(floors) if head in heads), None)


def check(package: Path, rules: Rules = RULES) -> Report:
    """Judge the package in that folder by the rules."""
    try:
        modules = read_package(package)
    except SyntaxError as error:
        return Report([f"{error.filename}:{error.lineno}: does not parse: {error.msg}"])
    if not modules:
        return Report([f"{package}: no Python file there, so nothing was checked"])
    edges = [e for m in modules.values() for e in edges_of(package.name, m, modules)]
    kept, problems = _argue(edges, rules)
    bodies = {m.name: list(bodies_of(m)) for m in modules.values()}
    report = Report(problems)
    report.problems += _floor_problems(modules, kept, rules)
    report.problems += _cycles(kept, modules)
    report.problems += _size_problems(modules, bodies, rules)
    report.problems += (p for m in modules.values() for p in _habit_problems(m))
    report.problems += _budget_problems(modules, rules)
    report.totals = list(_totals(modules, bodies, rules))
    return report


def _argue(edges: Iterable[Edge], rules: Rules) -> tuple[list[Edge], list[str]]:
    """Take out the late imports that the table argues for; say which of its rows are not used."""
    kept: list[Edge] = []
    used: set[tuple[str, str]] = set()
    for edge in edges:
        row = next(
            (r for r in rules.late_imports if r[0] == edge.source and _covers(r[1], edge)), None
        )
        if edge.late and row:
            used.add(row)
        else:
            kept.append(edge)
    unused = [row for row in rules.late_imports if row not in used]
    return kept, [
        f"late_imports: the row {source} -> {target} matches no import inside a function: remove it"
        for source, target in unused
    ]


def _covers(target: str, edge: Edge) -> bool:
    # A row for a.b also covers the parent package a that importing a.b runs.
    return target == edge.target or (edge.implied and target.startswith(edge.target + "."))


def _floor_problems(
    modules: Mapping[str, Module], edges: Iterable[Edge], rules: Rules
) -> Iterator[str]:
    for module in modules.values():
        if floor_of(module.name, rules.floors) is None:
            yield f"{module.path}: has no floor: add it to FLOORS in tools/check_floors.py"
    for edge in edges:
        if edge.target not in modules:
            if not edge.implied:
                yield f"{modules[edge.source].path}:{edge.line}: there is no module {edge.target}"
            continue
        low, high = floor_of(edge.source, rules.floors), floor_of(edge.target, rules.floors)
        if edge.implied or low is None or high is None or high <= low:
            continue
        target = edge.target or "the package itself"
        yield (
            f"{modules[edge.source].path}:{edge.line}: F{low} imports {target} of F{high}:"
            " a file imports only from its own floor and lower ones"
        )


def _cycles(edges: Iterable[Edge], modules: Mapping[str, Module]) -> Iterator[str]:
    """One problem per cycle. Each time, the cycle's last import is cut and the search goes on."""
    where = {(e.source, e.target): e.line for e in edges if e.target in modules}
    while True:
        graph: dict[str, set[str]] = {}
        for source, target in where:
            graph.setdefault(source, set()).add(target)
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            path: list[str] = error.args[1][::-1]  # graphlib lists the imported first
            steps = list(pairwise(path))
            shown = " -> ".join(f"{modules[s].path}:{where[s, t]}" for s, t in steps)
            yield f"import cycle: {shown} -> {modules[path[0]].path}"
            del where[steps[-1]]
        else:
            return


def _size_problems(
    modules: Mapping[str, Module], bodies: Mapping[str, list[Body]], rules: Rules
) -> Iterator[str]:
    needed: set[str] = set()
    for module in modules.values():
        size = len(module.code_lines)
        if size > rules.file_lines:
            needed.add(module.path)
        limit = rules.file_lines_hard if module.path in rules.long_files else rules.file_lines
        if size > limit:
            yield f"{module.path}: {size} code lines, at most {limit}"
        for body in bodies[module.name]:
            key = f"{module.path}:{body.name}"
            if body.lines > rules.body_lines:
                needed.add(key)
            limit = rules.body_lines_hard if key in rules.long_bodies else rules.body_lines
            if body.lines > limit:
                yield (
                    f"{module.path}:{body.line}: the body of {body.name} has {body.lines}"
                    f" code lines, at most {limit}"
                )
    for row in [*rules.long_files, *rules.long_bodies]:
        if row not in needed:
            yield f"long_files, long_bodies: the row {row} is not needed: remove it"


_VAGUE = {"utils", "_utils", "util", "_util"}


def _habit_problems(module: Module) -> Iterator[str]:
    vague = _VAGUE.intersection(module.name.split("."))
    for name in sorted(vague):
        yield f"{module.path}: a module called {name} says nothing: name it after what it holds"
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ExceptHandler) and all(_is_nothing(s) for s in node.body):
            yield (
                f"{module.path}:{node.lineno}: an exception is swallowed: say why it may be,"
                " with contextlib.suppress around the one statement, or handle it"
            )


def _is_nothing(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Pass) or (
        isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    )


def _budget_problems(modules: Mapping[str, Module], rules: Rules) -> Iterator[str]:
    sizes = _floor_sizes(modules, rules)
    for first, last, limit in rules.budgets:
        size = sum(sizes[n] for n in range(first, last + 1))
        if size > limit:
            yield f"floors F{first} to F{last}: {size} code lines, at most {limit}"


def _floor_sizes(modules: Mapping[str, Module], rules: Rules) -> Counter[int]:
    sizes: Counter[int] = Counter()
    for module in modules.values():
        floor = floor_of(module.name, rules.floors)
        sizes[-1 if floor is None else floor] += len(module.code_lines)
    return sizes


def _totals(
    modules: Mapping[str, Module], bodies: Mapping[str, list[Body]], rules: Rules
) -> Iterator[str]:
    sizes = _floor_sizes(modules, rules)
    floors = ", ".join(f"F{n} {sizes[n]}" for n in range(len(rules.floors)))
    longest = max(modules.values(), key=lambda m: len(m.code_lines))
    yield f"code lines: {floors}; in all {sizes.total()} in {len(modules)} files"
    for first, last, limit in rules.budgets:
        size = sum(sizes[n] for n in range(first, last + 1))
        yield f"floors F{first} to F{last}: {size} of {limit}"
    yield f"longest file: {longest.path}, {len(longest.code_lines)} of {rules.file_lines}"
    worst = max(
        (
            (body.lines, f"{modules[name].path}:{body.name}")
            for name in bodies
            for body in bodies[name]
        ),
        default=None,
    )
    if worst:
        yield f"longest function body: {worst[1]}, {worst[0]} of {rules.body_lines}"


def main(argv: list[str]) -> int:
    """Check the folder named in `argv`, by default this repository's package."""
    default = Path(__file__).resolve().parent.parent / "src" / "headrace"
    package = Path(argv[0]).resolve() if argv else default
    # Another folder is held to the same floors, but what is excused is excused here.
    report = check(package, RULES if package == default else Rules())
    for line in report.problems:
        print(line)
    for line in report.totals:
        print(line)
    print(f"floors: {len(report.problems)} problem(s)" if report.problems else "floors: all hold")
    return 1 if report.problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
