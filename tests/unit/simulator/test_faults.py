from typing import Any

import pytest

from simulator.faults import NO_FAULTS, Faults, InvalidFaults, OutwardFaults, as_json, read_faults, read_outward_faults
from simulator.outward_calls import OutwardKind
from tests.unit.simulator.asking import make_server


def test_faults_survive_the_way_through_json() -> None:
    faults = Faults(latency=1.5, drop_after=True, http_status=503, body="html", calls=frozenset({"end", "create"}))

    assert read_faults(as_json(faults)) == faults


def test_outward_faults_survive_the_way_through_json() -> None:
    kinds = frozenset({OutwardKind.WEBHOOK, OutwardKind.ANALYTICS})
    faults = OutwardFaults(wrong_signature=True, twice=True, delay=0.5, kinds=kinds)

    assert read_outward_faults(as_json(faults)) == faults
    assert as_json(faults)["kinds"] == ["analytics", "webhook"]


@pytest.mark.parametrize(
    ("name", "value"),
    [("kinds", ["nothing"]), ("kinds", "webhook"), ("kinds", [[]]), ("delay", -1), ("twice", 1), ("never", None)],
)
def test_outward_value_of_the_wrong_kind_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(InvalidFaults, match=f"The value of '{name}' is not usable. Use "):
        read_outward_faults({name: value})


def test_outward_faults_and_the_others_are_not_mixed_up() -> None:
    with pytest.raises(InvalidFaults, match=r"There is no fault named 'hang'\. Use one of: wrong_signature, "):
        read_outward_faults({"hang": True})
    with pytest.raises(InvalidFaults, match="There is no fault named 'twice'"):
        read_faults({"twice": True})


def test_empty_object_is_a_healthy_server() -> None:
    assert read_faults({}) == NO_FAULTS


def test_unknown_field_is_named_with_those_that_exist() -> None:
    with pytest.raises(InvalidFaults, match=r"There is no fault named 'latncy'\. Use one of: latency, "):
        read_faults({"latncy": 1})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("latency", "1"),
        ("latency", -1),
        ("latency", True),
        ("hang", 1),
        ("http_status", "503"),
        ("http_status", 99),
        ("body", "nonsense"),
        ("calls", "create"),
        ("calls", [1]),
        ("probability", 1.1),
    ],
)
def test_value_of_the_wrong_kind_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(InvalidFaults, match=f"The value of '{name}' is not usable. Use "):
        read_faults({name: value})


def test_faults_hit_the_named_calls_only() -> None:
    server = make_server()
    server.faults = Faults(hang=True, calls=frozenset({"create"}))

    assert server.faults_of("create").hang
    assert not server.faults_of("end").hang


def test_probability_decides_how_many_calls_are_hit() -> None:
    server = make_server()
    server.faults = Faults(hang=True, probability=0.25)

    hits = sum(server.faults_of("create").hang for _ in range(1000))

    assert 200 < hits < 300
