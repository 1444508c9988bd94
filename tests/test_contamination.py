"""Contamination against brute force, and the rewritings under which a text stays the same."""

import random
import re

import pytest

from stillroom.errors import UserError
from stillroom.stages import contamination as stage
from stillroom.stages.contamination import Pair, contamination, refuse

LONG = "How many apples has Anna, who had 17 of them and gave 5 to Tom and 3 to each of two others?"


def random_texts(count: int, rng: random.Random, vocabulary: int) -> list[str]:
    words = [f"w{'abcdefghij'[n % 10]}{'abcdefghij'[n // 10]}" for n in range(vocabulary)]
    return [
        " ".join(rng.choices(words, k=rng.choice((2, 5, 12, 13, 14, 40)))) for _ in range(count)
    ]


def edited(text: str, rng: random.Random) -> str:
    tokens = text.split()
    tokens[rng.randrange(len(tokens))] = "edited"
    return " ".join(tokens[: rng.randint(1, 40)])


def pieces(text: str, size: int) -> set[tuple[str, ...]]:
    tokens = text.split()
    return {tuple(tokens[n : n + size]) for n in range(len(tokens) - size + 1)}


def brute_force(train: list[str], held_out: list[str]) -> tuple[int, float, float, list[float]]:
    """Equal ones, the share that shares, the largest share, and the best share of each question."""
    shares, best = [], []
    for question in held_out:
        size = min(13, len(question.split()))
        own = pieces(question, size)
        of_train = [pieces(text, size) & own for text in train]
        shares.append(len(set().union(*of_train)) / len(own))
        best.append(max(len(one) for one in of_train) / len(own))
    equal = sum(question in train for question in held_out)
    return equal, sum(map(bool, shares)) / len(shares), max(shares), sorted(best, reverse=True)


@pytest.mark.parametrize("batch", [1, 300, stage.BATCH])
def test_overlap_is_that_of_brute_force(batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "BATCH", batch)
    monkeypatch.setattr(stage, "TABLE", 30)  # so that tokens are forgotten and hashed again
    rng = random.Random(batch)
    held_out = random_texts(60, rng, 40)
    train = random_texts(150, rng, 40)
    train += [edited(rng.choice(held_out), rng) for _ in range(20)]
    train += [f"before {rng.choice(held_out)} behind" for _ in range(10)] + rng.choices(
        held_out, k=5
    )
    rng.shuffle(train)
    found = contamination(named("t", train), named("q", held_out))
    equal, shared, largest, best = brute_force(train, held_out)
    assert (found.train, found.held_out, found.exact) == (len(train), len(held_out), equal)
    assert found.shared == pytest.approx(shared)
    assert found.largest == pytest.approx(largest)
    assert [pair.share for pair in found.worst] == pytest.approx(best[:10])
    for pair in found.worst:
        question, text = held_out[int(pair.held_out[1:])], train[int(pair.train[1:])]
        size = min(13, len(question.split()))
        own = pieces(question, size)
        assert pair.share == pytest.approx(len(pieces(text, size) & own) / len(own))
    for text, question in found.exact_pairs:
        assert train[int(text[1:])] == held_out[int(question[1:])]


def named(letter: str, texts: list[str]) -> list[tuple[str, str]]:
    return [(f"{letter}{n}", text) for n, text in enumerate(texts)]


@pytest.mark.parametrize(
    "same",
    [
        LONG.upper(),
        f"\n{LONG.replace(' ', '   ')}\t",
        LONG.replace("17", "１７").replace("fi", "ﬁ"),
        LONG.replace(" ", "\u00a0"),
    ],
)
def test_a_rewritten_question_is_the_same_question(same: str) -> None:
    found = contamination([("a", "something else"), ("b", same)], [("q", LONG)])
    assert found.exact == 1
    assert found.exact_pairs == (("b", "q"),)
    assert found.worst == (Pair("b", "q", 1.0),)
    with pytest.raises(UserError, match="an evaluation question is in the training set") as told:
        refuse(found)
    assert "q is training text b" in told.value.where
    assert told.value.do


