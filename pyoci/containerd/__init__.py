"""containerd's runtime plugin: `containerd-shim-pyoci-v1`, one process that serves the task service of a pod."""
