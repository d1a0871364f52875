import pytest

from meetingpool.bbb.answers import as_given, read_answer, with_client_id
from meetingpool.bbb.errors import UnusableAnswer


def test_success_is_read_and_kept_as_received() -> None:
    document = b"<response>\n <returncode> SUCCESS </returncode><messageKey/></response>\n"

    answer = read_answer(document)

    assert answer.succeeded
    assert answer.message_key == ""
    assert answer.document == document


def test_refusal_is_an_answer_too() -> None:
    answer = read_answer(b"<response><returncode>FAILED</returncode><messageKey>notFound</messageKey></response>")

    assert not answer.succeeded
    assert answer.message_key == "notFound"


def test_text_of_an_absent_child_is_empty() -> None:
    assert read_answer(b"<response><returncode>SUCCESS</returncode></response>").text("meetingID") == ""


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"<!DOCTYPE html><html><body>502 Bad Gateway</body></html>",
        b"<html><head/><body/></html>",
        b'{"response":{"returncode":"SUCCESS"}}',
        b"<response><returncode>SUCCESS</returncode>",
        b"<response><returncode>SUCC",
        b"<response/>",
        b"<response><returncode/></response>",
        b"<response><returncode> </returncode></response>",
        b"<response><meeting><returncode>SUCCESS</returncode></meeting></response>",
        b"<returncode>SUCCESS</returncode>",
        b"<response><returncode>SUCCESS</returncode></response><response/>",
    ],
)
def test_anything_but_one_complete_response_with_a_returncode_is_unusable(document: bytes) -> None:
    with pytest.raises(UnusableAnswer):
        read_answer(document)


_A_PERSONS = b"<customdata><endcallbackurl>a person's own</endcallbackurl></customdata>"


def _given(address: bytes) -> bytes:
    return b"<meetingpool-given-endcallbackurl>%s</meetingpool-given-endcallbackurl>" % address


@pytest.mark.parametrize(
    ("document", "for_clients"),
    [
        (b"<metadata><a>1</a></metadata>", b"<metadata><a>1</a></metadata>"),
        (b"<metadata><meetingpool-generation>2</meetingpool-generation></metadata>", b"<metadata></metadata>"),
        (b"<metadata><meetingpool-generation/><a>1</a></metadata>", b"<metadata><a>1</a></metadata>"),
        (b"<metadata><meetingpool-generation></meetingpool-generation></metadata>", b"<metadata></metadata>"),
        (
            b"<metadata>\n  <a>1</a>\n  <meetingpool-generation>2</meetingpool-generation>\n  <b>2</b>\n</metadata>",
            b"<metadata>\n  <a>1</a>\n  <b>2</b>\n</metadata>",
        ),
        (
            b"<metadata><tenant-id>t</tenant-id><secret-lrs-payload>x</secret-lrs-payload><tenant-name/></metadata>",
            b"<metadata></metadata>",
        ),
        (
            b"<metadata><endcallbackurl>ours</endcallbackurl><a>1</a>%s</metadata>" % _given(b"https://x/?a=1&amp;b"),
            b"<metadata><endcallbackurl>https://x/?a=1&amp;b</endcallbackurl><a>1</a></metadata>",
        ),
        (
            b"%s<metadata>%s<endcallbackurl><![CDATA[ours]]></endcallbackurl></metadata>"
            % (_A_PERSONS, _given(b"<![CDATA[<x>]]>")),
            b"%s<metadata><endcallbackurl><![CDATA[<x>]]></endcallbackurl></metadata>" % _A_PERSONS,
        ),
        (b"<a>&lt;meetingpool-generation&gt;</a>", b"<a>&lt;meetingpool-generation&gt;</a>"),
        (
            b"<not-meetingpool-generation>1</not-meetingpool-generation>",
            b"<not-meetingpool-generation>1</not-meetingpool-generation>",
        ),
    ],
)
def test_clients_see_their_own_metadata_only(document: bytes, for_clients: bytes) -> None:
    assert as_given(document) == for_clients


def test_answer_for_clients_is_the_received_one_without_our_metadata() -> None:
    generation = b"<meetingpool-generation>1</meetingpool-generation>"
    document = b"<response><returncode>SUCCESS</returncode><metadata>%s</metadata><unknown/></response>"

    assert read_answer(document % generation).for_clients("id", "id") == document % b""


def test_a_client_sees_the_id_that_it_gave_escaped_as_xml_needs_it() -> None:
    document = b"<response><meetingID>%s</meetingID><message>Meeting %s not found</message></response>"
    assert with_client_id(document % (b"0a1b", b"0a1b"), "0a1b", "a <b>") == document % (b"a &lt;b&gt;", b"a &lt;b&gt;")
