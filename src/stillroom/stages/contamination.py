"""Contamination: are questions that a student is judged by among what it was trained on?

Two measures: equal texts, where one is too many, and shared 13-grams of tokens (Brown et al.,
"Language Models are Few-Shot Learners", 2020, appendix C), which also find a question within a
longer text or with an end of its own. Questions of one template share its 13-grams by nature, so
that figure is to be read; only equal texts are refused.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import NamedTuple
from unicodedata import normalize

import numpy as np
import numpy.typing as npt

from stillroom.errors import UserError
from stillroom.shingling import Shingles, grams, shingles, token_codes

GRAM = 13
WORST = 10
COMMON = 20
"""13-grams that more questions than this have are their template's: they make no pair."""
BATCH = 1 << 18
"""Characters of training texts looked at in one go."""
TABLE = 1 << 18
"""Tokens whose hashes are remembered."""

_TOKEN = re.compile(r"[^\W\d_]+|\d+|[^\w\s]|_")

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


class Pair(NamedTuple):
    """A training text and a question; of the question's own 13-grams, the share in that text."""

    train: str
    held_out: str
    share: float


@dataclass(frozen=True)
class Overlap:
    """What a training set has of held-out questions.

    train, held_out   texts looked at
    exact             questions that are also training texts; exact_pairs: the first ten, by id,
                      (training text, question)
    shared            the share of questions with any 13-gram of a training text
    largest           the largest share of a question's 13-grams that training texts have together
    worst             the ten worst pairs, the 13-grams of a template (see COMMON) set aside
    """

    train: int
    held_out: int
    exact: int
    exact_pairs: tuple[tuple[str, str], ...]
    shared: float
    largest: float
    worst: tuple[Pair, ...]


def contamination(train: Iterable[tuple[str, str]], held_out: Iterable[tuple[str, str]]) -> Overlap:
    """How far `train` has the questions of `held_out`; both are (id, text), read once.

    Texts are equal when they are so in NFKC, case-folded, with white space collapsed. Tokens are
    words, numbers and punctuation marks of that; a question of fewer than 13 tokens is one gram.
    Memory holds the questions' hashes (about 30 bytes a token) and nothing of the training set;
    a million training texts of fifty tokens take about half a CPU-minute.
    """
    questions = _questions(held_out)
    exact: dict[int, None] = {}
    pairs: list[tuple[str, str]] = []
    seen = np.zeros(len(questions.grams), bool)
    best = np.zeros(len(questions.ids))
    nearest = [""] * len(questions.ids)
    table: dict[str, int] = {}
    count = 0
    for ids, texts in _batches(train):
        count += len(ids)
        for name, text in zip(ids, texts, strict=True):
            for number in questions.exact.get(_digest(text), ()):
                exact[number] = None
                if len(pairs) < WORST:
                    pairs.append((name, questions.ids[number]))
        which, gram = _hits(texts, questions, table)
        seen[gram] = True
        for number, text_number, share in _closest(which, gram, questions):
            if share > best[number]:
                best[number], nearest[number] = share, ids[text_number]
    shares = questions.shares(seen)
    worst = np.argsort(-best, kind="stable")[:WORST]
    return Overlap(
        train=count,
        held_out=len(questions.ids),
        exact=len(exact),
        exact_pairs=tuple(pairs),
        shared=float(np.count_nonzero(shares) / len(shares)) if len(shares) else 0.0,
        largest=float(shares.max(initial=0.0)),
        worst=tuple(
            Pair(nearest[n], questions.ids[n], float(best[n])) for n in worst if best[n] > 0
        ),
    )


def refuse(overlap: Overlap) -> None:
    """UserError where a question stands in the training set word for word."""
    if not overlap.exact:
        return
    named = [f"{question} is training text {text}" for text, question in overlap.exact_pairs[:3]]
    more = ", ..." if len(overlap.exact_pairs) > len(named) else ""
    raise UserError(
        f"an evaluation question is in the training set: {overlap.exact:,} of "
        f"{overlap.held_out:,} questions",
        ", ".join(named) + more,
        "take these texts out of the training set, or hold out other questions: what was learnt "
        "by heart says nothing about a student",
    )


def normalised(text: str) -> str:
    """The text in NFKC, case-folded, its runs of white space one blank each and none around it."""
    return " ".join(normalize("NFKC", normalize("NFKC", text).casefold()).split())


def _digest(text: str) -> bytes:
    return blake2b(text.encode(errors="surrogatepass"), digest_size=16).digest()


