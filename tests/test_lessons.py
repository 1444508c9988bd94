"""The world `lessons` through its verbs: what is right is kept, what is planted is refused."""

import copy
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import islice, takewhile
from pathlib import Path

import pytest
from pydantic import ValidationError

import stillroom
from stillroom.cast import cast
from stillroom.record import Origin, Record, canonical
from stillroom.world import Context, Verdict, Wishes, stream
from stillroom.worlds.lessons import Lessons, content, formula
from stillroom.worlds.lessons.curriculum import CONCEPTS, entry
from stillroom.worlds.lessons.phrases import phrase
from stillroom.worlds.lessons.planning import split_of_question

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
    """A lesson of every concept and level, with its task and verdict."""
    first = list(islice(WORLD.plan(0), 9 * len(CONCEPTS)))
    deeper = (task for task in WORLD.plan(0) if task["level"] == 10)
    tasks = [*first, *islice(deeper, len(CONCEPTS))]
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


def test_every_concept_level_audience_style_and_split_comes_up_and_fits_the_schema(lessons):
    asked = {name: {task[name] for task, _, _ in lessons} for name in lessons[0][0]}
    assert asked["concept"] == set(CONCEPTS)
    assert len(CONCEPTS) == 30
    assert len({entry(concept).subject for concept in CONCEPTS}) == 8
    assert asked["level"] == set(range(1, 11))
    assert asked["split"] == {"train", "validation", "test"}
    assert asked["audience"] == {"child", "teen", "adult"}
    assert asked["style"] == {"lesson", "dialogue", "exam"}
    datas = [data for _, data, _ in lessons]
    assert cast(datas, WORLD.schema) == datas


def test_audiences_styles_and_splits_are_filled_evenly():
    tasks = list(takewhile(lambda task: task["number"] < 90, WORLD.plan(0)))
    cells = Counter((t["concept"], t["level"], t["audience"], t["style"]) for t in tasks)
    trained = [n for (_, level, _, _), n in cells.items() if level <= 8]
    assert len(trained) == 30 * 8 * 3 * 3
    assert min(trained) == max(trained) == 10
    splits = Counter((t["concept"], t["style"], t["split"]) for t in tasks if t["level"] <= 8)
    assert {n for (_, _, split), n in splits.items() if split == "test"} == {24}


def test_levels_beyond_are_tests_that_extrapolate(lessons):
    for task, data, _ in lessons:
        found = WORLD.show(record(task, data)).tags
        if task["level"] > 8:
            assert (found["split"], found["test"]) == ("test", "extrapolate")
        elif task["split"] == "test":
            assert found["test"] == "interpolate"
        else:
            assert "test" not in found


def test_the_same_task_gives_the_same_lesson(lessons):
    task, data, _ = lessons[7]
    assert make(task, "key 7") == data
    assert make(task, "another key") != data


def test_what_show_gives_reads_back_and_passes(kept):
    for task, data in kept[::7]:
        view = WORLD.show(record(task, data))
        again = WORLD.read(task, view.messages[-1]["content"])
        assert again == data
        assert check(task, again).ok
        assert view.tags["split"] == task["split"]
        assert view.features["equations"] >= 1
        assert "<script" not in view.html()
        assert view.html().count("<h3>") == 4


def test_what_the_words_say_is_what_was_executed(kept):
    """The data are written by the maker; the text alone gives them back."""
    for task, data in kept:
        assert WORLD.read(task, data["text"]) == data
        assert data["moves"]
        assert data["worked"]["question"] in data["text"]
    told = Counter(move for _, data in kept for move in data["moves"])
    assert len(told) >= 8, told


def test_html_escapes_what_a_text_holds():
    task, data = WORLD.adopt({"text": "<script>alert(1)</script> 1 + 1 = 2"})
    assert "<script" not in WORLD.show(record(task, data)).html()


