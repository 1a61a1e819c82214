"""How soon the report's page of 500 variants is drawn in Chromium, and how large it is.

`draws_s` is the median time from asking for the page to its first chart with all points, in a browser that runs already;
`limit_ratio` is the time of an empty page divided by it. `page_mb` is the size of the file.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from stages.report import report
from tests.support.browser import PROGRAM, Browser
from tests.support.many_records import study

POINTS = "document.querySelectorAll('figure[data-kind=pareto] .mark-symbol.points path').length > 200"
ROUNDS = 5


def measure(where: Path) -> dict[str, Any]:
    """All figures; ``where`` is an empty folder."""
    settings = study(where)
    results = where / "results"
    report(results, results / "report", settings)
    page, empty = results / "report/index.html", where / "empty.html"
    empty.write_text("<!doctype html><title>empty</title>", encoding="utf-8")
    times: dict[Path, list[float]] = {page: [], empty: []}
    with Browser(where / "profile") as browser:
        for _ in range(ROUNDS):
            for file, shown in ((page, POINTS), (empty, "true")):
                start = time.perf_counter()
                browser.open(file)
                browser.wait_for(shown, 60)
                times[file].append(time.perf_counter() - start)
    draws, nothing = (statistics.median(times[file]) for file in (page, empty))
    return {
        "benchmark": "report_page",
        "variants": 500,
        "page_mb": round(page.stat().st_size / 1e6, 2),
        "draws_s": round(draws, 2),
        "limit_ratio": round(nothing / draws, 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print only the JSON object")
    options = parser.parse_args()
    if PROGRAM is None:
        sys.exit("error: there is no Chromium to open the page with")
    with tempfile.TemporaryDirectory() as folder:
        result = measure(Path(folder))
    if not options.json:
        print(f"{result['variants']} variants: {result['page_mb']} MB, drawn in {result['draws_s']} s")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
