"""Prints from the main thread, from threads that go on across commands, and by C; each word says whose it is.

A word is `kind command : number ;`. Kinds, each with numbers of its own that count from 1 without a gap:
`m` print, `d` os.write, `c` C's printf by the main thread, numbered within the command; `t`, `u`, ... by the other threads
while a command runs, numbered over the whole run; `T`, `U`, ... the same while none does.

A thread writes and looks which command runs in one step under a lock, which a command takes to begin and to end: so a
word of a command is written before the command ends, and the words between two commands are known to be that.
"""
import ctypes
import os
import random
import sys
import threading

sys.setswitchinterval(1e-5)
libc = ctypes.CDLL(None)
lock = threading.Lock()
current, last = 0, 0
stopping = False
counts = {}


def number(kind):
    counts[kind] = counts.get(kind, 0) + 1
    return counts[kind]


def word(kind, command, n):
    return "%s%d:%d;" % (kind, command, n)


def by_os(fd, text):
    data = text.encode()
    while data:
        data = data[os.write(fd, data):]


def by_print(fd, text, end):
    stream = sys.stdout if fd == 1 else sys.stderr
    print(text, end=end, file=stream, flush=end == "" and len(text) > 1000)


def background(kind, seed):
    dice = random.Random(seed)
    while not stopping:
        with lock:
            busy = current > 0
            own = (kind if busy else kind.upper()) + ("o" if dice.random() < 0.5 else "e")
            fd = 1 if own[1] == "o" else 2
            text = word(own, current if busy else last, number(own))
            # What is buffered is brought out by the command's end, and not before; so only while one runs.
            if busy and dice.random() < 0.5:
                by_print(fd, text, dice.choice(("\n", "")))
            else:
                sys.stdout.flush() if fd == 1 else sys.stderr.flush()
                by_os(fd, text)


def running():
    """The number of the command that calls the caller."""
    return int(sys._getframe(2).f_code.co_filename.split()[1].rstrip(">"))


def start():
    global last
    last = running()
    for thread in threads:
        thread.start()


def work():
    """One command: what it prints is told by its number alone."""
    global current, last
    command = running()
    with lock:
        current = last = command
    for n in range(1, command % 5 + 1):
        with lock:
            by_print(1, word("m", command, n), "" if n % 2 else "\n")
    for n in range(1, command % 3 + 1):
        with lock:
            by_print(2, word("m", command, n), "")
    blocks = 3000 if command % 100 == 0 else command % 4
    text = "".join(word("d", command, n) for n in range(1, blocks + 1))
    with lock:  # longer than a pipe takes at once, and nobody else's word within
        sys.stdout.flush()
        by_os(1, text)
    for n in range(1, command % 2 + 1):
        with lock:
            libc.printf(word("c", command, n).encode())
    with lock:
        current = 0


threads = [threading.Thread(target=background, args=(kind, seed)) for seed, kind in enumerate("tu")]


def finish():
    """The last words: how many words of the other threads there must be."""
    global stopping
    stopping = True
    for thread in threads:
        thread.join()
    text = "".join("total %s %d\n" % pair for pair in sorted(counts.items()))
    with open(totals, "w") as file:
        file.write(text)
