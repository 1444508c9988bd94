"""Connect Four as stacks: lines are looked for only through the stone that fell last."""

from stillroom.worlds.selfplay.referee import refuse


class Connect4:
    def __init__(self, height: int, width: int) -> None:
        self.mover, self.made, self.height = 1, 0, height
        self.stacks: list[list[int]] = [[] for _ in range(width)]
        self.winner = 0

    @property
    def board(self) -> list[int]:
        rows = reversed(range(self.height))
        return [self._at(column, row) for row in rows for column in range(len(self.stacks))]

    def _at(self, column: int, row: int) -> int:
        """Whose stone is at a height; nobody's beyond the board too."""
        if not 0 <= column < len(self.stacks) or not 0 <= row < len(self.stacks[column]):
            return 0
        return self.stacks[column][row]

    def legal(self) -> list[int]:
        return [n for n, stack in enumerate(self.stacks) if len(stack) < self.height]

    def play(self, action: int) -> None:
        refuse(action, self.legal(), self.result() is not None)
        self.stacks[action].append(self.mover)
        row = len(self.stacks[action]) - 1
        for right, up in ((1, 0), (0, 1), (1, 1), (1, -1)):
            run = 1
            for sign in (1, -1):
                step = 1
                while self._at(action + sign * step * right, row + sign * step * up) == self.mover:
                    step += 1
                run += step - 1
            if run >= 4:
                self.winner = self.mover
        self.mover, self.made = -self.mover, self.made + 1

    def result(self) -> int | None:
        if self.winner:
            return self.winner
        return None if self.legal() else 0

    def score(self) -> tuple[float, list[int]]:
        return 0.0, [0] * self.height * len(self.stacks)

    def planes(self) -> list[list[float]]:
        board = self.board
        return [[float(stone == who) for stone in board] for who in (self.mover, -self.mover)]


def referee(height: int = 6, width: int = 7) -> Connect4:
    return Connect4(height, width)
