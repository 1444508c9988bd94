"""The checker: a referee replays the game, and the rest is held against what it sees.

Rules, masks, planes, endings, territory and outcomes come from `referee`, which shares nothing with
the rules that were played by. What a net and its search said can't be known from the record alone
(`verify --replay` plays games again): it must be possible, and agree with itself.
"""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from stillroom.world import Check, Data, Task, Verdict
from stillroom.worlds.selfplay.game import Floats, Game
from stillroom.worlds.selfplay.labelling import Label
from stillroom.worlds.selfplay.net import TERRITORY
from stillroom.worlds.selfplay.records import canonical, ending, packed
from stillroom.worlds.selfplay.referee import Referee

TINY = 1e-4


class Limits(NamedTuple):
    """What the config allows a search and an opening."""

    simulations: int
    fast: int
    gumbel: bool
    opening: int
    resign: float
    label: Label | None = None


NAMES = ("task", "moves", "positions", "ending")
FINE = tuple(Check(name, True) for name in NAMES)


def check_game(task: Task, data: Data, game: Game, referee: Referee, limits: Limits) -> Verdict:
    """The verdict on a record. Score: the share of positions that came before the first fault."""
    right = 0
    for name, fault in _faults(task, data, game, referee, limits):
        if fault:
            before = FINE[: NAMES.index(name)]
            return Verdict((*before, Check(name, False, fault)), right / len(data["moves"] or "-"))
        right += name == "positions"
    return Verdict(FINE)


def _faults(
    task: Task, data: Data, game: Game, referee: Referee, limits: Limits
) -> Iterator[tuple[str, str]]:
    """(what is looked at, what is wrong with it or nothing), in the order of the game."""
    opening, moves, positions = data["opening"], data["moves"], data["positions"]
    yield "task", _task_fault(task, data, game)
    yield "moves", _shape_fault(data, limits)
    for ply, move in enumerate(moves):
        if ply >= opening:
            fault = _position_fault(positions[ply - opening], ply, data, game, referee, limits)
            yield "positions", fault and f"ply {ply}: {fault}"
        try:
            referee.play(move)
        except ValueError as wrong:
            yield "moves", f"ply {ply}: {wrong}"
            return
    yield "ending", _ending_fault(data, game, referee, limits)


def _task_fault(task: Task, data: Data, game: Game) -> str:
    if data["rules"] != game.rules:
        return f"{data['rules']!r:.60}, and not {game.rules!r}"
    if data["generation"] != task["generation"]:
        return f"generation {data['generation']}, and not {task['generation']}"
    first, games = task["first"], task["games"]
    if not first <= data["number"] < first + games:
        return f"game {data['number']} is none of the {games} from {first} on"
    if not re.fullmatch("[0-9a-f]{32}", data["net"]):
        return f"{data['net']!r:.40} is no hash of a net"
    return ""


def _shape_fault(data: Data, limits: Limits) -> str:
    opening, moves, positions = data["opening"], data["moves"], data["positions"]
    if not 0 <= opening <= limits.opening:
        return f"an opening of {opening} random moves, of at most {limits.opening}"
    if len(positions) != len(moves) - opening or not positions:
        return f"{len(positions)} positions for {len(moves)} moves and an opening of {opening}"
    return ""


def _position_fault(
    at: Data, ply: int, data: Data, game: Game, referee: Referee, limits: Limits
) -> str:
    legal = referee.legal()
    outcome = data["result"] * referee.mover
    if at["ply"] != ply:
        return f"it says ply {at['ply']}"
    if at["move"] not in legal:
        return f"move {at['move']} is illegal, of {legal}"
    if at["move"] != data["moves"][ply]:
        return f"move {at['move']}, but the game goes on with {data['moves'][ply]}"
    if at["legal"] != [a in legal for a in range(game.actions)]:
        return f"the legal moves are {legal}"
    if at["outcome"] != outcome:
        return f"outcome {at['outcome']}, but the game ended with {outcome} for the mover"
    planes = np.array(referee.planes(), np.float32)[None]
    return (
        _planes_fault(at, game, planes)
        or _exact_fault(at, planes, limits.label)
        or _search_fault(at, legal, limits)
    )


def _exact_fault(at: Data, planes: Floats, label: Label | None) -> str:
    """A label is the solver's on the referee's board; a proof that it contradicts is none."""
    exact = label(planes)[0] if label is not None else None
    if at["exact"] != exact:
        return f"an exact value of {at['exact']}, where the solver says {exact}"
    if exact is not None and at["proof"] not in (None, exact):
        return f"a proof of {at['proof']}, where the solver says {exact}"
    return ""


