"""A game as a board that can be stepped through: HTML and CSS alone, nothing in it runs.

Each position is a radio button that lies over the value curve, so that the arrow keys go from move
to move and a click goes to one. Stones stand in the document in the order of the moves: those after
the chosen button are hidden. So is a captured stone, from the button of its capture on. The last
position is chosen at first.
"""

from collections.abc import Iterator
from functools import cache
from html import escape
from pathlib import Path
from string import ascii_lowercase
from typing import Any, NamedTuple

from stillroom.world import Data
from stillroom.worlds.selfplay.drawing import extent, ground, middle, placing
from stillroom.worlds.selfplay.game import Game
from stillroom.worlds.selfplay.referee import Referee
from stillroom.worlds.selfplay.showing import move_name, reasons

LEAST = 0.02  # share of the policy that is drawn
MOST = 12  # moves of it

Board = list[int]


class Stone(NamedTuple):
    """A stone on a cell from one position on, up to another if it was captured."""

    cell: int
    player: int
    born: int
    gone: int | None


def player(game: Game, referee: Referee, data: Data) -> str:
    """The game as HTML; it ends with the first illegal move, should there be one."""
    boards, wrong = _boards(referee, data["moves"])
    last = len(boards) - 1
    stones = _stones(boards)
    width, height = extent(game)
    parts = [
        f"<style>{_style()}{''.join(_captures(stones))}</style>",
        f'<div class="play {escape(game.name)}" '
        f'style="--w:{width:.4g};--h:{height:.4g};--n:{last + 1}">',
        f'<div class="table"><svg class="ground" viewBox="0 0 {width:.4g} {height:.4g}" '
        f'aria-hidden="true">{ground(game)}</svg></div>',
        *_labels(game),
    ]
    for ply, board in enumerate(boards):
        parts += [_stone(game, one) for one in stones if one.born == ply]
        told = wrong if wrong and ply == last else ""
        parts.append(_position(game, data, ply, boards, board, told))
    parts += ['<div class="room"></div>', _curve(data, last)]
    parts.append(
        '<p class="hint"><span class="x">X</span> began against <span class="o">O</span>. '
        "Click on the curve, then the arrow keys step through the game.</p></div>"
    )
    return "".join(parts)


@cache
def _style() -> str:
    return (Path(__file__).parent / "player.css").read_text("utf-8")


def _boards(referee: Referee, moves: list[int]) -> tuple[list[Board], str]:
    boards, wrong = [list(referee.board)], ""
    for move in moves:
        try:
            referee.play(move)
        except ValueError as error:
            wrong = str(error)
            break
        boards.append(list(referee.board))
    return boards, wrong


def _stones(boards: list[Board]) -> list[Stone]:
    """Every stone that was ever put down or turned, in order."""
    found: list[Stone] = []
    lying: dict[int, list[int]] = {}  # per cell: which of those found lie on it, one over another
    before = [0] * len(boards[0])
    for ply, board in enumerate(boards):
        for cell, (old, new) in enumerate(zip(before, board, strict=True)):
            if old != new and new:
                lying.setdefault(cell, []).append(len(found))
                found.append(Stone(cell, new, ply, None))
            elif old != new:
                for n in lying.pop(cell):
                    found[n] = found[n]._replace(gone=ply)
        before = board
    return found


def _captures(stones: list[Stone]) -> Iterator[str]:
    for ply in sorted({one.gone for one in stones if one.gone is not None}):
        chosen = f"~ #m{ply}:checked, ~ #m{ply} ~ input:checked"
        yield f".play i.k{ply}:has({chosen}) {{ visibility: hidden }}\n"


def _stone(game: Game, one: Stone) -> str:
    kinds = ["o"] * (one.player < 0) + [f"k{one.gone}"] * (one.gone is not None)
    named = f' class="{" ".join(kinds)}"' if kinds else ""
    return f'<i{named} style="{placing(game, one.cell)}"></i>'


def _labels(game: Game) -> Iterator[str]:
    for column in range(game.width):
        x, y = middle(game, game.height - 1, column)
        down = 0.85 if game.name == "hex" else 0.75
        yield f'<b style="--x:{x:.4g};--y:{y + down:.4g}">{ascii_lowercase[column]}</b>'
    for row in range(0 if game.drop else game.height):
        x, y = middle(game, row, 0)
        yield f'<b style="--x:{x - 0.75:.4g};--y:{y:.4g}">{game.height - row}</b>'


# What is said and drawn of one position.


