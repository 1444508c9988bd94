"""The learner: after each generation, the net is trained on the newest games.

Strict and repeatable: one thread, the same order for the same stream, no state but what lies in
the folder. The weights that act are a moving average of those that learn (live).
"""

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch.nn import functional

from stillroom.worlds.selfplay.game import Game
from stillroom.worlds.selfplay.net import Net
from stillroom.worlds.selfplay.records import GAME, unpacked

if TYPE_CHECKING:
    from stillroom.record import Record

WARM_UP = 50  # steps
DECAY = 1e-3  # of matrices
REPLY, OWNERSHIP, SCORE = 0.15, 0.15, 0.02  # weights of the losses beside policy and value
POINTS = 10.0  # a score's unit


class Positions(NamedTuple):
    """Training data of n positions."""

    planes: NDArray[np.float32]  # [n, planes, height, width]
    legal: NDArray[np.bool_]  # [n, A]
    policy: NDArray[np.float32]  # [n, A]
    trusted: NDArray[np.float32]  # [n]: 1 where the policy is a target
    value: NDArray[np.float32]  # [n]
    reply: NDArray[np.float32]  # [n, A]: the policy at the opponent's next move
    replied: NDArray[np.float32]  # [n]
    ownership: NDArray[np.float32]  # [n, cells], for the mover
    score: NDArray[np.float32]  # [n], for the mover
    settled: NDArray[np.float32]  # [n]: 1 where ownership and score are known


def games_of(records: "Iterable[Record]") -> pa.StructArray:
    """The data of records as one Arrow array; of a run's part, without making objects of it."""
    table = getattr(records, "table", None)
    if table is not None:
        column = table()["data"]
        return pa.concat_arrays(column.chunks) if column.num_chunks != 1 else column.chunk(0)
    return pa.array([record.data for record in records], GAME)


def positions_of(game: Game, games: pa.StructArray, mix: float) -> Positions:
    """All positions of some games. `mix`: the share of the search's value in the value to learn."""
    lists = games.field("positions")
    rows = lists.flatten()
    count = len(rows)
    lengths = np.diff(lists.offsets.to_numpy())
    of = np.repeat(np.arange(len(games)), lengths)
    policy = _matrix(rows.field("policy"), game.actions)
    proof = rows.field("proof").fill_null(2).to_numpy(zero_copy_only=False)
    full = rows.field("full").to_numpy(zero_copy_only=False)
    outcome = rows.field("outcome").to_numpy().astype(np.float32)
    outcome = np.where(proof == 2, outcome, proof).astype(np.float32)
    value = rows.field("value").to_numpy().astype(np.float32)
    # Where all moves lose, none is better than another: there is no policy to learn.
    trusted = (full & (proof != -1)).astype(np.float32)
    follows = np.zeros(count, bool)
    follows[:-1] = of[1:] == of[:-1]
    reply = np.zeros_like(policy)
    reply[:-1] = policy[1:]
    replied = np.zeros(count, np.float32)
    replied[:-1] = trusted[1:]
    sign = np.where(rows.field("ply").to_numpy() % 2 == 0, 1, -1).astype(np.float32)
    ownership, score, settled = _territory(game, games)
    return Positions(
        planes_of(game, rows),
        rows.field("legal").flatten().to_numpy(zero_copy_only=False).reshape(-1, game.actions),
        policy,
        trusted,
        (1 - mix) * outcome + np.float32(mix) * value,
        reply,
        replied * follows,
        ownership[of] * sign[:, None],
        score[of] * sign / POINTS,
        settled[of],
    )


def _matrix(column: pa.Array, width: int) -> NDArray[np.float32]:
    flat: NDArray[np.float32] = column.flatten().to_numpy()
    return flat.reshape(-1, width)


