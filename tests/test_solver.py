"""The Connect Four solver against exhaustive searches, and the positions it has labelled."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from game_play import after

pytest.importorskip("numba")

from stillroom.errors import UserError
from stillroom.worlds.selfplay.game import game_of, new_state
from stillroom.worlds.selfplay.games.bits import ONE, ZERO, bit, compiled
from stillroom.worlds.selfplay.games.connect4 import four
from stillroom.worlds.selfplay.positions import (
    DATA,
    Positions,
    actions_of,
    canonical_keys,
    grade,
    labelled,
    random_states,
    read_positions,
    shipped_openings,
    shipped_positions,
    write_positions,
)
from stillroom.worlds.selfplay.referee.connect4 import Connect4
from stillroom.worlds.selfplay.solver import ILLEGAL, UNKNOWN, Solver


@compiled
def brute(own: np.uint64, other: np.uint64, left: int) -> int:
    """Win, draw or loss on 6x7 by trying everything: no table, no order, no threats."""
    best = -1 if left else 0
    for column in range(7):
        cell = column
        taken = own | other
        if (taken >> np.uint64(cell)) & ONE != ZERO:
            continue
        while cell + 7 < 42 and (taken >> np.uint64(cell + 7)) & ONE == ZERO:
            cell += 7
        played = own | bit(cell)
        value = 1 if four(played, 6, 7) else -brute(other, played, left - 1)
        best = max(best, value)
        if best == 1:
            break
    return best


@pytest.fixture(scope="module")
def solver() -> Solver:
    return Solver(game_of("connect4"))


@pytest.fixture(scope="module")
def positions() -> Positions:
    return shipped_positions(game_of("connect4"))


def test_late_positions_by_brute_force(solver: Solver) -> None:
    game, rng = solver.game, np.random.default_rng(4)
    states = np.concatenate([random_states(game, ply, 100, rng) for ply in (28, 29, 30)])
    values, moves = solver.values(states), solver.moves(states)
    for state, value, labels in zip(states, values, moves, strict=True):
        left = 42 - game.moves(state)
        assert value == brute(state[0], state[1], left)
        for column in range(7):
            if state[0] >> np.uint64(column) & ONE or state[1] >> np.uint64(column) & ONE:
                assert labels[column] == ILLEGAL
                continue
            child = state.copy()
            game.play(child, column)
            lost = game.result(child) == -1
            assert labels[column] == (1 if lost else -brute(child[0], child[1], left - 1))
    assert {-1, 0, 1} == set(values.tolist())


def scores_of_all(height: int, width: int) -> dict[tuple[int, int], int]:
    """The score of every position in which a game goes on or is drawn, by plain recursion."""
    cells, known = height * width, dict[tuple[int, int], int]()

    def score(own: int, other: int, left: int) -> int:
        if (own, other) not in known:
            best = -cells if left else 0
            for column in range(width):
                stack = [row * width + column for row in range(height)]
                free = [cell for cell in stack if not (own | other) >> cell & 1]
                if free:
                    played = own | 1 << free[-1]
                    lined = four(np.uint64(played), height, width)
                    then = (left + 1) // 2 if lined else -score(other, played, left - 1)
                    best = max(best, then)
            known[own, other] = best
        return known[own, other]

    score(0, 0, cells)
    return known


def test_every_position_of_a_small_board() -> None:
    known = scores_of_all(4, 4)
    assert len(known) > 100_000
    assert known[0, 0] == 0
    small, states = Solver(game_of("connect4", height=4, width=4)), np.array(list(known), np.uint64)
    truth = np.array(list(known.values()))
    assert (small.values(states) == np.sign(truth)).all()
    goes_on = (states[:, 0] | states[:, 1]) != np.uint64(0xFFFF)
    some = np.flatnonzero(goes_on)[::7]
    scores = small.scores(states[some])
    assert (scores.max(axis=1) == truth[some]).all()
    assert len(set(truth.tolist())) > 8


@pytest.mark.parametrize(
    ("height", "width", "value"),
    [(4, 4, 0), (5, 4, 0), (4, 5, 0), (6, 4, 0), (5, 5, 0), (4, 6, -1)],
)
def test_small_boards_as_known(height: int, width: int, value: int) -> None:
    game = game_of("connect4", height=height, width=width)
    assert Solver(game).values(new_state(game)[None])[0] == value


@pytest.mark.parametrize(("height", "width"), [(8, 7), (7, 8)])
def test_boards_that_fill_a_word(height: int, width: int) -> None:
    game = game_of("connect4", height=height, width=width)
    states = random_states(game, 44, 40, np.random.default_rng(0))
    large = Solver(game)
    values, moves = large.values(states), large.moves(states)
    assert (moves.max(axis=1) == values).all()
    for state, value in zip(states, values, strict=True):
        assert by_trying(game, state) == value


def by_trying(game: Any, state: Any) -> int:
    """Win, draw or loss by the game's own functions."""
    result = game.result(state)
    if result != 2:
        return int(result)
    best, mask = -1, np.zeros(game.actions, np.uint8)
    game.legal(state, mask)
    for action in np.flatnonzero(mask):
        child = state.copy()
        game.play(child, int(action))
        best = max(best, -by_trying(game, child))
        if best == 1:
            break
    return best


