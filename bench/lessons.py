"""Figures of the world `lessons` and of the page: coverage, variety, speed, power, opening.

`--quick` ends in a minute. Each measurement runs in a process of its own.
"""

import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import foundation
from figures import Figure, apart, command_line

GRID = ("concept", "level", "audience", "style")
FEW = 150  # lessons of a concept whose variety is measured
MANY = 10_000  # lessons compared for near-duplicates


def variety(count: int, few: int, many: int) -> dict[str, Any]:
    """Cells, 4-grams, frames and near-duplicates of one run of `count` lessons."""
    import stillroom
    from stillroom import prose
    from stillroom.worlds.lessons.locales import all_names

    names = all_names()
    with tempfile.TemporaryDirectory() as folder:
        settings = ("power.sample=0", "audit.run=false", "world.levels=[1, 2, 3, 4, 5, 6, 7, 8]")
        run = stillroom.run("lessons", count=count, out=folder, workers=2, settings=settings)
        cells = Counter[tuple[str, ...]]()
        texts: dict[str, list[str]] = {}
        compared = []
        for record in run.dataset:
            cells[tuple(record.tags[tag] for tag in GRID)] += 1
            kept = texts.setdefault(record.tags["concept"], [])
            if len(kept) < few:
                kept.append(record.data["text"])
            if len(compared) < many:
                compared.append(prose.words(record.data["text"], names))
    found = {concept: _measured(kept, names) for concept, kept in texts.items()}
    shape = [len(set(column)) for column in zip(*cells, strict=True)]
    grid = shape[0] * shape[1] * shape[2] * shape[3]
    return {
        "grid": " x ".join(map(str, shape)),
        "filled": len(cells),
        "cells": grid,
        "smallest": min(cells.values()) * grid / count if len(cells) == grid else 0.0,
        "doubles": prose.near_duplicates(compared),
        "compared": len(compared),
        "concepts": found,
    }


def _measured(texts: list[str], names: frozenset[str]) -> dict[str, Any]:
    """A concept's 4-grams beside people's at as many tokens, and its commonest sentence frame."""
    from stillroom import prose

    out: dict[str, Any] = {"lessons": len(texts)}
    for formulas, name in ((True, "masked"), (False, "formulas_too")):
        ours = [prose.words(text, names, formulas) for text in texts]
        tokens = sum(map(len, ours))
        human = [prose.words(t, formulas=formulas) for t in prose.human_reference(tokens)]
        out[name] = prose.distinct(ours)
        out[f"{name}_human"] = prose.distinct(human, limit=tokens)
        out[f"{name}_tokens"] = tokens
    out["frame"], out["frame_text"] = prose.largest_frame(texts, names)
    return out


def page(count: int) -> dict[str, Any]:
    """The page of a run of `count` lessons in Chromium."""
    from page import measure

    import stillroom

    with tempfile.TemporaryDirectory() as folder:
        stillroom.run("lessons", count=count, out=folder, workers=2)
        return measure(Path(folder))


PARTS = {"variety": variety, "page": page}


def measure(quick: bool) -> list[Figure]:
    """All figures; the variety of every concept goes to stderr."""
    n = 400 if quick else 3000
    speed = apart(foundation.__file__, "cpu_of_run", "lessons", n, 2 if quick else 6)
    spoils = 300 if quick else 5000
    power = apart(foundation.__file__, "power_of_lessons", spoils, spoils // 20)
    read = apart(foundation.__file__, "second_reader", 500 if quick else 10_000)
    many = 720 if quick else 21_600
    texts = apart(__file__, "variety", many, 15 if quick else FEW, 500 if quick else MANY)
    seen = apart(__file__, "page", 300 if quick else 3000)
    concepts = texts["concepts"]
    for name, one in sorted(concepts.items(), key=lambda item: item[1]["masked"]):
        print(
            f"{name}: {one['masked']:.3f} of {one['masked_human']:.3f} at {one['masked_tokens']} "
            f"tokens; with formulas {one['formulas_too']:.3f}; commonest frame "
            f"{one['frame']:.3f}: {one['frame_text'][:70]}",
            file=sys.stderr,
        )
    worst = min(concepts, key=lambda c: concepts[c]["masked"] / concepts[c]["masked_human"])
    framed = max(concepts, key=lambda c: concepts[c]["frame"])
    with_formulas = min(concepts.values(), key=lambda one: one["formulas_too"])
    first, own, core = concepts[worst], power["own"], power["core"]
    lessons = first["lessons"]
    return [
        Figure(
            f"cells filled, {texts['grid']} (concept, level, audience, style)",
            texts["filled"], "", f">= {30 * 8 * 3 * 3}", many,
        ),
        Figure("smallest cell against its target", texts["smallest"], "", ">= 0.5", many),
        Figure(
            f"masked distinct-4, worst concept ({worst}), against human prose",
            first["masked"] / first["masked_human"], "of human", ">= 0.5", lessons,
            first["masked_human"],
        ),
        Figure(
            "the same with the formulas' own tokens (no target)",
            with_formulas["formulas_too"] / with_formulas["formulas_too_human"], "of human", "",
            lessons, with_formulas["formulas_too_human"],
        ),
        Figure("masked near-duplicates", 100 * texts["doubles"], "%", "<= 2", texts["compared"]),
        Figure(
            f"commonest sentence frame ({framed})",
            100 * concepts[framed]["frame"], "%", "<= 5", lessons,
        ),
        Figure("lessons made and checked, all concepts", n / speed["cpu"], "1/CPU-s", ">= 200", n),
        Figure("own spoils noticed", 100 * own["power"], "%", ">= 99.5", own["planted"]),
        Figure("core's leaf faults noticed", 100 * core["power"], "%", ">= 95", core["planted"]),
        Figure(
            "wrong equations found by the second reader",
            read["wrong"], "", "<= 0", read["equations"],
        ),
        Figure("page usable after", seen["seconds"], "s", "<= 1", seen["records"]),
        Figure("page size", seen["bytes"] / 1e6, "MB", "<= 5", seen["records"]),
        Figure("page: console errors", len(seen["errors"]), "", "<= 0", seen["records"]),
    ]  # fmt: skip


if __name__ == "__main__":
    command_line("lessons", __doc__, PARTS, measure)
