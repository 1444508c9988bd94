"""The maker of concepts that are a file alone: formulas with letters, worked out step by step.

A level's `shape` lists formulas such as `2 × {a} + {b}`, its other entries the range of each
letter; a misconception has a `formula` of its own. Whole numbers only: what does not come out is
drawn anew.
"""

import ast
import operator
import re
from functools import lru_cache
from typing import Any

from stillroom.worlds.lessons.concepts import Instance
from stillroom.worlds.lessons.concepts.trees import Notation, Tree, calculate, reduce, write
from stillroom.worlds.lessons.content import Content, content
from stillroom.worlds.lessons.dice import Dice
from stillroom.worlds.lessons.render import Slip, Solution, Step

_SIGNS: dict[type, str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "×", ast.Div: "÷", ast.Pow: "^"}
_RULES = {"+": "add", "-": "subtract", "×": "multiply", "÷": "divide", "^": "power"}
_NOTATION = Notation({"+": 1, "-": 1, "×": 2, "÷": 2, "^": 3}, str, loose=frozenset("^"))
_DRAWS = 1000
_MOST = 10**12


class _Unfit(ValueError):
    """A result that is no whole number from zero up, or too large."""


def _compute(sign: str, kids: list[Any]) -> int:
    a, b = kids
    if sign == "÷":
        if b == 0 or a % b:
            raise _Unfit
        return int(a // b)
    if sign == "^" and (b > 40 or abs(a) > 10**6):
        raise _Unfit
    known = {"+": operator.add, "-": operator.sub, "×": operator.mul, "^": operator.pow}
    result = int(known[sign](a, b))
    if not 0 <= result <= _MOST:
        raise _Unfit
    return result


@lru_cache(maxsize=10_000)
def _tree(shape: str, values: tuple[tuple[str, int], ...]) -> Tree:
    given = dict(values)

    def convert(node: ast.expr) -> Tree:
        if isinstance(node, ast.BinOp) and type(node.op) in _SIGNS:
            return (_SIGNS[type(node.op)], convert(node.left), convert(node.right))
        if isinstance(node, ast.Name) and node.id in given:
            return given[node.id]
        if isinstance(node, ast.Constant) and type(node.value) is int:
            return node.value
        raise ValueError(f"the formula {shape!r} has a part that is neither letter nor number")

    plain = re.sub(r"\{(\w+)\}", r"\1", shape)
    for sign, other in (("×", "*"), ("÷", "/"), ("^", "**")):
        plain = plain.replace(sign, other)
    return convert(ast.parse(plain, mode="eval").body)


def sample(dice: Dice, limits: dict[str, tuple[Any, ...]], told: Content) -> Instance:
    """A formula of one of the level's shapes, with letters drawn from their ranges."""
    for _ in range(_DRAWS):
        shape = dice.pick(limits["shape"])
        letters = sorted(set(re.findall(r"\{(\w+)\}", shape)))
        values = tuple((letter, dice.between(*limits[letter])) for letter in letters)
        tree = _tree(shape, values)
        try:
            calculate(tree, _compute)
        except _Unfit:
            continue
        return Instance("plain", {"formula": write(tree, _NOTATION)}, (told.concept, tree, values))
    raise RuntimeError(f"no formula of {limits['shape']} comes out in whole numbers")


def solve(instance: Instance) -> Solution:
    _, tree, _ = instance.given
    steps = [
        Step(_RULES[done.operator], (f"{done.before} = {done.after}",), {"part": done.part})
        for done in reduce(tree, _NOTATION, _compute)
    ]
    sign, a, b = tree[0], calculate(tree[1], _compute), calculate(tree[2], _compute)
    whole = _compute(sign, [a, b])
    proof = f"{whole} ÷ {b} = {a}"
    if sign in "+-÷":
        proof = f"{whole} {({'+': '-', '-': '+', '÷': '×'})[sign]} {b} = {a}"
    elif sign == "^" or not b:
        proof = f"{' × '.join([str(a)] * b)} = {whole}" if sign == "^" else f"{b} × {a} = {whole}"
    return Solution(steps, str(whole), ("undo", {"proof": proof}))


def mistakes(instance: Instance) -> list[Slip]:
    concept, _, values = instance.given
    slips = []
    for name, shape in content(concept).data["slips"].items():
        try:
            wrong = calculate(_tree(shape, values), _compute)
        except (_Unfit, ValueError):  # also a letter that this shape does not have
            continue
        slips.append(Slip(name, instance.slots["formula"], str(wrong)))
    if not slips:
        raise RuntimeError(f"no misconception of {concept} fits {instance.slots['formula']}")
    return slips
