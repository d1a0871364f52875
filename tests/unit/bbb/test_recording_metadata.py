import pytest

from meetingpool.bbb.recording_metadata import (
    MAX_METADATA_BYTES,
    MetadataFault,
    MetadataRefused,
    own_callback_address,
    read_metadata,
    shown_metadata,
    stated_generation,
)
from meetingpool.domain.recordings import Breakout, Delivered, Description, PlaybackFormat, Preview, RecordId

RECORD_ID = "183f0bf3a0982a127bdb8161e0c44eb696b3e75c-1554230749920"
PRESENTATION = f"""<?xml version="1.0"?>
<recording>
  <id>{RECORD_ID}</id>
  <state>published</state>
  <published>true</published>
  <start_time>1554230749920</start_time>
  <end_time>1554232750212</end_time>
  <participants>3</participants>
  <meeting id="{RECORD_ID}" externalId="random-1749" name="random &amp; 1749" breakout="false"/>
  <meta>
    <isBreakout>false</isBreakout>
    <meetingId>random-1749</meetingId>
    <meetingName>random &amp; 1749</meetingName>
    <gl-listed>false</gl-listed>
  </meta>
  <playback>
    <format>presentation</format>
    <link>https://bbb.example/playback/presentation/2.3/{RECORD_ID}</link>
    <processing_time>7177</processing_time>
    <duration>2000292</duration>
    <extensions>
      <preview><images>
        <image width="176" height="136" alt="Welcome to">https://bbb.example/presentation/{RECORD_ID}/thumb-1.png</image>
      </images></preview>
    </extensions>
    <size>1104836</size>
  </playback>
  <raw_size>951067</raw_size>
</recording>
""".encode()
READ_AS = Delivered(
    description=Description(
        record_id=RecordId(RECORD_ID),
        meeting_id="random-1749",
        internal_id=RECORD_ID,
        name="random & 1749",
        start_ms=1554230749920,
        end_ms=1554232750212,
        participants=3,
        raw_size=951067,
        metadata={"isBreakout": "false", "meetingId": "random-1749", "meetingName": "random & 1749", "gl-listed": "false"},
    ),
    format=PlaybackFormat(
        name="presentation",
        link=f"/playback/presentation/2.3/{RECORD_ID}",
        duration_ms=2000292,
        processing_ms=7177,
        size=1104836,
        previews=(Preview(path=f"/presentation/{RECORD_ID}/thumb-1.png", alt="Welcome to", width="176", height="136"),),
    ),
)
PLAYBACK = "<playback><format>video</format></playback>"


def recording(inside: str = "", *, record_id: str = RECORD_ID, playback: str = PLAYBACK) -> bytes:
    return f"<recording><id>{record_id}</id>{inside}{playback}</recording>".encode()


def described(inside: str) -> Description:
    return read_metadata(recording(inside)).description


def played(inside: str, name: str = "video") -> PlaybackFormat:
    return read_metadata(recording(playback=f"<playback><format>{name}</format>{inside}</playback>")).format


def refusal_of(document: bytes) -> MetadataFault:
    with pytest.raises(MetadataRefused) as refused:
        read_metadata(document)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 200
    return refused.value.reason


def test_presentation_is_read_whole() -> None:
    assert read_metadata(PRESENTATION) == READ_AS


def test_file_that_bbb_has_rewritten_says_the_same() -> None:
    rewritten = f"""<?xml version='1.0' encoding='UTF-8'?>
<recording><raw_size>951067</raw_size>
  <id>
    {RECORD_ID}
  </id><published>true</published><state>published</state>
  <playback>
    <size>1104836</size><duration>2000292</duration><processing_time>7177</processing_time>
    <link>
      https://other.example:8443/playback/presentation/2.3/{RECORD_ID}
    </link>
    <format>presentation</format>
    <extensions><preview><images><image alt='Welcome to' height='136' width='176'>
        https://bbb.example/presentation/{RECORD_ID}/thumb-1.png
    </image></images></preview></extensions>
  </playback>
  <meta><gl-listed>false</gl-listed><meetingName>random &amp; 1749</meetingName><isBreakout>false</isBreakout>
    <meetingId>random-1749</meetingId></meta>
  <meeting breakout='false' name='random &amp; 1749' externalId='random-1749' id='{RECORD_ID}'/>
  <participants>3</participants><end_time>1554232750212</end_time><start_time>1554230749920</start_time>
</recording>""".encode()
    assert read_metadata(rewritten) == READ_AS


