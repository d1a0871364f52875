"""Names are looked up aside, remembered for a while, and for a while longer when the resolver does not answer."""

import asyncio
from collections.abc import Iterator
from threading import Event

import pytest

from meetingpool.bbb import names as names_module
from meetingpool.bbb.names import FRESH, USABLE, Addresses, Names, resolve

# Longer than any look-up here takes, in seconds.
SOON = 5.0


class ManualClock:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def epoch(self) -> float:
        return self.now


class Resolver:
    """Answers as it is told: with addresses, an error, or not until it is released."""

    def __init__(self) -> None:
        self.answers: dict[str, Addresses | OSError] = {}
        self.asked: list[str] = []
        self.released = Event()
        self.hangs_on: set[str] = set()

    def __call__(self, host: str) -> Addresses:
        self.asked.append(host)
        if host in self.hangs_on:
            self.released.wait(30)
        answer = self.answers[host]
        if isinstance(answer, OSError):
            raise answer
        return answer


@pytest.fixture
def resolver() -> Iterator[Resolver]:
    resolver = Resolver()
    yield resolver
    resolver.released.set()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def names(resolver: Resolver, clock: ManualClock) -> Names:
    return Names(asyncio.get_running_loop(), clock, resolver)


@pytest.mark.parametrize("address", ["192.0.2.1", "::1", "2001:db8::1"])
async def test_address_is_not_looked_up(names: Names, resolver: Resolver, address: str) -> None:
    assert await names.addresses(address, SOON) == (address,)
    assert resolver.asked == []


async def test_system_resolves_a_name() -> None:
    assert set(resolve("localhost")) & {"127.0.0.1", "::1"}


async def test_addresses_are_remembered_for_a_minute(names: Names, resolver: Resolver, clock: ManualClock) -> None:
    resolver.answers["one.test"] = ("192.0.2.1", "192.0.2.2")
    assert await names.addresses("one.test", SOON) == ("192.0.2.1", "192.0.2.2")
    resolver.answers["one.test"] = ("192.0.2.3",)

    clock.now += FRESH - 1
    assert await names.addresses("one.test", SOON) == ("192.0.2.1", "192.0.2.2")
    clock.now += 1
    assert await names.addresses("one.test", SOON) == ("192.0.2.3",)
    assert resolver.asked == ["one.test"] * 2


async def test_name_is_looked_up_once_for_all_who_wait(names: Names, resolver: Resolver) -> None:
    resolver.answers["one.test"] = ("192.0.2.1",)

    found = await asyncio.gather(*(names.addresses("one.test", SOON) for _ in range(5)))

    assert found == [("192.0.2.1",)] * 5
    assert resolver.asked == ["one.test"]


async def test_old_addresses_serve_for_another_minute_when_the_resolver_fails(
    names: Names, resolver: Resolver, clock: ManualClock
) -> None:
    resolver.answers["one.test"] = ("192.0.2.1",)
    await names.addresses("one.test", SOON)
    resolver.answers["one.test"] = OSError("resolver is away")

    clock.now += USABLE - 1
    assert await names.addresses("one.test", SOON) == ("192.0.2.1",)
    clock.now += 1
    with pytest.raises(OSError, match="resolver is away"):
        await names.addresses("one.test", SOON)


async def test_old_addresses_serve_when_the_resolver_hangs(
    names: Names, resolver: Resolver, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(names_module, "PATIENCE", 0.01)
    resolver.answers["one.test"] = ("192.0.2.1",)
    await names.addresses("one.test", SOON)
    resolver.hangs_on.add("one.test")

    clock.now += FRESH
    assert await names.addresses("one.test", SOON) == ("192.0.2.1",)
    assert await names.addresses("one.test", SOON) == ("192.0.2.1",)
    assert resolver.asked == ["one.test"] * 2


async def test_names_that_hang_hold_up_no_other(names: Names, resolver: Resolver) -> None:
    slow = [f"slow-{number}.test" for number in range(40)]
    resolver.hangs_on.update(slow)
    resolver.answers.update(dict.fromkeys([*slow, "one.test"], ("192.0.2.1",)))
    waiting = [asyncio.create_task(names.addresses(name, SOON)) for name in slow]
    await asyncio.sleep(0)

    assert await names.addresses("one.test", SOON) == ("192.0.2.1",)
    assert not any(task.done() for task in waiting)

    resolver.released.set()
    assert await asyncio.gather(*waiting) == [("192.0.2.1",)] * 40


async def test_look_up_that_takes_too_long_is_given_up_and_its_answer_used_later(names: Names, resolver: Resolver) -> None:
    resolver.answers["one.test"] = ("192.0.2.1",)
    resolver.hangs_on.add("one.test")

    with pytest.raises(TimeoutError):
        await names.addresses("one.test", 0.01)
    impatient = asyncio.create_task(names.addresses("one.test", SOON))
    await asyncio.sleep(0)
    impatient.cancel()
    patient = asyncio.create_task(names.addresses("one.test", SOON))
    await asyncio.sleep(0)
    resolver.released.set()

    assert await patient == ("192.0.2.1",)
    assert impatient.cancelled()
    assert resolver.asked == ["one.test"]


async def test_name_without_an_address_is_an_error(names: Names, resolver: Resolver) -> None:
    resolver.answers["one.test"] = ()

    with pytest.raises(OSError, match="no address"):
        await names.addresses("one.test", SOON)


def test_look_up_that_outlives_its_event_loop_says_nothing(resolver: Resolver) -> None:
    resolver.answers["one.test"] = ("192.0.2.1",)
    resolver.hangs_on.add("one.test")

    async def ask() -> None:
        with pytest.raises(TimeoutError):
            await Names(asyncio.get_running_loop(), ManualClock(), resolver).addresses("one.test", 0.01)

    asyncio.run(ask())
    resolver.released.set()
