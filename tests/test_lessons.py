"""The world `lessons` through its verbs: what is right is kept, what is planted is refused."""

import copy
import re
from itertools import islice

import pytest
from pydantic import ValidationError

from stillroom.cast import cast
from stillroom.record import Origin, Record, canonical
from stillroom.world import Context, Verdict, Wishes, stream
from stillroom.worlds.lessons import Lessons, content, formula

WORLD = Lessons()


def make(task, key="key"):
    return WORLD.make(task, Context(key))[0]


def check(task, data) -> Verdict:
    return WORLD.check(task, data, Context("check"))


def record(task, data) -> Record:
    verdict = check(task, data)
    return Record(
        id="id",
        world="lessons",
        task_id="task",
        task_json=canonical(task).decode(),
        generation=0,
        data=data,
        verdict=verdict,
        tags={},
        origin=Origin(),
    )


@pytest.fixture(scope="module")
def lessons():
    """300 lessons over all concepts, levels and splits, with their tasks and verdicts."""
    tasks = [*islice(WORLD.plan(0), 160), *islice(WORLD.plan(0), 320, 400)]
    tasks += list(islice(WORLD.plan(0), 720, 780))  # number 9: the test split
    made = [(task, make(task, f"key {n}")) for n, task in enumerate(tasks)]
    return [(task, data, check(task, data)) for task, data in made]


@pytest.fixture(scope="module")
def kept(lessons):
    return [(task, data) for task, data, verdict in lessons if verdict.ok]


def test_lessons_are_kept_or_refused_for_a_misconception_that_gives_the_right_answer(lessons):
    refused = [verdict for _, _, verdict in lessons if not verdict.ok]
    assert len(lessons) == 300
    assert len(refused) < 20
    for verdict in refused:
        assert [c.name for c in verdict.checks if not c.ok] == ["mistake"]
        assert "is false" in verdict.reason


def test_every_concept_level_and_split_comes_up_and_fits_the_schema(lessons):
    assert {task["concept"] for task, _, _ in lessons} == set(content.CONCEPTS)
    assert {task["level"] for task, _, _ in lessons} == set(range(1, 9))
    assert {task["split"] for task, _, _ in lessons} == {"train", "validation", "test"}
    datas = [data for _, data, _ in lessons]
    assert cast(datas, WORLD.schema) == datas


def test_the_same_task_gives_the_same_lesson(lessons):
    task, data, _ = lessons[7]
    assert make(task, "key 7") == data
    assert make(task, "another key") != data


def test_what_show_gives_reads_back_and_passes(kept):
    for task, data in kept[:40]:
        view = WORLD.show(record(task, data))
        again = WORLD.read(task, view.messages[-1]["content"])
        assert again == data
        assert check(task, again).ok
        assert view.tags["split"] == task["split"]
        assert view.features["equations"] >= 8
        assert "<script" not in view.html()
        assert view.html().count("<h3>") == 6


def test_html_escapes_what_a_text_holds():
    task, data = WORLD.adopt({"text": "<script>alert(1)</script> 1 + 1 = 2"})
    assert "<script" not in WORLD.show(record(task, data)).html()


def test_questions_of_different_splits_never_meet(kept):
    seen = {}
    for task, data in kept:
        for block in [data["worked"], *data["exercises"]]:
            assert seen.setdefault(block["question"], task["split"]) == task["split"]


def test_a_lesson_of_one_split_is_refused_in_another(kept):
    for task, data in kept[:20]:
        other = "test" if task["split"] != "test" else "train"
        verdict = check({**task, "split": other}, data)
        assert [c.name for c in verdict.checks if not c.ok] == ["split"]


def test_planted_faults_are_refused(kept):
    kinds = set()
    for n, (task, data) in enumerate(kept):
        before = copy.deepcopy(data)
        for m in range(2):
            kind, faulty = WORLD.spoil(data, stream(f"{n} {m}"))
            kinds.add(kind)
            assert faulty != data, kind
            assert not check(task, faulty).ok, (kind, faulty["text"])
        assert data == before
    assert len(kinds) >= 12


def test_every_edited_character_is_noticed(kept):
    for n, (task, data) in enumerate(kept[:150]):
        text, rng = data["text"], stream(f"edit {n}")
        at = int(rng.integers(len(text)))
        new = "7" if text[at] != "7" else "4"
        edited = text[:at] + new + text[at + 1 :]
        try:
            faulty = WORLD.read(task, edited)
        except ValueError:
            continue
        assert not check(task, faulty).ok, edited[max(0, at - 40) : at + 40]


def test_data_that_differ_from_the_text_are_refused(kept):
    task, data = kept[0]
    for change in (
        {"title": data["title"] + "."},
        {"level": data["level"] + 1},
        {"exercises": data["exercises"][:-1]},
        {"worked": {**data["worked"], "answer": "0"}},
    ):
        verdict = check(task, {**data, **change})
        assert verdict.reason.startswith("parses"), change


def test_a_verdict_says_where_and_what(kept):
    task, data = next((t, d) for t, d in kept if t["concept"] == "multiplication_by_parts")
    answer = data["worked"]["answer"]
    wrong = f"**Answer.** `{int(answer) + 10}`"
    text = data["text"].replace(f"**Answer.** `{answer}`", wrong)
    verdict = check(task, WORLD.read(task, text))
    details = {c.name: c.detail for c in verdict.checks if not c.ok}
    assert answer in details["steps"]
    assert "worked example" in details["answers"]


