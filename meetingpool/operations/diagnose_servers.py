"""Looks at the servers of the pool: the way there, their secret, what answers, their clock. Called by `meetingpool doctor`."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from meetingpool.bbb.answers import Answer, read_answer
from meetingpool.bbb.client import Client
from meetingpool.bbb.errors import SecretRefused, ServerFailure
from meetingpool.bbb.probe import Probe, ProbeFailed, Stage, probe
from meetingpool.clock import Clock
from meetingpool.domain.servers import AdminState, Server
from meetingpool.operations.diagnosis import Area, Finding, Severity
from meetingpool.settings import Settings

_AREA = Area("servers")
_AT_ONCE = 50
_THIS_MACHINE = ("127.0.0.1", "::1", "localhost")
# In seconds.
_MOST_SKEW = 30.0
_DAY = 86_400.0
# Days that a certificate should have before it.
_FEW_DAYS = 7.0
_API_VERSION = "2.0"
# No meeting is called so: the call is signed, and its answer short.
_NO_MEETING = "meetingpool-doctor"
_ADVICE = {
    Stage.ADDRESS: "give it another address with `meetingpool servers set {id} --url`",
    Stage.NAME: "check its address, and the resolver of this machine: `getent hosts {host}`",
    Stage.CONNECTION: "check that its web server runs, and that no firewall is between",
    Stage.CERTIFICATE: "check its certificate and the chain behind it: `openssl s_client -connect {host}:443 -servername {host}`",
    Stage.ANSWER: "check its web server: `systemctl status nginx` there",
}


async def diagnose_servers(servers: Sequence[Server], settings: Settings, clock: Clock) -> list[Finding]:
    """By the servers, all asked at the same time. Of one that is disabled all is but a note."""
    if not servers:
        return [_AREA.note("pool", "no servers are configured", "`meetingpool servers add` adds one")]
    bound, context = asyncio.Semaphore(_AT_ONCE), ssl.create_default_context()

    async def diagnose(client: Client, server: Server) -> list[Finding]:
        async with bound:
            found = [finding async for finding in _diagnose(client, server, settings, clock, context)]
        is_used = server.admin_state is not AdminState.DISABLED
        return [finding if is_used else _as_note(finding) for finding in found]

    async with Client(connect_timeout=settings.connect_timeout) as client:
        found = await asyncio.gather(*(diagnose(client, server) for server in servers))
    return [finding for each in found for finding in each]


async def _diagnose(
    client: Client, server: Server, settings: Settings, clock: Clock, context: ssl.SSLContext
) -> AsyncIterator[Finding]:
    try:
        seen = await probe(server.url, clock, context, patience=settings.connect_timeout)
    except ProbeFailed as error:
        yield _AREA.problem(server.id, str(error), _ADVICE[error.stage].format(id=server.id, host=server.host_name))
        return
    for finding in _of_the_way(server, seen, clock):
        yield finding
    yield await _of_the_secret(client, server, settings.response_timeout)
    yield await _of_the_version(client, server, settings.response_timeout)


def _of_the_way(server: Server, seen: Probe, clock: Clock) -> list[Finding]:
    found = []
    if seen.certificate_ends is not None:
        days = (seen.certificate_ends - clock.epoch()) / _DAY
        if days < _FEW_DAYS:
            found.append(_AREA.problem(server.id, f"its certificate ends in {days:.0f} days", "renew it: `certbot renew` there"))
    if seen.ahead is not None and abs(seen.ahead) > _MOST_SKEW:
        way = "ahead of" if seen.ahead > 0 else "behind"
        said = f"its clock is {abs(seen.ahead):.0f} s {way} ours"
        found.append(_AREA.problem(server.id, said, "let an NTP client such as chrony set the clocks of both machines"))
    if server.url.startswith("http://") and server.host_name not in _THIS_MACHINE:
        advice = f"put nginx with a certificate in front of it, and `meetingpool servers set {server.id} --url https://…`"
        found.append(_AREA.note(server.id, "it is asked without TLS, and so are the people who join", advice))
    return found or [_AREA.fine(server.id, f"it answers at {', '.join(seen.addresses)}, and its clock agrees with ours")]


async def _of_the_secret(client: Client, server: Server, deadline: float) -> Finding:
    try:
        parameters = [("meetingID", _NO_MEETING)]
        await client.call(server.url, server.secret, "isMeetingRunning", parameters, deadline=deadline)
    except SecretRefused:
        advice = f"`bbb-conf --secret` there shows the right one, and `meetingpool servers set {server.id} --secret -` takes it"
        return _AREA.problem(server.id, "it refuses our secret (checksumError)", advice)
    except ServerFailure as error:
        return _AREA.problem(server.id, f"a signed call fails: {error}", "check BigBlueButton there: `bbb-conf --check`")
    return _AREA.fine(server.id, "it accepts our secret")


async def _of_the_version(client: Client, server: Server, deadline: float) -> Finding:
    try:
        answer: Answer = read_answer(await client.fetch(server.url, deadline=deadline))
    except ServerFailure as error:
        advice = "its address must be that of the BBB API, which ends in /bigbluebutton/api"
        return _AREA.problem(server.id, f"what answers is not BigBlueButton: {error}", advice)
    version = answer.text("version")
    if version != _API_VERSION:
        said = f"it speaks version {version or 'none'} of the API, and {_API_VERSION} is needed"
        return _AREA.problem(server.id, said, "upgrade BigBlueButton there")
    return _AREA.fine(server.id, f"BigBlueButton {answer.text('bbbVersion') or 'of a version that it does not tell'}")


def _as_note(finding: Finding) -> Finding:
    if finding.severity is not Severity.PROBLEM:
        return finding
    return replace(finding, severity=Severity.NOTE, detail=f"{finding.detail}; it is disabled")
