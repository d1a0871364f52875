"""Starts the processes of an installation: all of them (`up`), or one kind (`gateway`, `poller`, `recordings run`)."""

import asyncio
import errno
import os
import socket
from collections.abc import Callable, Sequence

from admin.connection import database_url, tell_where_the_key_is, upgrade_schema
from admin.output import until_interrupted
from admin.refusals import Refused
from admin.supervisor import Program, stop_signal, supervised
from meetingpool.logs import configure_logs
from meetingpool.settings import Settings, read_settings, with_secret

_ANY_ADDRESS = ("0.0.0.0", "::", "")  # noqa: S104


def run_everything() -> None:
    """`meetingpool up`."""
    settings = with_secret(read_settings())
    require_free_port(settings)
    _run(settings, lambda url: everything(settings, url), upgrade=True, listens=True)


def run_gateway() -> None:
    """`meetingpool gateway`."""
    settings = with_secret(read_settings())
    require_free_port(settings, beside_gateways=True)
    _run(settings, lambda url: gateways(settings, url), upgrade=settings.database_url is None, listens=True)


def run_poller() -> None:
    """`meetingpool poller` and `meetingpool poll run`."""
    settings = with_secret(read_settings())
    _run(settings, lambda url: [poller(settings, url)], upgrade=settings.database_url is None, listens=False)


def run_recordings() -> None:
    """`meetingpool recordings run`. Raises Refused where there are to be no recordings."""
    settings = read_settings()
    if settings.recording_disabled:
        raise Refused("RECORDING_DISABLED says that there are no recordings: take it out of the settings to import any")
    _run(settings, lambda url: [recordings(settings, url)], upgrade=settings.database_url is None, listens=False)


def everything(settings: Settings, url: str) -> list[Program]:
    """The processes of an installation on the database at `url`."""
    importing = [] if settings.recording_disabled else [recordings(settings, url)]
    return [*gateways(settings, url), poller(settings, url), *importing]


def gateways(settings: Settings, url: str) -> list[Program]:
    """The gateway's processes on the database at `url`."""
    workers = max(1, settings.web_concurrency)
    environment = environment_of(settings, url)
    names = ["gateway"] if workers == 1 else [f"gateway-{number + 1}" for number in range(workers)]
    return [Program(name=name, module="gateway", environment=environment) for name in names]


def poller(settings: Settings, url: str) -> Program:
    return Program(name="poller", module="poller", environment=environment_of(settings, url))


def recordings(settings: Settings, url: str) -> Program:
    return Program(name="recordings", module="recordings", environment=environment_of(settings, url))


def environment_of(settings: Settings, url: str) -> dict[str, str]:
    """What the children are told beyond what is in the environment anyway."""
    secret = {"MEETINGPOOL_LOADBALANCER_SECRET": settings.loadbalancer_secret} if settings.loadbalancer_secret else {}
    return {"MEETINGPOOL_DATABASE_URL": url, **secret}


def api_url(settings: Settings, host: str | None = None) -> str:
    """Where front ends call the gateway; by the name of this machine when it listens on all addresses."""
    host = host or (socket.gethostname() if settings.bind in _ANY_ADDRESS else settings.bind)
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}/bigbluebutton/api"


def require_free_port(settings: Settings, *, beside_gateways: bool = False) -> None:
    """Raises Refused when somebody listens on the gateway's port.

    Unless told to be `beside_gateways`, which is how one replaces another without a pause, a gateway counts as well: the kernel
    would send each of the two a part of the connections.
    """
    family = socket.AF_INET6 if ":" in settings.bind else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, int(beside_gateways))
        try:
            probe.bind((settings.bind, settings.port))
        except OSError as error:
            raise Refused(_why_not_bound(settings, error)) from None


def _run(settings: Settings, programs: Callable[[str], Sequence[Program]], *, upgrade: bool, listens: bool) -> None:
    configure_logs(process="supervisor", log_format=settings.log_format, level=settings.log_level)
    with until_interrupted(), database_url(settings) as url:
        if upgrade:
            asyncio.run(upgrade_schema(url, settings))
            tell_where_the_key_is(settings)
        if listens:
            _announce(settings)
        asyncio.run(_supervise(programs(url)))


async def _supervise(programs: Sequence[Program]) -> None:
    stop = stop_signal()
    async with supervised() as supervisor:
        for program in programs:
            supervisor.start(program)
        await stop.wait()


def _announce(settings: Settings) -> None:
    print(f"Meetingpool's API for front ends: {api_url(settings)}")
    if read_settings().secrets:
        print("The secret for front ends is the configured one")
    else:
        print(f"The secret for front ends is in {settings.data_dir / 'loadbalancer_secret'}", flush=True)


def _why_not_bound(settings: Settings, error: OSError) -> str:
    where = f"port {settings.port} of {settings.bind}"
    if error.errno == errno.EADDRINUSE:
        return f"Somebody listens on {where} already: stop that program, or set PORT to another port"
    return f"Cannot listen on {where} ({os.strerror(error.errno or 0)}): set BIND and PORT to an address of this machine"
