import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from meetingpool.domain.parameters import Operator, Rule
from meetingpool.settings import Settings, SettingsError, read_settings, with_secret


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        monkeypatch.delenv(name)


def settings_of(monkeypatch: pytest.MonkeyPatch, **environment: str) -> Settings:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return read_settings()


def test_nothing_needs_to_be_set() -> None:
    settings = read_settings()

    assert (settings.bind, settings.port) == ("127.0.0.1", 3000)
    assert settings.database_url is None
    assert settings.data_dir == Path("var")
    assert settings.secrets == ()
    assert settings.loadbalancer_checksum_algorithm == {"sha1", "sha256", "sha384", "sha512"}


@pytest.mark.parametrize(
    ("environment", "port"),
    [
        ({"PORT": "4000"}, 4000),
        ({"MEETINGPOOL_PORT": "5000"}, 5000),
        ({"PORT": "4000", "MEETINGPOOL_PORT": "5000"}, 5000),
        ({"PORT": "4000", "MEETINGPOOL_PORT": ""}, 4000),
        ({"PORT": ""}, 3000),
    ],
)
def test_own_name_wins_over_the_one_of_scalelite(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], port: int) -> None:
    assert settings_of(monkeypatch, **environment).port == port


@pytest.mark.parametrize(
    "name",
    [
        "POLL_INTERVAL",
        "CONNECT_TIMEOUT",
        "RESPONSE_TIMEOUT",
        "SERVER_UNHEALTHY_THRESHOLD",
        "SERVER_HEALTHY_THRESHOLD",
        "LOAD_MIN_USER_COUNT",
        "LOAD_JOIN_BUFFER_TIME",
        "WEB_CONCURRENCY",
        "MAX_MEETING_DURATION",
        "VOICE_BRIDGE_LEN",
        "VOICE_BRIDGE_MIN",
        "FSAPI_MAX_DURATION",
    ],
)
def test_names_of_scalelite_work_unchanged(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    assert getattr(settings_of(monkeypatch, **{name: "7"}), name.lower()) == 7


def test_what_scalelite_alone_knows_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings_of(monkeypatch, REDIS_URL="redis://localhost", SECRET_KEY_BASE="x", MEETINGPOOL_UNKNOWN="1").port == 3000


@pytest.mark.parametrize(
    ("bind", "host"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("tcp://192.0.2.1:3000", "192.0.2.1"),
        ("tcp://[::]:3000", "::"),
        ("::1", "::1"),
        ("tcp://localhost", "localhost"),
    ],
)
def test_bind_may_be_written_as_an_address_or_as_scalelite_does(monkeypatch: pytest.MonkeyPatch, bind: str, host: str) -> None:
    assert settings_of(monkeypatch, BIND=bind).bind == host


@pytest.mark.parametrize(
    ("secret", "more", "secrets"),
    [
        ("a", "", ("a",)),
        ("", "b", ("b",)),
        ("a", "b:c", ("a", "b", "c")),
        ("a", "b:a:b", ("a", "b")),
        ("a", ":b::c:", ("a", "b", "c")),
        ("", ":", ()),
        ("", "", ()),
        ("with:colon", "", ("with:colon",)),
        ("ü€", "", ("ü€",)),
    ],
)
def test_secrets_are_never_empty_and_each_is_there_once(
    monkeypatch: pytest.MonkeyPatch, secret: str, more: str, secrets: tuple[str, ...]
) -> None:
    assert settings_of(monkeypatch, LOADBALANCER_SECRET=secret, LOADBALANCER_SECRETS=more).secrets == secrets


@pytest.mark.parametrize(
    ("value", "algorithms"),
    [("sha256", {"sha256"}), ("sha1:SHA512", {"sha1", "sha512"}), (":sha384:", {"sha384"})],
)
def test_algorithms_are_separated_by_colons(monkeypatch: pytest.MonkeyPatch, value: str, algorithms: set[str]) -> None:
    assert settings_of(monkeypatch, LOADBALANCER_CHECKSUM_ALGORITHM=value).loadbalancer_checksum_algorithm == algorithms


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "http"),
        ("PORT", "0"),
        ("PORT", "65536"),
        ("BIND", "unix:///run/scalelite.sock"),
        ("POLL_INTERVAL", "0"),
        ("RESPONSE_TIMEOUT", "-1"),
        ("CONNECT_TIMEOUT", "soon"),
        ("LOADBALANCER_CHECKSUM_ALGORITHM", "md5"),
        ("LOADBALANCER_CHECKSUM_ALGORITHM", "sha1:md5"),
        ("LOADBALANCER_CHECKSUM_ALGORITHM", ":"),
        ("SERVER_ID_IS_HOSTNAME", "maybe"),
        ("MEETINGPOOL_LOG_FORMAT", "xml"),
        ("MEETINGPOOL_LOG_LEVEL", "loud"),
        ("MEETINGPOOL_DRAIN_DELAY", "100"),
        ("DEFAULT_CREATE_PARAMS", "record"),
        ("OVERRIDE_CREATE_PARAMS", "record=true,meetingID=x"),
        ("DEFAULT_JOIN_PARAMS", "checksum=x"),
        ("OVERRIDE_JOIN_PARAMS", "=x"),
        ("CREATE_EXCLUDE_PARAMS", "meta_meetingpool-generation"),
        ("JOIN_EXCLUDE_PARAMS", "meetingID"),
        ("MAX_MEETING_DURATION", "-1"),
        ("MAX_MEETING_DURATION", "2h"),
        ("VOICE_BRIDGE_LEN", "4"),
        ("VOICE_BRIDGE_LEN", "16"),
        ("VOICE_BRIDGE_MIN", "0"),
        ("VOICE_BRIDGE_MAX", "17"),
        ("VOICE_BRIDGE_MAX", "8"),
        ("USE_EXTERNAL_VOICE_BRIDGE", "perhaps"),
        ("FSAPI_MAX_DURATION", "-1"),
    ],
)
def test_senseless_value_is_told_with_its_variable(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"Settings cannot be used: (MEETINGPOOL_)?{name}: "):
        settings_of(monkeypatch, **{name: value})


