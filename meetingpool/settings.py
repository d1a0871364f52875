"""Settings: environment variables with the prefix MEETINGPOOL_, or Scalelite's own name where it has one."""

import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AliasChoices, Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from meetingpool.domain.parameters import MAX_CAP, Operator, Rule, read_assignments, read_removals
from meetingpool.domain.voice_bridges import LONGEST, SHORTEST

ChecksumAlgorithm = Literal["sha1", "sha256", "sha384", "sha512"]
Rules = Annotated[tuple[Rule, ...], NoDecode]


class SettingsError(Exception):
    """The settings contradict each other or cannot be read."""


def _scalelite(name: str) -> AliasChoices:
    """Our name first, then the one that Scalelite uses for the same thing."""
    return AliasChoices(f"MEETINGPOOL_{name}", name)


class Settings(BaseSettings):
    """All settings with their defaults. Durations are in seconds unless the name says otherwise."""

    model_config = SettingsConfigDict(env_prefix="MEETINGPOOL_", extra="ignore", populate_by_name=True, env_ignore_empty=True)

    database_url: str | None = Field(
        None, description="PostgreSQL, as postgresql://user:password@host/name. Unset: an embedded one"
    )
    data_dir: Path = Field(Path("var"), description="Where the embedded database and generated secrets live")

    bind: str = Field("127.0.0.1", validation_alias=_scalelite("BIND"), description="Address to listen on")
    port: int = Field(3000, ge=1, le=65535, validation_alias=_scalelite("PORT"), description="Port to listen on")
    web_concurrency: int = Field(
        1, ge=0, le=64, validation_alias=_scalelite("WEB_CONCURRENCY"), description="Gateway processes; 0 counts as 1"
    )
    drain_delay: float = Field(1.0, ge=0, le=20, description="Between the signal to stop and the closing of the port")
    max_connections: int = Field(4096, ge=16, description="Connections that a gateway process holds; more are answered with 503")
    max_connections_per_address: int = Field(
        512, ge=1, description="Of these, those of one address. Not counted: this machine, and proxies in `FORWARDED_ALLOW_IPS`"
    )
    max_requests: int = Field(
        1000, ge=2, description="Requests that a gateway process works on at once; more are answered with 503"
    )
    max_url_bytes: int = Field(64 * 1024, ge=1024, le=256 * 1024, description="Longest URL of a request")
    max_document_bytes: int = Field(100 * 1024 * 1024, ge=1024 * 1024, description="Longest body of a request")
    failed_checksums_per_minute: int = Field(
        10, ge=1, description="Wrong checksums that an address may send before they are answered with status 429"
    )

    loadbalancer_secret: str | None = Field(
        None,
        validation_alias=_scalelite("LOADBALANCER_SECRET"),
        description="What front ends sign with. Unset: `meetingpool up` generates one in the data directory",
    )
    loadbalancer_secrets: str | None = Field(
        None, validation_alias=_scalelite("LOADBALANCER_SECRETS"), description="More secrets, separated by colons"
    )
    loadbalancer_checksum_algorithm: Annotated[frozenset[ChecksumAlgorithm], NoDecode] = Field(
        frozenset({"sha1", "sha256", "sha384", "sha512"}),
        min_length=1,
        validation_alias=_scalelite("LOADBALANCER_CHECKSUM_ALGORITHM"),
        description="Accepted checksum algorithms, separated by colons",
    )

    multitenancy_enabled: bool = Field(
        False,
        validation_alias=_scalelite("MULTITENANCY_ENABLED"),
        description="Front ends are tenants, each with its own secrets and meetings: `meetingpool tenants`",
    )
    url_host: str | None = Field(
        None,
        validation_alias=_scalelite("URL_HOST"),
        pattern=r"^[A-Za-z0-9._-]+$",
        description="Our host name. Tenants are then recognised by host names below it only",
    )
    public_url: str | None = Field(
        None,
        pattern=r"^https?://[^\s/?#@]+/?$",
        description="Where servers and front ends reach us. Unset: https and `URL_HOST`, else where calls come in",
    )
    callback_allow: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Where callbacks may go although it is inside our network, separated by commas: networks like 10.20.0.0/16, "
        "hosts like lms.example.org or *.example.org",
    )
    hook_checksum_algorithm: ChecksumAlgorithm = Field(
        "sha1", description="What events for webhooks are signed with: `sha1`, `sha256`, `sha384` or `sha512`"
    )
    freshness: float = Field(
        1.0, ge=0, le=1, description="Seconds for which the answer to a reading call serves the same call again; 0: none"
    )

    connect_timeout: float = Field(
        5.0, gt=0, le=60, validation_alias=_scalelite("CONNECT_TIMEOUT"), description="For a connection to a server"
    )
    response_timeout: float = Field(
        10.0, gt=0, le=120, validation_alias=_scalelite("RESPONSE_TIMEOUT"), description="For a whole call to a server"
    )

    poll_interval: float = Field(
        10.0, ge=1, le=3600, validation_alias=_scalelite("POLL_INTERVAL"), description="Between two polls of a server"
    )
    server_unhealthy_threshold: int = Field(
        3, ge=1, validation_alias=_scalelite("SERVER_UNHEALTHY_THRESHOLD"), description="Failed polls until offline"
    )
    server_healthy_threshold: int = Field(
        1, ge=1, validation_alias=_scalelite("SERVER_HEALTHY_THRESHOLD"), description="Good polls until online again"
    )
    load_min_user_count: int = Field(
        15, ge=0, validation_alias=_scalelite("LOAD_MIN_USER_COUNT"), description="Users expected in a new meeting"
    )
    load_join_buffer_time: float = Field(
        15.0, ge=0, validation_alias=_scalelite("LOAD_JOIN_BUFFER_TIME"), description="Minutes until none are expected any more"
    )
    server_id_is_hostname: bool = Field(
        False,
        validation_alias=_scalelite("SERVER_ID_IS_HOSTNAME"),
        description="A server that is added without an id gets the host name of its URL",
    )
    default_create_params: Rules = Field(
        (),
        validation_alias=_scalelite("DEFAULT_CREATE_PARAMS"),
        description="Parameters of create that apply when the front end sends none, as `name=value,name2=value2`",
    )
    override_create_params: Rules = Field(
        (),
        validation_alias=_scalelite("OVERRIDE_CREATE_PARAMS"),
        description="Parameters of create that apply whatever the front end sends, as `name=value,name2=value2`",
    )
    create_exclude_params: Rules = Field(
        (),
        validation_alias=_scalelite("CREATE_EXCLUDE_PARAMS"),
        description="Parameters of create that are not taken from the front end, separated by commas",
    )
    default_join_params: Rules = Field(
        (), validation_alias=_scalelite("DEFAULT_JOIN_PARAMS"), description="The same for join: when the front end sends none"
    )
    override_join_params: Rules = Field(
        (), validation_alias=_scalelite("OVERRIDE_JOIN_PARAMS"), description="The same for join: whatever the front end sends"
    )
    join_exclude_params: Rules = Field(
        (), validation_alias=_scalelite("JOIN_EXCLUDE_PARAMS"), description="The same for join: not taken from the front end"
    )
    max_meeting_duration: int = Field(
        0,
        ge=0,
        le=MAX_CAP,
        validation_alias=_scalelite("MAX_MEETING_DURATION"),
        description="Minutes that a meeting may last, unless an override says otherwise; 0: as long as it likes",
    )
    get_meetings_api_disabled: bool = Field(
        False, validation_alias=_scalelite("GET_MEETINGS_API_DISABLED"), description="getMeetings answers with an empty list"
    )
    build_number: str | None = Field(None, validation_alias=_scalelite("BUILD_NUMBER"), description="Shown by the index call")
    voice_bridge_len: int = Field(
        9,
        ge=SHORTEST,
        le=LONGEST,
        validation_alias=_scalelite("VOICE_BRIDGE_LEN"),
        description="Digits of the voice bridge that a new meeting gets, which is what callers enter",
    )
    voice_bridge_min: int = Field(
        5, ge=1, le=LONGEST, validation_alias=_scalelite("VOICE_BRIDGE_MIN"), description="Digits that callers enter at least"
    )
    voice_bridge_max: int = Field(
        9,
        le=LONGEST + 1,
        validate_default=True,
        validation_alias=_scalelite("VOICE_BRIDGE_MAX"),
        description="Digits that callers can enter; one more than `VOICE_BRIDGE_LEN` lets them into breakout rooms",
    )
    use_external_voice_bridge: bool = Field(
        False,
        validation_alias=_scalelite("USE_EXTERNAL_VOICE_BRIDGE"),
        description="A meeting gets the `voiceBridge` that the front end asks for, if it has 5 to 15 digits and is free",
    )
    fsapi_password: str | None = Field(
        None,
        repr=False,
        validate_default=True,
        validation_alias=_scalelite("FSAPI_PASSWORD"),
        description="What FreeSWITCH sends to `/fsapi`. Unset: the first secret of front ends, and without a secret or with "
        "tenants nobody gets in. Set but empty: nothing is asked for",
    )
    fsapi_max_duration: int | None = Field(
        None,
        ge=0,
        le=MAX_CAP,
        validation_alias=_scalelite("FSAPI_MAX_DURATION"),
        description="Minutes after which a telephone call is hung up; 0: never. Unset: `MAX_MEETING_DURATION`",
    )

    log_format: str = Field("console", pattern="^(json|console)$", description="`json` or `console`")
    log_level: str = Field("info", pattern="^(debug|info|warning|error)$", description="`debug`, `info`, `warning` or `error`")

    @field_validator("bind", mode="before")
    @classmethod
    def _host_of_bind(cls, value: object) -> object:
        # Scalelite writes tcp://0.0.0.0:3000; the port of it is in PORT as well.
        return urlsplit(value).hostname if isinstance(value, str) and "://" in value else value

    @field_validator("database_url")
    @classmethod
    def _is_postgresql(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("postgresql://", "postgresql+asyncpg://")):
            raise ValueError("must be like postgresql://user:password@host/name")
        return value

    @field_validator("loadbalancer_checksum_algorithm", mode="before")
    @classmethod
    def _algorithms(cls, value: object) -> object:
        return frozenset(filter(None, value.lower().split(":"))) if isinstance(value, str) else value

    @field_validator("callback_allow", mode="before")
    @classmethod
    def _entries(cls, value: object) -> object:
        return tuple(filter(None, map(str.strip, value.split(",")))) if isinstance(value, str) else value

    @field_validator("callback_allow")
    @classmethod
    def _are_networks_or_hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        # Imported where it is needed: the client behind it takes longer to load than all the rest of a command.
        from meetingpool.outward import AllowList

        AllowList.read(value)
        return value

    @field_validator("default_create_params", "default_join_params", mode="before")
    @classmethod
    def _defaults(cls, value: object) -> object:
        return read_assignments(Operator.DEFAULT, value) if isinstance(value, str) else value

    @field_validator("override_create_params", "override_join_params", mode="before")
    @classmethod
    def _overrides(cls, value: object) -> object:
        return read_assignments(Operator.OVERRIDE, value) if isinstance(value, str) else value

    @field_validator("create_exclude_params", "join_exclude_params", mode="before")
    @classmethod
    def _removals(cls, value: object) -> object:
        return read_removals(value) if isinstance(value, str) else value

    @field_validator("voice_bridge_max")
    @classmethod
    def _prompt_takes_own_bridges(cls, value: int, info: ValidationInfo) -> int:
        shortest, length = info.data.get("voice_bridge_min", value), info.data.get("voice_bridge_len", value)
        if not shortest <= length <= value:
            raise ValueError("VOICE_BRIDGE_LEN must not be below VOICE_BRIDGE_MIN or above VOICE_BRIDGE_MAX")
        return value

    @field_validator("fsapi_password", mode="before")
    @classmethod
    def _emptied_password(cls, value: object) -> object:
        # Everywhere else an empty variable counts as unset; here it is how one says that no password is wanted.
        return "" if value is None and _is_emptied("FSAPI_PASSWORD") else value

    @property
    def secrets(self) -> tuple[str, ...]:
        """All secrets that front ends may sign with; never an empty one."""
        given = [self.loadbalancer_secret or "", *(self.loadbalancer_secrets or "").split(":")]
        return tuple(dict.fromkeys(secret for secret in given if secret))

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

    @property
    def expectation_fades_after(self) -> float:
        """Seconds until a meeting is no longer expected to grow."""
        return self.load_join_buffer_time * 60


