"""Clients of the BBB API themselves, and what others do on a connection, against a gateway as the process it is."""

import asyncio
import hashlib
import importlib
import json
import os
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.end_to_end.processes import GatewayProcess, gateway_process
from tests.pool import SECRET, RunningPool
from tests.unit.bbb.test_query import VALUE
from tests.wire import Request, signed_target

JAVASCRIPT = Path(__file__).parent / "javascript"
# Beyond the time that a registry takes to answer.
NPM_SECONDS = 120
NODE_SECONDS = 30


@pytest.fixture
async def gateway(pool: RunningPool, database_url: str) -> AsyncIterator[GatewayProcess]:
    async with gateway_process(database_url) as gateway:
        yield gateway


@pytest.fixture(scope="session")
def packages() -> Path:
    """The directory of the JavaScript packages, fetched once for each lock file."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        pytest.skip("The JavaScript client needs Node.js and npm; on Debian: apt install nodejs npm")
    lock = hashlib.sha256((JAVASCRIPT / "package-lock.json").read_bytes()).hexdigest()
    kept = JAVASCRIPT.parents[2] / "var" / f"javascript-{lock[:16]}"
    if not kept.exists():
        kept.parent.mkdir(exist_ok=True)
        _fetch_packages(kept)
    return kept / "node_modules"


def _fetch_packages(directory: Path) -> None:
    with tempfile.TemporaryDirectory(dir=directory.parent) as draft:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(JAVASCRIPT / name, draft)
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(command, cwd=draft, capture_output=True, timeout=NPM_SECONDS, check=False)
        if done.returncode:
            pytest.skip("The JavaScript client could not be fetched; npm needs a registry that answers")
        shutil.copytree(draft, directory, dirs_exist_ok=True)


async def test_bigbluebutton_js_leads_a_meeting(pool: RunningPool, gateway: GatewayProcess, packages: Path) -> None:
    ours = {"NODE_PATH": str(packages), "MEETINGPOOL_URL": f"{gateway.origin}/bigbluebutton/", "MEETINGPOOL_SECRET": SECRET}
    node = await asyncio.create_subprocess_exec(
        "node", str(JAVASCRIPT / "meeting.js"), env=os.environ | ours, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    printed, complaint = await asyncio.wait_for(node.communicate(), NODE_SECONDS)
    assert node.returncode == 0, complaint.decode()
    seen = json.loads(printed)

    # The package leaves entities as they are.
    name = "A room (ä) ~*! &amp; more"
    assert (seen["nothing"]["messageKey"], seen["nothing"]["meetings"]) == ("noMeetings", "")
    assert [seen[call]["returncode"] for call in ("created", "repeated")] == ["SUCCESS", "SUCCESS"]
    assert (seen["created"]["messageKey"], seen["repeated"]["messageKey"]) == ("", "duplicateWarning")
    assert (seen["created"]["meetingID"], seen["created"]["duration"]) == ("room [0]", 30)
    assert any(seen["joined"].startswith(f"{server.origin}/html5client/") for server in pool.fleet.servers)
    assert (seen["running"]["running"], seen["info"]["participantCount"], seen["info"]["meetingName"]) == (True, 1, name)
    assert seen["info"]["moderatorPW"] == "m(p)*w~!"
    assert seen["info"]["attendees"]["attendee"]["fullName"] == "Ann (ü)"
    assert seen["info"]["metadata"]["bbb-context"] == "ä &amp; &lt;b&gt;"
    assert [meeting["meetingID"] for meeting in seen["listed"]["meetings"]] == ["room [0]"]
    assert seen["hooks"]["hooks"]["hook"]["hookID"] == seen["hook"]["hookID"]
    assert seen["unhooked"]["removed"] is True
    refused, ended, gone = [seen[call]["messageKey"] for call in ("refused", "ended", "gone")]
    assert (refused, ended, gone) == ("invalidPassword", "sentEndMeetingRequest", "notFound")


def python_library() -> Any:
    """The package bigbluebutton-api-python, whose source today's Python warns about."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module("bigbluebutton_api_python")


