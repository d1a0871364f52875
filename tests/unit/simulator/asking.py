"""A simulated server without a socket, on a clock that stands still, and the way to ask it."""

from dataclasses import dataclass
from random import Random

from meetingpool.bbb.answers import Answer, read_answer
from meetingpool.bbb.checksum import sign
from meetingpool.bbb.query import encode
from simulator import api
from simulator.replies import Reply
from simulator.requests import Request
from simulator.server import SimulatedServer

SECRET = "a secret"


@dataclass
class ManualClock:
    seconds: float = 0.0
    started_at: float = 1_700_000_000.0

    def monotonic(self) -> float:
        return self.seconds

    def epoch(self) -> float:
        return self.started_at + self.seconds


def make_server(clock: ManualClock | None = None) -> SimulatedServer:
    return SimulatedServer(
        name="server-1",
        secret=SECRET,
        origin="http://server-1.example",
        clock=clock or ManualClock(),
        random=Random(7),
        version="3.0.19",
    )


def signed_query(call: str, **parameters: str) -> bytes:
    query = encode(parameters.items())
    return f"{query}&checksum={sign(call, query.encode(), SECRET)}".encode()


def reply_to(server: SimulatedServer, call: str, **parameters: str) -> Reply:
    request = Request("GET", f"/bigbluebutton/api/{call}", signed_query(call, **parameters))
    return api.answer(server, call, request)


def ask(server: SimulatedServer, call: str, **parameters: str) -> Answer:
    reply = reply_to(server, call, **parameters)
    assert reply.status == 200
    return read_answer(reply.body)


def create(server: SimulatedServer, meeting_id: str = "room", **parameters: str) -> Answer:
    return ask(server, "create", name="A room", meetingID=meeting_id, **parameters)


def children(answer: Answer) -> list[str]:
    return [str(child.tag) for child in answer.root]
