"""Figures for people."""


def size(count: float) -> str:
    """Bytes for people: 0B, 17.3KiB, 1.5GiB."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f}{unit}" if unit == "B" else f"{count:.1f}{unit}"
        count /= 1024
    return f"{count:.1f}TiB"
