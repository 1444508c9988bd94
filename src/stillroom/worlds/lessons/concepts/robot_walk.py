"""A robot that walks on squared paper: where it is and where it looks after each command."""

from itertools import pairwise
from typing import Any, NamedTuple

from stillroom.worlds.lessons.concepts import Instance
from stillroom.worlds.lessons.content import Content
from stillroom.worlds.lessons.dice import Dice
from stillroom.worlds.lessons.render import Slip, Solution, Step

_COMPASS = "NESW"  # clockwise
_EAST, _NORTH = (0, 1, 0, -1), (1, 0, -1, 0)

Command = tuple[str, int]  # forward or back with a number, left or right with none


class _State(NamedTuple):
    east: int
    north: int
    facing: int

    def __str__(self) -> str:
        return f'[{self.east}, {self.north}, "{_COMPASS[self.facing]}"]'


class _Walk(NamedTuple):
    start: _State
    commands: list[Command]
    block: tuple[int, int, int]  # from where to where commands are repeated, and how often


def sample(dice: Dice, limits: dict[str, tuple[Any, ...]], content: Content) -> Instance:
    while True:
        walk = _walk(dice, limits)
        states = _states(walk.start, _all(walk))
        if len(set(states)) == len(states):
            break
    family = dice.pick(("position", "distance", "facing"))
    slots = {"start": str(walk.start), "program": _program(walk)}
    if family == "facing":
        slots["compass"] = '["N", "E", "S", "W"]'
    return Instance(f"{family}_again" if walk.block[2] > 1 else family, slots, walk)


def _walk(dice: Dice, limits: dict[str, tuple[Any, ...]]) -> _Walk:
    kinds, (low, high) = limits["kinds"], limits["size"]
    start = _State(dice.between(-5, 5), dice.between(-5, 5), dice.between(0, 3))
    count, times, block = dice.between(*limits["commands"]), 1, 0
    if "repeat" in kinds:
        times, block = dice.pick(((2, 2), (2, 2), (3, 2), (2, 3)))
        count -= (times - 1) * block
    commands: list[Command] = []
    moves = dice.fraction() < 0.6
    while len(commands) < count:
        if moves:
            name = "back" if "back" in kinds and dice.fraction() < 0.35 else "forward"
            commands.append((name, dice.between(low, high)))
        else:
            turn = dice.pick(("left", "right"))
            again = len(commands) > 0 and commands[-1][1] == 0
            commands.append((commands[-1][0] if again else turn, 0))
        moves = commands[-1][1] == 0 and dice.fraction() < 0.85
    place = dice.between(0, count - block)
    return _Walk(start, commands, (place, place + block, times))


def _all(walk: _Walk) -> list[Command]:
    """The commands with the block as often as it is repeated."""
    begin, end, times = walk.block
    block = walk.commands[begin:end]
    return walk.commands[:begin] + block * times + walk.commands[end:]


def _write(command: Command) -> str:
    return f'"{command[0]} {command[1]}"' if command[1] else f'"{command[0]}"'


def _program(walk: _Walk) -> str:
    begin, end, times = walk.block
    written = [_write(command) for command in walk.commands]
    if times > 1:
        written[begin:end] = [f"[{', '.join([str(times), *written[begin:end]])}]"]
    return f"[{', '.join(written)}]"


def _next(state: _State, command: Command) -> _State:
    name, size = command
    east, north, facing = state
    if name == "left":
        return _State(east, north, (facing + 3) % 4)
    if name == "right":
        return _State(east, north, (facing + 1) % 4)
    steps = size if name == "forward" else -size
    return _State(east + steps * _EAST[facing], north + steps * _NORTH[facing], facing)


def _states(start: _State, commands: list[Command]) -> list[_State]:
    states = [start]
    for command in commands:
        states.append(_next(states[-1], command))
    return states


def _step(old: _State, new: _State, command: Command) -> Step:
    _, size = command
    slots = {"command": _write(command), "old": f'"{_COMPASS[old.facing]}"'}
    if size:
        axis = 0 if old.east != new.east else 1
        gain = new[axis] - old[axis]
        total = f"{old[axis]} {'-' if gain < 0 else '+'} {abs(gain)} = {new[axis]}"
        slots |= {"n": str(size), "sum": total}
    else:
        slots["new"] = f'"{_COMPASS[new.facing]}"'
    return Step("move" if size else "turn", (str(old), str(new)), slots, " → ")


def _answer(family: str, end: _State) -> str:
    if family == "facing":
        return f'"{_COMPASS[end.facing]}"'
    if family == "distance":
        return str(abs(end.east) + abs(end.north))
    return f"[{end.east}, {end.north}]"


