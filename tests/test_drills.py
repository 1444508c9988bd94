"""The world `drills`: hand-worked questions, every wrong step refused, splits that never meet."""

import json
from collections import Counter, defaultdict
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

import stillroom
from stillroom import check_world, worlds
from stillroom.cast import cast
from stillroom.record import Origin, Record, canonical
from stillroom.stages.adopt import check as check_file
from stillroom.stages.export import export
from stillroom.world import Context, Verdict, Wishes, stream
from stillroom.worlds.lessons.drills import FAMILIES, Drills, chance
from stillroom.worlds.lessons.drills.notation import reasoning, steps_of

WORLD = Drills()
QUICK = ("power.sample=0",)

# Worked by hand, from the notation in docs/lessons.md: question, size, reasoning, answer.
WORKED = {
    "cups": ("cups 2:41344232........=", 4, ";2;2;4;4", "4"),
    "cups to the end": ("cups 1:1221132434141212=", 8, ";2;1;3;3;4;1;2;1", "1"),
    "chain": ("chain 5-3+8*9..........=", 3, ";2;0;0", "0"),
    "chain below nought": ("chain 2-7..............=", 1, ";5", "5"),
    "add": ("add ..139+..332=", 3, "92:11;33:70;13:40;", "0471"),
    "add with a last carry": ("add ...95+...17=", 2, "57:21;91:11;", "112"),
    "sort": ("sort 4185..=", 4, "14;148;1458;", "1458"),
    "sort equal ones": ("sort 303...=", 3, "03;033;", "033"),
    "times": ("times 8*..71=", 2, "1:08+0=08;7:56+0=56;", "568"),
    "times with carries": ("times 7*..89=", 2, "9:63+0=63;8:56+6=62;", "623"),
    "solve": ("solve 7x+38=087:", 2, "78:91;83:40;00:00;7x=049;", "07"),
    "solve, one digit": ("solve 9x+05=104:", 1, "45:91;00:91;10:00;9x=099;", "11"),
    "cups beyond": ("cups 1:12211221122112211221=", 10, ";2;1;2;1;2;1;2;1;2;1", "1"),
}


