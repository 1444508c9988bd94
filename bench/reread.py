"""A second, independent reader of lessons: recomputes every formula by docs/lessons.md alone."""

from __future__ import annotations

import json
import random
import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from reread_formulas import Formula, Poly, Quantity, Unreadable, X, as_poly, at, need, understand


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
    role: str  # question, step, answer, check, mistake, practice, solutions; empty in an opening

    @property
    def arrives(self) -> bool:
        """Whether it says what something comes to: a statement or a trace."""
        return bool(CLAIM.match(self.text))


WORDS = Path(__file__).resolve().parents[1] / "src/stillroom/worlds/lessons"
BACKTICKS = re.compile("`([^`]*)`")
BASE = {"length": "mm", "mass": "mg", "volume": "ml", "time": "s"}
SHORT = re.compile(r"x = -?[\d/.]+$")
ITEM = re.compile(r"(\d+)\. |[-*] ")
CLAIM = re.compile(r"""(?:[^'"=≠<>→]|'[^']*'|"[^"]*")*[=≠<>→]""")


def pattern(phrase: str, entries: dict[str, list[str]]) -> str:
    """A phrase as a regex: `[a|b]` is a choice, `<name>` another entry or one of the concept's."""
    out = ""
    for part in re.split(r"(<\w+>|[][| ])", phrase):
        if part.startswith("<"):
            other = entries.get(part[1:-1])
            out += (
                "|".join(pattern(p, entries) for p in other).join(("(?:", ")")) if other else ".+"
            )
        else:
            out += {"[": "(?:", "]": ")", "|": "|", " ": " *"}.get(part, re.escape(part))
    return out


@lru_cache(maxsize=1)
def headings() -> dict[str, re.Pattern[str]]:
    """What is said above each section."""
    entries = tomllib.loads((WORDS / "common.toml").read_text(encoding="utf-8"))
    kinds = ("mistake", "practice", "solutions", "example")
    said = {k: "|".join(pattern(p, entries) for p in entries[f"h_{k}"]) for k in kinds}
    return {kind: re.compile(f" *(?:{texts}) *", re.IGNORECASE) for kind, texts in said.items()}


@lru_cache(maxsize=1 << 12)
def section_below(heading: str) -> str:
    """What the section below a heading is: example, mistake, practice, solutions or none."""
    return next((kind for kind, said in headings().items() if said.fullmatch(heading)), "")


@lru_cache(maxsize=1)
def titles() -> dict[str, str]:
    """The concept of each title."""
    concepts = tomllib.loads((WORDS / "curriculum.toml").read_text(encoding="utf-8"))["concepts"]
    return {title: name for name, concept in concepts.items() for title in concept["titles"]}


def places(text: str) -> list[Place]:
    """Every formula of a lesson, with the block it belongs to and what it is there for."""
    found: list[Place] = []
    offset, section, block, role, steps = 0, "", "prose", "", set()
    for number, line in enumerate(text.split("\n"), 1):
        item = ITEM.match(line)
        if line.startswith("## "):
            section = role = section_below(line[3:])
            block = "worked" if section in ("example", "mistake") else "prose"
        elif section in ("practice", "solutions") and item and item[1]:
            block = f"exercise {item[1]}"
        elif section == "example" and item:
            steps.add(number)
        for formula in BACKTICKS.finditer(line):
            found.append(Place(number, offset + formula.start(1), formula[1], block, role))
        offset += len(line) + 1
    example = [place for place in found if place.role == "example"]
    roles = dict(zip(example, roles_of(example, steps), strict=True))
    return [place._replace(role=roles.get(place, place.role)) for place in found]


def roles_of(example: list[Place], steps: set[int]) -> list[str]:
    """What each formula of a worked example is there for: question, step, answer or check."""
    lines = [place.line for place in example]
    if steps:
        first, last = min(steps), max(steps)
        answer = next((n for n in lines if n > last), 0)
    else:  # turns of a dialogue: the last with nothing but a result gives the answer
        first = min((p.line for p in example if p.arrives), default=0)
        bare = [p for p in example if lines.count(p.line) == 1 and first < p.line]
        answer = max((p.line for p in bare if SHORT.match(p.text) or not p.arrives), default=0)
        last = answer - 1
    roles = ["question" if n < first else "step" if n <= last else "check" for n in lines]
    if answer:
        roles[lines.index(answer)] = "answer"
    return roles


