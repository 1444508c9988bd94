"""What a state holds on disk: the net that acts, what learning goes on from, and its lineage.

net.safetensors         acts: a moving average of the live weights
live.safetensors        learns
optimizer.safetensors   its moments; none before the first step
best.safetensors        the strongest net so far, where that isn't the one that acts
course.json             hashes back to the random start, steps, losses, matches
rungs/0004.safetensors  a few earlier nets, by generation, for the ladder
"""

import json
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from stillroom.errors import UserError
from stillroom.worlds.selfplay.game import Game
from stillroom.worlds.selfplay.net import Net, load_net, net_hash, new_net, save_net

RUNGS = 6  # nets at most that a state keeps beside its own; every n-th one, n a power of two


@dataclass
class Story:
    """What has become of a run's nets so far; one entry a generation in the lists."""

    seed: int  # of the random start
    nets: list[str] = field(default_factory=list)  # hashes of those that acted, the first's too
    steps: int = 0
    positions: int = 0
    losses: list[float] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)  # of each new net against the best before
    firsts: list[float] = field(default_factory=list)  # and against the random start
    best: int = 0  # which of the nets was the strongest
    fallen: int = 0  # how many nets in a row were weaker than that
    put_back: list[int] = field(default_factory=list)  # generations after which it came back


@dataclass
class State:
    """A state in memory."""

    story: Story
    acting: Net
    live: Net
    best: Net
    moments: dict[str, Any]

    @property
    def net(self) -> str:
        return self.story.nets[-1]


def save_state(state: State, folder: Path) -> Path:
    """Write a state into a new folder; returns it."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True)
    save_net(state.acting, folder / "net.safetensors")
    save_net(state.live, folder / "live.safetensors")
    if state.story.best != len(state.story.nets) - 1:
        save_net(state.best, folder / "best.safetensors")
    if state.moments:
        save_file(state.moments, folder / "optimizer.safetensors")
    (folder / "course.json").write_text(json.dumps(asdict(state.story)))
    return folder


def read_story(folder: Path) -> Story:
    """The story alone. UserError when the folder is no state of selfplay."""
    try:
        return Story(**json.loads((folder / "course.json").read_text()))
    except (OSError, TypeError, ValueError) as wrong:
        raise UserError(f"this is no state of selfplay: {wrong}", folder) from wrong


def load_state(folder: Path, game: Game) -> State:
    """A state from disk. UserError when it is damaged, or one of another game."""
    from safetensors.torch import load_file

    story = read_story(folder)
    acting = load_net(folder / "net.safetensors", game)
    if net_hash(acting) != story.nets[-1]:
        raise UserError("the net is not the one that its story tells of", folder)
    live = load_net(folder / "live.safetensors", game)
    best = folder / "best.safetensors"
    moments = folder / "optimizer.safetensors"
    return State(
        story,
        acting,
        live,
        load_net(best if best.exists() else folder / "net.safetensors", game),
        load_file(moments) if moments.exists() else {},
    )


def moments_of(net: Net, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """The optimizer's moments by the names of the weights that they belong to."""
    found = {}
    for name, weight in net.named_parameters():
        for key, value in optimizer.state[weight].items():
            found[f"{name}|{key}"] = value.detach().clone().contiguous()
    return found


def put_moments(net: Net, optimizer: torch.optim.Optimizer, moments: dict[str, Any]) -> None:
    """The moments back into an optimizer of the same net."""
    for name, weight in net.named_parameters():
        found = {k.rpartition("|")[2]: v for k, v in moments.items() if k.startswith(f"{name}|")}
        if found:
            optimizer.state[weight] = found


def keep_rungs(old: Path, new: Path, number: int) -> None:
    """Hand a state's earlier nets on to the next, which is number `number`, and thin them out."""
    every = 1
    while number // every > RUNGS:
        every *= 2
    (new / "rungs").mkdir()
    for path in sorted((old / "rungs").glob("*.safetensors")):
        if int(path.stem) % every == 0:
            shutil.copyfile(path, new / "rungs" / path.name)
    if number % every == 0:
        shutil.copyfile(new / "net.safetensors", new / "rungs" / f"{number:04d}.safetensors")


def nets_of(folder: Path, game: Game) -> dict[int, Net]:
    """Nets of a state's run by their number: the random start 0, some between, the last."""
    story = read_story(folder)
    last = load_net(folder / "net.safetensors", game)
    found = {0: new_net(last.shape, story.seed)}
    for path in sorted((folder / "rungs").glob("*.safetensors")):
        found[int(path.stem)] = load_net(path, game)
    found[len(story.nets) - 1] = last
    return found