@dataclass(frozen=True)
class _Questions:
    """Questions by number, and the grams they have.

    exact   numbers by hash of the text
    grams   hashes of all grams, sorted, each once; the questions that have gram g are
            owner[start[g] : start[g + 1]]
    sizes   of grams, in tokens
    own     grams that few questions have; owned: how many of these each question has
    """

    ids: list[str]
    exact: dict[bytes, list[int]]
    grams: Shingles
    start: Ints
    owner: Ints
    sizes: list[int]
    own: Flags
    owned: Ints

    def shares(self, seen: Flags) -> npt.NDArray[np.float64]:
        """The share of each question's grams that are seen."""
        counts, count = np.diff(self.start), len(self.ids)
        every = np.bincount(self.owner, minlength=count)
        return np.bincount(self.owner, np.repeat(seen, counts), count) / np.maximum(every, 1)


def _questions(held_out: Iterable[tuple[str, str]]) -> _Questions:
    ids: list[str] = []
    exact: dict[bytes, list[int]] = {}
    sizes: set[int] = set()
    found: list[Shingles] = []
    table: dict[str, int] = {}
    for number, (name, raw) in enumerate(held_out):
        text = normalised(raw)
        ids.append(name)
        exact.setdefault(_digest(text), []).append(number)
        tokens = _TOKEN.findall(text)
        found.append(shingles(tokens, GRAM, table))
        sizes.add(min(GRAM, len(tokens)))
        if len(table) > TABLE:
            table.clear()
    owner = np.repeat(np.arange(len(ids)), [len(one) for one in found])
    every = np.concatenate([*found, np.zeros(0, np.uint64)])
    order = np.argsort(every, kind="stable")
    distinct, first = np.unique(every[order], return_index=True)
    start = np.append(first, len(every))
    own = np.diff(start) <= COMMON
    owned = np.bincount(owner[order], np.repeat(own, np.diff(start)), len(ids)).astype(np.int64)
    return _Questions(ids, exact, distinct, start, owner[order], sorted(sizes - {0}), own, owned)


def _batches(train: Iterable[tuple[str, str]]) -> Iterator[tuple[list[str], list[str]]]:
    """Ids and normalised texts, some BATCH characters of them at once."""
    ids: list[str] = []
    texts: list[str] = []
    size = 0
    for name, raw in train:
        ids.append(name)
        texts.append(normalised(raw))
        size += len(texts[-1]) + 1
        if size >= BATCH:
            yield ids, texts
            ids, texts, size = [], [], 0
    if ids:
        yield ids, texts


def _hits(texts: list[str], questions: _Questions, table: dict[str, int]) -> tuple[Ints, Ints]:
    """Numbers of texts and of questions' grams that are in them, each pair once."""
    if len(table) > TABLE:
        table.clear()
    codes = [token_codes(_TOKEN.findall(text), table) for text in texts]
    text_of = np.repeat(np.arange(len(texts)), [len(one) for one in codes])
    joined = np.concatenate(codes)
    found = []
    for size in questions.sizes:
        hashed = grams(joined, size)
        place = np.minimum(np.searchsorted(questions.grams, hashed), len(questions.grams) - 1)
        # A gram that begins in one text and ends in the next is in none.
        whole = text_of[: len(hashed)] == text_of[size - 1 :]
        hit = np.flatnonzero(whole & (questions.grams[place] == hashed))
        found.append(text_of[hit] * len(questions.grams) + place[hit])
    pairs = np.unique(np.concatenate([*found, np.zeros(0, np.int64)]))
    which, gram = np.divmod(pairs, max(1, len(questions.grams)))
    return which, gram


def _closest(which: Ints, gram: Ints, questions: _Questions) -> Iterator[tuple[int, int, float]]:
    """For every question that shares own grams: its number, the closest text's, and the share."""
    which, gram = which[questions.own[gram]], gram[questions.own[gram]]
    counts = questions.start[gram + 1] - questions.start[gram]
    # The owners of each gram, one after the other: a run of places from its start.
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    number = questions.owner[np.repeat(questions.start[gram], counts) + within]
    pairs, shared = np.unique(
        number * (which.max(initial=0) + 1) + np.repeat(which, counts), return_counts=True
    )
    number, text = np.divmod(pairs, which.max(initial=0) + 1)
    share = shared / questions.owned[number]
    order = np.lexsort((text, -share, number))
    first = order[np.diff(number[order], prepend=-1) > 0]
    yield from zip(number[first].tolist(), text[first].tolist(), share[first].tolist(), strict=True)
