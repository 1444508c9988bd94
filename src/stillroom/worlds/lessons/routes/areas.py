"""Areas by the shoelace formula from the corners' coordinates, perimeters by walking round them."""

import re
from typing import Any

from stillroom.worlds.lessons.content import Slots
from stillroom.worlds.lessons.routes import Question, Step

Corners = list[tuple[int, int]]
_EDGES = ("perimeter", "round_cut", "other_side")


def _numbers(question: Question) -> list[int]:
    """The lengths in order, from single numbers or from sizes like 4 × 3."""
    slots = question.slots
    name = "size" if "size1" in slots else "number"
    texts = [slots[f"{name}{n}"] for n in range(1, 1 + sum(name in one for one in slots))]
    if name == "size" and not all(re.fullmatch(r"[1-9]\d* × [1-9]\d*", one) for one in texts):
        raise ValueError("a size is one length times another")
    return [int(n) for text in texts for n in text.split(" × ")]


def _box(wide: int, tall: int, x: int = 0, y: int = 0) -> Corners:
    return [(x, y), (x + wide, y), (x + wide, y + tall), (x, y + tall)]


def _twice_area(corners: Corners) -> int:
    """Gauss's shoelace formula; twice the area, so that it stays whole."""
    links = zip(corners, corners[1:] + corners[:1], strict=True)
    return abs(sum(x * v - u * y for (x, y), (u, v) in links))


def _around(corners: Corners) -> int:
    """The length of the outline; its sides run along the axes."""
    links = zip(corners, corners[1:] + corners[:1], strict=True)
    return sum(abs(x - u) + abs(y - v) for (x, y), (u, v) in links)


def _shapes(question: Question) -> tuple[list[Corners], list[Corners]]:
    """The outlines of what counts, and of what has been taken out of it."""
    family, (a, b, *more) = question.family, _numbers(question)
    if family in ("rectangle", "perimeter"):
        return [_box(a, b)], []
    if family == "triangle":
        return [[(0, 0), (a, 0), (0, b)]], []
    if family in ("cut_corner", "round_cut"):
        c, d = more
        if c >= a or d >= b:
            raise ValueError("the corner that is cut off is larger than the shape")
        return [[(0, 0), (a, 0), (a, b - d), (a - c, b - d), (a - c, b), (0, b)]], []
    if family == "other_side":
        side = next((n for n in range(1, a + 1) if _twice_area(_box(b, n)) >= 2 * a), 0)
        if _twice_area(_box(b, side)) != 2 * a:
            raise ValueError("the other side is no whole number")
        return [_box(b, side)], []
    if family == "house":
        return [[(0, 0), (a, 0), (a, b), (0, b + more[0]), (0, b)]], []
    if family == "frame":
        w = more[0]
        return [_box(a + 2 * w, b + 2 * w)], [_box(a, b, w, w)]
    pairs = list(zip(more[::2], more[1::2], strict=True))
    if family.startswith("rooms"):
        return [_box(a, b), *(_box(c, d) for c, d in pairs)], []
    # The holes must fit side by side.
    if sum(c for c, _ in pairs) >= a or any(d >= b for _, d in pairs):
        raise ValueError("the holes are too large")
    return [_box(a, b)], [_box(c, d) for c, d in pairs]


def answer_fault(question: Question, answer: str) -> str:
    shapes, holes = _shapes(question)
    if question.family in _EDGES:
        right = _around(shapes[0])
    else:
        twice = sum(map(_twice_area, shapes)) - sum(map(_twice_area, holes))
        if twice % 2:
            return "the area is no whole number"
        right = twice // 2
    return "" if answer == str(right) else f"it is {right}, and not {answer}"


def start(question: Question) -> str:
    """The formula that belongs to the question's shape."""
    family, numbers = question.family, _numbers(question)
    a, b, *more = numbers
    if family in _EDGES:
        return f"2 × ({b} + {a} ÷ {b})" if family == "other_side" else f"2 × ({a} + {b})"
    texts = [f"{x} × {y}" for x, y in zip(numbers[::2], numbers[1::2], strict=False)]
    if family == "frame":
        wide, tall = (f"({side} + 2 × {more[0]})" for side in (a, b))
        return f"{wide} × {tall} - {texts[0]}"
    if family == "triangle":
        return f"{texts[0]} ÷ 2"
    if family == "house":
        return f"{texts[0]} + {a} × {more[0]} ÷ 2"
    return (" + " if family.startswith("rooms") else " - ").join(texts)


