"""What a test has in hand: containers of the runtime under test, and the pen that writes verdicts."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

import pytest

from conformance import host
from conformance.bundle import Bundle, Config, base_config, merged
from conformance.container import Container
from conformance.requirements import Requirement
from conformance.runtime import Hang, Result, Runtime
from conformance.seen import Seen
from conformance.verdict import ERROR, FAIL, PASS, SKIP, Refused, Verdict, explain, repeat_command


@dataclass
class Session:
    """What all tests of a worker share."""

    runtime: Runtime
    place: Path
    probe: Path
    worker: str
    cgroup_parent: str
    rootless: bool
    keep: Optional[Path]
    chosen: dict[str, Requirement]
    count: int = 0
    observed: dict[str, tuple[Seen, Config, list[str]]] = field(default_factory=dict)
    features_cache: list[Optional[dict[str, Any]]] = field(default_factory=list)

    def next_name(self) -> str:
        self.count += 1
        return f"{self.worker}-{self.count}"


class Case:
    """One test's hand on the runtime."""

    def __init__(self, session: Session, test: str, requirements: list[str]) -> None:
        self.session = session
        self.runtime = session.runtime
        self.probe = session.probe
        self.test = test
        self.requirements = [name for name in requirements if name in session.chosen]
        self.verdicts: list[Verdict] = []
        self.last_config: Config = {}
        self.containers: list[Container] = []
        self.bundles: list[Bundle] = []
        self.cleanups: list[Callable[[], object]] = []
        self.history_start = len(self.runtime.history)
        self.memo_commands: list[str] = []

    # -- containers

    def config(self, changes: Optional[Config] = None, **more: Any) -> Config:
        """The base configuration with changes laid over (None takes a property away)."""
        config = base_config()
        if self.session.rootless:
            config = merged(config, rootless_changes())
        return merged(merged(config, changes or {}), more)

    def bundle(self, config: Config) -> Bundle:
        """A new bundle on disk. It gets a cgroupsPath of the suite's unless it has one."""
        name = self.session.next_name()
        config = self.with_cgroup(config, name)
        bundle = Bundle(self.session.place / name, config, self.probe)
        self.bundles.append(bundle)
        self.last_config = config
        return bundle

    def with_cgroup(self, config: Config, name: str) -> Config:
        manager = self.runtime.cgroup_manager
        linux = config.get("linux")
        if manager == "disabled" or self.session.rootless or not isinstance(linux, dict) or "cgroupsPath" in linux:
            return config
        parent = self.session.cgroup_parent
        path = f"/{parent}/{name}" if manager == "cgroupfs" else f"system.slice:{parent}:{name}"
        return merged(config, {"linux": {"cgroupsPath": path}})

    def container(self, config: Config, bundle: Optional[Bundle] = None) -> Container:
        """A container that has not been created yet; it is taken away after the test whatever happens."""
        bundle = bundle or self.bundle(config)
        container = Container(self.runtime, f"cf-{self.session.next_name()}", bundle)
        self.containers.append(container)
        return container

    def created(self, config: Config, *options: str, **popen: Any) -> Container:
        """A container in state created. Raises Refused when create fails."""
        container = self.container(config)
        result = container.create(*options, **popen)
        if not result.ok:
            raise Refused("create", str(result))
        return container

    def started(self, config: Config, *options: str, **popen: Any) -> Container:
        """A container that was started. Raises Refused when create or start fails."""
        container = self.created(config, *options, **popen)
        result = container.start()
        if not result.ok:
            raise Refused("start", f"{result} {container.errors()}")
        return container

    def running(self, config: Config, children: int = 0) -> Container:
        """A container whose program runs until it is killed, and is known to have begun."""
        container = self.started(merged(config, {"process": {"args": ["/probe", f"pause:{children}"]}}))
        container.line()
        return container

    def stopped(self, config: Config) -> Container:
        """A container whose program has ended."""
        container = self.started(merged(config, {"process": {"args": ["/probe", "exit:0"]}}))
        container.wait()
        return container

    def observe(self, config: Config, *verbs: str, may_refuse: str = "", anew: bool = False, **popen: Any) -> Seen:
        """Runs the probe in a container of this configuration and returns what it saw.

        verbs:      what the probe shall try besides reporting (probe/verbs.c)
        may_refuse: a reason why a refusal is no failure but a skip
        anew:       do not take an observation of an equal configuration for it (nor is one made with popen kept)
        """
        config = merged(config, {"process": {"args": [*config["process"]["args"], *verbs]}})
        key = json.dumps(config, sort_keys=True)
        if anew or popen or key not in self.session.observed:
            begin = len(self.runtime.history)
            try:
                container = self.started(config, **popen)
            except Refused as refusal:
                if may_refuse:
                    pytest.skip(f"{refusal}; {may_refuse}")
                raise
            seen = self.report_of(container)
            self.memo_commands = self.runtime.history[begin:]
            if anew or popen:
                return seen
            self.session.observed[key] = (seen, self.last_config, self.memo_commands)
        seen, self.last_config, self.memo_commands = self.session.observed[key]
        return seen

    def report_of(self, container: Container) -> Seen:
        """Waits for the probe's end, and takes its report."""
        status = container.wait()
        lines = container.lines()
        container.delete()
        if not lines:
            raise Refused("start", f"the program said nothing, status {status}: {container.errors()}")
        return Seen(lines[-1])

    def attempt(self, config: Config) -> tuple[bool, str]:
        """Creates and starts; was it refused at either, and in which words?"""
        container = self.container(config)
        result = container.create()
        operation = "create"
        if result.ok:
            result = container.start()
            operation = "start"
        refused = not result.ok
        seen = f"{operation} failed: {result}" if refused else "create and start succeeded"
        if not refused and container.ends_within(2):
            status = container.wait()
            seen += f"; the process ended with status {status} {container.errors()}".rstrip()
        container.discard()
        return refused, seen

    def features(self) -> Optional[dict[str, Any]]:
        """The runtime's features structure, asked for once."""
        if not self.session.features_cache:
            self.session.features_cache.append(self.runtime.features())
        return self.session.features_cache[0]

    # -- what a test needs

    def needs(self, condition: object, reason: str) -> None:
        """Skips the test unless the condition holds."""
        if not condition:
            pytest.skip(reason)

    def needs_root(self) -> None:
        self.needs(not self.session.rootless, "needs root: this is a rootless run")

    def needs_cgroups(self) -> None:
        self.needs_root()
        self.needs(self.runtime.cgroup_manager != "disabled", "cgroups are disabled for this run")

    def after(self, cleanup: Callable[[], object]) -> None:
        """Does this when the test is over, last first."""
        self.cleanups.append(cleanup)

    # -- verdicts

    def commands(self) -> list[str]:
        return self.runtime.history[self.history_start :] or self.memo_commands

    def judge(self, requirement: str, ok: object, asked: str, seen: object) -> bool:
        """Writes down whether the requirement held. The test goes on either way."""
        if requirement in self.session.chosen:
            if requirement not in self.requirements:
                raise LookupError(f"{self.test} judges {requirement} without naming it in its marker")
            result = PASS if ok else FAIL
            self.verdicts.append(
                Verdict(requirement, result, asked, str(seen), {} if ok else self.last_config, self.commands())
            )
        return bool(ok)

    def equal(self, requirement: str, asked: str, expected: object, seen: object) -> bool:
        """judge() for a plain comparison."""
        return self.judge(requirement, expected == seen, f"{asked}: {expected!r}", repr(seen))

    def refused(self, requirement: str, asked: str, config: Config) -> bool:
        """judge() that the configuration is refused, at create or at start."""
        was_refused, seen = self.attempt(config)
        return self.judge(requirement, was_refused, f"an error, for {asked}", seen)

    def failed(self, requirement: str, asked: str, result: Result) -> bool:
        """judge() that an operation ended in an error."""
        return self.judge(requirement, not result.ok, f"an error, for {asked}", str(result))

    def unjudged(self) -> list[str]:
        judged = {verdict.requirement for verdict in self.verdicts}
        return [name for name in self.requirements if name not in judged]

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Around the test's body: turns what happens in it into verdicts, and a failed verdict into a failure."""
        try:
            yield
        except pytest.skip.Exception as skipped:
            self.fill(SKIP, "", str(skipped))
            if not self.failures():
                raise
        except (Refused, Hang) as refusal:
            self.fill(FAIL, "a container with this configuration that runs to its end", str(refusal))
        except Exception as error:
            self.fill(ERROR, "", f"{type(error).__name__}: {error}")
            raise
        else:
            missing = self.unjudged()
            if missing:
                self.fill(ERROR, "", "the test came to its end without judging this")
                raise LookupError(f"not judged: {', '.join(missing)}")
        if self.failures():
            pytest.fail("\n\n".join(self.explained(verdict) for verdict in self.failures()), pytrace=False)

    def fill(self, result: str, asked: str, seen: str) -> None:
        for name in self.unjudged():
            config = self.last_config if result == FAIL else {}
            self.verdicts.append(Verdict(name, result, asked, seen, config, self.commands()))

    def failures(self) -> list[Verdict]:
        return [verdict for verdict in self.verdicts if verdict.result == FAIL]

    def explained(self, verdict: Verdict) -> str:
        requirement = self.session.chosen[verdict.requirement]
        repeat = repeat_command(self.runtime.path, self.test, self.runtime.cgroup_manager)
        return explain(verdict, requirement.level, requirement.place, requirement.since, requirement.text, repeat)

    # -- the end

    def close(self) -> None:
        """Takes away everything the test made."""
        for container in self.containers:
            container.discard()
        for cleanup in reversed(self.cleanups):
            cleanup()
        for bundle in self.bundles:
            if self.session.keep:
                shutil.copytree(bundle.path, self.session.keep / bundle.path.name, symlinks=True, ignore=_special_files)
            host.unmount_below(str(bundle.path))
            shutil.rmtree(bundle.path, ignore_errors=True)


def _special_files(directory: str, names: list[str]) -> list[str]:
    """For copytree: leave out what is neither file, directory nor link."""
    paths = {name: Path(directory, name) for name in names}
    return [name for name, path in paths.items() if not (path.is_symlink() or path.is_file() or path.is_dir())]


def rootless_changes() -> Config:
    """What makes the base configuration one that an ordinary user can run."""
    import os

    mapping = {"containerID": 0, "size": 1}
    names = ("pid", "ipc", "uts", "mount", "user")
    return {
        "linux": {
            "namespaces": [{"type": name} for name in names],
            "uidMappings": [{**mapping, "hostID": os.getuid()}],
            "gidMappings": [{**mapping, "hostID": os.getgid()}],
            "resources": None,
        },
        "mounts": [
            mount
            if mount["destination"] != "/sys"
            else {**mount, "type": "none", "source": "/sys", "options": ["rbind", "ro"]}
            for mount in base_config()["mounts"]
        ],
    }
