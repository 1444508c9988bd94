"""Formulas of true and false, worked out one connective at a time."""

from typing import Any

from stillroom.worlds.lessons.concepts import Instance
from stillroom.worlds.lessons.concepts.trees import Notation, Tree, calculate, reduce, write
from stillroom.worlds.lessons.content import Content
from stillroom.worlds.lessons.dice import Dice
from stillroom.worlds.lessons.render import Slip, Solution, Step

NOTATION = Notation(
    {"implies": 1, "iff": 1, "or": 2, "xor": 3, "and": 4},
    lambda value: "T" if value else "F",
    prefix=frozenset({"not"}),
    loose=frozenset({"implies", "iff"}),
)
_TABLES: dict[str, tuple[bool, bool, bool, bool]] = {
    # first and second: FF, FT, TF, TT
    "and": (False, False, False, True),
    "or": (False, True, True, True),
    "xor": (False, True, True, False),
    "implies": (True, True, False, True),
    "iff": (True, False, False, True),
}
_SLIPS = {
    "or_as_xor": ("or", "xor"),
    "implies_as_and": ("implies", "and"),
    "xor_as_or": ("xor", "or"),
    "and_as_or": ("and", "or"),
    "iff_as_and": ("iff", "and"),
}


def _compute(operator: str, kids: list[Any]) -> bool:
    if operator == "not":
        return not kids[0]
    return _TABLES[operator][2 * kids[0] + kids[1]]


def sample(dice: Dice, limits: dict[str, tuple[Any, ...]], content: Content) -> Instance:
    """A formula that is as often true as false."""
    wanted = dice.fraction() < 0.5
    while True:
        tree = _tree(dice, limits)
        if calculate(tree, _compute) != wanted:
            continue
        instance = Instance("plain", {"formula": write(tree, NOTATION)}, tree)
        # With two values a slip hides every other time; a lesson needs one that shows.
        if any(slip.wrong != NOTATION.write(wanted) for slip in mistakes(instance)):
            return instance


def _tree(dice: Dice, limits: dict[str, tuple[Any, ...]]) -> Tree:
    hard = dice.between(*limits["hard"])
    nots = dice.between(*limits["nots"])
    infix = dice.between(*limits["operators"]) - nots
    harder = ("xor", "xor", "implies", "iff") if limits["implies"][1] else ("xor",)
    operators = [dice.pick(harder) for _ in range(hard)]
    operators += [dice.pick(("and", "or")) for _ in range(infix - hard)]
    operators = dice.some(operators, len(operators))
    places = dice.some(range(infix + 1), min(nots, infix + 1))
    leaves: list[Tree] = [dice.fraction() < 0.5 for _ in range(infix + 1)]
    for place in places:
        leaves[place] = ("not", leaves[place])

    def build(low: int, high: int) -> Tree:
        if low == high:
            return leaves[low]
        cut = dice.between(low, high - 1)
        return (operators[cut], build(low, cut), build(cut + 1, high))

    return build(0, infix)


def solve(instance: Instance) -> Solution:
    steps = [
        Step(done.operator, (f"{done.before} = {done.after}",), {"part": done.part})
        for done in reduce(instance.given, NOTATION, _compute)
    ]
    answer = steps[-1].formulas[0].rpartition(" = ")[2]
    opposite = "not F" if answer == "T" else "not T"
    proof = {
        "proof": f"{instance.slots['formula']} = {opposite}",
        "opposite": f"{opposite} = {answer}",
    }
    return Solution(steps, answer, ("opposite", proof))


def mistakes(instance: Instance) -> list[Slip]:
    tree, text = instance.given, instance.slots["formula"]
    slips = []
    for name, (operator, other) in _SLIPS.items():
        if f" {operator} " in text:

            def misread(found: str, kids: list[Any], old: str = operator, new: str = other) -> bool:
                return _compute(new if found == old else found, kids)

            slips.append(Slip(name, text, NOTATION.write(calculate(tree, misread))))
    right = NOTATION.write(calculate(tree, _compute))
    return [slip for slip in slips if slip.wrong != right] or slips