def _planes_fault(at: Data, game: Game, planes: Floats) -> str:
    bits, levels = packed(planes)
    if at["planes"] != bits[0].tobytes():
        return "the planes are not those of the position"
    plain = ((levels == 0) | (levels == 1)).all()
    if at["levels"] != (None if plain else levels[0].tolist()):
        return f"the planes' levels are {levels[0].tolist()}"
    (name,), (symmetry,) = canonical(planes, game.cells)
    if (at["canonical"], at["symmetry"]) != (name, symmetry):
        return f"canonical form {name} by symmetry {symmetry}"
    return ""


def _search_fault(at: Data, legal: list[int], limits: Limits) -> str:
    """What can't be, of a search's numbers."""
    policy, visits, allowed = at["policy"], at["visits"], set(legal)
    if len(policy) != len(at["legal"]) or len(visits) != len(at["legal"]):
        return f"{len(policy)} shares and {len(visits)} counts for {len(at['legal'])} actions"
    if abs(sum(policy) - 1) > TINY or min(policy) < 0:
        return f"the policy's shares sum to {sum(policy):.6g}"
    for a, (share, count) in enumerate(zip(policy, visits, strict=True)):
        if a not in allowed and (share or count):
            return f"move {a} is illegal, and has {count} visits and a share of {share:.3g}"
    budget = limits.simulations if at["full"] else limits.fast
    if sum(visits) != at["simulations"] or min(visits) < 0 or at["simulations"] > budget:
        return f"{sum(visits)} visits in {at['simulations']} simulations, of at most {budget}"
    if at["proof"] is None:
        return _unproven_fault(at, budget, limits)
    if at["proof"] not in (-1, 0, 1) or at["value"] != at["proof"]:
        return f"a value of {at['value']:.6g} that is proven as {at['proof']}"
    if policy[at["move"]] != max(policy):
        return f"move {at['move']} is none of those that the proof names"
    return ""


def _unproven_fault(at: Data, budget: int, limits: Limits) -> str:
    visits, move = at["visits"], at["move"]
    if at["simulations"] != budget:
        return f"{at['simulations']} simulations and not {budget}, though nothing was proven"
    if abs(at["value"]) > 1:
        return f"a value of {at['value']:.6g}"
    if visits[move] == 0 or (limits.gumbel and visits[move] != max(visits)):
        return f"move {move} has {visits[move]} visits of {sum(visits)}"
    return ""


def _ending_fault(data: Data, game: Game, referee: Referee, limits: Limits) -> str:
    result, ended = referee.result(), data["ended"]
    fault = _resigning_fault(data, limits)
    if fault:
        return fault
    if ended == "resigned":
        if result is not None:
            return f"the rules had ended the game, with {result}"
        result = -referee.mover
    elif result is None:
        return f"the game goes on after {len(data['moves'])} moves"
    else:
        how = ending(game, data["moves"], bool(referee.legal()))
        if ended != how:
            return f"ended by {ended!r:.20}, not by {how}"
    if data["result"] != result:
        return f"result {data['result']}, not {result}"
    return _territory_fault(data, game, referee)


def _resigning_fault(data: Data, limits: Limits) -> str:
    gave_up, last = data["gave_up"], len(data["moves"])
    if gave_up is None:
        return "nobody gave up" if data["ended"] == "resigned" else ""
    if data["ended"] == "resigned":
        # What the side that resigned had seen in its last position goes unrecorded with it.
        return "" if gave_up == last else f"given up at ply {gave_up}"
    at: dict[int, Any] = {one["ply"]: one for one in data["positions"]}
    low = limits.resign and all(
        ply in at and at[ply]["value"] < -limits.resign for ply in (gave_up, gave_up - 2)
    )
    return "" if low else f"nobody had to give up at ply {gave_up}"


def _territory_fault(data: Data, game: Game, referee: Referee) -> str:
    score: float | None = None
    owners: list[int] | None = None
    if game.name in TERRITORY and data["ended"] != "resigned":
        lead, owners = referee.score()
        score = float(np.float32(lead))
    if (data["score"], data["ownership"]) != (score, owners):
        return f"the score is {score}, not {data['score']}, or cells are another's"
    return ""
