"""The key that the databases of tests are used with."""

from meetingpool.secret_keys import Keyring

SECRET_KEY = "the key of the tests, which nobody else has"
KEYRING = Keyring([SECRET_KEY])
