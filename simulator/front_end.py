"""Plays a scenario against any BBB API as a front end and its people would: create, join through the redirects, leave.

Started by `python -m simulator` beside the servers, or against a pool elsewhere. A call that fails is counted and logged in one
line; the scenario goes on.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Iterable
from itertools import count
from random import Random
from typing import TypeVar
from urllib.parse import parse_qs, urlsplit

from meetingpool.bbb.client import Client, Reply, signed_url
from meetingpool.bbb.errors import ServerFailure
from simulator.scenario import PlannedMeeting, PlannedPerson, Scenario, plan_round

CALL_SECONDS = 15.0
MAX_REDIRECTS = 5

_Result = TypeVar("_Result")
_log = logging.getLogger(__name__)


class CallFailed(Exception):
    """The endpoint or a server did not do what was asked."""


class FrontEnd:
    """`counts` holds how often each thing was done, and how often it failed."""

    def __init__(
        self, client: Client, *, endpoint: str, secret: str, scenario: Scenario, speed: float = 1.0, seed: int = 1
    ) -> None:
        """`endpoint` is the address of the API; with `speed` 10 an hour of the scenario takes six minutes."""
        self._client = client
        self._endpoint = endpoint
        self._secret = secret
        self._scenario = scenario
        self._speed = speed
        self._seed = seed
        self.counts: Counter[str] = Counter()

    async def play(self) -> None:
        """Plays one round, or rounds without end for a scenario that repeats; a round may outlast its successor's start."""
        async with asyncio.TaskGroup() as rounds:
            for number in count():
                rounds.create_task(self._play_round(number))
                if not self._scenario.repeat_every:
                    break
                await self._sleep(self._scenario.repeat_every)

    async def _play_round(self, number: int) -> None:
        started_at = self._now()
        async with asyncio.TaskGroup() as meetings:
            for meeting in plan_round(self._scenario, Random(f"{self._seed}-{number}")):
                await self._sleep_until(started_at + meeting.starts_at)
                meetings.create_task(self._play_meeting(meeting, started_at))

    async def _play_meeting(self, meeting: PlannedMeeting, started_at: float) -> None:
        if await self._counted("create", self._create(meeting), meeting.meeting_id) is None:
            return
        async with asyncio.TaskGroup() as people:
            for person in meeting.people:
                people.create_task(self._play_person(meeting, person, started_at))
        if meeting.end_when_empty:
            await self._counted("end", self._end(meeting), meeting.meeting_id)

    async def _play_person(self, meeting: PlannedMeeting, person: PlannedPerson, started_at: float) -> None:
        await self._sleep_until(started_at + person.joins_at)
        client_url = await self._counted("join", self._join(meeting, person), meeting.meeting_id)
        if client_url is None:
            return
        await self._sleep_until(started_at + person.leaves_at)
        await self._counted("leave", self._leave(client_url), meeting.meeting_id)

    async def _create(self, meeting: PlannedMeeting) -> Reply:
        attendee_password, moderator_password = _passwords(meeting)
        recording = (("record", "true"), ("autoStartRecording", "true")) if meeting.is_recorded else ()
        return await self._call(
            "create",
            (
                ("name", meeting.name),
                ("meetingID", meeting.meeting_id),
                ("attendeePW", attendee_password),
                ("moderatorPW", moderator_password),
                *recording,
            ),
        )

    async def _end(self, meeting: PlannedMeeting) -> Reply:
        return await self._call("end", (("meetingID", meeting.meeting_id), ("password", _passwords(meeting)[1])))

    async def _join(self, meeting: PlannedMeeting, person: PlannedPerson) -> str:
        """Follows the join from the endpoint to the server and on to the client, as a browser does; returns where it ended."""
        url = signed_url(
            self._endpoint,
            self._secret,
            "join",
            (
                ("fullName", person.full_name),
                ("meetingID", meeting.meeting_id),
                ("role", "MODERATOR" if person.is_moderator else "VIEWER"),
                ("userID", person.user_id),
            ),
        )
        for _ in range(MAX_REDIRECTS):
            reply = await self._client.get(url, deadline=CALL_SECONDS)
            if reply.location is None:
                break
            url = reply.location
        if reply.status != 200 or _session_token(url) is None:
            raise CallFailed(_reason(reply))
        return url

    async def _leave(self, client_url: str) -> Reply:
        parts = urlsplit(client_url)
        url = f"{parts.scheme}://{parts.netloc}/bigbluebutton/api/signOut?sessionToken={_session_token(client_url)}"
        return _successful(await self._client.get(url, deadline=CALL_SECONDS))

    async def _call(self, call: str, parameters: Iterable[tuple[str, str]]) -> Reply:
        url = signed_url(self._endpoint, self._secret, call, parameters)
        return _successful(await self._client.get(url, deadline=CALL_SECONDS))

    async def _counted(self, action: str, work: Awaitable[_Result], meeting_id: str) -> _Result | None:
        """What `work` returns, or None when it failed."""
        try:
            result = await work
        except (ServerFailure, CallFailed) as error:
            self.counts[f"{action}_failed"] += 1
            _log.warning("front_end_%s_failed meeting=%s reason=%s", action, meeting_id, error)
            return None
        self.counts[action] += 1
        return result

    def _now(self) -> float:
        """Scenario time: seconds that pass `speed` times as fast."""
        return asyncio.get_running_loop().time() * self._speed

    async def _sleep_until(self, moment: float) -> None:
        await self._sleep(moment - self._now())

    async def _sleep(self, seconds: float) -> None:
        if seconds > 0:
            await asyncio.sleep(seconds / self._speed)


def _passwords(meeting: PlannedMeeting) -> tuple[str, str]:
    # The same in every round: a server refuses a repeated create with other passwords.
    return f"attendee-{meeting.meeting_id}", f"moderator-{meeting.meeting_id}"


def _session_token(url: str) -> str | None:
    return next(iter(parse_qs(urlsplit(url).query).get("sessionToken", [])), None)


def _successful(reply: Reply) -> Reply:
    if reply.status != 200 or b"<returncode>SUCCESS</returncode>" not in reply.body:
        raise CallFailed(_reason(reply))
    return reply


def _reason(reply: Reply) -> str:
    _, _, rest = reply.body.partition(b"<messageKey>")
    key = rest.partition(b"</messageKey>")[0][:64].decode(errors="replace")
    return f"status {reply.status}, messageKey {key!r}"
