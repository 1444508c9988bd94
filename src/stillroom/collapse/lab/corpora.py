"""The state of the laboratory: what each arm and seed learns from next.

    lab/predictions.json  weights/  corpora/ARM-SEED.json

Human items are told as stretches of the seed's stream: they follow from the seed.
"""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from stillroom.collapse.lab import policies
from stillroom.collapse.lab.policies import ARMS, Stretch
from stillroom.errors import UserError
from stillroom.record import Record

if TYPE_CHECKING:
    from stillroom.collapse.lab.world import Collapse


@dataclass
class Corpus:
    """Stretches of human items, packed synthetic ones, and the records that those came from."""

    human: list[Stretch]
    synthetic: list[str] = field(default_factory=list)
    parents: list[str] = field(default_factory=list)


def clear(home: Path) -> None:
    """An empty state; what a killed run left there goes."""
    shutil.rmtree(home, ignore_errors=True)
    (home / "corpora").mkdir(parents=True)


def read(state: Path, arm: str, seed: int, n: int) -> Corpus:
    """The corpus of an arm and seed; at first, n human items."""
    file = state / "corpora" / f"{arm}-{seed}.json"
    if not file.exists():
        return Corpus([(0, n)])
    found = orjson.loads(file.read_bytes())
    human = [(first, stop) for first, stop in found["human"]]
    return Corpus(human, found["synthetic"], found["parents"])


def write(world: "Collapse", state: Path, last: Iterable[Record], home: Path) -> Path:
    """The next state in `home`, from the records of the last generation."""
    clear(home)
    shutil.copy(state / "predictions.json", home)
    if (state / "weights").is_dir():
        shutil.copytree(state / "weights", home / "weights")
    missing = {(arm, seed) for arm in world.arms for seed in world.seeds}
    for record in last:
        arm, seed = record.data["arm"], record.data["seed"]
        missing.discard((arm, seed))
        before = read(state, arm, seed, world.size)
        file = home / "corpora" / f"{arm}-{seed}.json"
        file.write_bytes(orjson.dumps(vars(next_corpus(world, before, record))))
    if missing:
        arm, seed = min(missing)
        raise UserError(
            f"arm {arm} of seed {seed} has no record to go on from",
            do="see why with `stillroom show`; `count` must be arms times seeds or more",
        )
    return home


def next_corpus(world: "Collapse", before: Corpus, record: Record) -> Corpus:
    """What the arm's policy makes of its last corpus and of the record that came of it."""
    policy, data = ARMS[record.data["arm"]], world.source
    human = policies.next_human(policy, before.human, world.size, world.share)
    items = data.unpack(record.data["items"])
    parents = [record.id] if policy.synthetic else []
    if policy.accumulate:
        items = (data.unpack(before.synthetic) if before.synthetic else []) + items
        parents = [*before.parents, record.id]
    return Corpus(human, data.pack(items) if items else [], parents)
