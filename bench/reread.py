"""A second, independent reader of lessons: recomputes every formula by docs/lessons.md alone."""

from __future__ import annotations

import json
import random
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

from reread_formulas import Formula, Linear, Unreadable, X, holds, need, show, understand


@dataclass(frozen=True)
class Reading:
    """What recomputing a lesson found."""

    equations: int
    wrong: list[str]
    unreadable: list[str]

    @property
    def ok(self) -> bool:
        """Everything could be read, all of it is true, and there was something to check."""
        return not self.wrong and not self.unreadable and self.equations > 0


class Place(NamedTuple):
    """A formula in backticks, where it stands and what it is there for."""

    line: int
    start: int
    text: str
    block: str
    role: str


BACKTICKS = re.compile("`([^`]*)`")
STEP = re.compile(r"\d+\. .*?: (`[^`]*`(?:(?: and | → )`[^`]*`)*)\.")


def places(text: str) -> list[Place]:
    """Every formula of a lesson, with the block it belongs to and what it is there for."""
    found, block, role, offset, section = [], "", "", 0, ""
    for number, line in enumerate(text.split("\n"), 1):
        numbered = re.match(r"(\d+)\. ", line)
        exercise = re.match(r"\*\*Exercise (\d+)\.\*\*", line)
        marked = re.match(r"\*\*(Question|Answer|Check)\.\*\*", line)
        last = (0, len(line))
        if line.startswith("#"):
            section, role = line.strip("# ").lower(), ""
            block = "prose" if section in ("why", "idea", "exercises", "solutions") else "worked"
        elif section == "exercises" and numbered:
            block, role = f"exercise {numbered[1]}", "question"
        elif exercise:
            block, role = f"exercise {exercise[1]}", ""
        elif marked:
            role = marked[1].lower()
        elif numbered and section != "a common mistake":
            role, shape = "step", STEP.match(line)
            last = shape.span(1) if shape else last
        for formula in BACKTICKS.finditer(line):
            inside = role != "step" or last[0] <= formula.start() < last[1]
            here = (number, offset + formula.start(1), formula[1])
            found.append(Place(*here, block, role if inside else ""))
        role = "" if role == "step" else role
        offset += len(line) + 1
    return found


def solve(a: Any, b: Any) -> Fraction | str:
    """The one solution of a = b in x, or the word for how many it has."""
    left, right = (v if type(v) is Linear else Linear(Fraction(0), v) for v in (a, b))
    need(type(left.const) is type(right.const) is Fraction, "x with something else than a number")
    coef, const = left.coef - right.coef, right.const - left.const
    return const / coef if coef else "every x" if not const else "no x"


def has_x(formula: Formula) -> bool:
    """Whether x stands in a formula."""
    return any(type(side) is Linear for side in formula.sides)


def solution_of(block: list[tuple[Place, Formula]]) -> Fraction | None:
    """The solution a block claims: its answer's, else that of its last equation in x."""
    best: Fraction | None = None
    for wanted in ("answer", None):
        for place, formula in block:
            for a, relation, b in formula.links() if wanted in (place.role, None) else []:
                if relation == "=" and Linear in (type(a), type(b)):
                    got = solve(a, b)
                    best = got if isinstance(got, Fraction) else best
        if best is not None:
            break
    return best


def judge_answer(block: list[tuple[Place, Formula]], solution: Fraction | None) -> Iterator[str]:
    """What is wrong with a block's answer, seen from its question, its last step and its x."""
    roles: dict[str, list[tuple[Place, Formula]]] = {}
    for place, formula in block:
        roles.setdefault(place.role, []).append((place, formula))
    answers = roles.get("answer", [])
    equations = [(p, f) for p, f in block if "=" in f.relations and has_x(f)]
    if equations:
        place, formula = (answers or equations)[-1]
        given = formula.sides[-1] if formula.sides[0] == X or not formula.relations else None
        if type(given) is not Fraction or given != solution:
            yield f"line {place.line}: `{place.text}` ends what should give x = {show(solution)}"
    if len(answers) != 1 or answers[0][1].relations or has_x(answers[0][1]):
        return
    (place, formula), said = answers[0], answers[0][1].sides[0]
    steps, questions = roles.get("step", []), roles.get("question", [])
    if steps and steps[-1][1].relations[-1:] in ((), ("=",)) and not has_x(steps[-1][1]):
        end = steps[-1][1].sides[-1]
        if not holds(said, "=", end):
            yield f"line {place.line}: answer `{place.text}`, but the last step ends in {show(end)}"
    if len(questions) == 1 and questions[0][1].worked and not questions[0][1].relations:
        asked = questions[0][1].sides[0]
        if type(asked) is type(said) and not holds(said, "=", asked):
            yield f"line {place.line}: answer `{place.text}`, but the question's is {show(asked)}"


def judge_link(link: tuple[Any, str, Any], block: str, solution: Fraction | None) -> str:
    """What is wrong with one link; empty where nothing is."""
    a, relation, b = link
    if Linear not in (type(a), type(b)):
        return "" if holds(*link) else f"{show(a)} {relation} {show(b)} is false"
    if relation == "=":
        got = solve(a, b)
        fine = got != "no x" if block == "prose" else isinstance(got, Fraction) and got == solution
        return "" if fine else f"holds for x = {show(got)}, not {show(solution)}"
    need(solution is not None, "x without an equation")
    x = solution or Fraction(0)
    at = [v.coef * x + v.const if type(v) is Linear else v for v in (a, b)]
    return "" if holds(at[0], relation, at[1]) else f"is false for x = {show(x)}"


