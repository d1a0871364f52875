"""What is wrong with a request is said in BBB's format with status 200, and nothing is acted upon before the checksum holds."""

import hashlib

import httpx
import pytest

from meetingpool.bbb.client import signed_url
from tests.pool import ENDPOINT, SECRET, FrontEnd, RunningPool, key_of, read, succeeded

FORM = "application/x-www-form-urlencoded"


def signed(call: str, query: str) -> str:
    return hashlib.sha256(f"{call}{query}{SECRET}".encode()).hexdigest()


def url(call: str, query: str, checksum: str | None = None) -> str:
    return f"{ENDPOINT}/{call}?{query}&checksum={checksum or signed(call, query)}"


@pytest.mark.parametrize(
    ("target", "key"),
    [
        (f"{ENDPOINT}/create?meetingID=room", "checksumError"),
        (url("create", "meetingID=room", "0" * 64), "checksumError"),
        (url("create", "meetingID=room", "0" * 32), "checksumError"),
        (url("create", "meetingID=room", signed("end", "meetingID=room")), "checksumError"),
        (url("create", "meetingID=room") + "&checksum=" + "0" * 64, "checksumError"),
        (url("create", "meetingID=room").replace("checksum=", "%63hecksum="), "checksumError"),
        (url("create", "name=x"), "missingParamMeetingID"),
        (url("create", "name=x&meetingID="), "missingParamMeetingID"),
        (url("create", "name=x&meetingID=%20%00"), "missingParamMeetingID"),
        (url("create", "name=x&meetingID=a"), "validationError"),
        (url("create", "name=x&meetingID=a%2Cb"), "validationError"),
        (url("create", "name=x&meetingID=" + "a" * 257), "validationError"),
        (url("create", "meetingID=a1&meetingID=b1"), "validationError"),
        (url("create", "&".join(f"p{n}=1" for n in range(600))), "validationError"),
        (url("create", "name=x&meetingID=%ff%fe"), "checksumError"),
        (url("create", "name=x&meetingID=%c0%ae"), "checksumError"),
        (url("join", "fullName=x"), "missingParamMeetingID"),
        (url("end", "password=x"), "missingParamMeetingID"),
        (url("getMeetingInfo", ""), "missingParamMeetingID"),
        (url("isMeetingRunning", ""), "missingParamMeetingID"),
        (url("getMeetingInfo", "meetingID=" + "x" * 60_000), "notFound"),
        (url("setConfigXML", "meetingID=room"), "unsupportedRequest"),
        (url("Create", "meetingID=room"), "unsupportedRequest"),
        (f"{ENDPOINT}/isMeetingRunning.xml?meetingID=x", "unsupportedRequest"),
        (f"{ENDPOINT}/create/../end?meetingID=x", "checksumError"),
    ],
)
async def test_a_bad_request_is_refused_in_the_contracts_words(
    front_end: FrontEnd, pool: RunningPool, target: str, key: str
) -> None:
    assert key_of(read(await front_end.http.get(target))) == key
    assert all(server.count("create") == 0 for server in pool.fleet.servers)


@pytest.mark.parametrize(
    ("method", "call", "content_type", "body", "key"),
    [
        ("POST", "create", "application/json", b"{}", "unsupportedContentType"),
        ("POST", "create", "", b"x=1", "unsupportedContentType"),
        ("POST", "end", "application/xml", b"<x/>", "unsupportedContentType"),
        ("POST", "join", FORM, b"", "unsupportedRequest"),
        ("PUT", "create", FORM, b"", "unsupportedRequest"),
        ("DELETE", "getMeetings", "", b"", "unsupportedRequest"),
    ],
)
async def test_methods_and_content_types_are_those_of_the_contract(
    front_end: FrontEnd, method: str, call: str, content_type: str, body: bytes, key: str
) -> None:
    headers = {"content-type": content_type} if content_type else {}
    response = await front_end.http.request(method, url(call, "meetingID=room"), headers=headers, content=body)
    assert key_of(read(response)) == key