def _position(
    game: Game, data: Data, ply: int, boards: list[Board], board: Board, wrong: str
) -> str:
    moves, last = data["moves"], len(boards) - 1
    played = f"after move {ply}, {move_name(game, moves[ply - 1])}" if ply else "the start"
    chosen = " checked" if ply == last else ""
    marks = _last_mark(game, boards[ply - 1], board) if ply else ""
    number = ply - data["opening"]
    there = 0 <= number < len(data["positions"]) and ply < last
    says = _ending(data, wrong) if ply == last else ""
    if there:
        marks += _heat(game, data["positions"][number], board)
        says = _search(game, data["positions"][number], ply)
    elif ply < last:
        says = f"<em>{_mover(ply)} moves at random: {move_name(game, moves[ply])}</em>"
    return (
        f'<input type="radio" name="ply" id="m{ply}" style="--k:{ply}"{chosen} '
        f'aria-label="{played}" title="{played}">'
        f'<div class="at">{marks}<p><strong>{played.capitalize()}</strong> '
        f"<em>of {last}</em><br>{says}</p></div>"
    )


def _mover(ply: int) -> str:
    return "XO"[ply % 2]


def _search(game: Game, at: Data, ply: int) -> str:
    try:
        said = reasons(game, at)
        name = move_name(game, at["move"])
    except (IndexError, TypeError, ValueError):
        return "<em>what the search said of this position can't be read</em>"
    kind = "" if at["full"] else "; a fast search"
    return f"{_mover(ply)} plays {escape(name)} <em>{escape(said)}{kind}</em>"


def _ending(data: Data, wrong: str) -> str:
    if wrong:
        return f"<em>the next move can't be made: {escape(wrong)}</em>"
    winner = {1: "X wins", 0: "A draw", -1: "O wins"}.get(data["result"], "No result")
    score = data["score"]
    by = "" if score is None else f" by {abs(score):g}"
    return f"{winner}{by} <em>({escape(str(data['ended']))})</em>"


def _last_mark(game: Game, before: Board, board: Board) -> str:
    """A ring on the stone that was put down; none after a pass."""
    put = [n for n, (old, new) in enumerate(zip(before, board, strict=True)) if new and not old]
    return f'<s style="{placing(game, put[0])}"></s>' if put else ""


def _heat(game: Game, at: Data, board: Board) -> str:
    """The policy on the cells that its moves would take."""
    shares = sorted(((p, a) for a, p in enumerate(at["policy"][: game.actions])), reverse=True)
    found = []
    for share, action in shares[:MOST]:
        cell = _landing(game, action, board)
        if share < LEAST or cell is None:
            continue
        strong = ' class="strong"' if share > 0.55 else ""
        found.append(
            f'<u{strong} style="{placing(game, cell)};--p:{share:.2f}">{round(100 * share)}</u>'
        )
    return "".join(found)


def _landing(game: Game, action: int, board: Board) -> int | None:
    """The free cell that a move would take; None for a pass, and where there is none."""
    if game.drop:
        free = [cell for cell in range(action, len(board), game.width) if not board[cell]]
        return free[-1] if free else None
    cell = int(game.cell_of[action])
    return cell if cell >= 0 and not board[cell] else None


def _curve(data: Data, last: int) -> str:
    """What X may expect, position by position, and what came of it."""
    seen: list[tuple[int, Any]] = [
        (at["ply"], at["value"] if at["ply"] % 2 == 0 else -at["value"])
        for at in data["positions"]
        if 0 <= at["ply"] < last
    ]
    ends = [*seen, (last, data["result"])]
    line = " ".join(f"{ply + 0.5},{-max(-1.0, min(1.0, value)):.3f}" for ply, value in ends)
    first = ends[0][0]
    area = f"{first + 0.5},0 {line} {last + 0.5},0"
    random = f'<rect y="-1.15" width="{first}" height="2.3" fill="var(--line)" opacity=".25"/>'
    thin = 'fill="none" vector-effect="non-scaling-stroke"'
    return (
        f'<div class="curve"><svg viewBox="0 -1.15 {last + 1} 2.3" preserveAspectRatio="none" '
        f'role="img" aria-label="What X may expect from move to move">{random if first else ""}'
        f'<path d="M0 0H{last + 1}" stroke="var(--line)" {thin}/>'
        f'<polygon points="{area}" fill="var(--hot)" opacity=".18"/>'
        f'<polyline points="{line}" stroke="var(--hot)" stroke-width="2" {thin}/></svg>'
        "<span>X wins</span><span>O wins</span></div>"
    )
