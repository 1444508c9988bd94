"""Games as SGF, FF[4] (red-bean.com/sgf): one collection a generation.

Go and Othello name points by two letters, column and row from the upper left; Hex by a letter and
the row's number from the top. Othello's first four discs are set up in the root (AB, AW): a reader
has no other way to know them. SGF knows no Connect Four: its games have the number of no game, and
say by two letters which cell a stone fell to. Black begins in all of them.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from string import ascii_lowercase
from typing import IO

from stillroom.errors import UserError
from stillroom.record import Record
from stillroom.world import Data
from stillroom.worlds.selfplay.game import Game, new_state, stones

NUMBERS = {"go": 1, "othello": 2, "hex": 11, "connect4": 0}


def export_sgf(game: Game, komi: float | None, records: Iterable[Record], folder: Path) -> None:
    """Write FOLDER/generation-000.sgf ...; UserError for a game that SGF can't hold."""
    if game.name not in NUMBERS:
        raise UserError(f"no SGF for {game.name}", do=f"there is one for {', '.join(NUMBERS)}")
    opened: dict[int, IO[str]] = {}
    try:
        for record in records:
            number = record.data["generation"]
            if number not in opened:
                path = folder / f"generation-{number:03d}.sgf"
                opened[number] = path.open("w", encoding="utf-8")
            opened[number].write(sgf(game, record, komi) + "\n")
    finally:
        for file in opened.values():
            file.close()


def sgf(game: Game, record: Record, komi: float | None = None) -> str:
    """A game as one SGF tree; V holds what the net expected for Black before the next move."""
    data = record.data
    values = {
        at["ply"]: at["value"] * (1 if at["ply"] % 2 == 0 else -1) for at in data["positions"]
    }
    square = game.height == game.width
    net = f"net {data['net']}"
    head = {
        "FF": "4",
        "CA": "UTF-8",
        "AP": "Stillroom",
        "GM": str(NUMBERS[game.name]),
        "SZ": str(game.width) if square else f"{game.width}:{game.height}",
        "RU": game.rules,
        "KM": "" if komi is None else f"{komi:g}",
        "PB": net,
        "PW": net,
        "RE": result(data),
        "EV": f"self-play, generation {data['generation']}",
        "RO": str(data["number"]),
        "GN": record.id,
        "C": f"{data['opening']} random moves first" if data["opening"] else "",
        "V": f"{values[0]:.3f}" if 0 in values else "",
    }
    root = "".join(f"{name}[{_text(value)}]" for name, value in head.items() if value)
    root += set_up(game)
    nodes = [root]
    for ply, point in enumerate(points(game, data["moves"]), 1):
        value = f"V[{values[ply]:.3f}]" if ply in values else ""
        nodes.append(f"{'WB'[ply % 2]}[{point}]{value}")
    return "(;" + "\n;".join(nodes) + ")"


def result(data: Data) -> str:
    """RE: B+3.5, W+R (resigned), Draw; B+ where no territory says by how much."""
    if data["result"] == 0:
        return "Draw"
    winner = "B" if data["result"] == 1 else "W"
    if data["ended"] == "resigned":
        return f"{winner}+R"
    return f"{winner}+" if data["score"] is None else f"{winner}+{abs(data['score']):g}"


def set_up(game: Game) -> str:
    """AB and AW: the stones that lie on the board before the first move."""
    found = ""
    for name, cells in zip(("AB", "AW"), stones(game, new_state(game)), strict=True):
        named = "".join(
            f"[{_point(game, *divmod(int(c), game.width))}]" for c in cells.nonzero()[0]
        )
        found += name + named if named else ""
    return found


def points(game: Game, moves: Iterable[int]) -> Iterator[str]:
    """Where each move puts its stone, as SGF says it; empty for a pass."""
    fallen = [0] * game.width
    for action in moves:
        if game.drop:
            row, column = game.height - 1 - fallen[action], action
            fallen[action] += 1
        elif game.cell_of[action] < 0:
            yield ""
            continue
        else:
            row, column = divmod(int(game.cell_of[action]), game.width)
        yield _point(game, row, column)


def _point(game: Game, row: int, column: int) -> str:
    down = str(row + 1) if game.name == "hex" else ascii_lowercase[row]
    return ascii_lowercase[column] + down


def _text(value: str) -> str:
    return value.replace("\\", "\\\\").replace("]", "\\]")
