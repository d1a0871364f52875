"""Nothing secret gets out of the processes, whatever goes wrong: canaries are put in all places where secrets are.

Real processes, with every line logged that there is, in both formats; what they and the API say is searched at the end.
"""

import asyncio
import json
import re
import subprocess
import sys
from base64 import b64encode
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit
from uuid import uuid4

import pytest
from sqlalchemy import make_url

from tests.databases import execute, with_database
from tests.end_to_end.canaries import PATIENCE, Canaries, Installation, installation, with_password
from tests.end_to_end.commands import clean_environment
from tests.end_to_end.liar import LIES

# What would make a second line, or colour it, wherever it is written as it is.
LINE_BREAKER = 'x\r\n{"event":"forged"}\n\x1b[31mforged\u2028forged\x85forged'
FORM = {"content-type": "application/x-www-form-urlencoded"}
JSON = {"content-type": "application/json"}
ROOM = {"meetingID": "room"}

SHOWN = ("moderator-password", "attendee-password", "callback-query")


async def lead_a_meeting(running: Installation) -> None:
    """What goes well: a meeting with passwords and callbacks, people in it, its end, and what is told of it."""
    canaries = running.canaries
    called = f"{running.liar.origin}/called?token={canaries['callback-query']}"
    given = {
        **ROOM,
        "name": "A room",
        "moderatorPW": canaries["moderator-password"],
        "attendeePW": canaries["attendee-password"],
        "meta_server-tag": "good!",
        "meta_endCallbackUrl": called,
        "meta_bbb-recording-ready-url": called,
        "meta_analytics-callback-url": called,
        "meetingEndedURL": called,
        "meetingKeepEvents": "true",
    }
    for _ in range(2):
        assert "SUCCESS" in (await running.ask("create", given, shows=SHOWN)).text
    assert canaries["moderator-password"] in (await running.ask("getMeetingInfo", ROOM, shows=SHOWN)).text
    person = {**ROOM, "fullName": "Ann", "password": canaries["moderator-password"]}
    joined = await running.http.get(f"{running.origin}{running.path('join', person)}")
    assert joined.status_code == 302
    assert (await running.http.get(joined.headers["location"], follow_redirects=True)).status_code == 200
    for call in ("getMeetings", "getSessions", "isMeetingRunning"):
        await running.ask(call, ROOM, shows=SHOWN)
    await running.ask("hooks/create", ROOM | {"callbackURL": called})
    await running.ask("hooks/list", shows=SHOWN)
    await running.ask("end", ROOM | {"password": canaries["wrong-password"]})
    assert "sentEndMeetingRequest" in (await running.ask("end", ROOM | {"password": canaries["moderator-password"]})).text
    assert "SUCCESS" in (await running.ask("getUser", {"name": "a"}, shows=("secret-of-a",))).text
    note_secrets_of_servers(running)


def note_secrets_of_servers(running: Installation) -> None:
    """Checksums that servers got, and what proves their calls to us."""
    for received in running.good.requests:
        running.canaries.further.add(received.parameters.get("checksum") or "nothing")
        for value in received.parameters.values():
            if "/bigbluebutton/callbacks/" in value:
                running.canaries.further.add(value.rpartition("/")[2])
    for target in running.liar.targets:
        running.canaries.further.update(parse_qs(urlsplit(target).query).get("checksum", []))


WRONG_CALLS = ("create", "join", "end", "getMeetings", "getRecordings", "enter", "hooks/create", "x" * 3000)
WRONG_BASES = ("/bigbluebutton/api", "/t/a/bigbluebutton/api", "/t/nobody/bigbluebutton/api", "/bigbluebutton/api//")