def solve(instance: Instance) -> Solution:
    walk: _Walk = instance.given
    commands, family = _all(walk), instance.family.removesuffix("_again")
    states = _states(walk.start, commands)
    steps = [
        _step(old, new, command)
        for old, new, command in zip(states, states[1:], commands, strict=False)
    ]
    end, answer = states[-1], _answer(family, states[-1])
    if family == "facing":
        steps.append(Step("facing", (str(end), answer), None, " → "))
        turns = [" + 1" if name == "right" else " - 1" for name, size in commands if not size]
        compass = instance.slots["compass"]
        first, last = (f'place({compass}, "{_COMPASS[one.facing]}")' for one in (walk.start, end))
        # Whole circles that were turned too many or too few.
        circles = (end.facing - walk.start.facing - _clockwise(commands)) // 4
        whole = f" {'-' if circles < 0 else '+'} {abs(4 * circles)}" if circles else ""
        proof = f"{first}{''.join(turns)}{whole} = {last}"
        return Solution(steps, answer, ("turns", {"proof": proof}))
    if family == "position":
        steps.append(Step("position", (f"first({end}, 2) = {answer}",)))
        gains = [sum(new[:2]) - sum(old[:2]) for old, new in pairwise(states)]
        moves = "".join([f" {'-' if gain < 0 else '+'} {abs(gain)}" for gain in gains if gain])
        proof = f"sum({answer}) = sum(first({walk.start}, 2)){moves}"
        return Solution(steps, answer, ("both", {"proof": proof}))
    sizes = f"[{abs(end.east)}, {abs(end.north)}]"
    steps.append(Step("sizes", (str(end), sizes), None, " → "))
    steps.append(Step("distance", (f"sum({sizes}) = {answer}",)))
    east, north = (-1 if part < 0 else 1 for part in end[:2])
    parts = [states[0].east * east, states[0].north * north]
    for old, new in pairwise(states):
        parts.append((new.east - old.east) * east + (new.north - old.north) * north)
    signed = "".join([f" {'-' if part < 0 else '+'} {abs(part)}" for part in parts if part])
    return Solution(steps, answer, ("away", {"proof": f"0{signed} = {answer}"}))


def _clockwise(commands: list[Command]) -> int:
    """Quarter turns to the right less those to the left."""
    return sum((name == "right") - (name == "left") for name, _ in commands)


def mistakes(instance: Instance) -> list[Slip]:
    walk: _Walk = instance.given
    family, commands = instance.family.removesuffix("_again"), _all(walk)
    right = _answer(family, _states(walk.start, commands)[-1])
    mirror = {"left": "right", "right": "left"}
    turns = [command for command in commands if not command[1]]
    backs = [command for command in commands if command[0] == "back"]
    ends = {}
    if (family == "facing") == (commands[-1][1] == 0):
        ends["one_short"] = _states(walk.start, commands[:-1])[-1]
    if family == "position" or (family == "facing" and len(turns) % 2):
        ends["mirrored"] = _states(walk.start, [(mirror.get(n, n), k) for n, k in commands])[-1]
    if walk.block[2] > 1:
        ends["once"] = _states(walk.start, walk.commands)[-1]
    if family == "facing" and len(turns) % 2:
        ends["half_turns"] = walk.start._replace(facing=(walk.start.facing + 2 * len(turns)) % 4)
    if family != "facing":
        ends["no_turns"] = _states(walk.start, [c for c in commands if c[1]])[-1]
    ends["compass"], turned = _misled(walk.start, commands)
    if len(backs) % 2 or (backs and family != "facing"):
        ends["about_turn"] = turned
    wrong = {name: _answer(family, end) for name, end in ends.items()}
    end = _states(walk.start, commands)[-1]
    if family == "position":
        wrong["crossed"] = f"[{end.north}, {end.east}]"
    if family == "distance":
        wrong["as_walked"] = str(sum(size for _, size in commands))
        if min(end[:2]) < 0:
            wrong["signed"] = str(end.east + end.north)
    return [Slip(name, right, text) for name, text in wrong.items()]


def _misled(start: _State, commands: list[Command]) -> tuple[_State, _State]:
    """The end when left is taken for west and right for east; when going back turns round."""
    absolute = turned = start
    for command in commands:
        if command[1]:
            absolute = _next(absolute, command)
        else:
            absolute = absolute._replace(facing=_COMPASS.index("WE"[command[0] == "right"]))
        if command[0] == "back":
            turned = turned._replace(facing=(turned.facing + 2) % 4)
            turned = _next(turned, ("forward", command[1]))
        else:
            turned = _next(turned, command)
    return absolute, turned
