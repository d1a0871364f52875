"""BigBlueButton servers for development, tests, demonstrations and load: real state behind real sockets.

Tests start a `Fleet`; people run `python -m simulator`.
"""
