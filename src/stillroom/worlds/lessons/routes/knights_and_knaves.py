"""Knights and knaves: the answer is filled in, and Z3 proves that there is no other.

The cases are gone through again from the words, by filling in formulas and evaluating them.
"""

from functools import cache, lru_cache
from typing import Any

from stillroom.worlds.lessons.content import Slots
from stillroom.worlds.lessons.formula import value
from stillroom.worlds.lessons.routes import Question, Step

Claim = tuple[str, tuple[int, ...]]  # the words, with whom they are about
Move = tuple[str, str, str, tuple[int, ...], str, str]  # rule, before, after, people, kind, clash
State = dict[int, str]  # people and their letters

PROOF_SIGNS = {"sizes": ") + size(", "count": "count("}
_JOINTS = {"same": " iff ", "differ": " xor "}
_MEANT = {  # what is said -> the kind of claim
    words: kind
    for kind, ways in {
        "knight": "is a knight|tells the truth|never lies|is honest|is truthful|can be trusted"
        "|speaks the truth|is no knave|is no liar"
        "|deserves trust|would never lie|says only true things",
        "knave": "is a knave|lies|is a liar|always lies|never tells the truth"
        "|is not to be trusted|is no knight|tells lies|is not honest"
        "|deserves no trust|says only false things|says nothing true",
        "same": "are of one kind|are alike|are the same|are of the same kind|match"
        "|do not differ"
        "|are two of a kind|share one kind|are equals",
        "differ": "are of different kinds|differ|are not alike|are not the same|do not match"
        "|are opposites"
        "|belong to different kinds|are unlike each other|are unequal",
        "same me": "is like me|is my equal|is of my kind|is what I am|resembles me|is as I am"
        "|has my nature",
        "differ me": "is unlike me|is my opposite|is not of my kind|is not what I am"
        "|does not resemble me|has another nature than I|differs from me",
        "both_knights": "are both knights|both tell the truth|both speak the truth"
        "|are both honest|are two knights"
        "|both deserve trust|are honest people",
        "both_knaves": "are both knaves|both lie|are both liars|are two knaves|both tell lies"
        "|both deserve no trust|are lying people",
        "some_knight": "are not both knaves|do not both lie|are not both liars"
        "|are not two knaves|are not all knaves|do not all lie|are not all liars",
        "some_knave": "are not both knights|do not both tell the truth|are not both honest"
        "|are not two knights|are not all knights|do not all tell the truth"
        "|are not all honest",
        "all_knights": "are all knights|all tell the truth|are all honest",
        "all_knaves": "are all knaves|all lie|are all liars",
    }.items()
    for words in ways.split("|")
}
_value = lru_cache(maxsize=4_000)(value)


def start(question: Question) -> str:
    return ""