def test_questions_of_different_splits_never_meet():
    """The same terms in another order count as the same question."""
    one = {"formula": "1/2 + 1/3 + 3/4"}
    for turned in ("1/3 + 1/2 + 3/4", "3/4 + 1/3 + 1/2"):
        other = {"formula": turned}
        assert split_of_question("adding_fractions", "plain", one) == split_of_question(
            "adding_fractions", "plain", other
        )
    found = {split_of_question("areas", "plain", {"formula": str(n)}) for n in range(40)}
    assert found == {"train", "validation", "test"}


def test_a_lesson_of_one_split_is_refused_in_another(kept):
    for task, data in [one for one in kept if one[0]["level"] <= 8][::12]:
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
    assert len(kinds) >= 14


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
        {"moves": [*data["moves"][::-1], "need"]},
    ):
        verdict = check(task, {**data, **change})
        assert verdict.reason.startswith("parses"), change


def test_a_verdict_says_where_and_what(kept):
    task, data = next((t, d) for t, d in kept if t["concept"] == "multiplication_by_parts")
    answer = data["worked"]["answer"]
    text = data["text"].replace(f" = {answer}`", f" = {int(answer) + 10}`")
    text = text.replace(f" `{answer}`", f" `{int(answer) + 10}`")
    verdict = check(task, WORLD.read(task, text))
    details = {c.name: c.detail for c in verdict.checks if not c.ok}
    assert str(int(answer) + 10) in details["formulas"]
    assert "worked example" in details["answers"]


def test_unreadable_lessons_say_why():
    for text, why in (("# Nothing", "title"), ("# Adding fractions\n\n*Level x*", "Level 3")):
        with pytest.raises(ValueError, match=why):
            WORLD.read({}, text)


def test_wishes_and_config():
    world = Lessons(only=Wishes(quotas={"concept": {"linear_equations": 50}, "split": {"test": 5}}))
    tasks = list(islice(world.plan(0), 20))
    assert {(t["concept"], t["split"]) for t in tasks} == {("linear_equations", "test")}
    assert list(Lessons(only=Wishes(quotas={"concept": {"cooking": 1}})).plan(0)) == []
    rare = Wishes(
        quotas={"audience": {"child": 2}, "style": {"exam": 2}, "test": {"extrapolate": 2}}
    )
    for task in islice(Lessons(only=rare).plan(0), 30):
        assert (task["audience"], task["style"]) == ("child", "exam")
        assert task["level"] > 8
    with pytest.raises(ValidationError, match="did you mean 'linear_equations'"):
        Lessons(concepts=("linear_equation",))
    with pytest.raises(ValidationError, match="levels"):
        Lessons(levels=(11,))


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
        ("17 mod 5 = 2 = 2 mod 5", True),
        ("17 div 5 = 3", True),
        ("15% × 80 = 12", True),
        ("T iff F = F", True),
        ("gcd(12, 18) = 6", True),
        ("lcm(4, 6) = 24", False),
        ("sqrt(49/4) = 7/2", True),
        ("mean([1, 2]) = 3/2", True),
        ("median([3, 1, 2, 9]) = 5/2", True),
        ("spread([3, 9, 4]) = 6", True),
        ('bin(13) = "1101"', True),
        ('dec("0110") = 6', True),
        ('place(["a", "b"], "b") = 2', True),
    ],
)
def test_formulas_mean_what_the_documentation_says(text, want):
    assert formula.truth(text) is want


@pytest.mark.parametrize(
    "text", ["1 ÷ 0", "[1][5]", "2 +", "1 km + 1 kg", "frog", "T + 1", "{1]", "sqrt(2)"]
)
def test_formulas_that_mean_nothing_are_unreadable(text):
    with pytest.raises(formula.Unreadable):
        formula.truth(text)


@pytest.mark.parametrize("concept", CONCEPTS)
def test_content_files_are_sound(concept):
    """Formulas that stand in the words are true, and the words hold no digits."""
    told = content.content(concept)
    assert len(told.levels) == 10
    phrases = [*told.proofs.values(), *told.pools.values()]
    phrases += [p for table in (told.rules, told.mistakes) for one in table.values() for p in one]
    for variants in (*phrases, *told.questions.values()):
        assert len(variants) > 1 or "[" in variants[0]
        for text in (word for one in variants for word in words(phrase(one))):
            if text.startswith("`"):
                assert formula.parse(text[1:-1]).x or formula.truth(text[1:-1]) is not False, text
            assert not text.isdigit() or variants in told.questions.values(), text


