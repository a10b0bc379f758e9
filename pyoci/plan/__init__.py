"""Compilers of config.json: a plan is a list of steps, each with its place in the config."""
