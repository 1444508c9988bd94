"""Matches, ratings and the players of fixed strength; Go programs, one of them a real one."""

import dataclasses
import math
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from game_play import after

pytest.importorskip("numba")

from stillroom.errors import UserError
from stillroom.worlds.selfplay.game import GOES_ON, game_of, new_state
from stillroom.worlds.selfplay.gtp import GNU_GO, Program, action_of, vertex
from stillroom.worlds.selfplay.ladder import (
    AnyPlayer,
    Batch,
    Forfeit,
    Played,
    converts,
    match,
    openings,
    rank_correlation,
    ratings,
)
from stillroom.worlds.selfplay.positions import actions_of, grade, shipped_positions
from stillroom.worlds.selfplay.referee import referee_of
from stillroom.worlds.selfplay.rungs import (
    perfect_player,
    random_player,
    rollout_player,
    rollout_visits,
)
from stillroom.worlds.selfplay.solver import Solver

OWN = str(Path(__file__).parents[1] / "examples" / "own_game.py")
GNUGO = shutil.which("gnugo") or shutil.which("gnugo", path="/usr/games")


@pytest.fixture(scope="module")
def solver() -> Solver:
    return Solver(game_of("connect4"))


def games(wins: int, losses: int, draws: int = 0, pair: tuple[str, str] = ("a", "b")) -> Any:
    results = [1] * wins + [-1] * losses + [0] * draws
    for number, result in enumerate(results):  # half of them with the colours swapped
        first, second, seen = (*pair, result) if number % 2 else (*pair[::-1], -result)
        yield Played(first, second, number // 2, (), seen)


def test_ratings_of_two() -> None:
    found = ratings(games(75, 25), "b", prior=0)
    assert list(found) == ["a", "b"]
    assert found["a"].elo == pytest.approx(400 * math.log10(3))
    error = 400 / math.log(10) / math.sqrt(100 * 0.75 * 0.25)  # of a logit
    assert found["a"].high - found["a"].elo == pytest.approx(1.959964 * error)
    assert found["a"].elo - found["a"].low == pytest.approx(1.959964 * error)
    assert found["b"] == (0, 0, 0, 100, 25)
    drawn = ratings(games(60, 10, 30), "b", prior=0)
    assert drawn["a"].elo == pytest.approx(found["a"].elo)
    assert ratings(games(75, 25), "a", prior=0)["b"].elo == pytest.approx(-found["a"].elo)


def test_ratings_along_a_chain() -> None:
    rows = [*games(60, 30), *games(45, 45, pair=("b", "c")), *games(20, 80, pair=("d", "c"))]
    found = ratings(rows, "c", prior=0)
    assert next(iter(found)) == "a"
    assert found["b"].elo == pytest.approx(0, abs=1e-6)
    assert found["a"].elo == pytest.approx(400 * math.log10(2))
    assert found["d"].elo == pytest.approx(400 * math.log10(0.25))
    # The further from the anchor, the less sure.
    assert found["a"].high - found["a"].low > found["b"].high - found["b"].low
    assert found["c"].games == 190


def test_intervals_cover_the_truth() -> None:
    rng, truth = np.random.default_rng(0), {"a": 0.0, "b": 150.0, "c": 300.0}
    covered = 0
    for _ in range(200):
        rows = list[Played]()
        for one, other in (("a", "b"), ("b", "c"), ("a", "c")):
            chance = 1 / (1 + 10 ** ((truth[other] - truth[one]) / 400))
            won = rng.binomial(80, chance)
            rows += games(int(won), int(80 - won), pair=(one, other))
        found = ratings(rows, "a")
        covered += sum(found[name].low <= truth[name] <= found[name].high for name in "bc")
    assert 0.92 <= covered / 400 <= 0.98


def test_a_perfect_record_is_finite_and_no_chain_is_an_error() -> None:
    found = ratings(games(100, 0), "b")
    assert 700 < found["a"].elo < 1200
    assert found["a"].low > 300
    apart = [*games(5, 5), *games(5, 5, pair=("c", "d"))]
    with pytest.raises(ValueError, match="no chain of games joins c, d to a"):
        ratings(apart, "a")
    with pytest.raises(ValueError, match="z has played no game"):
        ratings(apart, "z")


def test_rank_correlation() -> None:
    assert rank_correlation([1, 2, 3, 4], [10, 20, 30, 99]) == pytest.approx(1)
    assert rank_correlation([1, 2, 3, 4], [4, 3, 2, 1]) == pytest.approx(-1)
    assert rank_correlation(range(5), [1, 2, 2, 3, 0]) == pytest.approx(-0.5 / math.sqrt(95))
    assert math.isnan(rank_correlation([1, 2, 3], [5, 5, 5]))


def test_every_opening_twice_with_colours_swapped() -> None:
    game = game_of("connect4")
    players = {"a": random_player(game, 1), "b": random_player(game, 2), "c": random_player(game)}
    starts = openings(game, 5, 3)
    assert len(set(starts)) == 5
    played = match(game, players, starts)
    assert len(played) == 3 * 5 * 2
    pairs = {(one.first, one.second, one.opening) for one in played}
    assert len(pairs) == len(played)
    assert {(second, first, opening) for first, second, opening in pairs} == pairs
    for one in played:
        assert one.moves[:3] == starts[one.opening]
        referee = referee_of("connect4")
        for number, move in enumerate(one.moves):
            if number >= 3:
                name = (one.first, one.second)[number % 2]
                assert players[name](after(game, one.moves[:number])) == move
            referee.play(move)
        assert referee.result() == one.result
        assert one.forfeit == ""
    assert match(game, players, starts[3:], [("c", "a")])[0].first == "c"
    with pytest.raises(UserError, match="no player is called 'd'"):
        match(game, players, starts, [("a", "d")])


def test_many_games_at_once_are_the_same_games() -> None:
    game = game_of("connect4")
    one, other = rollout_player(game, 20), random_player(game)
    sizes = []

    def choose(states: Any) -> Sequence[int]:
        sizes.append(len(states))
        return actions_of(one)(states)

    single: dict[str, AnyPlayer] = {"a": one, "b": other}
    together: dict[str, AnyPlayer] = {"a": Batch(choose), "b": other}
    starts = openings(game, 10, 4)
    assert match(game, single, starts) == match(game, together, starts)
    assert max(sizes) == 20 / 2 or max(sizes) == 20


def test_who_breaks_off_loses_one_game() -> None:
    game = game_of("connect4")
    starts = openings(game, 4, 4)
    broken = after(game, starts[2])

    def weak(state: Any) -> int:
        if (state == broken).all():
            raise Forfeit("its process died")
        return 9 if game.moves(state) == 7 else random_player(game)(state)

    played = match(game, {"weak": weak, "strong": random_player(game, 1)}, starts)
    for one in played:
        mover = (one.first, one.second)[len(one.moves) % 2]
        if one.opening == 2 and one.first == "weak":
            assert one.forfeit == "weak: its process died"
            assert one.result == -1
        elif one.first == "strong":
            assert one.forfeit == "weak: action 9 is illegal after 7 moves"
            assert (mover, one.result) == ("weak", 1)
        else:
            assert one.forfeit == ""
    assert len(played) == 8


def test_openings(solver: Solver) -> None:
    game = solver.game
    drawn = openings(game, 3, 16, seed=1, solver=solver)
    assert (solver.values(np.array([after(game, moves) for moves in drawn])) == 0).all()
    assert drawn == openings(game, 3, 16, seed=1, solver=solver)
    assert drawn != openings(game, 3, 16, seed=2, solver=solver)
    shipped = openings(game, 100, 12, solver=solver)
    assert len({int(game.key(after(game, moves))) for moves in shipped}) == 100
    go = game_of("go", size=5, komi=0.5)
    assert all(25 not in moves for moves in openings(go, 50, 2))
    with pytest.raises(UserError, match="no 8 different openings of 1 moves"):
        openings(game, 8, 1)


@pytest.mark.parametrize(
    ("name", "moves", "only"),
    [
        ("connect4", [3, 0, 3, 0, 3, 1], 3),  # wins
        ("connect4", [3, 0, 3, 0, 3], 3),  # or loses
        ("connect4", [2, 2, 3, 3], 4),  # opens both ends; 1 would do as well
        ("tictactoe", [4, 0, 3], 5),
        ("tictactoe", [0, 4, 8, 2], 6),
    ],
)
def test_rollouts_win_and_parry(name: str, moves: list[int], only: int) -> None:
    game = game_of(name)
    state = after(game, moves)
    for seed in range(5):
        visits = rollout_visits(game, state, 400, seed)
        assert visits.sum() == 400
        assert visits.argmax() in ((1, 4) if only == 4 and name == "connect4" else (only,))
        assert rollout_player(game, 400, seed)(state) == visits.argmax()


def test_rollouts_in_a_game_of_ones_own() -> None:
    game = game_of(OWN)
    players = {"rollouts": rollout_player(game, 200), "random": random_player(game)}
    played = match(game, players, openings(game, 4, 1))
    assert sum(one.result == (1 if one.first == "rollouts" else -1) for one in played) >= 6
    for wrong, reason in ((0, "can't have 0 simulations"), (-3, "can't have -3")):
        with pytest.raises(UserError, match=reason):
            rollout_player(game, wrong)
    with pytest.raises(UserError, match="isn't compiled"):
        rollout_player(dataclasses.replace(game, compiled=False), 5)


def test_rungs_rise() -> None:
    game = game_of("connect4")
    players = {
        "random": random_player(game),
        "100": rollout_player(game, 100),
        "1000": rollout_player(game, 1000),
    }
    found = ratings(match(game, players, openings(game, 20, 6)), "random")
    assert found["1000"].elo > found["100"].elo > 200
    assert (rollout_visits(game, new_state(game), 500)).sum() == 500


def test_chance_comes_from_position_and_seed() -> None:
    game = game_of("connect4")
    states = [after(game, moves) for moves in openings(game, 40, 4)]
    for make in (random_player, lambda game, seed: rollout_player(game, 30, seed)):
        player = make(game, 1)
        there = [player(state) for state in states]
        assert there == [player(state) for state in states[::-1]][::-1]
        assert there != [make(game, 2)(state) for state in states]
    picked = [random_player(game, seed)(states[0]) for seed in range(700)]
    counts = np.bincount(picked, minlength=7)
    assert counts.min() > 60
    assert counts.max() < 140


def test_the_perfect_player(solver: Solver) -> None:
    game, perfect = solver.game, perfect_player(solver)
    positions = shipped_positions(game)
    late = positions.only(positions.plies >= 18)
    some = late.only(np.flatnonzero(~late.wins)[::9])
    assert grade(actions_of(perfect), some).all.share == 1
    won = int((some.values == 1).sum())
    assert converts(perfect, solver, some)[:2] == (won, won)
    clumsy = converts(random_player(game), solver, some)
    assert clumsy.tried == won > 20
    assert clumsy.kept < won / 3
    better = converts(Batch(actions_of(rollout_player(game, 500))), solver, some)
    assert clumsy.kept < better.kept <= won
    for one in match(
        game,
        {"perfect": perfect, "rollouts": rollout_player(game, 200)},
        openings(game, 5, 16, solver=solver),
    ):
        assert one.result * (1 if one.first == "perfect" else -1) >= 0


# A Go program in a few lines: it plays the first of its moves that is free, then passes, and has a
# fault after so many answers.
FAKE = """
import sys, time
fault, after = sys.argv[1], int(sys.argv[2])
log = open(sys.argv[3], "a")
log.write("started\\n")
answers, taken, size = 0, [], 0
for line in sys.stdin:
    log.write(line)
    log.flush()
    words = line.split()
    said = "= "
    if words[0] == "genmove":
        free = [f"{c}{r}" for c in "ABCDE" for r in range(1, 6) if f"{c}{r}" not in taken]
        said = "= " + (free[0] if len(taken) < 12 else "PASS")
        taken.append(said[2:])
        answers += 1
        if answers == after:
            if fault == "dies":
                sys.exit("out of luck")
            if fault == "hangs":
                time.sleep(60)
            said = {"nonsense": "= the corner", "babble": "hello", "refuses": "? no idea",
                    "resigns": "= resign", "off": "= J9", "taken": "= " + taken[0]}[fault]
    if words[0] == "play":
        taken.append(words[2])
    if words[0] == "clear_board":
        taken = []
    if words[0] == "boardsize" and fault == "size":
        said = "? unacceptable size"
    print(said + "\\n", flush=True)
"""


@pytest.fixture
def fake(tmp_path: Path) -> Any:
    script, log = tmp_path / "fake.py", tmp_path / "log.txt"
    script.write_text(FAKE.replace("\\\\", "\\"))

    def command(fault: str, after: int = 10**9) -> str:
        return f"{sys.executable} {script} {fault} {after} {log}"

    return command


@pytest.fixture(scope="module")
def go() -> Any:
    return game_of("go", size=5, komi=0.5)


def test_a_program_plays_by_our_rules(fake: Any, go: Any, tmp_path: Path) -> None:
    with Program(fake("none"), go) as program:
        starts = openings(go, 2, 3)
        played = match(go, {"fake": program, "random": random_player(go)}, starts)
        assert program.command.endswith("log.txt")
    assert [one.forfeit for one in played] == [""] * 4
    for one in played:
        referee = referee_of("go", size=5, komi=0.5)
        for move in one.moves:
            referee.play(move)
        assert referee.result() == one.result
    lines = (tmp_path / "log.txt").read_text().splitlines()
    assert lines[:4] == ["started", "boardsize 5", "clear_board", "komi 0.5"]
    assert lines.count("started") == 1
    # A game's moves are sent once, as they come, and once more where passes ended it.
    passed = sum(one.moves[-2:] == (25, 25) for one in played)
    assert lines.count("clear_board") == 1 + len(played) + passed
    sent = [line.split()[1:] for line in lines if line.startswith("play")]
    assert sent[:3] == [["BWB"[n], vertex(go, starts[0][n])] for n in range(3)]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("dies", "died at 'genmove B': out of luck"),
        ("hangs", "gave no answer to 'genmove B' within 2 s"),
        ("nonsense", "answered 'the corner' where a move was wanted"),
        ("babble", "answered 'genmove B' with 'hello', which isn't GTP"),
        ("refuses", "refused 'genmove B': no idea"),
        ("resigns", "resigned"),
        ("off", "answered 'J9' where a move was wanted"),
        ("taken", "is illegal after"),
    ],
)
def test_a_fault_costs_one_game(fake: Any, go: Any, fault: str, reason: str) -> None:
    # At its second answer in a life: in the second game too, if it had to be started afresh.
    patience = 2 if fault == "hangs" else 60
    with Program(fake(fault, 2), go, timeout=patience) as program:
        players = {"fake": program, "random": random_player(go)}
        played = match(go, players, [(0, 6, 7)], [("fake", "random")])
    assert len(played) == 2
    assert reason in played[0].forfeit
    assert played[0].forfeit.startswith("fake: ")
    assert played[0].result == -1
    lives_on = fault in ("refuses", "resigns", "taken")
    assert (played[1].forfeit == "") == lives_on