async def ask_wrongly(running: Installation) -> None:
    """Requests that are refused, each with canaries in all that it says."""
    canaries = running.canaries
    password = canaries["password"]
    said = f"meetingID=room&password={password}&moderatorPW={password}&sessionToken={canaries['session-token']}"
    for checksum in (canaries["checksum"], uuid4().hex * 2):
        canaries.further.add(checksum)
        for base in WRONG_BASES:
            for call in WRONG_CALLS:
                await running.get(f"{base}/{call}?{said}&checksum={checksum}")
            await running.post(f"{base}/create?checksum={checksum}", said, FORM)
            await running.post(f"{base}/end?{said}&checksum={checksum}", "{}", JSON)
    basic = b64encode(f"fsapi:{canaries['wrong-password']}".encode()).decode()
    canaries.further.add(basic)
    for authorization in (f"Basic {basic}", f"Basic {canaries['authorization']}", canaries["authorization"]):
        fields = f"section=dialplan&variable_pin={canaries['pin']}"
        await running.post("/fsapi", fields, FORM | {"authorization": authorization})
    for path in ("/", "/nowhere", "/livez", "/readyz", "/health_check", "/leader", "/metrics", "/bigbluebutton/api"):
        await running.get(f"{path}?{said}&checksum={canaries['checksum']}")
    canaries.further.add(token := f"mp_{uuid4().hex}")
    for path in ("/metrics", "/leader", f"/{token}", f"/bigbluebutton/textTrack/{token}/x/y.vtt", f"/playback/{token}"):
        await running.http.get(f"{running.origin}{path}", headers={"authorization": f"Bearer {token}", "x-request-id": token})


async def tell_wrongly(running: Installation) -> None:
    """Callbacks as no server makes them."""
    canaries = running.canaries
    token, secret = f"{canaries['token-head']}.{canaries['token-body']}.x", canaries["query-of-a-server"]
    given = {value for received in running.good.requests for value in received.parameters.values() if "/callbacks/" in value}
    assert given
    for url in (*given, f"{running.origin}/bigbluebutton/callbacks/1/end-callback/{canaries['proof']}"):
        path, report = f"{urlsplit(url).path}?secret={secret}", json.dumps({"x": token})
        await running.get(path)
        await running.post(path, f"signed_parameters={token}", FORM)
        await running.post(path, report, JSON | {"authorization": f"Bearer {token}"})


async def meet_at_the_liar(running: Installation) -> None:
    """Every lie, told to every call that reaches a server, to those who fetch tokens, and to those who tell front ends."""
    running.liar.lie = "an error page"
    await lead_a_meeting(running)
    await running.until_logged("poller", "callback_failed")
    given = {"name": "A room", "meta_server-tag": "liar!", "moderatorPW": running.canaries["moderator-password"]}
    for number, lie in enumerate(LIES):
        running.liar.lie = lie
        meeting = {"meetingID": f"lie-{number}"}
        # What a server says in BBB's own form is passed on, and is its own affair.
        shows = None if lie == "a failure" else SHOWN
        for of in ("a", "b"):
            await running.ask("create", meeting | given, of=of, shows=shows)
        for call in ("getMeetingInfo", "isMeetingRunning", "end", "sendChatMessage"):
            await running.ask(call, meeting | {"message": "x"}, shows=shows)
        for call in ("getMeetings", "getSessions"):
            await running.ask(call, shows=SHOWN)
    running.liar.lie = None
    note_secrets_of_servers(running)


