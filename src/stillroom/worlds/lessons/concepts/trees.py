"""Reducing a formula's tree step by step, the way a pupil does it: brackets, then by precedence.

A tree is a tuple (operator, child, ...) or a value. What an operator does and how a value is
written is told by the concept that owns the tree.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

Tree = Any


class Notation(NamedTuple):
    """precedence: of infix operators, larger binds tighter; `write` turns a value into text."""

    precedence: dict[str, int]
    write: Callable[[Any], str]
    prefix: frozenset[str] = frozenset()
    loose: frozenset[str] = frozenset()  # infix operators that need brackets on either side


class Reduction(NamedTuple):
    operator: str
    before: str
    after: str
    part: str  # the part that was worked out
    bracketed: bool


def write(tree: Tree, notation: Notation, least: int = 0) -> str:
    """The tree as text, with no more brackets than its precedences ask for."""
    if not isinstance(tree, tuple):
        text = notation.write(tree)
        return f"({text})" if least and text.startswith("-") else text
    operator, *kids = tree
    if operator in notation.prefix:
        return f"{operator} {write(kids[0], notation, 99)}"
    if operator not in notation.precedence:
        return f"{operator}({', '.join(write(kid, notation) for kid in kids)})"
    own = notation.precedence[operator]
    left = write(kids[0], notation, own + (operator in notation.loose))
    right = write(kids[1], notation, own + 1)
    text = f"{left}^{right}" if operator == "^" else f"{left} {operator} {right}"
    return f"({text})" if own < least else text


def reduce(
    tree: Tree, notation: Notation, compute: Callable[[str, list[Any]], Any]
) -> list[Reduction]:
    """All steps from the tree to its value, each working out one operation."""
    steps = []
    before = write(tree, notation)
    while isinstance(tree, tuple):
        path, bracketed = _next(tree, notation)
        part = _at(tree, path)
        tree = _replace(tree, path, compute(part[0], list(part[1:])))
        after = write(tree, notation)
        steps.append(Reduction(part[0], before, after, write(part, notation), bracketed))
        before = after
    return steps


def calculate(tree: Tree, compute: Callable[[str, list[Any]], Any]) -> Any:
    """The value of the tree at once."""
    if not isinstance(tree, tuple):
        return tree
    return compute(tree[0], [calculate(kid, compute) for kid in tree[1:]])


def _next(tree: Tree, notation: Notation) -> tuple[tuple[int, ...], bool]:
    """The path of what is worked out next: in the deepest brackets, tightest operator, leftmost."""
    best: tuple[tuple[int, int, int], tuple[int, ...]] | None = None
    place = 0

    def visit(node: Tree, path: tuple[int, ...], depth: int, least: int) -> None:
        nonlocal best, place
        if not isinstance(node, tuple):
            return
        operator = node[0]
        infix = operator in notation.precedence
        own = notation.precedence.get(operator, 90)
        if infix and own < least:
            depth += 1
        for i, kid in enumerate(node[1:], 1):
            bound = own + (i > 1 or operator in notation.loose) if infix else 0
            visit(kid, (*path, i), depth, 99 if operator in notation.prefix else bound)
        place += 1
        if not any(isinstance(kid, tuple) for kid in node[1:]):
            rank = (depth, own, -place)
            if best is None or rank > best[0]:
                best = rank, path

    visit(tree, (), 0, 0)
    assert best is not None
    return best[1], best[0][0] > 0


def _at(tree: Tree, path: tuple[int, ...]) -> Tree:
    for i in path:
        tree = tree[i]
    return tree


def _replace(tree: Tree, path: tuple[int, ...], new: Any) -> Tree:
    if not path:
        return new
    i = path[0]
    return (*tree[:i], _replace(tree[i], path[1:], new), *tree[i + 1 :])
