"""Figures of the page: seconds until it can be used, bytes, console errors. Needs Chromium.

python bench/page.py            3,000 lessons
python bench/page.py --quick    300
"""

import argparse
import shutil
import statistics
import tempfile
from pathlib import Path
from typing import Any

from figures import Figure, report

CHROMIUMS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
TIMES = 5


def measure(run_folder: Path) -> dict[str, Any]:
    """The page of a finished run: written anew, and opened TIMES times in a fresh profile.

    seconds    from navigation until the list is shown and painted (median), and of all times
    charted    seconds until the last chart is drawn (median)
    search     seconds until the first full-text search is answered (median)
    errors     errors and warnings on the console, uncaught exceptions, requests beyond the file
    """
    from playwright.sync_api import sync_playwright

    import stillroom
    from stillroom.view.page import write_page
    from stillroom.view.terminal import world_of

    page = write_page(run_folder, world_of(run_folder, True))
    found = next(filter(None, map(shutil.which, CHROMIUMS)), None)
    if found is None:
        raise SystemExit(f"no browser: none of {', '.join(CHROMIUMS)} is installed")
    visits = []
    with sync_playwright() as play:
        for _ in range(TIMES):
            browser = play.chromium.launch(executable_path=found, args=FLAGS)
            visits.append(_visit(browser, page))
            browser.close()
    seconds = [visit["seconds"] for visit in visits]
    return {
        "records": len(stillroom.open(run_folder)),
        "bytes": page.stat().st_size,
        "seconds": statistics.median(seconds),
        "seconds_all": seconds,
        "charted": statistics.median(visit["charted"] for visit in visits),
        "search": statistics.median(visit["search"] for visit in visits),
        "errors": [error for visit in visits for error in visit["errors"]],
    }


def _visit(browser: Any, file: Path) -> dict[str, Any]:
    errors: list[str] = []
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    page.on("console", lambda m: errors.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda wrong: errors.append(str(wrong)))
    page.on("request", lambda r: None if r.url.startswith("file:") else errors.append(r.url[:200]))
    page.goto(file.resolve().as_uri(), wait_until="commit")
    # Two frames after the list stands: what was drawn is on the screen then.
    seconds = page.evaluate(
        """() => new Promise((done) => {
            const look = () => performance.getEntriesByName("usable").length
                ? requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now())))
                : setTimeout(look, 5);
            look();
        })"""
    )
    if not page.locator("#list a").count():
        errors.append("the list is empty")
    if page.locator(".charts").count():
        page.wait_for_selector(".charts:not([aria-busy])")
    charted = page.evaluate("performance.now()")
    search = page.evaluate(
        """() => new Promise((done) => {
            const began = performance.now();
            const field = document.getElementById("search");
            field.value = "zzz never written";
            field.dispatchEvent(new Event("input", { bubbles: true }));
            const look = () => document.getElementById("list").children.length
                ? setTimeout(look, 5) : done(performance.now() - began);
            look();
        })"""
    )
    page.close()
    return {
        "seconds": seconds / 1000,
        "charted": charted / 1000,
        "search": search / 1000,
        "errors": errors,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    import stillroom

    with tempfile.TemporaryDirectory() as folder:
        stillroom.run("lessons", count=300 if quick else 3000, out=folder)
        found = measure(Path(folder))
    n = found["records"]
    figures = [
        Figure("page usable after", found["seconds"], "s", "<= 1", n),
        Figure("page size", found["bytes"], "bytes", "<= 5000000", n),
        Figure("console errors and foreign requests", len(found["errors"]), "", "<= 0", n),
    ]
    report("page", quick, figures)


if __name__ == "__main__":
    main()
