"""The document of the management API says what is so: requests that are made from it are answered as it says.

The requests are the same in every run. There is a real gateway on a port, and a real database.
"""

import asyncio
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
import uvicorn
from hypothesis import HealthCheck, settings
from schemathesis import Case
from schemathesis.checks import allow_header_conformance, positive_data_acceptance

from gateway.management_api.openapi import described
from tests.databases import cloned_database
from tests.management import managed_pool

EXAMPLES = 5
# In seconds.
PATIENCE = 60.0

# A stream begins, and never ends.
schema = schemathesis.openapi.from_dict(described()).exclude(path="/events")
# Not all that a schema allows can be done: an address may be no address, a rule no rule.
EXCLUDED = [positive_data_acceptance]


class RunningApi:
    """The management API on a port of its own, until `stop`; everything of it lives in a thread."""

    def __init__(self, template_url: str, directory: Path) -> None:
        self.url = ""
        self.token = ""
        self._template_url = template_url
        self._directory = directory
        self._started = threading.Event()
        self._server: uvicorn.Server | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    def start(self) -> None:
        self._thread.start()
        assert self._started.wait(PATIENCE)

    def stop(self) -> None:
        if self._server:
            self._server.should_exit = True
        self._thread.join(PATIENCE)

    async def _serve(self) -> None:
        async with (
            cloned_database(self._template_url) as database_url,
            managed_pool(database_url, self._directory, failed_checksums_per_minute=1_000_000) as managed,
        ):
            app = managed.pool.application(managed.gateway)
            self._server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_config=None))
            with socket.create_server(("127.0.0.1", 0)) as listener:
                self.url = f"http://127.0.0.1:{listener.getsockname()[1]}/api/v1"
                self.token = managed.tokens["admin"]
                self._started.set()
                await self._server.serve(sockets=[listener])


@pytest.fixture(scope="module")
def api(template_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApi]:
    running = RunningApi(template_url, tmp_path_factory.mktemp("managed"))
    running.start()
    try:
        yield running
    finally:
        running.stop()


@schema.parametrize()
@settings(max_examples=EXAMPLES, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
def test_what_is_asked_by_the_document_is_answered_as_it_says(case: Case[Any], api: RunningApi) -> None:
    if isinstance(case.body, dict) and case.body.get("enable") is True:
        # It would be polled, wherever it is.
        case.body["enable"] = False
    # A meeting may be called end, so there is more to be done at this address.
    excluded = [*EXCLUDED, allow_header_conformance] if case.path == "/meetings/end" else EXCLUDED
    case.call_and_validate(api.url, headers={"Authorization": f"Bearer {api.token}"}, excluded_checks=excluded)
