"""Tic-tac-toe as three numbers of a magic square that sum to 15."""

from itertools import combinations

from stillroom.worlds.selfplay.referee import refuse

MAGIC = (2, 7, 6, 9, 5, 1, 4, 3, 8)


class TicTacToe:
    def __init__(self) -> None:
        self.mover, self.made, self.board = 1, 0, [0] * 9

    def legal(self) -> list[int]:
        return [cell for cell, mark in enumerate(self.board) if not mark]

    def play(self, action: int) -> None:
        refuse(action, self.legal(), self.result() is not None)
        self.board[action] = self.mover
        self.mover, self.made = -self.mover, self.made + 1

    def result(self) -> int | None:
        for player in (1, -1):
            held = [MAGIC[cell] for cell, mark in enumerate(self.board) if mark == player]
            if any(sum(three) == 15 for three in combinations(held, 3)):
                return player
        return None if self.legal() else 0

    def score(self) -> tuple[float, list[int]]:
        return 0.0, [0] * 9

    def planes(self) -> list[list[float]]:
        return [[float(mark == who) for mark in self.board] for who in (self.mover, -self.mover)]


def referee() -> TicTacToe:
    return TicTacToe()