async def test_a_content_type_without_a_body_is_no_matter(front_end: FrontEnd) -> None:
    response = await front_end.http.get(url("getMeetings", ""), headers={"content-type": "application/xml"})
    assert succeeded(read(response))


async def test_slides_reach_the_server_byte_for_byte(front_end: FrontEnd, pool: RunningPool) -> None:
    slides = b"<modules><module name='presentation'><document url=\"https://x/a.pdf\"/></module></modules>"
    target = signed_url(ENDPOINT, SECRET, "create", [("meetingID", "slides"), ("name", "Slides")])
    response = await front_end.http.post(target, content=slides, headers={"content-type": "text/xml; charset=UTF-8"})
    assert succeeded(read(response))
    (holder,) = pool.holders("slides")
    assert holder.requests[-1].body == slides


@pytest.mark.parametrize("order", ["as sent", "as Java rebuilds it"])
async def test_a_form_is_signed_in_its_own_order_or_in_javas(front_end: FrontEnd, pool: RunningPool, order: str) -> None:
    form = "name=A+room%21&meetingID=form"
    signed_text = form if order == "as sent" else "meetingID=form&name=A+room%21"
    body = f"{form}&checksum={signed('create', signed_text)}"
    response = await front_end.http.post(f"{ENDPOINT}/create", content=body, headers={"content-type": FORM})
    assert succeeded(read(response))
    assert len(pool.holders("form")) == 1


async def test_a_huge_parameter_is_refused(front_end: FrontEnd, pool: RunningPool) -> None:
    form = "meetingID=room&name=Room&welcome=" + "a" * 100_000
    body = f"{form}&checksum={signed('create', form)}"
    response = await front_end.http.post(f"{ENDPOINT}/create", content=body, headers={"content-type": FORM})
    assert key_of(read(response)) == "validationError"
    assert pool.holders("room") == []


async def test_a_huge_form_is_refused_before_it_is_read_to_the_end(front_end: FrontEnd) -> None:
    response = await front_end.http.post(f"{ENDPOINT}/create", content=b"a=" + b"a" * 2_000_000, headers={"content-type": FORM})
    assert key_of(read(response)) == "validationError"


async def test_fields_of_a_form_that_nobody_signed_are_refused(front_end: FrontEnd) -> None:
    response = await front_end.http.post(
        f"{ENDPOINT}/create?checksum={signed('create', '')}", content="meetingID=room&name=x", headers={"content-type": FORM}
    )
    assert key_of(read(response)) == "checksumError"


async def test_fields_of_a_form_beside_a_signed_query_are_not_used(front_end: FrontEnd, pool: RunningPool) -> None:
    response = await front_end.http.post(
        url("create", "meetingID=room&name=Room"), content="isBreakout=true&duration=1", headers={"content-type": FORM}
    )
    assert succeeded(read(response))
    (holder,) = pool.holders("room")
    assert not {"isBreakout", "duration"} & holder.requests[-1].parameters.keys()


async def test_the_index_needs_no_checksum_and_no_redirect(front_end: FrontEnd) -> None:
    for path in ("", "/", "/?checksum=abc", "?&checksum=abc"):
        answer = read(await front_end.http.get(ENDPOINT + path))
        assert (succeeded(answer), answer.findtext("version")) == (True, "2.0")


async def test_an_answer_tells_nothing_of_the_inside(front_end: FrontEnd) -> None:
    response = await front_end.http.get(url("getMeetingInfo", "meetingID=%27%3B--%3Cx%3E"))
    for word in ("Traceback", "Error(", "SELECT", "/work", SECRET):
        assert word not in response.text


async def test_a_slash_too_many_is_tolerated(front_end: FrontEnd) -> None:
    assert succeeded(read(await front_end.http.get(url("getMeetings/", "", signed("getMeetings", "")))))
    doubled = f"http://gateway/bigbluebutton/api//getMeetings?checksum={signed('getMeetings', '')}"
    assert succeeded(read(await front_end.http.get(httpx.URL(doubled))))