def test_checks_may_run_in_any_thread(kept):
    """In one process, jobs come on threads that change; a database may not mind."""
    some = [one for one in kept if one[0]["concept"] in ("sql_queries", "knights_and_knaves")]
    assert len(some) > 10
    for _ in range(2):
        with ThreadPoolExecutor(1) as pool:
            assert all(pool.map(lambda one: check(*one).ok, some))


def test_a_heading_says_what_its_section_is():
    """No heading can be told of two kinds of section; the second reader goes by them."""
    seen = {}
    for name, texts in content.common().items():
        if name.startswith("h_"):
            for told in (one for text in texts for one in tellings(phrase(text))):
                assert seen.setdefault(told.rstrip(" .?!"), name[2:]) == name[2:], told


def tellings(items):
    """Every way to tell a phrase, symbols by their names."""
    ways = [""]
    for item in items:
        if hasattr(item, "options"):
            parts = [one for option in item.options for one in tellings(option)]
        else:
            parts = [" ".join(item.words) if hasattr(item, "words") else item[0]]
        ways = [f"{way} {part}".strip() for way in ways for part in parts]
    return ways


def words(items):
    """Every word of a phrase, also in its choices."""
    for item in items:
        yield from getattr(item, "words", ())
        for option in getattr(item, "options", ()):
            yield from words(option)


OWN = Path(__file__).parents[1] / "examples" / "doubling.toml"


def test_a_concept_of_ones_own_is_one_file_of_less_than_40_lines(tmp_path):
    assert len(OWN.read_text().splitlines()) < 40
    result = stillroom.run(
        "lessons",
        count=120,
        out=tmp_path / "run",
        settings=(f'world.own=["{OWN}"]', 'world.concepts=["order_of_operations"]'),
        workers=0,
    )
    own = [r for r in result.dataset if r.data["concept"] == "doubling"]
    assert len(own) > 40
    assert all("Doubling" in r.data["title"] for r in own)
    assert result.power["own"]["power"] > 0.99
    # The file is not needed any more: the run holds its text.
    assert stillroom.verify(tmp_path / "run").ok


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('subject = "arithmetic"', 'subject = "cooking"', "line 2: unknown subject 'cooking'"),
        ('topic = ["twice"', 'about = ["twice"', "line 1: topic: a list of phrases is missing"),
        ("idea = [", "ideas = [", "idea: a list of phrases is missing"),
        (
            "a = [1, 20], b = [1, 40]",
            "a = [20, 1], b = [1, 40]",
            "line 15: levels: in level 1, a =",
        ),
        ("a = [1, 20], b = [1, 40]", "b = [1, 40]", "line 15: levels: level 1 has no a"),
        ("a = [1000, 9999], b = [100, 999]", "a = [1, 9], b = [1, 9]", "level 9 goes beyond"),
        ('["order_of_operations"]', '["twice"]', "line 3: a cycle in the curriculum: twice needs"),
        ('["order_of_operations"]', '["juggling"]', "line 3: twice needs 'juggling'"),
        ("[two|both] children", "[two|both children", "line 7: need: "),
        ('concept = "twice"', 'concept = "twice', "line 1: "),
        ('concept = "twice"', 'concept = "cups"', "line 1: there is another concept 'cups'"),
        ('["Twice and more"]', '["Remainders"]', "'Remainders' belongs to another concept"),
    ],
)
def test_mistakes_in_a_concept_file_are_named_with_file_and_line(tmp_path, old, new, said):
    text = (
        OWN.read_text()
        .replace("doubling", "twice")
        .replace("Doubling and adding", "Twice and more")
    )
    assert old in text
    file = tmp_path / "mine.toml"
    file.write_text(text.replace(old, new))
    with pytest.raises(ValidationError) as wrong:
        Lessons(own=(str(file),))
    assert "mine.toml, line" in str(wrong.value)
    assert said in str(wrong.value)