async def test_bigbluebutton_api_python_leads_a_meeting(pool: RunningPool, gateway: GatewayProcess) -> None:
    await asyncio.to_thread(lead_by_python, gateway.origin)


def lead_by_python(origin: str) -> None:
    library = python_library()
    client = library.BigBlueButton(f"{origin}/bigbluebutton/api/", SECRET)
    assert client.get_api_version().get_version() == "2.0"
    assert client.get_meetings().get_meetings() == []
    for number in (1, 2):
        given = {"name": VALUE, "attendeePW": "a+p", "moderatorPW": "m p", "record": False}
        created = client.create_meeting(f"room-{number} [0]", params=given, meta={"note": VALUE})
        assert (created.get_meetingid(), created.get_moderator_pw()) == (f"room-{number} [0]", "m p")
    assert not client.is_meeting_running("room-1 [0]").is_meeting_running()
    url = client.get_join_meeting_url(VALUE, "room-1 [0]", "m p", params={})
    assert httpx.get(url, trust_env=False, follow_redirects=True).status_code == 200
    info = client.get_meeting_info("room-1 [0]").get_meetinginfo()
    assert (info.get_meetingname(), info.get_moderatorpw()) == (VALUE, "m p")
    assert (int(info.get_moderator_count()), int(info.get_max_users()), info.is_recording()) == (1, 0, False)
    listed = client.get_meetings().get_meetings()
    assert sorted(meeting.get_meetingid() for meeting in listed) == ["room-1 [0]", "room-2 [0]"]
    with pytest.raises(library.exception.BBBException) as refused:
        client.end_meeting("room-1 [0]", "wrong")
    assert refused.value.key == "invalidPassword"
    client.end_meeting("room-1 [0]", "m p")


SLIDES = b"<modules><module name='presentation'><document name='a.txt'>" + b"YWFh" * 10_000 + b"</document></module></modules>"
OFFERED = b"AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA"
UPGRADE = ((b"Connection", b"Upgrade, HTTP2-Settings"), (b"Upgrade", b"h2c"), (b"HTTP2-Settings", OFFERED))
PHP = ((b"Content-type", b"application/xml"), (b"Accept-Encoding", b"UTF-8"), (b"Cookie", b"JSESSIONID=1"))


def get(call: bytes, query: bytes, *headers: tuple[bytes, bytes]) -> bytes:
    return Request(target=signed_target(call, query, SECRET.encode()), headers=((b"host", b"gateway"), *headers)).as_sent()


async def test_what_clients_do_on_a_connection_is_understood(pool: RunningPool, gateway: GatewayProcess) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)

    async def answer() -> bytes:
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
        assert head.startswith(b"HTTP/1.1 200 "), head
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        return await reader.readexactly(length)

    # curl, and so PHP, waits for leave to send a large body.
    headers = ((b"host", b"gateway"), (b"Content-Type", b"application/xml"), (b"Expect", b"100-continue"))
    target = signed_target(b"create", b"meetingID=curl&name=By+curl", SECRET.encode())
    head, _, body = Request(method="POST", target=target, headers=headers, body=SLIDES).as_sent().partition(b"\r\n\r\n")
    writer.write(head + b"\r\n\r\n")
    assert (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)).startswith(b"HTTP/1.1 100 ")
    writer.write(body)
    assert b"<returncode>SUCCESS</returncode>" in await answer()
    (holder,) = pool.holders("curl")
    assert next(request for request in holder.requests if request.call == "create").body == SLIDES
    # PHP names a type although there is no body; the connection is used again.
    writer.write(get(b"getMeetingInfo", b"meetingID=curl", *PHP))
    assert b"<meetingName>By curl</meetingName>" in await answer()
    # Java's client offers HTTP/2, and takes no answer to that for a no.
    writer.write(get(b"isMeetingRunning", b"meetingID=curl", *UPGRADE))
    assert b"<running>false</running>" in await answer()
    # Scripts write what browsers would escape.
    writer.write(get(b"isMeetingRunning", b"meetingID=a-[0]-(b)~*!'\"|{}^`;:@,/?$"))
    assert b"<running>false</running>" in await answer()
    writer.close()
    await writer.wait_closed()
