"""Three threads write the running command's number without a pause; commands begin and end as the socket says.

After each command the bytes written so far are told, as the executor does after its flush.
"""
import os
import random
import socket
import sys
import threading

commands = int(sys.argv[2])
channel = socket.socket(socket.AF_UNIX)
channel.connect(sys.argv[1])
answers = channel.makefile("rb")
sys.setswitchinterval(1e-5)
lock = threading.Lock()
current = 1
written = 0


def write(times):
    """Must be called with the lock held."""
    global written
    data = (b"%07d\n" % current) * times
    while data:
        done = os.write(1, data)
        written += done
        data = data[done:]


def flood(seed):
    dice = random.Random(seed)
    while True:
        with lock:
            if current > commands:
                return
            write(dice.choice((1, 1, 2, 10, 400)))


threads = [threading.Thread(target=flood, args=(seed,)) for seed in range(2)]
for thread in threads:
    thread.start()
dice = random.Random(7)
while current <= commands:
    with lock:
        if current % 1000 == 0:
            write(200000)  # more than any pipe holds
        elif dice.random() < 0.9:
            write(dice.randrange(3))
        channel.sendall(b"%d\n" % written)
        answers.readline()
        current += 1
for thread in threads:
    thread.join()
