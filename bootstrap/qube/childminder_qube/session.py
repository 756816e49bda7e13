"""One run of a job: what the helper knows of it. There is one at most in a process.

What must stay true: whoever uses the base classes without an engine (a studio's own unit test) gets a session that
has no logs and no paths, and is told so only where an engine is really needed.
"""
import contextlib
import sys

from . import objects, paths
from .bridge import EngineError


class Session(object):
    """The state that the base classes, the dispatcher and the ``qb`` module share."""

    def __init__(self, bridge=None, installed=False):
        self.bridge = bridge
        self.installed = installed  # the farm's own qb gives the work
        self.job = None
        self.logs = {}
        self.path_map = []
        self.farm_converts = None  # the farm's own way to convert a path
        self.phase = "setup"
        self.item = None  # the name of the work in hand
        self.left = None  # the status that the job was last reported with
        self.reason = ""  # why the work that is reported next has failed, if the engine cannot know
        self.dispatcher = None

    def ask(self, op, **fields):
        return self.send(op, **fields).wait()

    def send(self, op, **fields):
        if self.bridge is None:
            raise EngineError("there is no engine to ask for %r: the class was not started by childminder" % op)
        return self.bridge.send(op, **fields)

    def greet(self, reply):
        """Take in what the engine knows of the job."""
        self.job = objects.received(reply.get("job") or {}, objects.Job)
        if self.job.get("agenda"):
            self.job["agenda"] = [objects.Work(work) for work in self.job["agenda"]]
        self.logs = objects.received(reply.get("logs") or {}, dict)
        self.path_map = [(pair[0], pair[1]) for pair in objects.received(reply.get("path_map") or [])]

    def stopping(self):
        """None, "after_item" or "now"."""
        return self.bridge.stop_mode if self.bridge else None

    def failed(self):
        """Why the engine has the session fail, if it does."""
        return self.bridge.failed if self.bridge else None

    def wait(self, seconds):
        """Wait that long, or until asked to stop."""
        if self.bridge:
            self.bridge.stopped.wait(seconds)

    def place(self, work):
        """The phase and the item that a command belongs to."""
        item = None if work is None or work is self.job else objects.field(work, "name")
        if item is None and self.phase == "item":
            item = self.item
        if item is not None:
            return "item", item
        return "setup" if self.phase == "item" else self.phase, None  # between items, nothing is known of it

    @contextlib.contextmanager
    def in_phase(self, phase):
        former, self.phase = self.phase, phase
        try:
            yield
        finally:
            self.phase = former

    def convert(self, text):
        """A command with its paths as they are here."""
        return paths.convert(text, self.convert_path)

    def convert_path(self, path):
        if not self.path_map and self.farm_converts:
            return self.farm_converts(path)
        return paths.mapped(path, self.path_map)


_current = [Session()]


def current():
    """The session of this process."""
    return _current[0]


def begin(bridge, installed):
    _current[0] = Session(bridge, installed)
    return _current[0]


def say(text, stream=None):
    """A line of ours, whatever the stream can encode."""
    text, stream = objects.as_text(text) + u"\n", stream or sys.stdout
    try:
        stream.write(text.encode("utf-8") if objects.PY2 else text)
    except UnicodeEncodeError:
        stream.write(text.encode("ascii", "backslashreplace").decode("ascii"))
    stream.flush()


def complain(text):
    say(text, sys.stderr)
