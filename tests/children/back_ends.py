"""Back-end classes of a studio's, on the base classes of Qube's names."""

import os
import sys

from qb.backend.pythonChildBackEnd import PythonChildBackEnd


class Shell(PythonChildBackEnd):
    """Starts plain Python by a shell, as Qube's own do."""

    def getSubprocessArgs(self, port):
        python = os.environ.get("CHILD_PYTHON") or "/usr/bin/python3"
        command = "cd . ; exec '%s' -u '%s' --port %d" % (python, self.childBootstrapper, port)
        return ["/bin/sh", "-c", command], ["ready = 'set up by %d'" % sys.version_info[0]]


class Own(Shell):
    """Its own bootstrapper, with the port baked in; and work that the job says nothing of."""

    def generateChildBootstrapper(self, port):
        stock = super(Own, self).generateChildBootstrapper(port)
        path = os.path.join(os.path.dirname(stock), "studio_bootstrapper.py")
        with open(path, "w") as script:
            script.write("import runpy, sys\nsys.argv = [%r, '--port', '%d']\nrunpy.run_path(%r, run_name='__main__')\n"
                         % (stock, port, stock))
        return path

    def getSubprocessArgs(self, port):
        return ["/bin/sh", "-c", "exec /usr/bin/python3 -u '%s'" % self.childBootstrapper], []

    def executeWork(self):
        self.pyCmdDispatcher.execute("print('before all')", self.job)
        super(Own, self).executeWork()

    def jobTeardown(self):
        print("teardown of my own")
        super(Own, self).jobTeardown()


class Raises(Shell):
    def executeWork(self):
        raise RuntimeError("no licence today")


class Says(Shell):
    """Prints what Python 2 could not print by itself, and what it was handed."""

    def jobSetup(self):
        print(u"\u00e9t\u00e9")
        print("job %s package %s" % (self.job["id"], self.job["package"]["own"]))
        print("paths %s" % [[str(end) for end in rule] for rule in self.workerPathMap])
        super(Says, self).jobSetup()


class Lenient(Shell):
    """Knows better than the job's patterns what an error is."""

    def parseLogData(self, logData, qbTokens=None):
        found = super(Lenient, self).parseLogData(logData, qbTokens)
        found.pop("errors", None)
        return found
