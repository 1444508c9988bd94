"""Nim by self-play: a player that learns from nothing but the results of its own games.

    stillroom run examples/nim.py --count 200

Shows a world with state: a table of what was won and lost. In each generation `make` plays games by
it (Thompson sampling, 1933: a move is tried as often as it may still be the best), `check` judges
them by the rule book, `learn` counts. The best move is known, but only to `audit`, at the end.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from pathlib import Path

import numpy as np
import pyarrow as pa
from pydantic import Field

from stillroom import Check, Context, Data, Finding, Record, Task, Verdict, View, World

PLAYERS = ("first", "second")
MOVE = pa.struct({"player": pa.string(), "heap": pa.int64(), "take": pa.int64()})
Games = Sequence[Iterable[Record]]  # of each generation so far
GAME = {"game": pa.int64(), "heap": pa.int64(), "moves": pa.list_(MOVE), "winner": pa.string()}


class Nim(World):
    """One heap of stones. In turn, two players take 1 to 3; who takes the last stone wins."""

    name, schema = "nim", pa.struct(GAME)
    generations: int = Field(default=6, ge=1)

    def plan(self, generation: int) -> Iterator[Task]:
        return ({"game": game, "heap": 1 + game % 15} for game in count())

    def start(self, ctx: Context) -> Path:
        return self.learn(None, [], ctx)

    def make(self, task: Task, ctx: Context) -> list[Data]:
        table, heap, moves = np.array(json.loads(ctx.state.read_text())), task["heap"], []
        free = ctx.rng.random() < 0.25  # one game in four begins with any move
        while heap:
            known = table[heap, : min(3, heap)] * (not free or len(moves) > 0)
            take = 1 + int(ctx.rng.beta(1 + known[:, 0], 1 + known[:, 1]).argmax())
            moves.append({"player": PLAYERS[len(moves) % 2], "heap": heap, "take": take})
            heap -= take
        return [{**task, "moves": moves, "winner": moves[-1]["player"]}]

    def check(self, task: Task, data: Data, ctx: Context) -> Verdict:
        moves, takes = data["moves"], [move["take"] for move in data["moves"]]
        heaps = [task["heap"] - sum(takes[:number]) for number in range(len(moves) + 1)]
        turns = [PLAYERS[number % 2] for number in range(len(moves))]
        rules = {
            "the game asked for": {key: data[key] for key in task} == task,
            "takes 1 to 3": all(1 <= take <= 3 for take in takes),
            "heaps follow": [move["heap"] for move in moves] == heaps[:-1],
            "players alternate": [move["player"] for move in moves] == turns,
            "played to the end": heaps[-1] == 0,
            "last taker wins": [data["winner"]] == turns[-1:],
        }
        seen = f"by its takes the heap goes {heaps}; said to win: {data['winner']}"
        return Verdict(tuple(Check(rule, ok, seen) for rule, ok in rules.items()))

    def learn(self, state: Path | None, generations: Games, ctx: Context) -> Path:
        table = np.zeros((16, 3, 2))  # by heap, take - 1, and won or lost
        for records in generations:
            table *= 0.25  # opponents were weaker then: those games count for less
            for record in records:
                for move in record.data["moves"]:
                    lost = int(move["player"] != record.data["winner"])
                    table[move["heap"], move["take"] - 1, lost] += 1
        path = ctx.scratch / "table.json"
        path.write_text(json.dumps(table.tolist()))
        return path

    def audit(self, generations: Games, ctx: Context) -> list[Finding]:
        won, lost = np.moveaxis(np.array(json.loads(ctx.state.read_text())), 2, 0)
        best = 1 + ((1 + won) / (2 + won + lost)).argmax(axis=1)
        missed = [heap for heap in range(1, 16) if heap % 4 and best[heap] != heap % 4]
        found = 1 - len(missed) / 12
        return [
            Finding(
                "optimal moves found",
                found,
                "share",
                not missed,
                f"missed at {missed}" if missed else "",
            )
        ]

    def show(self, record: Record) -> View:
        heap, moves, winner = (record.data[key] for key in ("heap", "moves", "winner"))
        lines = ["{player} takes {take} of {heap}".format(**move) for move in moves]
        text = "\n".join([*lines, f"{winner} wins"])
        ask = f"Take 1 to 3 in turn, the last stone wins. Play a game from a heap of {heap}."
        chat = ({"role": "user", "content": ask}, {"role": "assistant", "content": text})
        tags = {"difficulty": "hard" if heap > 7 else "easy", "winner": winner}
        return View(text, chat, tags=tags, features={"heap": heap, "moves": len(moves)})

    def read(self, task: Task, text: str) -> Data:
        *lines, end = text.split("\n")
        found = [re.fullmatch(r"(first|second) takes (\d+) of (\d+)", line) for line in lines]
        if not all(found) or end not in ("first wins", "second wins"):
            raise ValueError("expected lines like 'first takes 3 of 7', at the end 'first wins'")
        moves = [{"player": m[1], "heap": int(m[3]), "take": int(m[2])} for m in found]
        return {**task, "moves": moves, "winner": end.split()[0]}

    def spoil(self, data: Data, rng: np.random.Generator) -> tuple[str, Data]:
        moves, at = data["moves"], int(rng.integers(len(data["moves"])))
        greedy = {**moves[at], "take": moves[at]["take"] + 3}
        faults = {
            "illegal take": {"moves": [*moves[:at], greedy, *moves[at + 1 :]]},
            "skipped move": {"moves": [*moves[:at], *moves[at + 1 :]]},
            "wrong winner": {"winner": PLAYERS[data["winner"] == "first"]},
        }
        kind = str(rng.choice(list(faults)))
        return kind, {**data, **faults[kind]}
