"""The two ends of the back channel under Qube's names.

``PyCmdDispatcher`` asks the engine, which has the child and does the dispatching. ``PyCmdExecutor`` is what a
bootstrapper of a studio's own may start in the child: ours.

Mended of the original: a child that is gone ends the call at once, whatever its exit code; an error pattern that
matches ends the list, but the command that runs is waited for, so that nothing of it is charged to the next item;
nothing waits without a limit (the engine has the time-outs); a list of commands cannot lock up.
"""
import os
import sys

from childminder_qube.bridge import EngineError
from childminder_qube.objects import as_text, integer_types, received, string_types
from childminder_qube.paths import CommandError
from childminder_qube.session import complain, current, say

BOOTSTRAPPER = "child_bootstrapper.py"


class ChildProcess(object):
    """The child, as far as a back end may look at it."""

    def __init__(self, dispatcher, pid):
        self.dispatcher, self.pid = dispatcher, pid

    def poll(self):
        """The exit code, or None while it lives."""
        return self.dispatcher.poll()

    @property
    def returncode(self):
        return self.dispatcher.exitCode


class PyCmdDispatcher(object):
    """Sends Python commands to the child, and tells what became of them."""

    def __init__(self, logHandler=None, redirectStdErr=False, logReadThreshold=5):
        reply = current().ask("open")
        self.port = reply.get("port")
        self.bootstrapper = received(reply.get("bootstrapper"))
        self.logHandler = logHandler
        self.redirectStdErr = redirectStdErr
        self.logReadThreshold = logReadThreshold
        self.child = None
        self.child_ready_for_cmd = False
        self.exitCode = None
        self.running = False  # a command runs just now
        self.closed = False
        current().dispatcher = self

    def startChild(self, args, bootstrapper=None):
        """Start the child: a list of strings, on POSIX ``[shell, "-c", command]``; None for the recipe's own way."""
        if args is not None:
            args = [args] if isinstance(args, string_types) else [as_text(word) for word in args]
            say("starting the child: %s" % " ".join(args))
        reply = current().ask("start", args=args, bootstrapper=bootstrapper or self.bootstrapper,
                              merge_stderr=bool(self.redirectStdErr))
        self.child = ChildProcess(self, reply.get("pid"))
        self.child_ready_for_cmd = True

    def execute(self, commands, work=None):
        """0 if all commands ran without an exception and no error was found in their output, else 1."""
        commands = list(commands) if isinstance(commands, (list, tuple)) else [commands]
        failed = False
        for command in commands:
            failed = self._run(command, work)
            if failed:
                break
        found = self._readLogs(work)
        return int(failed or found)

    def _run(self, command, work):
        """Whether one command failed; it is always waited for."""
        if self.exitCode is not None or self.child is None:
            why = "was not started" if self.child is None else "has ended with exit code %s" % self.exitCode
            complain("ERROR: the command was not sent, the child %s: %s" % (why, as_text(command)[:200]))
            return True
        session = current()
        phase, item = session.place(work)
        try:
            request = session.send("execute", phase=phase, item=item, commands=[session.convert(text_of(command))])
            found, reply = self._wait(request, work)
        except (EngineError, CommandError) as problem:
            complain("ERROR: %s" % problem)
            return True
        self.exitCode = reply.get("exit")
        if reply.get("error"):
            complain(reply["error"].rstrip("\n"))
        return bool(reply.get("code")) or found

    def _wait(self, request, work):
        """(whether errors were found in the output meanwhile, the reply)."""
        self.running, found = True, False
        try:
            while True:
                reply = request.wait(self.logReadThreshold if self.logHandler else None)
                if reply is not None:
                    return found, reply
                found = self._readLogs(work) or found
        finally:
            self.running = False

    def _readLogs(self, work):
        if self.logHandler is None:
            return False
        errors, too_small = self.logHandler(work)
        return bool(errors or too_small)

    def poll(self):
        """The child's exit code, or None while it lives or was never started."""
        if self.exitCode is None and self.child is not None:
            self.exitCode = current().ask("poll").get("exit")
        return self.exitCode

    def close(self, exitcode=0):
        """End the child with a suggested exit code; the one that it had."""
        if not self.closed:
            self.closed, self.child_ready_for_cmd = True, False
            if self.child is None:
                return exitcode
            code = exitcode if isinstance(exitcode, integer_types) else 1
            self.exitCode = current().ask("close", code=max(-255, min(255, code))).get("exit")
        return self.exitCode


def text_of(command):
    if not isinstance(command, string_types + (bytes,)):
        raise CommandError("a command has to be text, not %s: %s" % (type(command).__name__, as_text(command)[:200]))
    return command if isinstance(command, string_types) else as_text(command)


class PyCmdExecutor(object):
    """In the child: runs what is sent, by our own bootstrapper, wherever a bootstrapper of a studio's own starts it.

    The port and the host's kind are taken in any order. The bootstrapper is found by CHILDMINDER_BOOTSTRAPPER, or in
    the folder above the one in which this package was written.
    """

    def __init__(self, *args, **keys):
        args += tuple(keys.values())
        self.kind = next((one for one in args if isinstance(one, string_types) and not one.isdigit()), "generic")
        ports = [one for one in args if not isinstance(one, bool) and str(one).isdigit()]
        self.port = int(ports[0]) if ports else None

    def mainloop(self):
        """Run commands until told to end; the exit code."""
        path = os.environ.get("CHILDMINDER_BOOTSTRAPPER") or self._above()
        if self.port is not None:
            sys.argv[1:] = ["--port", str(self.port)]
        with open(path, "rb") as source:
            code = compile(source.read(), path, "exec")
        try:
            exec(code, {"__name__": "childminder_bootstrapper", "__file__": path, "__builtins__": __builtins__})
        except SystemExit as leaving:
            return leaving.code or 0
        return 0

    def _above(self):
        folder = os.path.abspath(__file__)
        for _ in range(5):
            folder = os.path.dirname(folder)
            if os.path.isfile(os.path.join(folder, BOOTSTRAPPER)):
                return os.path.join(folder, BOOTSTRAPPER)
        raise IOError("the bootstrapper %s is not found above %s: set CHILDMINDER_BOOTSTRAPPER" % (BOOTSTRAPPER, __file__))
