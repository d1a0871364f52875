"""File descriptors: each connection takes one, and a process that has none left reaches neither servers nor the database.

Used by `gateway.__main__` before it listens.
"""

import resource

from meetingpool.logs import get_logger

PLENTY = 65_536

log = get_logger()


def connections_that_fit(wanted: int) -> int:
    """How many connections of clients to hold: as many as wanted, if that leaves a quarter of all descriptors for the rest.

    The process gets as many descriptors as it may have, which is usually more than it starts with.
    """
    allowed = _raise_limit()
    fitting = min(wanted, allowed - allowed // 4)
    if fitting < wanted:
        log.warning("few_file_descriptors", allowed=allowed, connections=fitting, wanted=wanted)
    return fitting


def _raise_limit() -> int:
    soft, hard = (PLENTY if limit == resource.RLIM_INFINITY else limit for limit in resource.getrlimit(resource.RLIMIT_NOFILE))
    wanted = max(soft, min(hard, PLENTY))
    if wanted > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    return wanted
