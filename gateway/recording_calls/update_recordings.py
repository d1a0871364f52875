"""updateRecordings: changes the metadata of recordings, and whether they are protected. It outlives later deliveries."""

import re

from starlette.responses import Response

from gateway.answers import xml_answer
from gateway.authentication import Call
from gateway.recording_calls.named_recordings import change_named, named_recordings
from gateway.state import Gateway
from meetingpool.bbb import xml
from meetingpool.bbb.errors import ValidationError
from meetingpool.domain.parameters import is_own_parameter
from meetingpool.operations.change_recordings import all_of, described, protected

# BBB's, which drops other names without a word.
_METADATA = re.compile(r"meta_([a-zA-Z][a-zA-Z0-9-]*)")


async def update_recordings(gateway: Gateway, call: Call) -> Response:
    record_ids, is_protected = named_recordings(call), _is_protected(call)
    changes = [described(_edits(call))] + ([] if is_protected is None else [protected(is_protected)])
    await change_named(gateway, call, record_ids, all_of(*changes))
    return xml_answer(xml.response(("returncode", "SUCCESS"), ("updated", True)))


def _edits(call: Call) -> dict[str, str | None]:
    """The new values by the names of metadata, which are in lower case as BBB keeps them; None for an empty one, which goes."""
    given = ((_METADATA.fullmatch(name), name, value) for name, value in call.parameters.items())
    return {found[1].lower(): value or None for found, name, value in given if found and not is_own_parameter(name)}


def _is_protected(call: Call) -> bool | None:
    said = (call.text("protect") or "").lower()
    if said not in ("", "true", "false"):
        raise ValidationError("Protect must be a boolean value (true or false)")
    return said == "true" if said else None