def reread(text: str) -> Reading:
    """Recompute a whole lesson."""
    equations, wrong, unreadable = 0, [], []
    blocks: dict[str, list[tuple[Place, Formula]]] = {}
    for place in places(text):
        formula = understand(place.text)
        if isinstance(formula, str):
            unreadable.append(f"line {place.line}: `{place.text}`: {formula}")
        else:
            blocks.setdefault(place.block, []).append((place, formula))
    for number, line in enumerate(text.split("\n"), 1):
        if line.count("`") % 2:
            unreadable.append(f"line {number}: a backtick without its other one")
    for name, block in blocks.items():
        try:
            solution = None if name == "prose" else solution_of(block)
        except Unreadable:
            solution = None
        for place, formula in block:
            for link in formula.links():
                try:
                    fault = judge_link(link, name, solution)
                except Unreadable as error:
                    unreadable.append(f"line {place.line}: `{place.text}`: {error}")
                    break
                equations += 1
                wrong += [f"line {place.line}: `{place.text}`: {fault}"] if fault else []
        wrong += judge_answer(block, solution) if name != "prose" else []
    return Reading(equations, wrong, unreadable)


def false_links(formula: str, block: str, solution: Fraction | None) -> int | None:
    """How many links of a statement are false; None where it can't be read or claims nothing."""
    got = understand(formula)
    if isinstance(got, str) or not got.relations:
        return None
    try:
        return sum(bool(judge_link(link, block, solution)) for link in got.links())
    except Unreadable:
        return None


def edits(formula: str, rng: random.Random) -> Iterator[str]:
    """A formula with one number, truth value or letter of a string changed, in random order."""
    sites = list(re.finditer(r"\d+|\b[TF]\b|(?<=['\"])[a-z](?=\w*['\"])", formula))
    for site in rng.sample(sites, len(sites)):
        old = site[0]
        if old in "TF":
            new = ["F" if old == "T" else "T"]
        elif old.isalpha():
            new = rng.sample([c for c in "abcdefghijklmnopqrstuvwxyz" if c != old], 3)
        else:
            near = rng.sample([-10, -3, -2, -1, 1, 2, 3, 10], 8)
            new = [str(int(old) + d).zfill(len(old)) for d in near if int(old) + d >= 0]
            new = [n for n in new if len(n) == 1 or old[0] == "0" or n[0] != "0"]
        for text in new:
            yield formula[: site.start()] + text + formula[site.end() :]


def replaced(text: str, place: Place, new: str) -> str:
    """The lesson with another formula in one place."""
    return text[: place.start] + new + text[place.start + len(place.text) :]


def plant(text: str, rng: random.Random) -> str | None:
    """The lesson with exactly one link of one true statement made false; None if there is none."""
    found = places(text)
    for place in rng.sample(found, len(found)):
        read = [(p, understand(p.text)) for p in found if p.block == place.block]
        try:
            known = [(p, f) for p, f in read if isinstance(f, Formula)]
            solution = None if place.block == "prose" else solution_of(known)
        except Unreadable:
            continue
        if false_links(place.text, place.block, solution) != 0:
            continue
        for new in edits(place.text, rng):
            if false_links(new, place.block, solution) == 1:
                return replaced(text, place, new)
    return None


def plant_digit(text: str, rng: random.Random) -> str | None:
    """The lesson with one digit of one statement changed, true or not; None if there is none."""
    found = []
    for place in places(text):
        got = understand(place.text)
        if not isinstance(got, str) and got.relations and re.search(r"\d", place.text):
            found.append(place)
    if not found:
        return None
    place = rng.choice(found)
    at = rng.choice([i for i, c in enumerate(place.text) if c in "0123456789"])
    new = rng.choice([d for d in "0123456789" if d != place.text[at]])
    return replaced(text, place, place.text[:at] + new + place.text[at + 1 :])


def lessons(row: dict[str, Any]) -> list[str]:
    """The texts of a row: its text, or what the assistant says in a chat."""
    if "text" in row:
        return [row["text"]]
    return [m["content"] for m in row.get("messages", []) if m.get("role") == "assistant"]


def main(path: str) -> None:
    """Reread every row of a file and print the totals."""
    totals = {"rows": 0, "equations": 0, "wrong": 0, "unreadable": 0}
    named: list[str] = []
    unread: list[str] = []
    with Path(path).open(encoding="utf-8") as file:
        for number, row in enumerate(file, 1):
            totals["rows"] += 1
            for text in lessons(json.loads(row)):
                got = reread(text)
                totals["equations"] += got.equations
                totals["wrong"] += len(got.wrong)
                totals["unreadable"] += len(got.unreadable)
                named += [f"row {number}, {w}" for w in got.wrong]
                unread += [f"row {number}, {u}" for u in got.unreadable]
    out = {**totals, "first_wrong": named[:20], "first_unreadable": unread[:20]}
    print(json.dumps(out, ensure_ascii=False, indent=1))


if __name__ == "__main__":
    main(sys.argv[1])
