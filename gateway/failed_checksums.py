"""What a wrong checksum gets, by how often its address sent one lately. Called by `gateway.bbb_api`.

A right checksum is never looked at here: front ends share addresses with strangers, behind proxies and address translation.
"""

from functools import cache
from math import ceil

from starlette.responses import Response

from gateway.answers import json_refusal, xml_answer
from gateway.tally import Tally
from gateway.throttle import Throttle, source_of
from meetingpool.bbb import xml
from meetingpool.bbb.errors import ChecksumError
from meetingpool.logs import get_logger

log = get_logger()


class FailedChecksums:
    """Those of one process, by address."""

    def __init__(self, *, per_minute: int) -> None:
        self._throttle = Throttle(limit=per_minute, window=60.0)
        self._tally = Tally()

    def refuse(self, error: ChecksumError, host: str, now: float, *, in_json: bool = False) -> Response:
        """The refusal: status 200 as everywhere in the API, 429 for an address over the limit. The document is the same."""
        source = source_of(host)
        is_welcome = not self._throttle.retry_after(source, now)
        self._throttle.note_failure(source, now)
        if count := self._tally.note(source, now):
            log.warning("failed_checksums", address=source, count=count)
        answer = json_refusal(error) if in_json else xml_answer(_document(error.message))
        if not is_welcome:
            answer.status_code = 429
            answer.raw_headers.append((b"retry-after", b"%d" % ceil(self._throttle.retry_after(source, now))))
        return answer


@cache
def _document(message: str) -> bytes:
    # Strangers can have it as often as they like. There is one message, and one more for hooks.
    return xml.failed(ChecksumError.message_key, message)
