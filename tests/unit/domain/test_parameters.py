import pytest

from meetingpool.domain.parameters import (
    InvalidRule,
    Operator,
    Rule,
    apply_rules,
    first_filled,
    is_own_parameter,
    read_assignments,
    read_removals,
)


def default(name: str, value: str) -> Rule:
    return Rule(Operator.DEFAULT, name, value)


def override(name: str, value: str) -> Rule:
    return Rule(Operator.OVERRIDE, name, value)


def append(name: str, value: str) -> Rule:
    return Rule(Operator.APPEND, name, value)


def cap(name: str, value: str) -> Rule:
    return Rule(Operator.CAP, name, value)


def remove(name: str) -> Rule:
    return Rule(Operator.REMOVE, name)


@pytest.mark.parametrize(
    ("text", "assigned"),
    [
        ("record=true", [("record", "true")]),
        ("a=1,b=2", [("a", "1"), ("b", "2")]),
        ("a=1, b = 2 ,", [("a", "1"), ("b", "2")]),
        ("logoutURL=https://x/?a=b&c=d", [("logoutURL", "https://x/?a=b&c=d")]),
        ("welcome=", [("welcome", "")]),
        ("a=1,a=2", [("a", "1"), ("a", "2")]),
        ("meta_server-tag=gpu;eu!", [("meta_server-tag", "gpu;eu!")]),
        ("", []),
    ],
)
def test_assignments_are_split_at_commas_and_their_first_equals_sign(text: str, assigned: list[tuple[str, str]]) -> None:
    assert [(rule.name, rule.value) for rule in read_assignments(Operator.DEFAULT, text)] == assigned


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("record", "entry 1 has no '='"),
        ("a=1,pasted-secret", "entry 2 has no '='"),
        ("=1", "no usable name"),
        ("a\x01=1", "no usable name"),
        ("a=\udcff", "the value of a is not UTF-8"),
        ("meetingID=x", "meetingID identifies the call"),
        ("meetingid=x", "meetingID identifies the call"),
        ("checksum=x", "checksum identifies the call"),
        ("meta_meetingpool-generation=9", "Meetingpool's own"),
        ("meta_MeetingPool-x=9", "Meetingpool's own"),
    ],
)
def test_unusable_assignment_is_refused_without_its_value(text: str, reason: str) -> None:
    with pytest.raises(InvalidRule, match=reason) as refused:
        read_assignments(Operator.OVERRIDE, text)

    assert "pasted-secret" not in str(refused.value)


def test_removals_are_names() -> None:
    assert read_removals(" record, welcome,") == (remove("record"), remove("welcome"))
    with pytest.raises(InvalidRule, match="meetingID"):
        read_removals("record,meetingID")


@pytest.mark.parametrize("limit", ["", "0", "-1", "soon", "1.5", "٣"])
def test_limit_is_a_whole_number_from_one(limit: str) -> None:
    with pytest.raises(InvalidRule, match="the limit of duration must be a whole number from 1"):
        cap("duration", limit)


@pytest.mark.parametrize(
    ("rules", "came", "goes"),
    [
        ([], {"a": "1", "b": ""}, {"a": "1", "b": ""}),
        ([default("a", "9")], {}, {"a": "9"}),
        ([default("a", "9")], {"a": "1"}, {"a": "1"}),
        ([default("a", "9")], {"a": ""}, {"a": ""}),
        ([override("a", "9")], {}, {"a": "9"}),
        ([override("a", "9")], {"a": "1"}, {"a": "9"}),
        ([remove("a")], {"a": "1", "b": "2"}, {"b": "2"}),
        ([remove("a"), default("a", "9")], {"a": "1"}, {"a": "9"}),
        ([remove("a"), override("a", "9")], {"a": "1"}, {"a": "9"}),
        ([override("a", "8"), default("a", "9")], {}, {"a": "8"}),
        ([append("a", "x")], {}, {"a": "x"}),
        ([append("a", "x")], {"a": ""}, {"a": "x"}),
        ([append("a", "x")], {"a": "y,z"}, {"a": "y,z,x"}),
        ([append("a", "x")], {"a": "y, x"}, {"a": "y, x"}),
        ([append("a", "x"), default("a", "y")], {}, {"a": "y,x"}),
        ([append("a", "x"), append("a", "y")], {}, {"a": "x,y"}),
        ([append("a", "x"), override("a", "y")], {}, {"a": "y"}),
    ],
)
def test_rules_apply_in_their_order(rules: list[Rule], came: dict[str, str], goes: dict[str, str]) -> None:
    assert apply_rules(rules, came) == goes


@pytest.mark.parametrize("came", [None, "", "0", "00", "61", "9" * 5000, "-5", "+5", "5.0", "1h", "²", "٣"])
def test_what_is_absent_no_positive_number_or_greater_becomes_the_maximum(came: str | None) -> None:
    parameters = {} if came is None else {"duration": came}

    assert apply_rules([cap("duration", "60")], parameters) == {"duration": "60"}


@pytest.mark.parametrize("came", ["1", "60", "007"])
def test_what_is_within_the_limit_stays_as_it_came(came: str) -> None:
    assert apply_rules([cap("duration", "60")], {"duration": came}) == {"duration": came}


@pytest.mark.parametrize(
    ("rules", "goes"),
    [
        ([cap("duration", "60"), default("duration", "30")], "30"),
        ([cap("duration", "60"), default("duration", "90")], "60"),
        ([cap("duration", "60"), remove("duration")], "60"),
        ([cap("duration", "60"), override("duration", "90")], "90"),
        ([cap("duration", "60"), cap("duration", "45")], "45"),
        ([cap("duration", "45"), cap("duration", "60")], "45"),
    ],
)
def test_cap_holds_for_defaults_and_gives_way_to_overrides_only(rules: list[Rule], goes: str) -> None:
    assert apply_rules(rules, {})["duration"] == goes


def test_rules_of_a_narrower_circle_come_behind_those_of_a_wider_one_and_win() -> None:
    everybody = [default("a", "wide"), default("b", "wide"), override("c", "wide")]
    some = [default("a", "narrow"), override("c", "narrow")]

    assert apply_rules([*everybody, *some], {"c": "came"}) == {"a": "narrow", "b": "wide", "c": "narrow"}


@pytest.mark.parametrize(
    ("rules", "came", "filled"),
    [
        ([], {}, None),
        ([], {"tag": " "}, None),
        ([], {"tag": "came"}, "came"),
        ([default("tag", "d")], {}, "d"),
        ([default("tag", "d")], {"tag": ""}, "d"),
        ([default("tag", "d")], {"tag": "came"}, "came"),
        ([default("tag", "d"), default("tag", "e")], {}, "e"),
        ([override("tag", "o")], {"tag": "came"}, "o"),
        ([override("tag", "")], {"tag": "came"}, "came"),
        ([override("tag", "o"), override("tag", "p")], {}, "p"),
        ([override("other", "o"), default("tag", "d")], {}, "d"),
        ([remove("tag")], {"tag": "came"}, "came"),
    ],
)
def test_first_value_that_is_not_blank_decides(rules: list[Rule], came: dict[str, str], filled: str | None) -> None:
    assert first_filled(rules, came, "tag") == filled


@pytest.mark.parametrize(
    ("name", "own"),
    [("meta_meetingpool-x", True), ("META_meetingPool-x", True), ("meta_meetingpool", False), ("meta_x", False)],
)
def test_own_metadata_is_known_by_its_prefix_whatever_the_case(name: str, own: bool) -> None:
    assert is_own_parameter(name) is own
