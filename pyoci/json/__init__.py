"""JSON as configs need it: one parser that refuses what is ambiguous, and the places of what it read."""

MAX_DEPTH = 100  # the spec itself nests 8 deep
INT_MIN = -(2**63)
INT_MAX = 2**64 - 1
