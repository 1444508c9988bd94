"""Human documents as data of the laboratory: their types are words, and only people bring new ones.

An item is a document, its words parted by blanks.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from stillroom import files
from stillroom.errors import UserError
from stillroom.world import stream

Array = NDArray[Any]

SHORTEST, LONGEST = 8, 200  # words of a human document; longer ones are cut
MOST = 10 * LONGEST  # of a sampled one: cut sooner, corpora would shrink from turn to turn
HELD_OUT = 300  # documents of a seed that measure perplexity, and nothing else
_WORD = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True)
class Documents:
    """A corpus of human documents: a Parquet file with a column `text`, ours or a path."""

    corpus: str
    n: int = 400
    edges: tuple[float, ...] = (0, 2, 3, 5, 10, 25, np.inf)
    """Of the bins by count in the anchor."""
    name = "text"
    accurate = False

    @property
    def texts(self) -> list[str]:
        """All documents as items."""
        return _documents(self.corpus)[0]

    @property
    def vocabulary(self) -> dict[str, int]:
        """The number of each word of the corpus."""
        return _documents(self.corpus)[1]

    def human(self, seed: int, first: int, stop: int) -> list[str]:
        """Human documents of a seed's stream, which ends where the corpus does."""
        order = _order(self, seed)[HELD_OUT:]
        if stop > len(order):
            raise UserError(
                f"{stop} human documents are needed, {len(order)} are there",
                self.corpus,
                "lower n, generations or share, or bring a larger corpus",
            )
        return [self.texts[i] for i in order[first:stop]]

    def held_out(self, seed: int) -> list[str]:
        return [self.texts[i] for i in _order(self, seed)[:HELD_OUT]]

    def types(self, seed: int, n: int) -> dict[str, int]:
        """The words of the anchor, each with its count there."""
        return _types(self, seed, n)

    def expected(self, seed: int, n: int) -> Array:
        """Each type's count in the anchor: known, so nothing has to be expected."""
        return np.array(list(self.types(seed, n).values()))

    def counts(self, seed: int, n: int, items: Sequence[str]) -> Array:
        """How often each type stands in the items."""
        found = Counter(word for item in items for word in item.split(" "))
        return np.array([found[word] for word in self.types(seed, n)])

    def units(self, seed: int, n: int, rare_below: float) -> tuple[Array, Array, Array]:
        """Weight, tokens and rarity of what perplexity is measured on.

        Each held-out document is two units: its other words with its end, and its rare words.
        """
        tokens = _tokens(self, seed, n, rare_below)
        return np.ones(len(tokens)), tokens, np.arange(len(tokens)) % 2 == 1

    def pack(self, items: Sequence[str]) -> list[str]:
        return sorted(items)

    def unpack(self, texts: Sequence[str]) -> list[str]:
        """ValueError for documents out of order, and for words that nobody wrote."""
        known = self.vocabulary
        for before, text in zip(["", *texts], texts, strict=False):
            if text < before:
                raise ValueError(f"{text!r:.40} stands behind {before!r:.40}")
            words = text.split(" ") if text else []
            strange = next((word for word in words if word not in known), None)
            if strange is not None or len(words) > MOST:
                raise ValueError(f"no document of this corpus's words: {strange or text!r:.40}")
        return list(texts)


@lru_cache(maxsize=4)
def _documents(corpus: str) -> tuple[list[str], dict[str, int]]:
    ours = Path(__file__).parents[2] / "corpora" / f"{corpus}.parquet"
    path = ours if corpus.isidentifier() else Path(corpus)
    if not path.is_file():
        raise UserError("there is no such corpus", path, "give the path of a Parquet file")
    if "text" not in pq.read_schema(path).names:
        raise UserError("the corpus has no column `text`", path)
    read = files.read_parquet(path, ["text"])["text"].to_pylist()
    cut = (_WORD.findall(text.lower())[:LONGEST] for text in read if text)
    # Copies are one document: else held-out ones would be learnt from.
    texts = list(dict.fromkeys(" ".join(words) for words in cut if len(words) >= SHORTEST))
    words = sorted({word for text in texts for word in text.split(" ")})
    return texts, {word: number for number, word in enumerate(words)}


@lru_cache(maxsize=16)
def _order(data: Documents, seed: int) -> list[int]:
    """The documents of a seed, those held out first."""
    rng = stream(f"collapse text {seed}")
    order: list[int] = rng.permutation(len(data.texts)).tolist()
    return order


@lru_cache(maxsize=16)
def _tokens(data: Documents, seed: int, n: int, rare_below: float) -> Array:
    types, tokens = data.types(seed, n), []
    for item in data.held_out(seed):
        words = item.split(" ")
        rare = sum(0 < types.get(word, 0) < rare_below for word in words)
        tokens += [len(words) + 1 - rare, rare]
    return np.array(tokens)


@lru_cache(maxsize=16)
def _types(data: Documents, seed: int, n: int) -> dict[str, int]:
    anchor = data.human(seed, 0, n)
    return dict(sorted(Counter(word for item in anchor for word in item.split(" ")).items()))
