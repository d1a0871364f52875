"""Whatever rules and parameters come together, each parameter has one explanation, and what calls are found by is left alone."""

from hypothesis import given
from hypothesis import strategies as st

from meetingpool.domain.parameters import InvalidRule, Operator, Rule, apply_rules, is_own_parameter

NAMES = ["duration", "record", "welcome", "disabledFeatures"]
values = st.sampled_from(["", "0", "30", "90", "true", "chat", "polls,chat"])
parameter_sets = st.dictionaries(st.sampled_from(["meetingID", *NAMES]), values)


@st.composite
def rules_of_some_kind(draw: st.DrawFn) -> Rule:
    operator = draw(st.sampled_from(Operator))
    value = str(draw(st.integers(1, 100))) if operator is Operator.CAP else draw(values)
    return Rule(operator, draw(st.sampled_from(NAMES)), value)


rule_lists = st.lists(rules_of_some_kind(), max_size=8)


def last(rules: list[Rule], operator: Operator, name: str) -> str | None:
    return next((rule.value for rule in reversed(rules) if (rule.operator, rule.name) == (operator, name)), None)


@given(rules=rule_lists, came=parameter_sets)
def test_override_wins_and_without_any_rule_a_parameter_goes_as_it_came(rules: list[Rule], came: dict[str, str]) -> None:
    goes = apply_rules(rules, came)

    for name in ("meetingID", *NAMES):
        override = last(rules, Operator.OVERRIDE, name)
        if override is not None:
            assert goes[name] == override
        elif not any(rule.name == name for rule in rules):
            assert goes.get(name) == came.get(name)


@given(rules=rule_lists, came=parameter_sets)
def test_what_came_beats_every_default_unless_it_is_removed(rules: list[Rule], came: dict[str, str]) -> None:
    deciding = [rule for rule in rules if rule.operator in (Operator.DEFAULT, Operator.REMOVE)]

    goes = apply_rules(deciding, came)

    for name in NAMES:
        removed = last(rules, Operator.REMOVE, name) is not None
        expected = came[name] if name in came and not removed else last(rules, Operator.DEFAULT, name)
        assert goes.get(name) == expected


@given(rules=rule_lists, came=parameter_sets)
def test_nothing_but_an_override_exceeds_a_cap(rules: list[Rule], came: dict[str, str]) -> None:
    goes = apply_rules(rules, came)

    for rule in rules:
        if rule.operator is Operator.CAP and last(rules, Operator.OVERRIDE, rule.name) is None:
            assert 1 <= int(goes[rule.name]) <= int(rule.value)


@given(rules=rule_lists, came=parameter_sets)
def test_rules_can_be_applied_again_without_a_change(rules: list[Rule], came: dict[str, str]) -> None:
    lasting = [rule for rule in rules if rule.operator is not Operator.REMOVE]
    once = apply_rules(lasting, came)

    if not any(rule.operator is Operator.APPEND for rule in lasting):
        assert apply_rules(lasting, once) == once


@given(operator=st.sampled_from(Operator), name=st.text(max_size=30), value=st.just("1"))
def test_rule_that_exists_never_names_what_calls_are_found_by(operator: Operator, name: str, value: str) -> None:
    try:
        rule = Rule(operator, name, value)
    except InvalidRule:
        return

    assert rule.name.lower() not in ("meetingid", "checksum")
    assert not is_own_parameter(rule.name)
