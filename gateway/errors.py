"""The one table from what went wrong to what the caller is told."""

from meetingpool.bbb.errors import ApiError, InternalError, MaxConcurrent, ServerFailure, ValidationError
from meetingpool.database.creates import TenantFull
from meetingpool.database.engine import DatabaseUnavailable
from meetingpool.domain.placement import NoServerAvailable
from meetingpool.operations.change_recordings import MetadataTooLong
from meetingpool.operations.place_meeting import CreateFailed

# What a lost server means depends on the call; the sentences are those that front ends know from Scalelite.
_UNREACHABLE = {
    "create": "Unable to create meeting on server.",
    "getMeetings": "Unable to access server.",
    "insertDocument": "Unable to insert document on server.",
}

EXPECTED = (ApiError, ServerFailure, CreateFailed, TenantFull, NoServerAvailable, DatabaseUnavailable, MetadataTooLong)


def api_error(error: Exception, call: str) -> ApiError:
    """The refusal for an expected error of a call."""
    match error:
        case ApiError():
            return error
        case TenantFull():
            return MaxConcurrent()
        case NoServerAvailable():
            return InternalError("Could not find any available servers.")
        case CreateFailed() | ServerFailure():
            return InternalError(_UNREACHABLE.get(call, "Unable to access meeting on server."))
        case MetadataTooLong():
            return ValidationError(str(error))
        case DatabaseUnavailable():
            return InternalError("The service is busy; please try again in a moment.")
        case _:
            return InternalError()