def adopted(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    question, _, told, answer = WORKED[name]
    return WORLD.adopt({"prompt": question, "completion": f"<think>{told}</think>{answer}"})


def check(task, data, world=WORLD) -> Verdict:
    verdict = world.check(task, data, Context("check"))
    assert isinstance(verdict, Verdict)
    return verdict


def wrong(task, data, world=WORLD) -> list[str]:
    return [c.name for c in check(task, data, world).checks if not c.ok]


def record(task, data, world=WORLD) -> Record:
    return Record(
        id="id",
        world="drills",
        task_id="task",
        task_json=canonical(task).decode(),
        generation=0,
        data=data,
        verdict=check(task, data, world),
        tags={},
        origin=Origin(),
    )


def made(world=WORLD, count=600):
    tasks = list(islice(world.plan(0), count))
    return [(task, world.make(task, Context("key"))[0]) for task in tasks]


def test_the_contract(tmp_path: Path) -> None:
    result = check_world(WORLD, tmp_path, count=120, own=0.99, core=0.99)
    assert result.counts["refused"] == result.counts["failed"] == 0


@pytest.mark.parametrize(
    "world",
    [
        Drills(families=("cups",), cups=2, beyond={"cups": ()}),
        Drills(families=("solve",), sizes={"solve": (1, 3)}, beyond={"solve": (4,)}, series=3),
        Drills(families=("times", "add"), weights={"times": (1, 2, 3, 4)}),
    ],
    ids=["two cups", "wide equations", "weights"],
)
def test_other_configs_keep_the_contract(world: Drills, tmp_path: Path) -> None:
    check_world(world, tmp_path, count=60, own=0.99, core=0.99)


def test_it_is_listed_by_its_name() -> None:
    assert worlds.load(worlds.find("drills")) is Drills


@pytest.mark.parametrize("name", list(WORKED))
def test_worked_examples_pass_and_are_what_the_maker_writes(name: str) -> None:
    question, size, told, answer = WORKED[name]
    task, data = adopted(name)
    verdict = check(task, data)
    assert verdict.ok, verdict.reason
    assert (data["size"], data["answer"], verdict.score) == (size, answer, 1.0)
    assert {c.name for c in verdict.checks} == {"question", "split", "steps", "answer"}
    assert WORLD.make(task, Context("key")) == [data]
    shown = WORLD.show(record(task, data))
    assert shown.messages == (
        {"role": "user", "content": question},
        {"role": "assistant", "content": answer, "reasoning_content": told},
    )
    assert shown.text == f"{question}\n{told}\n{answer}"


@pytest.mark.parametrize("name", list(WORKED))
def test_every_other_digit_of_a_step_is_refused_though_the_answer_is_right(name: str) -> None:
    task, data = adopted(name)
    for place, step in enumerate(data["steps"]):
        for at, old in enumerate(step):
            for new in set("0123456789:;=+x ") - {old}:
                steps = list(data["steps"])
                steps[place] = step[:at] + new + step[at + 1 :]
                assert wrong(task, {**data, "steps": steps}) == ["steps"], steps
        for other in ("", step[:-1], step + "0", "0" + step, "²", "٣"):
            steps = [*data["steps"][:place], other, *data["steps"][place + 1 :]]
            assert wrong(task, {**data, "steps": steps}) == ["steps"], steps


@pytest.mark.parametrize("name", list(WORKED))
def test_steps_left_out_doubled_or_added_are_refused(name: str) -> None:
    task, data = adopted(name)
    steps = data["steps"]
    others = [[], [*steps, steps[-1]], [*steps, ""], steps[:-1], steps[1:], ["", *steps]]
    for other in others:
        assert wrong(task, {**data, "steps": other}) == ["steps"], other


@pytest.mark.parametrize("name", list(WORKED))
def test_every_other_answer_is_refused_with_steps_and_without(name: str) -> None:
    task, data = adopted(name)
    right = data["answer"]
    others = {str(n).zfill(length) for length in (1, 2, 3) for n in range(10**length)}
    others |= {
        "",
        "0" + right,
        right + "0",
        right[1:],
        "x",
        "-" + right,
        right + "\n",
        "٣",
        "9" * 5000,
    }
    for answer in sorted(others - {right}):
        assert wrong(task, {**data, "answer": answer}) == ["answer"], answer
        assert wrong(task, {**data, "answer": answer, "steps": None}) == ["answer"], answer
    assert check(task, {**data, "steps": None}).score == 1.0
    assert not wrong(task, {**data, "steps": None})


@pytest.mark.parametrize(
    ("name", "place", "step", "said"),
    [
        ("cups", 2, "2", "step 3 of 4, '2': undoing 42 leads to cup 4, not to cup 2"),
        ("chain", 1, "7", "step 2 of 3, '7': 5-3+8 is 10 in whole numbers"),
        ("add", 0, "92:10", "step 1 of 3, '92:10': the terms' last 1 digits make 11"),
        ("sort", 1, "184", "step 2 of 3, '184': 84 is not in order"),
        ("times", 1, "7:56+0=57", "step 2 of 2, '7:56+0=57': the last 2 digits times 8 are 568"),
        (
            "solve",
            0,
            "78:90",
            "step 1 of 4, '78:90': 9 and 8 make 17, not 7 with what was borrowed",
        ),
    ],
)
def test_a_detail_says_what_was_wrong(name: str, place: int, step: str, said: str) -> None:
    task, data = adopted(name)
    steps = [*data["steps"][:place], step, *data["steps"][place + 1 :]]
    assert check(task, {**data, "steps": steps}).reason == f"steps: {said}"


@pytest.mark.parametrize("named", [True, False], ids=["with steps", "answers alone"])
def test_all_that_is_made_passes_and_no_planted_fault_does(named: bool) -> None:
    rng = stream("faults")
    kinds: Counter[tuple[str, str]] = Counter()
    for task, data in made(count=1500):
        data = data if named else {**data, "steps": None}
        assert not wrong(task, data)
        kind, faulty = WORLD.spoil(data, rng)
        kinds[data["family"], kind] += 1
        assert wrong(task, faulty), (kind, faulty)
        assert cast([faulty], WORLD.schema) == [faulty]
    if named:
        assert len({kind for _, kind in kinds}) == 7, kinds
        assert kinds["add", "a carry lost"]
        assert kinds["solve", "a carry lost"]
    assert {family for family, _ in kinds} == set(FAMILIES)


def test_a_slip_is_carried_on_to_a_whole_trace_that_would_be_right_had_the_slip_been() -> None:
    """Refused at the slip, not somewhere later: the rest follows from it."""
    rng = stream("slips")
    seen = 0
    for task, data in made(count=900):
        kind, faulty = WORLD.spoil(data, rng)
        if kind != "a slip that is carried on":
            continue
        pairs = zip(data["steps"], faulty["steps"], strict=True)
        first = next(n for n, (a, b) in enumerate(pairs) if a != b)
        assert f"step {first + 1} of" in check(task, faulty).reason
        seen += 1
    assert seen > 50


def test_the_task_binds_question_family_size_and_split() -> None:
    (one, data), (other, _) = made(count=2)
    assert wrong(other, data) == ["question"]
    assert wrong(one, {**data, "size": data["size"] + 1}) == ["question"]
    assert wrong(one, {**data, "family": "chain" if data["family"] == "cups" else "cups"}) == [
        "question"
    ]
    for split in {"train", "validation", "test"} - {one["split"]}:
        assert wrong({**one, "split": split}, data) == ["split"]
    lie = {**one, "size": one["size"] + 1}
    assert wrong(lie, {**data, "size": lie["size"]}) == ["question"]


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("cup 1:12=", "begins with one of cups, chain"),
        ("cups 1:12=", "1 slots, and not 8"),
        ("cups 5:12..............=", "no cup 5 among 4"),
        ("cups 1:22..............=", "swapped with itself"),
        ("cups 1:12.............=", "half a swap"),
        ("cups 1:121221122112211212=", "size 9 is not asked"),
        ("chain 5/3..............=", "not how a question of chain is written"),
        ("chain 5-3.............=", "half an operation"),
        ("add ...39+..332=", "not the same length"),
        ("add ..139+.332=", "not the same length"),
        ("add ..039+..332=", "not how a question of add is written"),
        ("sort 41855...=", "8 slots, and not 6"),
        ("times 1*..71=", "not how a question of times"),
        ("times 8*..71=\n", None),
        ("times 8*...71=", "5 slots, and not 4"),
        ("solve 7x+38=088:", "no x from 2 to 12"),
        ("solve 7x+38=045:", "no x from 2 to 12"),
        ("solve 7x+038=0087:", "3 slots, and not 2"),
        ("solve 7x+38=0087:", "not how its numbers are written"),
        ("solve 7x+00=049:", "not how its numbers are written"),
        ("solve 7x+" + "9" * 5000 + "=1:", "not how a question of solve"),
    ],
)
def test_questions_in_another_notation_are_not_taken(question: str, said: str | None) -> None:
    row = {"prompt": question, "completion": "1"}
    if said is None:  # white space around a foreign question is no fault
        assert WORLD.adopt(row)[1]["question"] == question.strip()
        return
    with pytest.raises(ValueError, match=said):
        WORLD.adopt(row)


