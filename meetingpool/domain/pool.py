"""The pool as one process sees it: servers, meetings, and what this process has promised and not yet written.

Every gateway process keeps one, loaded from the database and kept current by notifications. It holds no connection and waits for
nothing, so a choice and its reservation happen in one step.
"""

import random
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import replace
from functools import partial
from hashlib import sha1

from meetingpool.domain.kept_room import KeptRoom
from meetingpool.domain.meetings import Meeting, MeetingKey, MeetingState
from meetingpool.domain.outlook import Outlook
from meetingpool.domain.placement import Choice, NoServerAvailable, PlacementRequest, PoolSize, choose_server
from meetingpool.domain.ranking import Ranking
from meetingpool.domain.server_limits import NO_LIMITS, Limits
from meetingpool.domain.servers import AdminState, Health, Server, ServerId

# So many meetings that are over are still known by their internal ids: what servers tell of them last comes late.
REMEMBERED = 2_000


class Pool:
    """Servers and meetings by their keys. `load` here is the database's figure plus what this process adds to it.

    `is_current`: whatever others commit is known here a moment later. False while the database is away. `rng` draws among servers
    that carry the same; `limits` are those of servers that have none of their own. `regions`: where there are servers;
    `kept`: what is upcoming, and on which servers there is to be room for it.
    """

    def __init__(self, rng: random.Random | None = None, limits: Limits = NO_LIMITS) -> None:
        self.is_current = False
        self.outlook = Outlook()
        self.kept = KeptRoom()
        self._limits = limits
        self._ranking = Ranking(rng or random.Random())  # noqa: S311
        self.servers: dict[ServerId, Server] = {}
        self.regions: frozenset[str] = frozenset()
        self.meetings: dict[MeetingKey, Meeting] = {}
        self._by_host_id: dict[tuple[ServerId, str], MeetingKey] = {}
        self._by_bridge: dict[str, MeetingKey] = {}
        self._gone: dict[MeetingKey, int] = {}
        self._by_internal_id: dict[tuple[ServerId, str], MeetingKey] = {}
        self._promised: dict[ServerId, float] = {}
        self._joined: dict[MeetingKey, int] = {}
        self._promised_meetings: Counter[ServerId] = Counter()
        self._refusing: set[ServerId] = set()
        self._meetings_on: Counter[ServerId] = Counter()
        self._changes: Counter[ServerId] = Counter()
        self._changes_of: Counter[str] = Counter()

    def load_of(self, server: Server) -> float:
        """By which it is compared with others."""
        return server.load + self._promised.get(server.id, 0.0) + server.handicap

    @property
    def size(self) -> PoolSize:
        return PoolSize(len(self._ranking), len(self.servers))

    def choose(self, request: PlacementRequest, *, avoid: Collection[ServerId]) -> Choice:
        """The server for a new meeting. One that refused a connection lately is taken only when there is no other."""
        kept = self.kept.beside(request.users, request.key) if self.kept else None
        choose = partial(choose_server, self._ranking, request, meetings=self._meetings_on, kept=kept)
        try:
            return choose(avoid={*avoid, *self._refusing})
        except NoServerAvailable:
            if not self._refusing:
                raise
            return choose(avoid=avoid)

    def foresee(self, outlook: Outlook) -> None:
        """What is foreseen from now on. Meetings that run are not upcoming."""
        self.outlook = outlook
        self.kept.expect(each for each in outlook.upcoming if each.key not in self.meetings)
        self.plan()

    def plan(self) -> None:
        """Lays out anew what is upcoming, by what servers carry now."""
        self.kept.plan(list(self._ranking))

    def promise(self, server_id: ServerId, load: float, meetings: int = 0) -> None:
        """Counts `load` and meetings on a server until they are written to the database; negative ones take the promise back."""
        self._promised_meetings[server_id] += meetings
        self._meetings_on[server_id] += meetings
        self._promised[server_id] = round(self._promised.get(server_id, 0.0) + load, 9)
        if server := self.servers.get(server_id):
            self._ranking.put(server, self.load_of(server))

    def note_join(self, meeting: Meeting) -> float:
        """Someone was sent to the meeting. Returns the load that is promised for it: those who are expected there count
        already."""
        joined = self._joined[meeting.key] = self._joined.get(meeting.key, 0) + 1
        server = self.servers.get(meeting.server_id)
        if server is None or joined <= meeting.expected_users:
            return 0.0
        self.promise(server.id, server.load_multiplier)
        return server.load_multiplier

    def server_refused(self, server_id: ServerId) -> None:
        """A connection was refused: new meetings avoid the server until a poll reaches it."""
        self._refusing.add(server_id)

    def replace_servers(self, servers: Iterable[Server]) -> None:
        gone = self.servers.keys()
        self.servers = {}
        for server in servers:
            self._put_server(self._limits.fill_in(server))
        for server_id in gone - self.servers.keys():
            self._ranking.drop(server_id)
        self._refusing &= self.servers.keys()
        self.regions = frozenset(server.region for server in self.servers.values() if server.region)

    def drop_server(self, server_id: ServerId) -> None:
        self.servers.pop(server_id, None)
        self._ranking.drop(server_id)

    def replace_meetings(self, meetings: Iterable[tuple[Meeting, str]]) -> None:
        """Takes the given meetings, each with its host id, for all there are."""
        self._gone.clear()
        self.meetings.clear()
        self._meetings_on = self._promised_meetings.copy()
        self._by_host_id.clear()
        self._by_bridge.clear()
        for meeting, host_id in meetings:
            self.put_meeting(meeting, host_id)
        self._joined = {key: joined for key, joined in self._joined.items() if key in self.meetings}

    def set_load(self, server_id: ServerId, load: float) -> None:
        if server := self.servers.get(server_id):
            self._put_server(replace(server, load=load))

    def set_status(self, server_id: ServerId, *, load: float | None, health: Health, admin_state: AdminState) -> None:
        """What the poller wrote of a server; a failed poll says nothing of the load."""
        if server := self.servers.get(server_id):
            load = server.load if load is None else load
            self._put_server(replace(server, load=load, health=health, admin_state=admin_state))

    def set_handicap(self, server_id: ServerId, handicap: float) -> None:
        """The poller let a server start slowly, or is done with that."""
        if server := self.servers.get(server_id):
            self._put_server(replace(server, handicap=handicap))

    def poll_reached(self, server_id: ServerId) -> None:
        self._refusing.discard(server_id)

    def put_meeting(self, meeting: Meeting, host_id: str) -> None:
        """Adds or changes a meeting, unless what is known is newer. That it is over may be known before that it began."""
        known = self.meetings.get(meeting.key)
        if meeting.generation <= self._gone.get(meeting.key, 0) or (known and _is_newer(known, meeting)):
            return
        if known is None:
            self.kept.began(meeting.key)
        else:
            self._by_host_id.pop((known.server_id, host_id), None)
            self._release_bridge(known)
            self._meetings_on[known.server_id] -= 1
        self._meetings_on[meeting.server_id] += 1
        if meeting != known:
            self._changes[meeting.server_id] += 1
            self._changes_of[meeting.key.tenant] += 1
        self.meetings[meeting.key] = meeting
        self._by_host_id[meeting.server_id, host_id] = meeting.key
        if meeting.voice_bridge:
            self._by_bridge[meeting.voice_bridge] = meeting.key
        self._remember(meeting, host_id)

    def forget_meeting(self, key: MeetingKey, generation: int, host_id: str) -> None:
        """Drops a meeting, unless it has been created again since."""
        self._gone[key] = max(generation, self._gone.pop(key, 0))
        if len(self._gone) > REMEMBERED:
            del self._gone[next(iter(self._gone))]
        known = self.meetings.get(key)
        if known and known.generation <= generation:
            del self.meetings[key]
            self._joined.pop(key, None)
            self._meetings_on[known.server_id] -= 1
            self._by_host_id.pop((known.server_id, host_id), None)
            self._release_bridge(known)
            self._changes[known.server_id] += 1
            self._changes_of[key.tenant] += 1

    def changes_on(self, server_id: ServerId) -> int:
        """Grows with every meeting of the server that is created, changed or forgotten."""
        return self._changes[server_id]

    def changes_of(self, tenant: str) -> int:
        """Grows with every meeting of the tenant that is created, changed or forgotten."""
        return self._changes_of[tenant]

    def meeting_on(self, server_id: ServerId, host_id: str) -> Meeting | None:
        """The meeting that `server_id` carries under `host_id`; None for a copy that was re-assigned, or a stranger."""
        key = self._by_host_id.get((server_id, host_id))
        return self.meetings.get(key) if key else None

    def meeting_was_on(self, server_id: ServerId, internal_id: str) -> MeetingKey | None:
        """Whose meeting `server_id` has, or had lately, under its internal id; None for a copy that was re-assigned."""
        known, begins_with = self._by_internal_id, internal_id.partition("-")[0]
        key = known.get((server_id, internal_id)) or known.get((server_id, begins_with))
        current = self.meetings.get(key) if key else None
        return key if current is None or current.server_id == server_id else None

    def meeting_with_bridge(self, bridge: str) -> Meeting | None:
        """The meeting that callers get into by the number `bridge`."""
        key = self._by_bridge.get(bridge)
        return self.meetings.get(key) if key else None

    def _put_server(self, server: Server) -> None:
        self.servers[server.id] = server
        self._ranking.put(server, self.load_of(server))

    def _remember(self, meeting: Meeting, host_id: str) -> None:
        # BBB makes internal ids of the external one and the time, so the first part is known before the server has answered, and
        # says enough. A server that makes them in another way is remembered by the whole.
        begins_with = sha1(host_id.encode(errors="surrogatepass"), usedforsecurity=False).hexdigest()
        known = self._by_internal_id
        parts = {begins_with}
        if meeting.internal_id and meeting.internal_id.partition("-")[0] != begins_with:
            parts.add(meeting.internal_id)
        for part in parts:
            known.pop((meeting.server_id, part), None)
            known[meeting.server_id, part] = meeting.key
        while len(known) > 2 * len(self.meetings) + REMEMBERED:
            del known[next(iter(known))]

    def _release_bridge(self, meeting: Meeting) -> None:
        # The number may have been given to another meeting meanwhile.
        if meeting.voice_bridge and self._by_bridge.get(meeting.voice_bridge) == meeting.key:
            del self._by_bridge[meeting.voice_bridge]


def _is_newer(known: Meeting, told: Meeting) -> bool:
    # What a process wrote itself it knows before it is told of it, and what others wrote next it may be told before its answer.
    if known.generation != told.generation:
        return known.generation > told.generation
    was_reserved = told.state is MeetingState.RESERVING and known.state is not MeetingState.RESERVING
    was_live = told.state is MeetingState.LIVE and known.state is MeetingState.ENDING and told.internal_id == known.internal_id
    return was_reserved or was_live
