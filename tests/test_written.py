"""Lessons by a model: what is right is kept, what is wrong is not, nothing is taken on trust."""

import asyncio
import json
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from lesson_teacher import LessonTeacher

import stillroom
from stillroom import check_world, dataset
from stillroom.errors import UserError
from stillroom.ledger import Ledger, TaskTeacher
from stillroom.world import Message, Verdict
from stillroom.worlds.lessons.written import Written
from stillroom.worlds.lessons.written.answers import agree, majority
from stillroom.worlds.lessons.written.claims import claims
from stillroom.worlds.lessons.written.code import run as run_code
from stillroom.worlds.lessons.written.form import take_apart

DRAFTS = Written(passes=("draft",))
QUICK = ("power.sample=0", "audit.run=false")


def test_the_contract(tmp_path: Path) -> None:
    teacher = LessonTeacher(DRAFTS, 120)
    check_world(DRAFTS, tmp_path, teacher=teacher, count=24, core=0.9)  # type: ignore[arg-type]


def test_wrong_lessons_are_refused_and_right_ones_kept(tmp_path: Path) -> None:
    teacher = LessonTeacher(DRAFTS, 300)
    run = stillroom.run(
        DRAFTS, count=120, out=tmp_path / "r", workers=0, teacher=teacher, settings=QUICK
    )
    found: Counter[tuple[bool, str]] = Counter()
    for one in (*dataset.open(run.folder), *dataset.rest(run.folder)):
        found[one.verdict.ok, teacher.slip(one.task_json)] += 1
    assert sum(n for (ok, slip), n in found.items() if ok and slip) == 0, found
    assert found[False, ""] <= 0.05 * found[True, ""], found
    assert len(found) > 6, found


def test_questions_belong_to_their_level_and_split(tmp_path: Path) -> None:
    run = stillroom.run(
        DRAFTS, count=12, out=tmp_path / "r", workers=0, settings=QUICK,
        teacher=LessonTeacher(DRAFTS, 60, wrong=0),
    )  # fmt: skip
    record = next(one for one in run.dataset if one.task["split"] == "train")
    for change in ({"split": "test"}, {"level": 8}):
        task = record.task | change
        data = record.data | {"level": task["level"]}
        verdict = DRAFTS.check(task, data, stillroom.Context("key"))
        assert isinstance(verdict, Verdict)
        assert [c.name for c in verdict.checks if not c.ok] == ["level and split", "standing"]


@pytest.mark.parametrize(
    ("revisions", "wrong", "kept"), [("break", 0, "draft"), ("mend", 1, "revision")]
)
def test_the_best_verified_version_is_kept(
    tmp_path: Path, revisions: str, wrong: float, kept: str
) -> None:
    world = Written()
    teacher = LessonTeacher(world, 60, wrong=wrong, revisions=revisions)
    run = stillroom.run(
        world, count=16, out=tmp_path / "r", workers=0, teacher=teacher, settings=QUICK
    )
    assert {record.data["version"] for record in run.dataset} == {kept}
    assert all(record.usage.prompt_tokens == 300 for record in run.dataset)


class TopicTeacher:
    """Writes about a topic; its samples don't agree on Utopia, and it is wrong about Spain."""

    model = "topics"

    def __init__(self) -> None:
        self.asked = 0

    async def ask(self, messages: Sequence[Message], **params: Any) -> str:
        last, first = messages[-1]["content"], messages[min(1, len(messages) - 1)]["content"]
        if last.startswith("Answer the question"):
            self.asked += 1
            disagreeing = ("Amaurot", "Nowhere", "Here", "There", "?")[self.asked % 5]
            known = {"legs": "4", "Louvre": "Paris", "Italy": "Rome", "Spain": "Madrid"}
            return next((known[word] for word in known if word in last), disagreeing)
        if last.startswith("Here is the lesson"):
            return "Good."
        country, capital = next(
            pair
            for pair in (("Italy", "Rome"), ("Spain", "Toledo"), ("Utopia", "Amaurot"))
            if pair[0] in first
        )
        return (
            "# Cities\n\nCities are large.\n\n## Example\n\nWhat is big?\n\nAnswer: `London`\n\n"
            "## Exercises\n\n1. How many legs has a dog?\n2. Where does the Louvre stand?\n"
            f"3. What is the capital of {country}?\n\n"
            f"## Answers\n\n1. `4`\n2. Paris.\n3. **{capital}**\n"
        )


async def judged(world: Written, record: stillroom.Record, teacher: Any = None) -> Verdict:
    verdict = world.check(record.task, record.data, stillroom.Context("key", teacher=teacher))
    return verdict if isinstance(verdict, Verdict) else await verdict


