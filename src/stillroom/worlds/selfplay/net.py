"""The net: a residual tower without batch norm, and its heads.

No norm, so that a net acts as it was trained (the second convolution of a block starts at zero
instead); one block pools over the whole board, as in KataGo (Wu, 2019). Where a move is a cell the
policy is a map over the cells; where stones drop, the map's values at a column's playable cell.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from stillroom.errors import UserError
from stillroom.worlds.selfplay.game import Game

TERRITORY = ("go", "othello")  # games in which cells belong to somebody in the end

Evaluate = Callable[[NDArray[np.float32]], tuple[NDArray[np.float32], NDArray[np.float32]]]
"""Planes [n, planes, height, width] to logits [n, actions] and values [n] in [-1, 1]."""


@dataclass(frozen=True)
class Shape:
    """Which game a net plays, and how large it is."""

    rules: str
    planes: int
    height: int
    width: int
    cell_of: tuple[int, ...]  # of each action
    drop: bool
    territory: bool
    blocks: int
    channels: int


def shape_of(game: Game, blocks: int, channels: int) -> Shape:
    cells = tuple(int(cell) for cell in game.cell_of)
    territory = game.name in TERRITORY
    size = (game.planes, game.height, game.width)
    return Shape(game.rules, *size, cells, game.drop, territory, blocks, channels)


class Said(NamedTuple):
    """All that the heads say of n positions; ownership and score of games with territory only."""

    policy: Tensor  # logits [n, actions]
    value: Tensor  # [n], in [-1, 1], as the player to move sees it
    reply: Tensor  # logits [n, actions] of the opponent's next move
    ownership: Tensor | None  # [n, cells], 1 for the player to move
    score: Tensor | None  # [n], in tens of points


class Block(nn.Module):
    """x + conv(relu(conv(x))); with pooling, the board's means and maxima are added inside."""

    def __init__(self, channels: int, pools: bool) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        self.pooled = nn.Linear(2 * channels, channels) if pools else None
        for weight in self.second.parameters():
            nn.init.zeros_(weight)

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(x)
        if self.pooled is not None:
            y = y + self.pooled(_pool(functional.relu(y)))[:, :, None, None]
        return functional.relu(x + self.second(functional.relu(y)))


def _pool(x: Tensor) -> Tensor:
    return torch.cat([x.mean((2, 3)), x.amax((2, 3))], 1)


