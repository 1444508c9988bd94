"""Union, intersection and difference of small sets, kept as sorted lists without repetition."""

from typing import Any

from stillroom.worlds.lessons.concepts import Instance
from stillroom.worlds.lessons.concepts.trees import Notation, Tree, calculate, reduce, write
from stillroom.worlds.lessons.content import Content
from stillroom.worlds.lessons.dice import Dice
from stillroom.worlds.lessons.render import Slip, Solution, Step


def _text(value: Any) -> str:
    if isinstance(value, int):
        return str(value)
    return "{" + ", ".join(str(v) if isinstance(v, int) else f"'{v}'" for v in value) + "}"


NOTATION = Notation({"∪": 1, "∩": 1, "\\": 1}, _text)
_RULES = {"∪": "union", "∩": "intersection", "\\": "difference", "size": "size"}


def _compute(operator: str, kids: list[Any]) -> Any:
    if operator == "size":
        return len(kids[0])
    a, b = kids
    if operator == "∪":
        return sorted([*a, *(item for item in b if item not in a)])
    keep = operator == "∩"
    return [item for item in a if (item in b) == keep]


def sample(dice: Dice, limits: dict[str, tuple[Any, ...]], content: Content) -> Instance:
    size = dice.between(*limits["size"])
    infix = dice.between(*limits["operators"]) - size
    letters = dice.between(*limits["letters"])
    most = max(6, limits["elements"][1])
    universe: list[Any] = list("abcdefghijklmnopqr"[: most + 4])
    if not letters:
        universe = list(range(1, 2 * most + 1))

    def build(count: int) -> Tree:
        if count == 0:
            return sorted(dice.some(universe, dice.between(*limits["elements"])))
        left = dice.between(0, count - 1)
        operator = dice.pick(("∪", "∩", "\\"))
        return (operator, build(left), build(count - 1 - left))

    tree = build(infix)
    if size:
        tree = ("size", tree)
    return Instance("plain", {"formula": write(tree, NOTATION)}, tree)


def solve(instance: Instance) -> Solution:
    steps = [
        Step(_RULES[done.operator], (f"{done.before} = {done.after}",), {"part": done.part})
        for done in reduce(instance.given, NOTATION, _compute)
    ]
    answer = steps[-1].formulas[0].rpartition(" = ")[2]
    return Solution(steps, answer, _proof(instance.given, answer))


def _proof(tree: Tree, answer: str) -> tuple[str, dict[str, str]]:
    """What the last operation must leave: a law that the answer has to keep."""
    if tree[0] == "size":
        operator, *kids = tree[1]
        a, b = (_text(calculate(kid, _compute)) for kid in kids)
        if operator == "∪":
            proof = f"size({a}) + size({b}) - size({a} ∩ {b}) = {answer}"
            return "size_union", {"proof": proof}
        if operator == "∩":
            return "size_intersection", {"proof": f"size({a}) - size({a} \\ {b}) = {answer}"}
        return "size_difference", {"proof": f"size({a}) - size({a} ∩ {b}) = {answer}"}
    a, b = (_text(calculate(kid, _compute)) for kid in tree[1:])
    if tree[0] == "∪":
        return "union", {"proof": f"({answer} ∩ {a}) ∪ ({answer} ∩ {b}) = {answer}"}
    if tree[0] == "∩":
        return "intersection", {"proof": f"{a} \\ ({a} \\ {b}) = {answer}"}
    return "difference", {"proof": f"{answer} ∪ ({a} ∩ {b}) = {a}"}


def _misread(name: str, operator: str, kids: list[Any]) -> Any:
    if name == "union_drops_shared" and operator == "∪":
        a, b = kids
        return sorted([i for i in a if i not in b] + [i for i in b if i not in a])
    if name == "intersection_as_union" and operator == "∩":
        return _compute("∪", kids)
    if name == "difference_reversed" and operator == "\\":
        return _compute("\\", kids[::-1])
    return _compute(operator, kids)


def mistakes(instance: Instance) -> list[Slip]:
    tree, text = instance.given, instance.slots["formula"]
    slips = []
    for name, sign in (
        ("union_drops_shared", "∪"),
        ("intersection_as_union", "∩"),
        ("difference_reversed", "\\"),
    ):
        if f" {sign} " in text:

            def misread(operator: str, kids: list[Any], slip: str = name) -> Any:
                return _misread(slip, operator, kids)

            slips.append(Slip(name, text, _text(calculate(tree, misread))))
    if tree[0] == "size" and tree[1][0] == "∪":
        counts = [len(calculate(kid, _compute)) for kid in tree[1][1:]]
        slips.append(Slip("shared_counted_twice", text, str(sum(counts))))
    right = _text(calculate(tree, _compute))
    return [slip for slip in slips if slip.wrong != right] or slips
