"""Settings that contradict each other, and variables that nobody reads."""

from pathlib import Path
from typing import Any

import pytest

from meetingpool.operations.diagnose_settings import diagnose_environment, diagnose_settings
from meetingpool.operations.diagnosis import Finding, Severity
from meetingpool.settings import Settings, all_settings

GOOD: dict[str, Any] = {"public_url": "https://pool.example.org", "loadbalancer_secret": "long-enough-to-be-no-guess"}
READERS = {setting.name: setting.read for setting in all_settings()}


def found_in(**given: Any) -> list[Finding]:
    read = {name: READERS[name](value) if name in READERS and isinstance(value, str) else value for name, value in given.items()}
    return list(diagnose_settings(Settings(**GOOD | read)))


def test_good_settings_are_good(tmp_path: Path) -> None:
    assert found_in(data_dir=tmp_path) == []


@pytest.mark.parametrize(
    ("given", "subject", "severity"),
    [
        ({"response_timeout": "11"}, "RESPONSE_TIMEOUT", Severity.PROBLEM),
        ({"response_timeout": "4"}, "CONNECT_TIMEOUT", Severity.NOTE),
        ({"public_url": None}, "URL_HOST", Severity.NOTE),
        ({"public_url": "http://pool.example.org"}, "MEETINGPOOL_PUBLIC_URL", Severity.NOTE),
        ({"multitenancy_enabled": "true"}, "URL_HOST", Severity.NOTE),
        ({"loadbalancer_secrets": "long-enough-too-it-seems:canary"}, "LOADBALANCER_SECRET", Severity.PROBLEM),
        ({"fsapi_password": ""}, "FSAPI_PASSWORD", Severity.NOTE),
        ({"fsapi_password": "canary"}, "VOICE_BRIDGE_MAX", Severity.NOTE),
        (
            {"default_create_params": "record=false", "override_create_params": "record=true"},
            "DEFAULT_CREATE_PARAMS",
            Severity.PROBLEM,
        ),
        ({"default_join_params": "role=a", "override_join_params": "role=b"}, "DEFAULT_JOIN_PARAMS", Severity.PROBLEM),
        ({"override_join_params": "role=a,role=b"}, "OVERRIDE_JOIN_PARAMS", Severity.PROBLEM),
        ({"override_join_params": "role=a", "join_exclude_params": "role"}, "JOIN_EXCLUDE_PARAMS", Severity.NOTE),
        ({"max_meeting_duration": "60", "override_create_params": "duration=90"}, "MAX_MEETING_DURATION", Severity.PROBLEM),
        ({"max_meeting_duration": "60", "override_create_params": "duration=0"}, "MAX_MEETING_DURATION", Severity.PROBLEM),
        ({"playback_app_dir": "/nowhere"}, "MEETINGPOOL_PLAYBACK_APP_DIR", Severity.PROBLEM),
        (
            {"recording_spool_dir": "/srv/work/spool", "recording_work_dir": "/srv/work"},
            "RECORDING_SPOOL_DIR 1",
            Severity.PROBLEM,
        ),
        ({"recording_publish_dir": "/srv/x", "recording_unpublish_dir": "/srv/x"}, "RECORDING_PUBLISH_DIR", Severity.PROBLEM),
    ],
)
def test_contradiction_is_found_once_and_says_what_to_do(
    given: dict[str, Any], subject: str, severity: Severity, tmp_path: Path
) -> None:
    findings = [finding for finding in found_in(data_dir=tmp_path, **given) if finding.subject == subject]
    assert [finding.severity for finding in findings] == [severity]
    assert findings[0].advice
    assert "canary" not in str(findings)


@pytest.mark.parametrize(
    "given",
    [
        {"max_meeting_duration": "60", "override_create_params": "duration=30"},
        {"default_create_params": "record=false", "create_exclude_params": "record"},
        {"fsapi_password": "x", "voice_bridge_max": "10"},
        {"recording_disabled": "true", "recording_publish_dir": "/srv/x", "recording_unpublish_dir": "/srv/x"},
    ],
)
def test_what_fits_together_is_no_finding(given: dict[str, Any], tmp_path: Path) -> None:
    assert found_in(data_dir=tmp_path, **given) == []


@pytest.mark.parametrize("name", ["loadbalancer_secret", "secret_key"])
def test_secret_that_others_can_read_is_a_problem(name: str, tmp_path: Path) -> None:
    secret = tmp_path / name
    secret.write_text("canary")
    secret.chmod(0o644)
    (finding,) = found_in(data_dir=tmp_path)
    assert (finding.severity, finding.advice) == (Severity.PROBLEM, f"call `chmod o= {secret}`")
    secret.chmod(0o640)
    assert found_in(data_dir=tmp_path) == []


def test_variable_that_nobody_reads_is_named_with_the_one_that_was_meant() -> None:
    environment = {
        "MEETINGPOOL_POLL_INTERVALL": "1",
        "MEETINGPOOL_XYZZY": "1",
        "REDIS_URL": "redis://:canary@host",
        "PORT": "3000",
        "MEETINGPOOL_PORT": "4000",
        "PATH": "/bin",
    }
    found = {finding.subject: finding for finding in diagnose_environment(environment)}
    assert sorted(found) == ["MEETINGPOOL_POLL_INTERVALL", "MEETINGPOOL_XYZZY", "PORT", "REDIS_URL"]
    assert found["MEETINGPOOL_POLL_INTERVALL"].advice == "did you mean MEETINGPOOL_POLL_INTERVAL?"
    assert found["MEETINGPOOL_XYZZY"].severity is Severity.PROBLEM
    assert found["PORT"].detail == "MEETINGPOOL_PORT says something else, and counts"
    assert found["REDIS_URL"].severity is Severity.NOTE
    assert "canary" not in str(found)


def test_same_value_under_both_names_is_fine() -> None:
    assert list(diagnose_environment({"PORT": "3000", "MEETINGPOOL_PORT": "3000"})) == []
