"""Which edge a search goes down, which move it plays, and the policy it leaves to learn from.

PUCT as in AlphaZero (Silver et al., 2018), with first-play urgency; Gumbel with sequential halving
and completed Q values (Danihelka et al., ICLR 2022).
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stillroom.worlds.selfplay.chance import below, gamma, gumbel, uniform
from stillroom.worlds.selfplay.rules import inlined
from stillroom.worlds.selfplay.tree import UNKNOWN, is_known, known_value, mean_value

PUCT, GUMBEL = 0, 1


class Settings(NamedTuple):
    """How to search and to play; numbers alone, so that compiled code can read them."""

    kind: int = GUMBEL
    simulations: int = 16
    fast: int = 4  # simulations of a fast search
    full_share: float = 1.0  # of the moves that get a full search
    proofs: bool = True
    noise: bool = True
    exploration: float = 1.5  # PUCT's constant
    urgency: float = 0.2  # how much less an unvisited move is worth to PUCT than its node
    concentration: float = 10.83  # of the Dirichlet noise, spread over the legal moves
    noise_share: float = 0.25
    considered: int = 16  # moves that Gumbel begins with
    visit_offset: float = 50.0  # Gumbel's c_visit and c_scale
    value_scale: float = 0.1
    temperature_plies: int = 12  # from then on the best move is played
    opening_share: float = 0.0  # of the games that begin with random moves
    opening_plies: int = 0
    resign: float = 0.0  # a side gives up that expects less than minus this twice; 0: never
    play_on: float = 0.1  # of the games in which nobody gives up, to see what it costs
    one_move: bool = False  # look at a position and stop


def halving(considered: int, simulations: int) -> NDArray[np.int32]:
    """How often the move must have been visited that gets each simulation: [considered + 1, sims].

    Row m is for m moves: rounds of equal cost, after each of which the better half goes on.
    """
    table = np.zeros((considered + 1, simulations), np.int32)
    for moves in range(1, considered + 1):
        rounds = max(1, math.ceil(math.log2(moves)))
        order: list[int] = []
        left, visited = moves, 0
        while len(order) < simulations:
            for _ in range(max(1, simulations // (rounds * left))):
                order += [visited] * left
                visited += 1
            left = max(min(2, moves), left // 2)
        table[moves] = order[:simulations]
    return table


@inlined
def puct_edge(edges: Any, node: Any, settings: Any) -> int:
    """The edge with the highest upper bound; a proven loss only where there is nothing else."""
    seen = 0.0
    for a in range(edges.shape[0]):
        if is_known(edges[a]):
            seen += edges[a].prior
    unvisited = mean_value(node) - settings.urgency * math.sqrt(seen)
    scale = settings.exploration * math.sqrt(max(1, node.visits))
    best, most = -1, -np.inf
    for a in range(edges.shape[0]):
        edge = edges[a]
        if edge.legal:
            q = known_value(edge) if is_known(edge) else unvisited
            score = q + scale * edge.prior * edge.inverse
            if edge.proof == -1:
                score -= 1e6
            if score > most:
                best, most = a, score
    return best


@inlined
def add_dirichlet(edges: Any, stream: Any, settings: Any, work: Any) -> None:
    """Mix noise into the root's prior; its concentration is spread over the legal moves."""
    moves = 0
    for a in range(edges.shape[0]):
        moves += edges[a].legal
    total = 0.0
    for a in range(edges.shape[0]):
        if edges[a].legal:
            work[a] = gamma(stream, settings.concentration / moves)
            total += work[a]
    for a in range(edges.shape[0]):
        if edges[a].legal:
            noise = work[a] / total if total > 0.0 else 1.0 / moves
            kept = (1.0 - settings.noise_share) * edges[a].prior
            edges[a].prior = kept + settings.noise_share * noise


@inlined
def complete(edges: Any, node: Any, settings: Any, out: Any) -> None:
    """Logits plus the scaled values of the moves, completed where a move was not visited.

    An unvisited move gets the mean of the net's value and the visited moves', weighted by prior.
    """
    weight, mean, most = 0.0, 0.0, 0
    for a in range(edges.shape[0]):
        edge = edges[a]
        if edge.count > 0:
            weight += edge.prior
            mean += edge.prior * known_value(edge)
            most = max(most, edge.count)
    mixed = float(node.value)
    if weight > 0.0:
        mixed = (mixed + node.visits * mean / weight) / (1 + node.visits)
    scale = (settings.visit_offset + most) * settings.value_scale
    for a in range(edges.shape[0]):
        edge = edges[a]
        if edge.legal:
            q = known_value(edge) if is_known(edge) else mixed
            out[a] = edge.logit + scale * 0.5 * (q + 1.0)
        else:
            out[a] = -np.inf


