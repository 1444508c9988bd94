"""Random numbers inside compiled code: each game draws from a counter-based stream of its own.

Philox4x32-10 (Salmon et al., SC 2011). A stream is a record with a `key` and a `counter`, so that
what a game draws depends on its key alone, and not on which games are played beside it.
"""

import math
from typing import Any

import numpy as np

from stillroom.worlds.selfplay.rules import inlined

_LOW, _32 = np.uint64(0xFFFFFFFF), np.uint64(32)
_FIRST, _SECOND = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_STEP_FIRST, _STEP_SECOND = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)


@inlined
def philox(key: Any, counter: Any) -> Any:
    """The first 64 bits of the block that belongs to a key and a counter, uint64 all three."""
    zero = np.uint64(0)
    a, b, c, d = counter & _LOW, counter >> _32, zero, zero
    one, two = key & _LOW, key >> _32
    for _ in range(10):
        left, right = a * _FIRST, c * _SECOND
        a, c = (right >> _32) ^ b ^ one, (left >> _32) ^ d ^ two
        b, d = right & _LOW, left & _LOW
        one, two = (one + _STEP_FIRST) & _LOW, (two + _STEP_SECOND) & _LOW
    return (b << _32) | a


@inlined
def uniform(stream: Any) -> float:
    """The next number in (0, 1), of 53 bits."""
    word = philox(stream.key, stream.counter)
    stream.counter += np.uint64(1)
    return (np.float64(word >> np.uint64(11)) + 0.5) / 9007199254740992.0


@inlined
def below(stream: Any, bound: int) -> int:
    """A whole number from 0 to bound - 1."""
    return min(int(uniform(stream) * bound), bound - 1)


@inlined
def gumbel(stream: Any) -> float:
    """A standard Gumbel variate."""
    return -math.log(-math.log(uniform(stream)))


@inlined
def _normal(stream: Any) -> float:
    radius = math.sqrt(-2.0 * math.log(uniform(stream)))
    return radius * math.cos(2.0 * math.pi * uniform(stream))


@inlined
def gamma(stream: Any, shape: float) -> float:
    """A gamma variate of scale 1 (Marsaglia and Tsang, 2000)."""
    lift = 1.0
    if shape < 1.0:
        lift = uniform(stream) ** (1.0 / shape)
        shape += 1.0
    d = shape - 1.0 / 3.0
    c = 1.0 / math.sqrt(9.0 * d)
    while True:
        x = _normal(stream)
        v = (1.0 + c * x) ** 3
        if v > 0.0 and math.log(uniform(stream)) < 0.5 * x * x + d - d * v + d * math.log(v):
            return lift * d * v