def test_programs_that_can_not_begin(fake: Any, go: Any, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="can't start 'no-such-program --mode gtp': No such file"):
        Program("no-such-program --mode gtp", go)
    with pytest.raises(UserError, match=r"the command .* can't be read: No closing quotation"):
        Program("gnugo 'a b", go)
    with pytest.raises(UserError, match="refused 'boardsize 5': unacceptable size"):
        Program(fake("size"), go)
    with pytest.raises(UserError, match="can't start '': the command is empty"):
        Program("", go)
    with pytest.raises(UserError, match="Go programs can't play hex"):
        Program(fake("none"), game_of("hex", size=5))
    (tmp_path / "silent").write_text("#!/bin/sh\nexec sleep 60\n")
    with pytest.raises(UserError, match="gave no answer to 'boardsize 5' within 0"):
        Program(f"sh {tmp_path / 'silent'}", go, timeout=0.3)


def test_vertices(go: Any) -> None:
    large = game_of("go", size=19)
    assert [vertex(large, action) for action in (0, 8, 18, 360, 361)] == [
        "A19", "J19", "T19", "T1", "pass",
    ]  # fmt: skip
    for game in (go, large):
        for action in range(game.actions):
            assert action_of(game, vertex(game, action)) == action
    for word in ("I3", "F1", "A6", "A0", "", "C", "33", "A1 B2"):
        assert action_of(go, word) is None


