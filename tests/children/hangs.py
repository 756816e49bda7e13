"""Gets stuck in the way that its first argument names, after it has said that it will. For Python 2.7 and later."""

import ctypes
import os
import socket
import subprocess
import sys
import threading
import time
import zlib

try:
    import queue
except ImportError:
    import Queue as queue


def ready():
    os.write(1, b"ready\n")


def loops():
    ready()
    number = 0
    while True:
        number += 1  # loops
        number -= 1


def loops_in_worker():
    worker = threading.Thread(target=loops, name="worker")
    worker.start()
    worker.join()  # waits


def loops_on_one_line():
    ready()
    while True: pass  # one line


def sleeps():
    ready()
    time.sleep(1000)  # sleeps


def sleeps_with_gil():
    usleep = ctypes.PyDLL(None).usleep
    ready()
    usleep(1000000000)  # holds


def computes_with_gil():
    numbers = iter(int, 1)
    ready()
    sum(numbers)  # holds


def computes_without_gil():
    data = b"x" * (1 << 28)
    ready()
    while True:
        zlib.compress(data)  # releases


def waits_for_lock():
    lock = threading.Lock()

    def keep():
        with lock:
            ready()
            time.sleep(1000)

    keeper = threading.Thread(target=keep, name="keeper")
    keeper.daemon = True
    keeper.start()
    while not lock.locked():
        time.sleep(0.001)
    lock.acquire()  # waits


def waits_for_queue():
    ready()
    queue.Queue().get()  # waits


def deadlocks():
    one, two = threading.Lock(), threading.Lock()
    met = threading.Semaphore(0)

    def other():
        with two:
            met.release()
            with one:  # waits too
                pass

    with one:
        thread = threading.Thread(target=other, name="other")
        thread.daemon = True
        thread.start()
        met.acquire()
        ready()
        with two:  # waits
            pass


def reads_socket():
    connection = socket.create_connection(("127.0.0.1", int(sys.argv[2])))
    ready()
    connection.recv(1)  # waits


def reads_socket_with_timeout():
    connection = socket.create_connection(("127.0.0.1", int(sys.argv[2])), 1000)
    ready()
    connection.recv(1)  # waits


def accepts():
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(1)
    ready()
    listener.accept()  # waits


def reads_stdin():
    ready()
    sys.stdin.readline()  # waits


def reads_fifo():
    fd = os.open(sys.argv[2], os.O_RDWR)
    ready()
    os.read(fd, 1)  # waits


def calls():
    process = subprocess.Popen(["sleep", "1000"])
    ready()
    process.wait()  # waits


def communicates():
    process = subprocess.Popen(["sleep", "1000"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    ready()
    process.communicate()  # waits


def locks_file():
    import fcntl

    mine = open(sys.argv[2], "a")
    ready()
    fcntl.flock(mine, fcntl.LOCK_EX)  # waits


if __name__ == "__main__":
    if "STACKS" in os.environ:
        import faulthandler
        import signal

        faulthandler.register(signal.SIGUSR1, open(os.environ["STACKS"], "w"), all_threads=True, chain=False)
    globals()[sys.argv[1]]()
