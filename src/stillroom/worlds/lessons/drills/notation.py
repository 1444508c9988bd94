"""How drills are written: questions of a fixed width, steps as one text, and the split of both.

A question's slots are as many as the largest ordinary size needs; those left over hold a dot. So
step i always stands at the same distance from its operand, and a small model can learn to look
there. This table of forms is all that the maker and the checker share.
"""

from stillroom.record import digest

FAMILIES = ("cups", "chain", "add", "sort", "times", "solve")
SIZES = {
    "cups": (1, 2, 3, 4, 5, 6, 7, 8),
    "chain": (1, 2, 3, 4, 5, 6, 7, 8),
    "add": (1, 2, 3, 4, 5),
    "sort": (2, 3, 4, 5, 6),
    "times": (1, 2, 3, 4),
    "solve": (1, 2),
}
"""Swaps, operations, digits, digits, digits of the larger factor, digits of b."""
BEYOND = {
    "cups": (10, 12),
    "chain": (10, 12),
    "add": (6, 7),
    "sort": (7, 8),
    "times": (5, 6),
    "solve": (3,),
}
LEAST = {"sort": 2}
MOST = 64

_BUCKETS = ("train",) * 8 + ("validation", "test")

Operands = tuple[str, ...]


def width(family: str, sizes: tuple[int, ...]) -> int:
    """The size that a question has room for: the largest ordinary one."""
    # An equation's right side is up to 9 x 12 + 9 already when b has one digit.
    return max(2, *sizes) if family == "solve" else max(sizes)


def question(family: str, operands: Operands, room: int) -> str:
    """The prompt, with slots for the size `room`; larger operands make it wider."""
    if family == "cups":
        ball, swaps = operands
        return f"cups {ball}:{swaps.ljust(2 * room, '.')}="
    if family == "chain":
        return f"chain {operands[0].ljust(1 + 2 * room, '.')}="
    if family == "add":
        left, right = operands
        return f"add {left.rjust(room, '.')}+{right.rjust(room, '.')}="
    if family == "sort":
        return f"sort {operands[0].ljust(room, '.')}="
    if family == "times":
        factor, number = operands
        return f"times {factor}*{number.rjust(room, '.')}="
    factor, added, right = operands
    digits = max(room, len(added))
    return f"solve {factor}x+{added.zfill(digits)}={right.zfill(digits + 1)}:"


def split_of(family: str, operands: Operands) -> str:
    """The split of an ordinary question: a hash of its operands, whose order counts where it must.

    Terms and factors may be exchanged, a swap told either way round, and digits to be sorted come
    in any order: such questions are in one split. The width is left out.
    """
    if family == "cups":
        ball, swaps = operands
        pairs = (swaps[n : n + 2] for n in range(0, len(swaps), 2))
        key = ball + ":" + "".join(pair if pair[0] < pair[1] else pair[::-1] for pair in pairs)
    elif family == "sort":
        key = "".join(sorted(operands[0]))
    else:
        key = " ".join(sorted(operands) if family in ("add", "times") else operands)
    return _BUCKETS[int.from_bytes(digest(f"{family} {key}".encode(), 8), "big") % 10]


def reasoning(family: str, steps: list[str]) -> str:
    """The steps as one text: `;2;0;0` where a step is a digit, else `92:11;33:70;`."""
    if family in ("cups", "chain"):
        return "".join(f";{step}" for step in steps)
    return "".join(f"{step};" for step in steps)


def steps_of(family: str, text: str) -> list[str]:
    """The steps in a reasoning's text; ValueError where they don't stand between semicolons."""
    if not text:
        return []
    if family in ("cups", "chain"):
        if not text.startswith(";"):
            raise ValueError(f"a step of {family} begins with a semicolon: {text!r:.60}")
        return text[1:].split(";")
    if not text.endswith(";"):
        raise ValueError(f"a step of {family} ends with a semicolon: {text!r:.60}")
    return text[:-1].split(";")


def chance(family: str, cups: int = 4) -> float:
    """The accuracy of a guess without looking: 1/cups, 0.1 for chains, else next to nothing."""
    return {"cups": 1 / cups, "chain": 0.1}.get(family, 0.0)