def proof_fault(question: Question, proof: str) -> str:
    """The sides of the question must occur in it, and something other than the steps' formula."""
    numbers = [str(n) for n in _numbers(question)]
    found = re.findall(r"\d+", proof)
    if question.family == "round_cut":
        shape = _shapes(question)[0][0]
        links = zip(shape, shape[1:] + shape[:1], strict=True)
        numbers = [str(abs(x - u) + abs(y - v)) for (x, y), (u, v) in links]
    if question.family == "frame":
        numbers = [str(n) for n in _numbers(question)[:2]]
    missing = [n for n in numbers if n not in found]
    if missing or start(question) in proof:
        return f"this does not show {', '.join(missing) or 'anything new'}"
    return ""


_WORK: dict[str, tuple[str, Any]] = {
    "share": (r"(\d+) ÷ (\d+)(?=\))", lambda x, y: x // y),
    "halfway": (r"(?<=^2 × )\((\d+) \+ (\d+)\)$", lambda x, y: x + y),
    "twice": (r"^2 × (\d+)$", lambda x: x + x),
    "margins": (r"2 × (\d+)(?=\))", lambda x: x + x),
    "outside": (r"\((\d+) \+ (\d+)\)(?= × | - )", lambda x, y: x + y),
    "rectangles": (r"(?<![(\d])(\d+) × (\d+)(?!\d|\))", lambda x, y: x * y),
    "halve": (r"(?<!× )(?<!\d)(\d+) ÷ 2$", lambda x: x // 2),
    "together": (r"^\d+(?: \+ \d+)+$", None),
    "remove": (r"^\d+(?: - \d+)+$", None),
}


LINK_RULES = tuple(_WORK)


def step_fault(question: Question, step: Step, slots: Slots) -> str:
    """Each rule works on all places of one pattern, and on nothing else."""
    before, rule = step["before"], step["rule"]
    edges = question.family in _EDGES
    if edges != (rule in ("share", "halfway", "twice")):
        return f"{rule!r} has no place in this question"
    if (rule == "rectangles" and "(" in before) or (
        rule == "outside" and re.search(r"× \d+\)", before)
    ):
        return "the brackets come first"
    pattern, work = _WORK[rule]

    def new(match: re.Match[str]) -> str:
        if work is not None:
            return str(work(*map(int, match.groups())))
        first, *others = map(int, re.findall(r"\d+", match[0]))
        return str(first + sum(others) if rule == "together" else first - sum(others))

    expected = re.sub(pattern, new, before)
    if expected == before:
        return f"there is nothing to do for {rule!r}"
    return "" if step["after"] == expected else f"expected `{expected}`"


def wrongs(question: Question) -> dict[str, Any]:
    family, numbers = question.family, _numbers(question)
    a, b, *more = numbers
    shapes, holes = _shapes(question)
    box = _twice_area(_box(a, b)) // 2
    if family == "rectangle":
        return {"edge_for_area": _around(shapes[0]), "sides_added": a + b}
    if family == "perimeter":
        return {"area_for_edge": box, "sides_added": a + b}
    if family == "round_cut":
        whole = _around(_box(a, b))
        taken = whole - sum(more)
        return {"area_for_edge": box, "sides_added": whole // 2, "corner_taken": taken}
    if family == "other_side":
        return {"area_for_edge": a, "sides_added": _around(shapes[0]) // 2}
    if family == "triangle":
        return {"not_halved": box, "sides_added": a + b}
    if family == "house":
        return {"not_halved": _twice_area(_box(a, b + more[0])) // 2}
    if family == "frame":
        once = _twice_area(_box(a + more[0], b + more[0])) // 2
        outer = _twice_area(shapes[0]) // 2
        return {"one_margin": once - box, "added_instead": outer + box}
    areas = [_twice_area(one) // 2 for one in shapes + holes]
    if family.startswith("rooms"):
        sums = sum(numbers[::2]) * sum(numbers[1::2])
        return {"one_missing": sum(areas[:-1]), "sums_multiplied": sums}
    if family == "cut_corner":
        return {"added_instead": box + more[0] * more[1]}
    return {"added_instead": sum(areas), "one_missing": areas[0] - sum(areas[1:-1])}


def measure(question: Question) -> dict[str, Any]:
    numbers, family = _numbers(question), question.family
    if family == "other_side":
        numbers = [numbers[1], numbers[0] // numbers[1]]
    count = int(family[-1]) if family[-1].isdigit() else 1
    pieces = count + family.startswith("holes")
    return {"family": family, "side": (min(numbers), max(numbers)), "pieces": pieces}
