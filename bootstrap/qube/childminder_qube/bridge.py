"""The bridge: one JSON object a line, both ways, over the socket that the engine has left us.

What must stay true: a request may wait while others are answered; a thread waits for an event, it never polls; when
the engine is gone, or cannot be understood, this process ends at once, since the child that it steers is gone too;
only the process that the engine has started speaks, not a forked copy of it.
"""
import errno
import fcntl
import json
import os
import select
import socket
import sys
import threading

from . import objects

MAX_LINE = 16 * 1024 * 1024
EXIT_LOST = 70


class EngineError(Exception):
    """The engine could not do what it was asked to; its own words."""


class EventFlag(object):
    """threading.Event for Python 2, whose own wakes up twenty times a second while it waits for a time."""

    def __init__(self):
        self.seen = False
        self.reading, self.writing = os.pipe()

    def set(self):
        self.seen = True
        os.write(self.writing, b"x")

    def is_set(self):
        return self.seen

    def wait(self, timeout=None):
        asker = select.poll()
        asker.register(self.reading, select.POLLIN)
        while not self.seen:
            try:
                asker.poll(None if timeout is None else int(timeout * 1000) + 1)
            except select.error as problem:
                if problem.args[0] == errno.EINTR:
                    continue
                raise
            break
        return self.seen

    def __del__(self, close=os.close):
        close(self.reading)
        close(self.writing)


Flag = EventFlag if objects.PY2 else threading.Event


class Request(object):
    """Something asked of the engine."""

    def __init__(self):
        self.flag, self.reply = Flag(), None

    def wait(self, timeout=None):
        """The reply, or None if there is none yet."""
        if not self.flag.wait(timeout):
            return None
        if self.reply.get("ok"):
            return self.reply
        raise EngineError(objects.received(self.reply.get("error")) or "the engine refused, and did not say why")


class Bridge(object):
    """The helper's end."""

    def __init__(self, descriptor):
        flags = fcntl.fcntl(descriptor, fcntl.F_GETFD)
        fcntl.fcntl(descriptor, fcntl.F_SETFD, flags | fcntl.FD_CLOEXEC)
        self.sock = socket.fromfd(descriptor, socket.AF_UNIX, socket.SOCK_STREAM)
        fcntl.fcntl(self.sock.fileno(), fcntl.F_SETFD, flags | fcntl.FD_CLOEXEC)
        os.close(descriptor)
        self.sock.setblocking(True)
        self.pid = os.getpid()
        self.lock, self.sending = threading.Lock(), threading.Lock()
        self.last, self.asked = 0, {}
        self.stop_mode, self.stopped = None, Flag()
        self.failed = None  # why the session has failed, if it is stopped for that
        self.over = None  # the exit code, once the engine may hang up without a word

    def start(self):
        reader = threading.Thread(target=self.read, name="childminder bridge")
        reader.daemon = True
        reader.start()

    # Asking

    def send(self, op, **fields):
        """Ask the engine, and go on."""
        if os.getpid() != self.pid:
            raise EngineError("a forked copy of the back end may not speak to the engine")
        request = Request()
        with self.lock:
            self.last += 1
            number = self.last
            self.asked[number] = request
        try:
            message = objects.plain(dict(fields, id=number, op=op))
            line = json.dumps(message, separators=(",", ":"), allow_nan=False).encode("ascii") + b"\n"
            if len(line) > MAX_LINE:
                raise EngineError("%r is %d MiB, too much to tell the engine: the limit is %d MiB"
                                  % (op, len(line) >> 20, MAX_LINE >> 20))
            self.write(line)
        except BaseException:
            with self.lock:
                del self.asked[number]
            raise
        return request

    def ask(self, op, **fields):
        """Ask the engine, and wait: the reply."""
        return self.send(op, **fields).wait()

    def write(self, line):
        with self.sending:
            left = memoryview(line)
            while len(left):
                try:
                    left = left[self.sock.send(left):]
                except EnvironmentError as problem:
                    if problem.errno == errno.EINTR:  # Python 2, a signal
                        continue
                    self.lost("the bridge to the engine broke: %s" % problem)

    # Hearing

    def read(self):
        try:
            self.read_lines()
        except Exception as problem:
            if self.over is None:  # else the interpreter is being taken down
                self.lost("the bridge to the engine broke: %s: %s" % (type(problem).__name__, problem))

    def read_lines(self):
        pieces, size = [], 0
        while True:
            try:
                data = self.sock.recv(256 * 1024)
            except EnvironmentError as problem:
                if problem.errno == errno.EINTR:
                    continue
                self.lost("the bridge to the engine broke: %s" % problem)
            if not data:
                self.lost("the engine closed the bridge")
            pieces.append(data)
            size += len(data)
            if b"\n" in data:
                lines = b"".join(pieces).split(b"\n")
                pieces = [lines.pop()]
                size = len(pieces[0])
                for line in lines:
                    self.hear(line)
            if size > MAX_LINE:
                self.lost("the engine sent a line of more than %d MiB" % (MAX_LINE >> 20))

    def hear(self, line):
        try:
            message = json.loads(line.decode("utf-8"))
        except ValueError as problem:
            message, why = None, problem
        else:
            why = "no object"
        if not isinstance(message, dict):
            self.lost("the engine sent a line that is no message (%s): %s" % (why, ascii_of(line[:100])))
        if "id" in message:
            with self.lock:
                try:
                    request = self.asked.pop(message["id"], None)
                except TypeError:
                    request = None
            if request is not None:
                request.reply = message
                request.flag.set()
        elif message.get("event") == "stop" and self.stop_mode != "now":
            self.failed = objects.received(message.get("failed")) or self.failed
            self.stop_mode = objects.received(message.get("mode")) or "after_item"
            self.stopped.set()

    def lost(self, why):
        """End the process: there is nobody left to work for."""
        if self.over is None:
            sentence = "childminder: %s; the back end ends with it\n" % why
            os.write(2, sentence.encode("utf-8", "replace") if not objects.PY2 else sentence)
        os._exit(EXIT_LOST if self.over is None else self.over)


def ascii_of(data):
    return repr(data) if objects.PY2 else repr(data)[1:]


def open_bridge(environ):
    """The bridge that the engine has left us; its number is taken out of the environment."""
    number = environ.pop("CHILDMINDER_BRIDGE", None)
    try:
        return Bridge(int(number))
    except (TypeError, ValueError, EnvironmentError):
        sys.stderr.write("childminder: this program is started by the engine, which leaves it a bridge to speak over; "
                         "there is none\n")
        raise SystemExit(2)
