"""Stillroom: synthetic data anyone can re-check. Public names are loaded when first used."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stillroom.dataset import Dataset, open
    from stillroom.errors import UserError
    from stillroom.pipeline import run
    from stillroom.record import Record
    from stillroom.stages.adopt import check
    from stillroom.stages.distill import distill
    from stillroom.stages.export import export
    from stillroom.stages.guard import guard
    from stillroom.stages.verify import verify
    from stillroom.students.student import Student
    from stillroom.teachers.asking import Teacher
    from stillroom.teachers.questions import Questions
    from stillroom.testing import check_world
    from stillroom.world import (
        Check,
        Context,
        Data,
        Draft,
        Finding,
        Task,
        Verdict,
        View,
        World,
    )

__version__ = "0.1.0"

_HOMES = {
    "World": "world",
    "Task": "world",
    "Data": "world",
    "Draft": "world",
    "Check": "world",
    "Verdict": "world",
    "View": "world",
    "Finding": "world",
    "Context": "world",
    "Record": "record",
    "run": "pipeline",
    "open": "dataset",
    "Dataset": "dataset",
    "verify": "stages.verify",
    "check": "stages.adopt",
    "export": "stages.export",
    "distill": "stages.distill",
    "guard": "stages.guard",
    "check_world": "testing",
    "Teacher": "teachers.asking",
    "Questions": "teachers.questions",
    "Student": "students.student",
    "UserError": "errors",
}
__all__ = [
    "Check",
    "Context",
    "Data",
    "Dataset",
    "Draft",
    "Finding",
    "Questions",
    "Record",
    "Student",
    "Task",
    "Teacher",
    "UserError",
    "Verdict",
    "View",
    "World",
    "__version__",
    "check",
    "check_world",
    "distill",
    "export",
    "guard",
    "open",
    "run",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"stillroom has no {name!r}; it has {sorted(_HOMES)}")
    return getattr(import_module(f"stillroom.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
