import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from meetingpool.secret_files import SecretUnusable, new_secret, private_text, read_key_file, read_keys
from meetingpool.secret_keys import Keyring, keyring_of, made_keyring
from meetingpool.settings import Settings, SettingsError, read_settings, with_secret

FIRST, SECOND = "a" * 32, "b" * 40

MAKE_KEY = """
import sys
from pathlib import Path
from meetingpool.secret_keys import made_keyring
from meetingpool.settings import Settings
print("ready", flush=True)
sys.stdin.readline()
print(*made_keyring(Settings(data_dir=Path(sys.argv[1]))).ids)
"""


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        monkeypatch.delenv(name)


def kept(path: Path, text: str, mode: int = 0o600) -> str:
    path.write_text(text)
    path.chmod(mode)
    return str(path)


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        (FIRST, (FIRST,)),
        (f"{FIRST}:{SECOND}", (FIRST, SECOND)),
        (f"{SECOND}\n{FIRST}\n", (SECOND, FIRST)),
        (f"\r\n  {FIRST} \r\n\r\n{SECOND}:\r\n", (FIRST, SECOND)),
        (f"{FIRST}:{FIRST}", (FIRST,)),
        ("four words, which are long enough", ("four words, which are long enough",)),
    ],
)
def test_keys_stand_in_lines_or_between_colons(text: str, keys: tuple[str, ...]) -> None:
    assert read_keys(text) == keys


@pytest.mark.parametrize("text", ["a" * 31, f"{FIRST}:short", " " * 40, ":", f"{FIRST}\n{'b' * 31}"])
def test_keys_that_are_too_short_are_refused(text: str) -> None:
    with pytest.raises(SecretUnusable, match=r"; `meetingpool keys new` prints one$"):
        read_keys(text)


def test_new_keys_are_long_enough_and_differ() -> None:
    assert read_keys(f"{new_secret()}:{new_secret()}")[0] != new_secret()


def test_keys_of_the_settings_are_those_of_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEETINGPOOL_SECRET_KEY", f"{SECOND}:{FIRST}")

    assert keyring_of(read_settings()).ids == Keyring([SECOND, FIRST]).ids


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o640, 0o660])
def test_keys_of_the_settings_are_those_in_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int) -> None:
    monkeypatch.setenv("MEETINGPOOL_SECRET_KEY_FILE", kept(tmp_path / "keys", f"{SECOND}\n{FIRST}\n", mode))

    assert keyring_of(read_settings()).ids == Keyring([SECOND, FIRST]).ids


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o602, 0o777])
def test_file_that_others_can_get_at_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int) -> None:
    path = kept(tmp_path / "keys", FIRST, mode)
    monkeypatch.setenv("MEETINGPOOL_SECRET_KEY_FILE", path)

    with pytest.raises(SettingsError) as refused:
        read_settings()

    why = f"others on this machine can get at the secret in {path}: call `chmod o= {path}`"
    assert str(refused.value) == f"Settings cannot be used: MEETINGPOOL_SECRET_KEY_FILE: {why}"
    Path(path).chmod(mode & 0o770)
    assert read_settings().secret_key_file == (FIRST,)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "cannot be read (No such file or directory)"),
        (b"\xff\xfe" * 40, "does not hold text"),
        (b"\n", "has no key in it; `meetingpool keys new` prints one"),
        (b"pasted-secret", "each key must have at least 32 characters; `meetingpool keys new` prints one"),
    ],
)
def test_file_without_a_key_is_refused_and_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None, why: str
) -> None:
    path = tmp_path / "keys"
    if content is not None:
        path.touch(mode=0o600)
        path.write_bytes(content)
    monkeypatch.setenv("MEETINGPOOL_SECRET_KEY_FILE", str(path))

    with pytest.raises(SettingsError) as refused:
        read_settings()

    assert str(refused.value).endswith(why)
    assert "pasted-secret" not in str(refused.value)


def test_short_key_in_the_variable_is_refused_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEETINGPOOL_SECRET_KEY", "pasted-secret")

    with pytest.raises(SettingsError) as refused:
        read_settings()

    assert str(refused.value).startswith("Settings cannot be used: MEETINGPOOL_SECRET_KEY: each key must have at least 32")
    assert "pasted-secret" not in str(refused.value)


def test_variable_and_file_together_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEETINGPOOL_SECRET_KEY", FIRST)
    monkeypatch.setenv("MEETINGPOOL_SECRET_KEY_FILE", kept(tmp_path / "keys", SECOND))

    with pytest.raises(SettingsError, match="MEETINGPOOL_SECRET_KEY_FILE is set too"):
        read_settings()


def test_key_is_generated_once_for_its_owner_alone(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data" / "here")

    assert keyring_of(settings).ids == ()
    assert not settings.data_dir.exists()
    made = made_keyring(settings)

    assert made.ids == made_keyring(settings).ids == keyring_of(settings).ids
    (file,) = settings.data_dir.iterdir()
    assert file.name == "secret_key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_no_key_is_generated_when_one_is_given(tmp_path: Path) -> None:
    made_keyring(Settings(data_dir=tmp_path, secret_key=(FIRST,)))
    made_keyring(Settings(data_dir=tmp_path, secret_key_file=(FIRST,)))

    assert list(tmp_path.iterdir()) == []


def test_generated_key_may_get_company_in_its_file(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    (old,) = made_keyring(settings).ids
    file = tmp_path / "secret_key"
    file.write_text(f"{FIRST}\n{file.read_text()}")

    assert made_keyring(settings).ids == (*Keyring([FIRST]).ids, old)


@pytest.mark.parametrize("name", ["secret_key", "loadbalancer_secret"])
def test_generated_file_that_others_can_get_at_is_refused(tmp_path: Path, name: str) -> None:
    path = kept(tmp_path / name, FIRST, 0o644)

    for use in (keyring_of, made_keyring) if name == "secret_key" else (with_secret,):
        with pytest.raises(SettingsError, match=f"call `chmod o= {path}`$"):
            use(Settings(data_dir=tmp_path))


def test_data_directory_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    for make in (made_keyring, with_secret):
        with pytest.raises(SettingsError, match=r"cannot be made \(Not a directory\)|cannot be made \(File exists\)"):
            make(Settings(data_dir=tmp_path / "file"))


def test_processes_that_begin_at_once_get_one_key(tmp_path: Path) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", MAKE_KEY, str(tmp_path / "data")],
            cwd=Path(__file__).parents[3],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()

    keys = {process.communicate(timeout=20)[0] for process in processes}

    assert len(keys) == 1
    assert keys == {f"{keyring_of(Settings(data_dir=tmp_path / 'data')).ids[0]}\n"}
    assert [file.name for file in (tmp_path / "data").iterdir()] == ["secret_key"]


def test_file_is_judged_by_what_is_opened(tmp_path: Path) -> None:
    """A link is as safe as what it leads to."""
    (tmp_path / "link").symlink_to(kept(tmp_path / "keys", FIRST))

    assert read_key_file(str(tmp_path / "link")) == (FIRST,)
    (tmp_path / "keys").chmod(0o644)
    with pytest.raises(SecretUnusable):
        private_text(tmp_path / "link")
