"""Why a request to somebody else's address was not delivered. The sentences hold no query and no user.

OutwardFailure
    ForbiddenAddress    it must not be sent: trying again is of no use
    NotDelivered        it could not be sent, or no complete reply came back: it may be tried again
"""


class OutwardFailure(Exception):
    """The request was not delivered."""


class ForbiddenAddress(OutwardFailure):
    """The URL, or what its host name stands for, must not be called."""


class NotDelivered(OutwardFailure):
    """No connection, or no complete reply within the time."""
