"""What a game is to self-play: its board, its moves, and its rules as compiled functions.

One state is one row of uint64: first the stones of the player to move as bits of the cells, then
the opponent's, then what else the rules need. Cells are numbered row by row from the top left.
Every function takes such a row and is compiled by Numba: a search calls it from compiled code.

A game of your own is one file with a function `game(...) -> Game`: see examples/own_game.py.
"""

import difflib
import importlib
import importlib.util
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stillroom.errors import UserError

GAMES = ("connect4", "go", "hex", "othello", "tictactoe")
GOES_ON, WON, DRAWN, LOST = 2, 1, 0, -1

State = NDArray[np.uint64]
Mask = NDArray[np.uint8]
Floats = NDArray[np.float32]
Ints = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Game:
    """A two-player game of perfect information in which the players take turns.

    Who can't do anything but pass has an action for it. `symmetries[s, a]` is what the action `a`
    becomes under symmetry `s`, `cells[s, c]` where the cell `c` goes; row 0 changes nothing.
    `cell_of[a]` is the cell that a move is placed on, -1 for none and where stones `drop`: there an
    action is a column. `result` is seen by the player to move, as everything is: 2 goes on, else
    1 won, 0 drawn, -1 lost. After `longest` moves a game has ended; `rules` says how.
    A game that isn't `compiled` has plain Python functions, which a compiled search can't call.
    """

    name: str
    rules: str
    height: int
    width: int
    actions: int
    words: int
    longest: int
    planes: int
    symmetries: Ints
    cells: Ints
    cell_of: Ints
    start: Callable[[State], None]
    legal: Callable[[State, Mask], int]  # fills the mask, returns how many moves are legal
    play: Callable[[State, int], None]  # a legal action; then the other player is to move
    result: Callable[[State], int]
    plane: Callable[[State, Floats], None]  # float32 [planes, height, width]
    key: Callable[[State], int | np.uint64]  # of everything that decides legality, result and value
    moves: Callable[[State], int]  # made so far, passes included
    score: Callable[[State, Floats], float]  # float32 [height * width]: whose cell, 1 to -1
    drop: bool = False
    compiled: bool = True


