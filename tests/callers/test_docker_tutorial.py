"""The chapter of docs/tutorial.md that needs docker: its commands print what the page shows."""

from collections.abc import Callable
from pathlib import Path

import pytest
from compare import PYOCI
from engines.base import Engine
from engines.docker import UNPACKED, Docker

from tests.support.tutorial import Command, chapters, differences, played

CHAPTERS = chapters()


@pytest.mark.skipif(not UNPACKED.exists(), reason="dockerd is not unpacked: tests/callers/install.sh")
def test_docker_drives_it(engines: Callable[[type[Engine]], tuple[Engine, Engine]], tmp_path: Path) -> None:
    """The daemon is a private one, which knows pyoci by another name and keeps its containers elsewhere."""
    docker = engines(Docker)[1]
    if docker.unusable is not None:
        pytest.skip(docker.unusable)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "pyoci").symlink_to(PYOCI)
    names = {
        "/run/docker/": f"{docker.directory}/exec/",
        "--runtime pyoci": "--runtime pyoci-under-test",
    }
    words = [*CHAPTERS[0].commands]
    for command in next(chapter for chapter in CHAPTERS if chapter.engine == "docker").commands:
        text = command.text
        for ours, theirs in names.items():
            text = text.replace(ours, theirs)
        words.append(Command(text, command.output))
    path = f"{tmp_path}/bin:{docker.environment['PATH']}"
    try:
        different = differences(words, played(words, tmp_path, {**docker.environment, "PATH": path}))
    finally:
        docker.script("$K rm -f $($K ps -aq); $K rmi -f tutorial")
    if different:
        pytest.fail(different, pytrace=False)
