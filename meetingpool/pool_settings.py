"""The settings of the pool: where we listen, who may call, how servers are chosen and what meetings are like.

The first half of `settings.py`, which has those of recordings and of those who run the pool.
"""

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from meetingpool.domain.voice_bridges import LONGEST, SHORTEST
from meetingpool.setting_types import (
    SCALELITE,
    Algorithms,
    ChecksumAlgorithm,
    CountryField,
    DatabaseUrl,
    Defaults,
    HeaderName,
    Host,
    HostName,
    KeyFile,
    Keys,
    Minutes,
    NamesOfRegions,
    NetworksAndHosts,
    Overrides,
    RegionLatency,
    RegionNetworks,
    Removals,
    WebAddress,
)

Limit = Annotated[int, Meta(ge=1, le=2**31 - 1)]


class PoolSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Durations are in seconds unless the name says otherwise."""

    database_url: Annotated[
        DatabaseUrl | None,
        Meta(
            examples=["postgresql://user:password@host/name"],
            description="PostgreSQL, as postgresql://user:password@host/name. Unset: an embedded one",
        ),
    ] = None
    data_dir: Annotated[Path, Meta(description="Where the embedded database and generated secrets live")] = Path("var")
    secret_key: Annotated[
        Keys,
        Meta(
            description="Keys for the secrets in the database, separated by colons; the first encrypts, all decrypt. The same on "
            "all machines. Unset: `meetingpool up` and `db upgrade` generate one in the data directory"
        ),
    ] = ()
    secret_key_file: Annotated[
        KeyFile, Meta(description="A file with these keys, one per line, which only its owner and group can read")
    ] = ()

    bind: Annotated[Host, SCALELITE, Meta(examples=["127.0.0.1 or tcp://127.0.0.1:3000"], description="Address to listen on")] = (
        "127.0.0.1"
    )
    port: Annotated[int, SCALELITE, Meta(ge=1, le=65535, description="Port to listen on")] = 3000
    web_concurrency: Annotated[int, SCALELITE, Meta(ge=0, le=64, description="Gateway processes; 0 counts as 1")] = 1
    drain_delay: Annotated[float, Meta(ge=0, le=20, description="Between the signal to stop and the closing of the port")] = 1.0
    max_connections: Annotated[
        int, Meta(ge=16, description="Connections that a gateway process holds; more are answered with 503")
    ] = 4096
    max_connections_per_address: Annotated[
        int,
        Meta(ge=1, description="Of these, those of one address. Not counted: this machine, and proxies in `FORWARDED_ALLOW_IPS`"),
    ] = 512
    max_requests: Annotated[
        int, Meta(ge=2, description="Requests that a gateway process works on at once; more are answered with 503")
    ] = 1000
    max_url_bytes: Annotated[int, Meta(ge=1024, le=256 * 1024, description="Longest URL of a request")] = 64 * 1024
    max_document_bytes: Annotated[int, Meta(ge=1024 * 1024, description="Longest body of a request")] = 100 * 1024 * 1024
    failed_checksums_per_minute: Annotated[
        int, Meta(ge=1, description="Wrong checksums that an address may send before they are answered with status 429")
    ] = 10

    loadbalancer_secret: Annotated[
        str | None,
        SCALELITE,
        Meta(description="What front ends sign with. Unset: `meetingpool up` generates one in the data directory"),
    ] = None
    loadbalancer_secrets: Annotated[str | None, SCALELITE, Meta(description="More secrets, separated by colons")] = None
    loadbalancer_checksum_algorithm: Annotated[
        Algorithms, SCALELITE, Meta(description="Accepted checksum algorithms, separated by colons")
    ] = frozenset({"sha1", "sha256", "sha384", "sha512"})

    multitenancy_enabled: Annotated[
        bool, SCALELITE, Meta(description="Front ends are tenants, each with its own secrets and meetings: `meetingpool tenants`")
    ] = False
    url_host: Annotated[
        HostName | None,
        SCALELITE,
        Meta(examples=["pool.example.org"], description="Our host name. Tenants are then recognised by host names below it only"),
    ] = None
    public_url: Annotated[
        WebAddress | None,
        Meta(
            examples=["https://pool.example.org"],
            description="Where servers and front ends reach us. Unset: https and `URL_HOST`, else where calls come in",
        ),
    ] = None
    callback_allow: Annotated[
        NetworksAndHosts,
        Meta(
            description="Where callbacks may go although it is inside our network, separated by commas: "
            "networks like 10.20.0.0/16, hosts like lms.example.org or *.example.org"
        ),
    ] = ()
    hook_checksum_algorithm: Annotated[
        ChecksumAlgorithm, Meta(description="What events for webhooks are signed with: `sha1`, `sha256`, `sha384` or `sha512`")
    ] = "sha1"
    freshness: Annotated[
        float, Meta(ge=0, le=1, description="Seconds for which the answer to a reading call serves the same call again; 0: none")
    ] = 1.0

    connect_timeout: Annotated[float, SCALELITE, Meta(gt=0, le=60, description="For a connection to a server")] = 5.0
    response_timeout: Annotated[float, SCALELITE, Meta(gt=0, le=120, description="For a whole call to a server")] = 10.0

    poll_interval: Annotated[float, SCALELITE, Meta(ge=1, le=3600, description="Between two polls of a server")] = 10.0
    server_unhealthy_threshold: Annotated[int, SCALELITE, Meta(ge=1, description="Failed polls until offline")] = 3
    server_healthy_threshold: Annotated[int, SCALELITE, Meta(ge=1, description="Good polls until online again")] = 1
    server_max_meetings: Annotated[
        Limit | None, Meta(description="Meetings that a server can carry, if it has no limit of its own: then it gets no more")
    ] = None
    server_max_users: Annotated[
        Limit | None, Meta(description="The same in people, those who are expected in new meetings included")
    ] = None
    server_soft_meetings: Annotated[
        Limit | None, Meta(description="Meetings beyond which a server without its own limit gets more only if no other has room")
    ] = None
    server_soft_users: Annotated[Limit | None, Meta(description="The same in people")] = None
    load_min_user_count: Annotated[int, SCALELITE, Meta(ge=0, description="Users expected in a new meeting")] = 15
    load_join_buffer_time: Annotated[float, SCALELITE, Meta(ge=0, description="Minutes until none are expected any more")] = 15.0
    region_latency: Annotated[
        RegionLatency,
        Meta(
            description="Milliseconds between regions, as `eu:us=90,eu:asia=180`; the same both ways, unless both are given. A "
            "meeting goes to the nearest region with room"
        ),
    ] = ()
    region_header: Annotated[
        HeaderName | None,
        Meta(
            examples=["X-Region"],
            description="The header in which proxies in `FORWARDED_ALLOW_IPS` say where a client is; all of them must set it",
        ),
    ] = None
    region_networks: Annotated[
        RegionNetworks, Meta(description="Where clients are by their networks, as `10.1.0.0/16=eu,2001:db8::/32=us`")
    ] = ()
    region_mmdb: Annotated[
        Path | None, Meta(description="An MMDB file that says in which country a client of any other network is")
    ] = None
    region_mmdb_field: Annotated[
        CountryField, Meta(description="What of the file counts: `country` (ISO codes such as DE) or `continent` (such as EU)")
    ] = "country"
    region_names: Annotated[
        NamesOfRegions,
        Meta(description="Regions by what the header or the file says, as `DE=eu,US=us,*=eu`; `*`: whatever is not named"),
    ] = ()
    load_per_user: Annotated[float, Meta(gt=0, description="What a person costs a server, beside the two below")] = 1.0
    load_per_voice: Annotated[float, Meta(ge=0, description="What somebody who speaks costs beside that; 0: nothing")] = 0.0
    load_per_video: Annotated[float, Meta(ge=0, description="What a camera costs beside that; 0: nothing")] = 0.0
    usage_days: Annotated[int, Meta(ge=1, le=36_500, description="Days for which it is kept how much was used")] = 400
    server_history_interval: Annotated[
        float, Meta(ge=1, le=3600, description="Seconds after which it is kept again how servers are")
    ] = 300.0
    server_history_days: Annotated[int, Meta(ge=1, le=3_650, description="Days for which it is kept how servers were")] = 14
    meeting_history_days: Annotated[int, Meta(ge=1, le=3_650, description="Days for which it is kept how meetings were")] = 60
    alert_load: Annotated[
        Annotated[float, Meta(gt=0)] | None,
        Meta(description="When all open servers have this load, an alert says that the pool is nearly full. Unset: never"),
    ] = None
    capacity_reserve: Annotated[
        int, Meta(ge=0, le=1000, description="Servers that may fail: that many more are advised than meetings need")
    ] = 1
    server_id_is_hostname: Annotated[
        bool, SCALELITE, Meta(description="A server that is added without an id gets the host name of its URL")
    ] = False
    default_create_params: Annotated[
        Defaults,
        SCALELITE,
        Meta(description="Parameters of create that apply when the front end sends none, as `name=value,name2=value2`"),
    ] = ()
    override_create_params: Annotated[
        Overrides,
        SCALELITE,
        Meta(description="Parameters of create that apply whatever the front end sends, as `name=value,name2=value2`"),
    ] = ()
    create_exclude_params: Annotated[
        Removals, SCALELITE, Meta(description="Parameters of create that are not taken from the front end, separated by commas")
    ] = ()
    default_join_params: Annotated[Defaults, SCALELITE, Meta(description="The same for join: when the front end sends none")] = ()
    override_join_params: Annotated[
        Overrides, SCALELITE, Meta(description="The same for join: whatever the front end sends")
    ] = ()
    join_exclude_params: Annotated[Removals, SCALELITE, Meta(description="The same for join: not taken from the front end")] = ()
    max_meeting_duration: Annotated[
        Minutes,
        SCALELITE,
        Meta(description="Minutes that a meeting may last, unless an override says otherwise; 0: as long as it likes"),
    ] = 0
    get_meetings_api_disabled: Annotated[bool, SCALELITE, Meta(description="getMeetings answers with an empty list")] = False
    build_number: Annotated[str | None, SCALELITE, Meta(description="Shown by the index call")] = None
    voice_bridge_len: Annotated[
        int,
        SCALELITE,
        Meta(
            ge=SHORTEST, le=LONGEST, description="Digits of the voice bridge that a new meeting gets, which is what callers enter"
        ),
    ] = 9
    voice_bridge_min: Annotated[int, SCALELITE, Meta(ge=1, le=LONGEST, description="Digits that callers enter at least")] = 5
    voice_bridge_max: Annotated[
        int,
        SCALELITE,
        Meta(
            le=LONGEST + 1,
            description="Digits that callers can enter; one more than `VOICE_BRIDGE_LEN` lets them into breakout rooms",
        ),
    ] = 9
    use_external_voice_bridge: Annotated[
        bool,
        SCALELITE,
        Meta(description="A meeting gets the `voiceBridge` that the front end asks for, if it has 5 to 15 digits and is free"),
    ] = False
    fsapi_password: Annotated[
        str | None,
        SCALELITE,
        Meta(
            description="What FreeSWITCH sends to `/fsapi`. Unset: the first secret of front ends, and without a secret "
            "or with tenants nobody gets in. Set but empty: nothing is asked for"
        ),
    ] = None
    fsapi_max_duration: Annotated[
        Minutes | None,
        SCALELITE,
        Meta(description="Minutes after which a telephone call is hung up; 0: never. Unset: `MAX_MEETING_DURATION`"),
    ] = None

    def __repr__(self) -> str:
        # Secrets are among them.
        return "Settings()"
