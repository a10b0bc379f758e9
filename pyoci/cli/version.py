"""The command version, and the text of --version."""

from pyoci.cli.output import show

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyoci.cli.call import Call


def version(call: "Call") -> int:
    """Prints the version in the shape callers parse; --check tries the installation first."""
    missing: "list[str]" = []
    if call.flags.get("check"):
        from pyoci.cli.installation import check

        missing = check()
    show(version_text() + "".join(f"not installed: {library}\n" for library in missing))
    return 0


def version_text() -> str:
    """The lines of --version.

    docker takes every line with the word `version` for the program's own, so only the first has it.
    """
    import sys

    import pyoci
    from pyoci.cli.installation import start
    from pyoci.commit import COMMIT

    python = ".".join(str(part) for part in sys.version_info[:3])
    about = f"commit: {COMMIT}\nspec: {pyoci.SPEC_VERSION}\npython: {python}\nstart: {start()}\n"
    return f"pyoci version {pyoci.__version__}\n{about}"
