"""checkpoint and restore with CRIU: messages (its protocol), criu (a process of it), mounts, dump, restore."""
