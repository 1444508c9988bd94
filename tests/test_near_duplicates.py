"""Near-duplicates among raw texts, against brute force on texts that share a template."""

import json
import random
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillroom import minhash, minhash_arrays
from stillroom.minhash import first_copies

WORD = re.compile(
    r"[0-9a-z\u00c0-\u07ff\u1e00-\u1fff]+|[-+*/=<>^%]|[\u0800-\u1dff\u2040-\u2fff\u3040-\U0010ffff]"
)
LOWER = str.maketrans({chr(n): chr(n + 32) for n in range(ord("A"), ord("Z") + 1)})
HEAD = "This page is part of the handbook of the club and may be copied by all of its members . "
ENGINES = pytest.mark.parametrize("compiled", [False, True], ids=["numpy", "numba"], indirect=True)


def batches(texts: Sequence[str], size: int = 7) -> Callable[[], Iterator[Sequence[str]]]:
    return lambda: (texts[start : start + size] for start in range(0, len(texts), size))


def copies(texts: Sequence[str], *rest: object) -> list[int]:
    return first_copies(batches(texts), *rest).tolist()


@pytest.fixture
def compiled(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    if request.param:
        pytest.importorskip("numba")
    monkeypatch.setattr(minhash, "COMPILED", 0 if request.param else sys.maxsize)
    return bool(request.param)


def pieces(text: str) -> set[tuple[str, ...]]:
    words = WORD.findall(text.translate(LOWER))
    return {tuple(words[n : n + 5]) for n in range(len(words) - 4)}


def jaccard(left: set[tuple[str, ...]], right: set[tuple[str, ...]]) -> float:
    return len(left & right) / len(left | right) if left and right else 0.0


def near(texts: Sequence[str], threshold: float) -> list[list[int]]:
    """All texts that each is near, or equal to."""
    sets = [pieces(text) for text in texts]
    return [
        [
            other
            for other in range(len(texts))
            if texts[me] == texts[other] or jaccard(sets[me], sets[other]) >= threshold
        ]
        for me in range(len(texts))
    ]


def kept_by_brute_force(texts: Sequence[str], rank: Sequence[int], threshold: float) -> set[int]:
    alike, kept = near(texts, threshold), set[int]()
    for me in sorted(range(len(texts)), key=lambda n: (rank[n], n)):
        if not kept.intersection(alike[me]):
            kept.add(me)
    return kept


def templated(count: int, seed: int) -> list[str]:
    """Texts under one head; a third are rewritings of an earlier text, slight or heavy ones."""
    rng = random.Random(seed)
    words = ["".join(rng.choices("abcdefghijklmnop", k=rng.randint(1, 7))) for _ in range(300)]
    texts: list[str] = []
    for _ in range(count):
        if texts and rng.random() < 0.35:
            share = rng.choice((0.0, 0.01, 0.02, 0.04, 0.08))
            old = rng.choice(texts).split()
            texts.append(" ".join(rng.choice(words) if rng.random() < share else w for w in old))
        else:
            texts.append(HEAD + " ".join(rng.choices(words, k=rng.randint(20, 150))))
    return texts


@ENGINES
@pytest.mark.parametrize(
    "threshold",
    [pytest.param(0.5, marks=pytest.mark.slow), 0.8, pytest.param(0.95, marks=pytest.mark.slow)],
)
def test_what_is_kept_is_what_brute_force_keeps(compiled: bool, threshold: float) -> None:
    texts = templated(300, seed=int(100 * threshold))
    rank = np.random.default_rng(1).integers(0, 5, len(texts))
    found = copies(texts, rank, threshold)
    kept = kept_by_brute_force(texts, rank.tolist(), threshold)
    assert {n for n, copy in enumerate(found) if copy < 0} == kept
    alike = near(texts, threshold)
    for me, copy in enumerate(found):
        assert copy < 0 or (copy in kept and copy in alike[me])
        assert copy < 0 or (rank[copy], copy) < (rank[me], me)
    assert 30 < len(texts) - len(kept) < 150


PLAIN = "The quick brown fox jumps over the lazy dog , and then it sleeps until noon ."


@ENGINES
def test_the_text_of_lowest_rank_is_kept_and_copies_follow_it(compiled: bool) -> None:
    other = "One two three four five six seven eight nine ten."
    texts = [PLAIN, other, PLAIN.upper(), PLAIN, f"{PLAIN} Bye"]
    assert copies(texts) == [-1, -1, 0, 0, 0]
    assert copies(texts, np.array([4, 1, 3, 2, 9])) == [3, -1, 3, -1, 3]
    assert copies(texts, np.array([4, 1, 3, 2, 0])) == [4, -1, 4, 4, -1]
    assert copies(texts, None, 1.0) == [-1, -1, 0, 0, -1]


@ENGINES
def test_a_near_duplicate_of_what_was_dropped_is_kept(compiled: bool) -> None:
    words = [f"w{n}" for n in range(104)]
    steps = [" ".join(words[:size]) for size in (104, 89, 77)]  # 100, 85 and 73 shingles
    assert jaccard(pieces(steps[0]), pieces(steps[2])) < 0.8
    assert copies(steps) == [-1, 0, -1]
    assert copies(steps, np.array([1, 0, 2])) == [1, -1, 1]


@ENGINES
def test_short_texts_are_copies_of_equal_ones_only(compiled: bool) -> None:
    texts = ["", "Yes.", "yes", "", " ", "Yes.", "one two three four", "one two three, four", "…"]
    assert copies(texts) == [-1, -1, -1, 0, -1, 1, -1, -1, -1]
    assert copies(["one two three four five", "One two three four, FIVE!"]) == [-1, 0]
    assert copies([]) == []
    assert copies([""]) == [-1]


@ENGINES
@pytest.mark.parametrize(
    ("text", "copy", "same"),
    [
        ("Straße, élan, naïve, œuvre, Ωμέγα", "straße élan naïve œuvre Ωμέγα", True),
        ("Straße élan naïve œuvre Ωμέγα", "Strasse élan naïve œuvre Ωμέγα", False),
        ("语言模型很好,真的", "语言模型很好。真的！"[:-1], True),
        ("语言模型很好真的", "语言模型不好真的", False),
        ("Việt Nam tiếng Việt hay lắm", "việt nam – “tiếng” Việt… hay lắm", True),
        ("Élan and so on, said Zoé", "élan and so on, said Zoé", False),
        ("a b c d e\u00a0f", "a b c d e f", True),
        ("\ud800 is no text at all", "\ud800 IS no text at all", True),
        ("so: what is 3 + 4", "so: what is 3 - 4", False),
        ("so: what is 3*4", "so: what is 3 * 4?", True),
        ("😀 😁 😂 🙂 🙃", "😀😁😂🙂🙃", True),
    ],
)
def test_words_of_many_scripts(compiled: bool, text: str, copy: str, same: bool) -> None:
    assert copies([text, copy, text]) == [-1, 0 if same else -1, 0]
    assert (WORD.findall(text.translate(LOWER)) == WORD.findall(copy.translate(LOWER))) == same


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.text(st.sampled_from("aB3 -_\né×Ωß語。，ế😀“\ud800ไ"), max_size=40), max_size=12),
    st.integers(0, 2**32),
)
def test_numba_and_numpy_agree_on_any_text(texts: list[str], seed: int) -> None:
    pytest.importorskip("numba")
    draws = np.random.default_rng(seed)
    texts += [text + "a" for text in texts]
    rank = draws.integers(0, 3, len(texts))
    answers = []
    with pytest.MonkeyPatch.context() as patch:
        for least in (0, sys.maxsize):
            patch.setattr(minhash, "COMPILED", least)
            answers.append(copies(texts, rank, 0.7))
    assert answers[0] == answers[1]
    kept = kept_by_brute_force(texts, rank.tolist(), 0.7)
    assert {n for n, copy in enumerate(answers[0]) if copy < 0} == kept


