"""The dashboard: pages that administrators look at, and the same operations as those of the command line, behind buttons."""
