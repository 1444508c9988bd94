"""A bench's committed result as the Markdown table that README shows: python bench/table.py NAME"""

import json
import sys
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


def table(name: str) -> str:
    """Figure, value and target of bench/results/NAME.json, one row each."""
    result = json.loads((RESULTS / f"{name}.json").read_text())
    rows = ["| figure | value | target | n |", "|---|---|---|---|"]
    for figure in result["figures"]:
        value = figure["value"]
        if value is None:
            shown = "not measured"
        else:
            shown = (", ".join(value) or "none") if isinstance(value, list) else f"{value:,.4g}"
            shown = f"{shown} {figure['unit']}".strip()
        rows.append(f"| {figure['name']} | {shown} | {figure['target']} | {figure['n']:,} |")
    return "\n".join(rows)


if __name__ == "__main__":
    print(table(sys.argv[1]))
