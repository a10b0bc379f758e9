"""What the tests that run containers share: bundles, the command, terminals, sockets, and a count of what is left."""
