"""Rows that are records of ours, whichever of the two worlds they come from."""

import json
from typing import Any

from stillroom.world import Data, Task


def recorded(row: dict[str, Any]) -> tuple[Task, Data]:
    """Task and data of a record as it is on disk or in an export."""
    task = row["task"]
    # A record on disk keeps its task as {"id": ..., "json": ...}.
    return json.loads(task["json"]) if "json" in task else task, row["data"]
