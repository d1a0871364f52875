"""What can be typed: the commands with their arguments and help, a module for each group."""
