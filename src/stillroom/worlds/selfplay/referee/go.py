"""Go by chains that know their stones and liberties, and by whole boards that were seen."""

from dataclasses import dataclass

from stillroom.worlds.selfplay.referee import refuse


@dataclass(eq=False)
class Chain:
    player: int
    stones: set[int]
    liberties: set[int]


class Go:
    def __init__(self, size: int, komi: float) -> None:
        self.mover, self.made, self.passes = 1, 0, 0
        self.size, self.komi, self.most = size, komi, 2 * size * size
        self.board = [0] * size * size
        self.near = [_near(cell, size) for cell in range(size * size)]
        self.chains: list[Chain | None] = [None for _ in self.board]
        self.stones = {1: 0, -1: 0}
        # Boards by how many stones of each player they hold: most moves reach a count never seen.
        self.seen = {(0, 0): {tuple(self.board)}}
        self.kept: list[int] | None = None

    def _captured(self, cell: int) -> list[Chain]:
        """The opponent's chains whose last liberty is the cell."""
        found: list[Chain] = []
        for near in self.near[cell]:
            chain = self.chains[near]
            if chain and chain.player != self.mover and len(chain.liberties) == 1:
                found += [chain] * (chain not in found)
        return found

    def _breathes(self, cell: int) -> bool:
        for near in self.near[cell]:
            chain = self.chains[near]
            if chain is None or (chain.player == self.mover) == (len(chain.liberties) > 1):
                return True
        return False

    def _repeats(self, cell: int) -> bool:
        captured = self._captured(cell)
        gone = sum(len(chain.stones) for chain in captured)
        own, other = self.stones[self.mover] + 1, self.stones[-self.mover] - gone
        boards = self.seen.get((own, other) if self.mover == 1 else (other, own))
        if not boards:
            return False
        board = self.board.copy()
        board[cell] = self.mover
        for chain in captured:
            for stone in chain.stones:
                board[stone] = 0
        return tuple(board) in boards

    def legal(self) -> list[int]:
        if self.kept is None:
            empty = [cell for cell, stone in enumerate(self.board) if not stone]
            able = [cell for cell in empty if self._breathes(cell) and not self._repeats(cell)]
            self.kept = [*able, len(self.board)]
        return self.kept

    def play(self, action: int) -> None:
        refuse(action, self.legal(), self.result() is not None)
        if action == len(self.board):
            self.passes += 1
        else:
            self.passes = 0
            self._put(action)
            counts = (self.stones[1], self.stones[-1])
            self.seen.setdefault(counts, set()).add(tuple(self.board))
        self.mover, self.made, self.kept = -self.mover, self.made + 1, None

    def _put(self, cell: int) -> None:
        captured = self._captured(cell)
        chain = Chain(self.mover, {cell}, {at for at in self.near[cell] if not self.board[at]})
        for other in {id(c): c for at in self.near[cell] if (c := self.chains[at])}.values():
            other.liberties.discard(cell)
            if other.player == self.mover:
                chain.stones |= other.stones
                chain.liberties |= other.liberties
        self.board[cell] = self.mover
        self.stones[self.mover] += 1
        for stone in chain.stones:
            self.chains[stone] = chain
        for dead in captured:
            self._remove(dead)

    def _remove(self, dead: Chain) -> None:
        self.stones[dead.player] -= len(dead.stones)
        for stone in dead.stones:
            self.board[stone], self.chains[stone] = 0, None
        for stone in dead.stones:
            for near in self.near[stone]:
                chain = self.chains[near]
                if chain:
                    chain.liberties.add(stone)

    def result(self) -> int | None:
        if self.passes < 2 and self.made < self.most:
            return None
        ahead, _ = self.score()
        return (ahead > 0) - (ahead < 0)

    def score(self) -> tuple[float, list[int]]:
        owners, left = list(self.board), {c for c, stone in enumerate(self.board) if not stone}
        while left:
            region, edge = {left.pop()}, set()
            border = region
            while border:
                beside = {near for cell in border for near in self.near[cell]}
                edge |= {self.board[cell] for cell in beside} - {0}
                border = beside & left
                left -= border
                region |= border
            if len(edge) == 1:
                (owner,) = edge
                for cell in region:
                    owners[cell] = owner
        return sum(owners) - self.komi, owners

    def planes(self) -> list[list[float]]:
        legal = set(self.legal())
        own, other = ([float(s == who) for s in self.board] for who in (self.mover, -self.mover))
        barred = [float(not s and cell not in legal) for cell, s in enumerate(self.board)]
        flat = (float(self.mover == 1), float(self.passes > 0), self.made / self.most)
        return [own, other, barred, *([value] * len(self.board) for value in flat)]


def _near(cell: int, size: int) -> list[int]:
    row, column = divmod(cell, size)
    near = [(row - 1, column), (row, column - 1), (row, column + 1), (row + 1, column)]
    return [r * size + c for r, c in near if 0 <= r < size and 0 <= c < size]


def referee(size: int = 9, komi: float = 7.5) -> Go:
    return Go(size, komi)
