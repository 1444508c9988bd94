"""Examples in batches: rows of about equal length, in an order that a seed decides."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from stillroom.students.chat import Example
from stillroom.world import stream

STRETCH = 16  # batches that are sorted by length together


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows padded to one width.

    ids [B, W] tokens; flat [N] places in ids.reshape(-1) whose next token is learnt; labels [N]
    those tokens; rows which examples each row holds; tokens how many of B x W are not padding.
    `positions` [B, W] restart where packed examples begin; None when each row is one example.
    """

    ids: Any
    flat: Any
    labels: Any
    rows: list[list[int]]
    tokens: int
    positions: Any = None


class Examples:
    """All examples in two flat arrays, so that a batch is cut out quickly."""

    def __init__(self, examples: Sequence[Example]) -> None:
        self.lengths = np.array([len(one.ids) for one in examples], np.int64)
        self.starts = np.array([one.start for one in examples], np.int64)
        self.offsets = np.concatenate([[0], np.cumsum(self.lengths)]).astype(np.int64)
        flat = [token for one in examples for token in one.ids]
        self.ids = np.array(flat, np.int64)

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def tokens(self) -> int:
        return int(self.offsets[-1])

    def of(self, row: int) -> Any:
        return self.ids[self.offsets[row] : self.offsets[row + 1]]


def passes(lengths: Any, size: int, seed: int, number: int) -> list[list[int]]:
    """The batches of pass `number`: shuffled, then in stretches sorted by length, then shuffled."""
    rng = stream(f"pass {number} of seed {seed}")
    order = rng.permutation(len(lengths))
    batches: list[list[int]] = []
    for begin in range(0, len(order), size * STRETCH):
        some = order[begin : begin + size * STRETCH]
        some = some[np.argsort(lengths[some], kind="stable")]
        batches += [some[i : i + size].tolist() for i in range(0, len(some), size)]
    return [batches[i] for i in rng.permutation(len(batches))]


def packed(lengths: Any, size: int, width: int, seed: int, number: int) -> list[list[list[int]]]:
    """Like `passes`, but each row of a batch is a list of examples that fit `width` together.

    First fit over shuffled examples, a handful of rows open at a time.
    """
    rng = stream(f"pass {number} of seed {seed}")
    full: list[list[int]] = []
    open_: list[tuple[int, list[int]]] = []
    for row in rng.permutation(len(lengths)).tolist():
        length = int(lengths[row])
        place = next((i for i, (used, _) in enumerate(open_) if used + length <= width), None)
        if place is None:
            open_.append((length, [row]))
            if len(open_) > 64:
                full.append(open_.pop(0)[1])
        else:
            used, members = open_[place]
            open_[place] = (used + length, [*members, row])
    full += [members for _, members in open_]
    return [full[i : i + size] for i in range(0, len(full), size)]


def collate(data: Examples, rows: Sequence[int], pad: int) -> Batch:
    """One example a row, padded on the right: causal attention needs no mask for that."""
    return pack(data, [[row] for row in rows], pad, several=False)


def pack(data: Examples, rows: Sequence[Sequence[int]], pad: int, several: bool = True) -> Batch:
    """Several examples a row, with positions that restart at each of them."""
    import torch

    width = max(int(sum(data.lengths[list(row)])) for row in rows)
    ids = np.full((len(rows), width), pad, np.int64)
    positions = np.zeros((len(rows), width), np.int64)
    flat, labels, tokens = [], [], 0
    for number, row in enumerate(rows):
        begin = 0
        for one in row:
            said = data.of(one)
            end = begin + len(said)
            ids[number, begin:end] = said
            positions[number, begin:end] = np.arange(len(said))
            first = int(data.starts[one])
            base = number * width + begin
            flat.append(np.arange(base + first - 1, base + len(said) - 1))
            labels.append(said[first:])
            begin, tokens = end, tokens + len(said)
        positions[number, begin:] = np.arange(width - begin)
    return Batch(
        torch.from_numpy(ids),
        torch.from_numpy(np.concatenate(flat)),
        torch.from_numpy(np.concatenate(labels)),
        [list(row) for row in rows],
        tokens,
        torch.from_numpy(positions) if several else None,
    )
