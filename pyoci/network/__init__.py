"""Network devices that move into a container, and the kernel's protocol for them."""
