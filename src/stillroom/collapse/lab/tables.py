"""Students that are tables: one knows which rules there are, one knows cells alone."""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from stillroom.collapse.lab.rules import PAIRS, SYMBOLS, Rules
from stillroom.collapse.lab.students import Array, decoded, draw
from stillroom.collapse.simulate import Decoding
from stillroom.world import stream

SLIP = 0.02  # the chance of a wrong symbol that a rule table reckons with
BACKED = 0.5  # what a cell table adds to its counts from all slices together
UNSEEN = 0.01  # added to each slice's count, for perplexity alone


class Knowledge(Protocol):
    """What a table has learnt of the answers in each slice."""

    def answers(
        self, slices: Array, pairs: Array, how: Decoding, rng: np.random.Generator | None
    ) -> Array:
        """An answer to each question: drawn, or the likeliest without a stream."""

    def probability(self, slices: Array, pairs: Array, answers: Array) -> Array:
        """Of each answer to its question."""


class Table:
    """Counts of slices, and what is known of the answers in each (rules or cells).

    A table samples questions uniformly from the learnable pairs.
    """

    def __init__(
        self,
        data: Rules,
        corpus: Sequence[str],
        learn: Callable[[Rules, Array, Array, Array], Knowledge],
    ) -> None:
        slices, pairs, answers = data.parsed(corpus).T
        self._data, self._known = data, learn(data, slices, pairs, answers)
        self._shares = np.bincount(slices, minlength=data.slices) / len(slices)

    def sample(self, count: int, how: Decoding, rng: np.random.Generator) -> list[str]:
        slices = rng.choice(len(self._shares), size=count, p=decoded(self._shares, how))
        pairs = rng.choice(np.flatnonzero(~self._data.held), size=count)
        return _items(slices, pairs, self._known.answers(slices, pairs, how, rng))

    def answer(self, questions: Sequence[str], rng: np.random.Generator | None) -> list[str]:
        slices = np.array([int(question[:3]) for question in questions])
        pairs = np.array([int(question[4:6]) for question in questions])
        return [
            f"{one:02d}" for one in self._known.answers(slices, pairs, Decoding(), rng).tolist()
        ]

    def nats(self) -> Array:
        data, smooth = self._data, self._shares + UNSEEN / self._data.n
        slices = np.repeat(np.arange(data.slices), data.scored.shape[1])
        pairs = data.scored.ravel()
        answers = data.answers(data.book[data.rule_of[slices]], pairs)
        free = PAIRS - data.held.sum()
        each = -np.log(self._known.probability(slices, pairs, answers)).reshape(data.scored.shape)
        found: Array = each.mean(1) - np.log(smooth / smooth.sum()) + np.log(free)
        return found


class RuleTable:
    """The posterior over the known rules in each slice: a neural student without its noise."""

    def __init__(self, data: Rules, slices: Array, pairs: Array, answers: Array) -> None:
        self._data = data
        logs = np.zeros((data.slices, data.rules))
        for rule in range(data.rules):
            hits = self._hits(data, np.full(len(pairs), rule), pairs, answers)
            each = hits * np.log(1 - SLIP) + (2 - hits) * np.log(SLIP / (SYMBOLS - 1))
            logs[:, rule] = np.bincount(slices, each, data.slices)
        # Who knows nothing of a slice guesses one rule for all of it, another in each slice.
        logs += 1e-9 * stream("collapse rule table").random(logs.shape)
        weights = np.exp(logs - logs.max(1, keepdims=True))
        self._posterior = weights / weights.sum(1, keepdims=True)

    @staticmethod
    def _hits(data: Rules, rules: Array, pairs: Array, answers: Array) -> Array:
        true = data.answers(data.book[rules], pairs)
        found: Array = (true // SYMBOLS == answers // SYMBOLS).astype(int)
        found += true % SYMBOLS == answers % SYMBOLS
        return found

    def answers(
        self, slices: Array, pairs: Array, how: Decoding, rng: np.random.Generator | None
    ) -> Array:
        odds = decoded(self._posterior[slices], how)
        rules = odds.argmax(1) if rng is None else draw(odds, rng)
        return self._data.answers(self._data.book[rules], pairs)

    def probability(self, slices: Array, pairs: Array, answers: Array) -> Array:
        total = np.zeros(len(slices))
        for rule in range(self._data.rules):
            hits = self._hits(self._data, np.full(len(pairs), rule), pairs, answers)
            each = (1 - SLIP) ** hits * (SLIP / (SYMBOLS - 1)) ** (2 - hits)
            total += self._posterior[slices, rule] * each
        return total


class CellTable:
    """Counts per slice and symbol, backed off to all slices together: it can't generalise."""

    def __init__(self, data: Rules, slices: Array, pairs: Array, answers: Array) -> None:
        self._data = data
        cells = np.zeros((data.slices, SYMBOLS, SYMBOLS))
        for symbols, said in zip(self._parts(pairs), self._turned(answers), strict=True):
            np.add.at(cells, (slices, symbols, said), 1)
        common = cells.sum(0) + 1.0
        common /= common.sum(-1, keepdims=True)
        cells += BACKED * common
        self._cells = cells / cells.sum(-1, keepdims=True)

    @staticmethod
    def _parts(numbers: Array) -> tuple[Array, Array]:
        return numbers // SYMBOLS, numbers % SYMBOLS

    def _turned(self, answers: Array) -> tuple[Array, Array]:
        """The symbols of answers in the order of the pair's."""
        first, second = self._parts(answers)
        return (second, first) if self._data.crossed else (first, second)

    def answers(
        self, slices: Array, pairs: Array, how: Decoding, rng: np.random.Generator | None
    ) -> Array:
        odds = [decoded(self._cells[slices, symbols], how) for symbols in self._parts(pairs)]
        said = [one.argmax(1) if rng is None else draw(one, rng) for one in odds]
        first, second = said[::-1] if self._data.crossed else said
        found: Array = SYMBOLS * first + second
        return found

    def probability(self, slices: Array, pairs: Array, answers: Array) -> Array:
        total = np.ones(len(slices))
        for symbols, said in zip(self._parts(pairs), self._turned(answers), strict=True):
            total *= self._cells[slices, symbols, said]
        return total


def _items(slices: Array, pairs: Array, answers: Array) -> list[str]:
    rows = zip(slices.tolist(), pairs.tolist(), answers.tolist(), strict=True)
    return [f"{k:03d}:{pair:02d}={answer:02d}" for k, pair, answer in rows]
