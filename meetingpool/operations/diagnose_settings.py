"""Looks for settings that contradict each other, and for variables that nobody reads. Called by `meetingpool doctor`."""

import stat
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from itertools import permutations
from pathlib import Path
from urllib.parse import urlsplit

from meetingpool.domain.parameters import Rule
from meetingpool.operations.diagnosis import Area, Finding
from meetingpool.settings import Settings, all_settings

_AREA = Area("settings")
_PREFIX = "MEETINGPOOL_"
# Scalelite's, of which we have no use. Of those that end in * all that begin so.
_MEANINGLESS = (
    *("DEFAULT_MEETING_TTL", "POLLER_THREADS", "POLLER_WAIT_TIMEOUT", "RECORDING_PLAYBACK_FORMATS", "RECORDING_IMPORT_POLL"),
    *("REDIS_*", "S3_RECORDING", "S3_BUCKET_NAME", "CLOUDFRONT_URL", "CF_*", "DB_DISABLED", "RAILS_*"),
)
_SHORTEST_SECRET = 16
_LOCAL = ("127.0.0.1", "::1", "localhost")
_OF_OTHERS = stat.S_IRWXO


def diagnose_environment(environment: Mapping[str, str]) -> Iterator[Finding]:
    """What is wrong with the names of variables."""
    known = {variable: setting for setting in all_settings() for variable in setting.variables}
    ours = [variable for variable in known if variable.startswith(_PREFIX)]
    for variable in sorted(environment):
        if variable.startswith(_PREFIX) and variable not in known:
            near = get_close_matches(variable, ours, n=1)
            advice = f"did you mean {near[0]}?" if near else "take it out; docs/settings.md lists all there are"
            yield _AREA.problem(variable, "this variable means nothing", advice)
        elif any(variable == name or (name.endswith("*") and variable.startswith(name[:-1])) for name in _MEANINGLESS):
            yield _AREA.note(variable, "this setting of Scalelite means nothing here", "take it out")
    for setting in all_settings():
        given = {environment[variable] for variable in setting.variables if environment.get(variable)}
        if len(given) > 1:
            counts, *others = setting.variables
            yield _AREA.note(others[0], f"{counts} says something else, and counts", "take one of the two out")


def diagnose_settings(settings: Settings) -> Iterator[Finding]:
    """What contradicts something else, without a look at anything but the settings and files that they name."""
    yield from _times(settings)
    yield from _addresses(settings)
    yield from _secrets(settings)
    yield from _secret_files(settings)
    yield from _dial_in(settings)
    yield from _rules("create", settings.default_create_params, settings.override_create_params, settings.create_exclude_params)
    yield from _rules("join", settings.default_join_params, settings.override_join_params, settings.join_exclude_params)
    yield from _durations(settings)
    yield from _directories(settings)


def _times(settings: Settings) -> Iterator[Finding]:
    if settings.response_timeout > settings.poll_interval:
        yield _AREA.problem(
            "RESPONSE_TIMEOUT",
            f"with {settings.response_timeout:g} s it is above POLL_INTERVAL ({settings.poll_interval:g} s), "
            "so a server that hangs is polled less often than the others, and is offline late",
            "set RESPONSE_TIMEOUT to at most POLL_INTERVAL",
        )
    if settings.connect_timeout > settings.response_timeout:
        yield _AREA.note(
            "CONNECT_TIMEOUT",
            f"with {settings.connect_timeout:g} s it is above RESPONSE_TIMEOUT ({settings.response_timeout:g} s), which ends it",
            "set CONNECT_TIMEOUT below RESPONSE_TIMEOUT",
        )


def _addresses(settings: Settings) -> Iterator[Finding]:
    if settings.base_url is None and settings.bind in _LOCAL:
        yield _AREA.note(
            "URL_HOST",
            f"the gateway listens on {settings.bind} only, and nobody has said by which name others reach it",
            "with a proxy in front, set MEETINGPOOL_PUBLIC_URL (or URL_HOST) to the address that servers and front ends use",
        )
    public = urlsplit(settings.base_url or "")
    if public.scheme == "http" and public.hostname not in _LOCAL:
        yield _AREA.note(
            "MEETINGPOOL_PUBLIC_URL",
            "it is without TLS, so whoever listens in can join meetings and watch recordings",
            "put a proxy with a certificate in front and name its https address",
        )
    if settings.multitenancy_enabled and settings.url_host is None:
        yield _AREA.note(
            "URL_HOST",
            "tenants are recognised by the first label of any host name",
            "set URL_HOST: then only host names below it count",
        )


