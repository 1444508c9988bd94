"""Knights and knaves: a case of the first speaker, followed until it breaks or fits."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from stillroom.worlds.lessons.concepts import Instance
from stillroom.worlds.lessons.content import Content
from stillroom.worlds.lessons.dice import Dice
from stillroom.worlds.lessons.render import Slip, Solution, Step

Claim = tuple[str, tuple[int, ...]]  # its kind, and whom it is about
Puzzle = tuple[Claim, ...]  # what each person says, in the order of speaking

_SINGLE = ("knight", "knave")
_SAID = {
    "knight": "is a knight|tells the truth|never lies|is honest|is truthful|can be trusted"
    "|speaks the truth|is no knave|is no liar"
    "|deserves trust|would never lie|says only true things",
    "knave": "is a knave|lies|is a liar|always lies|never tells the truth|is not to be trusted"
    "|is no knight|tells lies|is not honest"
    "|deserves no trust|says only false things|says nothing true",
    "same": "are of one kind|are alike|are the same|are of the same kind|match|do not differ"
    "|are two of a kind|share one kind|are equals",
    "differ": "are of different kinds|differ|are not alike|are not the same|do not match"
    "|are opposites"
    "|belong to different kinds|are unlike each other|are unequal",
    "same_as_me": "is like me|is my equal|is of my kind|is what I am|resembles me|is as I am"
    "|has my nature",
    "differ_from_me": "is unlike me|is my opposite|is not of my kind|is not what I am"
    "|does not resemble me|has another nature than I|differs from me",
    "both_knights": "are both knights|both tell the truth|both speak the truth|are both honest"
    "|are two knights"
    "|both deserve trust|are honest people",
    "both_knaves": "are both knaves|both lie|are both liars|are two knaves|both tell lies"
    "|both deserve no trust|are lying people",
    "some_knight": "are not both knaves|do not both lie|are not both liars|are not two knaves",
    "some_knave": "are not both knights|do not both tell the truth|are not both honest"
    "|are not two knights",
    "all_knights": "are all knights|all tell the truth|are all honest",
    "all_knaves": "are all knaves|all lie|are all liars",
    "some_knight_of_all": "are not all knaves|do not all lie|are not all liars",
    "some_knave_of_all": "are not all knights|do not all tell the truth|are not all honest",
}
_WAYS = {kind: ways.split("|") for kind, ways in _SAID.items()}
_WITH_ME = {"same": "same_as_me", "differ": "differ_from_me"}
FAMILIES = {2: "two", 3: "three", 4: "four", 5: "five"}


class Found(NamedTuple):
    """What is done at one point: the rule, whose words are used, about whom, and the formula.

    `kinds` are those known before and after it.
    """

    rule: str
    speaker: int
    other: int
    wrong: bool
    formula: str
    before: dict[int, bool]
    after: dict[int, bool]


class Case(NamedTuple):
    done: list[Found]
    kinds: dict[int, bool]
    holds: bool


_KNAVES = frozenset(kind for kind in _SAID if "knave" in kind)
_SOME = frozenset(kind for kind in _SAID if kind.startswith("some"))


def _holds(claim: Claim, kinds: Sequence[bool] | dict[int, bool]) -> bool:
    kind, people = claim
    if kind == "same":
        return kinds[people[0]] == kinds[people[1]]
    if kind == "differ":
        return kinds[people[0]] != kinds[people[1]]
    wanted = kind not in _KNAVES
    if kind in _SOME:
        return any(kinds[p] is wanted for p in people)
    return all(kinds[p] is wanted for p in people)


def _letter(kind: bool) -> str:
    return "T" if kind else "F"


def _write(claim: Claim, kinds: Sequence[bool] | dict[int, bool]) -> str:
    kind, people = claim
    letters = [_letter(kinds[p]) for p in people]
    if kind.endswith(("knaves", "knave")):
        letters = [f"not {letter}" for letter in letters]
    joint = {"same": "iff", "differ": "xor"}.get(kind, "or" if kind.startswith("some") else "and")
    return f" {joint} ".join(letters)


def _judged(speaker: int, claim: Claim, kinds: dict[int, bool]) -> str:
    """Whether the speaker's kind and the claim agree, as a formula."""
    said = _write(claim, kinds)
    said = f"({said})" if len(claim[1]) > 1 else said
    agrees = kinds[speaker] == _holds(claim, kinds)
    return f"({_letter(kinds[speaker])} iff {said}) = {_letter(agrees)}"


