"""A run's last net against others, from the run's folder alone."""

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from test_ladder import GNUGO

pytest.importorskip("numba")

from stillroom import run
from stillroom.errors import UserError
from stillroom.worlds.selfplay import SelfPlay
from stillroom.worlds.selfplay.contest import NET, contest, last_net, main
from stillroom.worlds.selfplay.game import game_of
from stillroom.worlds.selfplay.net import net_hash
from stillroom.worlds.selfplay.positions import shipped_openings

SMALL = {"generations": 2, "batch": 32, "blocks": 1, "channels": 8, "simulations": 8}


def finished(folder: Path, name: str, **fields: object) -> Path:
    world = SelfPlay(**SMALL | fields, device="cpu")  # type: ignore[arg-type]
    return run(world, out=folder / name, count=world.batch, workers=0,
               settings=("audit.run=false", "power.sample=0")).folder  # fmt: skip


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("runs")
    return {
        "tictactoe": finished(folder, "tictactoe", game="tictactoe"),
        "connect4": finished(folder, "connect4", simulations=4),
        "go": finished(folder, "go", game="go", size=7, batch=4, simulations=4),
    }


def test_a_search_draws_against_perfect_play_of_tictactoe(folders: dict[str, Path]) -> None:
    out = folders["tictactoe"]
    found = contest(out, "rollouts 2000", pairs=8, simulations=400)
    assert len(found.games) == 16
    assert found.points == pytest.approx(8, abs=1)
    swapped = [(one.opening, one.first) for one in found.games]
    assert len(set(swapped)) == 16


def test_the_net_is_the_last_that_was_learnt(folders: dict[str, Path]) -> None:
    game, net = last_net(folders["tictactoe"])
    state = folders["tictactoe"] / "make" / "g001" / "state" / "state" / "course.json"
    assert net_hash(net) in state.read_text()
    assert game.name == "tictactoe"


def test_two_runs_meet(folders: dict[str, Path]) -> None:
    found = contest(folders["go"], str(folders["go"]), pairs=3, simulations=0)
    assert found.points == 3  # one and the same player: what it wins as Black it loses as White


def test_the_command_line_tells_the_score(folders: dict[str, Path]) -> None:
    words = [str(folders["tictactoe"]), "--against", "random", "--pairs", "6"]
    said = CliRunner().invoke(main, words)
    assert said.exit_code == 0
    assert "% of the points; Elo +" in said.output


@pytest.mark.skipif(not GNUGO, reason="gnugo isn't installed")
def test_gnu_go_wins_against_a_net_that_knows_nothing(folders: dict[str, Path]) -> None:
    found = contest(folders["go"], "gnugo 1", pairs=2, simulations=0)
    assert found.points == 0
    assert not any(one.forfeit for one in found.games)
    assert {one.first for one in found.games} == {NET, "other"}


@pytest.mark.parametrize(
    ("whom", "words"),
    [
        ("nobody", "nobody is called 'nobody'"),
        ("rollouts", "lacks its number"),
        ("rollouts 0", "lacks its number"),
        ("rollouts 99999999999999999999", "rollouts 1000000 at most"),
        ("random 7", "random takes nothing more"),
        ("perfect 3", "perfect takes nothing more"),
        ("openspiel", "lacks its number"),
        ("gnugo 1", "Go programs can't play tictactoe"),
        ("perfect", "connect4"),
    ],
)
def test_who_cannot_play_is_told(folders: dict[str, Path], whom: str, words: str) -> None:
    said = CliRunner().invoke(main, [str(folders["tictactoe"]), "--against", whom])
    assert said.exit_code == 2
    assert words in said.output
    assert "Traceback" not in said.output


def test_numbers_that_are_too_large_are_refused(folders: dict[str, Path]) -> None:
    for option in ("--seed", "--pairs", "--simulations"):
        words = [str(folders["tictactoe"]), "--against", "random", option, "9" * 20]
        said = CliRunner().invoke(main, words)
        assert (said.exit_code, option in said.output) == (2, True)
        assert "Traceback" not in said.output


def test_balanced_openings_are_not_mixed_with_others(folders: dict[str, Path]) -> None:
    with pytest.raises(UserError, match="has 100 balanced openings here, and 101") as wrong:
        contest(folders["connect4"], "random", pairs=101, simulations=0)
    assert wrong.value.do == "--pairs 100 at most"
    found = contest(folders["connect4"], "random", pairs=100, simulations=0)
    assert [one.moves[:12] for one in found.games[::2]] == shipped_openings(game_of("connect4"))


def test_a_command_that_no_shell_would_take_is_told(folders: dict[str, Path]) -> None:
    words = [str(folders["go"]), "--against", "gtp 'gnugo --mode gtp"]
    said = CliRunner().invoke(main, words)
    assert (said.exit_code, "No closing quotation" in said.output) == (2, True)


def test_openspiel_is_asked_for_where_it_is_missing(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyspiel", None)
    said = CliRunner().invoke(main, [str(folders["tictactoe"]), "--against", "openspiel 100"])
    assert said.exit_code == 2
    assert "pip install 'stillroom[judges]'" in said.output


def test_other_games_and_other_folders_are_refused(folders: dict[str, Path]) -> None:
    with pytest.raises(UserError, match="that run plays go 7x7"):
        contest(folders["tictactoe"], str(folders["go"]), pairs=1)
    with pytest.raises(UserError, match="no run of selfplay"):
        contest(folders["go"].parent, "random", pairs=1)


def test_a_program_that_is_missing_is_told(folders: dict[str, Path]) -> None:
    with pytest.raises(UserError, match="no-such-program"):
        contest(folders["go"], "gtp no-such-program --gtp", pairs=1)
