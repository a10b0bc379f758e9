"""Mutants: runtimes with one fault each, made by a wrapper around a good one. The suite has to notice every fault."""