def solve(a: Any, b: Any) -> Fraction | str:
    """The one solution of a = b in x, or the word for how many it has."""
    left, right = as_poly(a).coefs, as_poly(b).coefs
    need(len(left) < 3 and len(right) < 3, "more than x alone")
    (c, d), (e, f) = [(*side, 0, 0)[:2] for side in (left, right)]
    return Fraction(e - c) / (d - f) if d != f else "every x" if c == e else "no x"


def has_x(formula: Formula) -> bool:
    """Whether x stands in a formula."""
    return any(type(side) is Poly for side in formula.sides)


def states(formula: Formula) -> list[Formula]:
    """What stands between the arrows of a trace; without an arrow, the formula alone."""
    cuts = [n for n, r in enumerate(formula.relations, 1) if r == "→"]
    spans = pairwise([0, *cuts, len(formula.sides)])
    return [Formula(formula.sides[a:b], formula.relations[a : b - 1], True) for a, b in spans]


def judge_states(formula: Formula, linear: bool) -> str:
    """What is wrong with the states of a trace: they are expressions or equations with x."""
    for state in states(formula) if "→" in formula.relations else []:
        equation = linear and set(state.relations) == {"="} and has_x(state)
        if state.relations and not equation:
            return "a statement as a state"
    return ""


def solution_of(block: list[tuple[Place, Formula]]) -> Fraction | None:
    """The solution a block claims: its answer's, else that of its last equation in x."""
    best: Fraction | None = None
    for wanted in ("answer", None):
        for place, formula in block:
            for a, relation, b in formula.links() if wanted in (place.role, None) else []:
                if relation == "=" and Poly in (type(a), type(b)):
                    got = solve(a, b)
                    best = got if isinstance(got, Fraction) else best
        if best is not None:
            break
    return best


def judge_end(block: list[tuple[Place, Formula]], solution: Fraction | None) -> Iterator[str]:
    """Whether the equations of a block end in x = its solution."""
    equations = [(p, f) for p, f in block if "=" in f.relations and has_x(f)]
    answers = [(p, f) for p, f in block if p.role == "answer"]
    if equations:
        place, formula = (answers or equations)[-1]
        end = states(formula)[-1]
        given = end.sides[-1] if end.sides[0] == X or not end.relations else None
        if type(given) is not Fraction or given != solution:
            yield f"line {place.line}: `{place.text}` ends what should give x = {show(solution)}"


def judge_answer(block: list[tuple[Place, Formula]]) -> Iterator[str]:
    """Whether a block's answer is what its last step or statement comes to, and its question."""
    told = [(p, f) for p, f in block if p.role in ("step", "solutions", "answer")]
    bare = [one for one in told[-1:] + told[:1] if not one[1].relations]
    ends = [(p, f) for p, f in told if "→" in f.relations or f.relations[-1:] == ("=",)]
    if not bare or not ends or bare[0][0].role == "step":
        return
    (place, formula), (last, arrived) = bare[0], ends[-1]
    said, asked = formula.sides[0], [f for p, f in block if p.role in ("question", "practice")]
    shown = [arrived]
    if last.role == "step":  # in a step, statements in the words may stand around what it shows
        here = [f for p, f in ends if p.line == last.line]
        shown = [f for f in here if "→" in f.relations][-1:] or here
    end = shown[-1].sides[-1]
    if not any(holds(said, "=", f.sides[-1]) for f in shown):
        yield f"line {place.line}: answer `{place.text}`, but the last step ends in {show(end)}"
    first = asked[0].sides[0] if len(asked) == 1 and asked[0].worked else None
    if type(first) is type(said) and not holds(said, "=", first):
        yield f"line {place.line}: answer `{place.text}`, but the question's is {show(first)}"


def judge_link(link: tuple[Any, str, Any], block: str, solution: Fraction | None) -> str:
    """What is wrong with one link; empty where nothing is."""
    a, relation, b = link
    if Poly not in (type(a), type(b)) or block == "identity":
        return "" if holds(*link) else f"{show(a)} {relation} {show(b)} is false"
    if relation == "=":
        got = solve(a, b)
        fine = got != "no x" if block == "prose" else isinstance(got, Fraction) and got == solution
        return "" if fine else f"holds for x = {show(got)}, not {show(solution)}"
    need(solution is not None, "x without an equation")
    values = [at(v, solution) for v in (a, b)]
    return "" if holds(values[0], relation, values[1]) else f"is false for x = {show(solution)}"


