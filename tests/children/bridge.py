#!/usr/bin/env python3
"""A driver that speaks the bridge and nothing else: each function is a way through a job, and is named as its class."""

import json
import os
import signal
import socket
import sys
import time


class Bridge(object):
    def __init__(self):
        self.socket = socket.socket(fileno=int(os.environ.pop("CHILDMINDER_BRIDGE")))
        self.socket.set_inheritable(False)
        self.lines = self.socket.makefile("rb")
        self.last = 0
        self.replies = {}
        self.stop = None

    def send(self, op, **more):
        self.last += 1
        more.update(id=self.last, op=op)
        self.socket.sendall(json.dumps(more).encode("ascii") + b"\n")
        return self.last

    def wait(self, wanted):
        while wanted not in self.replies:
            self.read()
        return self.replies.pop(wanted)

    def read(self):
        line = self.lines.readline()
        if not line:
            sys.exit(70)
        word = json.loads(line.decode("ascii"))
        if "event" in word:
            self.stop = word["mode"]
            print("told to stop", self.stop)
        else:
            self.replies[word["id"]] = word

    def ask(self, op, **more):
        return self.wait(self.send(op, **more))

    # ---- Qube's way --------------------------------------------------------------------------------------------

    def hello(self):
        _, _, name = os.environ["CHILDMINDER_BACK_END"].rpartition(":")
        told = self.ask(
            "hello", python=sys.version.split()[0], executable=sys.executable, pid=os.getpid(), file=__file__,
            overrides=[{"name": "executeWork", "class": name, "file": __file__, "line": 1}],
            constants={"QB_WAITING_TIMEOUT": 5}, **{"class": name})
        self.job = told["job"]
        return told

    def start(self, merge=False):
        opened = self.ask("open")
        python = os.environ.get("CHILD_PYTHON", sys.executable)
        command = "exec '%s' -u '%s' --port %d" % (python, opened["bootstrapper"], opened["port"])
        return self.ask("start", args=["/bin/sh", "-c", command], bootstrapper=opened["bootstrapper"], merge_stderr=merge)

    def execute(self, phase, commands, item=None):
        return self.ask("execute", phase=phase, item=item, commands=commands)

    def set_up(self):
        self.hello()
        started = self.start()
        if not started["ok"]:
            print("no child:", started["error"])
            return 1
        self.execute("init", ["import sys", "import os, time"])
        done = self.execute("setup", self.job["package"]["jobSetupCmds"])
        if done["code"]:
            print("setup failed:", done["error"].strip().splitlines()[-1])
            self.ask("job", status="failed", reason="setup failed")
            return 4
        return 0

    def work(self, report=True):
        """True when the child has died meanwhile."""
        while True:
            work = self.ask("take")["work"]
            if work["status"] != "running":
                print("no work:", work["status"])
                return False
            done = self.execute("item", work["package"]["commands"], work["name"])
            print("item", work["name"], "code", done["code"], "exit", done["exit"], "ran", done["ran"])
            result = {"outputPaths": "/out/%s.png" % work["name"], "seen": done["code"]}
            work.update(status="failed" if done["code"] else "complete", resultpackage=result)
            if report:
                print("item", work["name"], "is", self.ask("report", work=work)["status"])
            if done["exit"] is not None:
                return True

    def tear_down(self, code=0):
        self.execute("teardown", self.job["package"]["jobTeardownCmds"])
        print("closed with", self.ask("close", code=code)["exit"])


# ---- ways through a job ----------------------------------------------------------------------------------------


def Plain(bridge):
    code = bridge.set_up()
    if code:
        return code
    died = bridge.work()
    bridge.tear_down(int(died))
    bridge.ask("job", status="failed" if died else "complete", reason="")
    return int(died)


def Stock(bridge):
    """The recipe decides how the child is started."""
    bridge.hello()
    opened = bridge.ask("open")
    started = bridge.ask("start", args=None, bootstrapper=opened["bootstrapper"], merge_stderr=False)
    print("started", started["ok"])
    bridge.work()
    bridge.ask("close", code=0)


def Optimist(bridge):
    """Everything is complete, whatever happened."""
    bridge.set_up()
    while True:
        work = bridge.ask("take")["work"]
        if work["status"] != "running":
            break
        bridge.execute("item", work["package"]["commands"], work["name"])
        print("item", work["name"], "is", bridge.ask("report", work=dict(work, status="complete"))["status"])
    bridge.tear_down()


