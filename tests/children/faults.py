"""Ways to end and to misbehave, to be called in a command. Python 3."""
import ctypes
import os
import resource
import signal
import subprocess
import sys
import threading


def leave(code):
    """As a host leaves whose user has closed it: by C's exit(), past everything of Python."""
    ctypes.CDLL(None).exit(code)


def segfault():
    ctypes.string_at(0)


def die(number=signal.SIGKILL):
    os.kill(os.getpid(), number)


def enter(procs):
    """Goes into a control group."""
    with open(procs, "w") as file:
        file.write("%d\n" % os.getpid())


def eat():
    """All the memory that there is."""
    eaten = []
    while True:
        eaten.append(bytearray(b"x") * (1 << 20))


def eat_within(limit):
    """Runs into a limit of its own, and gives what it had back."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + limit, before[1]))
    try:
        eat()
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def later(fifo, action, *args):
    """Does it in another thread, once somebody has opened and closed that pipe: when no command runs any more."""
    def wait():
        with open(fifo, "rb") as told:
            told.read()
        action(*args)

    threading.Thread(target=wait, name="later", daemon=True).start()


def leave_family():
    """Starts processes that are hard to find again, and gives their pids; see leaves_family.py."""
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "leaves_family.py")
    started = subprocess.Popen([sys.executable, script, "0"], stdout=subprocess.PIPE)
    said = started.stdout.readline()  # no further: the family holds the pipe
    started.wait()
    return " ".join(said.decode().split()[1:])


def channel():
    """The descriptor of the socket to the engine."""
    for name in os.listdir("/proc/self/fd"):
        try:
            if os.readlink("/proc/self/fd/" + name).startswith("socket:"):
                return int(name)
        except OSError:
            pass
    raise LookupError("no socket")


def frame(text):
    """As it is on the wire."""
    payload = text.encode()
    return len(payload).to_bytes(4, "big") + payload


def eat_up(limit):
    """Runs into a limit of its own that stays, and keeps what it has got until somebody has looked at it."""
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + limit, resource.RLIM_INFINITY))
    eaten, size = [], 1 << 20
    while True:
        try:
            eaten.append(bytearray(size))
        except MemoryError:
            if size <= 64:
                raise
            size //= 2
