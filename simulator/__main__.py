"""`python -m simulator`: simulated BBB servers until SIGTERM or SIGINT, and a scenario played beside them if one is named."""

import argparse
import asyncio
import json
import logging
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from uvicorn.loops.auto import auto_loop_factory

from meetingpool.bbb.client import Client
from simulator import control
from simulator.fleet import RECORDING_DELAY, Fleet
from simulator.front_end import FrontEnd
from simulator.scenario import InvalidScenario, Scenario, find_scenario, read_scenario

_OUTWARD = """\
The servers do what BBB does by itself. When a meeting ends they call its meetingEndedURL and meta_endCallbackUrl, and post to
its meta_analytics-callback-url if its events are kept. With --spool they make an archive of what was recorded and put it
there, and tell of each format. Without, they tell of a recording when they hear that one is ready (see below).
Webhooks are registered with hooks/create; they are told of meetings that begin and end, and of people who come and go.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0 after a signal, 1 when a port is taken, 2 when the command line or the scenario is wrong."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.scenario and not (options.endpoint and options.endpoint_secret):
        parser.error("--scenario needs --endpoint and --endpoint-secret: whom should it call?")
    if options.spool and not options.spool.is_dir():
        parser.error("--spool needs a directory that is there")
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(message)s")
    try:
        scenario = read_scenario(find_scenario(options.scenario)) if options.scenario else None
    except InvalidScenario as error:
        parser.error(str(error))
    with asyncio.Runner(loop_factory=auto_loop_factory()) as runner:
        try:
            runner.run(_run(options, scenario))
        except OSError as error:
            sys.stderr.write(f"The servers cannot listen: {error}. Choose another --first-port or --bind.\n")
            return 1
    return 0


async def _run(options: argparse.Namespace, scenario: Scenario | None) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with Fleet.running(
        servers=options.servers,
        secret=options.secret,
        first_port=options.first_port,
        bind=options.bind,
        seed=options.seed,
        spool=options.spool,
        recording_delay=options.recording_delay,
    ) as fleet:
        for server in fleet.servers:
            server.has_webhooks = options.webhooks
            server.retry_factor = options.retry_factor
            sys.stdout.write(json.dumps({"name": server.name, "url": server.url, "secret": server.secret}) + "\n")
        sys.stdout.flush()
        async with asyncio.TaskGroup() as background:
            playing = background.create_task(_play(options, scenario)) if scenario else None
            await stopped.wait()
            if playing:
                playing.cancel()


async def _play(options: argparse.Namespace, scenario: Scenario) -> None:
    async with Client() as client:
        front_end = FrontEnd(
            client,
            endpoint=options.endpoint,
            secret=options.endpoint_secret,
            scenario=scenario,
            speed=options.speed,
            seed=options.seed,
        )
        await front_end.play()
        logging.getLogger(__name__).info("scenario_finished %s", json.dumps(front_end.counts))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m simulator",
        description="Simulated BigBlueButton servers.",
        epilog=f"{_OUTWARD}\n{control.__doc__}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--servers", type=int, default=3, metavar="N", help="how many servers (default: 3)")
    parser.add_argument("--first-port", type=int, default=0, metavar="P", help="ports P, P+1, …; 0 takes any free ones")
    parser.add_argument("--secret", metavar="S", help="the secret of all servers (default: each has its own)")
    parser.add_argument("--bind", default="127.0.0.1", metavar="ADDRESS", help="the address to listen on")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="the same seed gives the same people")
    parser.add_argument("--no-webhooks", dest="webhooks", action="store_false", help="servers that have no hooks calls")
    parser.add_argument(
        "--retry-factor",
        type=_positive,
        default=1.0,
        metavar="X",
        help="stretch the pauses before a call to others is repeated; 0.01 is a hundredth of BBB's",
    )
    parser.add_argument("--spool", type=Path, metavar="DIR", help="deliver recordings to this directory")
    parser.add_argument(
        "--recording-delay",
        type=_positive,
        default=RECORDING_DELAY,
        metavar="SECONDS",
        help=f"from the end of a meeting to its recording; its video takes three times as long (default: {RECORDING_DELAY:g})",
    )
    parser.add_argument("--scenario", metavar="NAME|FILE", help="play this scenario: demo, morning, or a TOML file")
    parser.add_argument("--endpoint", metavar="URL", help="the BBB API that the scenario calls")
    parser.add_argument("--endpoint-secret", metavar="S", help="the secret of that API")
    parser.add_argument("--speed", type=_positive, default=1.0, metavar="X", help="play the scenario X times as fast")
    return parser


def _positive(text: str) -> float:
    number = float(text)
    if number <= 0:
        raise argparse.ArgumentTypeError("must be more than 0")
    return number


if __name__ == "__main__":
    sys.exit(main())
