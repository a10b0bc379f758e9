"""The runtime's side of init: its start, its messages, and what they mean."""
