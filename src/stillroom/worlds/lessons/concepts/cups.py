"""A row of cups whose places are swapped: every state of the row, one swap after the other."""

from typing import Any, NamedTuple

from stillroom.worlds.lessons.concepts import Instance
from stillroom.worlds.lessons.content import Content
from stillroom.worlds.lessons.dice import Dice
from stillroom.worlds.lessons.render import Slip, Solution, Step

Row = list[str]
Pair = tuple[int, int]


class _Game(NamedTuple):
    row: Row
    swaps: list[Pair]
    sought: list[str]  # the things that are asked for; none: the whole row


def sample(dice: Dice, limits: dict[str, tuple[Any, ...]], content: Content) -> Instance:
    """The end is drawn first, so that the things sought end up in every place equally often."""
    things: list[str] = content.data["things"]
    while True:
        size, count = dice.between(*limits["cups"]), dice.between(*limits["swaps"])
        swaps: list[Pair] = []
        while len(swaps) < count:
            first = dice.between(1, size)
            pair = (first, (first - 1 + dice.between(1, size - 1)) % size + 1)
            if not swaps or set(pair) != set(swaps[-1]):
                swaps.append(pair)
        family = dice.pick(("ball", "ball", "row", "apart"))
        row = dice.some(["ball", *dice.some(things, size - 1)], size)
        sought = ["ball"] if family == "ball" else []
        if family == "apart":
            gap = dice.between(1, size - 1)
            left = dice.between(0, size - 1 - gap)
            sought = dice.some([row[left], row[left + gap]], 2)
        for pair in reversed(swaps):
            row = _swapped(row, pair)
        game = _Game(row, swaps, sought)
        states = _states(game)
        if len(set(map(tuple, states))) == len(states):
            break
    slots = {"start": _text(row), "swaps": str([list(pair) for pair in swaps])}
    if family == "apart":
        slots |= {"one": f'"{sought[0]}"', "other": f'"{sought[1]}"'}
    return Instance(family, slots, game)


def _text(row: Row) -> str:
    return "[" + ", ".join([f'"{thing}"' for thing in row]) + "]"


def _swapped(row: Row, pair: Pair) -> Row:
    changed, (a, b) = list(row), pair
    changed[a - 1], changed[b - 1] = row[b - 1], row[a - 1]
    return changed


def _states(game: _Game) -> list[Row]:
    states = [game.row]
    for pair in game.swaps:
        states.append(_swapped(states[-1], pair))
    return states


def _read(game: _Game, row: Row) -> str:
    """The answer that a row gives."""
    places = [row.index(thing) + 1 for thing in game.sought]
    if not places:
        return _text(row)
    return str(places[0] if len(places) == 1 else abs(places[0] - places[1]))


def _asked(game: _Game, row: str) -> str:
    """The same as a formula of the row."""
    places = [f'place({row}, "{thing}")' for thing in game.sought]
    return places[0] if len(places) == 1 else f"spread([{', '.join(places)}])"


def solve(instance: Instance) -> Solution:
    game: _Game = instance.given
    states, steps = _states(game), []
    for (a, b), old, new in zip(game.swaps, states, states[1:], strict=False):
        slots = {"a": str(a), "b": str(b), "pair": f"[{a}, {b}]"}
        slots |= {"p": f'"{old[a - 1]}"', "q": f'"{old[b - 1]}"'}
        steps.append(Step("swap", (_text(old), _text(new)), slots, " → "))
    end = _text(states[-1])
    answer = _read(game, states[-1])
    if not game.sought:
        same = f"sort({answer}) = sort({_text(game.row)})"
        return Solution(steps, answer, ("same_things", {"proof": same}))
    steps.append(Step(instance.family, (f"{_asked(game, end)} = {answer}",)))
    turned = _asked(game, f"reverse({end})")
    if instance.family == "apart":
        return Solution(steps, answer, ("turned", {"proof": f"{turned} = {answer}"}))
    proof = f"{turned} + {answer} = length({end}) + 1"
    return Solution(steps, answer, ("from_right", {"proof": proof}))


def mistakes(instance: Instance) -> list[Slip]:
    game: _Game = instance.given
    end = _states(game)[-1]
    right = _read(game, end)
    named, moved = list(game.row), list(game.row)
    for a, b in game.swaps:
        p, q = game.row[a - 1], game.row[b - 1]
        named = [q if thing == p else p if thing == q else thing for thing in named]
        moved.insert(b - 1, moved.pop(a - 1))
    short = _states(game._replace(swaps=game.swaps[:-1]))[-1]
    wrong = {"pushed_in": _read(game, moved)}
    # In short rows the swaps often lead to the same in either order.
    if len(end) > 4 or (not game.sought and (len(end) > 3 or len(game.swaps) % 2 == 0)):
        wrong["by_name"] = _read(game, named)
    touched = {end[place - 1] for place in game.swaps[-1]}
    if not game.sought or len(touched & set(game.sought)) == 1:
        wrong["one_short"] = _read(game, short)
    if instance.family == "apart":
        wrong["both_ends"] = str(int(right) + 1)
    if instance.family == "ball":
        place, backwards = game.row.index("ball") + 1, False
        for (a, b), row in zip(game.swaps, _states(game), strict=False):
            place = b if place == a else place
            backwards |= row[b - 1] == "ball"
        if backwards:
            wrong["one_sided"] = str(place)
        wrong["from_zero"] = str(int(right) - 1)
        wrong["other_end"] = str(len(end) + 1 - int(right))
    return [Slip(name, right, text) for name, text in wrong.items()]