def test_video_says_of_its_meeting_what_is_in_its_metadata() -> None:
    delivered = read_metadata(
        recording(
            "<state>available</state><published>true</published><start_time>1</start_time><end_time>2</end_time>"
            "<meta><meetingId>a room</meetingId><meetingName>A &#252;ber room</meetingName><isBreakout>true</isBreakout></meta>",
            playback=f"<playback><format>video</format><link>https://bbb.example/playback/video/{RECORD_ID}/</link>"
            "<duration>60000</duration></playback>",
        )
    )
    description = delivered.description
    assert (description.meeting_id, description.name, description.internal_id) == ("a room", "A über room", None)
    assert (description.is_published, description.is_breakout) == (True, True)
    assert (description.participants, description.raw_size) == (None, None)
    assert delivered.format == PlaybackFormat(name="video", link=f"/playback/video/{RECORD_ID}/", duration_ms=60_000)


def test_what_is_missing_is_as_bbb_would_have_it() -> None:
    assert read_metadata(recording()) == Delivered(
        description=Description(record_id=RecordId(RECORD_ID), meeting_id=RECORD_ID),
        format=PlaybackFormat(name="video", link=f"/playback/video/{RECORD_ID}/"),
    )


@pytest.mark.parametrize(
    ("inside", "meeting_id"),
    [
        ("<meta><meetingId>a</meetingId></meta><meeting externalId='b'/>", "a"),
        ("<meta><meetingId> </meetingId></meta><meeting externalId='b'/>", "b"),
        ("<meeting externalId=''/>", RECORD_ID),
        (f"<meeting externalId='{'x' * 256}'/>", "x" * 256),
    ],
)
def test_meeting_is_named_by_its_metadata_first(inside: str, meeting_id: str) -> None:
    assert described(inside).meeting_id == meeting_id


def test_name_and_breakout_of_the_meeting_go_before_those_of_the_metadata() -> None:
    metadata = "<meta><meetingName>old</meetingName><isBreakout>false</isBreakout></meta>"
    description = described(f"<meeting name='new' breakout='true'/>{metadata}")
    assert (description.name, description.is_breakout) == ("new", True)


def test_breakout_room_and_its_parent_are_read() -> None:
    room = described("<breakout parentMeetingId='parent-1' sequence='2' freeJoin='true' meetingId='x'/>")
    assert room.breakout == Breakout(parent_id="parent-1", sequence=2, is_free_join=True)
    rooms = "<breakoutRooms><breakoutRoom>a</breakoutRoom><breakoutRoom> b </breakoutRoom><breakoutRoom/></breakoutRooms>"
    assert described(rooms).breakout_rooms == ("a", "b")


@pytest.mark.parametrize(
    ("inside", "is_published"),
    [
        ("", True),
        ("<published/>", True),
        ("<published> True </published>", True),
        ("<published>false</published>", False),
        ("<published>no</published>", False),
        ("<published>true</published><state>unpublished</state>", False),
        ("<published>true</published><state>deleted</state>", False),
        ("<state>available</state>", True),
    ],
)
def test_recording_is_published_unless_its_server_says_otherwise(inside: str, is_published: bool) -> None:
    assert described(inside).is_published is is_published


@pytest.mark.parametrize(
    ("text", "number"),
    [
        *(("3", 3), (" 3 ", 3), ("1,024", 1024), ("1.024", 1024), ("1 024", 1024), ("1'024", 1024)),
        *(("", None), ("-3", None), ("three", None), ("1e3", None), ("9" * 30, None), ("\u0663", None)),
    ],
)
def test_numbers_are_read_however_they_are_grouped(text: str, number: int | None) -> None:
    assert described(f"<raw_size>{text}</raw_size>").raw_size == number
    assert described(f"<start_time>{text}</start_time>").start_ms == (number or 0)


