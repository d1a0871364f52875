"""`python -m tests.fuzz`: several processes at once, each with a pool of its own on one embedded PostgreSQL."""

import argparse
import asyncio
import multiprocessing
import os
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from meetingpool.database import migrate
from meetingpool.database.embedded import acquire_embedded
from tests.fuzz.runs import Outcome, run

REQUESTS_A_RUN = 20_000


def main() -> int:
    """The exit code: 0 when nothing was wrong."""
    options = _parser().parse_args()
    seeds = range(options.seed, options.seed + max(1, options.requests // REQUESTS_A_RUN))
    outcome, began = Outcome(), time.monotonic()
    with tempfile.TemporaryDirectory() as directory:
        embedded = acquire_embedded(Path(directory), durable=False)
        try:
            asyncio.run(migrate.upgrade(embedded.url))
            each = partial(run, embedded.url, requests=min(options.requests, REQUESTS_A_RUN))
            with ProcessPoolExecutor(options.processes, multiprocessing.get_context("spawn")) as processes:
                for done in processes.map(each, seeds):
                    outcome.add(done)
                    sys.stderr.write(f"{sum(outcome.answers.values())} requests, {len(outcome.failures)} failures\n")
        finally:
            embedded.release()
    outcome.seconds = time.monotonic() - began
    sys.stdout.write(f"{outcome}\n")
    return 1 if outcome.failures else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--requests", type=int, default=100_000, metavar="N", help="how many in all (default: 100000)")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, metavar="N", help="how many at once")
    parser.add_argument(
        "--seed", type=int, default=1, metavar="N", help=f"of the first run of {REQUESTS_A_RUN}; the next ones count on"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
