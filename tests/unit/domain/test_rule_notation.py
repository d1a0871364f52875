import pytest

from meetingpool.domain.parameters import InvalidRule, Operator, Rule
from meetingpool.domain.rule_notation import split_rule, written

NOTATED = [
    ("record=false", Operator.OVERRIDE, "record", "false"),
    ("record=", Operator.OVERRIDE, "record", ""),
    ("welcome?Hello, how are you?", Operator.DEFAULT, "welcome", "Hello, how are you?"),
    ("logoutURL?https://x/?a=b+c", Operator.DEFAULT, "logoutURL", "https://x/?a=b+c"),
    ("logoutURL=https://x/?a=b", Operator.OVERRIDE, "logoutURL", "https://x/?a=b"),
    ("duration<90", Operator.CAP, "duration", "90"),
    ("disabledFeatures+chat", Operator.APPEND, "disabledFeatures", "chat"),
    ("userID-", Operator.REMOVE, "userID", ""),
    ("meta_bbb-origin-", Operator.REMOVE, "meta_bbb-origin", ""),
    ("meta_bbb-origin=a-", Operator.OVERRIDE, "meta_bbb-origin", "a-"),
]


@pytest.mark.parametrize(("text", "operator", "name", "value"), NOTATED)
def test_the_first_sign_says_what_a_rule_does(text: str, operator: Operator, name: str, value: str) -> None:
    assert split_rule(text) == (operator, name, value)


@pytest.mark.parametrize(("text", "operator", "name", "value"), NOTATED)
def test_a_rule_is_written_as_it_is_read(text: str, operator: Operator, name: str, value: str) -> None:
    assert written(Rule(operator, name, value)) == text


def test_blanks_around_the_sign_do_not_matter() -> None:
    assert split_rule(" duration < 90 ") == (Operator.CAP, "duration", "90")
    assert split_rule(" userID - ") == (Operator.REMOVE, "userID", "")


@pytest.mark.parametrize("text", ["", "record", "meta_bbb-origin"])
def test_what_has_no_sign_is_refused_with_all_signs(text: str) -> None:
    with pytest.raises(InvalidRule, match=r"name=value to enforce, name\?value as a default, name<number"):
        split_rule(text)
