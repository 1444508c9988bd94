"""The verb `check` of the world `written`: what a model wrote, taken apart and worked out again.

A lesson stands on answers that a route of its concept finds (verified), or, on a topic without a
solver, on the votes of several samples (voted). A lesson with neither is labelled unverified and
refused, so that it is kept apart from the dataset, as evidence.
"""

from typing import Any, NamedTuple

from stillroom import sandbox
from stillroom.world import Check, Data, Task, Verdict
from stillroom.worlds.lessons import checking, reading
from stillroom.worlds.lessons.content import content
from stillroom.worlds.lessons.curriculum import entry
from stillroom.worlds.lessons.routes import Question
from stillroom.worlds.lessons.written import answers, code, form, reversal
from stillroom.worlds.lessons.written.claims import claims, covered

PLANNED = ("concept", "topic", "level", "audience", "style", "locale")
VERIFIED, VOTED, UNVERIFIED = "verified", "voted", "unverified"


class Judged(NamedTuple):
    """A verdict, what the lesson stands on, and the sandbox its code ran in ("" for no code)."""

    verdict: Verdict
    standing: str
    sandbox: str


def judge(task: Task, data: Data) -> Judged:
    """Everything about a record that can be worked out from it alone."""
    if task.get("function"):
        return _judge_code(task, data)
    try:
        found = form.take_apart(data["text"])
    except ValueError as wrong:
        return Judged(_no("form", str(wrong)), UNVERIFIED, "")
    looks = [_as_planned(task, data, found)]
    standing, solved = UNVERIFIED, _pairs(found)
    if task.get("concept"):
        asked = _questions(task, found)
        looks += [asked.check, _fits(task, asked.pairs), _solved(task, found, asked.pairs)]
        standing = VERIFIED if all(one.ok for one in looks) else UNVERIFIED
    else:
        solved = found.exercises  # the example's answer was put to no vote
        looks.append(_voted(data))
        standing = VOTED if looks[-1].ok else UNVERIFIED
    parts = [part for pair in solved for part in pair if part is not None]
    under = [(part.begin, part.end) for part in parts if standing != UNVERIFIED]
    ran = code.run(data["text"])
    found_claims = claims(data["text"])
    false = [one.told for one in found_claims if not one.true]
    looks += [
        Check("claims", not false, "; ".join(false)[:300] or f"{len(found_claims)} hold"),
        Check("code", not ran.fault, ran.fault),
    ]
    under += [(one.begin, one.end) for one in found_claims]
    under += [(one.begin, one.end) for one in code.blocks(data["text"])] if not ran.fault else []
    if standing == UNVERIFIED and all(one.ok for one in looks):
        looks.append(Check(UNVERIFIED, False, "nothing here could be checked against a solver"))
    return Judged(Verdict(tuple(looks), covered(data["text"], under)), standing, ran.level)


def check(task: Task, data: Data) -> Verdict:
    """The verdict, and whether the record's own labels are what they should be."""
    judged = judge(task, data)
    labels = [
        Check("standing", data["standing"] == judged.standing, f"it is {judged.standing}"),
        Check(
            "sandbox",
            data["sandbox"] in ("", *sandbox.LEVELS)
            and bool(data["sandbox"]) == bool(judged.sandbox),
            f"{data['sandbox']!r}",
        ),
        Check("version", data["version"] in ("draft", "revision", "given"), data["version"]),
    ]
    return Verdict((*judged.verdict.checks, *labels), judged.verdict.score)


class _Asked(NamedTuple):
    check: Check
    pairs: checking.Pairs


def _no(name: str, why: str) -> Verdict:
    return Verdict((Check(name, False, why),), 0.0)


def _pairs(found: form.Form) -> list[tuple[form.Part, form.Part | None]]:
    return [*([found.example] if found.example else []), *found.exercises]


def parts_of(found: form.Form) -> dict[str, Any]:
    """The questions and answers of a text, as the data hold them."""

    def pair(one: tuple[form.Part, form.Part | None]) -> dict[str, str]:
        question, answer = one
        return {"question": question.text, "answer": answer.text if answer else ""}

    return {
        "title": found.title,
        "example": pair(found.example) if found.example else None,
        "exercises": [pair(one) for one in found.exercises],
    }