def _secrets(settings: Settings) -> Iterator[Finding]:
    if any(len(secret) < _SHORTEST_SECRET for secret in settings.secrets):
        yield _AREA.problem(
            "LOADBALANCER_SECRET",
            f"a secret for front ends has less than {_SHORTEST_SECRET} characters and can be guessed",
            "`openssl rand -hex 32` makes a good one; with LOADBALANCER_SECRETS both work while front ends are changed",
        )


def _secret_files(settings: Settings) -> Iterator[Finding]:
    for name in ("loadbalancer_secret", "secret_key"):
        path = settings.data_dir / name
        if path.exists() and path.stat().st_mode & _OF_OTHERS:
            yield _AREA.problem(str(path), "others on this machine can get at this secret", f"call `chmod o= {path}`")


def _dial_in(settings: Settings) -> Iterator[Finding]:
    if settings.fsapi_password is None:
        return
    if settings.fsapi_password == "":
        yield _AREA.note(
            "FSAPI_PASSWORD",
            "it is empty, so whoever reaches /fsapi can find out which numbers lead to meetings",
            "set a password, in FreeSWITCH too; docs/dial-in.md says how",
        )
    if settings.voice_bridge_max <= settings.voice_bridge_len:
        yield _AREA.note(
            "VOICE_BRIDGE_MAX",
            f"callers can enter {settings.voice_bridge_max} digits, and breakout rooms have one more than their meeting's "
            f"{settings.voice_bridge_len}: nobody can dial into them",
            f"set VOICE_BRIDGE_MAX to {settings.voice_bridge_len + 1}, if callers are to get there",
        )


def _rules(call: str, defaults: Sequence[Rule], overrides: Sequence[Rule], removals: Sequence[Rule]) -> Iterator[Finding]:
    settings = {f"DEFAULT_{call.upper()}_PARAMS": defaults, f"OVERRIDE_{call.upper()}_PARAMS": overrides}
    enforced = {rule.name for rule in overrides}
    for rule in defaults:
        if rule.name in enforced:
            yield _AREA.problem(
                f"DEFAULT_{call.upper()}_PARAMS",
                f"{rule.name} is in OVERRIDE_{call.upper()}_PARAMS too, which always wins",
                "take it out of one of the two",
            )
    for name, rules in settings.items():
        names = [rule.name for rule in rules]
        for twice in sorted({each for each in names if names.count(each) > 1}):
            yield _AREA.problem(name, f"{twice} is there twice, and the last one counts", "take one of them out")
    for rule in removals:
        if rule.name in enforced:
            yield _AREA.note(
                f"{call.upper()}_EXCLUDE_PARAMS",
                f"{rule.name} is in OVERRIDE_{call.upper()}_PARAMS, so what a front end sends is replaced anyway",
                "take it out here",
            )


def _durations(settings: Settings) -> Iterator[Finding]:
    most = settings.max_meeting_duration
    for rule in settings.override_create_params:
        if most and rule.name == "duration" and not (rule.value.isdigit() and 0 < int(rule.value) <= most):
            yield _AREA.problem(
                "MAX_MEETING_DURATION",
                f"it says {most}, and OVERRIDE_CREATE_PARAMS sets duration to {rule.value or 'nothing'}, which wins",
                "take duration out of OVERRIDE_CREATE_PARAMS, or set MAX_MEETING_DURATION to 0",
            )


def _directories(settings: Settings) -> Iterator[Finding]:
    if settings.playback_app_dir and not (settings.playback_app_dir / "index.html").is_file():
        yield _AREA.problem(
            "MEETINGPOOL_PLAYBACK_APP_DIR",
            f"there is no index.html in {settings.playback_app_dir}, so presentations cannot be played",
            "install bbb-playback there; docs/playback.md says how",
        )
    if settings.recording_disabled:
        return
    named = {
        "RECORDING_PUBLISH_DIR": settings.publish_dir,
        "RECORDING_UNPUBLISH_DIR": settings.unpublish_dir,
        "RECORDING_WORK_DIR": settings.work_dir,
    } | {f"RECORDING_SPOOL_DIR {number}": spool for number, spool in enumerate(settings.spool_dirs, 1)}
    for (inner, inside), (outer, outside) in permutations(named.items(), 2):
        if _is_below(inside, outside) and (inside.absolute() != outside.absolute() or inner < outer):
            yield _AREA.problem(inner, f"{inside} is {outer} or below it", "give each of these a directory of its own")


def _is_below(inside: Path, outside: Path) -> bool:
    return inside.absolute().is_relative_to(outside.absolute())