def test_unreadable_lessons_say_why():
    for text, why in (("# Nothing", "title"), ("# Adding fractions\n\nLevel x", "level")):
        with pytest.raises(ValueError, match=why):
            WORLD.read({}, text)


def test_wishes_and_config():
    world = Lessons(only=Wishes(quotas={"concept": {"linear_equations": 50}, "split": {"test": 5}}))
    tasks = list(islice(world.plan(0), 20))
    assert {(t["concept"], t["split"]) for t in tasks} == {("linear_equations", "test")}
    assert list(Lessons(only=Wishes(quotas={"concept": {"cooking": 1}})).plan(0)) == []
    with pytest.raises(ValidationError, match="did you mean 'linear_equations'"):
        Lessons(concepts=("linear_equation",))
    with pytest.raises(ValidationError, match="levels"):
        Lessons(levels=(0,))


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("So 12 + 5 = 17 apples.", True),
        ("We get 12 + 5 = 18.", False),
        ("- 5 + 3 = 8", True),
        ("$3 + $4 = $8", False),
        (r"$\frac{1}{2} + \frac{1}{4} = \frac{3}{4}$", True),
        (r"Thus $2 \times 3 = 7$.", False),
        ("3 apples + 4 apples = 8 apples", False),
        ("1,000 + 2,500 = 3,500", True),
        ("`3/4 < 2/3`", False),
        ("2**3 = 8", True),
        ("The sum is 2 + 3 × 4 = 14.", True),
        ("In 2024 there were 3 cats; x = 5, y=2x+3 and version 1.2.3 > 1.2.", None),
        ("```\n3 + 4 = 8\n```", None),
        ("a - 3 = 5 + 2", None),
        ("10 / 3 ≈ 3.3", None),
        ("due 2024-05-03 = Friday, call 555-1234 = home", None),
        ("3 + 4 = 10 (mod 3)", None),
        ("log_2 8 + 1 = 5", None),
    ],
)
def test_foreign_texts_are_judged_by_their_arithmetic(text, want):
    """want: None where nothing may be judged, which is a "no" of its own name."""
    task, data = WORLD.adopt({"messages": [{"role": "assistant", "content": text}]})
    verdict = check(task, data)
    assert task == {"foreign": True}
    if want is None:
        assert [c.name for c in verdict.checks] == ["checkable"]
        assert not verdict.ok
    else:
        assert verdict.ok is want, verdict
        assert verdict.score > 0
    if want is False:
        assert "line 1" in verdict.reason


def test_adopted_lessons_get_the_full_check(kept):
    task, data = kept[3]
    for row in ({"text": data["text"]}, {"prompt": "?", "completion": data["text"]}):
        found, adopted = WORLD.adopt(row)
        assert adopted == data
        assert found["split"] == task["split"]
        assert check(found, adopted).ok
    assert WORLD.adopt({"task": task, "data": data}) == (task, data)
    _, faulty = WORLD.spoil(data, stream("faulty"))
    assert not check(*WORLD.adopt({"text": faulty["text"]})).ok
    with pytest.raises(ValueError, match="no text"):
        WORLD.adopt({"image": 1})


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("2 ÷ 3/4 = 8/3", True),
        ("-2^2 = -4", True),
        ("2^3^2 = 512", True),
        ("3(4 + 1) = 15", True),
        ("2.5 km + 1 m = 2501 m", True),
        ("2024-02-20 + 15 days = 2024-03-06", True),
        ("2024-03-06 - 2024-02-20 = 14 days", False),
        ("(T and F) or not T = F", True),
        ("T implies F implies F = T", True),
        ("({1, 2} ∪ {2, 5}) ∩ {5} = {5}", True),
        ("{1, 2, 1} = {2, 1}", True),
        ("[1, 2] = [2, 1]", False),
        ('"a=b" + "c" = "a=bc"', True),
        ("first([4, 5, 6], 2)[1] = 5", True),
        ("C(5, 2) = 10 = 4! - 14", True),
        ("1 km ≠ 1 kg", True),
        ("1/2 < 2/3 < 3/4", True),
        ("{1, 2} \\ {2}", None),
    ],
)
def test_formulas_mean_what_the_documentation_says(text, want):
    assert formula.truth(text) is want


@pytest.mark.parametrize("text", ["1 ÷ 0", "[1][5]", "2 +", "1 km + 1 kg", "frog", "T + 1", "{1]"])
def test_formulas_that_mean_nothing_are_unreadable(text):
    with pytest.raises(formula.Unreadable):
        formula.truth(text)


@pytest.mark.parametrize("concept", content.CONCEPTS)
def test_content_files_are_sound(concept):
    told = content.content(concept)
    assert len(told.levels) == 8
    assert len(told.why_texts) >= 4
    assert len(told.idea_texts) >= 4
    phrases = [*told.questions.values(), *told.proofs.values()]
    phrases += [p for rule in told.rules.values() for p in (rule.say, rule.why)]
    phrases += [p for mistake in told.mistakes.values() for p in mistake]
    assert all(len(variants) >= 3 for variants in phrases)
    fixed = [text for way in (*told.why, *told.idea) for pool in way for text in pool]
    fixed += [why for rule in told.rules.values() for why in rule.why]
    fixed += [why for mistake in told.mistakes.values() for why in mistake.why]
    for text in fixed:
        assert not re.search(r"\d", re.sub(r"`[^`]*`", "", text)), text
        assert text.endswith(".") or text.endswith("?")
        for found in re.findall(r"`([^`]*)`", text):
            assert formula.parse(found).x or formula.truth(found) is not False, text
