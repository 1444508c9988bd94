"""Many games at once: each slot goes on with its game until it needs the net.

`advance` takes in the net's answers, goes on with every slot, and leaves the positions that the net
must see next in one batch. A slot's game draws from its own stream and asks the same net, so what
becomes of it depends neither on its slot nor on the other games.
"""

import sys
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numba
import numpy as np

from stillroom.worlds.selfplay import chance, choosing, rules, slots, tree
from stillroom.worlds.selfplay.chance import below, uniform
from stillroom.worlds.selfplay.choosing import (
    GUMBEL,
    Settings,
    add_dirichlet,
    choose,
    draw_gumbel,
    gumbel_edge,
    gumbel_root,
    puct_edge,
)
from stillroom.worlds.selfplay.rules import addresses, borrowed, inlined, kinds_of, rules_at
from stillroom.worlds.selfplay.slots import (
    ASKING,
    FRESH,
    OVER,
    READY,
    THINKING,
    new_cache,
    new_exchange,
    new_slots,
)
from stillroom.worlds.selfplay.tree import (
    UNKNOWN,
    back_up,
    count_proven,
    evaluated,
    mean_value,
    new_tree,
    open_node,
    prove_upwards,
)


@inlined
def _begin_game(rules: Any, slot: Any, state: Any, opening: Any, mask: Any, settings: Any) -> None:
    """From the start, or from a position after random moves in which the game goes on."""
    slot.first_low, slot.second_low = 0, 0
    slot.gave_up, slot.resigned, slot.made = -1, 0, 0
    slot.stubborn = uniform(slot) < settings.play_on
    while True:
        rules.start(state)
        made, wanted = 0, 0
        if uniform(slot) < settings.opening_share:
            wanted = below(slot, settings.opening_plies + 1)
        while made < wanted and rules.result(state) == UNKNOWN:
            place = below(slot, rules.legal(state, mask))
            for a in range(mask.shape[0]):
                if mask[a]:
                    if place == 0:
                        opening[made] = a
                        rules.play(state, a)
                        break
                    place -= 1
            made += 1
        if rules.result(state) == UNKNOWN:
            slot.opening = made
            return


@inlined
def _look_up(cache: Any, edges: Any, node: Any, key: Any) -> bool:
    """Fill a node from the cache, if its position is there."""
    if cache.key.shape[0] == 0:
        return False
    place = np.int64(key & np.uint64(cache.key.shape[0] - 1))
    if not cache.taken[place] or cache.key[place] != key:
        return False
    evaluated(edges, node, cache.logits[place], cache.value[place])
    return True


@inlined
def _keep(cache: Any, key: Any, logits: Any, value: float) -> None:
    if cache.key.shape[0] == 0:
        return
    place = np.int64(key & np.uint64(cache.key.shape[0] - 1))
    cache.taken[place], cache.key[place], cache.value[place] = 1, key, value
    for a in range(logits.shape[0]):
        cache.logits[place, a] = logits[a]


@inlined
def _make_noise(edges: Any, slot: Any, noise: Any, work: Any, settings: Any) -> None:
    noisy = settings.noise and slot.full == 1
    if settings.kind == GUMBEL:
        # Later on noise would cost games: who is ahead would often not win, and the outcomes lie.
        draw_gumbel(slot, noise, noisy and slot.opening + slot.made < settings.temperature_plies)
    elif noisy and settings.noise_share > 0.0:
        add_dirichlet(edges, slot, settings, work)


@inlined
def _root_edge(
    edges: Any, node: Any, slot: Any, noise: Any, work: Any, settings: Any, tables: Any
) -> int:
    if settings.kind != GUMBEL:
        return puct_edge(edges, node, settings)
    moves = 0
    for a in range(edges.shape[0]):
        moves += edges[a].legal
    row = min(moves, settings.considered)
    visited = tables[0 if slot.full else 1, row, slot.done]
    return gumbel_root(edges, node, settings, noise, visited, True, work)


