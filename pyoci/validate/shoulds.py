"""What the spec recommends, and what is ignored in silence or surely not meant: told by `pyoci validate` only."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .musts import Finding, Json, Path


def config_advice(config: "Json", out: "list[Finding]") -> None:
    """Every SHOULD of a config."""


def process_advice(process: "Json", path: "Path", out: "list[Finding]") -> None:
    """Every SHOULD of a process."""


def state_advice(state: "Json", out: "list[Finding]") -> None:
    """Every SHOULD of a state document."""


def features_advice(features: "Json", out: "list[Finding]") -> None:
    """Every SHOULD of a features document."""
