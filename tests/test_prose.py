"""Measures of variety: chance under a mask is none, one template is little, people's texts much."""

import os
import random
import subprocess
import sys
from collections import Counter
from math import isnan

import pytest

from stillroom import prose
from stillroom.prose import words

PEOPLE = frozenset({"Anna", "Tom", "Maria Luisa", "Zoé"})
TEMPLATE = (
    "# Sharing\n\n{name} has {a} apples and gives {b} of them away. How many are left? To find "
    "out, {name} takes {b} from {a}.\n\n1. Write it down: `{a} - {b} = {c}`. What is left is "
    "less than before.\n\n**Answer.** `{c}`\n"
)


def from_template(count):
    rng = random.Random(5)
    for _ in range(count):
        a, b = rng.randint(100, 999), rng.randint(1, 99)
        yield TEMPLATE.format(name=rng.choice(sorted(PEOPLE)), a=a, b=b, c=a - b)


@pytest.fixture(scope="module")
def human():
    return prose.human_reference(60_000)


def test_words_masks_numbers_names_and_formulas():
    text = "Anna's 3 books cost 4.50 euros: `3x + 1 = 10`, don't they, anna and Annabel?"
    said = "NAME 's 0 books cost 0 . 0 euros : FORMULA , don't they , anna and annabel ?"
    assert words(text, PEOPLE) == said.split()
    own = "NAME 's 0 books cost 0 . 0 euros : 0 x + 0 = 0 , don't they , anna and annabel ?"
    assert words(text, PEOPLE, formulas=False) == own.split()
    assert words("Maria Luisa met Zoé at x²³ or ``a`b``", PEOPLE) == words(
        "Tom met Tom at x4 or `b`", PEOPLE
    )
    assert words("NAME FORMULA") == ["name", "formula"]  # no text can write a mask
    assert words("") == words(" \n") == []


def test_random_numbers_and_names_give_no_variety():
    lists = [words(text, PEOPLE) for text in from_template(200)]
    assert len({tuple(one) for one in lists}) == 1
    assert prose.distinct(lists) == pytest.approx(1 / 200)
    assert prose.compression(lists) > 50
    bare = [text.split() for text in from_template(200)]
    assert prose.distinct(bare) > 20 * prose.distinct(lists)  # the masks made the difference


def test_distinct_is_a_share_of_so_many_tokens_and_does_not_cross_texts():
    assert prose.distinct([list("abcd"), list("abcd"), list("efgh")]) == pytest.approx(2 / 3)
    assert prose.distinct([list("abc"), list("def")]) != prose.distinct([list("abcdef")])
    assert prose.distinct([list("abab")], n=2) == pytest.approx(2 / 3)
    assert prose.distinct([list("abcd"), list("abcd")], limit=7) == 1.0
    assert isnan(prose.distinct([]))
    assert isnan(prose.distinct([["a"]]))


def test_texts_of_people_are_varied(human):
    lists = [words(text) for text in human]
    assert sum(map(len, lists)) >= 60_000
    assert all(len(text) >= 200 for text in human)
    assert prose.distinct(lists, limit=60_000) > 0.7
    assert prose.compression(lists, limit=60_000) < 5
    assert prose.largest_frame(human)[0] < 0.05
    assert prose.near_duplicates(lists) < 0.02
    assert human[: len(prose.human_reference(20_000))] == prose.human_reference(20_000)


def edited(tokens, rng, share):
    return [f"new{n}" if rng.random() < share else one for n, one in enumerate(tokens)]


def brute_force(lists, threshold):
    sets = [{tuple(one[n : n + 5]) for n in range(len(one) - 4)} for one in lists]
    doubles = 0
    for me, mine in enumerate(sets):
        doubles += any(len(mine & one) >= threshold * len(mine | one) for one in sets[:me])
    return doubles / len(lists)


@pytest.mark.parametrize("threshold", [0.5, 0.8, 0.9])
def test_near_duplicates_are_those_of_brute_force(human, threshold):
    rng = random.Random(3)
    lists = [one for one in map(words, human) if len(one) > 60][:200]
    lists += [edited(rng.choice(lists), rng, rng.choice((0, 0.01, 0.02, 0.05))) for _ in range(100)]
    rng.shuffle(lists)
    share = brute_force(lists, threshold)
    assert 0.05 < share < 0.4
    assert prose.near_duplicates(lists, threshold=threshold) == share


def test_planted_near_duplicates_are_found_and_others_are_not(human):
    rng = random.Random(4)
    apart = [one for one in map(words, human) if len(one) > 100][:30]
    assert prose.near_duplicates(apart) == 0
    copies = []
    for one in apart[:5]:
        copy = list(one)
        copy[rng.randrange(len(copy))] = "edited"
        copies.append(copy)
    assert prose.near_duplicates([*apart, *copies]) == 5 / 35
    assert prose.near_duplicates([["a"], ["a"], [], []]) == 1 / 4
    assert prose.near_duplicates([]) == 0


def test_readability_is_the_grade_of_kincaid():
    # 6 words of 6 syllables; 6 of 15: mul-ti-pli-ca-tion is fas-ter than re-peat-ed ad-di-tion
    assert prose.readability("The cat sat on the mat.") == pytest.approx(0.39 * 6 + 11.8 - 15.59)
    hard = "Multiplication is faster than repeated addition."
    assert prose.readability(hard) == pytest.approx(0.39 * 6 + 11.8 * 15 / 6 - 15.59)
    both = f"# A heading\n\n- **The** cat sat on the `x^2 + 3`.\n\n{hard}"
    assert prose.readability(both) == pytest.approx(0.39 * 6 + 11.8 * 21 / 12 - 15.59)
    assert isnan(prose.readability(""))
    assert isnan(prose.readability("# Only a heading"))


