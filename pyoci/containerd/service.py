"""The task service, versions 2 and 3: a method for each of the protocol's, on the runtime's operations."""

import posix
import time

from pyoci.containerd import children, messages
from pyoci.containerd.codec import Malformed, decode, encode
from pyoci.containerd.crowd import Later
from pyoci.containerd.files import OPTIONS_FILE, STATE_ROOT, bundle_config
from pyoci.containerd.streams import Owner, Streams
from pyoci.containerd.task import CREATED, NEVER, RUNNING, STOPPED, Member, Task
from pyoci.errors import Error
from pyoci.ids import check_id
from pyoci.kinds import GRPC, KINDS
from pyoci.options import CreateOptions, ExecOptions
from pyoci.runtime import Runtime

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Any, Optional

    from pyoci.containerd.codec import Message, Table
    from pyoci.containerd.events import Publisher
    from pyoci.containerd.log import Log
    from pyoci.containerd.loop import Loop
    from pyoci.containerd.ttrpc import Answer

    Steps = Generator[Any, Any, Optional[Message]]

OWN_SERVICE = "pyoci.shim.v1.Shim"
SERVICES = ("containerd.task.v2.Task", "containerd.task.v3.Task")
_OPTIONS = {
    "containerd.runc.v1.Options": messages.OPTIONS,
    "containerd.linux.runc.CreateOptions": messages.OLD_OPTIONS,
}
_OK, _UNKNOWN, _INVALID, _NOT_FOUND, _EXISTS, _WRONG_STATE = 0, 2, 3, 5, 6, 9
_UNIMPLEMENTED, _INTERNAL, _UNAVAILABLE = 12, 13, 14
_SIGKILL = 9