def test_without_numba_the_answers_are_the_same() -> None:
    program = (
        "import sys, json; sys.modules.update(numba=None)\n"
        "from stillroom import minhash; minhash.COMPILED = 0\n"
        "texts = json.load(sys.stdin)\n"
        "print(json.dumps(minhash.first_copies(lambda: [texts]).tolist()))\n"
        "assert 'stillroom.minhash_kernels' not in sys.modules"
    )
    texts = templated(200, seed=5)
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=json.dumps(texts),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == copies(texts)


def test_many_texts_of_one_template_cost_no_more_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """At a similarity of 0.7, just too little, all are kept and all are candidates."""
    rng = random.Random(2)
    words = [f"w{n}" for n in range(3000)]
    head = " ".join(rng.choices(words, k=75))
    texts = [f"{head} {' '.join(rng.choices(words, k=13))}" for _ in range(3000)]
    copy = f"{texts[5]} end"
    compared = []
    exact = minhash_arrays.jaccard
    monkeypatch.setattr(minhash, "COMPILED", sys.maxsize)
    monkeypatch.setattr(minhash_arrays, "jaccard", lambda *sets: compared.append(0) or exact(*sets))
    found = copies([*texts, copy])
    assert found == [-1] * 3000 + [5]
    assert 10_000 < len(compared) <= minhash_arrays.TRIES * 3001  # all pairs are 4.5 million


def test_whatever_size_batches_have(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = templated(120, seed=3)
    expected = copies(texts)
    for size in (1, 1000):
        monkeypatch.setattr(minhash, "CHUNK", 900 * size)
        assert first_copies(batches(texts, size)).tolist() == expected


def test_mistakes_are_named() -> None:
    texts = [PLAIN, f"{PLAIN} Bye"]
    with pytest.raises(ValueError, match="threshold must be in"):
        copies(texts, None, 0.0)
    with pytest.raises(ValueError, match=r"\(3,\) ranks for 2 texts"):
        copies(texts, np.zeros(3, np.int64))
    once = iter([texts])
    with pytest.raises(ValueError, match="other texts the second time"):
        first_copies(lambda: once)