def holds(a: Any, relation: str, b: Any) -> bool:
    """Whether one link is true; an order between values that have none makes it unreadable."""
    if Poly in (type(a), type(b)) and {type(a), type(b)} <= {Poly, Fraction}:
        a, b = as_poly(a), as_poly(b)
        free = a.free or b.free
        a, b = (p.coefs[free:] for p in (a, b))
    if relation in "=≠":
        return (type(a) is type(b) and a == b) == (relation == "=")
    need(type(a) is type(b) and type(a) in (Fraction, Quantity, date, str), "no order")
    if type(a) is Quantity:
        need(a.dimension == b.dimension, "no order between different kinds")
        a, b = a.amount, b.amount
    return bool(a < b if relation == "<" else a > b)


def show(value: Any) -> str:
    """A value in the notation of lessons."""
    if type(value) is bool:
        return "T" if value else "F"
    if type(value) is Quantity:
        return f"{show(value.amount)} {BASE[value.dimension]}"
    if type(value) is Poly:
        return " + ".join(f"({c})x^{k}" for k, c in enumerate(value.coefs) if c) or "0"
    if type(value) is str:
        return f'"{value}"'
    if type(value) is Fraction and max(map(abs, value.as_integer_ratio())) > 10**150:
        return "(a huge number)"
    if type(value) in (tuple, frozenset):
        ends = "[]" if type(value) is tuple else "{}"
        shown = [show(v) for v in value]
        return ends[0] + ", ".join(shown if ends == "[]" else sorted(shown)) + ends[1]
    return str(value)


def blocks_of(text: str) -> tuple[dict[str, list[tuple[Place, Formula]]], list[str], bool]:
    """The formulas of each block, what can't be read, and whether equations in x are solved."""
    blocks: dict[str, list[tuple[Place, Formula]]] = {}
    unreadable = []
    for place in places(text):
        formula = understand(place.text)
        if isinstance(formula, str):
            unreadable.append(f"line {place.line}: `{place.text}`: {formula}")
        else:
            blocks.setdefault(place.block, []).append((place, formula))
    for number, line in enumerate(text.split("\n"), 1):
        if line.count("`") % 2:
            unreadable.append(f"line {number}: a backtick without its other one")
    title = text.lstrip().partition("\n")[0]
    return blocks, unreadable, titles().get(title.lstrip("# ").rstrip()) == "linear_equations"


def claims_of(name: str, block: list[tuple[Place, Formula]], linear: bool) -> tuple[str, Any]:
    """How the statements of a block are meant, and the solution they share."""
    if not linear:
        return "identity", None
    try:
        return name, None if name == "prose" else solution_of(block)
    except Unreadable:
        return name, None


def reread(text: str) -> Reading:
    """Recompute a whole lesson."""
    equations, wrong = 0, []
    blocks, unreadable, linear = blocks_of(text)
    for name, block in blocks.items():
        meant, solution = claims_of(name, block, linear)
        for place, formula in block:
            if fault := judge_states(formula, linear):
                unreadable.append(f"line {place.line}: `{place.text}`: {fault}")
            for link in formula.links():
                try:
                    fault = judge_link(link, meant, solution)
                except Unreadable as error:
                    unreadable.append(f"line {place.line}: `{place.text}`: {error}")
                    break
                equations += 1
                wrong += [f"line {place.line}: `{place.text}`: {fault}"] if fault else []
        wrong += judge_end(block, solution) if linear and name != "prose" else []
        wrong += judge_answer(block) if name != "prose" else []
    return Reading(equations, wrong, unreadable)


def false_links(formula: str, block: str, solution: Fraction | None) -> int | None:
    """How many links of a statement are false; None where it can't be read or claims nothing."""
    got = understand(formula)
    if isinstance(got, str) or not got.links():
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
    blocks, _, linear = blocks_of(text)
    found = [(place, name) for name, block in blocks.items() for place, _ in block]
    for place, name in rng.sample(found, len(found)):
        meant = claims_of(name, blocks[name], linear)
        if false_links(place.text, *meant) != 0:
            continue
        for new in edits(place.text, rng):
            if false_links(new, *meant) == 1:
                return replaced(text, place, new)
    return None


def plant_digit(text: str, rng: random.Random) -> str | None:
    """The lesson with one digit of one statement changed, true or not; None if there is none."""
    found = []
    for place in places(text):
        got = understand(place.text)
        if not isinstance(got, str) and got.links() and re.search(r"\d", place.text):
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
