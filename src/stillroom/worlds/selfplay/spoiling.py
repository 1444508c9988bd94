"""Faults of the kind that makers of self-play really make; perspective above all."""

import copy
from collections.abc import Callable

import numpy as np

from stillroom.world import Data


def spoil(data: Data, rng: np.random.Generator) -> tuple[str, Data]:
    """One fault, chosen by chance among those that the game allows."""
    faulty = copy.deepcopy(data)
    kinds = [kind for kind, (able, _) in FAULTS.items() if able(data)]
    kind = kinds[int(rng.integers(len(kinds)))]
    FAULTS[kind][1](faulty, rng)
    return kind, faulty


def _any(data: Data, rng: np.random.Generator) -> Data:
    at: Data = data["positions"][int(rng.integers(len(data["positions"])))]
    return at


def _one_view(data: Data, rng: np.random.Generator) -> None:
    """Outcomes as the first player sees them, whoever is to move."""
    for at in data["positions"]:
        at["outcome"] = data["result"]


def _other_view(data: Data, rng: np.random.Generator) -> None:
    for at in data["positions"]:
        at["outcome"] = -at["outcome"]


def _other_winner(data: Data, rng: np.random.Generator) -> None:
    data["result"] = -data["result"]
    _other_view(data, rng)


def _no_draw(data: Data, rng: np.random.Generator) -> None:
    data["result"] = 1
    for at in data["positions"]:
        at["outcome"] = 1 if at["ply"] % 2 == 0 else -1


def _illegal_share(data: Data, rng: np.random.Generator) -> None:
    """A policy that was not masked before it was normalised."""
    at = next(one for one in data["positions"] if not all(one["legal"]))
    at["policy"] = [0.9 * share for share in at["policy"]]
    at["policy"][at["legal"].index(False)] += 0.1


def _late_mask(data: Data, rng: np.random.Generator) -> None:
    """The mask of another position of the game."""
    at = data["positions"][-1]
    at["legal"] = next(one["legal"] for one in data["positions"] if one["legal"] != at["legal"])


def _late_planes(data: Data, rng: np.random.Generator) -> None:
    """Planes of the position after the move."""
    place = int(rng.integers(len(data["positions"]) - 1))
    data["positions"][place]["planes"] = data["positions"][place + 1]["planes"]


def _root_counted(data: Data, rng: np.random.Generator) -> None:
    """The evaluation of the root counted as a simulation."""
    _any(data, rng)["simulations"] += 1


def _move_lost(data: Data, rng: np.random.Generator) -> None:
    place = int(rng.integers(len(data["positions"])))
    del data["moves"][data["opening"] + place]
    del data["positions"][place]


def _other_label(data: Data, rng: np.random.Generator) -> None:
    """A solver's label as the player sees it who moved last."""
    at = next(one for one in data["positions"] if one["exact"])
    at["exact"] = -at["exact"]


def _short(data: Data, rng: np.random.Generator) -> None:
    """The last move and its position are missing."""
    del data["moves"][-1], data["positions"][-1]


Fault = tuple[Callable[[Data], bool], Callable[[Data, np.random.Generator], None]]

FAULTS: dict[str, Fault] = {
    "outcomes from one player's view": (
        lambda d: d["result"] != 0 and any(at["ply"] % 2 for at in d["positions"]),
        _one_view,
    ),
    "outcomes from the other's view": (lambda d: d["result"] != 0, _other_view),
    "the other side has won": (lambda d: d["result"] != 0, _other_winner),
    "a draw counted as a win": (lambda d: d["result"] == 0, _no_draw),
    "a share for an illegal move": (
        lambda d: not all(all(at["legal"]) for at in d["positions"]),
        _illegal_share,
    ),
    "another position's mask": (
        lambda d: any(at["legal"] != d["positions"][-1]["legal"] for at in d["positions"]),
        _late_mask,
    ),
    "planes of the next position": (lambda d: len(d["positions"]) > 1, _late_planes),
    "the root counted as a simulation": (lambda d: True, _root_counted),
    "a move lost": (lambda d: len(d["positions"]) > 1, _move_lost),
    "an exact label of the wrong sign": (
        lambda d: any(at["exact"] for at in d["positions"]),
        _other_label,
    ),
    "the end cut off": (lambda d: len(d["positions"]) > 1, _short),
}