def test_reasoning_is_the_steps_and_back() -> None:
    for task, data in made(count=300):
        told = reasoning(task["family"], data["steps"])
        assert steps_of(task["family"], told) == data["steps"]
        text = f"<think>\n{told}\n</think>\n\n{data['answer']}\n"
        assert WORLD.read(task, text) == data
        assert WORLD.read(task, text.replace("<think>", "")) == data
        assert WORLD.read(task, data["answer"]) == {**data, "steps": None}
        assert WORLD.read(task, f"<think>\n\n</think>{data['answer']}") == {**data, "steps": None}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<think>;1", "no end"),
        ("The answer is 4.", "not a number alone: 'The answer is 4.'"),
        ("<think>;1</think>", "not a number alone"),
        ("", "not a number alone"),
        ("<think>1;2</think>2", "begins with a semicolon"),
        ("<think>;1</think>2</think>2", "not a number alone"),
    ],
)
def test_what_cant_be_read_is_said(text: str, said: str) -> None:
    task, _ = adopted("cups")
    with pytest.raises(ValueError, match=said):
        WORLD.read(task, text)


def test_foreign_rows(tmp_path: Path) -> None:
    question, _, told, answer = WORKED["add"]
    asked = {"role": "user", "content": question}
    system = {"role": "system", "content": "Be short."}
    said = {"role": "assistant", "content": answer}
    right = [
        {"messages": [asked, {**said, "reasoning_content": told}]},
        {"messages": [system, asked, {**said, "reasoning_content": None}]},
        {"messages": [asked, {**said, "content": f"<think>{told}</think>\n{answer}"}]},
        {"prompt": question, "completion": answer},
    ]
    false = [
        {"messages": [asked, {**said, "content": "0472"}]},
        {"messages": [asked, {**said, "reasoning_content": told.replace("33:70", "33:60")}]},
    ]
    unread = [
        {"messages": [asked]},
        {"messages": [asked, said, asked, said]},
        {"messages": [said, asked]},
        {"messages": [asked, 7, said]},
        {"messages": [asked, {**said, "reasoning_content": 5}]},
        {"messages": [asked, {**said, "content": None}]},
        {"prompt": "What is 1 + 1?", "completion": "2"},
        {"prompt": 3, "completion": "2"},
        {"text": question},
    ]
    for rows, kind in ((right, "right"), (false, "wrong"), (unread, "unchecked")):
        file = tmp_path / f"{kind}.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        report = check_file(file, "drills")
        assert getattr(report, kind) == report.rows == len(rows), (kind, report)
    assert [WORLD.adopt(row)[1]["steps"] is None for row in right] == [False, True, False, True]


