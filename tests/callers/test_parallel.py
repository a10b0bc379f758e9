"""Ten podman containers and ten containerd tasks at once, twenty rounds each: no failure, nothing left behind."""

import os
from concurrent.futures import ThreadPoolExecutor

import pytest
from engines.base import Engine
from engines.containerd import Containerd
from engines.podman import Podman

WIDTH = 10
ROUNDS = int(os.environ.get("ROUNDS", "20"))

PODMAN = """$P run -d --name {name} --network none $I sh -c 'trap "exit 0" TERM; while :; do sleep 0.05; done' \\
>/dev/null &&
[ "$($P exec {name} echo {name})" = {name} ] && $P stop -t 20 {name} >/dev/null && $P rm {name} >/dev/null"""
CONTAINERD = """$K -d --null-io $I {name} sleep 1000 && $C task exec $F --exec-id e {name} true &&
$C task kill -s SIGKILL {name} && until_ '$C task ls | grep "^{name} " | grep -q STOPPED' &&
{{ $C task rm {name} 2>/dev/null; $C c rm {name}; }}"""


def _rounds(engine: Engine, script: str, number: int) -> list[str]:
    """What went wrong with one container, made again and again."""
    problems = []
    for turn in range(ROUNDS):
        outcome = engine.script(script.format(name=f"n{number}x{turn}"))
        if outcome.status != 0:
            problems.append(f"{engine.name}, round {turn} of {number}: {outcome}")
    return problems


@pytest.mark.slow
def test_ten_and_ten_at_once(engines):  # type: ignore[no-untyped-def]
    podman, containerd = engines(Podman)[1], engines(Containerd)[1]
    with ThreadPoolExecutor(2 * WIDTH) as pool:
        runs = [pool.submit(_rounds, podman, PODMAN, number) for number in range(WIDTH)]
        runs += [pool.submit(_rounds, containerd, CONTAINERD, number) for number in range(WIDTH)]
        problems = [line for run in runs for line in run.result()]
    assert not problems, "\n".join(problems)
    assert podman.script("$P ps -aq").out == ""
    assert containerd.script("$C c ls -q; $C task ls -q").out == ""
