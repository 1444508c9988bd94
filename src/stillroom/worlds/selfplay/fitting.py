"""Start, act, learn: the states of a run of selfplay, made and used."""

import math
from collections.abc import Iterable, Sequence
from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from stillroom.record import Record
from stillroom.world import Context
from stillroom.worlds.selfplay.game import Game
from stillroom.worlds.selfplay.learning import Course, optimizer_of, train, window
from stillroom.worlds.selfplay.lineage import (
    State,
    Story,
    keep_rungs,
    load_state,
    moments_of,
    put_moments,
    read_story,
    save_state,
)
from stillroom.worlds.selfplay.match import openings, play_match
from stillroom.worlds.selfplay.net import (
    Evaluate,
    device_of,
    evaluator,
    load_net,
    net_hash,
    new_net,
    shape_of,
)

if TYPE_CHECKING:
    from stillroom.worlds.selfplay.world import SelfPlay

FALLS_TO = 0.05  # of the learning rate, at the horizon
MATCH_PLIES = 8  # random moves at most before a match begins


def first_state(world: "SelfPlay", ctx: Context) -> Path:
    """Random weights."""
    torch.set_num_threads(1)
    seed = int(ctx.rng.integers(2**63))
    net = new_net(shape_of(world.rules, world.blocks, world.channels), seed)
    story = Story(seed, [net_hash(net)])
    return save_state(State(story, net, net, net, {}), ctx.scratch / "state")


def acting(state: Path, world: "SelfPlay") -> tuple[str, Evaluate, bool]:
    """The hash of the net that acts, the net frozen, and whether it is on the CPU."""
    torch.set_num_threads(1)  # more would wait for one another, and might change bits
    told = read_story(state).nets[-1]
    net, evaluate = _frozen(state / "net.safetensors", told, world.rules, world.device)
    return net, evaluate, device_of(world.device).type == "cpu"


@lru_cache(maxsize=2)
def _frozen(path: Path, told: str, game: Game, device: str) -> tuple[str, Evaluate]:
    """The net of a path, as long as its story tells of the same one."""
    net = load_net(path, game)
    return net_hash(net), evaluator(net, device)


def next_state(
    world: "SelfPlay", folder: Path, generations: "Sequence[Iterable[Record]]", ctx: Context
) -> Path:
    """Train on the newest games of all so far; match the new net with the best; write both down."""
    torch.set_num_threads(1)
    game, state = world.rules, load_state(folder, world.rules)
    data, fresh, total = window(game, generations, world.window, world.value_mix)
    optimizer = optimizer_of(state.live)
    put_moments(state.live, optimizer, state.moments)
    steps = math.ceil(world.samples * fresh / world.learning_batch)
    rates = _rates(world, len(generations) - 1, steps)
    course, story = Course(rates, world.learning_batch, world.averaging), state.story
    acting = deepcopy(state.acting)
    loss = train(game, state.live, acting, optimizer, data, course, story.steps, ctx.rng)
    state.acting, state.moments = acting, moments_of(state.live, optimizer)
    story.steps, story.positions = story.steps + steps, total
    story.losses.append(loss)
    story.nets.append(net_hash(acting))
    if world.judge_games:
        _judge(world, state, ctx.rng)
    else:
        story.best, state.best = len(story.nets) - 1, acting
    saved = save_state(state, ctx.scratch / "state")
    keep_rungs(folder, saved, len(story.nets) - 1)
    return saved


def _rates(world: "SelfPlay", generation: int, steps: int) -> list[float]:
    """The learning rate of each step: whole for half the horizon, then down along a cosine.

    It depends on the horizon and not on the number of generations, so that a run can grow.
    """
    if world.horizon is None:
        return [world.learning_rate] * steps
    at = (generation + np.arange(steps) / max(1, steps)) / world.horizon
    fall = np.clip(2 * at - 1, 0.0, 1.0)
    part = FALLS_TO + (1 - FALLS_TO) * (1 + np.cos(np.pi * fall)) / 2
    rates: list[float] = (world.learning_rate * part).tolist()
    return rates


def _judge(world: "SelfPlay", state: State, rng: np.random.Generator) -> None:
    """The new net against the best so far and the first; too many defeats bring the best back."""
    game, story = world.rules, state.story
    begin = openings(game, max(1, world.judge_games // 2), min(MATCH_PLIES, game.longest // 4), rng)
    new, best = evaluator(state.acting), evaluator(state.best)
    first = evaluator(new_net(shape_of(game, world.blocks, world.channels), story.seed))
    score = play_match(game, new, best, begin).score
    story.scores.append(score)
    story.firsts.append(play_match(game, new, first, begin).score)
    if score >= 0.5:
        story.best, state.best, story.fallen = len(story.nets) - 1, state.acting, 0
        return
    story.fallen = story.fallen + 1 if score < world.least_score else 0
    if story.fallen >= world.patience:
        story.put_back.append(len(story.nets) - 1)
        story.nets[-1], story.best, story.fallen = net_hash(state.best), len(story.nets) - 1, 0
        state.acting, state.live, state.moments = state.best, deepcopy(state.best), {}
