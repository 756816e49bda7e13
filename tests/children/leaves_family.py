"""Starts processes that are hard to find again, prints their pids on one line, and stays (or exits with argv[1]).

In order: one in this group; one in a session of its own; one in a session of its own whose parent is gone; the
same, with nothing in its environment.
"""
import os
import subprocess
import sys
import time

SLEEP = ["sleep", "600"]


def orphan(env):
    """Returns the pid of a process whose parent has ended."""
    code = "import subprocess; print(subprocess.Popen(%r, start_new_session=True, stdout=2).pid)" % (SLEEP,)
    return int(subprocess.check_output([sys.executable, "-c", code], env=env))


pids = [
    subprocess.Popen(SLEEP).pid,
    subprocess.Popen(SLEEP, start_new_session=True).pid,
    orphan(None),
    orphan({"PATH": os.environ["PATH"]}),
]
sys.stdout.write("family %s\n" % " ".join(map(str, pids)))
sys.stdout.flush()
if len(sys.argv) > 1:
    sys.exit(int(sys.argv[1]))
time.sleep(600)
