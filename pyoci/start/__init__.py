"""How a command's program starts: the half of Python's start that it needs, and what the build got."""
