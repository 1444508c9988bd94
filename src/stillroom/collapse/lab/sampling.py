"""What a student's samples come to before anybody learns from them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stillroom.collapse.lab.policies import Policy
from stillroom.collapse.lab.rules import Rules
from stillroom.collapse.lab.students import Learnt
from stillroom.collapse.simulate import Decoding

if TYPE_CHECKING:
    from stillroom.collapse.lab.world import Collapse

Array = NDArray[Any]


@dataclass
class Gathered:
    """So many items as were wanted, and what was left out on the way.

    drawn = items + malformed + held_out + refused; tried, by type, counts what a verifier was
    shown: items + refused + again.
    """

    items: list[str]
    tried: Array
    drawn: int = 0
    malformed: int = 0
    held_out: int = 0
    refused: int = 0
    again: int = 0


def gather(
    world: "Collapse", policy: Policy, student: Learnt, wanted: int, rng: np.random.Generator
) -> Gathered:
    """Sample until `wanted` items are there; ValueError where hardly any sample is of use."""
    how = Decoding(
        world.temperature if policy.cool else 1.0, world.top_p if policy.nucleus else 1.0
    )
    data = world.source
    types = data.slices if isinstance(data, Rules) else 0
    got = Gathered([], np.zeros(types, np.int64))
    while len(got.items) < wanted:
        if got.drawn > 1000 + 20 * wanted:
            raise ValueError(f"of {got.drawn} samples {len(got.items)} could be used")
        short = wanted - len(got.items)
        said = student.sample(short + short // 32 + 32, how, rng)
        if isinstance(data, Rules):
            _judge(world, data, policy, student, said, wanted, got, rng)
        else:
            for item in said[: _cut([bool(item) for item in said], short)]:
                got.drawn += 1
                got.malformed += not item
                got.items += [item] if item else []
    return got


def _cut(use: list[bool], short: int) -> int:
    """How many of the samples are looked at until `short` of use are found."""
    places = np.flatnonzero(use)
    return int(places[short - 1]) + 1 if len(places) >= short else len(use)


def _judge(
    world: "Collapse",
    data: Rules,
    policy: Policy,
    student: Learnt,
    said: list[str],
    wanted: int,
    got: Gathered,
    rng: np.random.Generator,
) -> None:
    formed = [item for item in said if item]
    whole = np.array([bool(item) for item in said])
    leaked = np.zeros(len(said), bool)
    asked = np.zeros(len(said), np.int64)
    passed = np.zeros(len(said), bool)
    slices = np.zeros(len(said), np.int64)
    if formed:
        leaked[whole] = data.leaked(formed)
        slices[whole] = data.parsed(formed)[:, 0]
        passed = whole & ~leaked
        asked = passed.astype(np.int64)
    if policy.exact and formed:
        right = np.zeros(len(said), bool)
        right[whole] = data.right(formed)
        for _ in range(world.tries if policy.again else 0):
            places = np.flatnonzero(passed & ~right)
            if not len(places):
                break
            questions = [said[place][:7] for place in places]
            for place, answer in zip(places, student.answer(questions, rng), strict=True):
                if answer.isdigit():
                    said[place] = said[place][:7] + answer
            asked[places] += 1
            right[places] = data.right([said[place] for place in places])
        passed &= right
    if policy.biased:
        shy = data.shares.cumsum() > 1 - world.shunned
        passed &= ~(shy[slices] & (rng.random(len(said)) >= world.rare_pass))
    end = _cut(passed.tolist(), wanted - len(got.items))
    got.drawn += end
    got.malformed += int((~whole[:end]).sum())
    got.held_out += int(leaked[:end].sum())
    got.refused += int(((asked > 0) & ~passed)[:end].sum())
    got.again += int((asked - 1).clip(min=0)[:end].sum())
    got.tried += np.bincount(slices[:end], asked[:end], len(got.tried)).astype(np.int64)
    got.items += [said[place] for place in np.flatnonzero(passed[:end])]
