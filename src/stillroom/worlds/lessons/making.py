"""The verb `make`: a task -> questions of its split, solved step by step -> a lesson."""

from functools import cache
from importlib import import_module
from types import ModuleType

import numpy as np

from stillroom.world import Data, Task
from stillroom.worlds.lessons.concepts import Instance
from stillroom.worlds.lessons.content import OWN, Content, content
from stillroom.worlds.lessons.dice import Dice
from stillroom.worlds.lessons.locales import locales
from stillroom.worlds.lessons.planning import BEYOND, split_of_question
from stillroom.worlds.lessons.render import Block, lesson

TRIES = 5_000  # questions drawn for one place in a lesson; a split holds a fifth of them at least
LOOKS = 3  # misconceptions drawn for one worked example while they do not show
EXAMPLES = 3  # worked examples drawn while no misconception shows in them


@cache
def _maker(concept: str) -> ModuleType:
    name = "declared" if concept in OWN else concept
    return import_module(f"stillroom.worlds.lessons.concepts.{name}")


def make(task: Task, rng: np.random.Generator) -> Data:
    """The lesson: its text, and the data as they were executed."""
    told, dice = content(task["concept"]), Dice(rng)
    maker = _maker(task["concept"])
    used: set[str] = set()
    for _ in range(EXAMPLES):
        example = _draw(task, told, dice, used)
        slips = maker.mistakes(example)
        worked = maker.solve(example)
        if any(slip.wrong != worked.answer for slip in slips):
            break
    # The misconception is taken as it comes, even where it happens to give the right answer:
    # that lesson holds a false "≠", and `check` refuses it.
    # A slip that hides is drawn again a few times, or one in five of some concepts' lessons would
    # be refused; what hides even then is left to the checker.
    for _ in range(LOOKS):
        slip = dice.pick(slips)
        if slip.wrong != worked.answer:
            break
    exercises = []
    for _ in range(dice.pick((2, 2, 2, 3, 3, 4))):
        instance = _draw(task, told, dice, used)
        exercises.append(Block(instance.family, instance.slots, maker.solve(instance)))
    block = Block(example.family, example.slots, worked)
    return lesson(told, task, locales()[task["locale"]], block, slip, exercises, dice)


def _draw(task: Task, told: Content, dice: Dice, used: set[str]) -> Instance:
    """A question of the task's split that the lesson has not had yet."""
    maker, limits = _maker(told.concept), told.levels[task["level"] - 1]
    for _ in range(TRIES):
        instance: Instance = maker.sample(dice, limits, told)
        key = repr((instance.family, instance.slots))
        if key in used:
            continue
        split = task["split"]
        if task["level"] not in BEYOND:
            split = split_of_question(told.concept, instance.family, instance.slots)
        if split == task["split"]:
            used.add(key)
            return instance
    raise RuntimeError(f"no new question in {TRIES} tries for {task}")
