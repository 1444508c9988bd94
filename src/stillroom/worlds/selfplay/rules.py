"""A game's compiled functions as machine addresses, so that one compiled search serves all games.

Numba would compile the search anew for each game that it closed over, and find none of it on disk
again: compiled functions have a new identity in each process. An address is a number.
"""

from typing import Any, NamedTuple

import numba
import numpy as np
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from stillroom.worlds.selfplay.game import Game

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
    found = []
    for name, signature in SIGNATURES.items():
        compiled = getattr(game, name).get_compile_result(signature)
        found.append(compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name))
    return np.array(found, np.uint64)


def _function_at(signature: Any) -> Any:
    """A compiled function from an address to something that can be called."""
    kind = types.FunctionType(signature)

    @intrinsic  # type: ignore[untyped-decorator]
    def function_at(typing: Any, address: Any) -> Any:
        def build(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
            pointer = builder.inttoptr(arguments[0], context.get_value_type(types.voidptr))
            made = cgutils.create_struct_proxy(kind)(context, builder)
            made.jit_addr = made.c_addr = pointer
            return made._getvalue()

        return kind(types.uint64), build

    return function_at


_start, _legal, _play, _result, _plane, _key = map(_function_at, SIGNATURES.values())


@numba.njit
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
