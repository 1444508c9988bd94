"""The checker's routes: one module a concept, none of which the maker uses.

Each has
    start(question)                     the formula that the first step begins with, or ""
    answer_fault(question, answer)      "" or what is wrong with the answer, found without the steps
    step_fault(question, step, slots)   "" or why a step does not do what its rule says
    wrongs(question)                    {misconception: the value it gives here}
    measure(question)                   the difficulty, by the names of the content file's levels

A step is {"before", "after", "rule", "number"}; `slots` are the formulas in its words. And where
they are needed, else what stands in `route_of` counts:
    plan_of_steps(question)             the rules in their order, where start gives ""
    link_fault(question, step)          the same for a step that is told in short, without a rule
    LINK_RULES                          or the rules that such a step may follow
    proof_fault(question, proof)        "" or why the check of the answer is none
    x_fault(text)                       "" or what is wrong with a formula that holds x
    truth(text), value(text)            of formulas, where they may hold x
    PROOF_SIGNS                         {kind of proof: the sign that its words speak of}
"""

from functools import cache, partial
from importlib import import_module
from types import SimpleNamespace
from typing import Any, NamedTuple

from stillroom.worlds.lessons.content import OWN, Slots
from stillroom.worlds.lessons.formula import truth, value

Step = dict[str, Any]


class Question(NamedTuple):
    """A question as parsed from its sentences."""

    family: str
    slots: Slots


def told_as(step: Step, rule: str, right: str) -> str:
    """ "" or what is wrong with a step that should be told as a rule and end in what is right."""
    if step["after"] != right:
        return f"expected `{right}`"
    if step.get("rule") and step["rule"] != rule:
        return f"what is done is {rule!r}, and not {step['rule']!r}"
    return ""


def _one_rule(route: dict[str, Any], question: Question, step: Step) -> str:
    """Whether a step told in short is one that some rule allows."""
    for rule in route["LINK_RULES"]:
        try:
            if not route["step_fault"](question, {**step, "rule": rule}, {}):
                return ""
        except (ValueError, KeyError):
            continue
    if not route["LINK_RULES"]:
        return ""
    return f"`{step['after']}` does not follow from `{step['before']}` by one rule"


@cache
def route_of(concept: str) -> Any:
    """A concept's route, complete."""
    if concept in OWN:
        declared = import_module(f"{__name__}.declared").Route(concept)
        own = {name: getattr(declared, name) for name in dir(declared) if name[0] != "_"}
    else:
        own = dict(vars(import_module(f"{__name__}.{concept}")))
    own.setdefault("LINK_RULES", ())
    usual = {
        "plan_of_steps": lambda question: (),
        "link_fault": partial(_one_rule, own),
        "proof_fault": lambda question, proof: "",
        "x_fault": lambda text: "x has no place here",
        "truth": truth,
        "value": value,
        "PROOF_SIGNS": {},
    }
    return SimpleNamespace(**{**usual, **own})
