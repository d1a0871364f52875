"""Meetingpool's own API for administrators and their programs, below /api/v1: JSON, bearer tokens, one table of endpoints.

`endpoints.py` is the whole map. From it come the routes (`application.py`), the document (`openapi.py`) and the page in docs/.
All is loaded when the first request comes (`entrance.py`); what a process remembers of its callers is `admission.py`.
"""
