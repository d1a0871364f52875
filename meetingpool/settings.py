"""Settings: environment variables with the prefix MEETINGPOOL_, or Scalelite's own name where it has one."""

import os
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from meetingpool.pool_settings import PoolSettings
from meetingpool.secret_files import SecretUnusable, kept_secret
from meetingpool.setting_types import SCALELITE, Location, LogFormat, LogLevel, Networks, Paths
from meetingpool.setting_types import Setting as Setting


class SettingsError(Exception):
    """The settings contradict each other or cannot be read."""


class Settings(PoolSettings, frozen=True, kw_only=True):
    """All settings with their defaults: those of the pool, then these. Durations are in seconds unless the name says otherwise.

    `read_settings` checks what is allowed; settings that code makes are not checked.
    """

    recording_disabled: Annotated[
        bool, SCALELITE, Meta(description="There are no recordings: nothing is imported, listed or played")
    ] = False
    recording_spool_dir: Annotated[
        Paths,
        SCALELITE,
        Meta(description="Where servers deliver archives, separated by colons if several. Unset: below the data directory"),
    ] = ()
    recording_work_dir: Annotated[
        Path | None,
        SCALELITE,
        Meta(description="Where archives are unpacked, on the file system of the two below. Unset: below the data directory"),
    ] = None
    recording_publish_dir: Annotated[
        Path | None, SCALELITE, Meta(description="The published recordings. Unset: below the data directory")
    ] = None
    recording_unpublish_dir: Annotated[
        Path | None, SCALELITE, Meta(description="The unpublished recordings. Unset: below the data directory")
    ] = None
    recording_import_unpublished: Annotated[
        bool, SCALELITE, Meta(description="New recordings are unpublished until somebody publishes them")
    ] = False
    recording_import_poll_interval: Annotated[
        float, SCALELITE, Meta(ge=1, le=3600, description="Seconds between two looks into the spool directories")
    ] = 10.0
    recording_settle_time: Annotated[
        float, Meta(ge=0, le=3600, description="Seconds for which an archive must not change before it is imported")
    ] = 5.0
    recording_max_bytes: Annotated[
        int, Meta(ge=1024 * 1024, description="Largest recording, unpacked, in bytes; an archive with more is refused")
    ] = 200 * 1024**3
    recording_max_files: Annotated[int, Meta(ge=1, description="Most files of an archive; one with more is refused")] = 200_000
    recording_trash_days: Annotated[
        int,
        Meta(ge=0, description="Days for which files of deleted recordings are kept; `recordings restore` brings them back"),
    ] = 14
    get_recordings_api_filtered: Annotated[
        bool, SCALELITE, Meta(description="getRecordings must name a recordID or a meetingID")
    ] = False
    protected_recordings_enabled: Annotated[
        bool, SCALELITE, Meta(description="New recordings are protected: they open by links that work once")
    ] = False
    protected_recordings_token_timeout: Annotated[
        int, SCALELITE, Meta(ge=1, le=60, description="Minutes for which a link to a protected recording works")
    ] = 60
    protected_recordings_timeout: Annotated[
        int, SCALELITE, Meta(ge=1, le=7 * 24 * 60, description="Minutes for which a protected recording can be watched then")
    ] = 360
    playback_x_accel: Annotated[
        Location | None,
        Meta(description="nginx sends the files of recordings, from this internal location. Unset: the gateway sends them"),
    ] = None
    playback_app_dir: Annotated[
        Path | None, Meta(description="Where the player of presentations, bbb-playback, is installed")
    ] = None

    management_api: Annotated[bool, Meta(description="The management API is served, at `/api/v1`")] = True
    management_networks: Annotated[
        Networks,
        Meta(
            description="From where the management APIs and the dashboard may be used, separated by commas: networks like "
            "10.20.0.0/16; `none`: from nowhere"
        ),
    ] = ("0.0.0.0/0", "::/0")
    registration_lifetime: Annotated[
        float, Meta(ge=5, le=86_400, description="Seconds for which a server that registers itself is taken to be there")
    ] = 300.0
    audit_days: Annotated[int, Meta(ge=1, le=36_500, description="Days for which the audit keeps what was changed")] = 400
    scalelite_api: Annotated[bool, Meta(description="Scalelite's management API is served, at `/scalelite/api`")] = True
    metrics_networks: Annotated[
        Networks,
        Meta(
            description="From where `/metrics` is open without a token, separated by commas: networks like 10.20.0.0/16; "
            "`none`: from nowhere"
        ),
    ] = ("127.0.0.0/8", "::1/128")
    access_log: Annotated[bool, Meta(description="Each request is logged: its path without secrets, status and time")] = False
    log_format: Annotated[LogFormat, Meta(description="`json` or `console`")] = "console"
    log_level: Annotated[LogLevel, Meta(description="`debug`, `info`, `warning` or `error`")] = "info"

    @property
    def secrets(self) -> tuple[str, ...]:
        """All secrets that front ends may sign with; never an empty one."""
        given = [self.loadbalancer_secret or "", *(self.loadbalancer_secrets or "").split(":")]
        return tuple(dict.fromkeys(secret for secret in given if secret))

    @property
    def spool_dirs(self) -> tuple[Path, ...]:
        return self.recording_spool_dir or (self._recordings_dir / "spool",)

    @property
    def work_dir(self) -> Path:
        return self.recording_work_dir or self._recordings_dir / "work"

    @property
    def publish_dir(self) -> Path:
        return self.recording_publish_dir or self._recordings_dir / "published"

    @property
    def unpublish_dir(self) -> Path:
        return self.recording_unpublish_dir or self._recordings_dir / "unpublished"

    @property
    def _recordings_dir(self) -> Path:
        return self.data_dir / "recordings"

    @property
    def base_url(self) -> str | None:
        """Where servers and front ends reach us, without a slash at the end; None where nobody has said so."""
        if self.public_url:
            return self.public_url.rstrip("/")
        return f"https://{self.url_host.lower()}" if self.url_host else None

    @property
    def dial_in_password(self) -> str | None:
        """What FreeSWITCH must say to be told where callers go: "" for nothing, None when there is nothing that it could say."""
        if self.fsapi_password is None and self.secrets and not self.multitenancy_enabled:
            return self.secrets[0]
        return self.fsapi_password

    @property
    def dial_in_seconds(self) -> int:
        """Seconds after which a telephone call is hung up; 0 for never."""
        minutes = self.max_meeting_duration if self.fsapi_max_duration is None else self.fsapi_max_duration
        return 60 * minutes


