"""`meetingpool tenants …` without a database: what is wrong usage, and what is refused at once."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from admin.app import app

LRS = ["--lrs-endpoint", "https://lrs.example.org/"]
TOKEN = ["--kc-token-url", "https://kc.example.org/token", "--kc-client-id", "c", "--kc-client-secret", "s", "--kc-username", "u"]


def tenants(*arguments: str, typed: str = "") -> Result:
    return CliRunner().invoke(app, ["tenants", *arguments], input=typed)


@pytest.mark.parametrize(
    "arguments",
    [
        ["add"],
        ["add", "acme", "--max-meetings", "-1"],
        ["add", "acme", "--max-users", "many"],
        ["add", "acme", "--checksum-algorithm", "md5"],
        ["add", "acme", "--secret-file", "/no/such/file"],
        ["set", "acme"],
        ["set", "acme", "--first"],
        ["set", "acme", "--tag", "x", "--no-tags"],
        ["set", "acme", "--max-users", "1", "--no-max-users"],
        ["set", "acme", *LRS, "--lrs-username", "u", "--lrs-password", "p", "--no-lrs"],
        ["set", "acme", "--secret", "a", "--add-secret", "b"],
        ["set", "acme", "--secret", "a", "--remove-secret", "1"],
        ["set", "acme", "--remove-secret", "the-secret-itself"],
        ["rules", "set", "acme", "create", "record=true", "--value", "x"],
        ["rules", "remove", "acme"],
    ],
)
def test_wrong_usage_ends_with_exit_code_2(arguments: list[str]) -> None:
    assert tenants(*arguments).exit_code == 2


def test_both_a_password_and_a_file_with_it_are_wrong_usage(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("p")

    assert tenants("set", "acme", *LRS, "--lrs-password", "p", "--lrs-password-file", str(file)).exit_code == 2


def test_a_file_that_holds_no_text_is_wrong_usage(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_bytes(b"\xff\xfe\x00")

    assert tenants("add", "acme", "--secret-file", str(file)).exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["add", "a.b"], "A tenant's name is a label of its host name: "),
        (["add", "acme-"], "A tenant's name is a label of its host name: "),
        (["add", "Default"], "No tenant can be named 'default', "),
        (["add", "acme", "--id", "default"], "A tenant's id must be made of "),
        (["add", "acme", "--id", "a/b"], "A tenant's id must be made of "),
        (["add", "acme", "--secret", "a:b"], "A secret must not hold colons or control characters\n"),
        (["add", "acme", "--secret", "a\tb"], "A secret must not hold colons or control characters\n"),
        (["add", "acme", "--secret", "a", "--secret", " "], "A secret must not be empty\n"),
        (["add", "acme", "--secret", "-"], "A secret must not be empty\n"),
        (["add", "acme", "--tag", "a b"], "A tag must be a word "),
        (["add", "acme", "--region", "eu,us"], "'eu,us' cannot be a region: a region's name has up to 100 characters and no "),
        (["add", "acme", "--max-users", "2147483648"], "The limit of users must be a whole number from 0"),
        (["add", "acme", "--callback-host", "https://lms.example.org"], "Callbacks cannot go there: 'https://lms"),
        (["add", "acme", "--callback-host", "*"], "Callbacks cannot go there: '*' is not a host name"),
        (["set", "acme", *LRS], "Learning records need either a user name and a password, or "),
        (["set", "acme", *LRS, "--lrs-username", "u"], "Learning records need either "),
        (["set", "acme", *LRS, *TOKEN], "Learning records need either "),
        (["set", "acme", *LRS, *TOKEN, "--kc-password", "p", "--lrs-username", "u"], "Learning records need either "),
        (["set", "acme", "--lrs-username", "u", "--lrs-password", "p"], "The endpoint for learning records must start with "),
        (["set", "acme", "--lrs-endpoint", "ftp://a/"], "The endpoint for learning records must start with "),
        (["set", "acme", "--lrs-endpoint", "https://u:p@a/"], "The endpoint for learning records must start with "),
        (
            ["set", "acme", *LRS, *TOKEN, "--kc-token-url", "https://kc.example.org:22/", "--kc-password", "p"],
            "The token URL for learning records cannot be used: only the ports 80, 443 ",
        ),
        (["rules", "set", "acme", "create", "record"], "This rule cannot be read: write name=value to enforce, "),
        (["rules", "set", "acme", "end", "record=true"], "Rules are for create and join, not for 'end'\n"),
        (["rules", "set", "acme", "create", "duration<soon"], "This rule cannot be: the limit of duration must be "),
        (["rules", "set", "acme", "create", "meetingID=x"], "This rule cannot be: meetingID identifies the call "),
        (["rules", "set", "acme", "join", "meta_tenant-id=x"], "This rule cannot be: meta_meetingpool-* and meta_tenant-*"),
    ],
)
def test_refusal_is_one_sentence_and_exit_code_1(arguments: list[str], sentence: str) -> None:
    result = tenants(*arguments)

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(sentence)
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["add", "acme", "--secret", "sup:er-secret"],
        ["set", "acme", *LRS, "--lrs-password", "super-secret"],
        ["set", "acme", "--remove-secret", "super-secret"],
    ],
)
def test_no_refusal_shows_a_secret(arguments: list[str]) -> None:
    result = tenants(*arguments)

    assert result.exit_code
    assert "er-secret" not in result.output
