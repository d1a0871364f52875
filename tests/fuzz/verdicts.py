"""What is wrong with an answer, whatever was asked."""

import json
import re
from urllib.parse import unquote_to_bytes
from xml.parsers import expat

from lxml import etree

from meetingpool.bbb.calls import CALLS, SESSION_CALLS
from tests.wire import Answered, Request

# The most that one request may cost: of the processor's time in this process, and until it is answered.
CPU_SECONDS = 0.5
SECONDS = 5.0

_API = re.compile(rb"/(t/[^/]+/)?bigbluebutton/api(/|\Z)")
_INSIDE = (b"Traceback", b"site-packages", b"Error(", b"SELECT ", b"Something went wrong")


def complaints(request: Request, answer: Answered, secrets: list[bytes]) -> list[str]:
    """Sentences, none of them when all is well. Whoever was gone before the end hears nothing, whatever it is."""
    if request.is_cut_off:
        return []
    told = b"\n".join([*answer.headers.values(), answer.body])
    found = [f"it tells {word!r}" for word in _INSIDE if word in told]
    found += ["it tells a secret" for secret in secrets if secret in told]
    found += [
        f"the header {name!r} is two lines" for name, value in answer.headers.items() if re.search(rb"[\r\n\0]", name + value)
    ]
    if answer.status >= 500 and not _is_busy(answer):
        found.append(f"the status is {answer.status}")
    path = unquote_to_bytes(request.target.partition(b"?")[0])
    return found + (_api_complaints(path, request, answer) if _API.match(path) else [])


def _is_busy(answer: Answered) -> bool:
    """The one answer of 503 that is documented."""
    return answer.status == 503 and b"retry-after" in answer.headers


def _api_complaints(path: bytes, request: Request, answer: Answered) -> list[str]:
    if path.endswith(b"/api") and request.method not in ("GET", "HEAD", "POST"):
        # As with BBB itself, nothing is there for such a method.
        return [] if answer.status == 405 else [f"the status is {answer.status}"]
    if answer.body == b"bbb-webhooks API up!":
        return []
    match answer.status:
        case 302:
            return (
                [] if answer.headers[b"location"].startswith(b"http://127.0.0.1:") and not answer.body else ["it leads elsewhere"]
            )
        case 200 | 429 | 503:
            return _body_complaints(path, answer)
        case _:
            return [f"the status is {answer.status}"]


def _body_complaints(path: bytes, answer: Answered) -> list[str]:
    if answer.headers.get(b"content-type") == b"application/json":
        name = path.strip(b"/").rpartition(b"/")[2].decode(errors="replace")
        returncode = json.loads(answer.body)["response"]["returncode"]
        is_one = name in SESSION_CALLS and returncode == "FAILED"
        return [] if is_one or _answers_json(name) else ["it is JSON"]
    if answer.headers.get(b"content-type") != b"text/xml;charset=utf-8":
        return [f"the content type is {answer.headers.get(b'content-type')!r}"]
    try:
        expat.ParserCreate().Parse(answer.body, True)
        root = etree.fromstring(answer.body)
    except (expat.ExpatError, etree.XMLSyntaxError) as error:
        return [f"it is not well-formed: {error}"]
    return [] if root.tag == "response" and root.findtext("returncode") in ("SUCCESS", "FAILED") else ["it is no answer"]


def _answers_json(path_end: str) -> bool:
    return path_end in CALLS and CALLS[path_end].answers_json


def kind_of(answer: Answered) -> str:
    """What the answer is counted under."""
    key = re.search(rb"<messageKey>([A-Za-z ]*)</messageKey>", answer.body)
    outcome = b"SUCCESS" if b"<returncode>SUCCESS" in answer.body else b"FAILED" if b"FAILED" in answer.body else b""
    return " ".join(filter(None, [str(answer.status), outcome.decode(), key[1].decode() if key else ""]))
