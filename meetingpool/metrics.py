"""What is measured: every metric with its type, its labels and what it means.

Whoever measures names one of these, `/metrics` shows them in this order, and docs/metrics.md is made of them. Where the exporter
that administrators of BigBlueButton use (greenstatic/bigbluebutton-exporter) means the same, the name, the type and the buckets
are its own, with the server as a label. Labels have few values: servers, tenants, calls, never meetings or people.
"""

from dataclasses import dataclass
from enum import StrEnum
from zlib import crc32


class Kind(StrEnum):
    """`GAUGE_HISTOGRAM`: how many there are now of which size; the others are those of Prometheus."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"
    GAUGE_HISTOGRAM = "gauge histogram"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """`bounds`: the upper bounds of the buckets of a histogram, without the infinite one."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()

    @property
    def cells(self) -> int:
        """How many numbers it is: one, or one for each bucket and their sum."""
        return len(self.bounds) + 2 if self.bounds else 1

    @property
    def key(self) -> str:
        """What it is kept under. With other buckets it is another, so that nothing is added that does not fit."""
        return f"{self.name}#{crc32(repr(self.bounds).encode()):08x}" if self.bounds else self.name


def _counter(name: str, meaning: str, *labels: str) -> Metric:
    return Metric(name=name, kind=Kind.COUNTER, help=meaning, labels=labels)


def _gauge(name: str, meaning: str, *labels: str) -> Metric:
    return Metric(name=name, kind=Kind.GAUGE, help=meaning, labels=labels)


def _histogram(name: str, meaning: str, bounds: tuple[float, ...], *labels: str) -> Metric:
    return Metric(name=name, kind=Kind.HISTOGRAM, help=meaning, labels=labels, bounds=bounds)


def _rooms(name: str, meaning: str, bounds: tuple[float, ...]) -> Metric:
    return Metric(name=name, kind=Kind.GAUGE_HISTOGRAM, help=meaning, labels=("server",), bounds=bounds)


_QUICK = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_UPSTREAM = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
# Those of the exporter.
_MANY_PEOPLE = (0.0, 1.0, 5.0, 15.0, 30.0, 60.0, 90.0, 120.0, 150.0, 200.0, 250.0, 300.0, 400.0, 500.0)
_FEWER_PEOPLE = (0.0, 1.0, 5.0, 15.0, 30.0, 60.0, 90.0, 120.0)
# From some seconds to a day.
IMPORT_BOUNDS = (5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 86400.0)

# What a server is doing, as its last good poll saw it.
API_UP = _gauge("bbb_api_up", "1 if the server's API answered the last poll, 0 otherwise", "server")
VERSION = _gauge("bbb_version", "The version of BigBlueButton on the server, as a label", "server", "version")
MEETINGS = _gauge("bbb_meetings", "Meetings on the server, breakout rooms included", "server")
PARTICIPANTS = _gauge("bbb_meetings_participants", "People in the server's meetings", "server")
PARTICIPANTS_MAX = _gauge("bbb_meetings_participants_max", "People in the server's largest meeting", "server")
LISTENERS = _gauge("bbb_meetings_listeners", "People in the server's meetings who listen only", "server")
VOICES = _gauge("bbb_meetings_voice_participants", "People in the server's meetings with a microphone", "server")
VIDEOS = _gauge("bbb_meetings_video_participants", "Cameras in the server's meetings", "server")
CLIENTS = _gauge("bbb_meetings_participant_clients", "People in the server's meetings by how they are in", "server", "type")
UNIQUE_MEETINGS = _counter("bbb_unique_meetings_total", "Meetings that polls saw begin, without breakout rooms", "server")
ROOM_PARTICIPANTS = _rooms("bbb_room_participants", "The server's meetings by how many people are in each", _MANY_PEOPLE)
ROOM_LISTENERS = _rooms("bbb_room_listeners", "The server's meetings by how many people listen only in each", _MANY_PEOPLE)
ROOM_VOICES = _rooms("bbb_room_voice_participants", "The server's meetings by how many people speak in each", _FEWER_PEOPLE)
ROOM_VIDEOS = _rooms("bbb_room_video_participants", "The server's meetings by how many cameras are in each", _FEWER_PEOPLE)

