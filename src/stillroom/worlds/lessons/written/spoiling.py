"""Faults as models make them, planted in lessons that are right."""

import re
from collections.abc import Callable

import numpy as np

from stillroom.world import Data
from stillroom.worlds.lessons.written import form

_Fault = Callable[[Data, np.random.Generator], Data | None]


def spoil(data: Data, rng: np.random.Generator) -> tuple[str, Data]:
    """One fault of a kind that fits: (its name, the faulty data)."""
    kinds = list(_CODE_KINDS if data["code"] else _KINDS)
    for place in rng.permutation(len(kinds)):
        name, fault = kinds[int(place)]
        made = fault(data, rng)
        if made is not None and made != data:
            return name, made
    return "another label", {**data, "standing": "unverified"}


def _with_text(data: Data, text: str) -> Data | None:
    """The data as they would be read from another text; None where it can't be read."""
    from stillroom.worlds.lessons.written.judging import parts_of

    try:
        said = parts_of(form.take_apart(text))
    except ValueError:
        return {**data, "text": text}
    votes = {one["question"]: one["votes"] for one in data["exercises"]}
    said["exercises"] = [
        {**one, "votes": votes.get(one["question"], [])} for one in said["exercises"]
    ]
    return {**data, "text": text, **said}


def _answer_parts(data: Data) -> list[form.Part]:
    found = form.take_apart(data["text"])
    pairs = [*([found.example] if found.example else []), *found.exercises]
    # On a topic only the exercises are voted on.
    pairs = pairs if data["concept"] else found.exercises
    return [answer for _, answer in pairs if answer is not None and answer.text]


def _wrong_answer(data: Data, rng: np.random.Generator) -> Data | None:
    """Another digit, sign or letter in an answer."""
    parts = _answer_parts(data)
    part = parts[int(rng.integers(len(parts)))]
    raw = data["text"][part.begin : part.end]
    at = raw.find(part.text)
    places = [i for i, c in enumerate(part.text) if c.isalnum()]
    if at < 0 or not places:
        return None
    i = places[int(rng.integers(len(places)))]
    old = part.text[i]
    new = str((int(old) + 1 + int(rng.integers(8))) % 10) if old.isdigit() else "Q"
    changed = part.text[:i] + new + part.text[i + 1 :]
    if re.sub(r"(?<!\d)0+(?=\d)", "", changed) == re.sub(r"(?<!\d)0+(?=\d)", "", part.text):
        return None
    begin = part.begin + at
    return _with_text(data, data["text"][:begin] + changed + data["text"][begin + len(part.text) :])


def _false_statement(data: Data, rng: np.random.Generator) -> Data | None:
    a, b = (int(n) for n in rng.integers(2, 90, 2))
    wrong = a + b + int(rng.integers(1, 9))
    head, _, rest = data["text"].partition("\n")
    return _with_text(data, f"{head}\n\nRemember that {a} + {b} = {wrong}.\n{rest}")


def _false_fact(data: Data, rng: np.random.Generator) -> Data | None:
    n = 2 * int(rng.integers(10, 900))
    head, _, rest = data["text"].partition("\n")
    return _with_text(data, f"{head}\n\nAs everybody knows, {n} is odd.\n{rest}")


def _broken_code(data: Data, rng: np.random.Generator) -> Data | None:
    a, b = (int(n) for n in rng.integers(2, 90, 2))
    code = f"```python\nprint({a} * {b})\n```\n\n```\n{a * b + int(rng.integers(1, 9))}\n```\n"
    head, _, rest = data["text"].partition("\n")
    return _with_text(data, f"{head}\n\n{code}{rest}")


def _other_question(data: Data, rng: np.random.Generator) -> Data | None:
    """A number of a question is another one, and the answer stays."""
    if not data["concept"]:
        return None
    question = form.take_apart(data["text"]).exercises[0][0]
    raw = data["text"][question.begin : question.end]
    digits = [m.start() for m in re.finditer(r"\d", raw)]
    if not digits:
        return None
    i = digits[int(rng.integers(len(digits)))]
    changed = raw[:i] + str((int(raw[i]) + 3) % 10) + raw[i + 1 :]
    return _with_text(data, data["text"][: question.begin] + changed + data["text"][question.end :])


def _no_answer(data: Data, rng: np.random.Generator) -> Data | None:
    lines = data["text"].rstrip().split("\n")
    return _with_text(data, "\n".join(lines[:-1])) if lines[-1][:1].isdigit() else None


def _other_behaviour(data: Data, rng: np.random.Generator) -> Data | None:
    code = data["code"]
    changed = re.sub(r"return (.+)", r"return [\1]", code["again"], count=1)
    return {**data, "code": {**code, "again": changed}} if changed != code["again"] else None


def _no_inputs(data: Data, rng: np.random.Generator) -> Data | None:
    return {**data, "code": {**data["code"], "inputs": data["code"]["inputs"][:1]}}


_KINDS: tuple[tuple[str, _Fault], ...] = (
    ("wrong answer", _wrong_answer),
    ("false statement", _false_statement),
    ("false fact", _false_fact),
    ("code prints something else", _broken_code),
    ("another question", _other_question),
    ("an answer is missing", _no_answer),
)
_CODE_KINDS: tuple[tuple[str, _Fault], ...] = (
    ("other behaviour", _other_behaviour),
    ("too few inputs", _no_inputs),
)
