"""A terminal that can be killed: runs its arguments on a pseudo terminal of 130 by 40, and prints what they write there."""
import fcntl
import os
import pty
import struct
import sys
import termios

pid, screen = pty.fork()
if pid == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 130, 0, 0))
    os.execv(sys.argv[1], sys.argv[1:])
sys.stdout.write("%d\n" % pid)
sys.stdout.flush()
while True:
    os.write(1, os.read(screen, 65536))
