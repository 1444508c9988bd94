"""Hex by disjoint sets: each stone joins its neighbours, and the four edges are stones too."""

from stillroom.worlds.selfplay.referee import refuse


class Hex:
    def __init__(self, size: int) -> None:
        self.mover, self.made, self.size, self.board = 1, 0, size, [0] * size * size
        self.parent = list(range(size * size + 4))
        top = size * size
        self.edges = {1: (top, top + 1), -1: (top + 2, top + 3)}

    def _root(self, cell: int) -> int:
        while self.parent[cell] != cell:
            self.parent[cell] = self.parent[self.parent[cell]]
            cell = self.parent[cell]
        return cell

    def _touched(self, cell: int) -> list[int]:
        """What a stone of the mover is joined with: own stones about it, own edges beneath it."""
        row, column = divmod(cell, self.size)
        touched = []
        for r, c in ((-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0)):
            r, c = row + r, column + c
            if 0 <= r < self.size and 0 <= c < self.size:
                near = r * self.size + c
                if self.board[near] == self.mover:
                    touched.append(near)
        along = row if self.mover == 1 else column
        begin, end = self.edges[self.mover]
        return touched + [begin] * (along == 0) + [end] * (along == self.size - 1)

    def legal(self) -> list[int]:
        return [cell for cell, stone in enumerate(self.board) if not stone]

    def play(self, action: int) -> None:
        refuse(action, self.legal(), self.result() is not None)
        for other in self._touched(action):
            self.parent[self._root(other)] = self._root(action)
        self.board[action] = self.mover
        self.mover, self.made = -self.mover, self.made + 1

    def result(self) -> int | None:
        for player, (begin, end) in self.edges.items():
            if self._root(begin) == self._root(end):
                return player
        return None

    def score(self) -> tuple[float, list[int]]:
        return 0.0, [0] * len(self.board)

    def planes(self) -> list[list[float]]:
        own = [[float(stone == who) for stone in self.board] for who in (self.mover, -self.mover)]
        return [*own, [float(self.mover == 1)] * len(self.board)]


def referee(size: int = 11) -> Hex:
    return Hex(size)
