"""Runs a job Qube's way, with a studio's back-end class: the program that the engine starts for it.

It connects the bridge, imports the class from its file, says hello, makes the job object, and goes
``jobSetup``, ``executeWork``, ``jobTeardown``. Whatever the base class does on that way it asks of the engine, which
alone starts the child and changes what is recorded.

What must stay true: the exit code is 0 only if nothing went wrong in the class or the instance (a failed item is not the
instance's); every error is told to the engine in one sentence with file and line; the child is closed on every way out.
"""
import os
import platform
import sys
import traceback

FOLDER = os.path.dirname(os.path.abspath(__file__))
sys.path[:] = [FOLDER] + [path for path in sys.path if os.path.abspath(path or ".") != FOLDER]
sys.dont_write_bytecode = True  # in nobody's folder, and never an old one after an edit

from childminder_qube import farm, loading, objects, session as sessions  # noqa: E402
from childminder_qube.bridge import EngineError, open_bridge  # noqa: E402
from childminder_qube.loading import Refusal  # noqa: E402

EXIT_WRONG_CLASS = 2
# Names under which the same modules may be looked for.
ALIASES = {
    "qb.backend.pythonBackEnd": ("qb.backend.pythonQubeBackEnd",),
    "qb.backend.pythonChildHandler": ("qb.backend.pyCmdDispatcher", "qb.backend.pyCmdExecutor"),
    "qb.backend.logParser": ("qb.backend.logParsers",),
}


def find_qb(installed):
    """The module ``qb``: ours, or a worker's own with our ``qb.backend`` in it."""
    if not installed:
        import qb
        return qb
    sys.path.remove(FOLDER)
    place = os.path.join(os.environ.get("QBDIR") or "/usr/local/pfx/qube", "api", "python")
    if os.path.isdir(place):
        sys.path.insert(0, place)
    try:
        import qb
    except Exception as problem:
        raise Refusal("the worker's qb module cannot be imported from %s or the Python path: %s: %s; set QBDIR"
                      % (objects.as_text(place), type(problem).__name__, problem))
    finally:
        sys.path.insert(0, FOLDER)
    missing = [name for name in ("jobobj", "requestwork", "reportwork", "reportjob") if not hasattr(qb, name)]
    if missing:
        raise Refusal("the qb module %s has no %s" % (getattr(qb, "__file__", "?"), ", ".join(missing)))
    for name in [name for name in sys.modules if name == "qb.backend" or name.startswith("qb.backend.")]:
        del sys.modules[name]
    qb.__path__ = [os.path.join(FOLDER, "qb")] + list(getattr(qb, "__path__", []))
    import qb.backend
    theirs = [os.path.join(path, "backend") for path in list(qb.__path__)[1:]]
    qb.backend.__path__ = list(qb.backend.__path__) + theirs
    farm.wrap_installed(qb)
    return qb


def register_aliases():
    for name, others in ALIASES.items():
        __import__(name)
        for other in others:
            sys.modules[other] = sys.modules[name]
            setattr(sys.modules["qb.backend"], other.rpartition(".")[2], sys.modules[name])


def find_class(back_end):
    register_aliases()
    if not back_end:
        from childminder_qube.stock import RecipeBackEnd
        return RecipeBackEnd
    from qb.backend.pythonBackEnd import PythonQubeBackEnd
    return loading.load_class(back_end, PythonQubeBackEnd)


def greet(session, cls, qb):
    """Say hello; afterwards the session has the job."""
    own_job = qb.jobobj() if session.installed else None
    more = {} if own_job is None else {"job": own_job}
    reply = session.ask("hello", python=platform.python_version(), executable=sys.executable, pid=os.getpid(),
                        overrides=loading.overrides_of(cls), constants=loading.constants_of(cls),
                        file=loading.file_of(cls), **dict(more, **{"class": cls.__name__}))
    session.greet(reply)
    if own_job is not None:
        session.job = own_job
    elif objects.field(session.job, "id") is not None:
        os.environ.setdefault("QBJOBID", str(session.job["id"]))
        os.environ.setdefault("QBSUBID", "0")