def test_scores_and_the_best_moves(solver: Solver) -> None:
    # First: three in the lowest row on columns 2 to 4, both ends open; second stacked on column 0.
    state = after(solver.game, [2, 0, 3, 0, 4, 0])
    assert solver.moves(state[None])[0].tolist()[1] == 1
    assert solver.scores(state[None])[0].tolist()[1] == (42 - 6 + 1) // 2
    assert solver.best(state) == [1, 5]
    # The one to move can't stop both ends, and may lose only later by filling one of them.
    lost = after(solver.game, [2, 0, 3, 0, 4])
    assert solver.values(lost[None])[0] == -1
    assert solver.scores(lost[None])[0].max() == -((42 - 5) // 2)
    with pytest.raises(UserError, match="the game has ended"):
        solver.best(after(solver.game, [2, 0, 3, 0, 4, 0, 1]))


def test_ended_games(solver: Solver) -> None:
    won = after(solver.game, [2, 0, 3, 0, 4, 0, 1])
    assert solver.values(won[None]).tolist() == [-1]
    assert (solver.moves(won[None]) == ILLEGAL).all()


def test_a_budget_is_counted_in_nodes_and_the_order_of_questions_is_no_matter(
    solver: Solver,
) -> None:
    states = random_states(solver.game, 14, 30, np.random.default_rng(5))
    few, enough = solver.moves(states, 2000), solver.moves(states)
    unknown = few == UNKNOWN
    assert unknown.any()
    assert not unknown.all()
    assert (few[~unknown] == enough[~unknown]).all()
    assert (solver.moves(states[::-1], 2000)[::-1] == few).all()
    row = int(np.flatnonzero((unknown | (few == ILLEGAL)).all(axis=1))[0])
    with pytest.raises(UserError, match="couldn't settle a position of 14 stones in 100 nodes"):
        solver.best(states[row], 100)


@pytest.mark.parametrize(
    ("own", "other", "reason"),
    [
        (1 << 40, 1 << 40, "share a cell"),
        (0, 1 << 0, "hangs in the air"),
        (1 << 40, 0, "the wrong one is to move"),
        (0b1111 << 35, 0b111 << 28 | 1 << 39, "four in a line already"),
        (0, 1 << 42, "off the board"),
    ],
)
def test_illegal_positions(solver: Solver, own: int, other: int, reason: str) -> None:
    states = np.array([[0, 0], [own, other]], np.uint64)
    with pytest.raises(UserError, match=f"position 1 is illegal: .*{reason}"):
        solver.moves(states, 10)


def test_other_games() -> None:
    with pytest.raises(UserError, match="the solver knows connect4, not tictactoe"):
        Solver(game_of("tictactoe"))
    with pytest.raises(UserError, match="can't hold 8x8"):
        Solver(game_of("connect4", height=8, width=8))


def test_the_shipped_positions(solver: Solver, positions: Positions) -> None:
    assert (DATA / "connect4.parquet").stat().st_size < 300_000
    assert len(positions) >= 2000
    plies, counts = np.unique(positions.plies, return_counts=True)
    assert plies.tolist() == list(range(10, 31))
    assert counts.min() >= 100
    assert len(np.unique(positions.keys)) == len(positions)
    labels = np.where(positions.labels == ILLEGAL, positions.values[:, None], positions.labels)
    assert (labels.max(axis=1) == positions.values).all()
    assert (labels.min(axis=1) < positions.values).all()

    again = labelled(solver, positions.states[positions.plies >= 18])
    late = positions.only(positions.plies >= 18)
    for name in ("states", "plies", "values", "labels", "wins", "keys"):
        assert (getattr(again, name) == getattr(late, name)).all(), name


def referee_at(state: Any) -> Connect4:
    """The referee's board, stone by stone, with the mover's as 1."""
    referee = Connect4(6, 7)
    for cell in reversed(range(42)):
        for player, board in ((1, int(state[0])), (-1, int(state[1]))):
            if board >> cell & 1:
                referee.stacks[cell % 7].append(player)
    return referee


def test_wins_at_once_by_the_referee(positions: Positions) -> None:
    seen = set()
    for state, wins in list(zip(positions.states, positions.wins, strict=True))[::20]:
        found = False
        for column in referee_at(state).legal():
            referee = referee_at(state)
            referee.play(column)
            found |= referee.result() == 1
        assert found == wins
        seen.add(found)
    assert seen == {True, False}


def test_the_mirror_image_is_the_same_position(solver: Solver, positions: Positions) -> None:
    game, some = solver.game, positions.only(np.flatnonzero(positions.plies >= 20)[::9])
    mirrored = np.zeros_like(some.states)
    for cell, to in enumerate(game.cells[1]):
        mirrored |= (some.states >> np.uint64(cell) & ONE) << np.uint64(to)
    assert (mirrored != some.states).any(axis=1).all()
    assert (canonical_keys(game, mirrored) == some.keys).all()
    assert (solver.moves(mirrored) == some.labels[:, ::-1]).all()


def test_grades(positions: Positions) -> None:
    best = positions.labels.argmax(axis=1)
    perfect = grade(lambda states: best, positions)
    assert perfect.all[:2] == (len(positions), len(positions))
    assert perfect.all.high == 1
    assert perfect.all.low > 0.99
    worst = np.where(positions.labels == ILLEGAL, 9, positions.labels).argmin(axis=1)
    assert grade(lambda states: worst, positions).all.kept == 0
    # Right only where a move wins at once: all of them, and nothing of the rest.
    easy = grade(lambda states: np.where(positions.wins, best, worst), positions)
    assert easy.rest.kept == 0
    assert easy.all.kept == positions.wins.sum() == easy.all.tried - easy.rest.tried
    assert sum(share.kept for share in easy.by_ply.values()) == easy.all.kept
    assert easy.all.low < easy.all.share < easy.all.high


def test_a_policy_that_breaks_the_rules_gets_no_grade(positions: Positions) -> None:
    row = int(np.flatnonzero((positions.labels == ILLEGAL).any(axis=1))[0])
    some = positions.only([row])
    full = int(np.argmax(some.labels[0] == ILLEGAL))
    for action in (full, 7, -1):
        with pytest.raises(ValueError, match=f"action {action} is illegal in position 0"):
            grade(actions_of(lambda state, action=action: action), some)  # type: ignore[misc]
    with pytest.raises(ValueError, match="1 positions want as many actions"):
        grade(lambda states: [3, 3], some)


def test_positions_on_disk(solver: Solver, tmp_path: Path) -> None:
    states = random_states(solver.game, 24, 60, np.random.default_rng(2))
    made = labelled(solver, np.concatenate([states, states]))
    assert 10 < len(made) < 60
    write_positions(made, tmp_path / "made.parquet")
    read = read_positions(tmp_path / "made.parquet")
    assert read.rules == made.rules == "connect4 6x7"
    for name in ("states", "plies", "values", "labels", "wins", "keys"):
        assert (getattr(read, name) == getattr(made, name)).all(), name
    with pytest.raises(UserError, match="no positions are shipped for connect4 5x5"):
        shipped_positions(game_of("connect4", height=5, width=5))


def test_shipped_openings_are_draws(solver: Solver) -> None:
    shipped = shipped_openings(solver.game)
    assert len(shipped) == 100
    states = np.array([after(solver.game, moves) for moves in shipped[::20]])
    assert (solver.values(states) == 0).all()
    assert shipped_openings(game_of("connect4", height=5, width=5)) == []


@pytest.mark.slow
def test_the_first_player_wins(solver: Solver) -> None:
    # Five CPU-minutes: known since Allen and Allis, 1988.
    empty = new_state(solver.game)[None]
    assert solver.values(empty, 4_000_000_000).tolist() == [1]


def test_no_label_beyond_the_budget(solver: Solver) -> None:
    states = random_states(solver.game, 14, 30, np.random.default_rng(5))
    few, enough = labelled(solver, states, 2000), labelled(solver, states)
    assert 0 < len(few) < len(enough)
    assert np.isin(few.keys, enough.keys).all()
