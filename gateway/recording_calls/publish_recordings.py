"""publishRecordings: shows or hides recordings.

Whoever hides one can rely on it being hidden when the answer comes. Whoever shows one waits for its files to be in place, but not
for long: what is wanted is written down, and happens.
"""

from contextlib import suppress

from starlette.responses import Response

from gateway.answers import xml_answer
from gateway.authentication import Call
from gateway.recording_calls.named_recordings import change_named, named_recordings
from gateway.state import Gateway
from meetingpool.bbb import xml
from meetingpool.bbb.errors import MissingPublish, ValidationError
from meetingpool.database.engine import DatabaseUnavailable
from meetingpool.operations.change_recordings import published, unpublished, until_settled

# In seconds.
PATIENCE = 4.0


async def publish_recordings(gateway: Gateway, call: Call) -> Response:
    record_ids, is_to_be_seen = named_recordings(call), _is_to_be_seen(call)
    changed = await change_named(gateway, call, record_ids, published if is_to_be_seen else unpublished)
    if is_to_be_seen:
        with suppress(DatabaseUnavailable):
            await until_settled(gateway.database, changed, gateway.clock, PATIENCE)
    return xml_answer(xml.response(("returncode", "SUCCESS"), ("published", is_to_be_seen)))


def _is_to_be_seen(call: Call) -> bool:
    """BBB and Scalelite take whatever is not `true` for false: a slip of the pen would hide recordings."""
    said = call.text("publish")
    if said is None:
        raise MissingPublish
    if said.lower() not in ("true", "false"):
        raise ValidationError("Publish must be a boolean value (true or false)")
    return said.lower() == "true"