def test_our_own_exports_are_right_when_read_again(tmp_path: Path) -> None:
    run = stillroom.run("drills", count=300, out=tmp_path / "r", workers=0, settings=QUICK)
    for form, suffix in (("chat", "jsonl"), ("parquet", "parquet")):
        export(run.folder, form, tmp_path / form)
        found = [check_file(f, "drills") for f in sorted((tmp_path / form).rglob(f"*.{suffix}"))]
        assert sum(report.right for report in found) == 300
        assert len(found) == 3
    repeated = next(one for one in run.findings if one["name"] == "questions asked again")
    assert repeated["value"] == 0
    assert repeated["ok"] is True
    shares = {one["name"]: one for one in run.findings if "commonest" in one["name"]}
    assert len(shares) == 6
    assert "a guess is right in 25 %" in shares["cups: commonest answer"]["detail"]


def test_the_audit_sees_a_question_asked_twice() -> None:
    (task, data), (_, other) = made(count=2)
    found = WORLD.audit([[record(task, data), record(task, data)], []], Context("audit"))
    assert (found[0].value, found[0].ok) == (1, False)
    assert found[1].value == 100
    assert data != other


def test_the_same_root_with_two_workers(tmp_path: Path) -> None:
    roots = [
        stillroom.run(WORLD, count=300, out=tmp_path / str(n), workers=n, settings=QUICK).root
        for n in (0, 2)
    ]
    assert roots[0] == roots[1]


def parts(question: str) -> tuple[str, Any]:
    """What a question is made of, its order left out where it makes no other question."""
    family, rest = question.rstrip("=:").replace(".", "").split(" ")
    if family == "cups":
        ball, swaps = rest.split(":")
        return family, (ball, tuple(frozenset(swaps[n : n + 2]) for n in range(0, len(swaps), 2)))
    if family == "sort":
        return family, tuple(sorted(rest))
    if family in ("add", "times"):
        return family, tuple(sorted(rest.replace("*", "+").split("+")))
    return family, rest


def test_splits_never_meet_and_no_question_comes_twice() -> None:
    tasks = list(islice(WORLD.plan(0), 20_000))
    assert len({task["question"] for task in tasks}) == len(tasks)
    assert [task["number"] for task in tasks] == list(range(len(tasks)))
    found = defaultdict(set)
    for task in tasks:
        found[parts(task["question"])].add(task["split"])
    assert {len(splits) for splits in found.values()} == {1}


def test_every_size_comes_up_in_every_split_eight_to_one_to_one() -> None:
    cells: Counter[Any] = Counter()
    for task in islice(WORLD.plan(0), 30_000):
        cells[task["family"], task["size"], task["split"]] += 1
    for family in FAMILIES:
        for size in WORLD.sizes[family]:
            counts = [cells[family, size, split] for split in ("train", "validation", "test")]
            assert min(counts) >= 1, (family, size, counts)
        for size in WORLD.beyond[family]:
            assert cells[family, size, "test"] > 90
            assert not cells[family, size, "train"] + cells[family, size, "validation"]
    train, validation, test = (cells["cups", 6, s] for s in ("train", "validation", "test"))
    assert abs(train - 8 * test) <= 8
    assert abs(validation - test) <= 1