def test_nonsense_that_no_database_could_hold_is_left_out() -> None:
    description = described(f"<participants>{10**17}</participants><start_time>{10**17}</start_time>")
    assert (description.participants, description.start_ms) == (100_000, 0)


@pytest.mark.parametrize(
    ("address", "link"),
    [
        ("https://bbb.example/playback/video/x/", "/playback/video/x/"),
        ("HTTP://bbb.example:8080/video/x?a=b/c?d&amp;e=%2F", "/video/x?a=b/c?d&e=%2F"),
        ("\n  /video/x/a..b.html\t", "/video/x/a..b.html"),
        ("/", "/"),
    ],
)
def test_link_is_the_path_and_the_query_of_its_address(address: str, link: str) -> None:
    assert played(f"<link>{address}</link>").link == link


@pytest.mark.parametrize(
    "address",
    [
        *("", "video/x", "https://bbb.example", "https://bbb.example?a=/b", "ftp://bbb.example/x", "javascript:alert(1)//"),
        *("//evil.example/x", "https://bbb.example//evil.example/x", "/\\evil.example", "/x\\y", "/%5cevil.example"),
        *("/a/../b", "/a/..", "/./a", "/a/%2e%2e/b", "/a/%2E./b", "/a%2f..%2fb", "/a%00b", "/a%0d%0ab"),
        *("/a b", "/a\u00a0b", "/\u00fc", "/a&#10;b", "/a&#9;b", "/a#b", "/a&quot;b", "/a&lt;b", "/a?b\\c", "/" + "x" * 1024),
    ],
)
def test_link_that_browsers_should_not_be_sent_to_becomes_the_usual_one(address: str) -> None:
    assert played(f"<link>{address}</link>").link == f"/playback/video/{RECORD_ID}/"
    preview = f"<extensions><preview><images><image>{address}</image></images></preview></extensions>"
    assert played(preview).previews == ()


@pytest.mark.parametrize(
    ("name", "link"),
    [
        ("presentation", "/playback/presentation/2.3/{}"),
        ("video", "/playback/video/{}/"),
        ("podcast", "/podcast/{}/audio.ogg"),
        ("notes", "/notes/{}/notes.pdf"),
        ("screenshare", "/recording/screenshare/{}/"),
        ("mconf_encrypted", "/mconf_encrypted/{}/"),
    ],
)
def test_format_without_a_link_gets_the_usual_one(name: str, link: str) -> None:
    assert played("", name).link == link.format(RECORD_ID)


def test_further_extensions_are_kept_as_they_are() -> None:
    extensions = "<preview/><text lang='en'>a &lt; b <b>c</b></text><!-- none --><other/>"
    assert played(f"<extensions>{extensions}</extensions>").extensions == '<text lang="en">a &lt; b <b>c</b></text><other/>'


def test_extensions_do_not_take_the_place_of_what_is_said_of_the_format() -> None:
    extensions = "<url>javascript:alert(1)</url><type>notes</type><size>1</size><length>1</length><processingTime/><other/>"
    assert played(f"<extensions>{extensions}</extensions>").extensions == "<other/>"


