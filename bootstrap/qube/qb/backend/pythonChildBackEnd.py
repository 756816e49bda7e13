"""The back end that keeps an application's Python running and feeds it an agenda of commands.

A studio derives from ``PythonChildBackEnd`` and overrides ``getSubprocessArgs``. The way through a job is Qube's; the
child itself is started, spoken to and ended by the engine. Mended of the original, where a studio would want it:

* no work is asked for a child that is gone, and a child that ends during an item fails the item and the instance,
  whatever its exit code (an exit code of 0 counts as 1);
* an item without commands is complete; one whose package has no list of commands has failed, and that is said;
* an exception in the middle of an item fails it, however many of its commands had succeeded;
* start-up stops at the first command that fails, and every way out of ``jobSetup`` ends the child;
* a job that was reported pending or blocked is not reported again by ``jobTeardown``;
* an empty ``pyExecutable`` is none; asked to stop, work in hand goes back to pending.
"""
import os
import sys
import traceback

import qb
from childminder_qube import loading
from childminder_qube.bridge import EngineError
from childminder_qube.objects import as_text, field, package_of, string_types
from childminder_qube.session import complain, current, say
from qb.backend.pythonBackEnd import PythonQubeBackEnd, output_paths_of
from qb.backend.pythonChildHandler import PyCmdDispatcher
from qb.backend.utils import bannerPrint

IMPORTS = ["import sys", "import os", "import time"]