def game_of(name: str, **options: Any) -> Game:
    """The game of that name, or that a file of your own defines; `size=9`, `komi=7.5` and the like.

    The same name and options give the same object. `openspiel:breakthrough` is a game of OpenSpiel.
    UserError for a name that isn't known, for an
    option or a size that the game can't have, and for a file that doesn't define a game.
    """
    if name.startswith("openspiel:"):
        from stillroom.worlds.selfplay.openspiel import openspiel_game

        return openspiel_game(name.partition(":")[2], **options)
    own = name.endswith(".py")
    if name not in GAMES and not own:
        near = difflib.get_close_matches(name, GAMES, 1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise UserError(
            f"no game is called {name!r}",
            do=f"{hint}there is {', '.join(GAMES)}; give a game of your own as FILE.py, one of "
            "OpenSpiel as openspiel:NAME",
        )
    make: Callable[..., Game] = _made
    if not all(type(value) in (int, float, str, bool) for value in options.values()):
        make = _made.__wrapped__  # what can't be looked up: the game refuses it in its own words
    path = str(Path(name).resolve()) if own else name
    return make(path, **dict(sorted(options.items())))


@lru_cache(maxsize=None, typed=True)
def _made(name: str, **options: Any) -> Game:
    own = name.endswith(".py")
    maker = _own_maker(Path(name)) if own else _maker(name)
    known = inspect.signature(maker).parameters
    for option in options:
        if option not in known:
            takes = f"it takes {', '.join(known)}" if known else "it takes no options"
            raise UserError(f"{name} has no option {option!r}", do=takes)
    made: Game = maker(**options)
    if own:
        check_game(made, name)
    return made


def _maker(name: str) -> Callable[..., Game]:
    try:
        module = importlib.import_module(f"stillroom.worlds.selfplay.games.{name}")
    except ModuleNotFoundError as wrong:
        if wrong.name not in ("numba", "llvmlite"):
            raise
        raise UserError("games need Numba", do="pip install 'stillroom[selfplay]'") from None
    maker: Callable[..., Game] = module.game
    return maker


def _own_maker(path: Path) -> Callable[..., Any]:
    maker = own_function(str(path), "game")
    if maker is None:
        raise UserError("the file has no function game()", path, "see examples/own_game.py")
    return maker


def own_function(path: str, name: str) -> Callable[..., Any] | None:
    """A function of a user's file, None if it has none of that name. UserError: see `game_of`."""
    found = getattr(_own_module(str(Path(path).resolve())), name, None)
    return found if callable(found) else None


@cache
def _own_module(path: str) -> ModuleType:
    if not Path(path).is_file():
        raise UserError(f"there is no file {path}", do="give the path of your game's file")
    found = importlib.util.spec_from_file_location(f"stillroom_game_{Path(path).stem}", path)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    try:
        found.loader.exec_module(module)
    except SyntaxError as wrong:
        where = f"{path}, line {wrong.lineno}"
        raise UserError(f"syntax error: {wrong.msg}", where, (wrong.text or "").strip()) from None
    except Exception as wrong:
        what = f"importing the file raised {type(wrong).__name__}: {wrong}"
        raise UserError(what, path) from wrong
    return module


def check_game(game: Any, where: object = "", plays: int = 20) -> None:
    """UserError unless arrays have their shapes and some random games keep to the contract."""
    wrong = None if isinstance(game, Game) else "game() returned no Game"
    wrong = wrong or _wrong_arrays(game) or _wrong_play(game, plays)
    if wrong:
        raise UserError(wrong, where, "see examples/own_game.py and the class Game")


def _wrong_arrays(game: Game) -> str | None:
    cells, count = game.height * game.width, len(game.symmetries)
    shapes = {
        "symmetries": (count, game.actions),
        "cells": (count, cells),
        "cell_of": (game.actions,),
    }
    for field, shape in shapes.items():
        array = getattr(game, field)
        if array.shape != shape or array.dtype != np.int32:
            return f"{field} is {array.dtype} {list(array.shape)}, not int32 {list(shape)}"
    for field in ("symmetries", "cells"):
        array = getattr(game, field)
        if count == 0 or (array[0] != np.arange(array.shape[1])).any():
            return f"the first row of {field} must change nothing"
        if (np.sort(array, axis=1) != np.arange(array.shape[1])).any():
            return f"each row of {field} must hold every number once"
    return None


def _wrong_play(game: Game, plays: int) -> str | None:
    rng = np.random.default_rng(0)
    state, mask = np.zeros(game.words, np.uint64), np.zeros(game.actions, np.uint8)
    planes = np.zeros((game.planes, game.height, game.width), np.float32)
    for _ in range(plays):
        game.start(state)
        for made in range(game.longest + 1):
            result, moves = game.result(state), game.moves(state)
            if moves != made:
                return f"moves() is {moves} after {made} moves"
            game.plane(state, planes)
            if not np.isfinite(planes).all():
                return "plane() left a number that isn't finite"
            if result != GOES_ON:
                break
            count = game.legal(state, mask)
            if count != mask.sum() or count == 0:
                return f"legal() returned {count} with {mask.sum()} in its mask, after {made} moves"
            game.play(state, int(rng.choice(np.flatnonzero(mask))))
        if result not in (WON, DRAWN, LOST):
            return f"result() is {result} after {made} moves; longest is {game.longest}"
    return None


def new_state(game: Game) -> State:
    """The state that the game starts from: uint64 [words]."""
    state = np.zeros(game.words, np.uint64)
    game.start(state)
    return state


def stones(game: Game, state: State) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """The mover's and the opponent's cells: bool [height * width] each.

    Of the games that keep the stones' bits in the first words of a state, which all of ours do.
    """
    cells = game.height * game.width
    words = -(-cells // 64)
    bits = np.unpackbits(state[: 2 * words].astype("<u8").view(np.uint8), bitorder="little")
    own, other = bits.reshape(2, -1)[:, :cells].astype(bool)
    return own, other


def placed(game: Game, state: State, action: int) -> int:
    """The cell that a legal action puts its stone on, -1 for a pass."""
    if not game.drop:
        return int(game.cell_of[action])
    own, other = stones(game, state)
    column = (own | other).reshape(game.height, game.width)[:, action]
    return int((~column).sum() - 1) * game.width + action
