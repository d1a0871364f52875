"""Calls to addresses that others gave us: callback URLs of front ends, token URLs of learning record stores.

Whoever gives us an address must not reach through us what is reachable for us only. So a URL is read once (`urls.py`), its
host is judged (`targets.py`) and looked up once, every address that the name stands for is checked, and the connection is made
to a checked address, while TLS and the Host header keep the name (`client.py`). No redirect is followed, no proxy of the
environment used, nothing decoded, no connection used twice.

`require_allowed` is for whoever takes a URL in, so that a hopeless one is refused before it is kept. Sending is for those who
deliver callbacks and fetch tokens; how many requests are under way at once is their affair. docs/decisions/0008-outward.md.
"""
