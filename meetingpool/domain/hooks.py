"""Webhooks: what a front end wants to hear of, and the addresses at which servers tell us everything.

A front end registers its hook here; each server has one of ours, and one more while somebody wants raw events. The address of
ours names the server and proves that it was made here. Read by the gateway, which registers and receives, and by the poller,
which registers ours on the servers.
"""

import hmac
from collections.abc import Collection
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from urllib.parse import quote

from meetingpool.domain import callbacks
from meetingpool.domain.servers import ServerId

PATH = f"{callbacks.PATH}/hooks"
_PROOF_LENGTH = 40


class HookForm(StrEnum):
    """In which form events come: as bbb-webhooks describes them, or as they are on BBB's own bus."""

    PROCESSED = "processed"
    RAW = "raw"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """A webhook of a front end. Unset, `meeting_id` is any meeting of the tenant, `event_ids` (lower case) any event."""

    id: str
    tenant: str
    callback_url: str = field(repr=False)
    meeting_id: str | None = None
    event_ids: tuple[str, ...] = ()
    form: HookForm = HookForm.PROCESSED

    def wants(self, meeting_id: str, event_ids: Collection[str], form: HookForm) -> bool:
        """Whether it is to hear of an event of that meeting, which may be known by any of the ids (lower case)."""
        if form is not self.form or self.meeting_id not in (None, meeting_id):
            return False
        return not self.event_ids or not set(self.event_ids).isdisjoint(event_ids)


def read_event_ids(listed: str) -> tuple[str, ...]:
    """The ids in a list with commas, in lower case, each once."""
    ids = (event_id.strip().lower() for event_id in listed.split(","))
    return tuple(dict.fromkeys(event_id for event_id in ids if event_id))


def hook_path(key: bytes, server_id: ServerId, form: HookForm) -> str:
    """The path at which a server tells us of events in one form."""
    return f"{PATH}/{quote(server_id, safe='')}/{_proof(key, server_id, form)}"


def proved_form(key: bytes, server_id: ServerId, proof: str) -> HookForm | None:
    """The form that the end of a path is for; None unless the path was made with `key`. In a time that tells nothing."""
    matches = [form for form in HookForm if hmac.compare_digest(_proof(key, server_id, form).encode(), proof.encode())]
    return matches[0] if matches else None


def _proof(key: bytes, server_id: ServerId, form: HookForm) -> str:
    # What is signed for other callbacks begins with a number.
    return hmac.new(key, f"hooks:{form}:{server_id}".encode(), sha256).hexdigest()[:_PROOF_LENGTH]