@inlined
def soften(values: Any) -> None:
    """Softmax in place."""
    most = -np.inf
    for a in range(values.shape[0]):
        most = max(most, values[a])
    total = 0.0
    for a in range(values.shape[0]):
        values[a] = math.exp(values[a] - most)
        total += values[a]
    scale = 1.0 / total
    for a in range(values.shape[0]):
        values[a] *= scale


@inlined
def gumbel_edge(edges: Any, node: Any, settings: Any, work: Any) -> int:
    """Below the root: the edge whose share of the visits falls shortest of the improved policy."""
    complete(edges, node, settings, work)
    soften(work)
    best, most = -1, -np.inf
    scale = 1.0 / (1.0 + node.visits)
    for a in range(edges.shape[0]):
        if edges[a].legal:
            score = work[a] - edges[a].count * scale
            if score > most:
                best, most = a, score
    return best


@inlined
def gumbel_root(
    edges: Any, node: Any, settings: Any, noise: Any, visited: int, noisy: bool, work: Any
) -> int:
    """At the root: of the moves with so many visits, the one that stands best."""
    complete(edges, node, settings, work)
    best, most, spare, top = -1, -np.inf, -1, -np.inf
    for a in range(edges.shape[0]):
        if edges[a].legal:
            score = work[a] + (noise[a] if noisy else 0.0)
            if edges[a].count == visited and score > most:
                best, most = a, score
            if score > top:
                spare, top = a, score
    return best if best >= 0 else spare


@inlined
def draw_gumbel(stream: Any, noise: Any, noisy: bool) -> None:
    """Noise for each move of a root, or none."""
    for a in range(noise.shape[0]):
        noise[a] = gumbel(stream) if noisy else 0.0


@inlined
def choose(
    edges: Any,
    node: Any,
    settings: Any,
    stream: Any,
    noise: Any,
    ply: int,
    work: Any,
) -> int:
    """The move to play; `work` is left with the policy to learn from."""
    noisy = settings.noise and ply < settings.temperature_plies
    if node.solved != UNKNOWN:
        return _choose_solved(edges, node, settings, stream, work)
    if settings.kind == GUMBEL:
        most = 0
        for a in range(edges.shape[0]):
            most = max(most, edges[a].count)
        best = gumbel_root(edges, node, settings, noise, most, noisy, work)
        soften(work)
        return best
    return _choose_puct(edges, stream, noisy, work)


@inlined
def _choose_solved(edges: Any, node: Any, settings: Any, stream: Any, policy: Any) -> int:
    """Any of the moves that are proven as good as the root."""
    fit = 0
    for a in range(edges.shape[0]):
        good = edges[a].legal == 1 and edges[a].proof == node.solved
        policy[a] = 1.0 if good else 0.0
        fit += good
    place, best = (below(stream, fit) if settings.noise else 0), -1
    for a in range(edges.shape[0]):
        if policy[a] > 0.0:
            if place == 0:
                best = a
            place -= 1
            policy[a] = 1.0 / fit
    return best


@inlined
def _choose_puct(edges: Any, stream: Any, noisy: bool, policy: Any) -> int:
    total = 0.0
    for a in range(edges.shape[0]):
        lost = edges[a].proof == -1
        policy[a] = 0.0 if lost else float(edges[a].count)
        total += policy[a]
    if total == 0.0:  # all visits went to moves that are lost by now
        for a in range(edges.shape[0]):
            policy[a] = 0.0 if edges[a].proof == -1 else float(edges[a].prior)
            total += policy[a]
    best = -1
    for a in range(edges.shape[0]):
        policy[a] /= total
        if edges[a].legal and (best < 0 or policy[a] > policy[best]):
            best = a
    if noisy:
        left = uniform(stream)
        for a in range(edges.shape[0]):
            if policy[a] > 0.0:
                left -= policy[a]
                best = a
                if left < 0.0:
                    break
    return best
