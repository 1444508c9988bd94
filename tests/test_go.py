"""Go: captures, ko, superko, suicide, passes and area, by the players' rules and the referee's."""

from pathlib import Path
from typing import Any

import pytest
from game_play import after, agree, board, ending, legal, planes

pytest.importorskip("numba")

from test_selfplay import QUICK, found_in, small

from stillroom import open as open_dataset
from stillroom import run
from stillroom.worlds.selfplay.game import GOES_ON, LOST, game_of
from stillroom.worlds.selfplay.referee import referee_of


@pytest.mark.slow
def test_the_referee_agrees_on_go() -> None:
    ends = agree("go", 300, size=3, komi=0)
    assert ends["0"] > 3  # without half a point there are draws
    assert sum(count for how, count in ends.items() if "cap" in how) > 10
    agree("go", 200, size=5, komi=0.5)
    agree("go", 15, size=9)


def laid(*rows: str) -> list[int]:
    """Moves that lay a board of X (Black) and O, with passes between; then Black is to move."""
    cells = "".join(rows).replace(" ", "")
    black, white = ([at for at, stone in enumerate(cells) if stone == kind] for kind in "XO")
    most = max(len(black), len(white))
    black, white = (stones + [len(cells)] * (most - len(stones)) for stones in (black, white))
    return [move for pair in zip(black, white, strict=True) for move in pair]


FIVE = {"size": 5, "komi": 0.5}
EMPTY = ". . . . ."


def referee_after(moves: list[int], **options: Any) -> Any:
    referee = referee_of("go", **options)
    for move in moves:
        referee.play(move)
    return referee


def test_ko() -> None:
    game = game_of("go", **FIVE)
    moves = laid(". X O . .", "X . X O .", ". X O . .", EMPTY, ". . . . X")
    state = after(game, [*moves, 20, 6])
    assert board(game, state)[7] == 0
    assert 7 not in legal(game, state)
    forbidden = planes(game, state)[2]
    assert forbidden.nonzero()[0].tolist() == [7]
    state = after(game, [*moves, 20, 6, 21, 23])  # a threat and its answer
    assert 7 in legal(game, state)
    game.play(state, 7)
    assert board(game, state)[6] == 0
    assert 6 not in legal(game, state)


def test_superko_is_positional() -> None:
    game = game_of("go", size=3, komi=0)
    # Two stones are sent and one returned: the one that takes them back repeats the board.
    moves = [5, 8, 0, 3, 4, 1, 9, 2]
    assert 0 not in legal(game, after(game, moves))
    assert 0 not in referee_after(moves, size=3, komi=0).legal()
    # Here the board would come back with the other player to move: that counts too.
    moves = [3, 5, 1, 4, 2, 0]
    state = after(game, moves)
    assert 1 not in legal(game, state)
    assert 1 not in referee_after(moves, size=3, komi=0).legal()
    # The same stones with another past.
    other = after(game, [3, 5, 9, 4, 9, 0])
    assert board(game, other) == board(game, state)
    assert game.moves(other) == game.moves(state)
    assert 1 in legal(game, other)
    assert game.key(other) != game.key(state)


def test_suicide_is_refused_and_a_capture_is_none() -> None:
    game = game_of("go", **FIVE)
    moves = laid(". O X . .", "X X . X .", ". . X . X", ". . . X .", EMPTY)
    state = after(game, [*moves, 24])
    assert {0, 13} & set(legal(game, state)) == set()  # of two stones, of one
    with pytest.raises(ValueError, match="action 13 is illegal"):
        referee_after([*moves, 24, 13], **FIVE)
    assert {0, 13} <= set(legal(game, after(game, moves)))
    moves = laid(". X O . .", "X X O . .", "O O O . .", EMPTY, EMPTY)
    state = after(game, [*moves, 24, 0])  # White takes three stones by their last liberty
    assert [board(game, state)[cell] for cell in (0, 1, 5, 6)] == [-1, 0, 0, 0]
    assert ending(game, state)[1] == 1 - 9 - 0.5


def test_snapback() -> None:
    game = game_of("go", **FIVE)
    moves = laid(". . X . .", "O O X . .", "X X X . .", EMPTY, EMPTY)
    state = after(game, [*moves, 0, 1])
    assert board(game, state)[0] == 0
    assert 0 in legal(game, state)
    game.play(state, 0)
    assert [board(game, state)[cell] for cell in (0, 1, 5, 6)] == [1, 0, 0, 0]


def test_shared_liberties_are_nobodys() -> None:
    game = game_of("go", **FIVE)
    rows = (". X . O O", "X X . O O", "X X . O .", "X X . O O", "X X . O O")
    moves = [*laid(*rows), 25, 25]
    result, ahead, owners = ending(game, after(game, moves))
    assert (result, ahead) == (-1, -0.5)
    assert owners == [1, 1, 0, -1, -1] * 5
    assert referee_after(moves, **FIVE).score() == (ahead, owners)


def test_two_passes_end_and_only_in_a_row() -> None:
    game = game_of("go", **FIVE)
    assert ending(game, after(game, [25, 25]))[:2] == (-1, -0.5)
    assert game.result(after(game, [25, 12, 25])) == GOES_ON
    state = after(game, [12, 25, 25])
    assert ending(game, state) == (1, 24.5, [1] * 25)
    assert game.result(state) == LOST  # White is to move
    with pytest.raises(ValueError, match="after the end"):
        referee_after([12, 25, 25, 3], **FIVE)


def test_kos_are_counted_as_a_plain_replay_finds_them(tmp_path: Path) -> None:
    world = small(game="go", size=4, komi=0.5, opening_share=0.0)
    result = run(world, out=tmp_path / "run", count=32, workers=0, settings=QUICK)
    games = [record.data["moves"] for record in open_dataset(result.folder)]
    expected = sum(_has_ko(moves, 4) for moves in games)
    assert 0 < expected < len(games)
    assert found_in(result, "games with a ko")["value"] == pytest.approx(
        100 * expected / len(games)
    )


def _has_ko(moves: list[int], size: int) -> bool:
    """Whether taking back the stone just taken would bring back the board before."""
    board, color = dict[int, int](), 1
    for move in moves:
        if move < size * size:
            after = _placed(board, move, color, size)
            gone = [cell for cell in board if cell not in after]
            if len(gone) == 1 and _placed(after, gone[0], -color, size) == board:
                return True
            board = after
        color = -color
    return False


def _placed(board: dict[int, int], cell: int, color: int, size: int) -> dict[int, int]:
    """The board after a stone is put down and what has no liberty is taken off."""
    board = board | {cell: color}

    def near(at: int) -> list[int]:
        y, x = divmod(at, size)
        beside = ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1))
        return [b * size + a for b, a in beside if 0 <= a < size and 0 <= b < size]

    for start in near(cell):
        if board.get(start) == -color:
            chain, todo = set(), [start]
            while todo:
                at = todo.pop()
                if at not in chain:
                    chain.add(at)
                    todo += [n for n in near(at) if board.get(n) == -color]
            if all(n in board for at in chain for n in near(at)):
                board = {at: who for at, who in board.items() if at not in chain}
    return board
