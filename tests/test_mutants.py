"""The power of the lessons checker against mutants of the maker's code.

Each module of makers gets small faults, one at a time: an operator, a comparison, a constant, a
statement. The mutant makes lessons, and those that are not the original's are judged:

- same: every lesson is the original's; as far as can be seen here there is no fault
- crashed: the maker raises or never ends, as a run would notice by itself
- caught: the checker refuses a lesson
- alive: the checker accepts the lessons, as other numbers or words may be right just as well

That they are right is not taken on trust: every lesson of a mutant that the checker accepts is
read again by the second reader (bench/reread.py), which shares no code with it and must find
nothing wrong. That reader knows formulas only: words that do not fit them are not measured here.
"""

import ast
import random
import signal
import sys
from collections import Counter
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest

from stillroom.world import stream
from stillroom.worlds.lessons import checking, concepts, making, planning
from stillroom.worlds.lessons.curriculum import CONCEPTS

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))
from reread import reread

FILES = sorted(Path(concepts.__file__).parent.glob("[!_]*.py"))
FILES = [file for file in FILES if file.stem != "declared"]  # its concepts are files of users
SOURCES = {file.stem: file.read_text(encoding="utf-8") for file in FILES}
CHECKS = {"parses", "task", "structure", "formulas", "steps", "answers", "mistake"}
CHECKS |= {"level", "split"}
HIDDEN = "here the misconception gives the right answer"  # the original's lessons have it, too
MUTANTS = 4  # of each module
DRAWS = 80  # blocks of random numbers for one lesson
SECONDS = 3  # of CPU for one lesson; SymPy takes one of them to start

_SWAPS = {
    **{ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.FloorDiv: ast.Mult},
    **{ast.Mod: ast.FloorDiv, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt},
    **{ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.In: ast.NotIn, ast.NotIn: ast.In},
    **{ast.And: ast.Or, ast.Or: ast.And},
}


class Endless(BaseException):
    """The maker takes too long; no `except` of its own may swallow this."""


def changed(node):
    """The node with a fault in it; None where there is no place for one."""
    match node:
        case ast.BinOp(left, op, right) if type(op) in _SWAPS:
            return ast.BinOp(left, _SWAPS[type(op)](), right)
        case ast.AugAssign(target, op, value) if type(op) in _SWAPS:
            return ast.AugAssign(target, _SWAPS[type(op)](), value)
        case ast.Compare(left, [op, *ops], rest) if type(op) in _SWAPS:
            return ast.Compare(left, [_SWAPS[type(op)](), *ops], rest)
        case ast.BoolOp(op, values):
            return ast.BoolOp(_SWAPS[type(op)](), values)
        case ast.Constant(int(value)):  # True and False, too
            return ast.Constant(not value if value is True or value is False else value + 1)
        case ast.IfExp(test, body, orelse):
            return ast.IfExp(test, orelse, body)
        case ast.Return(ast.Tuple(items) | ast.List(items)) if len(items) > 1:
            return ast.Return(ast.Tuple(items[::-1], ast.Load()))
        case ast.Expr(ast.Call()) | ast.Continue() | ast.Break():
            return ast.Pass()
    return None


class Mutant(ast.NodeTransformer):
    """A module with a fault in the wanted one of all places; `places` counts them."""

    def __init__(self, module, wanted=-1):
        self.wanted, self.places, self.change = wanted, 0, ""
        self.tree = self.visit(ast.parse(SOURCES[module]))

    def visit(self, node):
        new = changed(node)
        self.places += new is not None
        if new is None or self.places - 1 != self.wanted:
            return self.generic_visit(node)
        self.change = f"line {node.lineno}: {ast.unparse(node)}  ->  {ast.unparse(new)}"
        return ast.fix_missing_locations(ast.copy_location(new, node))


def users(module):
    """The module and those that import from it, which have to be executed again after it."""
    return [module, *(name for name in SOURCES if f"concepts.{module} import" in SOURCES[name])]


@contextmanager
def in_place(module, tree):
    """The mutant instead of the module, for as long as the block lasts."""
    found = {name: vars(import_module(f"{concepts.__name__}.{name}")) for name in users(module)}
    before = {name: dict(names) for name, names in found.items()}
    try:
        for name, names in found.items():
            exec(compile(tree if name == module else SOURCES[name], name, "exec"), names)
        yield
    finally:
        for name, names in found.items():
            names.clear()
            names.update(before[name])


def tasks(module):
    """16 tasks over all levels and all concepts that use the module."""
    found = [name for name in users(module) if name in CONCEPTS]
    for n in range(16):
        concept = found[(n + n // 8) % len(found)]
        yield planning.lesson(concept, n, n % 8 + 1, n) | {"split": "train"}


def make(task):
    """The lesson's data; None where the maker raises."""
    blocks = [stream(f"mutants {task['number']}").random] * DRAWS
    signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
    try:
        # An endless loop that draws ends by the number of blocks, any other by the clock.
        return making.make(task, SimpleNamespace(random=lambda size: blocks.pop()(size)))
    except Exception:
        return None
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def judge(module, tree, originals):
    """The mutant's class, the checks that refused, and what only the second reader refuses."""
    refused, missed = set(), []
    try:
        with in_place(module, tree):
            made = [(task, make(task)) for task in tasks(module)]
    except (Endless, Exception):  # never ends, or can't even be imported
        return "crashed", refused, missed
    differ = [one for one, old in zip(made, originals, strict=True) if one[1] != old]
    lessons = [(task, lesson) for task, lesson in differ if lesson]
    for task, data in lessons:
        wrong = [c for c in checking.check(task, data).checks if not c.ok]
        refused |= {c.name for c in wrong if HIDDEN not in c.detail}
        if not wrong and not (again := reread(data["text"])).ok:
            missed += [*again.wrong, *again.unreadable]
    kind = "caught" if refused else "alive" if lessons else "crashed" if differ else "same"
    return kind, refused, missed


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs a timer that counts CPU time")
def test_what_the_checker_accepts_of_mutants_is_right_and_many_are_caught():
    def ring(signum, frame):
        raise Endless

    before = signal.signal(signal.SIGVTALRM, ring)
    kinds, names = Counter(), set()
    try:
        for module in SOURCES:
            originals = [make(task) for task in tasks(module)]
            assert None not in originals
            for place in random.Random(module).sample(range(Mutant(module).places), MUTANTS):
                mutant = Mutant(module, place)
                kind, refused, missed = judge(module, mutant.tree, originals)
                assert not missed, (module, mutant.change, missed)
                kinds[kind] += 1
                names |= refused
            assert [make(task) for task in tasks(module)] == originals
    finally:
        signal.signal(signal.SIGVTALRM, before)
    assert kinds["caught"] >= 40, kinds
    assert names <= CHECKS
    assert len(names) >= 5, names
