"""What a server answered: checked to be one complete BBB response, kept as the bytes that came.

The gateway passes the bytes on and reads only what it needs; the poller reads meetings from them.
"""

import re
from dataclasses import dataclass

from meetingpool.bbb import xml
from meetingpool.bbb.errors import UnusableAnswer

# Metadata that Meetingpool adds to a create; clients see their own only.
_OWN_METADATA = re.compile(rb"\s*<(meetingpool-[a-z]+)>[^<]*</\1>|\s*<meetingpool-[a-z]+/>")


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
        return (self.root.findtext(name) or "").strip()

    def for_clients(self) -> bytes:
        """The document without the metadata that Meetingpool added."""
        return without_own_metadata(self.document)


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


def without_own_metadata(document: bytes) -> bytes:
    if b"<meetingpool-" not in document:
        return document
    return _OWN_METADATA.sub(b"", document)