def read_settings() -> Settings:
    """The settings of the environment. Raises SettingsError with one sentence that names each wrong variable."""
    try:
        return Settings()
    except ValidationError as error:
        wrong = "; ".join(f"{_variable(problem['loc'])}: {problem['msg']}" for problem in error.errors())
        raise SettingsError(f"Settings cannot be used: {wrong}") from None


def with_secret(settings: Settings) -> Settings:
    """The settings with a secret for front ends: the given ones, or one that is generated once in the data directory."""
    if settings.secrets:
        return settings
    secret = _kept_secret(settings.data_dir / "loadbalancer_secret")
    return settings.model_copy(update={"loadbalancer_secret": secret})


def _kept_secret(path: Path) -> str:
    """The secret in the file `path`, generated when there is none. Of several processes at once, one generates it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_hex(32) + "\n")
        with suppress(FileExistsError):
            os.link(draft, path)
        draft.unlink()
    return path.read_text().strip()


def _is_emptied(name: str) -> bool:
    """Whether the environment says that `name` is empty, which it need not say of what is unset."""
    return any(os.environ.get(variable) == "" for variable in (f"MEETINGPOOL_{name}", name))


def _variable(location: tuple[int | str, ...]) -> str:
    name = str(location[0]) if location else "?"
    return name if name.isupper() else f"MEETINGPOOL_{name.upper()}"
