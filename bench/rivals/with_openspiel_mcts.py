"""Self-play search by OpenSpiel's Python MCTS: `with_openspiel_mcts.py FOLDER 32 shipped`.

Connect Four with our net (FOLDER/net.safetensors) in JAX, at the batch of one that this search asks
for. `shipped`: by OpenSpiel's own AlphaZeroEvaluator, one operation of the net after another, as
its own models do it. `compiled`: by an evaluator of ours, the net compiled into one function, which
OpenSpiel doesn't do. PUCT with noise at the root, 32 simulations (the root's is the first), nothing
proven, no position of a search asked twice. First it prints how far its net's answers are from ours
(net_in_jax.py). Then a line with a number on stdin gets a line: so many positions, and the
CPU-seconds that it took to search them.
"""

import json
import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import net_in_jax
import numpy as np
import pyspiel
from open_spiel.python.algorithms.alpha_zero.evaluator import AlphaZeroEvaluator
from open_spiel.python.algorithms.mcts import Evaluator, MCTSBot, SearchNode

GAME = pyspiel.load_game("connect_four")
TEMPERATURE_PLIES = 12


class Net(Evaluator):
    """Values and priors by our net; what it said is kept until `said` is cleared."""

    def __init__(self, path: Path) -> None:
        net = net_in_jax.net(path)

        def together(planes: Any) -> Any:  # one array: each that comes back costs
            logits, values = net(planes)
            return jnp.concatenate([logits[0], values])

        self.net = jax.jit(together)
        self.said: dict[tuple[int, ...], list[float]] = {}

    def ask(self, state: Any) -> list[float]:
        """All moves' logits, and then the value for who is to move."""
        key = tuple(state.history())
        if key not in self.said:
            self.said[key] = np.asarray(self.net(shown(state)[None])).tolist()
        return self.said[key]

    def evaluate(self, state: Any) -> np.ndarray:
        value = self.ask(state)[-1]
        return np.array([value, -value] if state.current_player() == 0 else [-value, value])

    def prior(self, state: Any) -> list[tuple[int, float]]:
        logits, legal = self.ask(state), state.legal_actions()
        weights = [math.exp(logits[action]) for action in legal]
        total = sum(weights)
        return [(action, weight / total) for action, weight in zip(legal, weights, strict=True)]


class Model:
    """Our net as OpenSpiel's AlphaZeroEvaluator asks a model, which isn't told whose move it is."""

    def __init__(self, path: Path) -> None:
        self.net = net_in_jax.net(path)

    def inference(self, observation: Any, mask: Any) -> tuple[Any, Any]:
        """The first player's value, and a share for each move."""
        seen = observation.reshape(3, 6, 7)
        mover = int(seen[:2].sum()) % 2
        logits, values = self.net(jnp.asarray(own_first(seen, mover))[None])
        shares = jax.nn.softmax(jnp.where(jnp.asarray(mask, bool), logits[0], -jnp.inf))
        return float(values[0]) * (1 - 2 * mover), np.asarray(shares)


def shown(state: Any) -> np.ndarray:
    """Planes float32 [6, 7, 2], own first; OpenSpiel has the first player's first, from below."""
    seen = np.array(state.observation_tensor(0)).reshape(3, 6, 7)
    return own_first(seen, state.current_player())


def own_first(seen: np.ndarray, mover: int) -> np.ndarray:
    return seen[[mover, 1 - mover], ::-1].transpose(1, 2, 0).astype(np.float32)


def planes(games: Sequence[Sequence[int]]) -> np.ndarray:
    """What is shown of the positions that moves lead to."""
    seen = []
    for moves in games:
        state = GAME.new_initial_state()
        for action in moves:
            state.apply_action(action)
        seen.append(shown(state))
    return np.array(seen)


def main() -> None:
    folder, simulations = Path(sys.argv[1]), int(sys.argv[2])
    path, chance = folder / "net.safetensors", np.random.RandomState(0)
    compiled = sys.argv[3] == "compiled"
    # Its cache is as large as one search, which asks everything twice: nothing older is kept.
    net = Net(path) if compiled else AlphaZeroEvaluator(GAME, Model(path), simulations)
    bot = MCTSBot(
        GAME,
        1.5,
        simulations,
        net,
        solve=False,
        random_state=chance,
        child_selection_fn=SearchNode.puct_value,
        dirichlet_noise=(0.25, 1.0),
    )
    state = GAME.new_initial_state()

    def move() -> None:
        nonlocal state
        root = bot.mcts_search(state)
        if isinstance(net, Net):
            net.said.clear()
        visits = np.array([child.explore_count for child in root.children], float)
        early = len(state.history()) < TEMPERATURE_PLIES
        best = chance.choice(len(visits), p=visits / visits.sum()) if early else visits.argmax()
        state.apply_action(root.children[best].action)
        if state.is_terminal():
            state = GAME.new_initial_state()

    for _ in range(20):
        move()
    print(json.dumps({"difference": net_in_jax.difference(folder, planes)}), flush=True)
    for line in sys.stdin:
        began = time.process_time()
        for _ in range(int(line)):
            move()
        spent = time.process_time() - began
        print(json.dumps({"positions": int(line), "spent": spent}), flush=True)


if __name__ == "__main__":
    main()
