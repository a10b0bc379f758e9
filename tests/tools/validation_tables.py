"""Writes the tables of docs/validation.md: the official examples and their three judges, and every rule.

Run it after a change of schemas/ or of pyoci/validate: `python tests/tools/validation_tables.py`. A test compares the
document with what this would write.
"""

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import jsonschema  # noqa: E402

from pyoci import validate  # noqa: E402
from pyoci.errors import Error  # noqa: E402
from pyoci.json.document import parse  # noqa: E402
from pyoci.validate import _accept, _accept_rest  # noqa: E402
from pyoci.validate.catalog import CATALOG, NOT_REFUSED  # noqa: E402
from pyoci.validate.render import SPEC_URL  # noqa: E402

DOCUMENT = ROOT / "docs" / "validation.md"
DATA = ROOT / "tests" / "data"
ACCEPT = {"config": _accept.config, "state": _accept_rest.state, "features": _accept_rest.features}
CHECKS = {"config": validate.check_config, "state": validate.check_state, "features": validate.check_features}


def official(kind: str) -> jsonschema.Draft4Validator:
    """The official schema of a kind of document, its files joined into one."""
    whole: "dict[str, Any]" = {}
    for path in (DATA / "spec-schemas").glob("*.json"):
        text = path.read_text("utf-8").replace('"$ref": "#/', f'"$ref": "{path.name}#/')
        text = text.replace('"$ref": "', '"$ref": "#/definitions/')
        whole[path.name] = json.loads(text.replace(".json#/", ".json/"))
        whole[path.name].pop("id", None)
    root = {"$ref": f"#/definitions/{kind}-schema.json"}
    return jsonschema.Draft4Validator({"allOf": [root], "definitions": whole})


def examples() -> str:
    """A line for each official example."""
    lines = ["| example | official schema | schemas/ | the runtime |", "|---|---|---|---|"]
    for path in sorted((DATA / "spec-examples").glob("*/*/*.json")):
        kind = path.parts[-3]
        name = "/".join(path.parts[-3:])
        try:
            document = parse(path.read_bytes(), name=f"{kind}.json")
        except Error as problem:
            lines.append(f"| {name} | no JSON | no JSON | {_cell(str(problem))} |")
            continue
        judges = official(kind).is_valid(document), ACCEPT[kind](document)
        try:
            CHECKS[kind](document)
            words = "accepts"
        except Error as problem:
            words = _cell(str(problem))
        cells = ["accepts" if verdict else "refuses" for verdict in judges]
        lines.append(f"| {name} | {cells[0]} | {cells[1]} | {words} |")
    return "\n".join(lines)


def _cell(text: str) -> str:
    return "refuses: " + text.replace("|", "\\|")


def rules() -> str:
    """A line for each code."""
    lines = ["| code | level | what is wrong | section |", "|---|---|---|---|"]
    for code, (level, section, words) in CATALOG.items():
        note = " (`validate` only)" if code in NOT_REFUSED else ""
        lines.append(f"| `{code}` | {level}{note} | {words} | [{section}]({SPEC_URL}{section}) |")
    return "\n".join(lines)


def filled(text: str) -> str:
    """The document with its tables as they are now."""
    for name, table in (("examples", examples()), ("rules", rules())):
        begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(end)
        text = f"{before}{begin}{table}\n{end}{after}"
    return text


if __name__ == "__main__":
    DOCUMENT.write_text(filled(DOCUMENT.read_text("utf-8")), "utf-8")