@pytest.fixture
def gnugo(go: Any) -> Iterator[Program]:
    if GNUGO is None:
        pytest.skip("gnugo isn't installed")
    with Program(GNU_GO.format(level=1), go) as program:
        yield program


def test_gnu_go(gnugo: Program, go: Any) -> None:
    players = {"gnugo": gnugo, "random": random_player(go)}
    played = match(go, players, [(12, 7)], [("gnugo", "random")])
    assert [one.forfeit for one in played] == ["", ""]
    assert [one.result for one in played] == [1, -1]


def test_dead_stones_are_played_out(gnugo: Program, go: Any) -> None:
    # Black has a wall and lives; one white stone is dead in his half. Both pass too soon.
    black, white, passed = [2, 7, 12, 17, 22, 6, 16], [3, 8, 13, 18, 23, 10, 14], 25
    moves = [move for pair in zip(black, white, strict=True) for move in pair] + [passed, passed]
    owners = np.zeros(25, np.float32)
    ended = after(go, moves)
    go.score(ended, owners)
    assert owners[10] == -1
    assert go.result(ended) == -1
    settled = gnugo.settled(moves)
    assert settled[: len(moves) - 2] == moves[:-2]
    state = after(go, settled)
    ahead = go.score(state, owners)
    assert owners[10] * (1 - 2 * (len(settled) % 2)) == 1
    assert go.result(state) != GOES_ON
    assert ahead * (1 - 2 * (len(settled) % 2)) > 0
    # Played on the ladder, where both pass at once.
    players: dict[str, AnyPlayer] = {"gnugo": Passing(gnugo), "other": lambda state: passed}
    (one, _) = match(go, players, [moves[:-2]], [("gnugo", "other")])
    assert (list(one.moves), one.result, one.forfeit) == (settled, 1, "")