def planes_of(game: Game, rows: pa.StructArray) -> NDArray[np.float32]:
    """The planes of recorded positions: [n, planes, height, width]."""
    column, shape = rows.field("planes"), (game.planes, game.height, game.width)
    width = -(-shape[0] * shape[1] * shape[2] // 8)
    offsets = np.frombuffer(column.buffers()[1], np.int32)[column.offset :]
    data = np.frombuffer(column.buffers()[2], np.uint8)
    bits = data[offsets[0] : offsets[0] + width * len(column)].reshape(-1, width)
    levels = np.ones((len(column), game.planes), np.float32)
    told = rows.field("levels")
    known = told.is_valid().to_numpy(zero_copy_only=False)
    if known.any():
        levels[known] = _matrix(told.drop_null(), game.planes)
    return unpacked(bits, levels, shape)


def _territory(
    game: Game, games: pa.StructArray
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Ownership [games, cells] and score [games] for the first player, and where they are known."""
    column = games.field("ownership")
    known = column.is_valid().to_numpy(zero_copy_only=False)
    ownership = np.zeros((len(games), game.height * game.width), np.float32)
    score = np.zeros(len(games), np.float32)
    if known.any():
        ownership[known] = _matrix(column.drop_null(), ownership.shape[1])
        score[known] = games.field("score").drop_null().to_numpy()
    return ownership, score, known.astype(np.float32)


def window(
    game: Game, generations: "Sequence[Iterable[Record]]", least: int, mix: float
) -> tuple[Positions, int, int]:
    """The newest positions, how many of them are new, and how many there are in all.

    The window holds `least` positions, and more of a longer run: it grows as the square root.
    """
    newest = games_of(generations[-1])
    parts, fresh = [newest], _count(newest)
    earlier = [games_of(one) for one in generations[:-1]]
    total = fresh + sum(_count(one) for one in earlier)
    wanted = max(least, int(math.sqrt(least * total)))
    have = fresh
    while have < wanted and earlier:
        parts.append(earlier.pop())
        have += _count(parts[-1])
    every = [positions_of(game, part, mix) for part in parts]
    joined = Positions(*(np.concatenate(columns)[:wanted] for columns in zip(*every, strict=True)))
    return joined, fresh, total


def _count(games: pa.StructArray) -> int:
    return len(games.field("positions").flatten())


class Course(NamedTuple):
    """How a net is trained."""

    rates: list[float]  # of each step
    batch: int
    averaging: float


def optimizer_of(net: Net) -> torch.optim.AdamW:
    """AdamW that decays matrices alone."""
    weights = list(net.parameters())
    groups = [
        {"params": [w for w in weights if w.ndim > 1], "weight_decay": DECAY},
        {"params": [w for w in weights if w.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=0.0, fused=True)


def loss_of(net: Net, batch: Sequence[torch.Tensor]) -> torch.Tensor:
    """The sum of the heads' losses on a batch of Positions as tensors."""
    at: Any = Positions(*batch)  # type: ignore[arg-type]  # its columns as tensors
    said = net.everything(at.planes)
    total: torch.Tensor = _mean(
        _cross_entropy(said.policy + (~at.legal) * -1e4, at.policy), at.trusted
    )
    total = total + functional.mse_loss(said.value, at.value)
    total = total + REPLY * _mean(_cross_entropy(said.reply, at.reply), at.replied)
    if said.ownership is not None and said.score is not None:
        cells = ((said.ownership - at.ownership) ** 2).mean(1)
        lead = functional.huber_loss(said.score, at.score, reduction="none")
        total = total + _mean(OWNERSHIP * cells + SCORE * lead, at.settled)
    return total


def _cross_entropy(logits: Any, target: Any) -> Any:
    return -(functional.log_softmax(logits, 1) * target).sum(1)


def _mean(losses: Any, weight: Any) -> Any:
    return (losses * weight).sum() / weight.sum().clamp(min=1.0)


def train(
    game: Game,
    live: Net,
    acting: Net,
    optimizer: torch.optim.Optimizer,
    data: Positions,
    course: Course,
    done: int,
    rng: np.random.Generator,
) -> float:
    """A step for each rate, on random positions that are turned at random; the mean loss.

    `done` steps came before. The acting weights follow the live ones as a moving average.
    """
    live.train()
    total = 0.0
    pairs = list(zip(acting.parameters(), live.parameters(), strict=True))
    for step, rate in enumerate(course.rates):
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1.0, (done + step + 1) / WARM_UP)
        loss = loss_of(live, _batch(game, data, course.batch, rng))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(live.parameters(), 1.0)
        optimizer.step()
        # Early on an average over many steps would still be the random start.
        keep = min(course.averaging, (done + step + 1) / (done + step + 10))
        with torch.no_grad():
            for mean, weight in pairs:
                mean.lerp_(weight, 1.0 - keep)
        total += float(loss.detach())
    return total / max(1, len(course.rates))


def _batch(game: Game, data: Positions, size: int, rng: np.random.Generator) -> list[torch.Tensor]:
    """Random positions; each symmetry is given to an equal share of them, on average."""
    picked = rng.integers(len(data.value), size=size)
    turns = rng.integers(len(game.symmetries), size=size)
    columns = {name: column[picked] for name, column in data._asdict().items()}
    for name, moved in (
        ("planes", game.cells),
        ("legal", game.symmetries),
        ("policy", game.symmetries),
        ("reply", game.symmetries),
        ("ownership", game.cells),
    ):
        column = columns[name]
        flat = column.reshape(*column.shape[: 2 if name == "planes" else 1], -1)
        # What goes from a to moved[a] comes to b from the inverse.
        back = np.argsort(moved, axis=1)[turns]
        if name == "planes":
            back = np.repeat(back[:, None], flat.shape[1], axis=1)
        columns[name] = np.take_along_axis(flat, back, axis=-1).reshape(column.shape)
    return [torch.from_numpy(column) for column in columns.values()]
