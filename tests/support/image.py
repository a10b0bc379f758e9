"""Images for engines, without a registry."""

import hashlib
import json
import os
import tarfile
from io import BytesIO
from pathlib import Path
from typing import Optional


def image_archive(
    root: Path, archive: Path, reference: str, command: Optional[list[str]] = None, path: str = "/bin"
) -> Path:
    """An archive in the form of `docker save`: one layer, a command, a PATH."""
    layer = BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        tar.add(root, arcname=".")
    digest = hashlib.sha256(layer.getvalue()).hexdigest()
    config = json.dumps(
        {
            "architecture": "amd64" if os.uname().machine == "x86_64" else "arm64",
            "os": "linux",
            "config": {"Cmd": command or ["/bin/sh"], "Env": [f"PATH={path}"]},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
            "history": [{"created_by": "tests"}],
        }
    ).encode()
    name = hashlib.sha256(config).hexdigest()
    manifest = json.dumps([{"Config": f"{name}.json", "RepoTags": [reference], "Layers": [f"{digest}/layer.tar"]}])
    with tarfile.open(archive, "w") as tar:
        for member, data in (
            (f"{digest}/layer.tar", layer.getvalue()),
            (f"{name}.json", config),
            ("manifest.json", manifest.encode()),
        ):
            info = tarfile.TarInfo(member)
            info.size = len(data)
            tar.addfile(info, BytesIO(data))
    return archive
