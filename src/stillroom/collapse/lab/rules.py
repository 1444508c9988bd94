"""Data whose ability can be asked for: slices that each hide a rule, the rare ones of them too.

An item is "017:34=71": in slice 17 the rule turns 3 into 7 and 4 into 1. A student that knows a
slice's rule answers questions that no corpus holds; one that has forgotten it guesses.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stillroom.world import stream

Array = NDArray[Any]

SYMBOLS = 10
PAIRS = SYMBOLS * SYMBOLS
HELD_OUT = 30  # of the pairs: asked, never learnt from
ASKED = 10  # of them in each slice
OTHERS = 100  # slices that only base students learn
LENGTH = 6  # tokens of an item: slice, two symbols, "=", two symbols
UNSAID = "--"

_PACKED = re.compile(r"(\d{4})(?:\*([1-9]\d*))?")


@dataclass(frozen=True)
class Rules:
    """A book of rules; `crossed` answers in the other order. All of it follows from the name."""

    name: str
    slices: int
    zipf: float
    rules: int
    n: int
    crossed: bool = False
    edges: tuple[float, ...] = (0, 3, 4, 5, 10, 25, np.inf)
    """Of the bins by expected count."""
    accurate = True

    @cached_property
    def shares(self) -> Array:
        """The share of each slice: Zipf's law [K]."""
        p = np.arange(1, self.slices + 1) ** -self.zipf
        found: Array = p / p.sum()
        return found

    @cached_property
    def book(self) -> Array:
        """The rules: permutations of the symbols [R, 10]."""
        rng = stream(f"collapse {self.name} book")
        return np.stack([rng.permutation(SYMBOLS) for _ in range(self.rules)])

    @cached_property
    def rule_of(self) -> Array:
        """Which rule each slice hides, those of base students behind the others [K + OTHERS]."""
        rng = stream(f"collapse {self.name} slices")
        parts = [rng.permutation(np.arange(k) % self.rules) for k in (self.slices, OTHERS)]
        return np.concatenate(parts)

    @cached_property
    def held(self) -> Array:
        """Whether a pair 10 a + b is held out [100]."""
        chosen = stream(f"collapse {self.name} pairs").permutation(PAIRS)[:HELD_OUT]
        return np.isin(np.arange(PAIRS), chosen)

    @cached_property
    def asked(self) -> Array:
        """The held-out pairs that are asked in each slice [K, ASKED]."""
        rng, held = stream(f"collapse {self.name} questions"), np.flatnonzero(self.held)
        return np.stack([rng.choice(held, ASKED, replace=False) for _ in range(self.slices)])

    @cached_property
    def scored(self) -> Array:
        """The learnable pairs whose right items give the perplexity of each slice [K, ASKED]."""
        rng, free = stream(f"collapse {self.name} scored"), np.flatnonzero(~self.held)
        return np.stack([rng.choice(free, ASKED, replace=False) for _ in range(self.slices)])

    @cached_property
    def questions(self) -> list[str]:
        """All questions, slice by slice: "017:34="."""
        return [f"{k:03d}:{pair:02d}=" for k in range(self.slices) for pair in self.asked[k]]

    # What is human.

    def expected(self, seed: int, n: int) -> Array:
        """The expected count of each slice among n human items [K]: the same for every seed."""
        return n * self.shares

    def human(self, seed: int, first: int, stop: int) -> list[str]:
        """Human items of a seed's stream."""
        drawn = stream(f"collapse {self.name} human {seed}").random((stop, 2))[first:]
        slices = np.searchsorted(self.shares.cumsum(), drawn[:, 0]).clip(max=self.slices - 1)
        return self.solved(slices, self._free(drawn[:, 1]))

    def base(self, count: int, rng: np.random.Generator) -> list[str]:
        """Items of the other slices, from which a base student learns the format and the rules."""
        slices = self.slices + rng.integers(OTHERS, size=count)
        return self.solved(slices, self._free(rng.random(count)))

    def _free(self, drawn: Array) -> Array:
        free = np.flatnonzero(~self.held)
        chosen: Array = free[(drawn * len(free)).astype(int)]
        return chosen

    def solved(self, slices: Array, pairs: Array) -> list[str]:
        """The right items of these slices and pairs."""
        answers = self.answers(self.book[self.rule_of[slices]], pairs)
        return [
            f"{k:03d}:{pair:02d}={answer:02d}"
            for k, pair, answer in zip(
                slices.tolist(), pairs.tolist(), answers.tolist(), strict=True
            )
        ]

    def answers(self, rules: Array, pairs: Array) -> Array:
        """What rules [m, 10] make of pairs [m], as 10 a + b [m]."""
        rows = np.arange(len(pairs))
        a, b = rules[rows, pairs // SYMBOLS], rules[rows, pairs % SYMBOLS]
        found: Array = SYMBOLS * b + a if self.crossed else SYMBOLS * a + b
        return found

    # What is told of items.

    def parsed(self, items: Sequence[str]) -> Array:
        """Slice, pair and answer of each item [m, 3]."""
        digits = np.array(items, "S9").view(np.uint8).reshape(-1, 9).astype(int) - ord("0")
        weights = np.zeros((9, 3), int)
        weights[:3, 0], weights[4:6, 1], weights[7:, 2] = (100, 10, 1), (10, 1), (10, 1)
        found: Array = digits @ weights
        return found

    def counts(self, seed: int, n: int, items: Sequence[str]) -> Array:
        """How many of the items are of each slice [K]."""
        return np.bincount(self.parsed(items)[:, 0], minlength=self.slices)

    def right(self, items: Sequence[str]) -> Array:
        """Whether each item is right."""
        slices, pairs, answers = self.parsed(items).T
        true = self.answers(self.book[self.rule_of[slices]], pairs)
        found: Array = answers == true
        return found

    def leaked(self, items: Sequence[str]) -> Array:
        """Whether each item answers a held-out question."""
        found: Array = self.held[self.parsed(items)[:, 1]]
        return found

    def accuracy(self, said: Sequence[str]) -> Array:
        """The share of right answers to `questions` in each slice [K]."""
        true = self.solved(np.repeat(np.arange(self.slices), ASKED), self.asked.ravel())
        right = [item[-2:] == answer for item, answer in zip(true, said, strict=True)]
        found: Array = np.array(right).reshape(-1, ASKED).mean(1)
        return found

    def units(self, seed: int, n: int, rare_below: float) -> tuple[Array, Array, Array]:
        """Weight, tokens and rarity of what perplexity is measured on: a unit is a slice."""
        return self.shares, np.full(self.slices, LENGTH), n * self.shares < rare_below

    # How a record holds them.

    def pack(self, items: Sequence[str]) -> list[str]:
        """A text for each slice: its items as "3471" or "3471*2", sorted."""
        found: list[list[str]] = [[] for _ in range(self.slices)]
        for item, times in sorted(Counter(items).items()):
            code = item[4:6] + item[7:]
            found[int(item[:3])].append(code if times == 1 else f"{code}*{times}")
        return [" ".join(codes) for codes in found]

    def unpack(self, texts: Sequence[str]) -> list[str]:
        """The items of such texts; ValueError where they are not written so."""
        if len(texts) != self.slices:
            raise ValueError(f"{len(texts)} slices, not {self.slices}")
        items: list[str] = []
        for k, text in enumerate(texts):
            before = ""
            for word in text.split(" ") if text else ():
                found = _PACKED.fullmatch(word)
                if found is None or found[1] <= before or found[2] == "1":
                    raise ValueError(f"slice {k}: {word!r:.40} behind {before!r}")
                before = found[1]
                items += [f"{k:03d}:{before[:2]}={before[2:]}"] * int(found[2] or 1)
        return items

    def pack_answers(self, said: Sequence[str]) -> list[str]:
        """A text for each slice; what is no answer stands as "--"."""
        clean = [one if re.fullmatch(r"\d\d", one) else UNSAID for one in said]
        return [" ".join(clean[i : i + ASKED]) for i in range(0, len(clean), ASKED)]

    def unpack_answers(self, texts: Sequence[str]) -> list[str]:
        rows = [text.split(" ") for text in texts]
        if len(rows) != self.slices or any(len(row) != ASKED for row in rows):
            raise ValueError(f"not {ASKED} answers in each of {self.slices} slices")
        said = [one for row in rows for one in row]
        wrong = next((one for one in said if not re.fullmatch(r"\d\d|--", one)), None)
        if wrong is not None:
            raise ValueError(f"an answer is two symbols or --, not {wrong!r:.40}")
        return said


BOOKS = {
    "rules": Rules("rules", slices=150, zipf=1.2, rules=6, n=4000),
    "rules-2": Rules("rules-2", slices=200, zipf=1.1, rules=8, n=5000, crossed=True),
}
