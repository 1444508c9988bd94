"""A student of documents: an interpolated trigram model."""

from collections.abc import Sequence

import numpy as np

from stillroom.collapse.lab.documents import MOST, Documents
from stillroom.collapse.lab.students import Array
from stillroom.collapse.simulate import Decoding

MORE = (2 / 3, 0.4)  # two words' weight beside one, three's beside both (Jelinek, Mercer 1980)
FLOOR = 0.01  # of the probability, spread over all words: for perplexity alone, never sampled


class Trigrams:
    """The words of a corpus in the order of their contexts, so that drawing one is an index."""

    def __init__(self, data: Documents, seed: int, n: int, rare: float, corpus: Sequence[str]):
        self._data, self._seed, self._n, self._rare = data, seed, n, rare
        self._words = list(data.vocabulary)
        self._end = len(self._words)
        self._base = self._end + 2
        first, second, words = self._context([self._ids(item) for item in corpus])
        self._unigrams = np.sort(words)
        two, three = second, first * self._base + second
        order = np.argsort(two, kind="stable")
        self._two, self._after_two = two[order], words[order]
        order = np.argsort(three, kind="stable")
        self._three, self._after_three = three[order], words[order]
        self._pairs = np.sort(two * self._base + words)
        self._triples = np.sort(three * self._base + words)

    def _ids(self, item: str) -> list[int]:
        return [self._data.vocabulary[word] for word in item.split(" ")] if item else []

    def _context(self, documents: Sequence[list[int]]) -> tuple[Array, Array, Array]:
        """Of every word and every end: the two before it, and itself."""
        begin = self._end + 1
        rows = [[begin, begin, *ids, self._end] for ids in documents]
        first = np.array([i for row in rows for i in row[:-2]], np.int64)
        second = np.array([i for row in rows for i in row[1:-1]], np.int64)
        words = np.array([i for row in rows for i in row[2:]], np.int64)
        return first, second, words

    def sample(self, count: int, how: Decoding, rng: np.random.Generator) -> list[str]:
        begin = self._end + 1
        first, second = np.full(count, begin, np.int64), np.full(count, begin, np.int64)
        said: list[list[str]] = [[] for _ in range(count)]
        rows = np.arange(count)
        for _ in range(MOST):
            chosen = self._next(first, second, rng)
            going = chosen != self._end
            for row, word in zip(rows[going].tolist(), chosen[going].tolist(), strict=True):
                said[row].append(self._words[word])
            rows, first, second = rows[going], second[going], chosen[going]
            if not len(rows):
                break
        return [" ".join(words) for words in said]

    def _next(self, first: Array, second: Array, rng: np.random.Generator) -> Array:
        """One word after each context; what was never seen is made up for by fewer words."""
        dice, which = rng.random((2, len(first))), rng.random(len(first))
        chosen = self._unigrams[(which * len(self._unigrams)).astype(int)]
        three = first * self._base + second
        for keys, after, key, use in (
            (self._two, self._after_two, second, dice[0] < MORE[0]),
            (self._three, self._after_three, three, dice[1] < MORE[1]),
        ):
            low, high = np.searchsorted(keys, key), np.searchsorted(keys, key, "right")
            use &= high > low
            place = np.where(use, low + (which * (high - low)).astype(int), 0)
            chosen = np.where(use, after[place], chosen)
        found: Array = chosen
        return found

    def answer(self, questions: Sequence[str], rng: np.random.Generator | None) -> list[str]:
        return []

    def nats(self) -> Array:
        types = self._data.types(self._seed, self._n)
        documents = self._data.held_out(self._seed)
        ids = [self._ids(item) for item in documents]
        first, second, words = self._context(ids)
        nats = -np.log(self._probability(first, second, words))
        found, begin = np.zeros(2 * len(documents)), 0
        for number, item in enumerate(documents):
            said = item.split(" ")
            rare = np.array([0 < types.get(word, 0) < self._rare for word in said] + [False])
            mine = nats[begin : begin + len(rare)]
            found[2 * number], found[2 * number + 1] = mine[~rare].sum(), mine[rare].sum()
            begin += len(rare)
        return found

    def _probability(self, first: Array, second: Array, words: Array) -> Array:
        three = first * self._base + second
        p = _times(self._unigrams, words) / len(self._unigrams)
        for weight, seen, key, joint in (
            (MORE[0], self._two, second, self._pairs),
            (MORE[1], self._three, three, self._triples),
        ):
            total = _times(seen, key)
            with np.errstate(invalid="ignore", divide="ignore"):
                share = _times(joint, key * self._base + words) / total
            p = np.where(total > 0, (1 - weight) * p + weight * share, p)
        found: Array = (1 - FLOOR) * p + FLOOR / (self._end + 1)
        return found


def _times(ordered: Array, keys: Array) -> Array:
    found: Array = np.searchsorted(ordered, keys, "right") - np.searchsorted(ordered, keys)
    return found
