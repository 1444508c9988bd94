"""Whole-number formulas, worked out one operation at a time."""

import ast
import operator
from functools import cache
from itertools import pairwise
from typing import Any

from stillroom.worlds.lessons.concepts import Instance
from stillroom.worlds.lessons.concepts.trees import Notation, Tree, calculate, reduce, write
from stillroom.worlds.lessons.content import Content
from stillroom.worlds.lessons.dice import Dice
from stillroom.worlds.lessons.render import Slip, Solution, Step

_SIGNS: dict[type, str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "×", ast.Div: "÷", ast.Pow: "^"}
_RULES = {"+": "add", "-": "subtract", "×": "multiply", "÷": "divide", "^": "power"}
NOTATION = Notation({"+": 1, "-": 1, "×": 2, "÷": 2, "^": 3}, str, loose=frozenset("^"))


class Unfit(ValueError):
    """An intermediate result that the lesson does not want."""


def _compute(sign: str, kids: list[Any]) -> int:
    a, b = kids
    if sign == "÷":
        if b == 0 or a % b:
            raise Unfit
        return int(a // b)
    result = {"+": operator.add, "-": operator.sub, "×": operator.mul, "^": operator.pow}[sign](
        a, b
    )
    if not 0 <= result <= 5000:
        raise Unfit
    return int(result)


@cache
def _shape(text: str) -> Tree:
    """A shape of the content file, "n + n * n", as a tree with None for every number."""

    def convert(node: ast.expr) -> Tree:
        if isinstance(node, ast.BinOp):
            return (_SIGNS[type(node.op)], convert(node.left), convert(node.right))
        return None

    return convert(ast.parse(text, mode="eval").body)


def _fill(shape: Tree, dice: Dice, low: int, high: int) -> Tree:
    if shape is None:
        return dice.between(low, high)
    sign, left, right = shape
    if sign == "^" and left is None:
        return (sign, dice.between(2, 5), dice.between(2, 3))
    if sign == "÷" and left is None and right is None:
        divisor = dice.between(2, min(9, high // 2))
        return (sign, divisor * dice.between(2, high // divisor), divisor)
    if sign == "×" and left is None and right is None:
        most = max(12, high // 4)
        return (sign, dice.between(low, min(high, most)), dice.between(low, min(high, most)))
    exponent = dice.between(2, 3) if sign == "^" else _fill(right, dice, low, high)
    return (sign, _fill(left, dice, low, high), exponent)


def sample(dice: Dice, limits: dict[str, tuple[Any, ...]], content: Content) -> Instance:
    low, high = limits["number"]
    low_brackets, high_brackets = limits["brackets"]
    operators = dice.between(*limits["operators"])
    shapes = content.data["shapes"][operators - 2][low_brackets : high_brackets + 1]
    shape = _shape(dice.pick(dice.pick(shapes)))
    while True:
        tree = _fill(shape, dice, 2, high)
        if _largest(tree) < low:
            continue
        try:
            calculate(tree, _compute)
        except Unfit:
            continue
        return Instance("plain", {"formula": write(tree, NOTATION)}, tree)


def _largest(tree: Tree) -> int:
    return max(map(_largest, tree[1:])) if isinstance(tree, tuple) else int(tree)


def solve(instance: Instance) -> Solution:
    steps = [
        Step(
            "brackets" if done.bracketed else _RULES[done.operator],
            (f"{done.before} = {done.after}",),
            {"part": done.part},
        )
        for done in reduce(instance.given, NOTATION, _compute)
    ]
    return Solution(steps, steps[-1].formulas[0].rpartition(" = ")[2], _proof(instance.given))


def _proof(tree: Tree) -> tuple[str, dict[str, str]]:
    """The last operation undone: the answer and one part give the other part."""
    sign, left, right = tree
    a, b = calculate(left, _compute), calculate(right, _compute)
    whole = _compute(sign, [a, b])
    if sign == "+":
        return "undo_sum", {"proof": f"{whole} - {b} = {a}"}
    if sign == "-":
        return "undo_difference", {"proof": f"{whole} + {b} = {a}"}
    if sign == "×" and b:
        return "undo_product", {"proof": f"{whole} ÷ {b} = {a}"}
    if sign == "÷":
        return "undo_quotient", {"proof": f"{whole} × {b} = {a}"}
    return "again", {"proof": f"{a}^{b} = {whole}" if sign == "^" else f"{a} × {b} = {whole}"}


def _loosely(sign: str, kids: list[Any]) -> Any:
    a, b = kids
    if sign == "÷":
        if b == 0 or a % b:
            raise Unfit
        return a // b
    if sign == "^":
        if abs(b) > 9 or b < 0:
            raise Unfit
        return a**b
    return {"+": a + b, "-": a - b, "×": a * b}[sign]


def _flat(tree: Tree, brackets: bool) -> list[Any]:
    """Numbers and signs in reading order; what stands in brackets is one number, or spread out."""

    def spread(node: Tree, least: int) -> list[Any]:
        if not isinstance(node, tuple):
            return [node]
        own = NOTATION.precedence[node[0]]
        if own < least and brackets:
            return [calculate(node, _loosely)]
        loose = node[0] in NOTATION.loose
        return [*spread(node[1], own + loose), node[0], *spread(node[2], own + 1)]

    return spread(tree, 0)


def _run(items: list[Any], order: tuple[str, ...]) -> int:
    """Work out a flat list of numbers and signs, group of signs by group of signs."""
    for signs in order:
        done = [items[0]]
        for sign, value in zip(items[1::2], items[2::2], strict=True):
            if sign in signs:
                done[-1] = _loosely(sign, [done[-1], value])
            else:
                done += [sign, value]
        items = done
    return int(items[0])


def mistakes(instance: Instance) -> list[Slip]:
    tree, text = instance.given, instance.slots["formula"]
    ways: list[tuple[str, list[Any], tuple[str, ...]]] = []
    flat = _flat(tree, True)
    if any(s in "+-" for s in flat[1::2]) and any(s in "×÷^" for s in flat[1::2]):
        ranks = [NOTATION.precedence[sign] for sign in flat[1::2]]
        if any(a < b for a, b in pairwise(ranks)):  # else reading order is the right order
            ways.append(("left_to_right", flat, ("+-×÷^",)))
        ways.append(("add_first", flat, ("^", "+-", "×÷")))
    if "(" in text:
        ways.append(("no_brackets", _flat(tree, False), ("^", "×÷", "+-")))
    if "^" in text and "(" not in text.partition("^")[2][:1]:
        times = [("×" if item == "^" else item) for item in flat]
        if "^" in flat[1::2]:
            ways.append(("power_as_product", times, ("×÷", "+-")))
    slips = []
    for name, items, order in ways:
        try:
            slips.append(Slip(name, text, str(_run(items, order))))
        except Unfit:
            continue
    return slips or [Slip("off_by_one", text, str(calculate(tree, _compute) + 1))]
