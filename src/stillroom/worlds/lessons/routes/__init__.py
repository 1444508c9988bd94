"""The checker's routes: one module a concept, none of which the maker uses.

start(question)                     the formula that the first step begins with, or ""
answer_fault(question, answer)      "" or what is wrong with the answer, found without the steps
step_fault(question, step, slots)   "" or why the step does not do what its rule says
wrongs(question)                    {misconception: the value it gives here}
measure(question)                   the difficulty, by the names of the content file's levels
"""

from typing import Any, NamedTuple

from stillroom.worlds.lessons.content import Slots

Step = dict[str, Any]


class Question(NamedTuple):
    """A question as parsed from its sentence."""

    family: str
    slots: Slots
