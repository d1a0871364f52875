"""Why something that an administrator asked for is not done. Each says what to do, in one sentence for terminal, API and page.

What is raised all over inherits from these, so that an exit code and an HTTP status need one line each.
"""


class Refusal(Exception):
    """It is not done, and nothing is changed."""


class NotFound(Refusal):
    """What was named is not there."""


class Conflict(Refusal):
    """As things are now it cannot be done."""


class Invalid(Refusal, ValueError):
    """What was given can never be used."""
