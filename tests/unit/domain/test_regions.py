from ipaddress import ip_address

import pytest

from meetingpool.domain.regions import Distances, InvalidRegion, NetworkRegions, RegionNames, checked_region


def test_regions_are_ordered_by_their_distance_and_the_unknown_by_name() -> None:
    distances = Distances.read(["eu:us=90", "eu:asia=180", "us:asia=150"])
    assert distances.order_from("eu", ["north", "africa"]) == ("eu", "us", "asia", "africa", "north")
    assert distances.order_from("asia", ["eu"]) == ("asia", "us", "eu")


def test_the_way_back_is_as_far_unless_it_is_given_too() -> None:
    distances = Distances.read(["eu:us=90", "us:eu=20", "us:asia=50", "eu:asia=60"])
    assert (distances.between("eu", "us"), distances.between("us", "eu"), distances.between("asia", "us")) == (90, 20, 50)
    assert distances.order_from("us", []) == ("us", "eu", "asia")
    assert distances.order_from("eu", []) == ("eu", "asia", "us")


def test_regions_that_are_as_far_are_ordered_by_name() -> None:
    assert Distances.read(["a:c=5", "a:b=5"]).order_from("a", []) == ("a", "b", "c")


def test_without_distances_the_other_regions_come_by_name() -> None:
    assert Distances.read([]).order_from("eu", ["us", "asia", "eu"]) == ("eu", "asia", "us")


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [
        ("eu:us", "is not written like eu:us=90"),
        ("eu:us=", "is not written like eu:us=90"),
        ("eu=90", "does not name two regions"),
        ("eu:=90", "does not name two regions"),
        ("eu:eu=0", "does not name two regions"),
        (":us=90", "names no region"),
        ("eu:us:asia=90", "names no region"),
        ("eu west:us=90", "names no region"),
        ("eu:us=far", "does not end with a number of milliseconds"),
        ("eu:us=-1", "does not end with a number of milliseconds"),
        ("eu:us=nan", "does not end with a number of milliseconds"),
        ("eu:us=inf", "does not end with a number of milliseconds"),
    ],
)
def test_distance_that_cannot_be_read_is_named(entry: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint) as refused:
        Distances.read([entry])
    assert entry in str(refused.value)


@pytest.mark.parametrize(
    ("read", "entries"),
    [
        (Distances.read, ["eu:us=90", "eu:us=100"]),
        (NetworkRegions.read, ["10.0.0.0/8=eu", "10.0.0.0/8=us"]),
        (RegionNames.read, ["DE=eu", "de=us"]),
    ],
)
def test_two_entries_about_the_same_are_refused(read: object, entries: list[str]) -> None:
    with pytest.raises(ValueError, match="take one of the two out"):
        read(entries)  # type: ignore[operator]


NETWORKS = NetworkRegions.read(
    ["10.0.0.0/8=eu", "10.1.0.0/16=us", "10.1.2.3/32=asia", "2001:db8::/32=us", "2001:db8:1::/48=eu", "192.0.2.0/24=us"]
)


@pytest.mark.parametrize(
    ("address", "region"),
    [
        ("10.200.0.1", "eu"),
        ("10.1.9.9", "us"),
        ("10.1.2.3", "asia"),
        ("10.1.2.4", "us"),
        ("11.0.0.1", None),
        ("2001:db8::1", "us"),
        ("2001:db8:1::1", "eu"),
        ("2001:db9::1", None),
        ("::ffff:10.1.2.3", "asia"),
        # The same number as 192.0.2.7, and not the same address.
        ("::c000:207", None),
    ],
)
def test_the_smallest_network_that_holds_an_address_says_its_region(address: str, region: str | None) -> None:
    assert NETWORKS.region_of(ip_address(address)) == region


def test_network_of_all_addresses_holds_those_of_its_version() -> None:
    networks = NetworkRegions.read(["0.0.0.0/0=eu"])
    assert (networks.region_of(ip_address("192.0.2.1")), networks.region_of(ip_address("2001:db8::1"))) == ("eu", None)


@pytest.mark.parametrize("entry", ["10.0.0.1/8=eu", "10.0.0.0/40=eu", "eu", "lms.example=eu", "10.0.0.0/8=", "10.0.0.0/8=e u"])
def test_network_that_cannot_be_read_is_named(entry: str) -> None:
    with pytest.raises(ValueError, match=r"is not written|does not begin|names no region") as refused:
        NetworkRegions.read([entry])
    assert entry in str(refused.value)


def test_code_stands_for_its_region_in_any_case_of_letters() -> None:
    names = RegionNames.read(["DE=eu", "us=us-east"])
    assert [names.region_of(code, ()) for code in ("de", "DE", "US", "FR", "", None)] == ["eu", "eu", "us-east", None, None, None]


def test_code_that_is_not_named_may_be_a_known_region() -> None:
    names = RegionNames.read(["DE=eu", "*=far"])
    assert [names.region_of(code, {"us", "DE"}) for code in ("us", "DE", "moon", None)] == ["us", "eu", "far", "far"]


def test_region_has_a_name_that_the_settings_can_say() -> None:
    assert (checked_region(" eu-west.1 "), checked_region("Zürich"), checked_region("  ")) == ("eu-west.1", "Zürich", None)
    for name in ("eu west", "eu,us", "eu:us", "eu=us", "*", "e" * 101):
        with pytest.raises(InvalidRegion, match="cannot be a region"):
            checked_region(name)
