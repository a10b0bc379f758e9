"""Processes of containers as a program sees them: streams, waiting, ends."""
