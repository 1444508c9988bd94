"""Our net for Connect Four in JAX, on one CPU, and how far its answers are from ours."""

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from safetensors.numpy import load_file

# Before anything is computed: XLA then takes as many threads as there are CPUs.
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"

Weights = dict[str, Any]
BLOCKS = 4


def forward(weights: Weights, planes: Any) -> tuple[Any, Any]:
    """Planes [n, 6, 7, 2], own first, to logits [n, 7] and values [n]: what net.py computes."""
    free = 1 - planes.sum(3)
    below = jnp.pad(free, ((0, 0), (0, 1), (0, 0)))[:, 1:]
    playable = free * (1 - below)
    x = jax.nn.relu(conv(weights, "stem", jnp.concatenate([planes, playable[..., None]], 3)))
    for number in range(BLOCKS):
        name = f"blocks.{number}"
        y = conv(weights, f"{name}.first", x)
        if f"{name}.pooled.weight" in weights:
            y = y + linear(weights, f"{name}.pooled", pool(jax.nn.relu(y)))[:, None, None]
        x = jax.nn.relu(x + conv(weights, f"{name}.second", jax.nn.relu(y)))
    logits = (linear(weights, "policy.map", x)[..., 0] * playable).sum(1)
    seen = jax.nn.relu(linear(weights, "seen", x))
    seen = seen.transpose(0, 3, 1, 2).reshape(len(x), -1)
    hidden = jax.nn.relu(linear(weights, "hidden", jnp.concatenate([seen, pool(x)], 1)))
    return logits, jnp.tanh(linear(weights, "value", hidden))[:, 0]


def conv(weights: Weights, name: str, x: Any) -> Any:
    """3x3, zeros around the board."""
    kernel = weights[f"{name}.weight"].transpose(2, 3, 1, 0)
    layout = ("NHWC", "HWIO", "NHWC")
    y = jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=layout)
    return y + weights[f"{name}.bias"]


def linear(weights: Weights, name: str, x: Any) -> Any:
    weight = weights[f"{name}.weight"]
    return x @ weight.reshape(len(weight), -1).T + weights[f"{name}.bias"]


def pool(x: Any) -> Any:
    return jnp.concatenate([x.mean((1, 2)), x.max((1, 2))], 1)


def net(file: Path) -> Callable[[Any], tuple[Any, Any]]:
    """`forward` with the file's weights; no arguments, so that XLA may lay them out as it likes."""
    weights = {name: jnp.asarray(one) for name, one in load_file(file).items()}
    return partial(forward, weights)


def difference(folder: Path, planes: Callable[[Sequence[Sequence[int]]], Any]) -> float:
    """The largest one from FOLDER/told.npz, where told.safetensors has spoken.

    `planes` are those of the positions that moves lead to by the rival's own rules, float32
    [n, 6, 7, 2].
    """
    told = np.load(folder / "told.npz")
    made = [moves[moves >= 0].tolist() for moves in told["moves"]]
    logits, values = jax.jit(net(folder / "told.safetensors"))(planes(made))
    pairs = (logits, told["logits"]), (values, told["values"])
    return max(float(abs(ours - theirs).max()) for ours, theirs in pairs)
