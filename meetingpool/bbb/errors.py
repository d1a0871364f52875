"""What can go wrong in the BBB protocol.

    ApiError                    the caller is refused; becomes <returncode>FAILED</returncode> with a messageKey
        ChecksumError, UnsupportedContentType, UnsupportedRequest, MissingMeetingID, ValidationError,
        MeetingNotFound, MissingSession, ServerUnavailable, ServerTagUnavailable, MaxConcurrent, NoSuchUser, InternalError,
        MissingCallbackURL, MissingHookID, NoSuchHook, HookNotCreated,
        MissingRecordID, MissingPublish, MissingFilter, RecordingsNotFound
        TextTrackError          of the calls about text tracks: their answers are JSON
            MissingTrackParameter, NoRecordingFound, NoCaptionsFound, InvalidKind, InvalidLang, EmptyTextTrack, TextTrackNotKept
    ServerFailure               a server gave no usable answer
        NothingSent             the request never left us: it is safe to ask another server
        RequestRejected         the host turned the request away: BBB did nothing
            SecretRefused       it does not accept our secret, for this request or any other
        OutcomeUnknown          the request left, and we do not know what the server did with it
            ReplyTimedOut
            ConnectionLost
            UnusableAnswer      something came back that is not a BBB answer

Keys and messages are those that BBB and its load balancers use; clients know them.
"""

from typing import ClassVar


class ApiError(Exception):
    """A refusal in the caller's format: `message_key` is the stable part, `message` the sentence for a human."""

    message_key: ClassVar[str] = "internalError"
    default_message: ClassVar[str] = "Unable to complete the request."

    def __init__(self, message: str | None = None) -> None:
        self.message = message or self.default_message
        super().__init__(self.message)


class ChecksumError(ApiError):
    message_key = "checksumError"
    default_message = "You did not pass the checksum security check"


class UnsupportedContentType(ApiError):
    message_key = "unsupportedContentType"
    default_message = "POST request Content-Type is missing or unsupported"


class UnsupportedRequest(ApiError):
    message_key = "unsupportedRequest"
    default_message = "This request is not supported."


class MissingMeetingID(ApiError):
    message_key = "missingParamMeetingID"
    default_message = "You must specify a meeting ID for the meeting."


class ValidationError(ApiError):
    message_key = "validationError"


class MeetingNotFound(ApiError):
    message_key = "notFound"
    default_message = "We could not find a meeting with that meeting ID - perhaps the meeting is not yet running?"


class MissingSession(ApiError):
    message_key = "missingSession"
    default_message = "This session lives on the server of its meeting, to which the browser was sent when it joined."


class ServerUnavailable(ApiError):
    message_key = "serverUnavailable"
    default_message = "The server for this meeting is disabled/offline."


class ServerTagUnavailable(ApiError):
    message_key = "serverTagUnavailable"


class MaxConcurrent(ApiError):
    message_key = "maxConcurrent"
    default_message = "The number of meetings that may run at the same time has been reached."


class NoSuchUser(ApiError):
    message_key = "noSuchUser"
    default_message = "There is no tenant with this name."


class MissingCallbackURL(ApiError):
    message_key = "missingParamCallbackURL"
    default_message = "You must specify a callbackURL in the parameters."


class MissingHookID(ApiError):
    message_key = "missingParamHookID"
    default_message = "You must specify a hookID in the parameters."


class NoSuchHook(ApiError):
    message_key = "destroyMissingHook"
    default_message = "The hook informed was not found."


class HookNotCreated(ApiError):
    message_key = "createHookError"


class MissingRecordID(ApiError):
    message_key = "missingParamRecordID"
    default_message = "You must specify a recordID."


class MissingPublish(ApiError):
    message_key = "missingParamPublish"
    default_message = "You must specify a publish value true or false."


class MissingFilter(ApiError):
    message_key = "missingParameters"
    default_message = "param meetingID or recordID must be included."


class RecordingsNotFound(ApiError):
    message_key = "notFound"
    default_message = "We could not find recordings"


class TextTrackError(ApiError):
    """A call about text tracks is refused."""


class MissingTrackParameter(TextTrackError):
    message_key = "paramError"

    def __init__(self, name: str) -> None:
        super().__init__(f"Missing param {name}.")


class NoRecordingFound(TextTrackError):
    message_key = "noRecordings"
    default_message = "No recording found for ID"


class NoCaptionsFound(TextTrackError):
    message_key = "noCaptionsFound"
    default_message = "No captions found for ID"


class InvalidKind(TextTrackError):
    message_key = "invalidKind"

    def __init__(self, kind: str) -> None:
        super().__init__(f"Invalid kind parameter, expected='subtitles|captions' actual={kind}")


class InvalidLang(TextTrackError):
    message_key = "invalidLang"

    def __init__(self, lang: str) -> None:
        super().__init__(f"Malformed lang param, received={lang}")


class EmptyTextTrack(TextTrackError):
    message_key = "empty_uploaded_text_track"
    default_message = "Empty uploaded text track."


class TextTrackNotKept(TextTrackError):
    message_key = "upload_text_track_failed"


class InternalError(ApiError):
    message_key = "internalError"


class ServerFailure(Exception):
    """A server gave no usable answer."""


class NothingSent(ServerFailure):
    """The connection could not be opened, so the server has seen nothing of the request."""


class RequestRejected(ServerFailure):
    """The host answered with an HTTP status of 400 to 499. BBB itself answers with 200, so it has not seen the request."""


class SecretRefused(RequestRejected):
    """The server's checksumError: the secret that we have for it is wrong."""


class OutcomeUnknown(ServerFailure):
    """The request left us and no usable reply came back: the server may or may not have acted on it."""


class ReplyTimedOut(OutcomeUnknown):
    """The reply was not complete when the deadline passed."""


class ConnectionLost(OutcomeUnknown):
    """The connection broke after the request had begun to leave."""


class UnusableAnswer(OutcomeUnknown):
    """What came back is not a complete BBB answer."""