def _follow(puzzle: Puzzle, start: bool) -> Case | None:
    """What follows from the kind of the first person; None where it leaves somebody open."""
    kinds, done = {0: start}, list[Found]()
    while True:
        step: Found | None = None
        for speaker, claim in enumerate(puzzle):
            open_ones = {p for p in (speaker, *claim[1]) if p not in kinds}
            if not open_ones and kinds[speaker] != _holds(claim, kinds):
                formula = _judged(speaker, claim, kinds)
                done.append(Found("turn", speaker, 0, start, formula, kinds, {0: False}))
                return Case(done, kinds, False)
            if step is None and len(open_ones) == 1:
                (other,) = open_ones
                for wrong in (True, False):
                    tried = {**kinds, other: wrong}
                    if tried[speaker] != _holds(claim, tried):
                        formula = _judged(speaker, claim, tried)
                        new = {**kinds, other: not wrong}
                        step = Found("settle", speaker, other, wrong, formula, kinds, new)
                        break
        if step is None:
            break
        done.append(step)
        kinds = step.after
    if len(kinds) < len(puzzle):
        return None
    said = "[" + ", ".join(_write(claim, kinds) for claim in puzzle) + "]"
    result = "[" + ", ".join(_letter(kinds[p]) for p in range(len(puzzle))) + "]"
    done.append(Found("fits", 0, 0, not start, f"{said} = {result}", kinds, kinds))
    return Case(done, kinds, True)


@lru_cache(maxsize=4_000)
def _cases(puzzle: Puzzle) -> tuple[Case, ...] | None:
    """The cases up to the one that holds, if exactly one of the two does."""
    first = _follow(puzzle, True)
    second = _follow(puzzle, False) if first else None
    if first is None or second is None or first.holds == second.holds:
        return None
    before, _, after = (first if first.holds else second).done[-1].formula.partition(" = ")
    if before == after:
        return None
    return (first,) if first.holds else (first, second)


def sample(dice: Dice, limits: dict[str, tuple[Any, ...]], content: Content) -> Instance:
    count = dice.between(*limits["people"])
    low, high = limits["width"]
    kinds = [kind for kind in limits["claims"] if count > 2 or not kind.startswith("all")]
    wide = [kind for kind in kinds if kind not in _SINGLE]
    narrow = [kind for kind in kinds if kind in _SINGLE]
    fewest, most = limits["steps"]
    least, all_wide = limits["wide"]
    while True:
        truth = [dice.fraction() < 0.5 for _ in range(count)]
        if len(set(truth)) == 1:
            continue
        broad = dice.some(range(count), dice.between(least, min(all_wide, count)))
        puzzle = tuple(
            _say(dice, speaker, truth, wide if speaker in broad else narrow, high)
            for speaker in range(count)
        )
        if max(len(people) for _, people in puzzle) < low:
            continue
        cases = _cases(puzzle)
        if cases and fewest <= sum(len(case.done) for case in cases) + 1 <= most:
            return _told(dice, puzzle, dice.some(content.words["name"], count))


def _say(dice: Dice, speaker: int, truth: list[bool], kinds: list[str], width: int) -> Claim:
    """Something that a person of that kind can say."""
    count = len(truth)
    others = [p for p in range(count) if p != speaker]
    while True:
        kind = dice.pick(kinds)
        people: tuple[int, ...]
        if kind in _SINGLE:
            people = (dice.pick(others),)
        elif kind.startswith("all") or (kind.startswith("some") and 2 < count <= width):
            people = tuple(range(count))
        else:
            people = tuple(sorted(dice.some(range(count), 2)))
        if _holds((kind, people), truth) == truth[speaker]:
            return kind, people