class Refusal(Exception):
    """An answer that is a gRPC status."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code, self.text = code, text


class Service:
    """The tasks of one shim."""

    def __init__(self, loop: "Loop", log: "Log", publisher: "Publisher", namespace: str) -> None:
        self.loop, self.log, self.publisher, self.namespace = loop, log, publisher, namespace
        self.tasks: "dict[str, Task]" = {}
        self.requests: "dict[int, tuple[str, Message, int]]" = {}  # method, request, when it came; by a number
        self._count = 0
        self.on_shutdown: "Callable[[], None]" = lambda: None
        self.on_idle: "Callable[[], None]" = lambda: None  # the last task is gone

    # Requests

    @property
    def in_flight(self) -> int:
        """How many requests are not answered yet."""
        return len(self.requests)

    def handle(self, service: str, method: str, payload: bytes, answer: "Answer") -> None:
        """Answers a request, now or later."""
        found = METHODS.get(method) if service in SERVICES else None
        if service == OWN_SERVICE and method == "Status":
            answer(encode(messages.SHIM_STATUS, self._about()), _OK, "")
            return
        if found is None:
            what = f"method {method}" if service in SERVICES else f"service {service}"
            answer(b"", _UNIMPLEMENTED, f"{what[:200]} is not implemented")
            return
        wanted, given, function = found
        try:
            request = decode(wanted, payload)
        except Malformed as problem:
            answer(b"", _INVALID, f"{method}: the request is malformed: {problem}")
            return
        self._count += 1
        number = self._count
        self.requests[number] = method, request, time.monotonic_ns()

        def then(value: "Optional[Message]", problem: "Optional[BaseException]") -> None:
            del self.requests[number]
            if problem is None:
                is_heard = answer(encode(given, value or {}), _OK, "")
                if method == "Create" and not is_heard:
                    self._undo(request["id"])
            else:
                answer(b"", *self._status(method, request, problem))

        self.loop.go(function(self, request), then)

    def _about(self) -> "Message":
        now = time.monotonic_ns()
        containers = [
            {"id": task.id, "status": task.status_of(task.first) if task.is_ready else 0, "execs": len(task.execs)}
            for task in self.tasks.values()
        ]
        requests = [
            {"method": method, "id": request.get("id"), "exec_id": request.get("exec_id"), "age": now - since}
            for method, request, since in self.requests.values()
        ]
        return {
            "namespace": self.namespace,
            "containers": containers,
            "requests": requests,
            "events": self.publisher.kept,
        }

    def _status(self, method: str, request: "Message", problem: BaseException) -> "tuple[int, str]":
        """What went wrong, as a gRPC status, and in the log if it is our mistake."""
        if isinstance(problem, Refusal):
            return problem.code, problem.text
        if isinstance(problem, Error):
            code = GRPC[KINDS[problem.kind].grpc] if problem.kind in KINDS else _UNKNOWN
            self.log.warn(f"{method}: {problem}", id=str(request.get("id", "")))
            return code, str(problem)
        if isinstance(problem, OSError):
            self.log.warn(f"{method}: {problem}", id=str(request.get("id", "")))
            return _UNKNOWN, f"{method}: {problem.strerror}" + (f": {problem.filename}" if problem.filename else "")
        self.log.mistake(f"internal error in {method}", problem, id=str(request.get("id", "")))
        return _INTERNAL, f"internal error: {type(problem).__name__} (the shim's log says more with --debug)"

    def _task(self, request: "Message") -> Task:
        task = self.tasks.get(request["id"])
        if task is None or not task.is_ready:
            raise Refusal(_NOT_FOUND, f"container {request['id'][:300]!r} not created: not found")
        return task

    def _member(self, request: "Message") -> Member:
        task, exec_id = self._task(request), request["exec_id"]
        if not exec_id:
            return task.first
        if exec_id not in task.execs:
            raise Refusal(_NOT_FOUND, f"process {exec_id[:300]} does not exist: not found")
        return task.execs[exec_id]

    def _warn(self, text: str) -> None:
        self.loop.post(lambda: self.log.warn(text))

    def _environment(self, container: str) -> "dict[str, str]":
        return {
            "CONTAINER_ID": container,
            "CONTAINER_NAMESPACE": self.namespace,
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        }

    # Create, Start, Delete

    def create(self, request: "Message") -> "Steps":
        """Mounts the rootfs and makes the container; its process waits for start."""
        container, bundle = request["id"], request["bundle"]
        check_id(container)
        if not bundle.startswith("/"):
            raise Refusal(_INVALID, f"the bundle {bundle[:300]!r} is not an absolute path")
        if container in self.tasks:
            raise Refusal(_EXISTS, f"container {container} already exists: already exists")
        options = self._options(request["options"])
        root = f"{options['root'] or STATE_ROOT}/{self.namespace}"
        driver = "systemd" if options["systemd_cgroup"] else "cgroupfs"
        task = Task(self.loop, self.publisher, Runtime(root, cgroup_manager=driver, warn=self._warn), request)
        task.options = options
        uris = request["stdin"], request["stdout"], request["stderr"]
        task.first = member = Member(task, "", Streams(uris, request["terminal"]))
        self.tasks[container] = task
        try:
            child = yield Later(lambda: self._make(task, request))
            if child is not None:
                try:
                    member.born(child)
                except BaseException:
                    yield lambda: self._unmake(task)
                    raise
        except BaseException:
            self._drop(task)
            raise
        task.is_ready = True
        if child is not None:
            task.watch_memory()
        io = {"stdin": uris[0], "stdout": uris[1], "stderr": uris[2], "terminal": request["terminal"]}
        fields = {"container_id": container, "bundle": bundle, "rootfs": request["rootfs"], "io": io}
        self.publisher.publish("/tasks/create", {**fields, "checkpoint": request["checkpoint"], "pid": member.pid})
        return {"pid": member.pid}

    def _undo(self, container: str) -> None:
        """Who wanted a container is gone, and does not know that there is one: a containerd that was killed meanwhile,
        whose successor has asked already, and heard that there was none."""
        self.log.warn("the container is removed: nobody has waited for its creation", id=container)

        def then(_: "Any", problem: "Optional[BaseException]") -> None:
            if problem is not None:
                self._status("Create", {"id": container}, problem)

        self.loop.go(self.delete({"id": container, "exec_id": ""}), then)

    def _options(self, given: "Optional[Message]") -> "Message":
        if given is None or not given["type_url"]:
            return decode(messages.OPTIONS, b"")
        name = given["type_url"].rpartition("/")[2]
        if name == "runtimeoptions.v1.Options":
            return decode(messages.OPTIONS, b"")  # a path of a file, which is none of ours
        if name not in _OPTIONS:
            raise Refusal(_INVALID, f"options of the type {name[:200]} are unknown")
        try:
            options = {**decode(messages.OPTIONS, b""), **decode(_OPTIONS[name], given["value"])}
        except Malformed as problem:
            raise Refusal(_INVALID, f"the options are malformed: {problem}") from None
        if options["binary_name"] and options["binary_name"] not in ("runc", "pyoci"):
            self.log.info(f"the option binary_name ({options['binary_name']}) is ignored: this shim is the runtime")
        if options["root"] and not options["root"].startswith("/"):
            raise Refusal(_INVALID, "the option root is not an absolute path")
        return options

    def _make(self, task: Task, request: "Message") -> "Optional[children.Child]":
        """In a thread. What is to be restored gets its process from Start, as with containerd's own shim: None."""
        from pyoci.containerd.mounts import mount_all, unmount

        self._note(task)  # before anything is made that `delete` would have to remove
        try:
            mount_all(request["rootfs"], task.bundle)
        except BaseException:
            _forget(task)
            raise
        streams = task.first.streams
        try:
            task.owner = _owner(task)
            streams.open(task.owner, self._environment(task.id))
            options = CreateOptions(
                task.bundle,
                detach=True,
                no_pivot=task.options["no_pivot_root"],
                no_new_keyring=task.options["no_new_keyring"],
            )
            if request["checkpoint"]:
                task.restored_from = options, _images(task, request["checkpoint"])
                return None
            store, driver = task.runtime.store, task.runtime.cgroup_manager
            try:
                files = () if streams.is_terminal else tuple(streams.given)
                return children.create(store, task.id, options, driver, self._warn, files)
            except Error as problem:
                raise _told(problem, "OCI runtime create failed") from None
        except BaseException:
            streams.close()
            if request["rootfs"]:
                unmount(f"{task.bundle}/rootfs")
            _forget(task)
            raise

    def _unmake(self, task: Task) -> None:
        """In a thread: what was made is taken back."""
        from pyoci.containerd.mounts import unmount

        task.runtime.delete(task.id, force=True)
        if task.has_mounts:
            unmount(f"{task.bundle}/rootfs")
        _forget(task)

    def _note(self, task: Task) -> None:
        """For `delete`, which may have to do without this process."""
        from pyoci.json.document import dump

        note = {"root": task.runtime.store.path, "cgroup_manager": task.runtime.cgroup_manager}
        flags = posix.O_WRONLY | posix.O_CREAT | posix.O_TRUNC | posix.O_CLOEXEC
        fd = posix.open(f"{task.bundle}/{OPTIONS_FILE}", flags, 0o600)
        try:
            posix.write(fd, dump(note).encode())
        finally:
            posix.close(fd)

    def start(self, request: "Message") -> "Steps":
        """Lets a process run its program."""
        member = self._member(request)
        yield member.turn.take()
        try:
            if member.status != CREATED or (member.has_ended and member.id):
                raise Refusal(_WRONG_STATE, f"cannot start a process that is {_word(member)}: failed precondition")
            member.is_starting = True
            try:
                yield from self._start_exec(member) if member.id else self._start_first(member)
            finally:
                member.is_starting = False
                if member.has_ended:
                    member.tell_end()
        finally:
            member.turn.leave()
        return {"pid": member.pid}

    def _start_first(self, member: Member) -> "Generator[Any, Any, None]":
        task = member.task

        def run() -> None:
            try:
                task.runtime.start(task.id)
            except Error as problem:
                raise _told(problem, "OCI runtime start failed") from None

        if member.child is None:
            member.born((yield lambda: self._restore(task)))
            task.watch_memory()
        else:
            yield run
        member.status = RUNNING
        self.publisher.publish("/tasks/start", {"container_id": task.id, "pid": member.pid})

    def _restore(self, task: Task) -> children.Child:
        """In a thread."""
        assert task.restored_from is not None
        options, wanted = task.restored_from
        store, driver = task.runtime.store, task.runtime.cgroup_manager
        try:
            return children.restore(
                store, task.id, options, driver, self._warn, wanted, tuple(task.first.streams.given)
            )
        except Error as problem:
            raise _told(problem, "OCI runtime restore failed") from None

    def _start_exec(self, member: Member) -> "Generator[Any, Any, None]":
        task, streams = member.task, member.streams

        def run() -> children.Child:
            streams.open(task.owner, self._environment(task.id))
            files = () if streams.is_terminal else tuple(streams.given)
            try:
                options = ExecOptions(detach=True)
                return children.execute(task.runtime.store, task.id, member.process, options, self._warn, files)
            except Error as problem:
                streams.close()
                raise _told(problem, "OCI runtime exec failed: exec failed") from None

        try:
            child = yield run
        except BaseException:
            member.abandon(children.LOST)
            raise
        try:
            member.born(child)
        except BaseException:
            child.signal(_SIGKILL)
            member.abandon(children.LOST)
            raise
        member.status = RUNNING
        fields = {"container_id": task.id, "exec_id": member.id, "pid": member.pid}
        self.publisher.publish("/tasks/exec-started", fields)

    def delete(self, request: "Message") -> "Steps":
        """Removes a process that has ended, and with the first one the container."""
        member = self._member(request)
        task = member.task
        yield task.turn.take()
        try:
            if member not in task.members() or self.tasks.get(task.id) is not task:
                raise Refusal(_NOT_FOUND, "the process is deleted already: not found")
            if member.status == RUNNING:
                text = f"{'exec ' + member.id if member.id else 'container ' + task.id} must be stopped before deletion"
                raise Refusal(_WRONG_STATE, f"{text}: failed precondition")
            if member.id:
                member.abandon(NEVER)
                del task.execs[member.id]
                member.close()
            else:
                yield from self._delete_first(member)
        finally:
            task.turn.leave()
        return {"pid": member.pid, "exit_status": member.exit_status, "exited_at": messages.timestamp(member.exited_at)}

    def _delete_first(self, member: Member) -> "Generator[Any, Any, None]":
        task = member.task
        task.forget_memory()
        yield lambda: self._unmake(task)
        if member.child is None:
            member.abandon(NEVER)
        elif member.status == CREATED:
            member.child.poll()
        if member.status != STOPPED:
            yield from self._await_end(member)
        fields = {"container_id": task.id, "pid": member.pid, **member.ending()}
        self.publisher.publish("/tasks/delete", fields)
        self._drop(task)

    def _drop(self, task: Task) -> None:
        del self.tasks[task.id]
        task.close()
        if not self.tasks:
            self.on_idle()

    def _await_end(self, member: Member) -> "Generator[Any, Any, None]":
        """What was created and never started ends by the delete."""
        yield member.end()

    # States

    def state(self, request: "Message") -> "Steps":
        """What is known of a process."""
        member = self._member(request)
        streams = member.streams
        return {
            "id": member.task.id,
            "bundle": member.task.bundle,
            "pid": member.pid,
            "status": member.task.status_of(member),
            "stdin": streams.uris[0],
            "stdout": streams.uris[1],
            "stderr": streams.uris[2],
            "terminal": streams.is_terminal,
            "exec_id": member.id,
            **member.ending(),
        }
        yield

    def wait(self, request: "Message") -> "Steps":
        """Answers when the process has ended."""
        member = self._member(request)
        yield member.end()
        return member.ending()

    def pids(self, request: "Message") -> "Steps":
        """All processes of the container."""
        task = self._task(request)
        pids = yield lambda: task.runtime.ps(task.id)
        known = {member.pid: member.id for member in task.execs.values()}
        return {"processes": [{"pid": pid, "info": _details(known.get(pid, ""))} for pid in pids]}

    def stats(self, request: "Message") -> "Steps":
        """What the container has used."""
        task = self._task(request)

        def run() -> "Message":
            from pyoci.containerd.metrics import metrics

            with task.runtime.store.look(task.id).load() as entry:
                return metrics(entry)

        return {"stats": (yield run)}

    def connect(self, request: "Message") -> "Steps":
        """Who we are."""
        task = self.tasks.get(request["id"])
        return {"shim_pid": posix.getpid(), "task_pid": task.first.pid if task and task.is_ready else 0}
        yield

    # Signals, pauses, limits

    def kill(self, request: "Message") -> "Steps":
        """A signal to a process, or to all."""
        member = self._member(request)
        task, number = member.task, request["signal"]
        if not 0 < number < 65:
            raise Refusal(_INVALID, f"there is no signal {number}")
        if member.id:
            if member.child is None or member.status == STOPPED or not member.child.signal(number):
                raise Refusal(_NOT_FOUND, "process already finished: not found")
            return None
        if member.has_ended and not request["all"]:
            raise Refusal(_NOT_FOUND, "process already finished: not found")

        def run() -> None:
            try:
                task.runtime.kill(task.id, number, request["all"])
            except Error as problem:
                if problem.kind in ("not_running", "not_found"):
                    raise Refusal(_NOT_FOUND, "process already finished: not found") from None
                raise

        yield run
        return None

    def pause(self, request: "Message") -> "Steps":
        """Freezes the container."""
        yield from self._freeze(self._task(request), True)
        return None

    def resume(self, request: "Message") -> "Steps":
        """Thaws it."""
        yield from self._freeze(self._task(request), False)
        return None

    def _freeze(self, task: Task, wanted: bool) -> "Generator[Any, Any, None]":
        yield task.turn.take()
        try:
            if task.first.status != RUNNING:
                raise Refusal(_WRONG_STATE, f"the container is {_word(task.first)}: container not running")
            yield lambda: task.runtime.pause(task.id) if wanted else task.runtime.resume(task.id)
            task.is_paused = wanted
        finally:
            task.turn.leave()
        self.publisher.publish("/tasks/paused" if wanted else "/tasks/resumed", {"container_id": task.id})

    def update(self, request: "Message") -> "Steps":
        """Changes limits."""
        task = self._task(request)
        resources = _json(request["resources"], "resources")
        yield task.turn.take()
        try:
            yield lambda: task.runtime.update(task.id, resources)
        finally:
            task.turn.leave()
        return None

    def checkpoint(self, request: "Message") -> "Steps":
        """Saves the container with CRIU."""
        task = self._task(request)
        wanted = _criu(task, request)
        yield task.turn.take()
        try:
            yield lambda: task.runtime.checkpoint(task.id, wanted)
            if not wanted.has("leave-running"):
                yield task.first.end()  # it is told before the answer: callers ask at once what has become of it
        finally:
            task.turn.leave()
        self.publisher.publish("/tasks/checkpointed", {"container_id": task.id, "checkpoint": request["path"]})
        return None

    # Exec, streams

    def exec(self, request: "Message") -> "Steps":
        """Adds a process; Start runs it."""
        task, exec_id = self._task(request), request["exec_id"]
        if not exec_id or "/" in exec_id or len(exec_id) > 1024:
            raise Refusal(_INVALID, f"the exec id {exec_id[:100]!r} cannot be")
        if exec_id in task.execs:
            raise Refusal(_EXISTS, f"id {exec_id}: already exists")
        uris = request["stdin"], request["stdout"], request["stderr"]
        member = Member(task, exec_id, Streams(uris, request["terminal"]))
        member.process = _json(request["spec"], "spec")
        member.process["terminal"] = request["terminal"]
        task.execs[exec_id] = member
        self.publisher.publish("/tasks/exec-added", {"container_id": task.id, "exec_id": exec_id})
        return None
        yield

    def resize_pty(self, request: "Message") -> "Steps":
        """The size of a terminal's window."""
        member = self._member(request)
        if member.child is not None and member.child.master >= 0:
            import termios

            size = min(request["height"], 65535), min(request["width"], 65535)
            termios.tcsetwinsize(member.child.master, size)
        return None
        yield

    def close_io(self, request: "Message") -> "Steps":
        """The end of the input."""
        member = self._member(request)
        if request["stdin"]:
            member.streams.close_input()
        return None
        yield

    def shutdown(self, request: "Message") -> "Steps":
        """Ends the shim when it has no task, or when somebody insists."""
        if not self.tasks or request["now"]:
            self.on_shutdown()
        return None
        yield


