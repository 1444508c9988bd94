"""Rules of the games written a second time, in plain Python, for whoever checks a game.

Nothing here is shared with `games`, which the players use, and each file thinks another way: whole
boards from the first player's view in place of bits from the mover's, chains with their liberties
in place of floods, disjoint sets in place of a spread. Only the actions' numbers are the same.
"""

import importlib
from typing import Any, Protocol

from stillroom.worlds.selfplay.game import GAMES, game_of, own_function


class Referee(Protocol):
    """A game in progress. Players are 1, who begins, and -1; results and scores are the first's."""

    mover: int

    @property
    def made(self) -> int:
        """Moves so far, passes included."""

    @property
    def board(self) -> list[int]:
        """Whose stone is on each cell, row by row from the top: 1, -1 or 0 for none."""

    def legal(self) -> list[int]:
        """The legal actions in order; also where the game has ended, which `result` tells."""

    def play(self, action: int) -> None:
        """ValueError, with the reason, if the action is illegal or the game over."""

    def result(self) -> int | None:
        """1 the first player won, -1 lost, 0 a draw; None while the game goes on."""

    def score(self) -> tuple[float, list[int]]:
        """How far the first player is ahead, and whose each cell is; else 0 and nobody's."""

    def planes(self) -> list[list[float]]:
        """What a net is shown, from the mover's view: a list of cells for each plane."""


def referee_of(name: str, **options: Any) -> Referee:
    """A referee at the start of the game that `game_of` makes of the same name and options.

    A game from a user's file may bring its own by a function `referee(...)`. Without one, and for
    OpenSpiel's games, the players' own rules stand in: that repeats a game, but proves no rule.
    """
    game = game_of(name, **options)  # checks the options
    if name in GAMES:
        module = importlib.import_module(f"stillroom.worlds.selfplay.referee.{name}")
        made: Referee = module.referee(**options)
        return made
    own = own_function(name, "referee") if name.endswith(".py") else None
    if own is not None:
        made = own(**options)
        return made
    from stillroom.worlds.selfplay.referee.itself import Itself

    return Itself(game)


def independent(name: str) -> bool:
    """Whether the referee of this game was written apart from the rules that are played by."""
    return name in GAMES or (name.endswith(".py") and own_function(name, "referee") is not None)


def refuse(action: int, legal: list[int], over: bool) -> None:
    """ValueError unless an action may be played."""
    if over:
        raise ValueError(f"action {action} after the end of the game")
    if action not in legal:
        raise ValueError(f"action {action} is illegal, of {legal}")
