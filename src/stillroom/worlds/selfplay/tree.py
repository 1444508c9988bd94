"""Search trees as arrays, one tree a slot, and what any tree search does to them.

Values are in [-1, 1] and belong to the player to move at a node; what an edge holds belongs to the
player who chooses it. So a value changes its sign at each step upwards, and nowhere else.

Compiled functions are given records and rows of arrays that nobody counts references to
(rules.borrowed): Numba would count at each row, and that would cost more than the search.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stillroom.worlds.selfplay.game import Game
from stillroom.worlds.selfplay.rules import inlined

UNKNOWN = 2  # neither won (1), drawn (0) nor lost (-1) for certain; of a result: the game goes on

EDGE = np.dtype(
    [
        ("logit", np.float32),  # as the net has them
        ("prior", np.float32),  # softmax over the legal moves; may hold noise at the root
        ("mean", np.float32),  # of the values that came back
        ("inverse", np.float32),  # 1 / (1 + count): a division a visit, and none a choice
        ("count", np.int32),
        ("child", np.int32),  # -1 for none
        ("legal", np.int8),
        ("proof", np.int8),
    ],
    align=True,
)
NODE = np.dtype(
    [
        ("value", np.float32),  # as the net has it
        ("total", np.float32),  # of the values that came back through its edges
        ("visits", np.int32),  # the sum of the edges' counts
        ("parent", np.int32),
        ("via", np.int32),  # the parent's edge that leads here
        ("solved", np.int8),
    ],
    align=True,
)


class Tree(NamedTuple):
    """G slots of K nodes with A edges each; node 0 is the root."""

    state: NDArray[np.uint64]  # [G, K, words]
    edge: NDArray[np.void]  # EDGE [G, K, A]
    node: NDArray[np.void]  # NODE [G, K]
    scratch: NDArray[np.uint64]  # [words]
    mask: NDArray[np.uint8]  # [A]


def new_tree(game: Game, slots: int, nodes: int) -> Tree:
    """Empty trees for so many slots."""
    return Tree(
        np.zeros((slots, nodes, game.words), np.uint64),
        np.zeros((slots, nodes, game.actions), EDGE),
        np.zeros((slots, nodes), NODE),
        np.zeros(game.words, np.uint64),
        np.zeros(game.actions, np.uint8),
    )


@inlined
def open_node(
    rules: Any, state: Any, edges: Any, node: Any, scratch: Any, mask: Any, proofs: bool
) -> None:
    """Make a node of a state in which the game goes on.

    With proofs every move is tried: one that ends the game is proven at once.
    """
    rules.legal(state, mask)
    node.visits, node.total, node.solved = 0, 0.0, UNKNOWN
    for a in range(edges.shape[0]):
        edge = edges[a]
        edge.child, edge.count, edge.mean, edge.inverse = -1, 0, 0.0, 1.0
        edge.legal, edge.proof = mask[a], UNKNOWN
        if proofs and mask[a]:
            for w in range(scratch.shape[0]):
                scratch[w] = state[w]
            rules.play(scratch, a)
            end = rules.result(scratch)
            if end != UNKNOWN:
                edge.proof = -end
    if proofs:
        settle(edges, node)


@inlined
def settle(edges: Any, node: Any) -> None:
    """Solve a node whose edges prove enough: one wins, or all are proven."""
    best, whole = -1, True
    for a in range(edges.shape[0]):
        edge = edges[a]
        if edge.legal:
            if edge.proof == UNKNOWN:
                whole = False
            elif edge.proof > best:
                best = edge.proof
    if best == 1 or whole:
        node.solved = best


@inlined
def prove_upwards(edges: Any, nodes: Any, n: int) -> None:
    """Tell the nodes above of a node that is solved."""
    while n != 0:
        above = nodes[n].parent
        edges[above, nodes[n].via].proof = -nodes[n].solved
        if nodes[above].solved != UNKNOWN:
            return
        settle(edges[above], nodes[above])
        if nodes[above].solved == UNKNOWN:
            return
        n = above


@inlined
def _visit(edge: Any, value: float) -> None:
    edge.count += 1
    edge.mean += (value - edge.mean) / edge.count
    edge.inverse = 1.0 / (1.0 + edge.count)


@inlined
def back_up(edges: Any, nodes: Any, n: int, value: float) -> None:
    """Count a value of node n's player on every edge from the root to n."""
    while n != 0:
        value = -value
        above = nodes[n].parent
        edge = edges[above, nodes[n].via]
        _visit(edge, value)
        nodes[above].visits += 1
        nodes[above].total += value
        n = above


@inlined
def count_proven(edges: Any, nodes: Any, n: int, a: int) -> None:
    """Count the proven value of an edge on it and on every edge above."""
    edge = edges[n, a]
    value = float(edge.proof)
    _visit(edge, value)
    nodes[n].visits += 1
    nodes[n].total += value
    back_up(edges, nodes, n, value)


@inlined
def evaluated(edges: Any, node: Any, logits: Any, value: float) -> None:
    """Give a node what the net says of it: logits [A], of which the legal count, and a value."""
    most = -np.inf
    for a in range(edges.shape[0]):
        if edges[a].legal:
            most = max(most, logits[a])
    total = 0.0
    for a in range(edges.shape[0]):
        edge = edges[a]
        edge.logit, edge.prior = logits[a], 0.0
        if edge.legal:
            weight = math.exp(logits[a] - most)
            edge.prior = weight
            total += weight
    scale = 1.0 / total
    for a in range(edges.shape[0]):
        edges[a].prior *= scale
    node.value = value


@inlined
def is_known(edge: Any) -> bool:
    return bool(edge.proof != UNKNOWN or edge.count > 0)


@inlined
def known_value(edge: Any) -> float:
    """What an edge is worth that is proven or visited."""
    if edge.proof != UNKNOWN:
        return float(edge.proof)
    return float(edge.mean)


@inlined
def mean_value(node: Any) -> float:
    """The mean of all that the search has seen of a node, the net's own value among it."""
    if node.solved != UNKNOWN:
        return float(node.solved)
    return float((node.value + np.float64(node.total)) / (1 + node.visits))
