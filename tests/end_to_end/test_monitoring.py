"""What is delivered for Prometheus and Grafana asks for what there is; several processes of a gateway are watched as one."""

import asyncio
import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import promql_parser
import pytest
import yaml

from meetingpool.bbb.client import signed_url
from meetingpool.database.imports import note_look
from tests.end_to_end.canaries import PATIENCE, process
from tests.end_to_end.processes import GatewayProcess, free_port, gateway_process, start_gateway
from tests.keys import SECRET_KEY
from tests.metrics import Scrape
from tests.pool import SECRET, RunningPool

ROOT = Path(__file__).parents[2]

# What Prometheus adds to all that it reads, and what it knows of each target by itself.
ADDED = {"job", "instance"}
OF_PROMETHEUS = {"up"}
VARIABLES = {"$job": "meetingpool", "$server": ".*", "$__rate_interval": "5m"}


def alerts() -> dict[str, str]:
    """The expressions of all alert rules by their names."""
    rules = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text())
    return {rule["alert"]: rule["expr"] for group in rules["groups"] for rule in group["rules"]}


def panels() -> dict[str, str]:
    """The expressions of all panels, with values in place of the dashboard's variables."""
    found = {}
    for panel in json.loads((ROOT / "deploy/grafana/meetingpool.json").read_text())["panels"]:
        for target in panel.get("targets", ()):
            expression = target["expr"]
            for variable, value in VARIABLES.items():
                expression = expression.replace(variable, value)
            found[f"{panel['title']} {target['refId']}"] = expression
    return found


EXPRESSIONS = {**alerts(), **panels()}


def nodes(expression: str) -> list[Any]:
    """All parts of an expression. Raises ValueError when it is none."""
    found: list[Any] = []
    promql_parser.walk(promql_parser.parse(expression), found.append)
    return found


def selectors(expression: str) -> Iterator[promql_parser.VectorSelector]:
    return (node for node in nodes(expression) if isinstance(node, promql_parser.VectorSelector))


def grouping_labels(expression: str) -> Iterator[str]:
    for node in nodes(expression):
        if isinstance(node, promql_parser.AggregateExpr) and node.modifier:
            yield from node.modifier.labels
        if isinstance(node, promql_parser.BinaryExpr) and node.modifier and node.modifier.matching:
            yield from node.modifier.matching.labels


async def scraped(gateway: GatewayProcess) -> Scrape:
    async with httpx.AsyncClient(trust_env=False) as client:
        response = await client.get(f"{gateway.origin}/metrics")
    assert response.status_code == 200
    return Scrape(response.text)


async def ask(gateway: GatewayProcess, call: str, *parameters: tuple[str, str]) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.get(signed_url(gateway.endpoint, SECRET, call, parameters))


async def kill(gateway: GatewayProcess) -> None:
    gateway.process.send_signal(signal.SIGKILL)
    await gateway.process.wait()


@pytest.fixture
async def scrape(pool: RunningPool, database_url: str, tmp_path: Path) -> Scrape:
    """Of a pool in which everything has happened that metrics tell of, by a gateway with a poller beside it."""
    await pool.change_server(pool.fleet.servers[0], region="eu")
    async with pool.database.transaction() as connection:
        await note_look(connection, tmp_path, 0)
    environment = {"MEETINGPOOL_DATABASE_URL": database_url, "MEETINGPOOL_DATA_DIR": str(tmp_path), "POLL_INTERVAL": "1"}
    async with (
        gateway_process(database_url, MEETINGPOOL_DATA_DIR=str(tmp_path)) as gateway,
        process("poller", tmp_path, environment | {"MEETINGPOOL_SECRET_KEY": SECRET_KEY}),
    ):
        assert b"SUCCESS" in (await ask(gateway, "create", ("meetingID", "room"), ("name", "A room"))).content
        async with asyncio.timeout(PATIENCE):
            while not {"create", "getMeetings"} <= values_of(
                scrape := await scraped(gateway), "meetingpool_upstream_seconds_count", "call"
            ):
                await asyncio.sleep(0.1)
        return scrape


async def test_what_the_poller_beside_a_gateway_counts_is_shown_there(scrape: Scrape, pool: RunningPool) -> None:
    assert scrape("meetingpool_processes", process="poller") == 1
    assert sum(scrape.samples[key] for key in scrape.samples if key[0] == "meetingpool_is_leader") == 1
    assert values_of(scrape, "meetingpool_upstream_seconds_count", "server") <= {server.name for server in pool.fleet.servers}
    assert "create" in values_of(scrape, "meetingpool_upstream_seconds_count", "call")


async def test_alerts_and_panels_ask_for_what_a_gateway_shows(scrape: Scrape) -> None:
    shown = scrape.names | OF_PROMETHEUS
    for title, expression in EXPRESSIONS.items():
        used = list(selectors(expression))
        assert used, title
        assert {selector.name for selector in used} <= shown, title
        known = set().union(ADDED, *(scrape.labels_of(str(selector.name)) for selector in used))
        assert set(grouping_labels(expression)) <= known, title
        for selector in used:
            for matcher in selector.matchers.matchers:
                if matcher.name not in ADDED and matcher.value not in (".*", ""):
                    values = values_of(scrape, str(selector.name), matcher.name)
                    assert set(matcher.value.split("|")) <= values, f"{title}: {matcher}"


def values_of(scrape: Scrape, name: str, label: str) -> set[str]:
    return {value for shown, labels in scrape.samples if shown == name for each, value in labels if each == label}


def test_every_alert_says_what_happened_and_what_to_do() -> None:
    rules = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text())["groups"][0]["rules"]
    assert len({rule["alert"] for rule in rules}) == len(rules) > 10
    page = (ROOT / "docs/monitoring.md").read_text()
    for rule in rules:
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["action"]
        assert f"`{rule['alert']}`" in page, rule["alert"]


def test_panels_are_found_on_the_dashboard_without_overlapping() -> None:
    board = json.loads((ROOT / "deploy/grafana/meetingpool.json").read_text())
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert max(x for x, _ in cells) < 24
        assert not cells & taken, panel["title"]
        taken |= cells
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


async def test_what_several_processes_count_is_shown_by_each_and_never_less_than_before(
    pool: RunningPool, database_url: str, tmp_path: Path
) -> None:
    directory = str(tmp_path)
    async with (
        gateway_process(database_url, MEETINGPOOL_DATA_DIR=directory) as first,
        gateway_process(database_url, MEETINGPOOL_DATA_DIR=directory) as second,
    ):
        for gateway, calls in ((first, 3), (second, 5)):
            for _ in range(calls):
                await ask(gateway, "getMeetings")
        before = await scraped(first)
        assert (await scraped(second)).counters == before.counters
        assert before("meetingpool_requests_total", call="getMeetings", outcome="ok") == 8
        assert before("meetingpool_processes", process="gateway") == 2

        await kill(second)
        alone = await scraped(first)
        assert alone.counters == before.counters
        assert alone("meetingpool_processes", process="gateway") == 1

        third = await start_gateway(database_url, free_port(), MEETINGPOOL_DATA_DIR=directory)
        await ask(third, "getMeetings")
        after = await scraped(first)
        await kill(third)
        assert after("meetingpool_requests_total", call="getMeetings", outcome="ok") == 9
        assert all(after.counters[key] >= value for key, value in before.counters.items())
