"""A game for people and for language models: the board as text, moves by name, what was visited."""

from string import ascii_lowercase

import numpy as np

from stillroom.record import Record
from stillroom.world import Data, Message, View
from stillroom.worlds.selfplay.game import Game


def move_name(game: Game, action: int) -> str:
    """`d` is a column where stones drop, `d3` a cell (rows are counted from below), or `pass`."""
    if game.drop:
        return ascii_lowercase[action]
    cell = int(game.cell_of[action])
    if cell < 0:
        return "pass"
    row, column = divmod(cell, game.width)
    return f"{ascii_lowercase[column]}{game.height - row}"


def board_text(game: Game, at: Data) -> str:
    """The board before a move: X are the first player's stones, O the second's."""
    cells = game.height * game.width
    bits = np.unpackbits(np.frombuffer(at["planes"], np.uint8), count=game.planes * cells)
    own, other = bits[:cells], bits[cells : 2 * cells]
    signs = "XO" if at["ply"] % 2 == 0 else "OX"
    stones = [signs[0] if o else signs[1] if x else "." for o, x in zip(own, other, strict=True)]
    lines = []
    for row in range(game.height):
        label = "" if game.drop else f"{game.height - row:>2} "
        lines.append(label + " ".join(stones[row * game.width : (row + 1) * game.width]))
    head = " ".join(ascii_lowercase[: game.width])
    return "\n".join([*lines, head if game.drop else f"   {head}"])


def reasons(game: Game, at: Data, most: int = 5) -> str:
    """What the search looked at: "visited a 18, b 9, value 0.31"."""
    order = sorted(range(game.actions), key=lambda a: (-at["visits"][a], a))
    seen = [f"{move_name(game, a)} {at['visits'][a]}" for a in order if at["visits"][a]][:most]
    value = f"value {round(at['value'], 2) + 0.0:.2f}"  # and never -0.00
    if at["proof"] is not None:
        value = {1: "won", 0: "drawn", -1: "lost"}[at["proof"]] + " for certain"
    return ", ".join([f"visited {', '.join(seen)}"] * bool(seen) + [value])


def chat(game: Game, at: Data) -> tuple[Message, ...]:
    """A position as a question, and the move that the search recommends as the answer."""
    best = int(np.argmax(at["policy"]))
    mover = "X" if at["ply"] % 2 == 0 else "O"
    return (
        {
            "role": "user",
            "content": f"{game.rules}\n{board_text(game, at)}\n{mover} is to move. Which move?",
        },
        {
            "role": "assistant",
            "reasoning_content": reasons(game, at),
            "content": move_name(game, best),
        },
    )


def show(game: Game, record: Record) -> View:
    """The game as a list of moves and one position of it, the middle one, as board and chat."""
    data = record.data
    at = data["positions"][len(data["positions"]) // 2]
    names = [move_name(game, a) for a in data["moves"]]
    winner = {1: "X wins", 0: "a draw", -1: "O wins"}[data["result"]]
    lines = [
        f"{game.rules}: {winner} ({data['ended']}) after {len(names)} moves",
        f"opening at random: {' '.join(names[: data['opening']]) or 'none'}",
        f"moves: {' '.join(names[data['opening'] :])}",
        f"move {at['ply'] + 1}, {move_name(game, at['move'])}: {reasons(game, at)}",
        board_text(game, at),
    ]
    return View(
        text="\n".join(lines),
        messages=chat(game, at),
        tags={
            "result": {1: "first", 0: "draw", -1: "second"}[data["result"]],
            "ended": data["ended"],
            "opening": "random" if data["opening"] else "start",
        },
        features={"moves": float(len(names)), "positions": float(len(data["positions"]))},
    )