@pytest.mark.parametrize(
    ("name", "operator"),
    [
        ("DEFAULT_CREATE_PARAMS", Operator.DEFAULT),
        ("OVERRIDE_CREATE_PARAMS", Operator.OVERRIDE),
        ("DEFAULT_JOIN_PARAMS", Operator.DEFAULT),
        ("OVERRIDE_JOIN_PARAMS", Operator.OVERRIDE),
    ],
)
def test_parameters_are_assigned_as_scalelite_writes_it(monkeypatch: pytest.MonkeyPatch, name: str, operator: Operator) -> None:
    settings = settings_of(monkeypatch, **{name: "record=true,logoutURL=https://x/?a=b"})

    assert getattr(settings, name.lower()) == (
        Rule(operator, "record", "true"),
        Rule(operator, "logoutURL", "https://x/?a=b"),
    )


@pytest.mark.parametrize("name", ["CREATE_EXCLUDE_PARAMS", "JOIN_EXCLUDE_PARAMS"])
def test_excluded_parameters_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    settings = settings_of(monkeypatch, **{name: "record, welcome"})

    assert getattr(settings, name.lower()) == (Rule(Operator.REMOVE, "record"), Rule(Operator.REMOVE, "welcome"))


@pytest.mark.parametrize(
    "environment",
    [
        {"VOICE_BRIDGE_LEN": "10"},
        {"VOICE_BRIDGE_LEN": "5", "VOICE_BRIDGE_MIN": "6"},
        {"VOICE_BRIDGE_MIN": "10"},
        {"VOICE_BRIDGE_LEN": "7", "VOICE_BRIDGE_MAX": "6"},
    ],
)
def test_voice_bridges_that_callers_could_not_enter_are_refused(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]
) -> None:
    with pytest.raises(SettingsError, match="VOICE_BRIDGE_LEN must not be below VOICE_BRIDGE_MIN or above VOICE_BRIDGE_MAX"):
        settings_of(monkeypatch, **environment)


@pytest.mark.parametrize("what", ["USERS", "MEETINGS"])
def test_soft_limit_of_servers_above_the_hard_one_is_refused(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    soft, hard = f"MEETINGPOOL_SERVER_SOFT_{what}", f"MEETINGPOOL_SERVER_MAX_{what}"
    with pytest.raises(SettingsError, match=f"{soft}: must not be above {hard}"):
        settings_of(monkeypatch, **{soft: "101", hard: "100"})
    equal = settings_of(monkeypatch, **{soft: "100", hard: "100"})
    assert (equal.server_max_users, equal.server_max_meetings) == ((100, None) if what == "USERS" else (None, 100))
    with pytest.raises(SettingsError, match=f"{hard}: must be a whole number from 1"):
        settings_of(monkeypatch, **{hard: "0"})


@pytest.mark.parametrize(
    "environment",
    [
        {"VOICE_BRIDGE_LEN": "15", "VOICE_BRIDGE_MAX": "16"},
        {"VOICE_BRIDGE_LEN": "7", "VOICE_BRIDGE_MIN": "7", "VOICE_BRIDGE_MAX": "7"},
        {"VOICE_BRIDGE_LEN": "5", "VOICE_BRIDGE_MIN": "1"},
    ],
)
def test_voice_bridges_that_callers_can_enter_are_taken(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]) -> None:
    assert settings_of(monkeypatch, **environment).voice_bridge_len == int(environment["VOICE_BRIDGE_LEN"])


