"""The rules of polling as the settings say. Called by the poller and the command line."""

from meetingpool.domain.alerts import AlertRules
from meetingpool.domain.health import Thresholds
from meetingpool.domain.load import Expectation, Weights
from meetingpool.operations.record_polls import PollRules
from meetingpool.settings import Settings


def prior_of(settings: Settings) -> Expectation:
    """What is expected of a meeting as long as nothing is known of any."""
    return Expectation(users=float(settings.load_min_user_count), fades_after=settings.load_join_buffer_time * 60)


def poll_rules(settings: Settings) -> PollRules:
    return PollRules(
        thresholds=Thresholds(fall=settings.server_unhealthy_threshold, rise=settings.server_healthy_threshold),
        prior=prior_of(settings),
        weights=Weights(user=settings.load_per_user, voice=settings.load_per_voice, video=settings.load_per_video),
        response_timeout=settings.response_timeout,
        alerts=AlertRules(full_at=settings.alert_load),
    )
