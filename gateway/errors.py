"""The one table from what went wrong to what the caller is told."""

from meetingpool.bbb.errors import ApiError, InternalError, ServerFailure, ServerTagUnavailable
from meetingpool.database.engine import DatabaseUnavailable
from meetingpool.domain.placement import NoServerAvailable, NoServerWithTag
from meetingpool.operations.place_meeting import CreateFailed

# What a lost server means depends on the call; the sentences are those that front ends know from Scalelite.
_UNREACHABLE = {
    "create": "Unable to create meeting on server.",
    "getMeetings": "Unable to access server.",
}

EXPECTED = (ApiError, ServerFailure, CreateFailed, NoServerAvailable, DatabaseUnavailable)


def api_error(error: Exception, call: str, server_tag: str | None = None) -> ApiError:
    """The refusal for an expected error of a call. `server_tag`: what the caller asked for, named back to it."""
    match error:
        case ApiError():
            return error
        case NoServerWithTag():
            return ServerTagUnavailable(f"There is no available server with the required tag={(server_tag or '').rstrip('!')}.")
        case NoServerAvailable():
            return InternalError("Could not find any available servers.")
        case CreateFailed() | ServerFailure():
            return InternalError(_UNREACHABLE.get(call, "Unable to access meeting on server."))
        case DatabaseUnavailable():
            return InternalError("The service is busy; please try again in a moment.")
        case _:
            return InternalError()
