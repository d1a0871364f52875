"""What `check` does: looks at what the database knows, and says it as monitoring wants it said."""

import os
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from admin.check_levels import Figure, Level, Outcome, Range, read_range, worst
from admin.connection import with_database
from admin.refusals import is_expected, sentence_of
from meetingpool.database.engine import Database
from meetingpool.database.figures import Figures, read_figures
from meetingpool.domain.servers import AdminState, Health
from meetingpool.settings import Settings, SettingsError, read_settings

_NAMED_AT_MOST = 5
_HOUR = 3600
# Seconds for which nobody need look into the spool, beyond the time between two looks.
_LOOKS_LATE = 300.0


@dataclass(frozen=True, slots=True)
class Limits:
    """The thresholds of a check's first figure; None for its own."""

    warning: Range | None = None
    critical: Range | None = None

    def or_else(self, warning: str | None, critical: str | None) -> tuple[Range | None, Range | None]:
        own = [read_range(text) if text else None for text in (warning, critical)]
        return self.warning or own[0], self.critical or own[1]


Check = Callable[[Figures, Settings, Limits], Outcome]


def run_check(name: str, warning: str | None, critical: str | None, timeout: float) -> int:
    """Prints the outcome of the check `name`, one of CHECKS or `all`. Returns the exit code; ends the process after `timeout`."""
    with _given_up_after(timeout):
        outcome = _outcome_of(name, warning, critical)
    print(outcome, flush=True)
    return int(outcome.level)


def check_servers(figures: Figures, _settings: Settings, limits: Limits) -> Outcome:
    """The first figure is how many servers that are in use do not answer."""
    in_use = [server for server in figures.servers if server["admin_state"] != AdminState.DISABLED]
    away = [server for server in in_use if server["health"] in (Health.OFFLINE, Health.DEAD)]
    taking = [server for server in in_use if server["admin_state"] == AdminState.ENABLED and server not in away]
    warning, critical = limits.or_else("0", None)
    shown = [Figure(name="away", value=len(away), warning=warning, critical=critical), Figure(name="open", value=len(taking))]
    shown += [Figure(name=name, value=sum(server[name] for server in in_use)) for name in ("meetings", "users", "load")]
    said = f"{len(taking)} of {len(figures.servers)} servers take new meetings"
    if away:
        said += f"; {_names_of(away)} do not answer: `meetingpool doctor` says why"
    level = worst([shown[0].level, Level.OK if taking else Level.CRITICAL])
    return Outcome(level=level, sentence=said, figures=shown)


def check_recordings(figures: Figures, settings: Settings, limits: Limits) -> Outcome:
    """The first figure is for how long the oldest archive that is on its way has been."""
    if settings.recording_disabled:
        return Outcome(level=Level.OK, sentence="RECORDING_DISABLED says that there are no recordings")
    imports, look_age = figures.imports, figures.spools["look_age"]
    warning, critical = limits.or_else(str(_HOUR), str(6 * _HOUR))
    shown = [Figure(name="oldest_archive", value=round(imports["oldest"]), unit="s", warning=warning, critical=critical)]
    shown += [Figure(name=name, value=imports[name]) for name in ("waiting", "working", "quarantined")]
    shown.append(Figure(name="unclaimed", value=figures.spools["unclaimed"] or 0))
    levels, said = [shown[0].level], [f"{imports['waiting'] + imports['working']} archives on their way"]
    if imports["quarantined"]:
        levels.append(Level.WARNING)
        said.append(f"{imports['quarantined']} refused: `meetingpool recordings quarantine list` says why")
    if look_age is None or look_age > _LOOKS_LATE + settings.recording_import_poll_interval:
        levels.append(Level.CRITICAL)
        said.append("nobody looks into the spool: start `meetingpool recordings run`")
    return Outcome(level=worst(levels), sentence="; ".join(said), figures=shown)


