"""A net fitted to what a run of selfplay exported, by a training loop of its own.

Planes, policies and values are read by what the export's README says of them; the net's shape is
the run's.
"""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from stillroom import export
from stillroom import open as open_dataset
from stillroom.worlds.selfplay.contest import last_net
from stillroom.worlds.selfplay.grading import raw, unseen
from stillroom.worlds.selfplay.net import Net, evaluator, new_net
from stillroom.worlds.selfplay.positions import grade, shipped_positions


def offline(folder: str, positions: int, steps: int) -> dict[str, float]:
    """Raw policies of the run's own net and of one fitted to its newest positions, percent."""
    torch.set_num_threads(1)
    out = Path(folder) / "run"
    game, own = last_net(out)
    with tempfile.TemporaryDirectory() as scratch:
        exported = export(out, "positions", Path(scratch) / "positions")
        data = _exported(Path(exported), positions)
    fitted = new_net(own.shape, 12345)
    mean = _fit(fitted, data, steps)
    test = shipped_positions(game)
    test = unseen(game, test, {name for one in open_dataset(out) for name in _canonical(one)})
    found = {
        name: grade(raw(game, evaluator(net)), test) for name, net in (("own", own), ("fit", mean))
    }
    return {name: 100 * one.all.share for name, one in found.items()} | {"n": len(test)}


def _canonical(record: Any) -> Iterator[str]:
    return (at["canonical"] for at in record.data["positions"])


def _exported(folder: Path, count: int) -> list[torch.Tensor]:
    """Planes, legal, policy, weight of the policy, value of the newest positions of a file."""
    parts = [pq.read_table(path) for path in sorted((folder / "data" / "train").glob("*.parquet"))]
    table = pa.concat_tables(parts)
    about = parts[0].schema.metadata
    shape, actions = json.loads(about[b"planes"]), int(about[b"actions"])
    newest = np.argsort(-table["generation"].to_numpy(), kind="stable")[:count]
    table = table.take(pa.array(np.sort(newest))).combine_chunks()
    bits = np.stack([np.frombuffer(one, np.uint8) for one in table["planes"].to_pylist()])
    cells = int(np.prod(shape))
    planes = np.unpackbits(bits, axis=1, count=cells).reshape(-1, *shape).astype(np.float32)
    legal = np.array(table["legal"].to_pylist())
    policy = np.array([one or [0.0] * actions for one in table["policy"].to_pylist()], np.float32)
    proof = table["proof"].to_pylist()
    known = np.array([one is not None for one in proof])
    weight = (policy.sum(1) > 0) & np.array([one != -1 for one in proof])
    outcome = np.where(known, [one or 0 for one in proof], table["outcome"].to_numpy())
    value = (outcome + table["value"].to_numpy()) / 2
    return [
        torch.from_numpy(np.ascontiguousarray(one))
        for one in (planes, legal, policy, weight.astype(np.float32), value.astype(np.float32))
    ]


def _fit(net: Net, data: list[torch.Tensor], steps: int) -> Net:
    """Train a net on positions, a half of each batch mirrored; the mean of the late weights."""
    optimizer = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=1e-3)
    fall = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps, pct_start=0.05)
    chance = torch.Generator().manual_seed(0)
    mean = torch.optim.swa_utils.AveragedModel(
        net, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.99)
    )
    for _ in range(steps):
        rows = torch.randint(len(data[0]), (256,), generator=chance)
        planes, legal, policy, weight, value = (column[rows] for column in data)
        turned = torch.rand(len(rows), generator=chance) < 0.5
        for one in (planes, legal, policy):
            one[turned] = one[turned].flip(-1)
        logits, said = net(planes)
        log = torch.log_softmax(logits + (~legal) * -1e4, 1)
        loss = -((log * policy).sum(1) * weight).sum() / weight.sum().clamp(min=1)
        loss = loss + torch.nn.functional.mse_loss(said, value)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        fall.step()
        mean.update_parameters(net)
    return mean.module
