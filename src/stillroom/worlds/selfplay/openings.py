"""The openings that a run's nets chose, as nested bars: HTML and CSS alone, nothing in it runs.

A bar's height is the number of games, its colours are how they ended; what was played next stands
to its right. Games that begin with random moves are left out: nobody chose those. Openings that are
the same up to a symmetry of the empty board are one, told by the moves whose numbers are least.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from html import escape
from pathlib import Path
from typing import NamedTuple

import numpy as np

from stillroom.record import Record
from stillroom.worlds.selfplay.drawing import extent, ground, middle
from stillroom.worlds.selfplay.game import Game, new_state
from stillroom.worlds.selfplay.learning import games_of
from stillroom.worlds.selfplay.referee import Referee
from stillroom.worlds.selfplay.rules import describe
from stillroom.worlds.selfplay.showing import move_name

PLIES = 4
TALL = 30.0  # rem, of all games together
LEAST = 1.2  # of a bar with a name; moves with fewer games stand together
ROOM = 5.4  # of a bar with a board
SURE = 10  # games from which on their result is told in percent


class Line(NamedTuple):
    """How a game began, and its result for who began."""

    moves: tuple[int, ...]
    result: int


def openings(
    game: Game, referee: Callable[[], Referee], generations: Sequence[Iterable[Record]]
) -> str:
    """The trees of the first, the last and all generations as HTML; one tree of one generation."""
    sets = [_lines(game, records) for records in generations]
    last = len(sets) - 1
    shown = {f"generation {last}": sets[-1]}
    if last:
        everything = ([line for lines, _ in sets for line in lines], sum(n for _, n in sets))
        shown = {"generation 0": sets[0], **shown, f"all {last + 1} generations": everything}
    width, height = extent(game)
    parts = [
        f"<style>{_style()}</style>",
        f'<div class="openings {escape(game.name)}"><h3>Openings</h3>',
        f'<svg width="0" height="0" aria-hidden="true"><symbol id="ground" '
        f'viewBox="0 0 {width:.4g} {height:.4g}">{ground(game)}</symbol></svg>',
    ]
    for number, name in enumerate(shown):
        chosen = " checked" if name == f"generation {last}" else ""
        parts.append(f'<label><input type="radio" name="of"{chosen} id="t{number}"> {name}</label>')
    for number, (name, (lines, games)) in enumerate(shown.items()):
        parts.append(
            f'<section class="t{number}">{_tree(game, referee, name, lines, games)}</section>'
        )
    return "".join([*parts, f"{_legend()}</div>"])


@cache
def _style() -> str:
    return (Path(__file__).parent / "openings.css").read_text("utf-8")


def _lines(game: Game, records: Iterable[Record]) -> tuple[list[Line], int]:
    """The first moves of the games that no random move began, and how many games there are."""
    games = games_of(records)
    images = _kept_symmetries(game)
    columns = [games.field(name).to_pylist() for name in ("moves", "opening", "result")]
    lines = [
        Line(min(tuple(row) for row in images[:, moves[:PLIES]].tolist()), result)
        for moves, random, result in zip(*columns, strict=True)
        if not random
    ]
    return lines, len(games)


def _kept_symmetries(game: Game) -> "np.ndarray[tuple[int, int], np.dtype[np.int32]]":
    """What actions become under the symmetries that change nothing of the start position.

    Othello's first stones are such that a quarter turn gives another start, of the other colours.
    """
    planes = describe(game, new_state(game)[None])[0][0].reshape(game.planes, -1)
    kept = []
    for cells, actions in zip(game.cells, game.symmetries, strict=True):
        turned = np.zeros_like(planes)
        turned[:, cells] = planes
        if (turned == planes).all():
            kept.append(actions)
    return np.array(kept)


def _tree(
    game: Game, referee: Callable[[], Referee], name: str, lines: list[Line], games: int
) -> str:
    left = games - len(lines)
    if not lines:
        return f"<p>All {games:,} games of {name} began with random moves, which nobody chose.</p>"
    random = f" The other {left:,} began with random moves, which nobody chose." if left else ""
    several = len({line.moves for line in lines})
    told = (
        f"<p>Of {games:,} games of {name}, {len(lines):,} were chosen from the first move on: "
        f"{several:,} different openings of {PLIES} moves, {_ended(lines)}.{random}</p>"
    )
    each = TALL / len(lines)
    bars = "".join(_branches(game, referee, lines, (), each, _columns(lines, each)))
    return f'{told}<ul class="tree" style="height:{TALL:g}rem">{bars}</ul>'


def _columns(lines: list[Line], each: float) -> int:
    """Plies down to the last one of which a bar has a name; two at least."""
    for plies in range(PLIES, 2, -1):
        if max(Counter(line.moves[:plies] for line in lines).values()) * each >= LEAST:
            return plies
    return 2


def _branches(
    game: Game,
    referee: Callable[[], Referee],
    lines: list[Line],
    before: tuple[int, ...],
    each: float,
    plies: int,
) -> Iterator[str]:
    """The bars of the moves after `before`, `plies` deep; `each` is the height of one game."""
    ply, by_move = len(before), dict[int, list[Line]]()
    for line in lines:
        if len(line.moves) > ply:
            by_move.setdefault(line.moves[ply], []).append(line)
    moves = sorted(by_move, key=lambda move: (-len(by_move[move]), move))
    named = [move for move in moves if len(by_move[move]) * each >= LEAST]
    for move in named:
        some, path = by_move[move], (*before, move)
        board = _board(game, referee(), path) if len(some) * each >= ROOM else ""
        bar = _bar(game, some, path, move_name(game, move), board)
        on = ""
        if len(path) < plies:
            deeper = "".join(_branches(game, referee, some, path, each, plies))
            on = f'<ul style="flex-grow:{plies - len(path)}">{deeper}</ul>'
        yield f'<li style="flex-grow:{len(some)}">{bar}{on}</li>'
    rest = [line for move in moves[len(named) :] for line in by_move[move]]
    if rest:
        count = len(moves) - len(named)
        name = f"{count} others" if count > 1 else move_name(game, moves[-1])
        bar = _bar(game, rest, before, name if len(rest) * each >= LEAST else "", "")
        room = f'<ul style="flex-grow:{plies - ply - 1}"></ul>' if ply + 1 < plies else ""
        yield f'<li class="rest" style="flex-grow:{len(rest)}">{bar}{room}</li>'
    ended = len(lines) - sum(map(len, by_move.values()))
    if ended:
        yield f'<li style="flex-grow:{ended}"></li>'


def _bar(game: Game, lines: list[Line], path: tuple[int, ...], name: str, board: str) -> str:
    won, drawn = _shares(lines)
    moves = " ".join(move_name(game, move) for move in path)
    said = f"{moves}: {len(lines):,} of the games, {_ended(lines)}"
    sure = f"<em>{100 * won:.0f} %</em>" if name and len(lines) >= SURE else ""
    words = f"<b>{escape(name)}</b> {len(lines):,}{sure}" if name else ""
    ends = f"--x:{100 * won:.1f}%;--d:{100 * (won + drawn):.1f}%"
    return (
        f'<div class="bar" style="{ends}" title="{escape(said)}"><span>{words}</span>{board}</div>'
    )


def _shares(lines: list[Line]) -> tuple[float, float]:
    """Won by who began, and drawn."""
    won, drawn = (sum(line.result == end for line in lines) for end in (1, 0))
    return won / len(lines), drawn / len(lines)


def _ended(lines: list[Line]) -> str:
    won, drawn = _shares(lines)
    lost = 1 - won - drawn
    return f"X won {100 * won:.0f} %, O {100 * lost:.0f} %, drawn {100 * drawn:.0f} %"


def _board(game: Game, referee: Referee, path: tuple[int, ...]) -> str:
    """The board after these moves; the last of them has a ring."""
    before = list(referee.board)
    for move in path:
        before = list(referee.board)
        referee.play(move)
    width, height = extent(game)
    stones = []
    for cell, (old, new) in enumerate(zip(before, referee.board, strict=True)):
        if new:
            x, y = middle(game, *divmod(cell, game.width))
            kinds = " ".join(["o"] * (new < 0) + ["new"] * (not old))
            stones.append(f'<circle cx="{x:.4g}" cy="{y:.4g}" r=".4" class="{kinds}"/>')
    return (
        f'<svg class="board" viewBox="0 0 {width:.4g} {height:.4g}" aria-hidden="true">'
        f'<use href="#ground"/>{"".join(stones)}</svg>'
    )


def _legend() -> str:
    return (
        '<p class="hint">Height: number of games. Colours and percent: '
        '<span class="x">won by X, who began</span> <span class="d">drawn</span> '
        '<span class="o">won by O</span>. To the right: '
        "what was played next. Openings that are mirror images or turns of each other are one.</p>"
    )
