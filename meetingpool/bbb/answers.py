"""What a server answered: checked to be one complete BBB response, kept as the bytes that came.

The gateway passes the bytes on and reads only what it needs; the poller reads meetings from them.
"""

import re
from dataclasses import dataclass

from meetingpool.bbb import xml
from meetingpool.bbb.errors import UnusableAnswer

# What Meetingpool adds to a create is for servers; clients see their own metadata only, as they gave it.
_OWN = rb"meetingpool-[a-z-]+|tenant-id|tenant-name|secret-lrs-payload"
_OWN_METADATA = re.compile(rb"\s*<(" + _OWN + rb")>(?:<!\[CDATA\[.*?\]\]>|[^<])*</\1>|\s*<(?:" + _OWN + rb")\s*/>", re.DOTALL)
_GIVEN = re.compile(rb"<meetingpool-given-([a-z-]+)>((?:<!\[CDATA\[.*?\]\]>|[^<])*)</meetingpool-given-\1>", re.DOTALL)
_OWN_NAME = re.compile(_OWN.decode())
_GIVEN_PREFIX = "meetingpool-given-"
_MARKS = (b"<meetingpool-", b"<tenant-", b"<secret-lrs-payload")


@dataclass(frozen=True, slots=True)
class Answer:
    """One `<response>` of a server. `document` holds it as received, `root` parsed."""

    document: bytes
    root: xml.Element

    @property
    def succeeded(self) -> bool:
        return self.text("returncode") == "SUCCESS"

    @property
    def message_key(self) -> str:
        return self.text("messageKey")

    def text(self, name: str) -> str:
        """The text of a child of `<response>`, or the empty string."""
        child = next(self.root.iterchildren(name), None)
        return "" if child is None else (child.text or "").strip()

    def for_clients(self, host_id: str, meeting_id: str) -> bytes:
        """The document about the meeting that the server knows as `host_id` and the client as `meeting_id`."""
        return with_client_id(as_given(self.document), host_id, meeting_id)


def read_answer(document: bytes) -> Answer:
    """Raises UnusableAnswer unless `document` is one complete response with a returncode."""
    try:
        root = xml.parse(document)
    except xml.NotXml as error:
        raise UnusableAnswer(f"the answer is not XML: {error}") from error
    answer = Answer(document, root)
    if root.tag != "response" or not answer.text("returncode"):
        raise UnusableAnswer("the answer is not a BBB response")
    return answer


def as_given(document: bytes) -> bytes:
    """The document about one meeting with the metadata that the client gave: its own addresses, and nothing of ours."""
    if not any(mark in document for mark in _MARKS):
        return document
    if document.count(b"<metadata>") != 1:
        # What people and front ends bring along may be called so too.
        return _parsed_as_given(document)
    head, opening, metadata = document.partition(b"<metadata>")
    for given in _GIVEN.finditer(metadata):
        name, value = given[1], given[2]
        shown = re.compile(rb"<" + name + rb">(?:<!\[CDATA\[.*?\]\]>|[^<])*</" + name + rb">", re.DOTALL)
        metadata = shown.sub(lambda _, name=name, value=value: b"<%b>%b</%b>" % (name, value, name), metadata, count=1)  # type: ignore[misc]
    return head + opening + _OWN_METADATA.sub(b"", metadata)


def _parsed_as_given(document: bytes) -> bytes:
    root = xml.parse(document)
    for metadata in root.iterchildren("metadata"):
        given = {element.tag: element.text for element in metadata}
        for element in list(metadata):
            if _OWN_NAME.fullmatch(str(element.tag)):
                metadata.remove(element)
            else:
                element.text = given.get(f"{_GIVEN_PREFIX}{element.tag}", element.text)
    return xml.serialise(root)


def with_client_id(document: bytes, host_id: str, meeting_id: str) -> bytes:
    """The document with the meetingID that the client knows, wherever the server's stands."""
    if host_id == meeting_id:
        return document
    return document.replace(host_id.encode(), xml.escaped(meeting_id))