@pytest.mark.parametrize(("before", "after"), [("17", "18"), (",", ";"), ("Anna", "Anne")])
def test_a_number_a_mark_or_a_word_makes_another_question(before: str, after: str) -> None:
    other = LONG.replace(before, after)
    found = contamination([("a", other)], [("q", LONG)])
    assert found.exact == 0
    refuse(found)
    tokens = len(re.findall(r"\w+|[^\w\s]", LONG))
    place = len(re.findall(r"\w+|[^\w\s]", LONG[: LONG.index(before)]))
    changed = sum(start <= place < start + 13 for start in range(tokens - 12))
    assert found.largest == pytest.approx(1 - changed / (tokens - 12))
    assert found.shared == 1


def test_a_short_question_counts_as_a_whole() -> None:
    train = [("a", "Say what 3 + 4 is, please"), ("b", "3 + 4"), ("c", "3 + 5 = 8")]
    found = contamination(
        train, [("q", "What 3+4 is"), ("r", "3 + 6"), ("s", "5 = 8"), ("t", "= 9")]
    )
    assert found.shared == 2 / 4
    assert set(found.worst) == {Pair("a", "q", 1.0), Pair("c", "s", 1.0)}
    assert found.exact == 0


def test_the_closest_text_is_named_the_first_of_equals() -> None:
    words = [f"{a}{b}" for a in "xyz" for b in "abcdefghij"]
    held_out = [("q", " ".join(words))]  # 30 words, 18 grams
    lengths = {"a": 14, "b": 16, "c": 16, "d": 13}
    train = [(name, f"{' '.join(words[:n])} and {name}") for name, n in lengths.items()]
    found = contamination(train, held_out)
    assert found.worst == (Pair("b", "q", 4 / 18),)
    assert found.largest == 4 / 18
    far = [("e", " ".join(words[8:24])), *[(f"f{n}", "else " * 99_999) for n in range(2)], *train]
    assert contamination(far, held_out).worst == (Pair("e", "q", 4 / 18),)
    assert contamination(far, held_out).largest == pytest.approx(8 / 18)


def test_a_gram_does_not_cross_from_text_to_text() -> None:
    words = LONG.split()
    halves = [("a", " ".join(words[:11])), ("b", " ".join(words[11:]))]
    assert contamination(halves, [("q", LONG)]).shared == 0


def test_templates_are_counted_and_make_no_pairs() -> None:
    """Thirty questions of one template: all share its 13-grams, one stands in the training set."""
    template = (
        "A ball lies under cup two of four cups on the table. Swap {} and {}, then {} and {}."
    )
    rng = random.Random(7)
    numbers = [[rng.randrange(10**6) for _ in range(4)] for _ in range(60)]
    texts = [template.format(*four) for four in numbers]
    held_out, train = texts[:30], texts[30:]
    found = contamination(named("t", train), named("q", held_out))
    assert (found.exact, found.shared) == (0, 1.0)
    assert 0 < found.largest < 0.2
    assert found.worst == ()
    found = contamination(named("t", [*train, f"{held_out[4]} Where is it?"]), named("q", held_out))
    assert found.largest == 1.0
    assert found.worst == (Pair("t30", "q4", 1.0),)


def test_refusal_names_a_few_and_counts_all() -> None:
    texts = [f"Question number {n}?" for n in range(50)]
    found = contamination(named("t", texts), named("q", texts + texts[:1]))
    assert found.exact == 51
    assert len(found.exact_pairs) == 10
    with pytest.raises(UserError, match=r"51 of 51 questions\n.*q0 is training text t0, ") as told:
        refuse(found)
    assert told.value.where.endswith(", ...")


def test_nothing_overlaps_with_nothing() -> None:
    for train, held_out in (
        ([], []),
        ([("a", LONG)], []),
        ([], [("q", LONG)]),
        ([("a", "")], [("q", LONG)]),
    ):
        found = contamination(train, held_out)
        assert (found.exact, found.shared, found.largest, found.worst) == (0, 0.0, 0.0, ())
        assert (found.train, found.held_out) == (len(train), len(held_out))
        refuse(found)
    assert contamination([("a", " \n")], [("q", "")]).exact == 1
