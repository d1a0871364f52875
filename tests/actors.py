"""Who changes things in tests that do not ask who did."""

from meetingpool.domain.audit import Actor, ActorKind

SOMEBODY = Actor(kind=ActorKind.COMMAND, name="somebody@here")
