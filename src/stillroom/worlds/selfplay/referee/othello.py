"""Othello by rays: from each cell, the cells that lie in each direction, walked one by one."""

from stillroom.worlds.selfplay.referee import refuse

WAYS = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1) if down or right]


class Othello:
    def __init__(self, size: int) -> None:
        self.mover, self.made, self.board = 1, 0, [0] * size * size
        self.rays = [_rays(row, column, size) for row in range(size) for column in range(size)]
        high = size // 2
        for row, column in ((high - 1, high), (high, high - 1)):
            self.board[row * size + column] = 1
            self.board[row * size + size - 1 - column] = -1
        self.kept: list[int] | None = None

    def _turned(self, cell: int, player: int) -> list[int]:
        turned: list[int] = []
        for ray in self.rays[cell]:
            between: list[int] = []
            for at in ray:
                if self.board[at] == player:
                    turned += between
                if self.board[at] != -player:
                    break
                between.append(at)
        return turned

    def _places(self, player: int) -> list[int]:
        empty = (cell for cell, disc in enumerate(self.board) if not disc)
        return [cell for cell in empty if self._turned(cell, player)]

    def legal(self) -> list[int]:
        if self.kept is None:
            self.kept = self._places(self.mover) or [len(self.board)]
        return self.kept

    def play(self, action: int) -> None:
        refuse(action, self.legal(), self.result() is not None)
        if action < len(self.board):
            for cell in [action, *self._turned(action, self.mover)]:
                self.board[cell] = self.mover
        self.mover, self.made, self.kept = -self.mover, self.made + 1, None

    def result(self) -> int | None:
        if self.legal() != [len(self.board)] or self._places(-self.mover):
            return None
        ahead = sum(self.board)
        return (ahead > 0) - (ahead < 0)

    def score(self) -> tuple[float, list[int]]:
        return float(sum(self.board)), list(self.board)

    def planes(self) -> list[list[float]]:
        return [[float(disc == who) for disc in self.board] for who in (self.mover, -self.mover)]


def _rays(row: int, column: int, size: int) -> list[list[int]]:
    rays = []
    for down, right in WAYS:
        ray, r, c = [], row + down, column + right
        while 0 <= r < size and 0 <= c < size:
            ray.append(r * size + c)
            r, c = r + down, c + right
        rays.append(ray)
    return rays


def referee(size: int = 8) -> Othello:
    return Othello(size)
