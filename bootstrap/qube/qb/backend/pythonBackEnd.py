"""The base of all back ends: job settings, and what is made of the output while an item runs.

The names and their meaning are Qube's. Mended of the original, where a studio would want it:

* what both streams say is kept; a stream that is merged into the other (or has no file) silences only itself;
* nothing sleeps; a log is read in bounded pieces, by whole lines while a command runs, from where its item began;
* paths are told apart exactly; once a command has ended all of them are checked, and a missing one fails the check;
* log text outside of items (work is None) is parsed and judged like any other, and breaks nothing.
"""
import os
import sys

import qb
from childminder_qube import loading
from childminder_qube.objects import JoinedPaths, as_text, field, package_of, split_paths
from childminder_qube.session import complain, current, say
from qb.backend.utils import boolOf, getFrameTokens, numberOf

PIECE = 4 * 1024 * 1024  # of a log that is parsed at a time
MAX_CHARACTER = 4  # bytes of UTF-8
MAX_LINE = 1024 * 1024  # of an unfinished line that is waited for
MAX_KEPT = 1000  # results of one name in a result package


class PythonQubeBackEnd(object):
    """What all back ends have in common. ``executeWork`` is the subclass's."""

    LOGREAD_TIME_THRESHOLD = 5
    """Seconds between two looks at the output of a command that runs."""
    QB_WAITING_TIMEOUT = 5
    """Seconds until work is asked for again when there is none for the moment."""

    def __init__(self, job):
        package = package_of(job)
        self.job = job
        self.status = 0
        self.dev = boolOf(package.get("dev"))
        self.outputPaths_required = boolOf(package.get("outputPaths_required"))
        self.redirectingStdErr = boolOf(package.get("redirectStderrToStdout"))
        self.jobLogs = dict(current().logs)
        self.jobLogOffsets = {}
        self.workerPathMap = list(current().path_map)
        self.logParser = self._makeLogParser(package.get("logParser"))
        self._startSlices()

    def _makeLogParser(self, named):
        from qb.backend.logParser import LogParser
        name, module = field(named, "className"), field(named, "modulePath")
        if not (name and module):
            return LogParser(self.job)
        if field(named, "libPath"):
            sys.path.insert(0, field(named, "libPath"))
        __import__(module)
        return getattr(sys.modules[module], name)(self.job)

    # The ways through a job

    def jobSetup(self):
        """The job begins to run here."""
        self.job["status"] = "running"
        self.printClassInfo()
        if self.dev:
            for key in sorted(self.job.keys()):
                say("%s: %s" % (key, as_text(self.job[key])))

    def executeWork(self):
        """Do all items of the agenda: the subclass's part."""
        raise NotImplementedError("%s has no executeWork()" % type(self).__name__)

    def jobTeardown(self):
        """The job has run here."""

    def hasJobPhaseCmds(self, phase):
        """Whether the job has commands of its own for "setup" or "teardown" (or the package's key for them)."""
        key = {"setup": "jobSetupCmds", "teardown": "jobTeardownCmds"}.get(phase, phase)
        return bool(package_of(self.job).get(key))

    def printClassInfo(self):
        """Say which class this is, where it comes from and what it does its own way."""
        say("back end: %s of %s" % (type(self).__name__, loading.file_of(type(self)) or "childminder"))
        say("bases: %s" % ", ".join(loading.full_name(base) for base in type(self).__mro__[1:-1]))
        for name, value in sorted(loading.constants_of(type(self)).items()):
            say("%s: %s" % (name, value))
        for one in loading.overrides_of(type(self)):
            say("%(name)s is overridden by %(class)s in %(file)s, line %(line)d" % one)

    # Output made into results

    def _startSlices(self):
        """What is printed from now on belongs to what begins now."""
        self._unfinished, self._sizesDue = {}, False
        for stream, path in self.jobLogs.items():
            try:
                self.jobLogOffsets[stream] = os.path.getsize(path)
            except (EnvironmentError, TypeError):
                self.jobLogOffsets[stream] = 0

    def getLogData(self, path, stream, offset):
        """(text, new offset): what has been added to a stream's log since; of much only the first part."""
        try:
            with open(path, "rb") as log:
                log.seek(offset)
                data = log.read(PIECE)
        except EnvironmentError as problem:
            complain("WARNING: the log of %s cannot be read: %s" % (stream, problem))
            return "", offset
        if str is bytes:
            return data, offset + len(data)
        data = whole_characters(data)
        return data.decode("utf-8", "replace"), offset + len(data)

    def parseLogData(self, logData, qbTokens=None):
        """What the patterns find in some output, by their names."""
        return self.logParser.parse(logData, qbTokens)

    def logHandler(self, work, qbTokens=None):
        """(errors found, size check failed), after a look at what has been printed since the last one.

        What is found goes into the work's result package and, if it is no failure, is reported at once.
        """
        found, running = {}, self._commandRuns()
        for stream, path in sorted(self.jobLogs.items(), reverse=True):
            if path:
                for text in self._newText(stream, path):
                    merge(found, self.parseLogData(text, qbTokens or getFrameTokens(work) or None) or {})
        self._sizesDue = self._sizesDue or "outputPaths" in found
        if not found and (running or not self._sizesDue):
            return False, False
        if work is None:
            return bool(found.get("errors")), False
        self.updateResultPackage(work, found)
        # Many an application tells of a file before it has written it.
        too_small = not running and not self.validateOutputFileSize(work)
        self._sizesDue = self._sizesDue and running
        errors = bool(field(field(work, "resultpackage"), "errors"))
        if not (errors or too_small):
            if work is self.job:
                qb.reportjob(work)
            else:
                qb.reportwork(work)
        return errors, too_small

    @staticmethod
    def _commandRuns():
        return getattr(current().dispatcher, "running", False)

    def _newText(self, stream, path):
        """Whole lines while a command runs, and all there is when it has ended."""
        running = self._commandRuns()
        while True:
            before = self.jobLogOffsets.get(stream, 0)
            text, self.jobLogOffsets[stream] = self.getLogData(path, stream, before)
            more = self.jobLogOffsets[stream] - before > PIECE - MAX_CHARACTER
            text = self._unfinished.pop(stream, "") + text
            if running or more:
                end = text.rfind("\n") + 1
                if len(text) - end < MAX_LINE:
                    self._unfinished[stream], text = text[end:], text[:end]
            if text:
                yield text
            if not more:
                return

    def updateResultPackage(self, work, resultDict):
        """Merge what was found into the work's result package: paths and lists grow, progress is replaced."""
        if not field(work, "resultpackage"):
            work["resultpackage"] = {}
        package = work["resultpackage"]
        for key, value in resultDict.items():
            if key == "outputPaths":
                package[key] = JoinedPaths(distinct(split_paths(package.get(key)) + split_paths(value)))
            elif isinstance(value, (list, tuple)) and isinstance(package.get(key), list):
                package[key] = (package[key] + list(value))[:MAX_KEPT]
            elif hasattr(value, "keys") and hasattr(package.get(key), "update"):
                package[key].update(value)
            else:
                package[key] = value

    def validateOutputFileSize(self, work):
        """Whether all output files are there and as large as ``validate_fileMinSize`` wants; True if it wants nothing."""
        wanted = package_of(self.job).get("validate_fileMinSize")
        least = numberOf(wanted) or 0
        if wanted not in (None, "") and numberOf(wanted) is None:
            complain("WARNING: validate_fileMinSize is no number, and no size is checked: %s" % as_text(wanted))
        if least <= 0:
            return True
        wrong = []
        for path in output_paths_of(work):
            try:
                size = os.path.getsize(path)
            except EnvironmentError as problem:
                wrong.append("%s: %s" % (as_text(path), problem.strerror))
                continue
            if size < least:
                wrong.append("%s: it has %d bytes, at least %d are wanted" % (as_text(path), size, least))
        for one in wrong:
            complain("ERROR: an output file is not as it should be: %s" % one)
        if wrong:
            current().reason = "an output file is not as it should be: " + wrong[0]
        return not wrong


def merge(found, more):
    """Results of another slice or stream, added to those there are."""
    for key, value in more.items():
        if isinstance(value, list) and isinstance(found.get(key), list):
            found[key] = (found[key] + value)[:MAX_KEPT]
        elif key == "outputPaths":
            found[key] = JoinedPaths(split_paths(found.get(key)) + split_paths(value))
        else:
            found[key] = value


def whole_characters(data):
    """The bytes without the beginning of a character whose rest was not read yet."""
    for back in range(1, min(MAX_CHARACTER, len(data) + 1)):
        byte = data[-back]
        if byte & 0xC0 != 0x80:  # where a character begins
            length = 1 if byte < 0xC0 or byte >= 0xF8 else 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return data[:-back] if length > back else data
    return data


def distinct(values):
    return [value for place, value in enumerate(values) if value not in values[:place]]


def output_paths_of(work):
    """The output paths that are recorded in a work's result package."""
    return split_paths(field(field(work, "resultpackage"), "outputPaths"))


PythonBackEnd = PythonQubeBackEnd
