"""A child that knows the secret and speaks the wire by itself: it proves, says hello, and then does what LIE says.

Started in the bootstrapper's place: `lies.py BOOTSTRAPPER --port N`.
"""
import hashlib
import hmac
import json
import os
import signal
import socket
import struct
import sys
import time

LIE = os.environ["LIE"]


def stay():
    """Lives until it is killed, whatever became of the channel."""
    while True:
        time.sleep(600)


def send(message):
    payload = message if isinstance(message, bytes) else json.dumps(message).encode()
    channel.sendall(struct.pack(">I", len(payload)) + payload)


def receive():
    length, = struct.unpack(">I", exactly(4))
    return json.loads(exactly(length))


def exactly(length):
    data = b""
    while len(data) < length:
        piece = channel.recv(length - len(data))
        if not piece:
            stay()
        data += piece
    return data


def proof(who, child, engine):
    said = "childminder %s 1\n%s\n%s" % (who, child, engine)
    return hmac.new(bytes.fromhex(os.environ["CHILDMINDER_SECRET"]), said.encode(), hashlib.sha256).hexdigest()


def finish(command):
    send({"type": "finished", "id": command, "value": None, "cut": None})


def serve():
    """An honest executor that runs nothing."""
    while True:
        message = receive()
        if message["type"] == "shutdown":
            sys.exit(message["code"])
        if message["type"] == "execute":
            finish(message["id"])


print("the liar is here", flush=True)
if LIE == "mute":
    stay()
channel = socket.create_connection(("127.0.0.1", int(sys.argv[3])))
mine = "ab" * 32
send({"type": "knock", "protocol": 1, "nonce": mine})
challenge = receive()
assert challenge["proof"] == proof("engine", mine, challenge["nonce"])
send({"type": "prove", "proof": proof("child", mine, challenge["nonce"])})
assert receive()["type"] == "welcome"
if LIE == "no hello":
    stay()
send({"type": "hello", "pid": os.getpid(), "signals": {}})
if LIE == "says nothing more":
    stay()
command = receive()["id"]
send({"type": "started", "id": command})
if LIE == "falls silent":
    stay()
elif LIE == "malformed":
    send(b"{]")
elif LIE == "not text":
    send(b'{"type":"status","text":"\xff\xfe"}')
elif LIE == "deep":
    send(b'{"type":"finished","id":' + b"[" * 100000 + b"]" * 100000 + b"}")
elif LIE == "deep in the unknown":
    send(b'{"type":"what is this","x":' + b'{"x":' * 200 + b"1" + b"}" * 200 + b"}")
elif LIE == "deep causes":
    exception = None
    for number in range(200):
        exception = {"type": "E", "cause": exception}
    send({"type": "raised", "id": command, "exception": exception, "exit": None})
elif LIE == "shape":
    send({"type": "finished", "id": "one"})
elif LIE == "oversize":
    channel.sendall(b"\xff\xff\xff\xff")
elif LIE == "another command":
    finish(command + 998)
elif LIE == "hello again":
    send({"type": "hello", "pid": 1})
elif LIE == "closes":
    channel.close()
elif LIE == "ends with an heir":
    if os.fork() == 0:
        os.setsid()
        stay()
    os._exit(3)
elif LIE == "tells without end":
    for number in range(20000):
        send({"type": "status", "text": "s%d" % number})
        send({"type": "progress", "fraction": number / 20000.0})
        send({"type": "output", "path": "/out/%d" % number})
        send({"type": "fail", "message": "f%d" % number})
        send({"type": "what is this", "id": 1})
        send({"type": "interrupt_result", "id": number, "ok": True})
        send({"type": "completions", "id": number, "start": 0, "matches": []})
    finish(command)
    serve()
elif LIE == "is deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    channel.close()
stay()