def test_topics_stand_on_votes_that_the_ledger_holds(tmp_path: Path) -> None:
    world = Written(topics=("Italy", "Spain", "Utopia"))
    run = stillroom.run(
        world, count=3, out=tmp_path / "r", workers=0, teacher=TopicTeacher(), settings=QUICK
    )
    (record, *_) = run.dataset
    assert record.tags["standing"] == "voted"
    assert record.data["exercises"][2]["votes"] == ["Rome"] * 5
    assert {c.name for c in record.verdict.checks} >= {"votes", "votes recorded"}
    report = stillroom.verify(run.folder, replay=2)
    assert report.ok, report.problems
    # The example was put to no vote: it stands under no check.
    assert "London" in record.data["text"]
    assert 0 < record.verdict.score < 0.5
    ledger = Ledger(run.folder / "ledger.sqlite", read_only=True)
    recorded = TaskTeacher(ledger, "topics", record.task_id, None)
    record.data["exercises"][2]["votes"][0] = "Milan"  # still a majority, but not what was said
    checks = asyncio.run(judged(world, record, recorded)).checks
    ledger.close()
    assert [c.name for c in checks if not c.ok] == ["votes recorded"]
    apart = {record.tags["topic"]: record for record in dataset.rest(run.folder)}
    assert {record.tags["standing"] for record in apart.values()} == {"unverified"}
    assert "no majority" in apart["Utopia"].verdict.reason
    assert "most samples 'Madrid'" in apart["Spain"].verdict.reason


SOURCE = """
def runs(text):
    out = []
    for letter in text:
        if out and out[-1][0] == letter:
            out[-1][1] += 1
        else:
            out.append([letter, 1])
    return out


def double(number):
    return number * 2
"""


class Coder:
    """Describes a function and writes it again, well or badly."""

    model = "coder"

    def __init__(self, again: str = "", description: str = "", inputs: Any = None) -> None:
        self.again, self.description, self.inputs = again, description, inputs

    async def ask(self, messages: Sequence[Message], **params: Any) -> str:
        last = messages[-1]["content"]
        if last.startswith("Here is a Python function"):
            return self.description or "Counts how often each letter stands in a row."
        if last.startswith("Write this Python function"):
            assert self.description or "out[-1]" not in last  # it has the words alone
            name = re.search(r"def (\w+)", last)[1]  # type: ignore[index]
            return f"```python\n{self.again or HONEST[name]}\n```"
        numbers = [[0], [1], [7], [-3]]
        texts = [["aab"], [""], ["xyyyx"], ["q"], ["aabbaa"]]
        given = self.inputs or (texts if "runs" in last else numbers)
        assert params["schema"]
        return json.dumps({"inputs": given})


HONEST = {
    "runs": "import itertools\n\ndef runs(text):\n"
    "    return [[k, len(list(g))] for k, g in itertools.groupby(text)]",
    "double": "def double(number):\n    return number + number",
}


def reversed_code(folder: Path, coder: Coder) -> dict[str, dict[str, bool]]:
    """What each check said of each function."""
    world = Written(code=(SOURCE,))
    try:
        stillroom.run(world, count=2, out=folder, workers=0, teacher=coder, settings=QUICK)
    except UserError:
        pass
    shards = [*folder.glob("make/g000/0*.parquet")]
    from stillroom.parts import shard_rows

    rows = [row for shard in shards for row in shard_rows(shard)]
    return {
        row["data"]["code"]["name"]: {c["name"]: c["ok"] for c in row["verdict"]["checks"]}
        for row in rows
    }


def test_code_that_behaves_the_same_becomes_an_instruction(tmp_path: Path) -> None:
    found = reversed_code(tmp_path / "r", Coder())
    assert set(found) == {"runs", "double"}
    assert all(all(checks.values()) for checks in found.values()), found


@pytest.mark.parametrize(
    ("coder", "fails"),
    [
        (Coder(again="def runs(text):\n    return [[c, 1] for c in text]"), "behaviour"),
        (Coder(again="def runs(text):\n    raise SystemExit"), "behaviour"),
        (Coder(again="not python at all"), "behaviour"),
        (Coder(inputs=[[""], [""], [""], [""]]), "inputs"),
        (Coder(inputs=[["a"], ["b"], ["c"], ["d"]]), "teeth"),
        (Coder(description="Do: if out and out[-1][0] == letter: and so on"), "words alone"),
    ],
)
def test_code_that_does_not_is_refused(tmp_path: Path, coder: Coder, fails: str) -> None:
    assert not reversed_code(tmp_path / "r", coder)["runs"][fails]


