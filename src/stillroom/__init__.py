"""Stillroom: synthetic data anyone can re-check. Public names are loaded when first used."""

from importlib import import_module
from typing import Any

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
    "check_world": "testing",
    "UserError": "errors",
}
__all__ = [*_HOMES, "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"stillroom has no {name!r}; it has {sorted(_HOMES)}")
    return getattr(import_module(f"stillroom.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