def _as_planned(task: Task, data: Data, found: form.Form) -> Check:
    """The data say what the task and the text say."""
    wrong = [name for name in PLANNED if data[name] != task.get(name, "" if name != "level" else 0)]
    concept = task.get("concept")
    if data["subject"] != (entry(concept).subject if concept else ""):
        wrong.append("subject")
    said = parts_of(found)
    plain = [{k: one[k] for k in ("question", "answer")} for one in data["exercises"]]
    if (data["title"], data["example"], plain) != tuple(said.values()):
        wrong.append("title, questions or answers")
    return Check("as planned", not wrong, ", ".join(wrong))


def _questions(task: Task, found: form.Form) -> _Asked:
    """The questions, read by the grammar of their concept."""
    pairs: checking.Pairs = []
    if found.example is None or len(found.exercises) < 2:
        return _Asked(Check("questions", False, "a worked example and two exercises at least"), [])
    try:
        for n, (question, _) in enumerate(_pairs(found)):
            where = f"exercise {n}" if n else "worked example"
            asked = reading.read_question(task, question.text, exercise=n > 0)
            pairs.append((where, {}, asked))
    except ValueError as wrong:
        return _Asked(Check("questions", False, f"{where}: {wrong}"), [])
    twice = len({repr(asked) for _, _, asked in pairs}) != len(pairs)
    return _Asked(
        Check("questions", not twice, "a question is asked twice" if twice else ""), pairs
    )


def _fits(task: Task, pairs: checking.Pairs) -> Check:
    """The questions belong to the task's level and split, so that no test leaks into training."""
    told = content(task["concept"])
    try:
        checking.in_level(told, task["level"], pairs)
        checking.in_split(told, task, pairs)
    except (ValueError, KeyError) as wrong:
        return Check("level and split", False, str(wrong))
    return Check("level and split", bool(pairs))


def _solved(task: Task, found: form.Form, pairs: checking.Pairs) -> Check:
    """Every answer is the one that the concept's route finds."""
    for (where, _, asked), (_, answer) in zip(pairs, _pairs(found), strict=False):
        fault = _fault(task["concept"], asked, answer)
        if fault:
            return Check("answers", False, f"{where}: {fault}")
    return Check("answers", bool(pairs))


def _fault(concept: str, asked: Question, answer: form.Part | None) -> str:
    return answers.fault(concept, asked, answer.text) if answer else "no answer is given"


def _voted(data: Data) -> Check:
    """More than half of the samples of each question agree with the lesson's answer."""
    for n, one in enumerate(data["exercises"], 1):
        winner = answers.majority(one["votes"])
        if winner is None:
            return Check("votes", False, f"exercise {n}: no majority in {one['votes']}"[:200])
        if not answers.agree(winner, one["answer"]):
            why = f"exercise {n}: the lesson says {one['answer']!r}, most samples {winner!r}"
            return Check("votes", False, why[:200])
    return Check("votes", bool(data["exercises"]))


def _judge_code(task: Task, data: Data) -> Judged:
    """An instruction with its code: both versions of the code have to do the same."""
    held = data["code"]
    one = reversal.Reversed(
        held["name"], held["description"], held["original"], held["again"], held["inputs"]
    )
    checks, level = reversal.judge(one)
    text = written_out(one)
    planned = held["name"] == task["function"] and held["original"] == task["source"]
    checks.append(Check("as planned", planned and data["text"] == text))
    ok = all(check.ok for check in checks)
    covered_share = round((len(one.original) + 12) / max(1, len(text)), 4)
    verdict = Verdict(tuple(checks), covered_share if ok else 0.0)
    return Judged(verdict, VERIFIED if ok else UNVERIFIED, level)


def written_out(one: reversal.Reversed) -> str:
    """An instruction and its code as one text."""
    return f"{one.description}\n\n```python\n{one.original}\n```"