@inlined
def _simulate(
    rules: Any,
    states: Any,
    edges: Any,
    nodes: Any,
    slot: Any,
    noise: Any,
    work: Any,
    scratch: Any,
    mask: Any,
    cache: Any,
    settings: Any,
    tables: Any,
) -> bool:
    """One simulation from the root down; whether the net must see the leaf, which ends it."""
    n = 0
    a = _root_edge(edges[0], nodes[0], slot, noise, work, settings, tables)
    while True:
        if edges[n, a].proof != UNKNOWN:
            count_proven(edges, nodes, n, a)
            return False
        if edges[n, a].child < 0:
            break
        n = edges[n, a].child
        if nodes[n].solved != UNKNOWN:  # the end of a game, where nothing is proven
            back_up(edges, nodes, n, float(nodes[n].solved))
            return False
        if settings.kind == GUMBEL:
            a = gumbel_edge(edges[n], nodes[n], settings, work)
        else:
            a = puct_edge(edges[n], nodes[n], settings)
    new = slot.nodes
    slot.nodes += 1
    edges[n, a].child = new
    node, row = nodes[new], states[new]
    node.parent, node.via = n, a
    for w in range(row.shape[0]):
        row[w] = states[n, w]
    rules.play(row, a)
    end = rules.result(row)
    if end != UNKNOWN:
        node.solved = end
    else:
        open_node(rules, row, edges[new], node, scratch, mask, settings.proofs)
    if node.solved != UNKNOWN:
        back_up(edges, nodes, new, float(node.solved))
        if settings.proofs:
            prove_upwards(edges, nodes, new)
        return False
    if cache.key.shape[0] > 0 and _look_up(cache, edges[new], node, rules.key(row)):
        back_up(edges, nodes, new, node.value)
        return False
    slot.leaf = new
    return True


@inlined
def _gives_up(slot: Any, ply: int, value: float, settings: Any) -> bool:
    """Whether the side to move resigns: it has expected too little twice in a row."""
    low = 0
    if ply & 1:
        slot.second_low = slot.second_low + 1 if value < -settings.resign else 0
        low = slot.second_low
    else:
        slot.first_low = slot.first_low + 1 if value < -settings.resign else 0
        low = slot.first_low
    if low < 2 or slot.gave_up >= 0:
        return False
    slot.gave_up = ply
    return bool(slot.stubborn == 0)


@inlined
def _move(rules: Any, edges: Any, node: Any, slots: Any, slot: Any, g: int, settings: Any) -> None:
    """End a search: write its position down, and play."""
    made, now, work = slot.made, slots.now[g], slots.work
    value, ply = mean_value(node), slot.opening + made
    if settings.resign > 0.0 and not settings.one_move and _gives_up(slot, ply, value, settings):
        slot.resigned, slot.result, slot.phase = 1, -1, OVER
        return
    a = choose(edges, node, settings, slot, slots.noise[g], ply, work)
    for b in range(work.shape[0]):
        slots.policy[g, made, b] = work[b]
        slots.visits[g, made, b] = edges[b].count
    here = slots.searched[g, made]
    here.value, here.move, here.simulations = value, a, slot.done
    here.full, here.proof = slot.full, node.solved
    slot.made += 1
    if settings.one_move:
        slot.phase = OVER
        return
    rules.play(now, a)
    slot.result = rules.result(now)
    slot.phase = READY if slot.result == UNKNOWN else OVER