def _forget(task: Task) -> None:
    """Nothing is left for `delete`."""
    try:
        posix.unlink(f"{task.bundle}/{OPTIONS_FILE}")
    except OSError:
        pass


def _word(member: Member) -> str:
    return ("unknown", "created", "running", "stopped", "paused")[member.task.status_of(member)]


def _told(problem: Error, prefix: str) -> Exception:
    """A runtime's own text goes to callers as it is; they look for words in it."""
    code = GRPC[KINDS[problem.kind].grpc]
    if problem.kind in ("state", "missing", "internal"):
        code = _UNKNOWN
    return Refusal(code, f"{prefix}: {problem}: unknown")


def _details(exec_id: str) -> "Optional[Message]":
    if not exec_id:
        return None
    value = encode(messages.PROCESS_DETAILS, {"exec_id": exec_id})
    return {"type_url": "containerd.runc.v1.ProcessDetails", "value": value}


def _json(given: "Optional[Message]", name: str) -> "dict[str, Any]":
    """What an Any holds, which is JSON by the type of the runtime spec. Raises Refusal."""
    from pyoci.json.document import parse

    if given is None:
        raise Refusal(_INVALID, f"{name} is missing")
    try:
        value = parse(given["value"], name=name)
    except Error as problem:
        raise Refusal(_INVALID, str(problem)) from None
    if not isinstance(value, dict):
        raise Refusal(_INVALID, f"{name} is no JSON object")
    return value


