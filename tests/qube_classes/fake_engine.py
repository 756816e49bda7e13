"""The engine's end of the bridge, for tests of the base classes: it records what is asked, and has a child of sorts.

The child's commands run in this process. They may use ``out(text)`` and ``err(text)``, which print into the session's
logs, ``put(name, text)``, which writes a file, ``leave(code)``, which ends the child, and ``until(op, count)``, which
waits for the helper to ask for something.
"""
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "bootstrap"))
from test_child_bootstrapper import BOOT, Child, Host, LIMIT, clean_environment, find_hosts  # noqa: E402, F401

PACKAGE = os.path.join(ROOT, "bootstrap", "qube")
DRIVER = os.path.join(PACKAGE, "driver.py")
FOUND = {}  # interpreters by name, looked for once
HEAD = """\
# -*- coding: utf-8 -*-
import json, os, sys
import qb
from qb.backend.pythonChildBackEnd import PythonChildBackEnd

def seen(**what):
    print("SEEN " + json.dumps(what, sort_keys=True))

class Base(PythonChildBackEnd):
    def getSubprocessArgs(self, port):
        return ["/bin/sh", "-c", "python %s --port %d" % (self.childBootstrapper, port)], []

"""


class Left(BaseException):
    """The child has ended."""


class Engine(object):
    """One run of the helper. What was asked is in `asked`, as (op, message)."""

    def __init__(self, python, source="class MyBackEnd(Base): pass\n", package=None, agenda=(), name="MyBackEnd",
                 head=HEAD, answers=None, path_map=(), env=None, installed=None, greeting=None, farm=None):
        self.folder = tempfile.mkdtemp()
        self.python, self.answers, self.greeting = python, answers or {}, greeting
        self.asked, self.changed = [], threading.Condition()
        self.exit, self.works = None, list(agenda)
        self.logs = {stream: os.path.join(self.folder, stream + ".log") for stream in ("stdout", "stderr")}
        for path in self.logs.values():
            open(path, "w").close()
        self.job = {"id": 7, "name": "a job", "status": "pending", "package": dict(package or {}),
                    "agenda": [dict(work) for work in agenda], "cwd": self.folder, "env": {}, "flags": 0}
        self.path_map = [list(pair) for pair in path_map]
        self.file = os.path.join(self.folder, "my_backend.py")
        if source is not None:
            with open(self.file, "w", encoding="utf-8") as file:
                file.write(head + source)
        self.names = {"out": lambda text: self.append("stdout", text), "err": lambda text: self.append("stderr", text),
                      "put": self.put, "leave": self.leave, "until": self.until, "folder": self.folder}
        self.back_end = "%s:%s" % (self.file, name) if name else ""
        self.env = self.environment(env or {}, installed, farm or {})

    def environment(self, more, installed, farm):
        env = clean_environment(CHILDMINDER_BACK_END=self.back_end, CHILDMINDER_QB="local")
        self.reports = os.path.join(self.folder, "reports")
        if installed is not None:
            script = os.path.join(self.folder, "script.json")
            with open(script, "w") as file:
                json.dump(dict(farm, job=self.job, work=installed), file)
            env.update(CHILDMINDER_QB="installed", QBDIR=os.path.join(ROOT, "tests", "children", "qb_standin"),
                       QB_STANDIN_SCRIPT=script, QB_STANDIN_REPORTS=self.reports)
        env.update(more)
        return env

    # Running

    def start(self):
        self.sock, theirs = socket.socketpair()
        self.env["CHILDMINDER_BRIDGE"] = str(theirs.fileno())
        self.process = subprocess.Popen([self.python, "-u", DRIVER], pass_fds=[theirs.fileno()], env=self.env,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        theirs.close()
        self.server = threading.Thread(target=self.serve, daemon=True)
        self.server.start()
        return self

    def finish(self):
        try:
            out, err = self.process.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            out, err = self.process.communicate()
            raise AssertionError("the helper did not end; it asked %r and said %s%s" % (self.asked[-20:], out, err))
        finally:
            self.server.join(LIMIT)  # what was asked last may be in the socket still
            self.sock.close()
            self.farm = self.read_farm()
            shutil.rmtree(self.folder, ignore_errors=True)
        self.code, self.out, self.err = self.process.returncode, out.decode("utf-8"), err.decode("utf-8")
        return self

    def run(self):
        return self.start().finish()

    def serve(self):
        try:
            for line in self.sock.makefile("rb"):
                message = json.loads(line.decode("ascii"))
                with self.changed:
                    self.asked.append((message["op"], message))
                    self.changed.notify_all()
                # Each on its own, as the real one: a command may run while reports come.
                threading.Thread(target=self.answer, args=(message,), daemon=True).start()
        except OSError:
            pass

    def answer(self, message):
        own = self.answers.get(message["op"])
        reply = own(self, message) if own else getattr(self, "on_" + message["op"])(message)
        if reply is not None:
            self.send(dict({"id": message["id"], "ok": True}, **reply))

    def send(self, message):
        self.send_bytes(json.dumps(message).encode() + b"\n")

    def send_bytes(self, data):
        try:
            self.sock.sendall(data)
        except OSError:
            pass

    # Answers

    def on_hello(self, message):
        if self.greeting:
            return self.greeting
        return {"job": self.job, "session": "s1", "logs": self.logs, "path_map": self.path_map, "something new": 1}

    def on_failed(self, message):
        return {}

    def on_open(self, message):
        return {"port": 4711, "bootstrapper": os.path.join(self.folder, "child_bootstrapper.py")}

    def on_start(self, message):
        return {"pid": 99}

    def on_execute(self, message):
        for number, command in enumerate(message["commands"]):
            if self.exit is not None:
                return {"code": 1, "exit": self.exit, "error": "the child is gone", "ran": number}
            try:
                exec(command, self.names)
            except Left:
                return {"code": 1, "exit": self.exit, "error": "the child has ended", "ran": number + 1}
            except Exception:
                return {"code": 1, "exit": None, "error": traceback.format_exc(), "ran": number + 1}
        return {"code": 0, "exit": None, "error": "", "ran": len(message["commands"])}

    def on_poll(self, message):
        return {"exit": self.exit}

    def on_take(self, message):
        work = self.works.pop(0) if self.works else {"status": "complete"}
        return {"work": dict({"status": "running", "id": 1}, **work) if "name" in work else work}

    def on_begin(self, message):
        return {}

    def on_report(self, message):
        return {}

    def on_job(self, message):
        return {}

    def on_close(self, message):
        return {"exit": message["code"] if self.exit is None else self.exit}

    # What commands may use

    def append(self, stream, text):
        with open(self.logs[stream], "ab") as log:
            log.write(text if isinstance(text, bytes) else text.encode("utf-8"))

    def put(self, name, text):
        with open(os.path.join(self.folder, name), "w") as file:
            file.write(text)

    def leave(self, code):
        self.exit = code
        raise Left()

    def until(self, op, count=1):
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.all(op)) >= count, LIMIT), "no %s came" % op

    # What was asked

    def all(self, op):
        return [message for name, message in self.asked if name == op]

    def ops(self):
        return [name for name, _ in self.asked]

    def reported(self):
        """(name, status) of every work that was reported."""
        return [(one["work"]["name"], one["work"]["status"]) for one in self.all("report")]

    def jobs(self):
        return [one["status"] for one in self.all("job")]

    def ran(self, phase):
        return [(one["item"], command) for one in self.all("execute") if one["phase"] == phase for command in one["commands"]]

    def seen(self):
        """What the class has shown with seen(): all of it in one."""
        whole = {}
        for line in self.out.splitlines():
            if line.startswith("SEEN "):
                whole.update(json.loads(line[5:]))
        return whole

    def read_farm(self):
        """(call, told) of the stand-in."""
        if not os.path.exists(self.reports):
            return []
        with open(self.reports) as reports:
            return [(one["call"], one["told"]) for one in map(json.loads, reports)]

    def told_farm(self, *calls):
        """What was told by these calls: statuses, with names where there are any."""
        return [(told["name"], told["status"]) if isinstance(told, dict) else told for call, told in self.farm if call in calls]


def pythons():
    """(what is found: name and path; what is missing), without applications."""
    found, missing = find_hosts()
    found = {name: host.command[0] for name, host in found.items() if name.startswith(("python", "pypy"))}
    return found, [name for name in missing if name.startswith(("python", "pypy"))]


def item(name, *commands, **more):
    return dict({"name": name, "package": {"commands": list(commands)}}, **more)


def for_each_python(loader, *cases):
    """A suite of these cases for every interpreter that was asked for."""
    suite = unittest.TestSuite()
    if not FOUND:
        found, missing = pythons()
        FOUND.update(found)
        print("interpreters: %s" % ", ".join(found), file=sys.stderr)
        print("missing: %s" % (", ".join(missing) or "none"), file=sys.stderr)
    for name, python in FOUND.items():
        for case in cases:
            kind = type("%s_%s" % (case.__name__, re.sub(r"\W", "_", name)), (case, unittest.TestCase), {"python": python})
            suite.addTests(loader.loadTestsFromTestCase(kind))
    return suite
