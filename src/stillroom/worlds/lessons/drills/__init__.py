"""The World `drills`: short reasoning questions, step by step (docs/lessons.md)."""

from stillroom.worlds.lessons.drills.notation import FAMILIES, chance
from stillroom.worlds.lessons.drills.world import Drills

__all__ = ["FAMILIES", "Drills", "chance"]