def _told(dice: Dice, puzzle: Puzzle, names: list[str]) -> Instance:
    slots: dict[str, str] = {}
    for speaker, (kind, people) in enumerate(puzzle):
        about = sorted(names[p] for p in people if p != speaker)
        if kind not in _SINGLE and len(people) > 2:
            who = "we"
            kind += "_of_all" if kind.startswith("some") else ""
        else:
            who = " and ".join([*about, "I"] if speaker in people else about)
            if speaker in people and kind in _WITH_ME and dice.fraction() < 0.6:
                who, kind = about[0], _WITH_ME[kind]
        n = speaker + 1
        slots |= {f"name{n}": names[speaker], f"who{n}": who, f"what{n}": dice.pick(_WAYS[kind])}
    return Instance(FAMILIES[len(puzzle)], slots, (puzzle, names))


def _set(names: list[str]) -> str:
    return "{" + ", ".join(f"'{name}'" for name in names) + "}"


def _sides(kinds: dict[int, bool], names: list[str]) -> tuple[str, str]:
    """The knights and the knaves among those whose kind is known."""
    people = [(p, name) for p, name in enumerate(names) if p in kinds]
    knights = _set([name for p, name in people if kinds[p]])
    return knights, _set([name for p, name in people if not kinds[p]])


def _state(kinds: dict[int, bool], names: list[str]) -> str:
    return "[" + ", ".join(_sides(kinds, names)) + "]"


def solve(instance: Instance) -> Solution:
    puzzle, names = instance.given
    cases = _cases(puzzle)
    assert cases is not None
    steps = []
    for done in (found for case in cases for found in case.done):
        if done.rule == "fits":
            slots = {"one": names[0], "kind": "knave" if done.wrong else "knight"}
            steps.append(Step(done.rule, (done.formula,), slots))
            continue
        slots = {"one": names[0], "speaker": names[done.speaker], "clash": done.formula}
        if done.rule == "settle":
            slots |= {"other": names[done.other], "kind": "knight" if done.wrong else "knave"}
        states = (_state(done.before, names), _state(done.after, names))
        steps.append(Step(done.rule, states, slots, " → "))
    kinds = cases[-1].kinds
    knights, knaves = _sides(kinds, names)
    steps.append(Step("collect", (f"{_state(kinds, names)}[0] = {knights}",), {}))
    told = cases[-1].done[-1].formula.rpartition(" = ")[2]
    if len(puzzle) + len(puzzle[0][1]) & 1:
        proof = ("count", {"proof": f"count({told}, T) = size({knights})"})
    else:
        proof = ("sizes", {"proof": f"size({knights}) + size({knaves}) = {len(names)}"})
    return Solution(steps, knights, proof)


def mistakes(instance: Instance) -> list[Slip]:
    puzzle, names = instance.given
    cases = _cases(puzzle)
    assert cases is not None
    knights, knaves = _sides(cases[-1].kinds, names)
    slips = [Slip("everybody_believed", knights, _set(names)), Slip("swapped", knights, knaves)]
    accused = {people[0] for kind, people in puzzle if kind == "knave"}
    praised = {people[0] for kind, people in puzzle if kind == "knight"}
    for name, kept in (
        ("accused_are_knaves", [p for p in range(len(names)) if p not in accused]),
        ("praised_are_knights", sorted(praised)),
    ):
        if accused if name[0] == "a" else praised:
            slips.append(Slip(name, knights, _set([names[p] for p in kept])))
    if not cases[0].holds:
        kept = sorted(p for p, kind in cases[0].kinds.items() if kind)
        slips.append(Slip("first_case_kept", knights, _set([names[p] for p in kept])))
    return [slip for slip in slips if slip.wrong != knights]
