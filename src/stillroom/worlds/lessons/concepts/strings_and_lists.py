"""Functions of strings and lists, worked out from the inside."""

from typing import Any

from stillroom.worlds.lessons.concepts import Instance
from stillroom.worlds.lessons.concepts.trees import Notation, Tree, calculate, reduce, write
from stillroom.worlds.lessons.content import Content
from stillroom.worlds.lessons.dice import Dice
from stillroom.worlds.lessons.render import Slip, Solution, Step


def _text(value: Any) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    return "[" + ", ".join(map(str, value)) + "]" if isinstance(value, list) else str(value)


NOTATION = Notation({"+": 1}, _text)
_RULES = {"+": "join"}


def _compute(name: str, kids: list[Any]) -> Any:
    value = kids[0]
    other: Any = kids[1] if len(kids) > 1 else None
    if name == "+":
        return value + other
    if name == "reverse":
        return _like(value, [value[i] for i in range(len(value) - 1, -1, -1)])
    if name == "sort":
        return _like(value, _insertion_sort(value))
    if name == "first":
        return _like(value, [item for i, item in enumerate(value) if i < other])
    if name == "last":
        return _like(value, [item for i, item in enumerate(value) if i >= len(value) - other])
    if name == "upper":
        return value.upper()
    if name == "length":
        return len(value)
    if name == "index":
        return value[other]
    if name == "count":
        return value.count(other)
    total = value[0]
    for item in value[1:]:
        total = total + item if name == "sum" else _larger(total, item, name == "max")
    return total


def _larger(a: int, b: int, largest: bool) -> int:
    return a if (a > b) == largest else b


def _like(value: Any, items: list[Any]) -> Any:
    return "".join(items) if isinstance(value, str) else items


def _insertion_sort(value: Any) -> list[Any]:
    done: list[Any] = []
    for item in value:
        place = len(done)
        while place and done[place - 1] > item:
            place -= 1
        done.insert(place, item)
    return done


def sample(dice: Dice, limits: dict[str, tuple[Any, ...]], content: Content) -> Instance:
    words: list[str] = content.data["stock"]
    operators = dice.between(*limits["operators"])
    strings = dice.between(*limits["strings"])

    def leaf() -> Any:
        if strings:
            return dice.pick(words)
        return [dice.between(1, 20) for _ in range(dice.between(*limits["elements"]))]

    def build(count: int) -> tuple[Tree, Any]:
        """A tree of so many operations, and its value."""
        if count == 0:
            value = leaf()
            return value, value
        names = ["reverse", "sort", "first", "last"] + ["upper"] * strings + ["+"] * 2
        name = dice.pick(names)
        if name == "+":
            left = dice.between(0, count - 1)
            (a, x), (b, y) = build(left), build(count - 1 - left)
            return ("+", a, b), x + y
        inside, value = build(count - 1)
        if name in ("first", "last") and len(value) < 3:
            name = "reverse"  # there is nothing to cut off
        if name in ("first", "last"):
            keep = dice.between(2, len(value) - 1)
            return (name, inside, keep), _compute(name, [value, keep])
        return (name, inside), _compute(name, [value])

    tree, value = build(operators - 1)
    names = ["length", "length", "reverse", "sort", "+"]
    names += ["upper", "count"] if strings else ["sum", "max", "min"]
    name = dice.pick(names)
    if name == "+":
        tree = ("+", tree, leaf())
    elif name == "count":
        tree = (name, tree, dice.pick(value))
    else:
        tree = (name, tree)
    instance = Instance("plain", {"formula": write(tree, NOTATION)}, tree)
    # Some functions are hardly ever misunderstood; a lesson needs a slip that shows.
    return instance if mistakes(instance) else sample(dice, limits, content)


def solve(instance: Instance) -> Solution:
    steps = [
        Step(
            _RULES.get(done.operator, done.operator),
            (f"{done.before} = {done.after}",),
            {"part": done.part},
        )
        for done in reduce(instance.given, NOTATION, _compute)
    ]
    answer = steps[-1].formulas[0].rpartition(" = ")[2]
    return Solution(steps, answer, _proof(instance.given, answer))


def _proof(tree: Tree, answer: str) -> tuple[str, dict[str, str]]:
    """The last function undone, or its result looked at from the other end."""
    name, inside = tree[0], calculate(tree[1], _compute)
    if name == "reverse":
        return "reverse", {"proof": f"reverse({answer}) = {_text(inside)}"}
    if name == "+":
        other = calculate(tree[2], _compute)
        return "join", {"proof": f"last({answer}, {len(other)}) = {_text(other)}"}
    if name == "length":
        return "length", {"proof": f"length(reverse({_text(inside)})) = {answer}"}
    if name in ("max", "min"):
        place = "last" if name == "max" else "first"
        return "extreme", {"proof": f"{place}(sort({_text(inside)}), 1) = [{answer}]"}
    if name in ("sum", "count"):
        item = f", {_text(tree[2])}" if name == "count" else ""
        return "order", {"proof": f"{name}(sort({_text(inside)}){item}) = {answer}"}
    if name == "sort":
        return "sort", {"proof": f"sort(reverse({_text(inside)})) = {answer}"}
    return "upper", {"proof": f"upper(reverse({_text(inside)})) = reverse({answer})"}


def _misread(slip: str, name: str, kids: list[Any]) -> Any:
    value = kids[0]
    if slip == "one_too_few" and name in ("first", "last"):
        return _compute(name, [value, kids[1] - 1])
    if slip == "sorted_down" and name == "sort":
        return _like(value, _insertion_sort(value)[::-1])
    if slip == "reverse_sorts" and name == "reverse":
        return _like(value, _insertion_sort(value)[::-1])
    if slip == "joined_backwards" and name == "+":
        return kids[1] + value
    if slip == "last_place" and name == "length":
        return len(value) - 1
    if slip == "last_reversed" and name == "last":
        return _compute("reverse", [_compute("last", kids)])
    return _compute(name, kids)


_SLIPS = {
    "one_too_few": ("first(", "last("),
    "sorted_down": ("sort(",),
    "reverse_sorts": ("reverse(",),
    "joined_backwards": (" + ",),
    "last_place": ("length(",),
    "last_reversed": ("last(",),
}


def mistakes(instance: Instance) -> list[Slip]:
    tree, text = instance.given, instance.slots["formula"]
    slips = []
    for name, signs in _SLIPS.items():
        if any(sign in text for sign in signs):

            def misread(function: str, kids: list[Any], slip: str = name) -> Any:
                return _misread(slip, function, kids)

            try:
                slips.append(Slip(name, text, _text(calculate(tree, misread))))
            except IndexError:  # the slip leaves an empty list, which has no largest number
                continue
    right = _text(calculate(tree, _compute))
    return [slip for slip in slips if slip.wrong != right]
