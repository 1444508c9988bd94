"""The games: perft, the referee's rules against the players', symmetries, own games, bad input."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from game_play import after, agree, board, ending, legal, planes, random_game

pytest.importorskip("numba")

from stillroom.errors import UserError
from stillroom.worlds.selfplay.game import (
    GOES_ON,
    Game,
    game_of,
    new_state,
    placed,
)
from stillroom.worlds.selfplay.referee import independent, referee_of

FIVE = {"size": 5, "komi": 0.5}
OWN = str(Path(__file__).parents[1] / "examples" / "own_game.py")


def perft(game: Game, state: Any, depth: int) -> int:
    if depth == 0:
        return 1
    if game.result(state) != GOES_ON:
        return 0
    total = 0
    for move in legal(game, state):
        child = state.copy()
        game.play(child, move)
        total += perft(game, child, depth - 1)
    return total


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("connect4", [7, 49, 343, 2401, 16807, 117649]),
        ("othello", [4, 12, 56, 244, 1396, 8200]),
        ("tictactoe", [9, 72, 504, 3024, 15120, 54720]),
    ],
)
def test_perft(name: str, counts: list[int]) -> None:
    game = game_of(name)
    assert [perft(game, new_state(game), depth) for depth in range(1, 7)] == counts


def test_all_games_of_tic_tac_toe() -> None:
    game = game_of("tictactoe")
    ends = {1: 0, 0: 0, -1: 0}

    def walk(state: Any) -> None:
        result = ending(game, state)[0]
        if result is not None:
            ends[result] += 1
            return
        for move in legal(game, state):
            child = state.copy()
            game.play(child, move)
            walk(child)

    walk(after(game, [4]))  # by symmetry classes: centre, corner, edge
    centre = dict(ends)
    walk(after(game, [0]))
    corner = {key: ends[key] - centre[key] for key in ends}
    walk(after(game, [1]))
    edge = {key: ends[key] - centre[key] - corner[key] for key in ends}
    total = {key: centre[key] + 4 * corner[key] + 4 * edge[key] for key in ends}
    assert total == {1: 131184, 0: 46080, -1: 77904}


def test_the_referee_agrees_on_games_of_lines() -> None:
    assert len(agree("tictactoe", 200)) == 3
    ends = agree("connect4", 200)
    assert min(ends["1"], ends["-1"]) > 50
    ends = agree("connect4", 200, height=5, width=4)
    assert ends["0"] > 20
    agree("connect4", 50, height=8, width=8)


def test_the_referee_agrees_on_othello() -> None:
    for size, games in ((4, 200), (6, 40), (8, 20)):
        ends = agree("othello", games, size=size)
        assert {"1", "-1"} <= set(ends)
    assert "0" in agree("othello", 100, seed=1, size=4)


def test_othello_passes_only_without_a_move() -> None:
    game, rng, passes = game_of("othello", size=4), np.random.default_rng(0), 0
    for _ in range(50):
        for state, move in random_game(game, rng):
            if move == 16:
                assert legal(game, state) == [16]
                passes += 1
    assert passes > 20


def test_the_referee_agrees_on_hex() -> None:
    for size, games in ((4, 200), (11, 20)):
        assert set(agree("hex", games, size=size)) == {"1", "-1"}


def test_hex_edges() -> None:
    game = game_of("hex", size=4)
    down, across = [0, 4, 8, 12], [0, 1, 2, 3]
    first = [move for pair in zip(down, [1, 5, 9], strict=False) for move in pair]
    assert ending(game, after(game, [*first, 12]))[0] == 1
    second = [move for pair in zip([4, 5, 9, 14], across, strict=True) for move in pair]
    assert ending(game, after(game, second))[0] == -1
    # (0, 0) and (1, 1) don't touch; (0, 1) and (1, 0) do.
    steps = [move for pair in zip([0, 5, 10, 15], [4, 8, 9], strict=False) for move in pair]
    assert ending(game, after(game, [*steps, 15]))[0] is None
    steps = [move for pair in zip([3, 6, 9, 12], [0, 1, 2], strict=False) for move in pair]
    assert ending(game, after(game, [*steps, 12]))[0] == 1


@pytest.mark.parametrize(
    ("name", "options", "count"),
    [
        ("tictactoe", {}, 8),
        ("connect4", {}, 2),
        ("othello", {"size": 4}, 8),
        ("hex", {"size": 4}, 2),
        ("go", FIVE, 8),
    ],
)
def test_symmetries_commute(name: str, options: dict[str, Any], count: int) -> None:
    game, rng = game_of(name, **options), np.random.default_rng(0)
    assert len({*map(tuple, game.cells.tolist())}) == len(game.symmetries) == count
    for number in range(4 * count):
        actions, cells = game.symmetries[number % count], game.cells[number % count]
        begin = new_state(game)
        if name == "othello":  # half of the symmetries swap the colours of the first discs
            begin = turned_discs(begin, cells)
        turned = begin
        for state, move in random_game(game, rng):
            assert sorted(actions[legal(game, state)]) == legal(game, turned)
            assert game.result(state) == game.result(turned)
            shown = np.empty_like(planes(game, state))
            shown[:, cells] = planes(game, state)
            assert (shown == planes(game, turned)).all()
            owners, other = np.zeros((2, game.height * game.width), np.float32)
            assert game.score(state, owners) == game.score(turned, other)
            assert (owners == other[cells]).all()
            if move >= 0:
                game.play(turned, int(actions[move]))


def turned_discs(state: Any, cells: Any) -> Any:
    turned = state.copy()
    for player in (0, 1):
        held = [cells[cell] for cell in range(len(cells)) if int(state[player]) >> cell & 1]
        turned[player] = sum(1 << int(cell) for cell in held)
    return turned


def test_keys_tell_what_matters() -> None:
    connect4 = game_of("connect4")
    keys = [connect4.key(after(connect4, moves)) for moves in ([0, 1, 2], [2, 1, 0], [0, 2, 1])]
    assert keys[0] == keys[1] != keys[2]
    go = game_of("go", **FIVE)
    lines = ([], [25], [25, 25], [12, 25, 25], [25, 12], [12], [12, 25], [13, 25])
    assert len({go.key(after(go, moves)) for moves in lines}) == len(lines)
    distinct = set()
    for name in ("tictactoe", "connect4"):
        game, boards = game_of(name), {}
        for seed in range(60):
            for state, _ in random_game(game, np.random.default_rng(seed)):
                boards[tuple(board(game, state))] = game.key(state)
        distinct.add(len(set(boards.values())) == len(boards) > 300)
    assert distinct == {True}


def test_where_stones_fall() -> None:
    game = game_of("connect4", height=5, width=4)
    state = after(game, [2, 2, 2])
    cell = placed(game, state, 2)
    game.play(state, 2)
    assert cell == 4 * 1 + 2
    assert board(game, state)[cell] == -1
    go = game_of("go", **FIVE)
    assert [placed(go, new_state(go), action) for action in (7, 25)] == [7, -1]


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("conect4", {}, "did you mean 'connect4'"),
        ("chess", {}, "there is connect4, go, hex"),
        ("go", {"size": 20}, "size can be 2 to 19"),
        ("go", {"size": 9.0}, "size can be 2 to 19"),
        ("go", {"size": True}, "size can be 2 to 19"),
        ("go", {"komi": "7.5"}, "komi is a number"),
        ("go", {"komi": float("nan")}, "komi is a number"),
        ("go", {"komi": 82}, "-81 to 81"),
        ("othello", {"size": 5}, "size can be 4, 6, 8"),
        ("hex", {"size": 1}, "size can be 2 to 19"),
        ("connect4", {"height": 9}, "height can be 4 to 8"),
        ("connect4", {"size": 7}, "it takes height, width"),
        ("tictactoe", {"size": 3}, "it takes no options"),
        ("go", {"size": [9]}, "size can be 2 to 19"),
        ("nowhere.py", {}, "there is no file"),
    ],
)
def test_games_that_there_are_not(name: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError) as wrong:
        game_of(name, **options)
    assert words in str(wrong.value)


def test_rules_name_what_they_are() -> None:
    assert game_of("go", size=5, komi=7).rules == (
        "go 5x5, area scoring, komi 7, positional superko, no suicide, "
        "ends after 2 passes or 50 moves"
    )
    assert game_of("go", size=5, komi=7) is game_of("go", komi=7, size=5)


def test_an_own_game() -> None:
    winners = []
    for size in (3, 4):
        game, known = game_of(OWN, size=size), dict[bytes, int]()
        winners.append(solve(game, new_state(game), known))
        winners.append(-solve(game, after(game, [0]), known))
    assert winners == [1, -1, 1, -1]
    assert not independent(OWN)
    assert independent("go")
    referee = referee_of(OWN, size=3)
    referee.play(4)
    assert referee.board == [0, 0, 0, 0, 1, 0, 0, 1, 0]
    referee.play(0)
    assert referee.legal() == [2, 3, 5]
    with pytest.raises(ValueError, match="illegal"):
        referee.play(4)
    referee.play(3)
    assert referee.result() == 1


def solve(game: Game, state: Any, known: dict[bytes, int]) -> int:
    """1 if who is to move wins, -1 if not."""
    position = state.tobytes()
    if position not in known:
        known[position] = game.result(state)
        if known[position] == GOES_ON:
            known[position] = -1
            for move in legal(game, state):
                child = state.copy()
                game.play(child, move)
                if solve(game, child, known) == -1:
                    known[position] = 1
                    break
    return known[position]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("def game(", "def other(", "no function game()"),
        ("import numpy", "import nunpy", "No module named 'nunpy'"),
        ("def game(size=5):", "def game(size=5:", "syntax error"),
        ("longest=cells // 2", "longest=3", "longest is 3"),
        ("state[2] += one", "pass", "moves() is 0 after 1 moves"),
        ("return mask.sum()", "return 1 + mask.sum()", "in its mask"),
        ("else LOST", "else 7", "result() is 7"),
        ("symmetries=same[None]", "symmetries=same[None, ::-1]", "must change nothing"),
        ("cell_of=same", "cell_of=same[:2]", "cell_of is int32 [2], not int32 [25]"),
        ("return Game(", "return dict(", "no Game"),
    ],
)
def test_an_own_game_that_is_wrong(old: str, new: str, words: str, tmp_path: Path) -> None:
    text = Path(OWN).read_text()
    assert old in text
    file = tmp_path / "mine.py"
    file.write_text(text.replace(old, new, 1))
    with pytest.raises(UserError) as wrong:
        game_of(str(file))
    assert words in str(wrong.value)
    assert str(file) in str(wrong.value)


def test_an_own_referee(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    other = "from stillroom.worlds.selfplay.referee.hex import Hex\n"
    file.write_text(
        other + Path(OWN).read_text() + "\n\ndef referee(size=5):\n    return Hex(size)\n"
    )
    assert independent(str(file))
    assert type(referee_of(str(file), size=3)).__name__ == "Hex"
