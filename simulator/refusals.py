"""The refusals that only a BBB server makes, with the keys and sentences of bbb-web and bbb-webhooks.

Raised by the calls; `refusal_document` turns any refusal into its answer. Sentences are those of `ValidationService`,
`ApiController` and bbb-webhooks, their misspellings included: clients have met them.
"""

from meetingpool.bbb import xml
from meetingpool.bbb.errors import ApiError


class NoSuchMeeting(ApiError):
    message_key = "notFound"
    default_message = "A meeting with that ID does not exist"


class InvalidMeetingIdentifier(ApiError):
    message_key = "invalidMeetingIdentifier"
    default_message = "A meeting with that ID does not exist"


class MeetingForciblyEnded(ApiError):
    message_key = "meetingForciblyEnded"
    default_message = "You can not join a meeting that has already been forcibly ended"


class CreateTimeMismatch(ApiError):
    message_key = "mismatchCreateTimeParam"
    default_message = "The createTime parameter submitted mismatches with the current meeting."


class MeetingIsFull(ApiError):
    message_key = "maxParticipantsReached"
    default_message = "The number of participants allowed for this meeting has been reached."


class MissingFullName(ApiError):
    message_key = "missingParamFullName"
    default_message = "You must provide your name"


class InvalidPassword(ApiError):
    message_key = "invalidPassword"
    default_message = "Invalid password"


class RoleRequired(ApiError):
    message_key = "Params required"
    default_message = "You must either send the valid role of the user, or the password, sould the meeting has one."


class IdNotUnique(ApiError):
    message_key = "idNotUnique"
    default_message = "A meeting already exists with that meeting ID.  Please use a different meeting ID."


class ParentMeetingMissing(ApiError):
    message_key = "parentMeetingIdMissing"
    default_message = "No parent meeting ID was provided for the breakout room"


class VoiceBridgeInUse(ApiError):
    message_key = "nonUniqueVoiceBridge"
    default_message = "The selected voice bridge is already in use."


class MissingCallbackURL(ApiError):
    message_key = "missingParamCallbackURL"
    default_message = "You must specify a callbackURL in the parameters."


class MissingHookID(ApiError):
    message_key = "missingParamHookID"
    default_message = "You must specify a hookID in the parameters."


class NoSuchHook(ApiError):
    message_key = "destroyMissingHook"
    default_message = "The hook informed was not found."


def refusal_document(refusal: ApiError) -> bytes:
    """The FAILED answer. A voice bridge in use comes in the second shape that BBB has, a list of errors."""
    if isinstance(refusal, VoiceBridgeInUse):
        error: xml.Content = (("key", refusal.message_key), ("message", refusal.message))
        return xml.response(("returncode", "FAILED"), ("errors", (("error", error),)))
    return xml.failed(refusal.message_key, refusal.message)
