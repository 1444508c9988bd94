"""The robot's walk, checked with complex numbers: all turns are counted before any move is made."""

import re
from functools import lru_cache
from itertools import accumulate
from typing import Any

from stillroom.worlds.lessons.content import Slots
from stillroom.worlds.lessons.formula import value
from stillroom.worlds.lessons.routes import Question, Step, told_as

_HEADINGS = {"E": 1, "N": 1j, "W": -1, "S": -1j}
_STATE = re.compile(r'\[-?\d+, -?\d+, "[NESW]"\]')
_ORDER = r'"[a-z]+(?: [1-9]\d*)?"'
_PART = rf"(?:{_ORDER}|\[[23](?:, {_ORDER})+\])"
_PROGRAM = re.compile(rf"\[{_PART}(?:, {_PART})*\]")
_COMPASS = '["N", "E", "S", "W"]'
_NAMES = {heading: name for name, heading in _HEADINGS.items()}

Command = tuple[str, int]
Place = tuple[complex, complex]  # where the robot is, and the direction in which it looks


def start(question: Question) -> str:
    return question.slots["start"]


def _text(place: Place) -> str:
    where, heading = place
    return f'[{int(where.real)}, {int(where.imag)}, "{_NAMES[heading]}"]'


@lru_cache(maxsize=64)
def _given(start: str, program: str) -> tuple[Place, list[Any]]:
    if not _STATE.fullmatch(start) or not _PROGRAM.fullmatch(program):
        raise ValueError(f"`{start}` is no state, or `{program}` no program")
    east, north, name = value(start)
    place = complex(east, north), complex(_HEADINGS[name])
    if _text(place) != start:
        raise ValueError(f"`{start}` is no state")
    return place, value(program)


def _command(text: Any) -> Command:
    name, _, size = str(text).partition(" ")
    wanted = f"{name} {int(size)}" if name in ("forward", "back") else name
    if wanted != text or name not in ("forward", "back", "left", "right"):
        raise ValueError(f"{text!r} is no command")
    return name, int(size or 0)


def _flat(program: list[Any], once: bool = False) -> list[Command]:
    """The commands in the order in which they are carried out."""
    found: list[Command] = []
    for part in program:
        if isinstance(part, list):
            found += [_command(one) for one in part[1:]] * (1 if once else part[0])
        else:
            found.append(_command(part))
    return found


@lru_cache(maxsize=64)
def _listed(start: str, program: str) -> list[Command]:
    return _flat(_given(start, program)[1])


def _commands(question: Question) -> list[Command]:
    return _listed(question.slots["start"], question.slots["program"])


def _family(question: Question) -> str:
    return question.family.removesuffix("_again")


def _trail(place: Place, commands: list[Command], left: complex = 1j) -> list[Place]:
    """All turns are counted first, which gives each move its direction; then moves are summed."""
    turns = accumulate([(name == "left") - (name == "right") for name, _ in commands], initial=0)
    ways = [place[1] * (1, left, -1, -left)[turn % 4] for turn in turns]
    moves = [
        way * (size if name == "forward" else -size)
        for way, (name, size) in zip(ways, commands, strict=False)
    ]
    return list(zip(accumulate(moves, initial=place[0]), ways, strict=True))


def _after(place: Place, commands: list[Command], left: complex = 1j) -> Place:
    return _trail(place, commands, left)[-1]


@lru_cache(maxsize=64)
def _states(start: str, program: str) -> list[str]:
    place, given = _given(start, program)
    states = [_text(one) for one in _trail(place, _flat(given))]
    if len(set(states)) != len(states):
        raise ValueError("a state comes up twice")
    return states


def _read(family: str, place: Place) -> Any:
    where, heading = place
    if family == "facing":
        return _NAMES[heading]
    east, north = int(where.real), int(where.imag)
    return abs(east) + abs(north) if family == "distance" else [east, north]


def answer_fault(question: Question, answer: str) -> str:
    place, given = _given(question.slots["start"], question.slots["program"])
    right = _read(_family(question), _after(place, _flat(given)))
    written = f'"{right}"' if _family(question) == "facing" else str(right)
    return "" if answer == written else f"the walk ends with `{written}`, and not `{answer}`"


