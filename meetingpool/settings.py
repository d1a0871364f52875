"""Settings: environment variables with the prefix MEETINGPOOL_, or Scalelite's own name where it has one."""

import os
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from meetingpool.domain.voice_bridges import LONGEST, SHORTEST
from meetingpool.secret_files import SecretUnusable, kept_secret
from meetingpool.setting_types import (
    SCALELITE,
    Algorithms,
    ChecksumAlgorithm,
    CountryField,
    DatabaseUrl,
    Defaults,
    HeaderName,
    Host,
    HostName,
    KeyFile,
    Keys,
    Location,
    LogFormat,
    LogLevel,
    Minutes,
    NamesOfRegions,
    Networks,
    NetworksAndHosts,
    Overrides,
    Paths,
    RegionLatency,
    RegionNetworks,
    Removals,
    WebAddress,
)
from meetingpool.setting_types import Setting as Setting

Limit = Annotated[int, Meta(ge=1, le=2**31 - 1)]


class SettingsError(Exception):
    """The settings contradict each other or cannot be read."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All settings with their defaults. Durations are in seconds unless the name says otherwise.

    `read_settings` checks what is allowed; settings that code makes are not checked.
    """

    database_url: Annotated[
        DatabaseUrl | None,
        Meta(
            examples=["postgresql://user:password@host/name"],
            description="PostgreSQL, as postgresql://user:password@host/name. Unset: an embedded one",
        ),
    ] = None
    data_dir: Annotated[Path, Meta(description="Where the embedded database and generated secrets live")] = Path("var")
    secret_key: Annotated[
        Keys,
        Meta(
            description="Keys for the secrets in the database, separated by colons; the first encrypts, all decrypt. The same on "
            "all machines. Unset: `meetingpool up` and `db upgrade` generate one in the data directory"
        ),
    ] = ()
    secret_key_file: Annotated[
        KeyFile, Meta(description="A file with these keys, one per line, which only its owner and group can read")
    ] = ()

    bind: Annotated[Host, SCALELITE, Meta(examples=["127.0.0.1 or tcp://127.0.0.1:3000"], description="Address to listen on")] = (
        "127.0.0.1"
    )
    port: Annotated[int, SCALELITE, Meta(ge=1, le=65535, description="Port to listen on")] = 3000
    web_concurrency: Annotated[int, SCALELITE, Meta(ge=0, le=64, description="Gateway processes; 0 counts as 1")] = 1
    drain_delay: Annotated[float, Meta(ge=0, le=20, description="Between the signal to stop and the closing of the port")] = 1.0
    max_connections: Annotated[
        int, Meta(ge=16, description="Connections that a gateway process holds; more are answered with 503")
    ] = 4096
    max_connections_per_address: Annotated[
        int,
        Meta(ge=1, description="Of these, those of one address. Not counted: this machine, and proxies in `FORWARDED_ALLOW_IPS`"),
    ] = 512
    max_requests: Annotated[
        int, Meta(ge=2, description="Requests that a gateway process works on at once; more are answered with 503")
    ] = 1000
    max_url_bytes: Annotated[int, Meta(ge=1024, le=256 * 1024, description="Longest URL of a request")] = 64 * 1024
    max_document_bytes: Annotated[int, Meta(ge=1024 * 1024, description="Longest body of a request")] = 100 * 1024 * 1024
    failed_checksums_per_minute: Annotated[
        int, Meta(ge=1, description="Wrong checksums that an address may send before they are answered with status 429")
    ] = 10

    loadbalancer_secret: Annotated[
        str | None,
        SCALELITE,
        Meta(description="What front ends sign with. Unset: `meetingpool up` generates one in the data directory"),
    ] = None
    loadbalancer_secrets: Annotated[str | None, SCALELITE, Meta(description="More secrets, separated by colons")] = None
    loadbalancer_checksum_algorithm: Annotated[
        Algorithms, SCALELITE, Meta(description="Accepted checksum algorithms, separated by colons")
    ] = frozenset({"sha1", "sha256", "sha384", "sha512"})

    multitenancy_enabled: Annotated[
        bool, SCALELITE, Meta(description="Front ends are tenants, each with its own secrets and meetings: `meetingpool tenants`")
    ] = False
    url_host: Annotated[
        HostName | None,
        SCALELITE,
        Meta(examples=["pool.example.org"], description="Our host name. Tenants are then recognised by host names below it only"),
    ] = None
    public_url: Annotated[
        WebAddress | None,
        Meta(
            examples=["https://pool.example.org"],
            description="Where servers and front ends reach us. Unset: https and `URL_HOST`, else where calls come in",
        ),
    ] = None
    callback_allow: Annotated[
        NetworksAndHosts,
        Meta(
            description="Where callbacks may go although it is inside our network, separated by commas: "
            "networks like 10.20.0.0/16, hosts like lms.example.org or *.example.org"
        ),
    ] = ()
    hook_checksum_algorithm: Annotated[
        ChecksumAlgorithm, Meta(description="What events for webhooks are signed with: `sha1`, `sha256`, `sha384` or `sha512`")
    ] = "sha1"
    freshness: Annotated[
        float, Meta(ge=0, le=1, description="Seconds for which the answer to a reading call serves the same call again; 0: none")
    ] = 1.0

    connect_timeout: Annotated[float, SCALELITE, Meta(gt=0, le=60, description="For a connection to a server")] = 5.0
    response_timeout: Annotated[float, SCALELITE, Meta(gt=0, le=120, description="For a whole call to a server")] = 10.0

    poll_interval: Annotated[float, SCALELITE, Meta(ge=1, le=3600, description="Between two polls of a server")] = 10.0
    server_unhealthy_threshold: Annotated[int, SCALELITE, Meta(ge=1, description="Failed polls until offline")] = 3
    server_healthy_threshold: Annotated[int, SCALELITE, Meta(ge=1, description="Good polls until online again")] = 1
    server_max_meetings: Annotated[
        Limit | None, Meta(description="Meetings that a server can carry, if it has no limit of its own: then it gets no more")
    ] = None
    server_max_users: Annotated[
        Limit | None, Meta(description="The same in people, those who are expected in new meetings included")
    ] = None
    server_soft_meetings: Annotated[
        Limit | None, Meta(description="Meetings beyond which a server without its own limit gets more only if no other has room")
    ] = None
    server_soft_users: Annotated[Limit | None, Meta(description="The same in people")] = None
    load_min_user_count: Annotated[int, SCALELITE, Meta(ge=0, description="Users expected in a new meeting")] = 15
    load_join_buffer_time: Annotated[float, SCALELITE, Meta(ge=0, description="Minutes until none are expected any more")] = 15.0
    region_latency: Annotated[
        RegionLatency,
        Meta(
            description="Milliseconds between regions, as `eu:us=90,eu:asia=180`; the same both ways, unless both are given. A "
            "meeting goes to the nearest region with room"
        ),
    ] = ()
    region_header: Annotated[
        HeaderName | None,
        Meta(
            examples=["X-Region"],
            description="The header in which proxies in `FORWARDED_ALLOW_IPS` say where a client is; all of them must set it",
        ),
    ] = None
    region_networks: Annotated[
        RegionNetworks, Meta(description="Where clients are by their networks, as `10.1.0.0/16=eu,2001:db8::/32=us`")
    ] = ()
    region_mmdb: Annotated[
        Path | None, Meta(description="An MMDB file that says in which country a client of any other network is")
    ] = None
    region_mmdb_field: Annotated[
        CountryField, Meta(description="What of the file counts: `country` (ISO codes such as DE) or `continent` (such as EU)")
    ] = "country"
    region_names: Annotated[
        NamesOfRegions,
        Meta(description="Regions by what the header or the file says, as `DE=eu,US=us,*=eu`; `*`: whatever is not named"),
    ] = ()
    load_per_user: Annotated[float, Meta(gt=0, description="What a person costs a server, beside the two below")] = 1.0
    load_per_voice: Annotated[float, Meta(ge=0, description="What somebody who speaks costs beside that; 0: nothing")] = 0.0
    load_per_video: Annotated[float, Meta(ge=0, description="What a camera costs beside that; 0: nothing")] = 0.0
    usage_days: Annotated[int, Meta(ge=1, le=36_500, description="Days for which it is kept how much was used")] = 400
    server_history_interval: Annotated[
        float, Meta(ge=1, le=3600, description="Seconds after which it is kept again how servers are")
    ] = 300.0
    server_history_days: Annotated[int, Meta(ge=1, le=3_650, description="Days for which it is kept how servers were")] = 14
    meeting_history_days: Annotated[int, Meta(ge=1, le=3_650, description="Days for which it is kept how meetings were")] = 60
    alert_load: Annotated[
        Annotated[float, Meta(gt=0)] | None,
        Meta(description="When all open servers have this load, an alert says that the pool is nearly full. Unset: never"),
    ] = None
    capacity_reserve: Annotated[
        int, Meta(ge=0, le=1000, description="Servers that may fail: that many more are advised than meetings need")
    ] = 1
    server_id_is_hostname: Annotated[
        bool, SCALELITE, Meta(description="A server that is added without an id gets the host name of its URL")
    ] = False
    default_create_params: Annotated[
        Defaults,
        SCALELITE,
        Meta(description="Parameters of create that apply when the front end sends none, as `name=value,name2=value2`"),
    ] = ()
    override_create_params: Annotated[
        Overrides,
        SCALELITE,
        Meta(description="Parameters of create that apply whatever the front end sends, as `name=value,name2=value2`"),
    ] = ()
    create_exclude_params: Annotated[
        Removals, SCALELITE, Meta(description="Parameters of create that are not taken from the front end, separated by commas")
    ] = ()
    default_join_params: Annotated[Defaults, SCALELITE, Meta(description="The same for join: when the front end sends none")] = ()
    override_join_params: Annotated[
        Overrides, SCALELITE, Meta(description="The same for join: whatever the front end sends")
    ] = ()
    join_exclude_params: Annotated[Removals, SCALELITE, Meta(description="The same for join: not taken from the front end")] = ()
    max_meeting_duration: Annotated[
        Minutes,
        SCALELITE,
        Meta(description="Minutes that a meeting may last, unless an override says otherwise; 0: as long as it likes"),
    ] = 0
    get_meetings_api_disabled: Annotated[bool, SCALELITE, Meta(description="getMeetings answers with an empty list")] = False
    build_number: Annotated[str | None, SCALELITE, Meta(description="Shown by the index call")] = None
    voice_bridge_len: Annotated[
        int,
        SCALELITE,
        Meta(
            ge=SHORTEST, le=LONGEST, description="Digits of the voice bridge that a new meeting gets, which is what callers enter"
        ),
    ] = 9
    voice_bridge_min: Annotated[int, SCALELITE, Meta(ge=1, le=LONGEST, description="Digits that callers enter at least")] = 5
    voice_bridge_max: Annotated[
        int,
        SCALELITE,
        Meta(
            le=LONGEST + 1,
            description="Digits that callers can enter; one more than `VOICE_BRIDGE_LEN` lets them into breakout rooms",
        ),
    ] = 9
    use_external_voice_bridge: Annotated[
        bool,
        SCALELITE,
        Meta(description="A meeting gets the `voiceBridge` that the front end asks for, if it has 5 to 15 digits and is free"),
    ] = False
    fsapi_password: Annotated[
        str | None,
        SCALELITE,
        Meta(
            description="What FreeSWITCH sends to `/fsapi`. Unset: the first secret of front ends, and without a secret "
            "or with tenants nobody gets in. Set but empty: nothing is asked for"
        ),
    ] = None
    fsapi_max_duration: Annotated[
        Minutes | None,
        SCALELITE,
        Meta(description="Minutes after which a telephone call is hung up; 0: never. Unset: `MAX_MEETING_DURATION`"),
    ] = None

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

    def __repr__(self) -> str:
        # Secrets are among them.
        return "Settings()"

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
