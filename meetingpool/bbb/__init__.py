"""The BigBlueButton protocol, both sides: how calls are signed and read, how answers are written and parsed."""
