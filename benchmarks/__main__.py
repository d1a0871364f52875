"""Prints tables and keeps figures.

`python -m benchmarks [poll|calls|recordings|unpacking|dashboard|choices|placement] [--quick] [--json FILE]`
"""

import argparse
import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import Any

from benchmarks.calls import measure_calls
from benchmarks.choices import choices_json, choices_table, measure_choices
from benchmarks.dashboard import dashboard_json, dashboard_table, measure_dashboard
from benchmarks.placement import measure_placement, placement_json, placement_table
from benchmarks.poll_round import measure_polls
from benchmarks.recordings import measure_recordings
from benchmarks.results import (
    calls_json,
    calls_table,
    polls_json,
    polls_table,
    recordings_json,
    recordings_table,
    unpacking_json,
    unpacking_table,
)
from benchmarks.unpacking import measure_unpacking


def main() -> int:
    """The exit code: 1 when an answer was wrong, else 0. A goal that is missed is shown, not punished."""
    parser = argparse.ArgumentParser(
        prog="benchmarks",
        description="CPU per poll round, per call and per archive, and how evenly people are spread; as ratios.",
    )
    parser.add_argument(
        "what",
        nargs="?",
        choices=["poll", "calls", "recordings", "unpacking", "dashboard", "choices", "placement"],
        help="default: all",
    )
    parser.add_argument("--quick", action="store_true", help="fewer rounds and requests: does it run, not how fast is it")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to FILE as well")
    options = parser.parse_args()
    # A signal to end unwinds like Ctrl-C, so that no process and no directory is left.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        results, errors = asyncio.run(_measure(options.what, quick=options.quick))
        if options.what in (None, "unpacking"):
            unpacked = measure_unpacking(quick=options.quick)
            results["unpacking"] = unpacking_json(unpacked)
            print(unpacking_table(unpacked), flush=True)
        if options.what in (None, "choices"):
            choices = measure_choices(quick=options.quick)
            results["choices"] = choices_json(choices)
            print(choices_table(choices), flush=True)
        if options.what == "placement":
            spreads = measure_placement(quick=options.quick)
            results["placement"] = placement_json(spreads)
            print(placement_table(spreads), flush=True)
    except KeyboardInterrupt:
        return 1
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")
    return 1 if errors else 0


async def _measure(what: str | None, *, quick: bool) -> tuple[dict[str, Any], int]:
    results: dict[str, Any] = {"quick": quick}
    errors = 0
    if what in (None, "calls"):
        calls = await measure_calls(quick=quick)
        errors = sum(cost.errors for cost in calls.costs)
        results["calls"] = calls_json(calls)
        print(calls_table(calls), end="\n\n", flush=True)
    if what in (None, "recordings"):
        recordings = await measure_recordings(quick=quick)
        errors += sum(cost.errors for cost in recordings.costs)
        results["recordings"] = recordings_json(recordings)
        print(recordings_table(recordings), end="\n\n", flush=True)
    if what in (None, "dashboard"):
        dashboard = await measure_dashboard(quick=quick)
        errors += dashboard.errors
        results["dashboard"] = dashboard_json(dashboard)
        print(dashboard_table(dashboard), end="\n\n", flush=True)
    if what in (None, "poll"):
        cost = await measure_polls(quick=quick)
        results["poll"] = polls_json(cost)
        print(polls_table(cost), end="\n\n", flush=True)
    return results, errors


if __name__ == "__main__":
    sys.exit(main())
