"""The poller: watches the servers. One process leads and polls, any others stand by."""
