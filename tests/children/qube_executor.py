"""A stand-in for Qube's bootstrapper and executor, written from a description of their behaviour, defects included.

Commands come on stdin as text: chunks of length, four bytes each, then the characters.  Every command is echoed with a
prompt, then executed with separate globals and locals.  Each reply is a connection of its own.  Kept as they are said to
be: lengths of three chunks and more are decoded wrongly; in Python 3 a failure cannot be sent and ends the process;
SystemExit is not replied to; whatever is no Exception is not caught.
"""
import argparse
import socket
import struct
import sys
import traceback

RULE = "-" * 80


class Client(object):
    def __init__(self, port):
        self.port = port

    def send(self, text):
        connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        connection.connect(("127.0.0.1", self.port))
        connection.send(struct.pack(">i", len(text)))
        if text:
            # In Python 3 this is a str, which no socket takes.
            connection.send(text)
        connection.close()


class Executor(object):
    def __init__(self, port, kind):
        self.client = Client(port)
        known = {"maya": "mayaPy>", "houdini": "houdiniPy>", "nuke": "nukePy>"}
        self.prompt = known.get(kind, kind + ">")
        self.globals = {}
        self.locals = {}

    def length(self):
        text = sys.stdin.read(4)
        data = text if isinstance(text, bytes) else text.encode("latin-1")
        return struct.unpack(">i", data)[0]

    def read(self):
        value = self.length()
        total = value
        while value > 126:
            value = self.length() - 1
            total += value
        return sys.stdin.read(total)

    def execute(self, command):
        sys.stdout.write(self.prompt + " " + command + "\n")
        sys.stdout.flush()
        try:
            exec(command, self.globals, self.locals)
        except SystemExit as end:
            return end
        self.client.send("")
        return None

    def mainloop(self):
        while True:
            command = self.read()
            try:
                end = self.execute(command)
            except Exception:
                text = "\n".join([RULE, "ERROR " + command, RULE, traceback.format_exc(), RULE])
                self.client.send(text)
                continue
            if end is not None:
                return end.code


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("-p", "--port", type=int)
    parser.add_argument("-k", "--kind", default="generic")
    parser.add_argument("-d", "--debug", action="store_true")
    options = parser.parse_args()
    code = Executor(options.port, options.kind).mainloop()
    print("the executor ends with %s" % code)
    sys.exit(code)


if __name__ == "__main__":
    main()
