"""What the product does, step by step. A verb lives here when the processes or the command line share it."""
