"""Ways to be stuck, to be called in a command: `import stuck; stuck.deadlock()`.

Each stays until it is interrupted, or for `LONG` seconds where no interrupt can reach it. Python 2.7 and later.
"""
import ctypes
import os
import signal
import socket
import subprocess
import sys
import threading
import time

LONG = 600


def sleeps(seconds=LONG):
    time.sleep(seconds)


def loops():
    """In Python, without a call that the system would see."""
    count = 0
    while True:
        count += 1


def holds_the_gil(seconds=LONG):
    """In native code that does not give the interpreter up: no other thread of Python runs meanwhile."""
    ctypes.PyDLL(None).usleep(int(seconds * 1000000))


def holds_the_gil_until_told(fifo):
    """The same, until somebody opens and closes that pipe."""
    libc = ctypes.PyDLL(None)
    opened = libc.open(fifo.encode(), os.O_RDONLY)
    libc.read(opened, ctypes.create_string_buffer(1), 1)
    libc.close(opened)


def computes_natively(rounds=1 << 30):
    """In native code, with the interpreter free for others."""
    import hashlib
    hashlib.pbkdf2_hmac("sha256", b"secret", b"salt", rounds)


def computes_with_the_gil():
    """In native code, with the interpreter held and the processor busy: a pattern that never comes to its end."""
    import re
    re.match("(a+)+$", "a" * 64 + "b")


def deadlock():
    """The main thread and another one each wait for what the other one has."""
    first, second, both = threading.Lock(), threading.Lock(), threading.Event()

    def other():
        with second:
            both.set()
            with first:
                pass

    with first:
        thread = threading.Thread(target=other, name="the other one")
        thread.daemon = True
        thread.start()
        both.wait()
        with second:
            pass


def waits_for_a_deadlock():
    """Two other threads wait for each other, and the main thread for them."""
    locks, ready = (threading.Lock(), threading.Lock()), threading.Semaphore(0)
    gone_on = threading.Event()

    def take(one, other):
        with one:
            ready.release()
            gone_on.wait()
            with other:
                pass

    threads = []
    for name, order in (("left", locks), ("right", locks[::-1])):
        threads.append(threading.Thread(target=take, args=order, name=name))
        threads[-1].daemon = True
        threads[-1].start()
    ready.acquire()
    ready.acquire()
    gone_on.set()
    for thread in threads:
        while thread.is_alive():
            thread.join(1)  # Python 2 cannot be interrupted in one without a limit


def waits_for_a_lock():
    """That another thread has, which sleeps."""
    lock, taken = threading.Lock(), threading.Event()

    def keep():
        with lock:
            taken.set()
            time.sleep(LONG)

    thread = threading.Thread(target=keep, name="keeps the lock")
    thread.daemon = True
    thread.start()
    taken.wait()
    with lock:
        pass


def waits_for_the_network():
    """For an answer of somebody who takes connections and says nothing."""
    silent = socket.socket()
    silent.bind(("127.0.0.1", 0))
    silent.listen(1)
    asking = socket.create_connection(silent.getsockname())
    asking.recv(1)


def waits_for_a_child():
    subprocess.call(["sleep", str(LONG)])


def reads_stdin():
    """From a terminal on which nobody types, which takes the place of the standard input."""
    controller, terminal = os.openpty()
    before = os.dup(0)
    os.dup2(terminal, 0)
    try:
        os.read(0, 1)
    finally:
        os.dup2(before, 0)
        for fd in (before, terminal, controller):
            os.close(fd)


def reads_a_pipe():
    """Into which nobody writes."""
    os.read(os.pipe()[0], 1)


def swallows_interrupts(what=KeyboardInterrupt):
    while True:
        try:
            time.sleep(LONG)
        except what:
            sys.stdout.write("swallowed\n")
            sys.stdout.flush()


def ignores_sigterm(what=KeyboardInterrupt):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    swallows_interrupts(what)


def stops_itself():
    os.kill(os.getpid(), signal.SIGSTOP)
