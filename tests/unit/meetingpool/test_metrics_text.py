import pytest
from prometheus_client.parser import text_string_to_metric_families

from meetingpool.metrics import API_UP, CATALOGUE, REQUEST_SECONDS, REQUESTS, ROOM_PARTICIPANTS, Kind
from meetingpool.metrics_text import family, number

NASTY = 'a"b\\c\nd{e="f"}\u2028'


def parsed(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """All samples as Prometheus's own library reads them."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for each in text_string_to_metric_families(text)
        for sample in each.samples
    }


def test_values_of_labels_come_out_as_they_went_in_whatever_they_hold() -> None:
    assert parsed(family(API_UP, {(NASTY,): [1.0]})) == {("bbb_api_up", (("server", NASTY),)): 1.0}


def test_each_bucket_of_a_histogram_holds_the_smaller_ones_and_the_last_one_everything() -> None:
    cells = [float(number) for number in range(REQUEST_SECONDS.cells)]

    samples = parsed(family(REQUEST_SECONDS, {("join",): cells}))

    def bucket(bound: str) -> float:
        return samples["meetingpool_request_seconds_bucket", (("call", "join"), ("le", bound))]

    assert (bucket("0.005"), bucket("0.01"), bucket("0.025"), bucket("+Inf")) == (0, 1, 3, sum(cells[:-1]))
    assert samples["meetingpool_request_seconds_count", (("call", "join"),)] == sum(cells[:-1])
    assert samples["meetingpool_request_seconds_sum", (("call", "join"),)] == cells[-1]


def test_rooms_by_size_are_named_and_typed_as_the_exporter_does() -> None:
    """As bigbluebutton-exporter 0.7 writes them, the label apart."""
    text = family(ROOM_PARTICIPANTS, {("s1",): [1.0, 2.0, *([0.0] * 13), 2.0]})

    assert text.splitlines()[1:4] == [
        "# TYPE bbb_room_participants histogram",
        'bbb_room_participants_bucket{server="s1",le="0.0"} 1',
        'bbb_room_participants_bucket{server="s1",le="1.0"} 3',
    ]
    assert 'bbb_room_participants_bucket{server="s1",le="+Inf"} 3' in text
    assert '# TYPE bbb_room_participants_gcount gauge\nbbb_room_participants_gcount{server="s1"} 3\n' in text
    assert '# TYPE bbb_room_participants_gsum gauge\nbbb_room_participants_gsum{server="s1"} 2\n' in text


def test_what_there_is_nothing_of_is_not_mentioned() -> None:
    assert family(REQUESTS, {}) == ""


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "0"), (3.0, "3"), (0.1, "0.1"), (1e-7, "1e-07"), (2.0**53, "9007199254740992"), (1.5, "1.5")]
)
def test_numbers_are_written_exactly_and_shortly(value: float, text: str) -> None:
    assert number(value) == text
    assert float(text) == value


def test_names_follow_the_rules_of_prometheus() -> None:
    assert len({metric.name for metric in CATALOGUE}) == len(CATALOGUE)
    for metric in CATALOGUE:
        assert metric.name.startswith(("bbb_", "meetingpool_"))
        assert (metric.kind is Kind.COUNTER) == metric.name.endswith("_total")
        assert bool(metric.bounds) == (metric.kind in (Kind.HISTOGRAM, Kind.GAUGE_HISTOGRAM))
        assert list(metric.bounds) == sorted(set(metric.bounds))
        assert "\n" not in metric.help
        assert "|" not in metric.help
