"""What the compiled rules share: bits of a word, a mixing hash, the symmetries of a board.

Numbers are cast wherever they meet a word: to Numba, uint64 + int64 is a float.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

from stillroom.errors import UserError
from stillroom.worlds.selfplay.game import Ints

Function = TypeVar("Function", bound=Callable[..., Any])
Grid = NDArray[np.int32]

ONE, ZERO = np.uint64(1), np.uint64(0)


def compiled(function: Function) -> Function:
    """Compile with Numba, and keep the machine code on disk.

    A function made inside another may close over numbers but not over compiled functions: those
    have a new identity in each process, so that nothing would be found again.
    """
    return cast(Function, numba.njit(cache=True)(function))


@compiled
def bit(cell: int) -> np.uint64:
    return ONE << np.uint64(cell)


@compiled
def signed(word: np.uint64) -> int:
    """A word as an ordinary number, which it meets without becoming a float."""
    return np.int64(word)  # type: ignore[return-value]  # int() would leave it unsigned


@compiled
def count(word: np.uint64) -> int:
    """How many bits are set."""
    word = word - ((word >> ONE) & np.uint64(0x5555555555555555))
    word = (word & np.uint64(0x3333333333333333)) + (
        (word >> np.uint64(2)) & np.uint64(0x3333333333333333)
    )
    word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return signed((word * np.uint64(0x0101010101010101)) >> np.uint64(56))


@compiled
def lowest(word: np.uint64) -> int:
    """The number of the lowest bit that is set; 64 for none."""
    return count(~word & (word - ONE))


@compiled
def mix(word: np.uint64) -> np.uint64:
    """A bijection that scatters its bits: the finaliser of splitmix64 (Steele et al., 2014)."""
    word = word + np.uint64(0x9E3779B97F4A7C15)
    word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return word ^ (word >> np.uint64(31))


@compiled
def mix_words(state: NDArray[np.uint64], end: int) -> np.uint64:
    """A hash of a state's first words, their order included."""
    key = ZERO
    for word in range(end):
        key = mix(key ^ state[word])
    return key


@compiled
def get(state: NDArray[np.uint64], first: int, cell: int) -> bool:
    """Whether the bit of a cell is set in the board that begins at word `first`."""
    return bool((state[first + (cell >> 6)] >> np.uint64(cell & 63)) & ONE)


@compiled
def fill(state: NDArray[np.uint64], first: int, out: NDArray[np.float32]) -> None:
    """Write one board of bits as a plane of ones and zeros."""
    flat, count = out.flat, out.size
    for begin in range(0, count, 64):
        # One word at a time and by way of int32: only so are several cells done at once.
        word = state[first + (begin >> 6)]
        for cell in range(min(64, count - begin)):
            flat[begin + cell] = np.float32(np.int32((word >> np.uint64(cell)) & ONE))


def within(game: str, option: str, value: object, least: int, most: int, step: int = 1) -> None:
    """UserError unless a size is a whole number the game can have."""
    if type(value) is int and value in range(least, most + 1, step):
        return
    sizes = ", ".join(map(str, range(least, most + 1, step))) if step > 1 else f"{least} to {most}"
    raise UserError(f"{game} can't have {option} {value!r}", do=f"{option} can be {sizes}")


def half_turn(grid: Grid) -> Grid:
    return grid[::-1, ::-1]


def mirrored(grid: Grid) -> Grid:
    return grid[:, ::-1]


def dihedral() -> list[Callable[[Grid], Grid]]:
    """The other seven symmetries of a square: turns, and turns of the mirrored board."""
    turns: list[Callable[[Grid], Grid]] = []
    for flip in (False, True):
        for quarter in range(4):
            if flip or quarter:
                turns.append(lambda g, q=quarter, f=flip: np.rot90(g[:, ::-1] if f else g, q))  # type: ignore[misc]
    return turns


def permutations(height: int, width: int, turns: Sequence[Callable[[Grid], Grid]]) -> Ints:
    """Where each cell goes under no change and under each of the turns: int32 [S, cells]."""
    grid = np.arange(height * width, dtype=np.int32).reshape(height, width)
    rows = [grid.ravel()] + [np.argsort(turn(grid).ravel()) for turn in turns]
    return np.array(rows, np.int32)


def with_pass(cells: Ints) -> Ints:
    """The symmetries of actions that are the cells and, last, a pass."""
    last = np.full((len(cells), 1), cells.shape[1], np.int32)
    return np.concatenate([cells, last], axis=1)


@compiled
def no_score(state: NDArray[np.uint64], out: NDArray[np.float32]) -> float:
    """The score of a game that has none."""
    out[:] = 0.0
    return 0.0
