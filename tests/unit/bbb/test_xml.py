from xml.parsers import expat

import pytest
from lxml import etree

from meetingpool.bbb import xml

BILLION_LAUGHS = (
    b'<!DOCTYPE lolz [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">'
    b'<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]><lolz>&c;</lolz>'
)
DOCTYPE_IN_UTF_7 = b'<?xml version="1.0" encoding="UTF-7"?>+ADwAIQ-DOCTYPE r +AFsAPAAh-ENTITY a "boom"+AD4AXQA+-<r>+ACY-a;</r>'


def well_formed(document: bytes) -> "etree._Element":
    """The root by lxml; expat must take the document too."""
    expat.ParserCreate().Parse(document, True)
    return etree.fromstring(document)


@pytest.mark.parametrize(
    ("content", "document"),
    [
        (None, b"<a/>"),
        ("", b"<a/>"),
        ((), b"<a/>"),
        ("text", b"<a>text</a>"),
        (True, b"<a>true</a>"),
        (False, b"<a>false</a>"),
        (0, b"<a>0</a>"),
        (-12, b"<a>-12</a>"),
        ("ä€😀", "<a>ä€😀</a>".encode()),
        ("<&>\"']]>", b"<a>&lt;&amp;&gt;\"']]&gt;</a>"),
        ("a\r\nb\tc", b"<a>a&#13;\nb\tc</a>"),
        ((("b", 1), ("c", None), ("c", (("d", "x"),))), b"<a><b>1</b><c/><c><d>x</d></c></a>"),
    ],
)
def test_content_is_written_by_its_kind(content: xml.Content, document: bytes) -> None:
    assert xml.write("a", content) == document
    well_formed(document)


@pytest.mark.parametrize("code", [0x0, 0xB, 0x1B, 0xFFFE, 0xFFFF, 0xD800, 0xDFFF])
def test_what_xml_cannot_hold_is_dropped(code: int) -> None:
    assert well_formed(xml.write("a", f"a{chr(code)}b")).text == "ab"


def test_text_of_nothing_but_illegal_characters_is_empty() -> None:
    assert not well_formed(xml.write("a", "\x00\ufffe")).text


@pytest.mark.parametrize("name", ["", "1a", "-a", "a b", "a>", "<script", "a:b", "a\n", "ä", "a/"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not an element name"):
        xml.write(name, "text")


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("", b'<a b=""/>'),
        ("text", b'<a b="text"/>'),
        ("<&>\"']]>", b'<a b="&lt;&amp;&gt;&quot;\']]&gt;"/>'),
        ("a\r\nb\tc", b'<a b="a&#13;&#10;b&#9;c"/>'),
        ("ä€😀\x00\ufffe\ud800", '<a b="ä€😀"/>'.encode()),
    ],
)
def test_attribute_is_written_so_that_its_value_is_read_again(value: str, written: bytes) -> None:
    document = xml.write("a", None, {"b": value})

    assert document == written
    assert well_formed(document).get("b") == value.rstrip("\x00\ufffe\ud800")


def test_attributes_stand_in_their_order_on_elements_of_every_kind() -> None:
    inner: list[xml.Field] = [("b", None, {"x": "1"}), ("c", "text", {"y": "2", "x": "3"}), ("d", "text", {})]

    assert xml.write("a", inner, {"z": "0"}) == b'<a z="0"><b x="1"/><c y="2" x="3">text</c><d>text</d></a>'


@pytest.mark.parametrize("name", ["", "1a", "a b", 'a="', "a:b", "a\n", "ä"])
def test_what_is_no_attribute_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not an attribute name"):
        xml.write("a", None, {name: "value"})


def test_refusal_is_a_bbb_answer() -> None:
    assert xml.failed("notFound", "No <such> meeting") == (
        b"<response><returncode>FAILED</returncode><messageKey>notFound</messageKey>"
        b"<message>No &lt;such&gt; meeting</message></response>"
    )


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b" \n",
        b"text",
        b"<a>",
        b"<a></b>",
        b"<a/><b/>",
        b"<a/>text",
        b"<!-- only a comment -->",
        b"<a>&undefined;</a>",
        b"<a>&#0;</a>",
        b"<a>\x00</a>",
        b"<a>\xff</a>",
        b"<a b=1/>",
        b"<a><![CDATA[x</a>",
        b"<a>" * 300 + b"</a>" * 300,
        b"\x89PNG\r\n\x1a\n",
    ],
)
def test_what_is_not_well_formed_is_refused(document: bytes) -> None:
    with pytest.raises(xml.NotXml):
        xml.parse(document)


@pytest.mark.parametrize(
    "document",
    [
        BILLION_LAUGHS,
        b"<!DOCTYPE a><a/>",
        b'<!DOCTYPE a SYSTEM "http://127.0.0.1:1/a.dtd"><a/>',
        b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]><a>&x;</a>',
        b'<?xml version="1.0"?>\n<!-- x -->\n<!DOCTYPE a [<!ATTLIST a b CDATA "c">]><a/>',
        b"<!doctype html><html></html>",
    ],
)
def test_document_type_is_refused(document: bytes) -> None:
    with pytest.raises(xml.NotXml):
        xml.parse(document)


@pytest.mark.parametrize(
    "document",
    [
        pytest.param('<?xml version="1.0" encoding="UTF-16"?><a/>'.encode("utf-16"), id="UTF-16"),
        pytest.param("<a/>".encode("utf-16-le"), id="UTF-16 without a mark"),
        pytest.param("<a/>".encode("utf-32-be"), id="UTF-32"),
        pytest.param('<?xml version="1.0" encoding="IBM037"?><!DOCTYPE a><a/>'.encode("cp037"), id="EBCDIC"),
        pytest.param(DOCTYPE_IN_UTF_7, id="UTF-7"),
    ],
)
def test_document_type_cannot_hide_in_another_encoding(document: bytes) -> None:
    with pytest.raises(xml.NotXml):
        xml.parse(document)


@pytest.mark.parametrize(
    "document", [b"<a>\xc3\xa4</a>", b"\xef\xbb\xbf<a>\xc3\xa4</a>", b'<?xml version="1.0" encoding="UTF-8"?><a>&#228;</a>']
)
def test_utf_8_is_read_with_or_without_a_mark_or_a_declaration(document: bytes) -> None:
    assert xml.parse(document).text == "ä"


def test_comments_and_instructions_are_no_children() -> None:
    root = xml.parse(b"<a><!-- x --><?run y?><b/></a>")

    assert [child.tag for child in root] == ["b"]


@pytest.mark.parametrize(("levels", "is_refused"), [(1, False), (xml.MAX_DEPTH, False), (xml.MAX_DEPTH + 1, True), (250, True)])
def test_documents_of_strangers_are_shallow(levels: int, is_refused: bool) -> None:
    root = xml.parse(b"<a>" * levels + b"</a>" * levels)

    if is_refused:
        with pytest.raises(xml.NotXml, match="deeper than 64 levels"):
            xml.require_shallow(root)
    else:
        xml.require_shallow(root)


def test_element_is_printed_without_what_follows_it() -> None:
    root = xml.parse("<a><b>ä</b> tail</a>".encode())

    assert xml.serialise(root[0]) == "<b>ä</b>".encode()
