"""Makes the labelled positions and drawn openings that Stillroom ships: about two CPU-minutes.

`python bench/label_positions.py [--into FOLDER]` writes them; the same files come out each time.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from stillroom.worlds.selfplay.game import game_of
from stillroom.worlds.selfplay.positions import (
    DATA,
    Positions,
    labelled,
    random_opening,
    random_states,
    write_positions,
)
from stillroom.worlds.selfplay.solver import Solver

PLIES, EACH = range(10, 31), 105
OPENINGS, OPENING_PLY = 100, 12
BUDGET = 500_000_000


def positions(solver: Solver) -> Positions:
    """EACH positions of every ply from random play, in which the choice matters."""
    parts = []
    for ply in PLIES:
        rng, kept = np.random.default_rng([7, ply]), 0
        states = np.empty((0, 2), np.uint64)
        began = time.process_time()
        while kept < EACH:
            missing = max(8, int((EACH - kept) / 0.6))
            states = np.concatenate([states, random_states(solver.game, ply, missing, rng)])
            part = labelled(solver, states[-missing:], BUDGET)
            parts.append(part)
            kept += len(part)
        print(f"ply {ply}: {kept} of {len(states)}, {time.process_time() - began:.1f} CPU-s")
    return together(parts)


def together(parts: list[Positions]) -> Positions:
    """All the parts' positions, each once, and no more than EACH of a ply."""
    names = ("states", "plies", "values", "labels", "wins", "keys")
    arrays = [np.concatenate([getattr(part, name) for part in parts]) for name in names]
    whole = Positions(parts[0].rules, *arrays)
    once = np.sort(np.unique(whole.keys, return_index=True)[1])
    rows = [row for ply in PLIES for row in once[whole.plies[once] == ply][:EACH]]
    return whole.only(rows)


def openings(solver: Solver) -> list[list[int]]:
    """Random openings that are drawn with best play, no two of them the same position."""
    rng, found = np.random.default_rng(11), dict[bytes, list[int]]()
    while len(found) < OPENINGS:
        moves, state = random_opening(solver.game, OPENING_PLY, rng)
        if solver.values(state[None], BUDGET)[0] == 0:
            found.setdefault(state.tobytes(), moves)
    return list(found.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--into", type=Path, default=DATA)
    into = parser.parse_args().into
    into.mkdir(parents=True, exist_ok=True)
    solver = Solver(game_of("connect4"))
    write_positions(positions(solver), into / "connect4.parquet")
    column = pa.array(openings(solver), pa.list_(pa.int8()))
    table = pa.table({"moves": column}).replace_schema_metadata({"rules": solver.game.rules})
    pq.write_table(table, into / "connect4_openings.parquet", compression="zstd")


if __name__ == "__main__":
    main()
