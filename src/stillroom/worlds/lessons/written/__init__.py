"""The World `written`: lessons by a model, checked by a program (docs/teachers.md)."""

from stillroom.worlds.lessons.written.world import Written

__all__ = ["Written"]
