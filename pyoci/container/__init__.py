"""The life of a container: its state on disk, and the operations on it, a module each."""