@pytest.mark.parametrize(
    ("environment", "password"),
    [
        ({}, None),
        ({"FSAPI_PASSWORD": "given"}, "given"),
        ({"FSAPI_PASSWORD": "given", "LOADBALANCER_SECRET": "a"}, "given"),
        ({"LOADBALANCER_SECRET": "a", "LOADBALANCER_SECRETS": "b"}, "a"),
        ({"LOADBALANCER_SECRETS": "b:c"}, "b"),
        ({"LOADBALANCER_SECRET": "", "LOADBALANCER_SECRETS": ":"}, None),
        ({"LOADBALANCER_SECRET": "a", "MULTITENANCY_ENABLED": "true"}, None),
        ({"FSAPI_PASSWORD": "given", "MULTITENANCY_ENABLED": "true"}, "given"),
        ({"FSAPI_PASSWORD": ""}, ""),
        ({"FSAPI_PASSWORD": "", "LOADBALANCER_SECRET": "a"}, ""),
        ({"MEETINGPOOL_FSAPI_PASSWORD": "", "LOADBALANCER_SECRET": "a"}, ""),
        ({"MEETINGPOOL_FSAPI_PASSWORD": "", "FSAPI_PASSWORD": "given"}, "given"),
        ({"MEETINGPOOL_FSAPI_PASSWORD": "given", "FSAPI_PASSWORD": ""}, "given"),
        ({"FSAPI_PASSWORD": " "}, " "),
    ],
)
def test_dial_in_is_open_only_when_its_password_was_emptied(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], password: str | None
) -> None:
    assert settings_of(monkeypatch, **environment).dial_in_password == password


def test_password_of_dial_in_is_the_generated_secret_when_there_is_no_other(tmp_path: Path) -> None:
    settings = with_secret(Settings(data_dir=tmp_path))

    assert settings.dial_in_password == settings.secrets[0]


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({}, 0),
        ({"MAX_MEETING_DURATION": "240"}, 14_400),
        ({"MAX_MEETING_DURATION": "240", "FSAPI_MAX_DURATION": "60"}, 3_600),
        ({"MAX_MEETING_DURATION": "240", "FSAPI_MAX_DURATION": "0"}, 0),
        ({"MAX_MEETING_DURATION": "240", "FSAPI_MAX_DURATION": ""}, 14_400),
    ],
)
def test_telephone_call_lasts_as_long_as_a_meeting_may(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], seconds: int
) -> None:
    assert settings_of(monkeypatch, **environment).dial_in_seconds == seconds


def test_every_wrong_variable_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match=r"PORT: .*; .*POLL_INTERVAL: "):
        settings_of(monkeypatch, PORT="x", POLL_INTERVAL="x")


def test_voice_bridges_are_not_compared_with_what_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError) as refused:
        settings_of(monkeypatch, VOICE_BRIDGE_LEN="x", VOICE_BRIDGE_MAX="8")

    assert str(refused.value) == "Settings cannot be used: MEETINGPOOL_VOICE_BRIDGE_LEN: must be a whole number from 5 up to 15"


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("PORT", "70000", "must be a whole number from 1 up to 65535"),
        ("PORT", "3000.5", "must be a whole number from 1 up to 65535"),
        ("PORT", " ", "must be a whole number from 1 up to 65535"),
        ("MAX_REQUESTS", "1", "must be a whole number from 2"),
        ("FSAPI_MAX_DURATION", "null", "must be a whole number from 0 up to 999999999"),
        ("CONNECT_TIMEOUT", "0", "must be a number above 0 up to 60"),
        ("POLL_INTERVAL", "nan", "must be a number from 1 up to 3600"),
        ("ALERT_LOAD", "0", "must be a number above 0"),
        ("SERVER_ID_IS_HOSTNAME", "maybe", "must be true or false"),
        ("LOG_FORMAT", "xml", "must be one of console, json"),
        (
            "LOADBALANCER_CHECKSUM_ALGORITHM",
            "sha1:md5",
            "must be one or more of sha1, sha256, sha384, sha512, separated by colons",
        ),
        ("BIND", "unix:///run/scalelite.sock", "must be like 127.0.0.1 or tcp://127.0.0.1:3000"),
        ("DATABASE_URL", "mysql://user@host/name", "must be like postgresql://user:password@host/name"),
        ("URL_HOST", "pool.example.org\n", "must be like pool.example.org"),
        ("PUBLIC_URL", "https://pool.example.org/path", "must be like https://pool.example.org"),
        ("OVERRIDE_JOIN_PARAMS", "guest", "entry 1 has no '='; write name=value, separated by commas"),
    ],
)
def test_what_is_allowed_is_told(monkeypatch: pytest.MonkeyPatch, name: str, value: str, allowed: str) -> None:
    with pytest.raises(SettingsError) as refused:
        settings_of(monkeypatch, **{f"MEETINGPOOL_{name}": value})

    assert str(refused.value) == f"Settings cannot be used: MEETINGPOOL_{name}: {allowed}"