def _owner(task: Task) -> "Optional[Owner]":
    """Who is to be able to open /dev/stdout: io_uid and io_gid, or else the container's user."""
    uid, gid = task.options["io_uid"], task.options["io_gid"]
    if uid or gid:
        return Owner(uid, gid)
    config = bundle_config(task.bundle)
    user = (config.get("process") or {}).get("user") or {}
    linux = config.get("linux") or {}
    uid = _mapped(linux.get("uidMappings"), user.get("uid", 0))
    gid = _mapped(linux.get("gidMappings"), user.get("gid", 0))
    return Owner(uid, gid) if uid or gid else None


def _mapped(mappings: "Any", number: int) -> int:
    for mapping in mappings or ():
        first = mapping.get("containerID", 0)
        if first <= number < first + mapping.get("size", 0):
            return int(mapping.get("hostID", 0) + number - first)
    return number


def _images(task: Task, images: str) -> "Any":
    from pyoci.checkpoint.request import CriuOptions

    return CriuOptions(images, task.options["criu_work_path"] or f"{task.bundle}/work", task.options["criu_path"])


def _criu(task: Task, request: "Message") -> "Any":
    from pyoci.checkpoint.request import CriuOptions

    given = request["options"]
    try:
        options = decode(messages.CHECKPOINT_OPTIONS, given["value"] if given else b"")
    except Malformed as problem:
        raise Refusal(_INVALID, f"the options are malformed: {problem}") from None
    images = request["path"] or options["image_path"] or task.options["criu_image_path"]
    work = options["work_path"] or task.options["criu_work_path"] or f"{task.bundle}/work"
    wanted = CriuOptions(images, work, task.options["criu_path"])
    flags = {"open_tcp": "tcp-established", "external_unix_sockets": "ext-unix-sk", "terminal": "shell-job"}
    wanted.flags = {flag for name, flag in {**flags, "file_locks": "file-locks"}.items() if options[name]}
    if not options["exit"]:
        wanted.flags.add("leave-running")
    wanted.empty_ns, wanted.manage_cgroups_mode = options["empty_namespaces"], options["cgroups_mode"]
    return wanted


