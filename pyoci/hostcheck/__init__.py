"""What this host lacks for a config: the second half of validation, which asks the runtime's own compilers."""
