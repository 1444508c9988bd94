"""Self-play search by mctx and pgx: `with_mctx.py FOLDER 256 32`, then lines on stdin.

Connect Four in JAX with our net (FOLDER/net.safetensors), 256 games at once that begin anew as they
end, Gumbel search of 32 simulations by `gumbel_muzero_policy`, the one of mctx's policies that is
fast. First it compiles, and prints how far its net's answers are from ours (net_in_jax.py). Then a
line with a number gets a line: the positions that were searched in so many moves of all games, and
the CPU-seconds that they took.
"""

import json
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import mctx
import net_in_jax
import pgx
from pgx.experimental import auto_reset

ENV = pgx.make("connect_four")


def answers(net: Any, state: Any) -> tuple[Any, Any]:
    """What the net says of pgx's states, illegal moves at the lowest logit."""
    logits, values = net(state.observation.astype(jnp.float32))
    lowest = jnp.finfo(logits.dtype).min
    return jnp.where(state.legal_action_mask, logits, lowest), values


def below(net: Any, _: Any, key: Any, action: Any, state: Any) -> tuple[Any, Any]:
    """A step down the tree: what comes back is the opponent's, so the discount is -1."""
    mover = state.current_player
    state = jax.vmap(ENV.step)(state, action)
    logits, values = answers(net, state)
    said = mctx.RecurrentFnOutput(
        reward=jnp.take_along_axis(state.rewards, mover[:, None], 1)[:, 0],
        discount=jnp.where(state.terminated, 0.0, -1.0),
        prior_logits=logits,
        value=jnp.where(state.terminated, 0.0, values),
    )
    return said, state


def move(net: Any, simulations: int, state: Any, key: Any) -> tuple[Any, Any, Any]:
    """All games after a search and a move; the next key; the policies to learn from."""
    key, searching, beginning = jax.random.split(key, 3)
    logits, values = answers(net, state)
    found = mctx.gumbel_muzero_policy(
        None,
        searching,
        mctx.RootFnOutput(prior_logits=logits, value=values, embedding=state),
        partial(below, net),
        simulations,
        invalid_actions=~state.legal_action_mask,
    )
    keys = jax.random.split(beginning, len(values))
    state = jax.vmap(auto_reset(ENV.step, ENV.init))(state, found.action, keys)
    return state, key, found.action_weights


def planes(games: Sequence[Sequence[int]]) -> Any:
    """What pgx shows of the positions that moves lead to."""
    step, seen = jax.jit(ENV.step), []
    for moves in games:
        state = ENV.init(jax.random.key(0))
        for action in moves:
            state = step(state, action)
        seen.append(state.observation)
    return jnp.stack(seen).astype(jnp.float32)


def main() -> None:
    folder, batch, simulations = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    state = jax.vmap(ENV.init)(jax.random.split(jax.random.key(0), batch))
    step = jax.jit(partial(move, net_in_jax.net(folder / "net.safetensors"), simulations))
    state, key, policy = jax.block_until_ready(step(state, jax.random.key(1)))
    print(json.dumps({"difference": net_in_jax.difference(folder, planes)}), flush=True)
    for line in sys.stdin:
        began = time.process_time()
        for _ in range(int(line)):
            state, key, policy = step(state, key)
        jax.block_until_ready(policy)
        spent = time.process_time() - began
        print(json.dumps({"positions": int(line) * batch, "spent": spent}), flush=True)


if __name__ == "__main__":
    main()