def all_settings() -> tuple[Setting, ...]:
    """All settings, in the order in which the reference shows them."""
    return tuple(map(Setting, msgspec.structs.fields(Settings)))


def read_settings() -> Settings:
    """The settings of the environment. Raises SettingsError with one sentence that names each wrong variable."""
    values, wrong = _read_environment()
    settings = Settings(**values)
    are_read = wrong.keys().isdisjoint({"MEETINGPOOL_VOICE_BRIDGE_LEN", "MEETINGPOOL_VOICE_BRIDGE_MAX"})
    if are_read and not settings.voice_bridge_min <= settings.voice_bridge_len <= settings.voice_bridge_max:
        wrong["MEETINGPOOL_VOICE_BRIDGE_MAX"] = "VOICE_BRIDGE_LEN must not be below VOICE_BRIDGE_MIN or above VOICE_BRIDGE_MAX"
    for what in ("MEETINGS", "USERS"):
        soft, hard = (getattr(settings, f"server_{kind}_{what.lower()}") for kind in ("soft", "max"))
        if soft is not None and hard is not None and soft > hard:
            wrong[f"MEETINGPOOL_SERVER_SOFT_{what}"] = f"must not be above MEETINGPOOL_SERVER_MAX_{what}"
    if settings.secret_key and settings.secret_key_file:
        wrong["MEETINGPOOL_SECRET_KEY"] = "MEETINGPOOL_SECRET_KEY_FILE is set too; set one of them"  # noqa: S105
    if wrong:
        raise SettingsError("Settings cannot be used: " + "; ".join(f"{variable}: {why}" for variable, why in wrong.items()))
    return settings


def _read_environment() -> tuple[dict[str, Any], dict[str, str]]:
    """The values that were given, and what is wrong with which variables."""
    values: dict[str, Any] = {}
    wrong: dict[str, str] = {}
    for setting in all_settings():
        given = [os.environ[variable] for variable in setting.variables if variable in os.environ]
        try:
            if text := next(filter(None, given), None):
                values[setting.name] = setting.read(text)
            elif given and setting.name == "fsapi_password":
                # Everywhere else an empty variable counts as unset; here it is how one says that no password is wanted.
                values[setting.name] = ""
        except ValueError as error:
            wrong[setting.variables[0]] = str(error)
    return values, wrong


def with_secret(settings: Settings) -> Settings:
    """The settings with a secret for front ends: the given ones, or one that is generated once in the data directory.

    Raises SettingsError.
    """
    if settings.secrets:
        return settings
    try:
        secret = kept_secret(settings.data_dir / "loadbalancer_secret")
    except SecretUnusable as error:
        raise SettingsError(f"The secret for front ends cannot be used: {error}") from None
    return msgspec.structs.replace(settings, loadbalancer_secret=secret)
