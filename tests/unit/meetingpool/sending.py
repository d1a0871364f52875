"""Sending to names that stand for what a test says."""

from collections.abc import Iterable
from typing import Any

from meetingpool.outward.client import Outward, OutwardReply, OutwardRequest
from tests.unit.meetingpool.receivers import Answer, receiving

LOOPBACK = ["127.0.0.0/8"]

# Names that tests use, and what they stand for. Every other name stands for nothing.
NAMES = {
    "callback.example": ["127.0.0.1"],
    "xn--bcher-kva.example": ["127.0.0.1"],
    "private.example": ["10.0.0.1"],
    "metadata.example": ["169.254.169.254"],
    "half-private.example": ["192.0.2.1", "127.0.0.1"],
    "public-and-private.example": ["8.8.8.8", "127.0.0.1"],
    "mapped.example": ["::ffff:127.0.0.1"],
    "loopback6.example": ["::1"],
    "unspecified.example": ["0.0.0.0"],  # noqa: S104
    "scoped.example": ["fe80::1%1"],
}


class Names:
    """Looks up names, the same one with another result each time if a test wants it so."""

    def __init__(self, **answers: Iterable[list[str]]) -> None:
        self.asked: list[str] = []
        self._answers = {name.replace("_", "."): iter(lists) for name, lists in answers.items()}

    async def __call__(self, host: str, port: int) -> list[str]:  # noqa: ARG002
        self.asked.append(host)
        return next(self._answers[host]) if host in self._answers else NAMES.get(host, [])


def post(url: str, **values: Any) -> OutwardRequest:
    return OutwardRequest(method="POST", url=url, **values)


async def send(request: OutwardRequest | str, *, allowed: Iterable[str] = LOOPBACK, **options: Any) -> OutwardReply:
    options.setdefault("resolve", Names())
    async with Outward(allowed=list(allowed), **options) as outward:
        return await outward.send(post(request) if isinstance(request, str) else request)


async def reply_of(answer: Answer, **options: Any) -> OutwardReply:
    async with receiving(answer) as receiver:
        return await send(f"http://callback.example:{receiver.port}/", **options)