def Talker(bridge):
    """Reports in the middle of a command, and asks for what it may not have."""
    bridge.set_up()
    work = bridge.ask("take")["work"]
    name = work["name"]
    running = bridge.send("execute", phase="item", item=name, commands=work["package"]["commands"])
    print("twice:", bridge.execute("item", ["1"], name)["error"])
    for progress, paths in (("0.25", "/out/a.png"), ("0.50", "/out/a.png,/out/b.png")):
        result = {"progress": progress, "outputPaths": paths, "highlights": ["Saved"], "fps": 24}
        bridge.ask("report", work={"name": name, "status": "running", "resultpackage": result})
    print("alive:", bridge.ask("poll")["exit"])
    bridge.ask("report", work={"name": "nobody", "status": "running"})
    bridge.execute("item", ["1"], "nobody")
    print("unknown:", bridge.ask("sing")["ok"])
    open(bridge.job["package"]["go"], "w").close()
    print("code", bridge.wait(running)["code"])
    bridge.ask("report", work={"name": name, "status": "complete"})
    bridge.tear_down()


def Forgetful(bridge):
    bridge.set_up()
    bridge.work(report=False)
    bridge.tear_down()


def Killed(bridge):
    bridge.set_up()
    work = bridge.ask("take")["work"]
    bridge.send("execute", phase="item", item=work["name"], commands=work["package"]["commands"])
    os.kill(os.getpid(), signal.SIGKILL)


def Garbage(bridge):
    bridge.set_up()
    bridge.socket.sendall(b"\x1b[2Jnonsense\n")
    time.sleep(1000)


def Endless(bridge):
    bridge.set_up()
    try:
        while True:
            bridge.socket.sendall(b"x" * (1 << 20))
    except OSError:
        time.sleep(1000)


def HangsUp(bridge):
    bridge.set_up()
    bridge.socket.shutdown(socket.SHUT_RDWR)
    time.sleep(1000)


def Mute(bridge):
    time.sleep(1000)


def Quitter(bridge):
    return 0


def Broken(bridge):
    bridge.send("failed", error="Traceback (most recent call last):\nImportError: no module named studio")
    return 3


def Idle(bridge):
    """Takes work, and does nothing about it."""
    bridge.set_up()
    bridge.ask("take")
    time.sleep(1000)


def Lingers(bridge):
    bridge.set_up()
    bridge.work()
    bridge.tear_down()
    time.sleep(1000)


def Family(bridge):
    """Leaves a process behind that holds its pipes."""
    import subprocess
    bridge.set_up()
    helper = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    print("helper", helper.pid)
    bridge.work()
    bridge.tear_down()


def Loud(bridge):
    bridge.set_up()
    for number in range(20000):
        print("line", number)
    sys.stderr.write("\x1b[31mno colours\x07\n")
    sys.stdout.write("y" * 100000)
    bridge.tear_down()


def Merged(bridge):
    bridge.hello()
    print("started", bridge.start(merge=True)["ok"])
    bridge.execute("setup", bridge.job["package"]["jobSetupCmds"])
    bridge.tear_down()


def NoChild(bridge):
    bridge.hello()
    bridge.ask("open")
    started = bridge.ask("start", args=["/no/such/shell", "-c", "x"], bootstrapper=None, merge_stderr=False)
    print("no child:", started["error"])
    bridge.ask("job", status="failed", reason="no child")
    return 1


def Supervised(bridge):
    """Work that the agenda does not have, some of it twice."""
    bridge.set_up()
    print("take:", bridge.ask("take")["ok"])
    for name, command, status in (("a", "print('A')", "complete"), ("b", "1 / 0", "failed"), ("b", "print('B')", "complete")):
        work = {"name": name, "status": "running", "package": {"commands": [command]}, "count": 1}
        print("begun", bridge.ask("begin", work=work)["ok"])
        done = bridge.execute("item", [command], name)
        bridge.ask("report", work={"name": name, "status": "failed" if done["code"] else status})
    bridge.ask("report", work={"name": "never", "status": "failed"})
    bridge.tear_down()


def Careless(bridge):
    """Begins work again that it has not reported."""
    bridge.set_up()
    work = {"name": "a", "status": "running", "package": {"commands": ["1"]}}
    for _ in range(2):
        print("begun", bridge.ask("begin", work=work)["ok"])
    bridge.ask("report", work={"name": "a", "status": "complete"})
    print("nameless:", bridge.ask("begin", work={"status": "running"})["error"])
    bridge.tear_down()
    print("late:", bridge.ask("begin", work=work)["error"])


def main():
    bridge = Bridge()
    _, _, name = os.environ["CHILDMINDER_BACK_END"].rpartition(":")
    sys.exit(globals()[name](bridge))


if __name__ == "__main__":
    main()