def test_frames_are_sentences_without_chance():
    text = (
        "# A heading. With a dot\n\nLevel 3\n\nIt costs 3.50 euros, e.g. on Mr. Smith's list. Is "
        "`f(1.5). G` right?\nSee no. 7 of it! **Check.** Tom adds `3`.\n\n**Exercise 1.**\n\n"
        "1. Write it down: `3 + 4 = 7`. Then stop.\n2. Write it down: `1.5`.\n\n`x = 4`\n\n"
        "**Answer.** `7`\n\n**Answer:** 8\n\n**Check.** Add `7` again.\n\n```\na = 1. B\n```\n"
    )
    assert prose.frames([text], PEOPLE) == Counter(
        {
            "level 0": 1,
            "it costs 0 euros , e . g . on mr . smith 's list": 1,
            "is FORMULA right": 1,
            "see no . 0 of it": 1,
            "check": 1,
            "NAME adds FORMULA": 1,
            "write it down : FORMULA": 2,
            "then stop": 1,
            "answer FORMULA": 1,
            "answer 0": 1,
            "add FORMULA again": 1,
        }
    )
    share, frame = prose.largest_frame([text], PEOPLE)
    assert (share, frame) == (2 / 12, "write it down : FORMULA")
    assert prose.largest_frame([]) == (0.0, "")
    wrapped = "This line of a paragraph has been wrapped by an editor at some\ncolumn. And so on."
    assert len(prose.frames([wrapped])) == 2


def findings(rows, **more):
    return {one.name: one for one in prose.audit(rows, **more)}


def varied(human):
    """Docstrings in two groups and twelve cells."""
    for n, text in enumerate(human):
        yield {"concept": f"c{n % 2}", "level": str(n % 6), "split": "train"}, text


def test_audit_passes_texts_of_people(human):
    found = findings(varied(human))
    for name in ("distinct 4-grams", "near-duplicates", "largest sentence frame"):
        assert found[name].ok is True, found[name]
    assert found["distinct 4-grams"].value > 0.7
    assert found["distinct 4-grams, formulas too"].ok is None
    assert found["cells filled"].value == 6  # levels go with the concepts
    assert "of 12" in found["cells filled"].detail
    assert found["smallest cell"].value == pytest.approx(1, abs=0.05)
    assert found["readability"].ok is None


def test_audit_names_the_one_monotone_group(human):
    rows = list(varied(human)) + [({"concept": "apples"}, text) for text in from_template(300)]
    found = findings(rows, names=PEOPLE)
    for name in ("distinct 4-grams", "near-duplicates", "largest sentence frame"):
        assert found[name].ok is False, found[name]
        assert found[name].detail.startswith("apples: ")
    assert found["distinct 4-grams"].value < 0.02
    assert found["compression"].value > 20
    assert found["largest sentence frame"].value == pytest.approx(1 / 6)


def test_audit_wants_a_child_to_read_plainer_texts_than_an_adult():
    plain, hard = "The cat sat on the mat.", "Multiplication is faster than repeated addition."
    ages = {"child": plain, "teen": f"{plain} {hard}", "adult": hard}
    rows = [({"audience": who, "answer_class": "yes"}, text) for who, text in ages.items()]
    found = findings(rows)
    assert found["readability"].ok is True
    assert found["readability"].value == pytest.approx(11.8 * 9 / 6)
    assert found["largest answer class"].value == 1
    swapped = [
        ({"audience": {"child": "adult", "adult": "child"}.get(w, w)}, t) for w, t in ages.items()
    ]
    assert findings(swapped)["readability"].ok is False
    assert findings(rows[:2])["readability"].ok is None


def test_audit_of_tiny_sets_judges_nothing_wrongly():
    assert prose.audit([]) == []
    assert prose.audit([({}, "")]) == []
    found = findings([({"concept": "x"}, "One text of a few words, `1 + 1 = 2`."), ({}, "`1`")])
    assert {one.ok for name, one in found.items() if name != "near-duplicates"} == {None}


def test_a_sample_is_even_and_other_processes_find_the_same(human, tmp_path):
    # The second half of the group is monotone: measuring the first texts alone wouldn't show it.
    rows = [({"concept": "x"}, text) for text in [*human[:200], *from_template(200)]]
    found = findings(rows, names=PEOPLE, sample=100)["largest sentence frame"]
    assert 0.05 < found.value < 0.15
    script = tmp_path / "again.py"
    script.write_text(
        "from stillroom import prose\n"
        "texts = prose.human_reference(60_000)\n"
        "print(prose.audit([({'concept': str(n % 3)}, t) for n, t in enumerate(texts)]))\n"
    )
    again = subprocess.run(
        [sys.executable, script],
        env={**os.environ, "PYTHONHASHSEED": "12345"},
        capture_output=True,
        text=True,
        check=True,
    )
    rows = [({"concept": str(n % 3)}, text) for n, text in enumerate(human)]
    assert again.stdout == f"{prose.audit(rows)}\n"