class Passing:
    """A program that passes, and takes what is dead when it is asked to."""

    def __init__(self, program: Program) -> None:
        self.settled = program.settled

    def __call__(self, state: Any) -> int:
        return 25


class Settles(Passing):
    """One that plays on for White, and notes what it was asked."""

    def __init__(self) -> None:
        self.seen = list[list[int]]()

    def settled(self, moves: Sequence[int]) -> list[int]:
        self.seen.append(list(moves))
        return [*moves[:-2], 2, 25, 8, 25, 25]


def test_what_is_dead_at_the_end_is_asked_of_who_knows(go: Any) -> None:
    start, passed = (12, 3, 4), 25
    knows, other = Settles(), Settles()
    played = match(go, {"knows": knows, "other": lambda state: passed}, [start])
    assert knows.seen == [[*start, passed, passed]] * 2
    for one in played:
        assert one.moves == (*start, 2, passed, 8, passed, passed)
        assert one.result == -1  # as it lay, Black was ahead by half a point
    match(go, {"knows": knows, "other": other}, [start])
    assert (len(knows.seen), len(other.seen)) == (3, 1)  # of two, the one that began


def test_a_program_that_can_not_settle_leaves_the_board_as_it_lies(fake: Any, go: Any) -> None:
    moves = [0, 6, 7, 25, 25]
    with Program(fake("resigns", 1), go) as program:
        assert program.settled(moves) == moves
        assert program.settled(moves[:-1]) == moves[:-1]
