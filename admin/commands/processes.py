"""The commands that run until they are stopped: `meetingpool up`, `gateway`, `poller`, `demo` and `simulator`."""

import typer

# What is typed behind it goes to the simulator as it is, which has a help of its own.
PASSED_ON = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}


def up() -> None:
    """Run everything: gateway and poller under one supervisor."""
    from admin.up import run_everything

    run_everything()


def gateway() -> None:
    """Run the gateway, as many processes as WEB_CONCURRENCY says."""
    from admin.up import run_gateway

    run_gateway()


def poller() -> None:
    """Run the poller."""
    from admin.up import run_poller

    run_poller()


def demo() -> None:
    """Run everything with simulated servers and people, to look at."""
    from admin.demo import run_demo

    run_demo()


def simulator(context: typer.Context) -> None:
    """Run simulated BigBlueButton servers, to try things out; `simulator --help` lists its options."""
    import os
    import sys

    os.execv(sys.executable, [sys.executable, "-m", "simulator", *context.args])  # noqa: S606  # it takes our place