class PythonChildBackEnd(PythonQubeBackEnd):
    """A back end whose items are Python commands for one child that lives as long as the job does here."""

    DEFAULT_PYTHON = sys.executable
    """What ``pyExecutable`` is if the job does not say."""

    def __init__(self, job):
        super(PythonChildBackEnd, self).__init__(job)
        self.pyExecutable = package_of(job).get("pyExecutable") or self.DEFAULT_PYTHON
        self.pyCmdDispatcher = None
        self.childBootstrapper = None

    # Other names that the same two have been called by.

    @property
    def dispatcher(self):
        return self.pyCmdDispatcher

    @dispatcher.setter
    def dispatcher(self, dispatcher):
        self.pyCmdDispatcher = dispatcher

    @property
    def bootstrapper(self):
        return self.childBootstrapper

    childBootstrapperPath = bootstrapperPath = bootstrapper

    # What a subclass says about its application

    def getSubprocessArgs(self, port):
        """(how to start the application, the first commands for it). The one method that a subclass has to have.

        On POSIX the first is ``[shell, "-c", command]``; None leaves the start to the job's recipe.
        """
        raise NotImplementedError("%s has no getSubprocessArgs(port)" % type(self).__name__)

    def generateChildBootstrapper(self, port):
        """The path of the file that the application is to run. Overridden where it cannot pass arguments to it."""
        return self.pyCmdDispatcher.bootstrapper

    # The ways through a job

    def initPyCmdDispatcher(self):
        """(the dispatcher with its child started, or None; the sum of the first commands' return codes)."""
        if not self._executableIsThere():
            complain("ERROR: the Python executable %s is not there: set pyExecutable in the job's package"
                     % as_text(self.pyExecutable))
            return None, 1
        with current().in_phase("init"):
            dispatcher = PyCmdDispatcher(self.logHandler, self.redirectingStdErr, self.LOGREAD_TIME_THRESHOLD)
            self.pyCmdDispatcher = dispatcher
            self.childBootstrapper = self.generateChildBootstrapper(dispatcher.port)
            args, commands = self.getSubprocessArgs(dispatcher.port)
            try:
                dispatcher.startChild(args, self.childBootstrapper)
            except EngineError as problem:
                complain("ERROR: %s" % problem)
                dispatcher.close(1)
                self.pyCmdDispatcher = None
                return None, 1
            return dispatcher, self._runAll(IMPORTS + as_list(commands))

    def _executableIsThere(self):
        path = as_text(self.pyExecutable)
        if os.sep in path:
            return os.path.exists(path)
        return any(os.path.exists(os.path.join(folder, path)) for folder in os.environ.get("PATH", "").split(os.pathsep))

    def _runAll(self, commands):
        """Run commands of the job itself, to the first that fails; its return code."""
        for command in commands:
            code = self.pyCmdDispatcher.execute(command, self.job)
            if self._childIsGone(ask=bool(code)) or code:
                return code or self.status or 1
        return 0

    def jobSetup(self):
        """Start the child and load what the items need. Ends the process if that fails."""
        super(PythonChildBackEnd, self).jobSetup()
        self._banner("starting the child")
        self.pyCmdDispatcher, code = self.initPyCmdDispatcher()
        if code:
            self._giveUp("the child could not be set up", code)
        self._banner("the child is started")
        if self.hasJobPhaseCmds("setup"):
            code = self._runAll(as_list(package_of(self.job).get("jobSetupCmds")))
            if code:
                self._giveUp("a command of jobSetupCmds failed", code)

    def _giveUp(self, why, code):
        bannerPrint("%s, return code %d" % (why, code), [sys.stderr])
        self.status = self.status or code
        self.job["status"] = "failed"
        qb.reportjob("pending" if current().stopping() and not current().failed() else "failed")
        if self.pyCmdDispatcher is not None:
            self.pyCmdDispatcher.close(code)
        sys.exit(code)

    def executeWork(self):
        """Ask for work until there is none, and do it."""
        while not self._isAskedToStop() and not self._childIsGone():
            self._banner("asking for work", [sys.stdout, sys.stderr])
            work = qb.requestwork()
            status = field(work, "status")
            if status == "failed":  # a check before the item failed
                self._report(work, "failed")
            elif status == "complete":  # nothing is left
                return
            elif status in ("pending", "blocked"):  # the instance is wanted elsewhere, or has to wait
                if not (current().failed() and self._isAskedToStop()):
                    qb.reportjob(status)
                return
            elif status == "waiting":
                current().wait(self.QB_WAITING_TIMEOUT)
            else:
                self._doItem(work)

    def _isAskedToStop(self):
        if current().failed():
            complain("ERROR: the session has failed: %s" % as_text(current().failed()))
            self.status = self.status or 1  # so that the teardown reports it
        elif current().stopping():
            qb.reportjob("pending")
        return bool(current().stopping())

    def _childIsGone(self, ask=True):
        """Whether the child has ended, as far as is known or as of now; if so the instance has failed with its exit code."""
        code = getattr(self.pyCmdDispatcher, "exitCode", None)
        if code is None and ask and hasattr(self.pyCmdDispatcher, "poll"):  # a subclass may bring a dispatcher of its own
            code = self.pyCmdDispatcher.poll()
        if code is None:
            return False
        if not self.status and current().stopping() != "now":
            complain("ERROR: the child has ended with exit code %s, and the instance with it; "
                     "it is tried again elsewhere if the job's retries allow it" % code)
            self.status = code or 1
        return True

    def _doItem(self, work):
        self._startSlices()
        self._banner("item %s" % as_text(field(work, "name")), [sys.stdout, sys.stderr])
        try:
            work_status = self._runItem(work)
        except Exception as problem:
            complain("ERROR: the item %s failed in the back end: %s" % (
                as_text(field(work, "name")), loading.told(sys.exc_info(), loading.file_of(type(self)), problem)))
            traceback.print_exc()
            work_status = 1
        self._banner("end of item %s" % as_text(field(work, "name")))
        if work_status and current().stopping() == "now":
            self._report(work, "pending")
        else:
            self._report(work, self._verdict(work, work_status))

    def _runItem(self, work):
        """0 if all commands of the item succeeded, else what the first failing one or the child gave."""
        commands = field(package_of(work), "commands")
        if not isinstance(commands, string_types + (list, tuple)):
            current().reason = "the item's package has no list of commands"
            complain("ERROR: the item %s has no list of commands in its package" % as_text(field(work, "name")))
            return 1
        for command in as_list(commands):
            code = self.pyCmdDispatcher.execute(command, work)
            if self._childIsGone(ask=bool(code)):
                return self.status or 1
            if code:
                return code
        return 0

    def _verdict(self, work, work_status):
        if work_status:
            return "failed"
        if self.outputPaths_required and not output_paths_of(work):
            current().reason = "no output path was found in its output, and outputPaths_required is set"
            complain("WARNING: the item %s has failed: %s" % (as_text(field(work, "name")), current().reason))
            return "failed"
        return "complete"

    def _report(self, work, status):
        work["status"] = status
        if field(work, "resultpackage") is None:
            work["resultpackage"] = {}
        self._banner("item %s is reported as %s" % (as_text(field(work, "name")), status), [sys.stderr])
        qb.reportwork(work)

    def jobTeardown(self):
        """Run the last commands, end the child, and report the job."""
        super(PythonChildBackEnd, self).jobTeardown()
        if self.pyCmdDispatcher is not None:
            if self.hasJobPhaseCmds("teardown") and current().stopping() != "now" and not self._childIsGone():
                commands = as_list(package_of(self.job).get("jobTeardownCmds"))
                if self.pyCmdDispatcher.execute(commands, self.job):
                    complain("WARNING: a command of jobTeardownCmds failed; the ones after it were not run")
            code = self.pyCmdDispatcher.close(self.status)
            say("the child has ended with exit code %s" % code)
        if current().left not in ("pending", "blocked"):
            qb.reportjob("failed" if self.status else "complete")

    def _banner(self, message, fhList=None):
        """The engine tells of all this by itself; a job in development gets Qube's banners as well."""
        if self.dev:
            bannerPrint(message, fhList)


def as_list(commands):
    """Commands as a list; one string is one command."""
    if not commands:
        return []
    return [commands] if isinstance(commands, string_types) else list(commands)


__all__ = ["PythonChildBackEnd"]