METHODS: "dict[str, tuple[Table, Table, Callable[[Service, Message], Steps]]]" = {
    "State": (messages.PROCESS, messages.STATE, Service.state),
    "Create": (messages.CREATE, messages.PID, Service.create),
    "Start": (messages.PROCESS, messages.PID, Service.start),
    "Delete": (messages.PROCESS, messages.DELETED, Service.delete),
    "Pids": (messages.ID, messages.PIDS, Service.pids),
    "Pause": (messages.ID, messages.EMPTY, Service.pause),
    "Resume": (messages.ID, messages.EMPTY, Service.resume),
    "Checkpoint": (messages.CHECKPOINT, messages.EMPTY, Service.checkpoint),
    "Kill": (messages.KILL, messages.EMPTY, Service.kill),
    "Exec": (messages.EXEC, messages.EMPTY, Service.exec),
    "ResizePty": (messages.RESIZE, messages.EMPTY, Service.resize_pty),
    "CloseIO": (messages.CLOSE, messages.EMPTY, Service.close_io),
    "Update": (messages.UPDATE, messages.EMPTY, Service.update),
    "Wait": (messages.PROCESS, messages.WAITED, Service.wait),
    "Stats": (messages.ID, messages.STATS, Service.stats),
    "Connect": (messages.ID, messages.CONNECTED, Service.connect),
    "Shutdown": (messages.SHUTDOWN, messages.EMPTY, Service.shutdown),
}