class Moves(nn.Module):
    """A policy head: a map over cells, and a number from the pooled board where there is none."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.drop = shape.drop
        off = [a for a, cell in enumerate(shape.cell_of) if cell < 0 and not shape.drop]
        self.map = nn.Conv2d(shape.channels, 1, 1) if len(off) < len(shape.cell_of) else None
        self.flat = nn.Linear(2 * shape.channels, len(off)) if off else None
        # Where in (map's cells, then the others) an action's logit stands.
        cells = shape.height * shape.width if self.map is not None else 0
        places = (
            [cell if cell >= 0 else cells + off.index(a) for a, cell in enumerate(shape.cell_of)]
            if not shape.drop
            else []
        )
        self.places: Tensor
        self.register_buffer("places", torch.tensor(places, dtype=torch.int64), persistent=False)
        for head in (self.map, self.flat):
            if head is not None:
                _small(head)

    def forward(self, x: Tensor, pooled: Tensor, allowed: Tensor | None) -> Tensor:
        parts: list[Tensor] = []
        if self.map is not None:
            board: Tensor = self.map(x)
            if allowed is not None:
                return (board * allowed).sum((1, 2))
            parts.append(board.flatten(1))
        if self.flat is not None:
            parts.append(self.flat(pooled))
        return torch.cat(parts, 1).index_select(1, self.places)


def _small(layer: Any) -> None:
    nn.init.normal_(layer.weight, std=0.01)
    nn.init.zeros_(layer.bias)


class Net(nn.Module):
    """The tower and its heads. Called, it says policy and value; `everything` asks all heads."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        channels, cells = shape.channels, shape.height * shape.width
        self.stem = nn.Conv2d(shape.planes + shape.drop, channels, 3, padding=1)
        self.blocks = nn.ModuleList(
            Block(channels, n == shape.blocks // 2) for n in range(shape.blocks)
        )
        self.policy, self.reply = Moves(shape), Moves(shape)
        self.seen = nn.Conv2d(channels, 4, 1)
        self.hidden = nn.Linear(4 * cells + 2 * channels, 64)
        self.value = nn.Linear(64, 1)
        self.ownership = nn.Conv2d(channels, 1, 1) if shape.territory else None
        self.score = nn.Linear(64, 1) if shape.territory else None
        for head in (self.value, self.ownership, self.score):
            if head is not None:
                _small(head)

    def _tower(self, planes: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor | None, Tensor | None]:
        """Tower, pooled board, the value's hidden layer; where stones may drop, and lie free."""
        playable = free = None
        if self.shape.drop:
            free = 1.0 - planes[:, :2].sum(1, keepdim=True)
            ground = functional.pad(1.0 - free, (0, 0, 0, 1), value=1.0)[:, :, 1:]
            playable = free * ground
            planes = torch.cat([planes, playable], 1)
        x = functional.relu(self.stem(planes))
        for block in self.blocks:
            x = block(x)
        pooled = _pool(x)
        seen = torch.cat([functional.relu(self.seen(x)).flatten(1), pooled], 1)
        return x, pooled, functional.relu(self.hidden(seen)), playable, free

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        x, pooled, hidden, playable, _ = self._tower(planes)
        return self.policy(x, pooled, playable), torch.tanh(self.value(hidden)).squeeze(1)

    def everything(self, planes: Tensor) -> Said:
        x, pooled, hidden, playable, free = self._tower(planes)
        return Said(
            self.policy(x, pooled, playable),
            torch.tanh(self.value(hidden)).squeeze(1),
            self.reply(x, pooled, free),
            None if self.ownership is None else torch.tanh(self.ownership(x)).flatten(1),
            None if self.score is None else self.score(hidden).squeeze(1),
        )


def new_net(shape: Shape, seed: int) -> Net:
    """Random weights; the same for the same seed."""
    state = torch.random.get_rng_state()
    torch.manual_seed(seed)
    try:
        return Net(shape)
    finally:
        torch.random.set_rng_state(state)


def net_hash(net: Net) -> str:
    """Hash of shape and weights: 16 bytes of BLAKE2b, in hex."""
    hashed = blake2b(json.dumps(asdict(net.shape)).encode(), digest_size=16)
    for name, weight in sorted(net.state_dict().items()):
        hashed.update(name.encode())
        hashed.update(weight.detach().cpu().contiguous().numpy().tobytes())
    return hashed.hexdigest()


def save_net(net: Net, path: Path) -> None:
    """The weights as safetensors, with the net's shape."""
    from safetensors.torch import save_file

    weights = {name: one.detach().cpu().contiguous() for name, one in net.state_dict().items()}
    # One key: safetensors writes several in any order, and the same net would be other bytes.
    save_file(weights, path, metadata={"shape": json.dumps(asdict(net.shape))})


def load_net(path: Path, game: Game | None = None) -> Net:
    """The net in a file. UserError when it is none, or one of another game than `game`."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            told = json.loads(file.metadata()["shape"])
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        shape = Shape(**told | {"cell_of": tuple(told["cell_of"])})
    except FileNotFoundError:
        raise UserError("there is no net", path, "give the path of a net.safetensors") from None
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as wrong:
        raise UserError(f"this is not a net of selfplay: {wrong}", path) from wrong
    if game is not None and shape != shape_of(game, shape.blocks, shape.channels):
        raise UserError(
            f"this net plays {shape.rules}, and not {game.rules}", path, "give a net of that game"
        )
    net = Net(shape)
    try:
        net.load_state_dict(weights)
    except RuntimeError as wrong:
        raise UserError(f"the weights are not those of its shape: {wrong}", path) from wrong
    return net


def device_of(wanted: str) -> torch.device:
    """`auto`: a GPU where there is one."""
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(wanted)


_trace: Any = torch.jit.trace


@cache
def keep_memory() -> None:
    """Let this process keep the memory that it frees, as a net wants large arrays all the time.

    glibc hands blocks back to the kernel from a size on that is no less than the largest that was
    ever freed, up to 32 MB. Else every layer's output is paid for by page faults, which take
    a third of the time of a 4x32 net and 256 rows.
    """
    np.empty(31 << 20, np.uint8)


def evaluator(net: Net, device: str = "cpu", traced: bool = True) -> Evaluate:
    """The net frozen for inference. The rows of a batch do not depend on one another's bits.

    A caller pads its batches to a multiple of 32 rows: of smaller ones other kernels are used.
    Tracing costs half a CPU-second, and pays from some thousand positions on.
    """
    import warnings

    keep_memory()
    where = device_of(device)
    shape = net.shape
    like = torch.zeros((64, shape.planes, shape.height, shape.width), device=where)
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # tracing is deprecated, and still the fastest on a CPU
        ready: Any = net.to(where).eval()
        if traced:
            ready = torch.jit.freeze(_trace(ready, like))
            if where.type == "cpu":
                ready = torch.jit.optimize_for_inference(ready)
            for _ in range(3):  # the first calls compile
                ready(like)

    def evaluate(planes: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        with torch.inference_mode():
            logits, values = ready(torch.from_numpy(planes).to(where))
            return logits.cpu().numpy(), values.cpu().numpy()

    return evaluate
