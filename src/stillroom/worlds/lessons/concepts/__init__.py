"""The makers, one module a concept.

Each module has `sample(dice, limits, content) -> Instance`, `solve(instance) -> Solution` and
`mistakes(instance) -> list[Slip]`, the last two by executing each step.
"""

from typing import Any, NamedTuple

from stillroom.worlds.lessons.content import Slots


class Instance(NamedTuple):
    """A question: the family of its frames, their slots, and the same in the maker's terms."""

    family: str
    slots: Slots
    given: Any
