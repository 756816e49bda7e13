"""Waits until the port named by GATE closes, and then becomes the interpreter that it was started as."""
import os
import socket
import sys

try:
    gate = socket.create_connection(("127.0.0.1", int(os.environ["GATE"])))
    gate.recv(1)
except EnvironmentError:
    pass  # it closed
os.execv(sys.executable, [sys.executable] + sys.argv[1:])