@pytest.mark.parametrize(
    ("value", "meant"),
    [(value, True) for value in ("1", "true", "True", "t", "yes", "Y", "ON")]
    + [(value, False) for value in ("0", "false", "FALSE", "f", "no", "N", "off")],
)
def test_yes_and_no_may_be_said_in_many_ways(monkeypatch: pytest.MonkeyPatch, value: str, meant: bool) -> None:
    assert settings_of(monkeypatch, SERVER_ID_IS_HOSTNAME=value).server_id_is_hostname is meant


@pytest.mark.parametrize("value", ["8", " 8 ", "008", "8\n"])
def test_numbers_may_have_blanks_and_zeros_around_them(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    settings = settings_of(monkeypatch, PORT=value, POLL_INTERVAL=value)

    assert (settings.port, settings.poll_interval) == (8, 8.0)


def test_text_is_taken_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_of(monkeypatch, LOADBALANCER_SECRET=" null ", BUILD_NUMBER="007")

    assert (settings.loadbalancer_secret, settings.build_number) == (" null ", "007")


@pytest.mark.parametrize(
    "name",
    [
        "PORT",
        "POLL_INTERVAL",
        "MULTITENANCY_ENABLED",
        "LOADBALANCER_CHECKSUM_ALGORITHM",
        "DEFAULT_CREATE_PARAMS",
        "MEETINGPOOL_LOG_LEVEL",
        "MEETINGPOOL_DATABASE_URL",
        "MEETINGPOOL_PUBLIC_URL",
    ],
)
def test_value_that_was_given_is_not_repeated(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    with pytest.raises(SettingsError) as refused:
        settings_of(monkeypatch, **{name: "pasted-secret"})

    assert "pasted-secret" not in str(refused.value)


def test_secrets_are_not_shown_with_the_settings() -> None:
    settings = Settings(loadbalancer_secret="hidden", fsapi_password="hidden", database_url="postgresql://user:hidden@host/name")

    assert "hidden" not in f"{settings} {settings!r}"


def test_given_secret_is_used_and_none_is_written(tmp_path: Path) -> None:
    given = Settings(data_dir=tmp_path, loadbalancer_secrets="given")

    assert with_secret(given).secrets == ("given",)
    assert list(tmp_path.iterdir()) == []


def test_secret_is_generated_once_for_its_owner_alone(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data" / "here")

    first, second = with_secret(settings).secrets, with_secret(settings).secrets

    assert first == second
    assert len(first[0]) == 64
    (kept,) = settings.data_dir.iterdir()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


def test_pools_of_their_own_have_secrets_of_their_own(tmp_path: Path) -> None:
    secrets = {with_secret(Settings(data_dir=tmp_path / name)).secrets for name in ("one", "two")}

    assert len(secrets) == 2


def test_several_at_once_get_the_same_secret(tmp_path: Path) -> None:
    at_once = 8
    for attempt in range(20):
        settings, start = Settings(data_dir=tmp_path / str(attempt)), Barrier(at_once)

        def generate(_: int, settings: Settings = settings, start: Barrier = start) -> tuple[str, ...]:
            start.wait()
            return with_secret(settings).secrets

        with ThreadPoolExecutor(at_once) as threads:
            secrets = set(threads.map(generate, range(at_once)))

        assert len(secrets) == 1
        assert len(list(settings.data_dir.iterdir())) == 1