def test_prompts_are_of_one_width_and_only_those_beyond_are_wider() -> None:
    widths = defaultdict(set)
    for task in islice(WORLD.plan(0), 5000):
        beyond = task["size"] in WORLD.beyond[task["family"]]
        widths[task["family"], beyond].add(len(task["question"]))
        assert not (beyond and "." in task["question"])
    for family in FAMILIES:
        (usual,) = widths[family, False]
        assert min(widths[family, True]) > usual


def test_small_spaces_are_asked_to_the_end_and_the_plan_ends() -> None:
    world = Drills(
        families=("cups", "sort"),
        sizes={"cups": (1, 2), "sort": (2, 3)},
        beyond={"cups": (), "sort": ()},
    )
    tasks = list(world.plan(0))
    found = Counter((task["family"], task["size"]) for task in tasks)
    assert found == {("cups", 1): 4 * 12, ("cups", 2): 4 * 144, ("sort", 2): 100, ("sort", 3): 1000}


def test_weights_series_and_wishes() -> None:
    weighed = Drills(families=("cups",), sizes={"cups": (2, 5)}, weights={"cups": (1, 3)})
    sizes = Counter(task["size"] for task in islice(weighed.plan(0), 400) if task["size"] < 9)
    assert abs(sizes[5] - 3 * sizes[2]) <= 3
    questions = [
        {task["question"] for task in islice(Drills(series=n).plan(0), 500)} for n in (0, 1)
    ]
    assert len(questions[0] & questions[1]) < 150
    only = Wishes(quotas={"concept": {"chain": 50}, "test": {"extrapolate": 50}})
    wished = list(islice(Drills(only=only).plan(0), 50))
    assert {(t["family"], t["split"]) for t in wished} == {("chain", "test")}
    assert {t["size"] for t in wished} == {10, 12}
    assert not list(Drills(only=Wishes(quotas={"concept": {"fractions": 5}})).plan(0))


def test_tags_and_picture() -> None:
    for task, data in made(count=900):
        view = WORLD.show(record(task, data))
        expected = {"concept": task["family"], "difficulty": str(task["size"])}
        beyond = task["size"] in WORLD.beyond[task["family"]]
        if task["split"] == "test":
            expected["test"] = "extrapolate" if beyond else "interpolate"
        assert view.tags == expected | {"split": task["split"]}
        assert view.features["steps"] == len(data["steps"])
    task, data = adopted("cups")
    hostile = {**data, "steps": ["<script>"]}
    assert "<script" not in WORLD.show(record(task, hostile)).html()
    assert "reasoning_content" not in WORLD.show(record(task, {**data, "steps": None})).messages[1]


def test_answers_are_spread_so_that_a_guess_is_as_good_as_chance() -> None:
    answers = defaultdict(Counter)
    for task, data in made(count=40_000):
        answers[task["family"]][data["answer"]] += 1
    for family in ("cups", "chain"):
        commonest = answers[family].most_common(1)[0][1] / answers[family].total()
        assert commonest < 1.1 * chance(family), family
    assert chance("cups", 5) == 0.2
    assert chance("add") == 0


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"families": ("cup",)}, "no family 'cup' .there are cups, chain"),
        ({"families": ()}, "name at least one"),
        ({"families": ("cups", "cups")}, "each once"),
        ({"sizes": {"knots": (1,)}}, "no family 'knots'"),
        ({"families": ("add",), "sizes": {"cups": (1,)}}, "asked for are add"),
        ({"sizes": {"sort": (1, 2)}}, "sort: sizes are from 2 to 64, got 1"),
        ({"sizes": {"add": ()}}, "leave it out of families"),
        ({"sizes": {"add": (2, 2)}}, "name each size once"),
        ({"beyond": {"cups": (8, 10)}}, "larger than 8, got 8"),
        ({"weights": {"solve": (1,)}}, r"each of the sizes \[1, 2\], got \[1\]"),
        ({"weights": {"solve": (0, 1)}}, "from 1 to 1000"),
        ({"cups": 10}, "less than or equal to 9"),
        ({"series": -1}, "greater than or equal to 0"),
    ],
)
def test_mistakes_in_a_config_are_named(config: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Drills(**config)


def test_defaults_are_filled_in_by_family() -> None:
    world = Drills(families=("cups", "add"), sizes={"cups": (1, 11)})
    assert world.sizes == {"cups": (1, 11), "add": (1, 2, 3, 4, 5)}
    assert world.beyond == {"cups": (12,), "add": (6, 7)}
    assert world.weights == {"cups": (1, 1), "add": (1,) * 5}
