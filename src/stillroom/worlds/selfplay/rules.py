"""A game's compiled functions as machine addresses, so that one compiled search serves all games.

Numba would compile the search anew for each game that it closed over, and find none of it on disk
again: compiled functions have a new identity in each process. An address is a number.
"""

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, NamedTuple, TypeVar, cast

import numba
import numpy as np
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from stillroom.errors import UserError
from stillroom.worlds.selfplay.game import Floats, Game, Ints, Mask, State

_ROW, _MASK = types.Array(types.uint64, 1, "C"), types.Array(types.uint8, 1, "C")
_PLANES = types.Array(types.float32, 3, "C")
SIGNATURES = {
    "start": types.void(_ROW),
    "legal": types.int64(_ROW, _MASK),
    "play": types.void(_ROW, types.int64),
    "result": types.int64(_ROW),
    "plane": types.void(_ROW, _PLANES),
    "key": types.uint64(_ROW),
}


Function = TypeVar("Function", bound=Callable[..., Any])


def inlined(function: Function) -> Function:
    """Compile with Numba into whoever calls it; as in NumPy, no division is guarded."""
    return cast(Function, numba.njit(error_model="numpy", forceinline=True)(function))


class Rules(NamedTuple):
    """What compiled code needs of a Game, to be called."""

    start: Any
    legal: Any
    play: Any
    result: Any
    plane: Any
    key: Any


def addresses(game: Game) -> NDArray[np.uint64]:
    """Where the game's functions lie in this process, in the order of SIGNATURES."""
    if not game.compiled:
        raise UserError(
            f"{game.name} has no compiled rules, which self-play needs",
            do="write the game as a file of compiled functions: see examples/own_game.py",
        )
    found = []
    for name, signature in SIGNATURES.items():
        compiled = getattr(game, name).get_compile_result(signature)
        found.append(compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name))
    return np.array(found, np.uint64)


def _function_at(signature: Any) -> Any:
    """A compiled function from an address to something that can be called."""
    kind = types.FunctionType(signature)

    @intrinsic
    def function_at(typing: Any, address: Any) -> Any:
        def build(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
            pointer = builder.inttoptr(arguments[0], context.get_value_type(types.voidptr))
            made = cgutils.create_struct_proxy(kind)(context, builder)  # type: ignore[no-untyped-call]
            made.jit_addr = made.c_addr = pointer
            return made._getvalue()

        return kind(types.uint64), build

    return function_at


def _borrowed(typing: Any, arrays: Any) -> Any:
    """A named tuple of arrays whose references nobody counts: its owner must outlive the call.

    Numba counts them with atomic operations, on each row that is looked at: half of a search.
    """

    def build(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        (whole,) = arguments
        for place, kind in enumerate(arrays.types):
            one = context.make_array(kind)(context, builder, builder.extract_value(whole, place))
            for owner in ("meminfo", "parent"):
                nobody = cgutils.get_null_value(getattr(one, owner).type)  # type: ignore[no-untyped-call]
                setattr(one, owner, nobody)
            whole = builder.insert_value(whole, one._getvalue(), place)
        return whole

    return arrays(arrays), build


borrowed: Any = intrinsic(_borrowed)
_start, _legal, _play, _result, _plane, _key = map(_function_at, SIGNATURES.values())


@inlined
def rules_at(where: Any) -> Any:
    """Rules from the addresses of a game's functions."""
    return Rules(
        _start(where[0]),
        _legal(where[1]),
        _play(where[2]),
        _result(where[3]),
        _plane(where[4]),
        _key(where[5]),
    )


def _replay(where: Any, state: Any, moves: Any, first: int, planes: Any, masks: Any) -> None:
    rules = rules_at(where)
    rules.start(state)
    for ply in range(moves.shape[0]):
        if ply >= first:
            rules.plane(state, planes[ply - first])
            rules.legal(state, masks[ply - first])
        rules.play(state, moves[ply])


def _describe(where: Any, states: Any, planes: Any, masks: Any) -> None:
    rules = rules_at(where)
    for n in range(states.shape[0]):
        rules.plane(states[n], planes[n])
        rules.legal(states[n], masks[n])


def _play_all(where: Any, states: Any, actions: Any, results: Any) -> None:
    rules = rules_at(where)
    for n in range(states.shape[0]):
        rules.play(states[n], actions[n])
        results[n] = rules.result(states[n])


@cache
def _compiled(function: Any, *kinds: Any) -> Any:
    return numba.njit(kinds, cache=True)(function)


def _call(function: Any, *arguments: Any) -> None:
    """Call a function that is compiled for the arguments' types when it is first needed."""
    _compiled(function, *kinds_of(arguments))(*arguments)


def kinds_of(values: Iterable[Any]) -> tuple[Any, ...]:
    """Numba's types of some values."""
    return tuple(numba.typeof(one) for one in values)  # type: ignore[no-untyped-call]


def _room(game: Game, count: int) -> tuple[Floats, NDArray[np.uint8]]:
    planes = np.zeros((count, game.planes, game.height, game.width), np.float32)
    return planes, np.zeros((count, game.actions), np.uint8)


def replay(game: Game, moves: Ints, first: int = 0) -> tuple[Floats, Mask]:
    """Planes [n, planes, height, width] and masks [n, A] before each move from `first` on."""
    planes, masks = _room(game, len(moves) - first)
    state = np.zeros(game.words, np.uint64)
    _call(_replay, addresses(game), state, moves.astype(np.int32), first, planes, masks)
    return planes, masks


def describe(game: Game, states: State) -> tuple[Floats, Mask]:
    """Planes [n, planes, height, width] and masks [n, A] of states [n, words]."""
    planes, masks = _room(game, len(states))
    # From a file they may be read-only, for which the rules' machine code isn't made.
    states = np.require(states, np.uint64, ["C", "W"])
    _call(_describe, addresses(game), states, planes, masks)
    return planes, masks


def play_all(game: Game, states: State, actions: Ints) -> NDArray[np.int32]:
    """Play an action in each state [n, words], in place; the results, 2 where it goes on."""
    results = np.zeros(len(states), np.int32)
    _call(_play_all, addresses(game), states, actions.astype(np.int32), results)
    return results
