"""The rules of polling as the settings say. Called by the poller and the command line."""

from meetingpool.domain.alerts import AlertRules
from meetingpool.domain.health import Thresholds
from meetingpool.domain.load import Expectation
from meetingpool.operations.record_polls import PollRules
from meetingpool.settings import Settings


def poll_rules(settings: Settings) -> PollRules:
    return PollRules(
        thresholds=Thresholds(fall=settings.server_unhealthy_threshold, rise=settings.server_healthy_threshold),
        expectation=Expectation(users=settings.load_min_user_count, fades_after=settings.expectation_fades_after),
        response_timeout=settings.response_timeout,
        alerts=AlertRules(full_at=settings.alert_load),
    )
