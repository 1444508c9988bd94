"""The quota file of a mix: which groups are too rare, as a world's `only` takes them."""

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from stillroom import files
from stillroom.errors import UserError
from stillroom.world import Wishes


def read_quotas(path: Path) -> tuple[Wishes, int]:
    """The wishes in a quota file, and how many records fill them all.

    Quotas of one tag add up, and a plan gives its values their turns: so many records that the
    value with the largest quota has its own, too. Tags hold together: a record counts for each.
    """
    told: dict[str, Any] | None = files.read_json(path, "quotas")
    if told is None:
        raise UserError("there is no such quota file", path, "`stillroom mix` writes quotas.json")
    try:
        wishes = Wishes.model_validate({"quotas": told["quotas"]})
    except ValidationError as wrong:
        fault = wrong.errors(include_url=False)[0]
        place = ".".join(str(part) for part in fault["loc"])
        raise UserError(f"{place}: {fault['msg']}", path, "{tag: {value: records}}") from None
    if any(count < 1 for quota in wishes.quotas.values() for count in quota.values()):
        raise UserError("a quota is below 1", path, "{tag: {value: records}}")
    filled = [len(quota) * max(quota.values()) for quota in wishes.quotas.values() if quota]
    if not filled:
        raise UserError("nothing is missing: the file has no quota", path)
    return wishes, max(filled)
