"""A systemd that answers on a socket as a test tells it: by method, one answer after the other, the last for ever."""

import os
import socket
import threading

import jeepney

NAME = "org.freedesktop.systemd1"
JOB = "/org/freedesktop/systemd1/job/7"
CLOSE, SILENCE = "close", "silence"


def refusal(name, text="no"):
    return ("refusal", name, text)


def job_removed(result="done", job=JOB):
    """The signal that ends a job."""
    address = jeepney.DBusAddress("/org/freedesktop/systemd1", interface=NAME + ".Manager")
    return jeepney.new_signal(address, "JobRemoved", "uoss", (7, job, "c.scope", result))


class FakeBus:
    """answers: method to a list of (signature, body), refusal(), CLOSE or SILENCE; what is not named is answered by
    nothing. A reply may be followed by signals: (signature, body, signal…). `calls` has (method, body) of each."""

    def __init__(self, directory, **answers):
        os.makedirs(directory, exist_ok=True)
        self.path = f"{directory}/bus"
        self.answers = {
            "Hello": [("s", (":1.1",))],
            "StartTransientUnit": [("o", (JOB,), job_removed())],
            "StopUnit": [("o", (JOB,), job_removed())],
            "GetUnit": [("o", ("/unit",))],
            "Get:Version": [("v", (("s", "252"),))],
            **{name.replace("_", ":"): list(given) for name, given in answers.items()},
        }
        self.calls = []
        self.connections = 0
        self.unauthenticated = False
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def named(self, *names):
        """The bodies of the calls of some methods."""
        return [body for name, body in self.calls if name in names]

    def hang_up(self):
        """Ends the connection; the next one is taken."""
        self._connection.shutdown(socket.SHUT_RDWR)

    def close(self):
        """Nobody listens any more, and the socket stays, as after a crash."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                self._connection, self._received = connection, b""
                self.connections += 1
                try:
                    self._authenticate()
                    self._talk()
                except OSError:
                    pass  # the other side went away

    def _line(self):
        while b"\r\n" not in self._received:
            if not (data := self._connection.recv(65536)):
                raise ConnectionResetError
            self._received += data
        line, _, self._received = self._received.partition(b"\r\n")
        return line

    def _authenticate(self):
        """Line by line; whoever connects may send them all at once."""
        answers = {b"\0AUTH EXTERNAL": b"DATA", b"DATA": b"OK " + b"0123456789abcdef" * 2}
        while (line := self._line()) != b"BEGIN":
            self._connection.sendall((b"REJECTED" if self.unauthenticated else answers[line]) + b"\r\n")

    def _talk(self):
        parser, serial, data = jeepney.Parser(), 0, self._received
        while True:
            parser.add_data(data)
            while (message := parser.get_next_message()) is not None:
                for reply in self._replies(message):
                    if reply == CLOSE:
                        return
                    serial += 1
                    self._connection.sendall(reply.serialise(serial=serial))
            if not (data := self._connection.recv(65536)):
                return

    def _replies(self, message):
        method = message.header.fields[jeepney.HeaderFields.member]
        assert message.header.fields[jeepney.HeaderFields.destination]
        self.calls.append((method, message.body))
        key = f"Get:{message.body[1]}" if method == "Get" else method
        left = self.answers.get(key) or [("", ())]
        answer = left.pop(0) if len(left) > 1 else left[0]
        if answer == CLOSE:
            return [CLOSE]
        if answer == SILENCE:
            return []
        message.header.fields.setdefault(jeepney.HeaderFields.sender, ":1.1")  # a bus would name whom it answers
        if answer[0] == "refusal":
            return [jeepney.new_error(message, answer[1], "s", (answer[2],))]
        signature, body, *signals = answer
        return [jeepney.new_method_return(message, signature or None, body), *signals]