@inlined
def _go_on(
    rules: Any, tree: Any, slots: Any, cache: Any, settings: Any, tables: Any, g: int
) -> None:
    """Until the slot needs the net, or its game is over."""
    slot, states, edges, nodes = slots.slot[g], tree.state[g], tree.edge[g], tree.node[g]
    noise, work, scratch, mask = slots.noise[g], slots.work, tree.scratch, tree.mask
    if slot.phase == FRESH:
        _begin_game(rules, slot, slots.now[g], slots.random[g], mask, settings)
        slot.phase = READY
    while slot.phase != OVER:
        if slot.phase == READY:  # a new root
            slot.phase, slot.nodes, slot.done, slot.leaf = THINKING, 1, 0, 0
            for w in range(states.shape[1]):
                states[0, w] = slots.now[g, w]
            slot.full = settings.full_share >= 1.0 or uniform(slot) < settings.full_share
            slot.budget = settings.simulations if slot.full else settings.fast
            open_node(rules, states[0], edges[0], nodes[0], scratch, mask, settings.proofs)
            if nodes[0].solved == UNKNOWN:
                if not _look_up(cache, edges[0], nodes[0], rules.key(states[0])):
                    slot.phase = ASKING
                    return
                _make_noise(edges[0], slot, noise, work, settings)
        while nodes[0].solved == UNKNOWN and slot.done < slot.budget:
            asks = _simulate(
                rules,
                states,
                edges,
                nodes,
                slot,
                noise,
                work,
                scratch,
                mask,
                cache,
                settings,
                tables,
            )
            slot.done += 1
            if asks:
                slot.phase = ASKING
                return
        _move(rules, edges[0], nodes[0], slots, slot, g, settings)


@inlined
def _advance(
    where: Any,
    tree: Any,
    slots: Any,
    cache: Any,
    exchange: Any,
    settings: Any,
    tables: Any,
    answers: int,
) -> tuple[int, int]:
    """Take in so many answers, go on with all slots: how many ask the net now, and are over."""
    rules = rules_at(where)
    for i in range(answers):
        g = exchange.asked[i]
        slot, edges, nodes = slots.slot[g], tree.edge[g], tree.node[g]
        n, value = slot.leaf, exchange.values[i]
        evaluated(edges[n], nodes[n], exchange.logits[i], value)
        if cache.key.shape[0] > 0:
            _keep(cache, rules.key(tree.state[g, n]), exchange.logits[i], value)
        if n == 0:
            _make_noise(edges[0], slot, slots.noise[g], slots.work, settings)
        else:
            back_up(edges, nodes, n, value)
        slot.phase = THINKING
    asking, over = 0, 0
    for g in range(slots.slot.shape[0]):
        slot = slots.slot[g]
        if slot.phase == FRESH or slot.phase == READY or slot.phase == THINKING:
            _go_on(rules, tree, slots, cache, settings, tables, g)
        if slot.phase == ASKING:
            rules.plane(tree.state[g, slot.leaf], exchange.planes[asking])
            exchange.asked[asking] = g
            asking += 1
        elif slot.phase == OVER:
            over += 1
    return asking, over


@lru_cache(maxsize=1)
def advance() -> Any:
    """The compiled `_advance`: one for all games, kept on disk by Numba."""
    from stillroom.worlds.selfplay.games.tictactoe import game

    like, stamp = game(), _stamp()
    arguments = (
        addresses(like),
        new_tree(like, 1, 1),
        new_slots(like, 1, 1),
        new_cache(like, 0),
        new_exchange(like, 1),
        Settings(),
        np.zeros((2, 1, 1), np.int32),
        0,
    )

    def whole(
        where: Any,
        tree: Any,
        slots: Any,
        cache: Any,
        exchange: Any,
        settings: Any,
        tables: Any,
        answers: int,
    ) -> Any:
        if stamp == 0:  # closed over, and so part of what Numba finds the machine code by
            return 0, 0
        return _advance(
            where,
            borrowed(tree),
            borrowed(slots),
            borrowed(cache),
            borrowed(exchange),
            settings,
            tables,
            answers,
        )

    return numba.njit(kinds_of(arguments), cache=True, error_model="numpy")(whole)


def _stamp() -> int:
    """A hash of all sources that are compiled in: of a change in most, Numba would not know."""
    hashed = blake2b(digest_size=6)
    for module in (chance, choosing, rules, slots, tree, sys.modules[__name__]):
        assert module.__file__ is not None
        hashed.update(Path(module.__file__).read_bytes())
    return int.from_bytes(hashed.digest(), "big")
