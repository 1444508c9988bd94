"""A referee for games that bring none: the players' own rules, replayed."""

import numpy as np

from stillroom.worlds.selfplay.game import GOES_ON, Game, new_state, stones
from stillroom.worlds.selfplay.referee import refuse


class Itself:
    def __init__(self, game: Game) -> None:
        self.game, self.state = game, new_state(game)
        self.mover = 1

    @property
    def made(self) -> int:
        return self.game.moves(self.state)

    @property
    def board(self) -> list[int]:
        """Empty where a state holds no board, as with OpenSpiel's games."""
        if not self.game.compiled:
            return []
        own, other = stones(self.game, self.state)
        return [int(stone) for stone in self.mover * (own.astype(int) - other)]

    def legal(self) -> list[int]:
        mask = np.zeros(self.game.actions, np.uint8)
        self.game.legal(self.state, mask)
        return [int(action) for action in np.flatnonzero(mask)]

    def play(self, action: int) -> None:
        refuse(action, self.legal(), self.result() is not None)
        self.game.play(self.state, action)
        self.mover = -self.mover

    def result(self) -> int | None:
        result = self.game.result(self.state)
        return None if result == GOES_ON else self.mover * int(result)

    def score(self) -> tuple[float, list[int]]:
        owners = np.zeros(self.game.height * self.game.width, np.float32)
        ahead = self.game.score(self.state, owners)
        return self.mover * float(ahead), [self.mover * round(float(one)) for one in owners]

    def planes(self) -> list[list[float]]:
        game = self.game
        out = np.zeros((game.planes, game.height, game.width), np.float32)
        game.plane(self.state, out)
        planes: list[list[float]] = out.reshape(game.planes, -1).tolist()
        return planes