class Run(object):
    """One way through the job."""

    def __init__(self, session, cls, qb):
        self.session, self.cls, self.qb = session, cls, qb
        self.back_end = None

    def go(self):
        """The exit code."""
        try:
            self.back_end = self.cls(self.session.job)
            self.step("jobSetup", "setup")
            self.step("executeWork", "item")
            self.step("jobTeardown", "teardown")
        except SystemExit as leaving:
            return self.close(exit_code_of(leaving.code))
        except (Exception, KeyboardInterrupt) as problem:
            return self.failed(problem)
        return self.close(exit_code_of(getattr(self.back_end, "status", 0)))

    def step(self, method, phase):
        self.session.phase = phase
        getattr(self.back_end, method)()

    def failed(self, problem):
        """The class raised: tell it, report what it had in hand, run its teardown if the items had begun."""
        where = loading.told(sys.exc_info(), loading.file_of(self.cls), problem)
        tell(self.session, "the back end %s raised: %s" % (self.cls.__name__, where), traceback.format_exc())
        began, self.session.phase = self.session.phase == "item", "teardown"
        try:
            if self.session.item is not None:
                self.session.reason = where
                self.qb.reportwork(objects.Work(name=self.session.item, status="failed", resultpackage={}))
            if began:
                self.back_end.status = exit_code_of(getattr(self.back_end, "status", 0)) or 1
                self.back_end.jobTeardown()
            else:
                self.qb.reportjob("failed")
        except (Exception, SystemExit):
            sessions.complain(traceback.format_exc())
        return self.close(1)

    def close(self, code):
        dispatcher = self.session.dispatcher
        if dispatcher is not None:
            try:
                dispatcher.close(code)
            except EngineError as problem:
                sessions.complain("ERROR: the child could not be closed: %s" % problem)
                return code or 1
        return code


def exit_code_of(code):
    """An exit code that tells failure from success, whatever was said."""
    if code is None or code == 0:
        return 0
    if not isinstance(code, objects.integer_types):
        sessions.complain(code)
        return 1
    return code & 0xff or 1 if code > 0 else min(128 - code, 255)


def tell(session, sentence, trace=""):
    """An error, to the engine, and where it came from to whoever reads the log."""
    sentence = u" ".join(objects.as_text(sentence).split())
    if trace:
        sessions.complain(objects.as_text(trace).rstrip())
    try:
        session.send("failed", error=sentence)  # which is never answered
    except EngineError:
        sessions.complain(u"ERROR: %s" % sentence)


def drive(session, back_end):
    """The whole life of the helper; its exit code."""
    qb = None
    try:
        qb = find_qb(session.installed)
        cls = find_class(back_end)
        greet(session, cls, qb)
    except (Refusal, EngineError) as problem:
        tell(session, objects.as_text(problem))
        if session.installed and qb is not None:
            qb.reportjob("failed")
        return EXIT_WRONG_CLASS
    return Run(session, cls, qb).go()


def use_utf8():
    """What a class prints is the engine's to read, whatever the locale is."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
        elif not objects.PY2:  # 3.6
            import io
            setattr(sys, name, io.TextIOWrapper(stream.buffer, "utf-8", "backslashreplace", line_buffering=True))


def main():
    bridge = open_bridge(os.environ)
    back_end = os.environ.pop("CHILDMINDER_BACK_END", "")
    installed = os.environ.pop("CHILDMINDER_QB", "local") == "installed"
    use_utf8()
    bridge.start()
    pid = os.getpid()
    code = drive(sessions.begin(bridge, installed), back_end)
    if os.getpid() == pid:
        bridge.over = code  # from here on the engine may hang up
    sys.exit(code)


if __name__ == "__main__":
    main()
