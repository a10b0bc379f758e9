"""One module an engine: how it is started with private state, and told to use a runtime."""
