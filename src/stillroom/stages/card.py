"""The card beside a student's model, as model hubs read it, and a distillation's figures in words.

`told` is always RUN/student/report.json. Nothing that is measured in seconds stands in a card, and
no date: the same recipe gives the same bytes.
"""

import html
import json
import re
from pathlib import Path
from typing import Any

from stillroom import files
from stillroom.stages.arms import Arm
from stillroom.stages.distilling import Plan
from stillroom.stages.questions import Sets
from stillroom.students import chat
from stillroom.students.shapes import is_folder

Told = dict[str, Any]

TESTS = {"test": "ordinary questions", "extrapolate": "questions beyond its training's range"}
STUDENT = "distilled"  # the arm that the others stand beside
LONG = 600  # characters of a question that still make an example


def write_card(plan: Plan, sets: Sets, tokenizer: Any, told: Told, arm: Arm) -> None:
    """Write README.md beside the model of the arm's first seed."""
    messages = min((one.messages for one in sets.test[:20]), key=lambda one: len(str(one)))
    if len(str(messages)) > LONG:
        messages = ({"role": "user", "content": "your question"},)
    # Without a chat template a list of messages could not be given.
    asked = list(messages) if tokenizer.chat_template else chat.prompt(tokenizer, messages)
    about = {"name": type(plan.world).name, "version": type(plan.world).version}
    base = Path(plan.how.student).name if is_folder(plan.how.student) else ""
    words = card(told, about, plan.seed, base, asked, plan.how.max_tokens or plan.how.context)
    files.write_file(arm.folders[0] / "model" / "README.md", words.encode())


def card(told: Told, world: Told, seed: int, base: str, asked: Any, most: int) -> str:
    """The card's text.

    world  name and version of the world that made and judged the questions
    seed   of the run
    base   the name of the model that the student was before; empty: random weights
    asked  the example: a question's messages, or its prompt where the model has no chat template
    most   tokens of an answer at most
    """
    own = told["arms"][STUDENT]
    seeds = len(own["tests"][tests(told)[0]]["seeds"])
    begun = f"began as {plain(base)}" if base else f"began with random weights ({told['student']})"
    several = f" This is the first of {seeds} seeds." if seeds > 1 else ""
    front = f"base_model: {json.dumps(base, ensure_ascii=False)}\n" if base else ""
    tables = "\n".join(_table(told, test) for test in tests(told))
    lines = [plain(line) for test in tests(told) if (line := sentence_of_kept(told, test))]
    kept = "".join(f"\n{line}\n" for line in lines)
    return f"""---
library_name: transformers
pipeline_tag: text-generation
license: other
{front}tags:
- synthetic
- stillroom
- distillation
---
# A student of {plain(world["name"])}

A language model of {own["parameters"]:,} parameters, distilled by Stillroom. It {begun} and learnt
from {own["examples"]:,} chats, {own["tokens"]:,} tokens.{several}

| | |
|---|---|
| questions | world {plain(world["name"])}, version {world["version"]}, seed {seed}: synthetic |
| root of the run | `{told["root"]}` |
| teacher | {plain(told["teacher"]["name"])} |
| learnt | {_learnt(told)} |
| learning rate | {own["rate"]:g}{_tried(own)} |
| licence | as set by who made it |

{plain(sentence_of_teacher(told))}

## How it was judged

Each answer was decoded greedily, then read and checked by the program of its world. In brackets:
95 % intervals. A baseline is the same model with another training, judged by the same questions.
Guessing: who always says the commonest answer of the training questions.

{tables}{kept}
**Contamination.** {plain(sentence_of_contamination(told))}

## Use

In this folder (elsewhere, with its path in place of the dot):

{_code(asked, most)}

## Limits

A small model for questions of this one kind, worded as in its run; to any other it says something
senseless. It was distilled from synthetic data. No answer that it gives is checked by itself:
`read` and `check` of its world do that.
"""


def sentence_of_teacher(told: Told) -> str:
    """Who taught, how many answers were accepted, why others were not."""
    teacher = told["teacher"]
    refused = ", ".join(f"{why} ({n:,})" for why, n in list(teacher["refused"].items())[:3])
    line = (
        f"The teacher, {teacher['name']}, gave {counted(teacher['answers'], 'answer')} to "
        f"{counted(teacher['questions'], 'training question')}; {teacher['accepted']:,} of the "
        "questions have one that passed the check"
    )
    line += "" if told["keep"] == "verified" else ", but wrong answers were learnt, too"
    return f"{line}. Answers were refused for: {refused}." if refused else f"{line}."


def sentence_of_kept(told: Told, test: str) -> str:
    """How much of the teacher's lead over guessing the student has; empty for exact teachers."""
    kept = told["kept"].get(test)
    if not kept:
        return ""
    worst = f" ({percent(kept['worst'])} in the worst seed)" if len(kept["seeds"]) > 1 else ""
    return (
        f"It keeps {percent(kept['mean'])} of its teacher's lead over guessing on "
        f"{title(test)}{worst}."
    )


