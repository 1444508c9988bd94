"""OpenSpiel as a judge of our rules, and its games as ours (docs/judges.md)."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from stillroom.errors import UserError
from stillroom.worlds.selfplay.game import game_of

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


@pytest.mark.judge
@pytest.mark.parametrize("number", range(5))
def test_openspiel_agrees(number: int, python: str) -> None:
    """The same legal moves and results in random games of tic-tac-toe, Connect Four, Othello, Hex.

    In Go too, but for the moves that repeat a position, which OpenSpiel allows and calls a draw.
    """
    games = int(os.environ.get("STILLROOM_JUDGED_GAMES", GAMES))
    part = ["--part", "openspiel", json.dumps([number, games, python])]
    command = [sys.executable, str(ROOT / "bench" / "games.py"), *part]
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