def test_extracts_of_dated_documents_seed_lessons(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("First thoughts.\n\nSecond thoughts.\n")
    document = {"file": f"{tmp_path}/notes.txt", "date": "2019-05-01"}
    world = Written.model_validate({"topics": ["Italy"], "documents": [document]})
    seen: list[str] = []

    class Watched(TopicTeacher):
        async def ask(self, messages: Sequence[Message], **params: Any) -> str:
            seen.append(messages[min(1, len(messages) - 1)]["content"])
            return await super().ask(messages, **params)

    run = stillroom.run(
        world, count=4, out=tmp_path / "r", workers=0, settings=QUICK, teacher=Watched()
    )
    drafts = [prompt for prompt in seen if "about: Italy" in prompt]
    assert all('extract from "notes.txt" (2019-05-01)' in prompt for prompt in drafts)
    assert {"First" in prompt for prompt in drafts} == {True, False}
    for record in run.dataset:
        assert record.origin.source == "notes.txt (2019-05-01)"
        assert record.data["source"]["end"] > record.data["source"]["begin"]
    for place in ({"date": "2020-05-01"}, {"name": "other.txt"}, {"end": 4000}):
        moved = record._replace(data=record.data | {"source": record.data["source"] | place})
        checks = asyncio.run(judged(world, moved)).checks
        assert [c.name for c in checks if not c.ok] == ["source"]
    with pytest.raises(UserError, match=r"can't read the document gone\.txt"):
        stillroom.run(
            "written", out=tmp_path / "x",
            settings=['world.documents=[{file = "gone.txt", date = "2019-05-01"}]'],
        )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "true"),
    [
        ("17 is prime.", True),
        ("18 is a prime number.", False),
        ("21 is not prime", True),
        ("44 is even", True),
        ("44 is not divisible by 4", False),
        ("12 is a multiple of 5", False),
        ("6 is a factor of 42", True),
        ("The greatest common divisor of 12 and 18 is 6.", True),
        ("the least common multiple of 4 and 6 is 24.", False),
        ("The square root of 81 is 9.", True),
        ("20 % of 50 is 12.", False),
        ("3 km is 3000 m.", True),
        ("2 h is 100 min.", False),
        ("1 March 2024 was a Friday.", True),
        ("31 June 2024 was a Monday.", False),
        ("1900 was a leap year.", False),
        ("So 12 + 5 = 18.", False),
        ("`3/4 ÷ 1/2 = 3/2`", True),
        ("`[1, 2] → [3]`", None),
        ("1.5 is even and 3/4 is prime", None),
        ("```python\n2 + 2 == 5\n17 is even\n```", None),
    ],
)
def test_claims(text: str, true: bool | None) -> None:
    found = claims(text)
    assert [one.true for one in found] == ([] if true is None else [true]), found
    for one in found:
        assert one.said in text[one.begin : one.end] or one.said.strip("`") in text


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("```python\nprint(3 * 4)\n```\n\n```\n12\n```", ""),
        ("```python\nprint(3 * 4)\n```\n\nOutput:\n```text\n13\n```", "prints '12', and not '13'"),
        ("```python\n>>> x = 3\n>>> x + 1\n4\n```", ""),
        ("```python\n>>> [1] * 2\n[1, 1, 1]\n```", "prints '[1, 1]'"),
        ("```python\nprint(7 // 2)  # → 3\n```", ""),
        ("```python\nprint(7 // 2)  # -> 4\n```", "does not print '4'"),
        ("```python\na = 2\n```\n\nThen:\n\n```python\nassert a == 3\n```", "AssertionError"),
        ("```python\ndef f(:\n```", "SyntaxError"),
        ("```sql\nSELECT 1\n```", ""),
    ],
)
def test_code_blocks_do_what_the_lesson_says(text: str, fault: str) -> None:
    found = run_code(text).fault
    assert (fault in found) if fault else not found, found


def test_majorities() -> None:
    assert majority(["Rome", "rome.", "**Rome**", "Milan"]) == "Rome"
    assert majority(["4", "4.0", "8/2", "5", "6"]) == "4"
    assert majority(["a", "a", "b", "b"]) is None
    assert majority([]) is None
    assert agree("1,000", "1000")
    assert not agree("-3", "3")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("No title.", "does not begin with a title"),
        ("# T\n\n## Exercises\n\n1. a\n", "no section ## Answers"),
        ("# T\n\n## Exercises\n\n2. a\n\n## Answers\n\n2. b", "are not numbered"),
        ("# T\n\n## Exercises\n\n1. a\n\n## Answers\n\n1. b\n1. c", "answered twice"),
        ("# T\n\n## Exercises\n\n1. a\n\n## Answers\n\n1. b\n2. c", "belongs to no exercise"),
    ],
)
def test_a_lesson_has_its_form(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        take_apart(text)


def test_without_a_teacher_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="need a model to ask"):
        stillroom.run("written", out=tmp_path / "r", workers=0)


def test_lessons_with_a_teacher_are_written(tmp_path: Path) -> None:
    run = stillroom.run(
        "lessons", count=4, out=tmp_path / "r", workers=0, settings=QUICK,
        teacher=LessonTeacher(Written(), 30, wrong=0),
    )  # fmt: skip
    assert {record.world for record in run.dataset} == {"written"}
