"""Prints what it was given: open files, session, signal state, standard input, environment."""
import json
import os

status = {}
for line in open("/proc/self/status"):
    key, _, value = line.partition(":")
    status[key] = value.strip()
listed = {}
for fd in os.listdir("/proc/self/fd"):
    try:
        listed[fd] = os.readlink("/proc/self/fd/" + fd)
    except OSError:
        pass  # the descriptor of the listing itself
print(
    json.dumps(
        {
            "fds": listed,
            "pid": os.getpid(),
            "sid": os.getsid(0),
            "pgid": os.getpgrp(),
            "blocked": status["SigBlk"],
            "ignored": status["SigIgn"],
            "env": dict(os.environ),
            "cwd": os.getcwd(),
        }
    )
)
