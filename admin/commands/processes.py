"""The commands that run until they are stopped: `meetingpool up`, `gateway`, `poller` and `demo`."""


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