async def go_on_without_the_database(running: Installation, database_url: str) -> None:
    maintenance, name = with_database(database_url, "postgres"), make_url(database_url).database
    await execute(maintenance, f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    await execute(
        maintenance, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'meetingpool %'"
    )
    for process_name in ("gateway", "poller"):
        await running.until_logged(process_name, "database_unreachable")
    for path in ("/readyz", "/health_check", "/livez", "/leader", "/metrics"):
        await running.get(path)
    password = running.canaries["moderator-password"]
    given = {"meetingID": "nowhere", "name": "A room", "moderatorPW": password, "password": password}
    for call in ("create", "join", "end", "getMeetingInfo", "hooks/list"):
        assert "internalError" in (await running.ask(call, given)).text
    await tell_wrongly(running)
    await execute(maintenance, f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")


NAMES_IN_CREATE = ["name", "welcome", "moderatorPW", "meta_x", "meta_endCallbackUrl", "meta_server-tag", "voiceBridge"]
NAMES_IN_OTHERS = ["meetingID", "fullName", "password", "message", "callbackURL", "hookID", "name"]


async def break_lines(running: Installation) -> None:
    """The same everywhere: in names, ids, metadata, addresses, paths, and in what comes by telephone."""
    for name in NAMES_IN_CREATE:
        given = {"meetingID": f"room-{name}{LINE_BREAKER}", "name": "A room", name: LINE_BREAKER}
        await running.ask("create", given, shows=None)
    breakers = dict.fromkeys(NAMES_IN_OTHERS, LINE_BREAKER)
    for call in ("join", "end", "getMeetingInfo", "sendChatMessage", "hooks/create", "hooks/destroy", "getUser"):
        await running.ask(call, breakers, shows=None)
    written = quote(LINE_BREAKER)
    for path in (f"/{written}", f"/bigbluebutton/api/{written}", f"/t/{written}/bigbluebutton/api/end", f"/livez?{written}"):
        await running.get(path)
    right = b64encode(f"fsapi:{running.canaries['fsapi-password']}".encode()).decode()
    running.canaries.further.add(right)
    call_from = f"section=dialplan&Caller-Destination-Number=1&variable_pin={written}&Caller-Caller-ID-Name={written}"
    await running.post("/fsapi", call_from, FORM | {"authorization": f"Basic {right}"})


def told_when_it_cannot_start(canaries: Canaries, database_url: str) -> str:
    """What processes say that were given settings of no use."""
    unusable = [
        with_password(with_database(database_url, "nowhere"), canaries["database-password"]),
        f"mysql://user:{canaries['database-password']}@127.0.0.1/x",
        f"postgresql://user:{canaries['database-password']}@127.0.0.1:1/x",
    ]
    secret = {"LOADBALANCER_SECRET": canaries["front-end-secret"], "FSAPI_PASSWORD": canaries["fsapi-password"], "PORT": "x"}
    environments = [{"MEETINGPOOL_DATABASE_URL": url} for url in unusable] + [secret]
    started = [
        subprocess.Popen(
            [sys.executable, "-m", name],
            env=clean_environment() | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for name, environment in zip(("gateway", "poller", "gateway", "gateway"), environments, strict=True)
    ]
    told = [each.communicate(timeout=PATIENCE)[0] for each in started]
    assert [each.returncode for each in started] == [1] * len(started)
    return "".join(told)


@pytest.mark.parametrize("formats", [("json", "console"), ("console", "json")])
async def test_no_secret_gets_out_whatever_goes_wrong(tmp_path: Path, database_url: str, formats: tuple[str, str]) -> None:
    async with installation(tmp_path, database_url, formats) as running:
        await lead_a_meeting(running)
        await ask_wrongly(running)
        await tell_wrongly(running)
        await meet_at_the_liar(running)
        await break_lines(running)
        assert "meetingpool_requests_total" in (await running.get("/metrics")).text
        await go_on_without_the_database(running, database_url)
        note_secrets_of_servers(running)
    logs = {name: running.logged(name) for name in ("gateway", "poller")}
    assert running.answers == []
    assert {name: running.canaries.sung(log) for name, log in logs.items()} == {"gateway": [], "poller": []}
    for (name, log), log_format in zip(logs.items(), formats, strict=True):
        assert not re.search("[\r\x1b\x00]", log), name
        if log_format == "json":
            events = [json.loads(line)["event"] for line in log.removesuffix("\n").split("\n")]
            assert "forged" not in events


async def test_what_cannot_start_says_why_without_secrets(database_url: str) -> None:
    canaries = Canaries()

    told = await asyncio.to_thread(told_when_it_cannot_start, canaries, database_url)

    assert canaries.sung(told) == []
