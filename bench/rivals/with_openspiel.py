"""Replays games by OpenSpiel's rules: `python with_openspiel.py GAME PARAMETERS < games.jsonl`.

A line is a game: its moves, the legal actions at each of them as bits in hexadecimal, and its
result for the first player. Prints a JSON line: how often OpenSpiel says otherwise.

In Go, OpenSpiel lets a player bring back an old position, other than by retaking a ko at once, and
then ends the game as a draw. Such a move counts as a repeat and not as a difference.
"""

import json
import sys
from typing import Any

import numpy as np

from stillroom.worlds.selfplay.game import DRAWN, GOES_ON, Game, game_of, new_state


def compare(game: Game, lines: Any) -> dict[str, int]:
    """Games and positions compared, and in how many of them legal moves or results differ."""
    counts = dict.fromkeys(("games", "positions", "legal", "results", "repeats"), 0)
    for line in lines:
        told, state = json.loads(line), new_state(game)
        mask = np.zeros(game.actions, np.uint8)
        for move, bits in zip(told["moves"], told["legal"], strict=True):
            over = game.result(state) != GOES_ON
            game.legal(state, mask)
            theirs, ours = set(np.flatnonzero(mask).tolist()), unpacked(bits)
            repeats = {one for one in theirs - ours if repeat(game, state, one)}
            counts["repeats"] += len(repeats)
            counts["positions"] += 1
            counts["legal"] += over or theirs - repeats != ours
            if over or move not in theirs:
                break
            game.play(state, move)
        result = game.result(state)
        seen = None if result == GOES_ON else result * (1 - 2 * (game.moves(state) % 2))
        counts["games"] += 1
        counts["results"] += seen != told["result"]
    return counts


def repeat(game: Game, state: Any, move: int) -> bool:
    """Whether a move ends a game of Go as a draw, though nobody passed: a repeated position."""
    child = state.copy()
    game.play(child, move)
    passed = move == game.actions - 2
    return game.name == "openspiel:go" and not passed and game.result(child) == DRAWN


def unpacked(bits: str) -> set[int]:
    number = int(bits, 16)
    return {action for action in range(number.bit_length()) if number >> action & 1}


if __name__ == "__main__":
    name, parameters = sys.argv[1:]
    game = game_of(f"openspiel:{name}", **json.loads(parameters))
    print(json.dumps(compare(game, sys.stdin)))