def _closing(question: Question) -> dict[str, tuple[str, str]]:
    """What comes after the last state: rule -> before and after."""
    end = _states(question.slots["start"], question.slots["program"])[-1]
    east, north, name = value(end)
    if _family(question) == "facing":
        return {"facing": (end, f'"{name}"')}
    if _family(question) == "position":
        return {"position": (f"first({end}, 2)", f"[{east}, {north}]")}
    sizes = f"[{abs(east)}, {abs(north)}]"
    total = str(abs(east) + abs(north))
    return {"sizes": (end, sizes), "distance": (f"sum({sizes})", total)}


def _expected(question: Question, before: str) -> tuple[str, str]:
    """The rule and the result of the step that begins with `before`."""
    states = _states(question.slots["start"], question.slots["program"])
    if before in states[:-1]:
        n = states.index(before)
        return "move" if _commands(question)[n][1] else "turn", states[n + 1]
    for rule, (old, new) in _closing(question).items():
        if before == old:
            return rule, new
    raise ValueError(f"`{before}` does not come up in this walk")


def link_fault(question: Question, step: Step) -> str:
    _, right = _expected(question, step["before"])
    return told_as(step, "", right)


def step_fault(question: Question, step: Step, slots: Slots) -> str:
    rule, right = _expected(question, step["before"])
    fault = told_as(step, rule, right)
    if fault or not slots:
        return fault
    states = _states(question.slots["start"], question.slots["program"])
    name, size = _commands(question)[states.index(step["before"])]
    old, new = value(step["before"]), value(step["after"])
    known = {"command": f'"{name} {size}"' if size else f'"{name}"'}
    known |= {"old": f'"{old[2]}"', "new": f'"{new[2]}"', "n": str(size)}
    for a, b in zip(old[:2], new[:2], strict=True):
        if a != b:
            known["sum"] = f"{a} {'+' if b > a else '-'} {abs(b - a)} = {b}"
    for slot, text in slots.items():
        if known.get(slot) != text:
            return f"`{text}` should be `{known.get(slot)}`"
    return ""


def wrongs(question: Question) -> dict[str, Any]:
    place, given = _given(question.slots["start"], question.slots["program"])
    commands = _flat(given)
    ends = {
        "one_short": _after(place, commands[:-1]),
        "mirrored": _after(place, commands, -1j),
        "once": _after(place, _flat(given, once=True)),
        "no_turns": _after(place, [one for one in commands if one[1]]),
        "half_turns": (0j, place[1] * (-1) ** sum(not size for _, size in commands)),
        "compass": _absolute(place, commands),
        "about_turn": _after(place, [c for one in commands for c in _about(one)]),
    }
    found = {name: _read(_family(question), end) for name, end in ends.items()}
    where, _ = _after(place, commands)
    if _family(question) == "position":
        found["crossed"] = _read("position", ((where * -1j).conjugate(), 1))
    if _family(question) == "distance":
        found["as_walked"] = sum(size for _, size in commands)
        found["signed"] = int((where * (1 - 1j)).real)
    return found


def _about(command: Command) -> list[Command]:
    """Going back as turning round first."""
    if command[0] != "back":
        return [command]
    return [("left", 0), ("left", 0), ("forward", command[1])]


def _absolute(place: Place, commands: list[Command]) -> Place:
    """Left read as west, and right as east: the last turn before a move decides alone."""
    where, heading = place
    for n, (name, size) in enumerate(commands):
        turns = [1 if turn == "right" else -1 for turn, k in commands[: n + 1] if not k]
        way = turns[-1] if turns else place[1]
        where += way * (size if name == "forward" else -size)
        heading = way
    return where, heading


def measure(question: Question) -> dict[str, Any]:
    _, program = _given(question.slots["start"], question.slots["program"])
    commands = _commands(question)
    kinds = {name for name, _ in commands}
    if any(isinstance(part, list) for part in program):
        kinds.add("repeat")
    if ("repeat" in kinds) != question.family.endswith("_again"):
        raise ValueError(
            "the question speaks of a repeated part where there is none, or the reverse"
        )
    if question.slots.get("compass", _COMPASS) != _COMPASS:
        raise ValueError(f"the compass is `{_COMPASS}`")
    return {
        "commands": len(commands),
        "size": tuple(size for _, size in commands if size),
        "kinds": tuple(sorted(kinds)),
    }
