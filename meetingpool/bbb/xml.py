"""The one hardened XML parser and the one writer of the project.

The parser refuses document types, entities and depth, and never touches the network. The writer escapes text and drops what
XML 1.0 cannot hold, so a document it writes is always well-formed.
"""

import re
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from lxml import etree

Element: TypeAlias = etree._Element  # noqa: SLF001
Content: TypeAlias = "str | int | bool | Sequence[Field] | None"
Attributes: TypeAlias = Mapping[str, str]
Field: TypeAlias = tuple[str, "Content"] | tuple[str, "Content", Attributes]

MAX_DEPTH = 64

# libxml2 itself stops at 256 levels and at 10 MB of text in one node, as long as huge_tree is off.
# One for all documents: to make one takes longer than to parse what servers answer.
_PARSER = etree.XMLParser(
    # Whatever a document declares: BBB writes UTF-8, and other encodings could spell markup in other bytes.
    encoding="utf-8",
    resolve_entities=False,
    no_network=True,
    load_dtd=False,
    dtd_validation=False,
    huge_tree=False,
    remove_comments=True,
    remove_pis=True,
)

_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*\Z")


class NotXml(ValueError):
    """The bytes are not a well-formed document, or hold what is refused: a document type, or too many levels."""


def parse(document: bytes) -> Element:
    """The root element of `document`. Raises NotXml."""
    if b"\x00" in document or (b"!" in document and (b"<!DOCTYPE" in document or b"<!ENTITY" in document)):
        raise NotXml("a document type is not accepted")
    try:
        root = etree.fromstring(document, _PARSER)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise NotXml("not well-formed") from error
    if root is None:
        raise NotXml("empty")
    return root


def require_shallow(root: Element) -> None:
    """Raises NotXml when elements are nested deeper than MAX_DEPTH levels. For documents that strangers wrote."""
    level = [root]
    for _ in range(MAX_DEPTH):
        level = [child for element in level for child in element]
        if not level:
            return
    raise NotXml(f"nested deeper than {MAX_DEPTH} levels")


def can_hold(text: str) -> bool:
    """Whether XML can hold every character of `text`."""
    return _NOT_IN_XML.search(text) is None


def escaped(text: str) -> bytes:
    """`text` as it stands between two tags."""
    return _escape(text).encode()


def serialise(element: Element) -> bytes:
    """The bytes of one element, UTF-8, without a declaration or trailing text."""
    return etree.tostring(element, encoding="utf-8", with_tail=False)


def write(name: str, content: Content, attributes: Attributes | None = None) -> bytes:
    """One document: `content` is text, a number, a boolean, None (empty) or a sequence of (name, content[, attributes])."""
    return _element(name, content, attributes).encode()


def response(*fields: Field) -> bytes:
    """A `<response>` holding `fields` in their order."""
    return write("response", fields)


def failed(message_key: str, message: str) -> bytes:
    """The answer to a refused call."""
    return response(("returncode", "FAILED"), ("messageKey", message_key), ("message", message))


def _element(name: str, content: Content, attributes: Attributes | None = None) -> str:
    if not _NAME.match(name):
        raise ValueError("not an element name")
    tag = name + "".join(_attribute(*attribute) for attribute in attributes.items()) if attributes else name
    if content is None or content in ("", ()):
        return f"<{tag}/>"
    return f"<{tag}>{_inner(content)}</{name}>"


def _attribute(name: str, value: str) -> str:
    if not _NAME.match(name):
        raise ValueError("not an attribute name")
    # Unless they are escaped, a reader makes blanks of these.
    safe = _escape(value).replace('"', "&quot;").replace("\t", "&#9;").replace("\n", "&#10;")
    return f' {name}="{safe}"'


def _inner(content: Content) -> str:
    match content:
        case bool():
            return "true" if content else "false"
        case int():
            return str(content)
        case str():
            return _escape(content)
        case _:
            return "".join(_element(*field) for field in content or ())


def _escape(text: str) -> str:
    clean = _NOT_IN_XML.sub("", text)
    return clean.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\r", "&#13;")
