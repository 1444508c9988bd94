"""OpenSpiel as a judge of our rules, and its games as ours (docs/judges.md)."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from stillroom.errors import UserError
from stillroom.worlds.selfplay.game import GOES_ON, game_of, new_state
from stillroom.worlds.selfplay.ladder import Forfeit, match, openings
from stillroom.worlds.selfplay.openspiel import Rollouts
from stillroom.worlds.selfplay.rungs import random_player

ROOT = Path(__file__).parents[1]
GAMES = 10_000


def test_openspiel_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyspiel", None)
    with pytest.raises(UserError, match=r"pip install 'stillroom\[judges\]'"):
        game_of("openspiel:breakthrough")


@pytest.fixture
def python() -> str:
    folder = os.environ.get("STILLROOM_JUDGES")
    if not folder:
        pytest.skip("STILLROOM_JUDGES names no folder with the judges' environments")
    program = Path(folder) / "openspiel" / "bin" / "python"
    if not program.exists():
        pytest.skip(f"no OpenSpiel there: {program}")
    return str(program.absolute())


@pytest.fixture
def spiel(python: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenSpiel from the judge's environment, everything else from ours: one Python made both."""
    folder = Path(python).parents[1] / "lib"
    monkeypatch.setattr(sys, "path", [*sys.path, *map(str, folder.glob("*/site-packages"))])
    pytest.importorskip("pyspiel")


@pytest.mark.judge
@pytest.mark.parametrize("number", range(5))
def test_openspiel_agrees(number: int, python: str) -> None:
    """The same legal moves and results in random games of tic-tac-toe, Connect Four, Othello, Hex.

    In Go too, but for the moves that repeat a position, which OpenSpiel allows and calls a draw.
    """
    games = int(os.environ.get("STILLROOM_JUDGED_GAMES", GAMES))
    part = ["--part", "openspiel", json.dumps([number, games, python])]
    command = [sys.executable, str(ROOT / "bench" / "selfplay.py"), *part]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1800)
    assert done.returncode == 0, done.stderr[-3000:]
    counts = json.loads(done.stdout)
    assert counts["games"] == games
    assert counts["positions"] > 5 * games
    assert (counts["legal"], counts["results"]) == (0, 0)
    assert (counts["repeats"] > 0) == (number == 4)


ADAPTED = """
from stillroom.errors import UserError
from stillroom.worlds.selfplay.game import check_game, game_of, new_state
from stillroom.worlds.selfplay.referee import referee_of

for name in ("breakthrough", "mancala", "dots_and_boxes", "oware"):
    check_game(game_of(f"openspiel:{name}"), name, plays=3)

# Who closes a box in dots and boxes moves again, so that the other has to pass.
game = game_of("openspiel:dots_and_boxes", num_rows=1, num_cols=1)
referee = referee_of("openspiel:dots_and_boxes", num_rows=1, num_cols=1)
for move in (0, 1, 2, 3):
    referee.play(move)
assert referee.result() == -1, referee.result()
referee = referee_of("openspiel:dots_and_boxes", num_rows=1, num_cols=2)
for move in (0, 2, 4):
    referee.play(move)
first = referee.mover
referee.play(5)
assert referee.mover == -first and referee.legal() == [7], referee.legal()
referee.play(7)
assert referee.mover == first and referee.result() is None

for name, words in (("kuhn_poker", "needs no chance, nothing hidden"), ("hexx", "'hex'")):
    try:
        game_of(f"openspiel:{name}")
    except UserError as wrong:
        assert words in str(wrong), wrong
    else:
        raise AssertionError(name)
print("well")
"""


@pytest.mark.judge
def test_openspiel_games_are_games(python: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        [python, "-c", ADAPTED], env=environment, capture_output=True, text=True, timeout=300
    )
    assert (done.returncode, done.stdout) == (0, "well\n"), done.stderr[-3000:]


@pytest.mark.judge
@pytest.mark.parametrize(
    ("name", "options", "plies"),
    [
        ("tictactoe", {}, 1),
        ("connect4", {}, 3),
        ("othello", {}, 4),
        ("hex", {"size": 4}, 1),
        ("go", {"size": 4, "komi": 0.5}, 2),
    ],
)
def test_openspiel_plays_our_games(name: str, options: dict, plies: int, spiel: None) -> None:
    """Its search knows whose turn it is, and which move is which: random play has no chance."""
    game = game_of(name, **options)
    players = {"openspiel": Rollouts(game, 200), "random": random_player(game)}
    starts = openings(game, 5, plies)
    played = match(game, players, starts)
    assert [one.forfeit for one in played] == [""] * 10
    won = sum((1 + (g.result if g.first == "openspiel" else -g.result)) / 2 for g in played)
    assert won >= 8
    assert match(game, players, starts[1:2]) == [
        one._replace(opening=0) for one in played if one.opening == 1
    ]


@pytest.mark.judge
def test_openspiel_wins_at_once_and_sees_threats(spiel: None) -> None:
    game = game_of("connect4")
    player = Rollouts(game, 100)
    for moves, best in (((0, 1, 0, 1, 0, 1), 0), ((6, 1, 0, 1, 0, 1), 1)):
        state = new_state(game)
        for move in moves:
            game.play(state, move)
        player.follow(moves)
        assert player(state) == best
    player.follow((0, 1, 0, 1, 0, 1, 0))
    with pytest.raises(Forfeit, match="over after 7 moves"):
        player(state)
    player.follow((0, 0, 0, 0, 0, 0, 0))
    with pytest.raises(Forfeit, match="knows no move 0 after 6 moves"):
        player(state)


@pytest.mark.judge
def test_openspiel_keeps_to_superko(spiel: None) -> None:
    """Whatever OpenSpiel likes best, an older position doesn't come back: of some 20 such cases."""
    game = game_of("go", size=2, komi=0.5)
    mask = np.zeros(game.actions, np.uint8)
    for seed in range(20):
        player, state, moves = Rollouts(game, 60, seed), new_state(game), list[int]()
        while game.result(state) == GOES_ON:
            player.follow(moves)
            moves.append(player(state))
            game.legal(state, mask)
            assert mask[moves[-1]]
            game.play(state, moves[-1])


@pytest.mark.judge
def test_what_openspiel_does_not_play(spiel: None) -> None:
    for name, options, words in (
        ("othello", {"size": 6}, "doesn't play othello 6x6"),
        ("connect4", {"width": 8}, "doesn't play connect4 6x8"),
    ):
        with pytest.raises(UserError, match=words):
            Rollouts(game_of(name, **options), 100)
    with pytest.raises(UserError, match="1 simulations"):
        Rollouts(game_of("connect4"), 1)


@pytest.mark.judge
@pytest.mark.parametrize(
    ("rival", "arguments", "positions"),
    [("mctx", [32, 1], 32), ("openspiel", ["shipped", 2], 2), ("openspiel", ["compiled", 2], 2)],
)
def test_rivals_ask_the_same_net(rival: str, arguments: list, positions: int, python: str) -> None:
    """In positions that they reach by rules of their own, to all but the last bits."""
    other = Path(python).parents[2] / rival / "bin" / "python"
    if not other.exists():
        pytest.skip(f"no {rival} there: {other}")
    words = [sys.executable, str(ROOT / "bench" / "selfplay.py"), "--part", f"against_{rival}"]
    words.append(json.dumps([*arguments, 2, 1, str(other)]))
    done = subprocess.run(words, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout)
    assert 0 < told["difference"] < 1e-4
    assert told["n"] == positions