# The servers, as the pool uses them.
SERVERS = _gauge("meetingpool_servers", "Servers by what the administrator wants and what polls saw", "admin_state", "health")
SERVERS_AVAILABLE = _gauge("meetingpool_servers_available", "Servers that take new meetings")
SERVER_AVAILABLE = _gauge("meetingpool_server_available", "1 if the server takes new meetings, 0 otherwise", "server")
SERVER_ENABLED = _gauge("meetingpool_server_enabled", "1 if the administrator wants the server in use, 0 otherwise", "server")
SERVER_LOAD = _gauge("meetingpool_server_load", "The server's load, which placements go by", "server")
POLL_AGE = _gauge("meetingpool_poll_age_seconds", "Since the last good poll; if there was none, since it was added", "server")
POLL_INTERVAL = _gauge("meetingpool_poll_interval_seconds", "Between two polls of a server, as it is configured")
IS_LEADER = _gauge("meetingpool_is_leader", "1 while this poller leads, 0 when its lease ran out and nobody leads", "holder")
LEADER_CHANGES = _counter("meetingpool_leader_changes_total", "How often a poller began to lead")

# How much room there is, and how many servers there ought to be: docs/planning.md.
CAPACITY_PEOPLE = _gauge("meetingpool_capacity_people", "People that the servers that take new meetings carry in all")
CAPACITY_HEADROOM = _gauge("meetingpool_capacity_headroom_people", "People for whom these servers have room now")
CAPACITY_FITTING = _gauge("meetingpool_capacity_largest_fitting_people", "The largest meeting for which one of these has room")
CAPACITY_FORESEEN = _gauge("meetingpool_capacity_foreseen_people", "The most people of the last and the coming half hour")
CAPACITY_ADVISED = _gauge("meetingpool_capacity_advised_servers", "How many servers there ought to be for them, with the reserve")
REGION_PEOPLE = _gauge("meetingpool_capacity_region_people", "The same by region, if servers have any: carried in all", "region")
REGION_HEADROOM = _gauge("meetingpool_capacity_region_headroom_people", "By region: people for whom there is room", "region")
REGION_ADVISED = _gauge("meetingpool_capacity_region_advised_servers", "By region: how many servers there ought to be", "region")
REGION_OPEN = _gauge("meetingpool_capacity_region_servers_available", "By region: servers that take new meetings", "region")

# Meetings, callbacks and recordings.
TENANT_MEETINGS = _gauge("meetingpool_meetings", "The tenant's meetings", "tenant")
TENANT_PEOPLE = _gauge("meetingpool_people", "People in the tenant's meetings", "tenant")
MEETING_STATES = _gauge("meetingpool_meetings_by_state", "Meetings by state: docs/metrics.md says what each means", "state")
CALLBACKS_PENDING = _gauge("meetingpool_callbacks_pending", "Callbacks on their way to front ends")
CALLBACKS_AGE = _gauge("meetingpool_callbacks_oldest_seconds", "How long the oldest of these has been on its way; 0 if none is")
CALLBACKS_GIVEN_UP = _gauge(
    "meetingpool_callbacks_given_up", "Callbacks that were given up within the last day, since no front end took them"
)
SPOOL_FILES = _gauge(
    "meetingpool_spool_files", "Archives by how far they are: unclaimed in a spool directory, waiting, being imported", "state"
)
SPOOL_AGE = _gauge("meetingpool_spool_oldest_seconds", "How long the oldest archive has been waiting or worked on; 0 if none is")
SPOOL_LOOK_AGE = _gauge("meetingpool_spool_look_age_seconds", "Since a recordings worker last looked into all spool directories")
QUARANTINE_FILES = _gauge("meetingpool_quarantine_files", "Archives that were refused and wait for somebody to decide")
IMPORT_SECONDS = _histogram(
    "meetingpool_recording_import_seconds", "From the claim of an archive until what it holds is in the library", IMPORT_BOUNDS
)

# What processes count, each its own. Shown is the sum over those of this machine.
REQUESTS = _counter("meetingpool_requests_total", "Calls of the API that were answered, by how", "call", "outcome")
REQUEST_SECONDS = _histogram("meetingpool_request_seconds", "Until the answer to a call was ready", _QUICK, "call")
PLACEMENT_SECONDS = _histogram(
    "meetingpool_placement_seconds", "From choosing a server for a meeting until that was written down", _QUICK
)
PLACEMENTS_REFUSED = _counter("meetingpool_placements_refused_total", "Creates for which there was no place, by why", "reason")
UPSTREAM_SECONDS = _histogram(
    "meetingpool_upstream_seconds", "Until a server had answered, by the call it was asked", _UPSTREAM, "call", "server"
)
UPSTREAM_FAILURES = _counter(
    "meetingpool_upstream_failures_total", "Requests that a server did not answer, or with a status from 500 on", "call", "server"
)
PROCESSES = _gauge("meetingpool_processes", "Processes on this machine that count", "process")

# This gateway.
DATABASE_UP = _gauge("meetingpool_database_up", "1 if the database answered this scrape, 0 if all that it knows is missing here")
BUILD_INFO = _gauge("meetingpool_build_info", "The version of Meetingpool, as a label", "version", "python")

CATALOGUE = tuple(value for value in globals().values() if isinstance(value, Metric))
