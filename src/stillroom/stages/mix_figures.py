"""What a mix's manifest says of it: counts, shares, depths, and what came of every source."""

from typing import Any

import numpy as np
import numpy.typing as npt

from stillroom.stages.candidates import DERIVED, TIERS, Candidates
from stillroom.stages.lineage import UNKNOWN
from stillroom.stages.mixing import IN_MIX
from stillroom.stages.selection import ROLES, Selection, counted

EXAMPLES = 5  # ids for each reason
LOWEST = 50  # slices whose pass rates a manifest names


def counts(told: Candidates, picked: Selection) -> dict[str, int]:
    roles = {role: int(picked.are(role).sum()) for role in ROLES}
    derived = int((picked.are("synthetic") & (told.pool == DERIVED)).sum())
    return {"mix": sum(roles[role] for role in IN_MIX), **roles, "derived": derived}


def portions(picked: Selection) -> dict[str, float]:
    whole = max(1, int(picked.are(*IN_MIX).sum()))
    return {role: int(picked.are(role).sum()) / whole for role in IN_MIX}


def depths(told: Candidates, picked: Selection) -> dict[str, int]:
    found, counts = np.unique(told.depth[picked.are(*IN_MIX)], return_counts=True)
    pairs = zip(found.tolist(), counts.tolist(), strict=True)
    return {"unknown" if depth == UNKNOWN else str(depth): count for depth, count in pairs}


def source(told: Candidates, picked: Selection, number: int) -> dict[str, Any]:
    """What came of a source's records, with some ids for each reason that they are left out."""
    own = told.source == number
    out = own & (picked.reason > 0)
    ids = {
        told.reasons[reason]: [told.ids[n].tobytes().hex()
                               for n in np.flatnonzero(out & (picked.reason == reason))[:EXAMPLES]]
        for reason in np.unique(picked.reason[out]).tolist()
    }  # fmt: skip
    taken = own & picked.are("anchor", "fresh", "guard")
    return told.sources[number] | {
        "rows": int(own.sum()),
        "roles": counted(picked.role[own], list(ROLES)),
        "reasons": counted(picked.reason[out], told.reasons),
        "derived": int((own & (told.pool == DERIVED)).sum()),
        "tiers": counted(told.tier[taken], list(TIERS)),
        "vintages": _vintages(told.latest[taken], told.tier[taken]),
        "examples": ids,
    }


def lowest(slices: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The slices that a manifest names: those refused more often, then the lowest of the rest."""
    return sorted(slices, key=lambda one: not one["refused_more"])[:LOWEST]


def _vintages(
    latest: npt.NDArray[np.int32], tier: npt.NDArray[np.int8]
) -> dict[str, dict[str, int]]:
    """Records by the year of their latest possible date ("0": undated), then by tier."""
    years = latest // 10_000
    return {
        str(year): counted(tier[years == year], list(TIERS)) for year in np.unique(years).tolist()
    }
