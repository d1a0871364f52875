"""Which of the addresses that a create names will be called. Used by place_meeting.

A hopeless one is no reason to refuse a meeting: BBB takes it too, and nobody is called.
"""

from collections.abc import Mapping

from meetingpool.domain.callbacks import given_addresses
from meetingpool.domain.meetings import MeetingKey
from meetingpool.logs import get_logger
from meetingpool.outward.errors import ForbiddenAddress
from meetingpool.outward.targets import AllowList, require_allowed

log = get_logger()


def callable_addresses(key: MeetingKey, parameters: Mapping[str, str], allowed: AllowList) -> dict[str, str]:
    """The addresses by their kinds, without those that must not be called whatever their names stand for."""
    addresses = given_addresses(parameters)
    for kind, address in list(addresses.items()):
        try:
            require_allowed(address, allowed)
        except ForbiddenAddress as error:
            log.warning("callback_ignored", kind=kind, tenant=key.tenant, meeting=key.meeting_id, reason=str(error))
            del addresses[kind]
    return addresses