def _names(question: Question) -> list[str]:
    names = [question.slots[f"name{n}"] for n in range(1, len(question.slots) // 3 + 1)]
    if len(set(names)) != len(names):
        raise ValueError(f"somebody speaks twice: {', '.join(names)}")
    return names


@lru_cache(maxsize=2_000)
def _claims(slots: tuple[tuple[str, str], ...]) -> tuple[Claim, ...]:
    """What everybody says, people by their numbers."""
    given = dict(slots)
    names = _names(Question("", given))
    found = []
    for n in range(1, len(names) + 1):
        who, what = given[f"who{n}"], given[f"what{n}"]
        if who == "we":
            people = list(range(len(names)))
        else:
            people = [n - 1 if one == "I" else names.index(one) for one in who.split(" and ")]
        kind, _, of_me = _MEANT[what].partition(" ")
        of_all = " all " in f" {what} "
        if (
            len(set(people)) != len(people)
            or (len(people) == 1) != (kind in ("knight", "knave") or of_me != "")
            or of_all != (who == "we")
            or (n - 1 in people and len(people) == 1)
        ):
            raise ValueError(f"nobody says that {who} {what}")
        found.append((kind, tuple(sorted([*people, n - 1] if of_me else people))))
    return tuple(found)


def _of(question: Question) -> tuple[Claim, ...]:
    return _claims(tuple(question.slots.items()))


def _text(claim: Claim, known: State) -> str:
    """The claim with the letters of the people it is about."""
    kind, people = claim
    letters = [("not " if "knave" in kind else "") + known[p] for p in people]
    return _JOINTS.get(kind, " or " if kind.startswith("some") else " and ").join(letters)


def _whole(speaker: int, claim: Claim, known: State) -> str:
    said = _text(claim, known)
    return f"({known[speaker]} iff {f'({said})' if len(claim[1]) > 1 else said})"


@lru_cache(maxsize=5_000)
def _moves(claims: tuple[Claim, ...], names: tuple[str, ...]) -> tuple[Move, ...]:
    """All that is done, in its order: the first speaker is a knight, or else a knave."""
    cases = [_case(claims, names, letter) for letter in "TF"]
    holds = [case[-1][0] == "fits" for case in cases]
    if sum(holds) != 1:
        raise ValueError(f"{sum(holds)} of the two cases hold; one is wanted")
    return tuple(cases[0] if holds[0] else cases[0] + cases[1])


def _case(claims: tuple[Claim, ...], names: tuple[str, ...], letter: str) -> list[Move]:
    """One case, up to the statement that breaks it or the one that all fit."""
    known, found = {0: letter}, list[Move]()
    involved = [(s, c, {s, *c[1]}) for s, c in enumerate(claims)]
    while True:
        here = _state(known, names)
        for speaker, claim, all_of in involved:
            if all_of <= known.keys():
                text = _whole(speaker, claim, known)
                if not _value(text):
                    back = _state({0: "F"}, names)
                    return [*found, ("turn", here, back, (0, speaker), "", text)]
        new = _settled(involved, known)
        if new is None:
            break
        text, speaker, other, wrong = new
        known[other] = "F" if wrong == "T" else "T"
        kind = "knight" if wrong == "T" else "knave"
        found.append(("settle", here, _state(known, names), (0, speaker, other), kind, text))
    if len(known) < len(claims):
        raise ValueError("somebody stays open")
    said = ", ".join(_text(claim, known) for claim in claims)
    letters = ", ".join(known[p] for p in range(len(claims)))
    kind = "knight" if letter == "T" else "knave"
    return [*found, ("fits", f"[{said}]", f"[{letters}]", (0,), kind, "")]


def _state(known: State, names: tuple[str, ...]) -> str:
    """The knights, then the knaves, in the order of speaking."""
    sides = (
        ", ".join(f"'{name}'" for p, name in enumerate(names) if known.get(p) == letter)
        for letter in "TF"
    )
    return "[" + ", ".join(f"{{{side}}}" for side in sides) + "]"


def _settled(
    involved: list[tuple[int, Claim, set[int]]], known: State
) -> tuple[str, int, int, str] | None:
    """The first statement that leaves one person open and rules one kind out."""
    for speaker, claim, all_of in involved:
        unknown = list(all_of - known.keys())
        if len(unknown) != 1:
            continue
        for letter in "TF":
            text = _whole(speaker, claim, {**known, unknown[0]: letter})
            if not _value(text):
                return text, speaker, unknown[0], letter
    return None


def _all_of(question: Question) -> tuple[Move, ...]:
    return _moves(_of(question), tuple(_names(question)))


def _knights(question: Question) -> tuple[list[str], str]:
    """Who the knights are by the case that holds, and the letters of all."""
    letters = _all_of(question)[-1][2]
    kinds = letters[1:-1].split(", ")
    return [n for n, kind in zip(_names(question), kinds, strict=True) if kind == "T"], letters


def plan_of_steps(question: Question) -> tuple[str, ...]:
    return (*(move[0] for move in _all_of(question)), "collect")


def step_fault(question: Question, step: Step, slots: Slots) -> str:
    names, moves = _names(question), _all_of(question)
    here = step["before"], step["after"]
    if step["rule"] == "collect":
        knights = _knights(question)[0]
        known = {p: "T" if name in knights else "F" for p, name in enumerate(names)}
        state = _state(known, tuple(names))
        right = f"{state}[0]", state[1:].partition("}")[0] + "}"
        return "" if here == right else f"expected `{right[0]} = {right[1]}`"
    rule, before, after, people, kind, clash = moves[step["number"] - 1]
    if here != (before, after):
        joint = "=" if rule == "fits" else "→"
        return f"expected `{before} {joint} {after}`"
    said = dict(zip(("one", "speaker", "other"), (names[p] for p in people), strict=False))
    said |= {"kind": kind} if kind else {}
    said |= {"clash": f"{clash} = F"} if clash else {}
    told = all(said.get(name) == text for name, text in slots.items())
    return "" if told else f"the words are about {slots}, and not about {said}"


def proof_fault(question: Question, proof: str) -> str:
    names = _names(question)
    some, letters = _knights(question)
    knights, knaves = (
        "{" + ", ".join(f"'{n}'" for n in names if (n in some) is is_one) + "}"
        for is_one in (True, False)
    )
    count = f"count({letters}, T) = size({knights})"
    sizes = f"size({knights}) + size({knaves}) = {len(names)}"
    return "" if proof in (count, sizes) else f"expected `{count}` or `{sizes}`"


@cache
def _solver(people: int) -> tuple[Any, list[Any]]:
    """One solver for all puzzles of so many people."""
    import z3

    return z3.SimpleSolver(), [z3.Bool(f"p{n}") for n in range(people)]


@lru_cache(maxsize=4_000)
def _rule(people: int, speaker: int, claim: Claim) -> Any:
    """A letter that switches on: this person is a knight exactly if the claim holds."""
    import z3

    solver, kinds = _solver(people)
    words, about = claim
    found = [z3.Not(kinds[p]) if "knave" in words else kinds[p] for p in about]
    if words in _JOINTS:
        said = found[0] == found[1] if words == "same" else found[0] != found[1]
    else:
        said = z3.Or(found) if words.startswith("some") else z3.And(found)
    switch = z3.Bool(f"s{speaker} {words} {about}")
    solver.add(z3.Implies(switch, kinds[speaker] == said))
    return switch


@lru_cache(maxsize=1_000)
def _others(people: int, knights: tuple[bool, ...]) -> Any:
    """A letter that switches on: the kinds are not these."""
    import z3

    solver, kinds = _solver(people)
    switch = z3.Bool(f"not {knights}")
    given = [kind if is_one else z3.Not(kind) for kind, is_one in zip(kinds, knights, strict=True)]
    solver.add(z3.Implies(switch, z3.Not(z3.And(given))))
    return switch


@lru_cache(maxsize=4_000)
def _verdict(claims: tuple[Claim, ...], knights: tuple[bool, ...]) -> str:
    """The kinds are possible, and Z3 proves that no others are."""
    import z3

    known = {p: "T" if is_one else "F" for p, is_one in enumerate(knights)}
    if not all(_value(_whole(n, claim, known)) for n, claim in enumerate(claims)):
        return "these knights can't have said what they said, or the others could"
    people = len(claims)
    switches = [_rule(people, n, claim) for n, claim in enumerate(claims)]
    others = _solver(people)[0].check(*switches, _others(people, knights))
    return "" if others == z3.unsat else "there is another solution"


def answer_fault(question: Question, answer: str) -> str:
    names, given = _names(question), value(answer)
    if not isinstance(given, frozenset) or not given <= set(names):
        return f"{answer} is no set of these people"
    return _verdict(_of(question), tuple(name in given for name in names))


def wrongs(question: Question) -> dict[str, Any]:
    names, claims, moves = _names(question), _of(question), _all_of(question)
    everybody = frozenset(names)
    found: dict[str, Any] = {
        "everybody_believed": everybody,
        "swapped": everybody - set(_knights(question)[0]),
    }
    accused = {names[about[0]] for kind, about in claims if kind == "knave"}
    praised = {names[about[0]] for kind, about in claims if kind == "knight"}
    if accused:
        found["accused_are_knaves"] = everybody - accused
    if praised:
        found["praised_are_knights"] = frozenset(praised)
    given_up = next((move[1] for move in moves if move[0] == "turn"), "")
    if given_up:
        found["first_case_kept"] = value(given_up)[0]
    return found


def measure(question: Question) -> dict[str, Any]:
    claims = _of(question)
    return {
        "people": len(claims),
        "width": max(len(about) for _, about in claims),
        "wide": sum(len(about) > 1 for _, about in claims),
        "claims": tuple(kind for kind, _ in claims),
        "steps": len(_all_of(question)) + 1,
    }
