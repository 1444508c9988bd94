"""A machine with a stack: the whole stack after each instruction of its program."""

from typing import Any, NamedTuple

from stillroom.worlds.lessons.concepts import Instance
from stillroom.worlds.lessons.content import Content
from stillroom.worlds.lessons.dice import Dice
from stillroom.worlds.lessons.render import Slip, Solution, Step

_SIGNS = {"add": "+", "sub": "-", "mul": "×"}
_IDLE = (("dup", "sub"), ("swap", "add"), ("swap", "mul"), ("dup", "swap"))
_UNSEEN = (("top", "dup"), ("total", "add"), ("total", "swap"))  # does not change the answer
_LONGEST = 120  # characters of the formula that proves the answer

Stack = list[int]
Program = list[int | str]


class _Term(NamedTuple):
    """An item as a formula; tight: it needs no brackets in a product or after a minus."""

    text: str
    tight: bool


class _Way(NamedTuple):
    """How a machine works: as it should, or as a misconception has it."""

    turned: bool = False  # sub takes the lower item from the top
    kept: bool = False  # operands stay on the stack
    oldest: bool = False  # operands come from the bottom


def sample(dice: Dice, limits: dict[str, tuple[Any, ...]], content: Content) -> Instance:
    while True:
        program = _program(dice, limits)
        states = _states(program)
        low, high = limits["values"]
        if len(set(map(tuple, states))) < len(states):
            continue
        if any(not low <= item <= high for state in states for item in state):
            continue
        family = dice.pick(("top", "stack", "total"))
        if family != "top" and len(states[-1]) < 2:
            family = "top"
        terms = _terms(program)
        if terms[-1].text.isdigit() or sum(len(term.text) for term in terms) > _LONGEST:
            continue
        if "sub" in program:
            family += "_sub"
        return Instance(family, {"program": _text(program)}, program)


def _program(dice: Dice, limits: dict[str, tuple[Any, ...]]) -> Program:
    count, (low, high) = dice.between(*limits["instructions"]), limits["size"]
    words = [kind for kind in limits["kinds"] if kind != "push"]
    sums = [word for word in words if word in _SIGNS]
    program: Program = [dice.between(low, high)]
    depth = 1
    while len(program) < count:
        left = count - len(program)
        word: int | str = dice.between(low, high)
        if depth > 1 and (depth - left > 1 or dice.fraction() < 0.62):
            word = dice.pick(sums if depth - left > 1 or dice.fraction() < 0.2 else words)
        fresh = isinstance(program[-1], int) or program[-1] in ("dup", "over", word)
        if word in ("drop", "swap") and (fresh or depth < 2) and dice.fraction() < 0.7:
            continue
        if (program[-1], word) in _IDLE:
            continue
        program.append(word)
        depth += -1 if word in ("add", "sub", "mul", "drop") else 0 if word == "swap" else 1
    return program


def _text(items: Program | Stack) -> str:
    written = [f'"{item}"' if isinstance(item, str) else str(item) for item in items]
    return f"[{', '.join(written)}]"


def _do(stack: Stack, word: int | str, way: _Way) -> Stack:
    """The stack after one instruction."""
    new = list(stack)
    if isinstance(word, int):
        new.append(word)
    elif word == "dup":
        new.append(new[-1])
    elif word == "over":
        new.append(new[-2])
    elif word == "drop":
        new.pop()
    elif word == "swap":
        new[-1], new[-2] = new[-2], new[-1]
    else:
        below, top = (new[0], new[1]) if way.oldest else (new[-2], new[-1])
        if not way.kept:
            new = new[2:] if way.oldest else new[:-2]
        if word == "sub" and way.turned:
            below, top = top, below
        new.append(_compute(word, below, top))
    return new


def _compute(word: str, below: int, top: int) -> int:
    return below + top if word == "add" else below - top if word == "sub" else below * top


def _states(program: Program, way: _Way = _Way()) -> list[Stack]:  # noqa: B008
    states: list[Stack] = [[]]
    for word in program:
        states.append(_do(states[-1], word, way))
    return states


def _terms(program: Program) -> list[_Term]:
    """The items at the end, each as the formula that made it."""
    terms: list[_Term] = []
    for word in program:
        if isinstance(word, int):
            terms.append(_Term(str(word), True))
        elif word in ("dup", "over"):
            terms.append(terms[-1] if word == "dup" else terms[-2])
        elif word == "drop":
            terms.pop()
        elif word == "swap":
            terms[-2:] = terms[:-3:-1]
        else:
            top, below = terms.pop(), terms.pop()
            left = f"({below.text})" if word == "mul" and not below.tight else below.text
            right = f"({top.text})" if word != "add" and not top.tight else top.text
            terms.append(_Term(f"{left} {_SIGNS[word]} {right}", word == "mul"))
    return terms


def _read(family: str, stack: Stack) -> str:
    if family == "stack":
        return _text(stack)
    return str(stack[-1] if family == "top" else sum(stack))


def _bracket(number: int) -> str:
    return f"({number})" if number < 0 else str(number)


def _step(old: Stack, new: Stack, word: int | str) -> Step:
    if isinstance(word, int):
        rule, slots = "push", {"n": str(word)}
    elif word in ("dup", "over"):
        rule, slots = "copy", {"word": f'"{word}"', "c": str(new[-1])}
    elif word in _SIGNS:
        total = f"{old[-2]} {_SIGNS[word]} {_bracket(old[-1])} = {new[-1]}"
        rule, slots = "compute", {"a": str(old[-2]), "b": str(old[-1]), "sum": total}
    else:
        rule, slots = word, {"b": str(old[-1])}
        if word == "swap":
            slots["a"] = str(old[-2])
    return Step(rule, (_text(old), _text(new)), slots, " → ")


def solve(instance: Instance) -> Solution:
    program, family = instance.given, instance.family.removesuffix("_sub")
    states = _states(program)
    steps = [
        _step(old, new, word) for old, new, word in zip(states, states[1:], program, strict=False)
    ]
    end, terms = states[-1], _terms(program)
    answer = _read(family, end)
    whole = " + ".join(term.text for term in terms)
    if family == "stack":
        return Solution(steps, answer, ("all_items", {"proof": f"sum({answer}) = {whole}"}))
    if family == "total":
        steps.append(Step("total", (f"sum({_text(end)}) = {answer}",)))
        return Solution(steps, answer, ("total_formula", {"proof": f"{whole} = {answer}"}))
    steps.append(Step("top", (_text(end), answer), None, " → "))
    return Solution(steps, answer, ("formula", {"proof": f"{terms[-1].text} = {answer}"}))


def mistakes(instance: Instance) -> list[Slip]:
    program, family = instance.given, instance.family.removesuffix("_sub")
    before = _states(program)
    end, ends = before[-1], {}
    right = _read(family, end)
    if any(w in _SIGNS and len(s) > 2 for w, s in zip(program, before, strict=False)):
        ends["oldest"] = _states(program, _Way(oldest=True))[-1]
    if family != "top":
        ends["kept"] = _states(program, _Way(kept=True))[-1]
    if (family, program[-1]) not in _UNSEEN:
        ends["one_short"] = _states(program[:-1])[-1]
    if "sub" in program:
        ends["turned"] = _states(program, _Way(turned=True))[-1]
    if "swap" in program:
        ends["no_swap"] = _states([word for word in program if word != "swap"])[-1]
    if "over" in program:
        ends["over_top"] = _states(["dup" if word == "over" else word for word in program])[-1]
    if family == "top" and len(end) > 1:
        ends["bottom"] = end[:1]
    return [Slip(name, right, _read(family, stack)) for name, stack in ends.items()]
