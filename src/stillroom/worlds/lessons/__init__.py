"""The World `lessons` (docs/lessons.md)."""

from stillroom.worlds.lessons.lessons import Lessons

__all__ = ["Lessons"]
