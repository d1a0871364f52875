"""The transfer worker: imports finished recordings from spool directories into the library, and keeps its files in order."""