def sentence_of_contamination(told: Told) -> str:
    """Whether questions that were held out are among those that were learnt."""
    found = told["contamination"]
    looked = f"{found['held_out']:,} held-out questions were compared with {found['train']:,}"
    exact = f"{found['exact']:,} stand" if found["exact"] else "none stands"
    shared = (
        f"{percent(found['shared'])} share a run of 13 tokens with one "
        f"(at most {percent(found['largest'])} of a question)"
        if found["shared"]
        else "none shares a run of 13 tokens with one"
    )
    return f"{looked} training questions: {exact} among them word for word; {shared}."


def tests(told: Told) -> list[str]:
    """The tests that were held, ordinary questions first."""
    return [name for name in told["questions"] if name != "train"]


def title(test: str) -> str:
    """What is asked in a test."""
    return TESTS.get(test, test)


def ahead(told: Told, arm: str, test: str) -> Told | None:
    """The student less that arm on that test; None for the student itself."""
    return next((a for a in told["against"] if a["arm"] == arm and a["test"] == test), None)


def percent(share: float) -> str:
    """0.5 as "50.0 %"."""
    return f"{100 * share:.1f} %"


def span(interval: tuple[float, float]) -> str:
    """An interval in per cent, or in points of it."""
    return " to ".join(f"{_rounded(end):.1f}".replace("-", "−") for end in interval)


def points(difference: float) -> str:
    """A difference with its sign, in points of per cent."""
    return f"{_rounded(difference):+.1f}".replace("-", "−")


def counted(n: int, noun: str) -> str:
    """The number with its noun in the right form."""
    return f"{n:,} {noun}" + ("" if n == 1 else "s")


def plain(text: str) -> str:
    """Text from data as Markdown that shows it as it is, on one line."""
    line = html.escape(" ".join(text.split()), quote=False)
    return re.sub(r"([\\`*_\[\]|~])", r"\\\1", line)


def _table(told: Told, test: str) -> str:
    """A test in Markdown: this model, the mean of its seeds, its teacher, the baselines."""
    own = told["arms"][STUDENT]["tests"][test]
    first = own["seeds"][0]
    rows: list[tuple[str, float, tuple[float, float], Told | None]] = [
        ("**this model**", first["accuracy"], first["interval"], None)
    ]
    if len(own["seeds"]) > 1:
        rows.append((f"mean of {len(own['seeds'])} seeds", own["accuracy"], own["interval"], None))
    teacher = told["teacher"]["tests"].get(test)
    if teacher:
        rows.append(("its teacher", teacher["accuracy"], teacher["interval"], None))
    for name, arm in told["arms"].items():
        if name != STUDENT:
            scored = arm["tests"][test]
            about = f"{plain(name)}: {plain(arm['about'])}"
            rows.append((about, scored["accuracy"], scored["interval"], ahead(told, name, test)))
    lines = [
        f"| {told['questions'][test]:,} {title(test)} | right | the student is ahead by, points |",
        "|---|---|---|",
    ]
    for name, accuracy, interval, lead in rows:
        away = f"{points(lead['difference'])} ({span(lead['interval'])})" if lead else ""
        lines.append(f"| {name} | {percent(accuracy)} ({span(interval)}) | {away} |")
    lines.append(f"| guessing | {percent(told['chance'][test])} | |")
    return "\n".join(lines) + "\n"


def _learnt(told: Told) -> str:
    """Which answers were learnt, and how."""
    kept = {"verified": "answers that passed the check", "all": "answers, right or wrong"}
    how = {
        "sequence": "as text, reasoning included",
        "rationale": "with reasoning, and without where it is asked to answer at once",
        "logits": "with the teacher's probabilities",
        "on_policy": "with the teacher's probabilities, on the student's own answers",
    }
    keep, mode = told["keep"], told["mode"]
    return f"{kept.get(keep, plain(keep))}, {how.get(mode, plain(mode))}"


def _tried(arm: Told) -> str:
    """The learning rates among which the validation questions chose."""
    tried = ", ".join(f"{rate} ({percent(share)})" for rate, share in arm["tried"].items())
    return f"; tried, with the share right of validation questions: {tried}" if tried else ""


def _code(asked: Any, most: int) -> str:
    """Three lines that load the model and ask it, in a fence that the question can't close."""
    given = json.dumps(asked, ensure_ascii=False)
    options = f"max_new_tokens={most}, do_sample=False, return_full_text=False"
    lines = [
        "from transformers import pipeline",
        'ask = pipeline("text-generation", ".")',
        f'print(ask({given}, {options})[0]["generated_text"])',
    ]
    ticks = max((len(run) for run in re.findall("`+", given)), default=0)
    fence = "`" * max(3, ticks + 1)
    return "\n".join([f"{fence}python", *lines, fence])


def _rounded(share: float) -> float:
    return round(100 * share, 1) + 0.0  # + 0.0: no "-0.0"