@pytest.mark.parametrize(
    ("document", "fault"),
    [
        (b"", MetadataFault.NOT_XML),
        (b"a tar", MetadataFault.NOT_XML),
        (PRESENTATION[:-20], MetadataFault.NOT_XML),
        (PRESENTATION + b"<more/>", MetadataFault.NOT_XML),
        (PRESENTATION.replace(b"random &amp;", b"random \x00"), MetadataFault.NOT_XML),
        (PRESENTATION.replace(b"random &amp;", b"random \xff"), MetadataFault.NOT_XML),
        (PRESENTATION.replace(b"random &amp;", b"random &name;"), MetadataFault.NOT_XML),
        (b"<!DOCTYPE recording>" + recording(), MetadataFault.NOT_XML),
        (b'<!DOCTYPE r [<!ENTITY a SYSTEM "file:///etc/passwd">]>' + recording("<state>&a;</state>"), MetadataFault.NOT_XML),
        (PRESENTATION.decode().encode("utf-16"), MetadataFault.NOT_XML),
        (recording().decode().encode("utf-16-le"), MetadataFault.NOT_XML),
        (b"<?xml version='1.0' encoding='UTF-7'?>" + recording(), MetadataFault.NOT_XML),
        (b'\xef\xbb\xbf<?xml version="1.0"\n encoding = "ISO-8859-1"?>' + recording(), MetadataFault.NOT_XML),
        (recording("<a>" * 70 + "</a>" * 70), MetadataFault.NOT_XML),
        (recording("<a>" * 9000 + "</a>" * 9000), MetadataFault.NOT_XML),
        (recording(" " * MAX_METADATA_BYTES), MetadataFault.TOO_LARGE),
        (b"<html/>", MetadataFault.INCOMPLETE),
        (b"<recordings>" + recording() + b"</recordings>", MetadataFault.INCOMPLETE),
        (b"<recording xmlns='urn:x'/>", MetadataFault.INCOMPLETE),
        (recording(record_id=" "), MetadataFault.INCOMPLETE),
        (recording(playback=""), MetadataFault.INCOMPLETE),
        (recording(playback="<playback/>"), MetadataFault.INCOMPLETE),
        (recording(f"<meeting externalId='{'x' * 257}'/>"), MetadataFault.BAD_MEETING_ID),
    ],
)
def test_what_is_no_metadata_of_a_recording_is_refused(document: bytes, fault: MetadataFault) -> None:
    assert refusal_of(document) == fault


@pytest.mark.parametrize("declared", ["UTF-8", "utf-8", "US-ASCII", "ascii"])
def test_utf_8_and_ascii_may_be_declared(declared: str) -> None:
    document = f'\ufeff<?xml version="1.0" encoding="{declared}" standalone="yes"?>'.encode() + recording()
    assert read_metadata(document).description.record_id == RECORD_ID


@pytest.mark.parametrize(
    "record_id",
    [
        *(".", "..", "/", f"../{RECORD_ID}", f"{RECORD_ID}/..", f"{RECORD_ID}x", f"{RECORD_ID}%", RECORD_ID.upper()),
        *(RECORD_ID[1:], RECORD_ID[:-1], f"{RECORD_ID}-1", f"{RECORD_ID} {RECORD_ID}", f"\u0661{RECORD_ID[1:]}", "unknown"),
    ],
)
def test_recording_with_an_id_of_another_form_is_refused(record_id: str) -> None:
    assert refusal_of(recording(record_id=record_id)) == MetadataFault.BAD_RECORD_ID


@pytest.mark.parametrize("name", [".", "..", "a/b", "a.b", "Video", "v" * 33, "vid\u00e9o", "a b", "*"])
def test_format_with_a_name_of_another_form_is_refused(name: str) -> None:
    assert refusal_of(recording(playback=f"<playback><format>{name}</format></playback>")) == MetadataFault.BAD_FORMAT


def test_front_end_gets_its_own_metadata_back() -> None:
    delivered = {
        "meetingId": "b7",
        "meetingName": "A room",
        "isBreakout": "false",
        "gl-listed": "true",
        "bbb-recording-ready-url": "https://pool.example/bigbluebutton/callbacks/7/recording-ready/x",
        "meetingpool-given-bbb-recording-ready-url": "https://front.example/ready",
        "meetingpool-generation": "7",
        "tenant-id": "t",
        "secret-lrs-payload": "x",
    }
    assert shown_metadata(delivered) == {"gl-listed": "true", "bbb-recording-ready-url": "https://front.example/ready"}
    assert stated_generation(delivered) == 7


@pytest.mark.parametrize("generation", ["", "-1", "x", "9" * 40])
def test_generation_that_is_no_number_is_none(generation: str) -> None:
    assert stated_generation({"meetingpool-generation": generation}) is None


def test_callback_address_is_the_one_that_bbb_would_call() -> None:
    addresses = {"canvas-recording-ready-url": "c", "bn-recording-ready-url": "b", "bbb-recording-ready-url": ""}
    assert own_callback_address(addresses) == "b"
    assert own_callback_address({**addresses, "bbb-recording-ready-url": "a"}) == "a"
    assert own_callback_address({"endcallbackurl": "e"}) is None
