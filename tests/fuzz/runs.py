"""One run: a pool, a gateway, and request after request until enough were sent or enough is wrong."""

import gc
import random
import re
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from meetingpool.database.tenants import insert_tenant
from meetingpool.domain.callbacks import PATH
from meetingpool.domain.tenants import Tenant
from meetingpool.logs import redact
from tests.fuzz.mutations import mutated
from tests.fuzz.seeds import SECRET_OF_TENANT, Corpus
from tests.fuzz.verdicts import CPU_SECONDS, SECONDS, complaints, kind_of
from tests.integration.gateway.test_pool_view import until
from tests.logs import Event, captured_logs
from tests.pool import SECRET
from tests.stepped import SteppedPool, stepped_pool
from tests.wire import Request, exchange

ENOUGH_FAILURES = 10
REQUESTS_PER_POLL = 1000
CALLBACKS_KEPT = 200


@dataclass(frozen=True, slots=True)
class Failure:
    """`number` tells which request of the run with this seed it was, the first of its kind; it may take those before it."""

    seed: int
    number: int
    request: bytes
    complaint: str

    @property
    def kind(self) -> str:
        return re.sub(r"0x[0-9a-f]+|[0-9]+", "", self.complaint)[:100]

    def __str__(self) -> str:
        return f"seed {self.seed}, request {self.number}: {self.complaint}\n  {self.request!r}"


@dataclass(slots=True)
class Outcome:
    """Answers by their kind, and what was wrong."""

    answers: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)
    seconds: float = 0.0

    def note(self, failure: Failure) -> None:
        """Keeps one of each kind."""
        if failure.kind not in [known.kind for known in self.failures]:
            self.failures.append(failure)

    def add(self, other: "Outcome") -> None:
        self.answers += other.answers
        for failure in other.failures:
            self.note(failure)

    def __str__(self) -> str:
        total = sum(self.answers.values())
        counts = [f"{count:>10}  {kind}" for kind, count in self.answers.most_common()]
        speed = f"{total} requests in {self.seconds:.0f} s, {len(self.failures)} failures"
        return "\n".join([*counts, *map(str, self.failures), speed])


def run(template_url: str, seed: int, requests: int) -> Outcome:
    """Sends so many requests. With an odd `seed` the front ends are tenants."""
    # What other tests left in this process is large, and to look through it for garbage is no request's work.
    gc.collect()
    gc.freeze()
    settings: dict[str, Any] = {"multitenancy_enabled": seed % 2 == 1, "fsapi_password": "fsapi-password"}
    if seed % 2 == 0:
        settings["loadbalancer_secrets"] = SECRET_OF_TENANT.decode()
    with (
        stepped_pool(template_url, servers=2, public_url="http://pool.example", **settings) as stepped,
        captured_logs() as logged,
    ):
        stepped.run(_add_tenant(stepped))
        return stepped.run(_Run(stepped, seed, logged).send(requests))


async def _add_tenant(stepped: SteppedPool) -> None:
    async with stepped.pool.database.transaction() as connection:
        await insert_tenant(connection, Tenant(id="a", name="a", secrets=(SECRET_OF_TENANT.decode(),)))
    if stepped.gateway.tenants.are_many:
        await until(lambda: stepped.gateway.tenants.named("a") is not None)


class _Run:
    def __init__(self, stepped: SteppedPool, seed: int, logged: list[Event]) -> None:
        self._stepped = stepped
        self._seed = seed
        self._logged = logged
        self._random = random.Random(seed)
        self._corpus = Corpus(self._random)
        self._outcome = Outcome()
        self._secrets = [SECRET.encode(), *(server.secret.encode() for server in stepped.pool.fleet.servers)]

    async def send(self, requests: int) -> Outcome:
        began = time.monotonic()
        for number in range(requests):
            if number % REQUESTS_PER_POLL == 0:
                await self._stepped.pool.poll()
                self._corpus.callbacks = self._callbacks()
            request = self._request()
            wrong = await self._wrong_with(request)
            for complaint in wrong:
                self._outcome.note(Failure(self._seed, number, request.as_sent(), complaint))
            if len(self._outcome.failures) >= ENOUGH_FAILURES:
                break
        self._outcome.seconds = time.monotonic() - began
        return self._outcome

    def _request(self) -> Request:
        request = mutated(self._corpus.seed(), self._random)
        if self._stepped.gateway.tenants.are_many and not any(name == b"host" for name, _ in request.headers):
            return replace(request, headers=(*request.headers, (b"host", b"a.pool.example")))
        return request

    async def _wrong_with(self, request: Request) -> list[str]:
        began, began_cpu = time.monotonic(), time.process_time()
        try:
            answer = await exchange(self._stepped.app, request)
        except Exception as error:  # noqa: BLE001
            return [f"{type(error).__name__}: {error}"]
        cpu, seconds = time.process_time() - began_cpu, time.monotonic() - began
        self._outcome.answers[kind_of(answer)] += 1
        slow = [f"it took {seconds:.2f} s, {cpu:.2f} s of the processor's"] if cpu > CPU_SECONDS or seconds > SECONDS else []
        return [*complaints(request, answer, self._secrets), *slow, *self._wrong_with_logs()]

    def _wrong_with_logs(self) -> list[str]:
        # As they would be written.
        events = [redact(event) for event in self._logged]
        self._logged.clear()
        secrets = [secret.decode() for secret in (*self._secrets, SECRET_OF_TENANT)]
        told = ["a secret is logged" for event in events for secret in secrets if secret in str(event)]
        return told + [f"it is logged: {event}" for event in events if event["level"] in ("error", "critical")]

    def _callbacks(self) -> list[bytes]:
        """The addresses that servers were given with the last creates."""
        given = [
            value
            for server in self._stepped.pool.fleet.servers
            for request in list(server.requests)[-CALLBACKS_KEPT:]
            for value in request.parameters.values()
            if PATH in value
        ]
        return [urlsplit(value).path.encode() for value in given[-CALLBACKS_KEPT:] if value.isascii()]