def check_callbacks(figures: Figures, _settings: Settings, limits: Limits) -> Outcome:
    """The first figure is for how long the oldest callback that is not delivered has been waiting."""
    callbacks = figures.callbacks
    warning, critical = limits.or_else(str(_HOUR), str(6 * _HOUR))
    shown = [Figure(name="oldest_callback", value=round(callbacks["oldest"]), unit="s", warning=warning, critical=critical)]
    shown += [Figure(name=name, value=callbacks[name]) for name in ("pending", "given_up")]
    levels, said = [shown[0].level], [f"{callbacks['pending']} callbacks wait"]
    if callbacks["given_up"]:
        levels.append(Level.WARNING)
        said.append(f"{callbacks['given_up']} given up within a day: `meetingpool callbacks list --state given_up` says why")
    return Outcome(level=worst(levels), sentence="; ".join(said), figures=shown)


def check_poller(figures: Figures, settings: Settings, limits: Limits) -> Outcome:
    """The first figure is how long ago the server that is online and waits longest was polled."""
    ages = [server["poll_age"] for server in figures.servers if server["health"] == Health.ONLINE]
    warning, critical = limits.or_else(f"{3 * settings.poll_interval:g}", f"{10 * settings.poll_interval:g}")
    age = Figure(name="poll_age", value=round(max(ages, default=0), 1), unit="s", warning=warning, critical=critical)
    if figures.leader is None or not figures.leader.leads:
        return Outcome(level=Level.CRITICAL, sentence="no poller leads: start `meetingpool poller`", figures=[age])
    said = f"{figures.leader.holder} leads; {len(ages)} servers that are online were polled within {age.value:g} s"
    return Outcome(level=age.level, sentence=said, figures=[age])


CHECKS: Mapping[str, Check] = {
    "servers": check_servers,
    "recordings": check_recordings,
    "callbacks": check_callbacks,
    "poller": check_poller,
}


def _outcome_of(name: str, warning: str | None, critical: str | None) -> Outcome:
    """Never raises: what is not told is not known."""
    try:
        limits = Limits(*(read_range(text) if text is not None else None for text in (warning, critical)))
        if name == "all" and (limits.warning or limits.critical):
            return Outcome(
                level=Level.UNKNOWN, sentence="thresholds are of one check: name servers, recordings, callbacks or poller"
            )
        settings = read_settings()
        if not settings.database_url and not (settings.data_dir / "postgres").exists():
            # A check is not what should make one.
            said = "there is no database: give the check the settings of the installation, MEETINGPOOL_DATABASE_URL first"
            return Outcome(level=Level.UNKNOWN, sentence=said)
        return with_database(lambda database, settings: _checked(database, settings, name, limits))
    except Exception as error:  # noqa: BLE001  # the outermost frame: exit codes other than the plugin's mean something else
        return _failed(error)


async def _checked(database: Database, settings: Settings, name: str, limits: Limits) -> Outcome:
    figures = await read_figures(database)
    if name != "all":
        return CHECKS[name](figures, settings, limits)
    outcomes = {each: check(figures, settings, limits) for each, check in CHECKS.items()}
    return Outcome(
        level=worst(outcome.level for outcome in outcomes.values()),
        sentence="; ".join(f"{each}: {outcome.sentence}" for each, outcome in outcomes.items()),
        figures=[figure for outcome in outcomes.values() for figure in outcome.figures],
    )


def _failed(error: Exception) -> Outcome:
    if isinstance(error, ValueError | SettingsError):
        return Outcome(level=Level.UNKNOWN, sentence=sentence_of(error))
    if is_expected(error):
        return Outcome(level=Level.CRITICAL, sentence=sentence_of(error))
    traceback.print_exception(error, file=sys.stderr)
    return Outcome(level=Level.UNKNOWN, sentence=f"the check failed ({type(error).__name__}), standard error has the details")


@contextmanager
def _given_up_after(seconds: float) -> Iterator[None]:
    """Ends the process with an outcome if the block takes longer, whatever it waits for: a name look-up heeds no time-out."""
    timer = threading.Timer(seconds, _give_up, [seconds])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _give_up(seconds: float) -> None:
    outcome = Outcome(level=Level.CRITICAL, sentence=f"no answer within {seconds:g} s: check the database and the way to it")
    os.write(sys.stdout.fileno(), f"{outcome}\n".encode())
    os._exit(int(outcome.level))


def _names_of(servers: Sequence[Mapping[str, Any]]) -> str:
    names = ", ".join(server["id"] for server in servers[:_NAMED_AT_MOST])
    return f"{names} and {len(servers) - _NAMED_AT_MOST} more" if len(servers) > _NAMED_AT_MOST else names
