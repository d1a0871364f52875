"""Regions of the settings and tenants beside those of the servers."""

from pathlib import Path
from typing import Any

import pytest

from meetingpool.domain.servers import Server, ServerId
from meetingpool.domain.tenants import Tenant
from meetingpool.operations.diagnose_regions import diagnose_country_file, diagnose_regions
from meetingpool.operations.diagnosis import Severity
from meetingpool.settings import Settings, all_settings
from tests.mmdb import of_country, write_mmdb

READERS = {setting.name: setting.read for setting in all_settings()}
LATENCY, NETWORKS, NAMES = (f"MEETINGPOOL_REGION_{name}" for name in ("LATENCY", "NETWORKS", "NAMES"))


def servers_in(*regions: str | None) -> list[Server]:
    return [
        Server(id=ServerId(f"bbb{number}"), url="https://bbb.example/", secret="s", region=region)
        for number, region in enumerate(regions, 1)
    ]


def told(regions: list[str | None], *, tenant: str | None = None, **given: str) -> dict[str, str]:
    """What is found, by what it is about; all of it notes, with advice."""
    settings = Settings(**{name: READERS[name](text) for name, text in given.items()})
    tenants = [Tenant(id="id-of-school", name="school", secrets=("s",), region=tenant)]
    found = list(diagnose_regions(settings, servers_in(*regions), tenants))
    assert all(finding.severity is Severity.NOTE and finding.advice for finding in found)
    assert len({finding.subject for finding in found}) == len(found)
    return {finding.subject: finding.detail for finding in found}


@pytest.mark.parametrize(
    ("regions", "given"),
    [
        ([], {}),
        ([None, None], {}),
        (["eu", "eu", "us"], {}),
        (["eu", "us"], {"region_networks": "10.0.0.0/8=eu", "region_names": "US=us"}),
        (["eu", "us", "asia"], {"region_latency": "eu:us=90,asia:eu=180,us:asia=150"}),
        (["eu", "us"], {"region_latency": "africa:eu=90,africa:us=180", "region_names": "ZA=africa"}),
    ],
)
def test_what_fits_together_is_not_mentioned(regions: list[str | None], given: dict[str, str]) -> None:
    assert told(regions, **given) == {}


def test_regions_that_no_server_has_are_named() -> None:
    found = told(
        ["eu", "us"], tenant="moon", region_latency="eu:us=90,eu:sun=1", region_networks="10.0.0.0/8=mars", region_names="US=us"
    )
    unknown = "no server is in {}, and how far others are is not known"
    assert found == {NETWORKS: unknown.format("mars"), "tenant school": unknown.format("moon"), LATENCY: "no server is in sun"}


def test_distances_that_are_not_known_are_named_from_three_regions_on() -> None:
    assert told(["eu", "us"]) == {}
    assert told(["eu", "us", "asia"], region_latency="us:eu=90,eu:asia=180") == {
        LATENCY: "it does not say how far these are: asia:us; where it does not, the order of names decides"
    }
    assert ": a:b, a:c, a:d, a:e, b:c, b:d, 4 more; " in told(["a", "b", "c", "d", "e"])[LATENCY]


def test_servers_without_a_region_are_named_where_others_have_one() -> None:
    assert told(["eu", None, None]) == {"servers": "bbb2, bbb3 without a region, taken last when a meeting belongs to one"}


def test_all_counts_for_nothing_where_no_server_has_a_region() -> None:
    found = told([None], tenant="eu", region_latency="eu:us=90", region_networks="10.0.0.0/8=eu")
    assert found == dict.fromkeys([LATENCY, NETWORKS, "tenant school"], "no server has a region, so this counts for nothing")


def test_file_of_countries_is_tried(tmp_path: Path) -> None:
    def found(**given: Any) -> list[tuple[Severity, str]]:
        return [(each.severity, each.detail) for each in diagnose_country_file(Settings(data_dir=tmp_path, **given))]

    file = tmp_path / "countries.mmdb"
    assert found() == []
    [(severity, detail)] = found(region_mmdb=file)
    assert (severity, "cannot be read (No such file or directory)" in detail) == (Severity.PROBLEM, True)
    write_mmdb(file, {"203.0.113.0/24": of_country("DE")})
    assert found(region_mmdb=file) == [(Severity.OK, f"{file} can be read")]
