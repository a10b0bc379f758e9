"""pyoci: a low-level OCI container runtime. Python decides, a small C program acts."""

__version__ = "0.1.0"
SPEC_VERSION = "1.3.0"
