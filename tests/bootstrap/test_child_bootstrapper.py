"""Plays the engine's end of the wire against the bootstrapper, in every interpreter found.

    python3 tests/bootstrap/test_child_bootstrapper.py [unittest arguments]

CHILDMINDER_TEST_PYTHONS restricts the interpreters, e.g. "2.7,3.11,pypy,blender".  Nothing here sleeps:
each wait is for something, and ends in a failure after LIMIT seconds.  Only the standard library is used.
"""
import atexit
import contextlib
import functools
import glob
import hashlib
import hmac
import json
import os
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BOOT = os.path.join(ROOT, "bootstrap", "child_bootstrapper.py")
CHILDREN = os.path.join(ROOT, "tests", "children")
LIMIT = 30.0
SECRET = "5a" * 32
NONCE = "c3" * 32
WELCOME = {"type": "welcome", "heartbeat": 1.0, "value_limit": 65536, "exception_limit": 1048576,
           "echo": False, "pump": "block"}


# --- Interpreters ------------------------------------------------------------------------------------


def clean_environment(**more):
    dirty = ("PYTHON", "PYENV", "CHILDMINDER", "LC_", "LANG")
    env = {key: value for key, value in os.environ.items() if not key.startswith(dirty)}
    paths = [path for path in env.get("PATH", "").split(":") if "pyenv" not in path]
    env.update(PATH=":".join(paths), PYTHONDONTWRITEBYTECODE="1")
    env.update(more)
    return env


class Host(object):
    """One way to get the bootstrapper run."""

    def __init__(self, name, version, command, tail=("--port", "{port}")):
        self.name, self.version, self.command, self.tail = name, version, list(command), list(tail)

    def arguments(self, boot, port):
        return [word.format(boot=boot, port=port) for word in self.command + self.tail]

    def __repr__(self):
        return "%s (%s)" % (self.name, ".".join(map(str, self.version)))


def probe(python):
    """(name, version, executable) of an interpreter, or None if it does not run.  On PATH there may be a launcher."""
    code = "import sys, json; print(json.dumps([sys.version, sys.version_info[:3], sys.executable]))"
    try:
        done = subprocess.run([python, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              timeout=LIMIT, env=clean_environment())
    except OSError:
        return None
    if done.returncode:
        return None
    words, version, executable = json.loads(done.stdout.decode())
    return "%s%d.%d" % ("pypy" if "PyPy" in words else "python", version[0], version[1]), tuple(version), executable


def find_hosts():
    wanted = ["2.7"] + ["3.%d" % minor for minor in range(6, 15)]
    candidates = [shutil.which("python" + version) for version in wanted] + [shutil.which("python3"), shutil.which("pypy3")]
    candidates += sorted(glob.glob(os.path.expanduser("~/.pyenv/versions/*/bin/python")))
    found = {}
    for python in candidates:
        known = probe(python) if python else None
        if known:
            name, version, executable = known
            found.setdefault(name, Host(name, version, [executable, "{boot}"]))
    missing = ["python" + version for version in wanted if "python" + version not in found]
    if not any(name.startswith("pypy") for name in found):
        missing.append("pypy3")
    for name, command in (
        ("blender", ["blender", "--background", "--factory-startup", "--python-exit-code", "1", "--python", "{boot}", "--"]),
        ("gdb", ["gdb", "-nx", "-q", "-batch", "-x", "{boot}"]),
    ):
        if shutil.which(name):
            found[name] = Host(name, (3, 11), command, () if name == "gdb" else ("--port", "{port}"))
        else:
            missing.append(name)
    only = os.environ.get("CHILDMINDER_TEST_PYTHONS")
    if only:
        found = {name: host for name, host in found.items()
                 if any(name in (word, "python" + word) or name.startswith(word.rstrip("3")) and not word[0].isdigit()
                        for word in only.replace(" ", "").split(","))}
    return found, missing


# --- The engine's end --------------------------------------------------------------------------------


class Closed(Exception):
    pass


def hmac_of(who, child_nonce, engine_nonce=NONCE, secret=SECRET):
    said = "childminder %s 1\n%s\n%s" % (who, child_nonce, engine_nonce)
    return hmac.new(bytes.fromhex(secret), said.encode(), hashlib.sha256).hexdigest()


class Drain(threading.Thread):
    """Always reads a pipe, as the engine does."""

    def __init__(self, pipe):
        super().__init__(daemon=True)
        self.pipe, self.data, self.changed = pipe, bytearray(), threading.Condition()
        self.start()

    def run(self):
        while True:
            piece = os.read(self.pipe.fileno(), 65536)
            with self.changed:
                self.data += piece
                self.changed.notify_all()
            if not piece:
                return

    def wait_for(self, piece):
        with self.changed:
            assert self.changed.wait_for(lambda: piece in self.data, LIMIT), (piece, bytes(self.data[-2000:]))


class Child(object):
    """A child under the bootstrapper and our end of its channel."""

    def __init__(self, host, env=None, drain=True, boot=BOOT, hello=True, welcome=None, arguments=None, **popen):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(LIMIT)
        port = self.listener.getsockname()[1]
        environment = clean_environment(CHILDMINDER_SECRET=SECRET, CHILDMINDER_SESSION="s1")
        if host.name == "gdb":
            environment["CHILDMINDER_PORT"] = str(port)
        environment.update(env or {})
        self.prepare(port)
        self.process = subprocess.Popen(
            arguments or host.arguments(boot, port), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, env={key: value for key, value in environment.items() if value is not None}, **popen)
        self.stderr = Drain(self.process.stderr)
        self.stdout = Drain(self.process.stdout) if drain else self.process.stdout
        self.number = 0
        self.heartbeats = []
        if hello:
            self.accept()
            self.hello = self.shake_hands(welcome or {})

    def prepare(self, port):
        pass

    def accept(self):
        while True:
            try:
                self.listener.settimeout(0.2)
                self.sock, _ = self.listener.accept()
                break
            except socket.timeout:
                assert self.process.poll() is None, (self.process.returncode, bytes(self.stderr.data))
        self.sock.settimeout(LIMIT)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def shake_hands(self, welcome):
        knock = self.receive()
        assert knock["type"] == "knock" and knock["protocol"] == 1 and len(knock["nonce"]) == 64, knock
        self.send(type="challenge", protocol=1, nonce=NONCE, proof=hmac_of("engine", knock["nonce"]))
        proven = self.receive()
        assert proven == {"type": "prove", "proof": hmac_of("child", knock["nonce"])}, proven
        self.send(**dict(WELCOME, **welcome))
        return self.receive()

    def send(self, **message):
        payload = json.dumps(message).encode()
        self.sock.sendall(struct.pack(">I", len(payload)) + payload)

    def exactly(self, size):
        data = bytearray()
        while len(data) < size:
            piece = self.sock.recv(size - len(data))
            if not piece:
                raise Closed(bytes(self.stderr.data[-2000:]))
            data += piece
        return bytes(data)

    def receive(self):
        payload = self.exactly(struct.unpack(">I", self.exactly(4))[0])
        message = json.loads(payload.decode("utf-8"))
        # What strict readers (serde) refuse: lone surrogates, NaN.
        json.dumps(message, ensure_ascii=False, allow_nan=False).encode("utf-8")
        message["frame_bytes"] = len(payload) if message["type"] in ("raised", "finished") else None
        if message["frame_bytes"] is None:
            del message["frame_bytes"]
        return message

    def until(self, *kinds):
        """The next message of these kinds; heartbeats go aside, anything else is collected in `passed`."""
        self.passed = []
        while True:
            message = self.receive()
            if message["type"] in kinds:
                return message
            (self.heartbeats if message["type"] == "heartbeat" else self.passed).append(message)

    def end_of_command(self):
        """What ended the command, which may have come before the answer that was just waited for."""
        early = [message for message in self.passed if message["type"] in ("finished", "raised")]
        return early[0] if early else self.until("finished", "raised")

    def start(self, source, value=False):
        self.number += 1
        self.send(type="execute", id=self.number, source=source, phase="item", item=None, value=value)
        return self.number

    def started(self, source, value=False):
        number = self.start(source, value)
        assert self.until("started") == {"type": "started", "id": number}
        return number

    def run(self, source, value=False):
        number = self.started(source, value)
        ended = self.until("finished", "raised")
        assert ended["id"] == number, ended
        return ended

    def value(self, source):
        ended = self.run(source, True)
        assert ended["type"] == "finished", ended["exception"]["text"]
        return ended["value"]

    def error(self, source, value=False):
        ended = self.run(source, value)
        assert ended["type"] == "raised", ended
        return ended["exception"]

    def ask(self, kind, answer, **fields):
        self.send(type=kind, id=900, **fields)
        message = self.until(answer)
        assert message["id"] == 900
        return message

    def ended(self):
        return self.process.wait(LIMIT)

    def close(self):
        for sock in (getattr(self, "sock", None), self.listener):
            if sock:
                sock.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(LIMIT)
        if isinstance(self.stdout, Drain):
            self.stdout.join(LIMIT)
        self.stderr.join(LIMIT)
        self.process.stdout.close()
        self.process.stderr.close()


class Case(object):
    """The tests of one interpreter; a subclass a host is made at the end of this file."""

    host = None

    @classmethod
    def setUpClass(cls):
        cls.common = None

    @classmethod
    def tearDownClass(cls):
        if cls.common:
            cls.common.close()

    def fresh(self, **options):
        child = Child(self.host, **options)
        self.addCleanup(child.close)
        return child

    @property
    def child(self):
        """One child for all tests that leave it as it was: launching some hosts takes long."""
        cls = type(self)
        if cls.common is None or cls.common.process.poll() is not None:
            cls.common = Child(self.host)
        return cls.common

    @property
    def python2(self):
        return self.host.version < (3,)

    def plain(self):
        if self.host.name in ("blender", "gdb"):
            self.skipTest("a matter of the interpreter, not of the host")


class Handshake(Case):
    def test_hello(self):
        child = self.fresh(env={"CHILDMINDER_APPLICATION": "some-host"})
        hello = child.hello
        self.assertEqual((hello["type"], hello["protocol"], hello["pid"]), ("hello", 1, child.process.pid))
        self.assertEqual(hello["ppid"], os.getpid())
        self.assertEqual(hello["application"]["name"], "some-host")
        self.assertTrue(hello["python"].startswith("%d.%d" % self.host.version[:2]))
        self.assertEqual(hello["signals"], {"SIGINT": "interrupt"})
        for feature in ("pump:block", "names", "side", "cancel", "raise"):
            self.assertIn(feature, hello["features"])
        self.assertEqual("raise:async" in hello["features"], not self.host.name.startswith("pypy"))
        self.assertEqual("host_sigint" in hello["features"], self.host.name == "blender")
        if self.host.name == "blender":
            self.assertEqual(hello["application"]["version"], child.value("__import__('bpy').app.version_string").strip("'"))
        self.assertNotIn(SECRET, child.value("dict(__import__('os').environ)"))
        self.assertEqual(child.value("[k for k in sorted(__import__('os').environ) if k in "
                                     "('CHILDMINDER_SECRET', 'CHILDMINDER_PORT', 'CHILDMINDER_SESSION')]"), "['CHILDMINDER_SESSION']")

    def test_wrong_engine(self):
        child = self.fresh(hello=False)
        child.accept()
        knock = child.receive()
        child.send(type="challenge", protocol=1, nonce=NONCE, proof=hmac_of("engine", knock["nonce"], secret="00" * 32))
        self.assertRaises(Closed, child.receive)
        self.assertEqual(child.ended(), 71)
        child.stderr.wait_for(b"could not prove")

    def test_a_child_that_is_turned_away_tries_again(self):
        child = self.fresh(hello=False)
        nonces = []
        for hears in (0, 1, 2):
            child.accept()
            if hears:
                nonces.append(child.receive()["nonce"])
            if hears == 2:
                child.send(type="challenge", protocol=1, nonce=NONCE, proof=hmac_of("engine", nonces[-1]))
                self.assertEqual(child.receive()["proof"], hmac_of("child", nonces[-1]))
            child.sock.close()
        self.assertNotEqual(*nonces)
        child.accept()
        self.assertEqual(child.shake_hands({})["type"], "hello")
        self.assertEqual(child.value("6 * 7"), "42")

    def test_it_does_not_try_for_ever(self):
        self.plain()
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        boot = os.path.join(folder, "boot.py")
        with open(BOOT) as source, open(boot, "w") as copy:
            text = source.read()
            assert text.count("REACH_SECONDS = 60.0") == 1
            copy.write(text.replace("REACH_SECONDS = 60.0", "REACH_SECONDS = 1.0"))
        child = self.fresh(hello=False, boot=boot)
        turned_away = 0
        while child.process.poll() is None:
            if select.select([child.listener], [], [], 0.05)[0]:
                child.listener.accept()[0].close()
                turned_away += 1
        self.assertEqual(child.ended(), 70)
        self.assertIn(turned_away, range(2, 8))

    def test_nobody_listens(self):
        child = self.fresh(hello=False, env={"CHILDMINDER_SECRET": None})
        self.assertEqual(child.ended(), 71)
        with socket.create_server(("127.0.0.1", 0)) as unused:
            port = unused.getsockname()[1]
        self.plain()
        child = self.fresh(hello=False, arguments=self.host.arguments(BOOT, port))
        self.assertEqual(child.ended(), 70)

    def test_generated_file(self):
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        boot = os.path.join(folder, "boot.py")

        class Generated(Child):
            def prepare(self, port):
                with open(BOOT) as source, open(boot, "w") as copy:
                    text = source.read()
                    assert text.count("\nGENERATED = None\n\n\n") == 1
                    made = {"port": port, "secret": SECRET, "remove": boot}
                    copy.write(text.replace("\nGENERATED = None\n\n\n", "\nGENERATED = %r\n\n\n" % made))

        arguments = [word for word in self.host.arguments(boot, 1) if word not in ("--port", "1")]
        if self.host.name == "blender":
            arguments = self.host.arguments(boot, 1)[:-3]
        child = Generated(self.host, arguments=arguments, env={"CHILDMINDER_SECRET": None, "CHILDMINDER_PORT": None})
        self.addCleanup(child.close)
        self.assertEqual(os.listdir(folder), [])
        self.assertEqual(child.value("6 * 7"), "42")

    def test_port_from_environment_and_unknown_arguments(self):
        self.plain()
        with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as listener:
            port = listener.getsockname()[1]
            env = clean_environment(CHILDMINDER_SECRET=SECRET, CHILDMINDER_PORT=str(port))
            process = subprocess.Popen([self.host.command[0], BOOT, "--what", "x", "--", "-y"], env=env,
                                       stderr=subprocess.DEVNULL)
            listener.settimeout(LIMIT)
            listener.accept()[0].close()
        # It tries again, until nobody listens any more.
        self.assertEqual(process.wait(LIMIT), 70)

    def test_imported_or_run_without_a_port(self):
        self.plain()
        for code, expected in (("import child_bootstrapper; print(6 * 7)", 0), (None, 2)):
            arguments = ["-c", code] if code else [BOOT]
            done = subprocess.run([self.host.command[0]] + arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  timeout=LIMIT, env=clean_environment(), cwd=os.path.dirname(BOOT))
            self.assertEqual(done.returncode, expected, done.stderr)

    def test_second_run_in_one_process_does_nothing(self):
        child = self.fresh()
        run_again = ("import sys\nkept = sys.argv\nsys.argv = ['x', '--port', '9']\n"
                     "exec(compile(open(%r).read(), 'again', 'exec'), {'__name__': '__main__'})\nsys.argv = kept" % BOOT)
        self.assertEqual(child.run(run_again if not self.python2 else run_again.replace("open", "__import__('io').open")
                                   .replace(".read()", ".read().encode('utf-8')"))["type"], "finished")
        self.assertEqual(child.value("6 * 7"), "42")

    def script(self, text, **more):
        """A child under a bootstrapper of its own, which knows the path of ours."""
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        path = os.path.join(folder, "my.py")
        with open(path, "w") as script:
            script.write("import os, runpy, sys\nOURS = os.environ['CHILDMINDER_BOOTSTRAPPER']\n" + text)
        env = dict({"CHILDMINDER_BOOTSTRAPPER": BOOT}, **more.pop("env", {}))
        return self.fresh(boot=path, env=env, **more)

    OWN_BOOTSTRAPPERS = (
        "runpy.run_path(OURS, run_name='__main__')",
        "executor = runpy.run_path(OURS, run_name='childminder_executor')\n"
        "sys.stderr.write('not yet\\n')\nexecutor['start']()",
        "executor = {'__name__': 'childminder_executor'}\n"
        "exec(compile(open(OURS).read(), OURS, 'exec'), executor)\nexecutor['start']()",
        "if sys.version_info[0] == 2:\n    import imp\n"
        "    executor = imp.load_source('childminder_executor', OURS)\n"
        "else:\n    import importlib.util\n"
        "    spec = importlib.util.spec_from_file_location('childminder_executor', OURS)\n"
        "    executor = importlib.util.module_from_spec(spec)\n    spec.loader.exec_module(executor)\n"
        "sys.stderr.write('not yet\\n')\nexecutor.start()",
    )

    def test_a_bootstrapper_of_ones_own_starts_the_executor(self):
        for text in self.OWN_BOOTSTRAPPERS:
            child = self.script(text)
            child.run("import gc; gc.collect() and None")
            self.assertEqual(child.value("6 * 7"), "42", text)
            self.assertEqual(child.error("1 / 0")["type"], "ZeroDivisionError")
            number = child.started("import time; time.sleep(%d)" % LIMIT)
            self.assertTrue(child.ask("interrupt", "interrupt_result", command=number)["ok"])
            self.assertEqual(child.end_of_command()["exception"]["type"], "KeyboardInterrupt")
            if "not yet" in text and self.host.name != "gdb":
                child.stderr.wait_for(b"not yet")
            child.send(type="shutdown", code=3)
            self.assertEqual(child.ended(), 3, text)

    def test_started_with_what_it_is_told(self):
        self.plain()
        child = self.script("secret = os.environ.pop('CHILDMINDER_SECRET')\nport = int(sys.argv.pop())\nsys.argv = ['']\n"
                            "runpy.run_path(OURS, run_name='childminder_executor')['start'](port, secret)")
        self.assertEqual(child.value("6 * 7"), "42")

    def test_a_worker_of_multiprocessing_starts_nothing(self):
        self.plain()
        if self.python2:
            self.skipTest("there every worker is forked")
        child = self.script("if __name__ != 'never': runpy.run_path(OURS, run_name='__main__')")
        self.assertEqual(child.value("import multiprocessing\nwith multiprocessing.get_context('spawn').Pool(1) as pool:\n"
                                     "    seen = pool.map(len, ['abc'])\nseen"), "[3]")
        self.assertNotIn(b"childminder", child.stderr.data)

    def test_arguments_as_qube_spells_them(self):
        self.plain()
        for tail, name, in ((("-p", "{port}", "-k", "maya", "-d"), "maya"), (("--kind=nuke", "-d", "--port={port}"), "nuke"),
                            (("-p", "0", "--port", "{port}", "--kind", "houdini"), "houdini")):
            child = Child(Host("qube", self.host.version, self.host.command, tail))
            self.addCleanup(child.close)
            self.assertEqual(child.hello["application"]["name"], name)
            self.assertEqual(child.value("6 * 7"), "42")

    def test_what_a_host_may_lack(self):
        """No argv, or an empty one; a stdout that is none, or can only write."""
        self.plain()
        for text in ("del sys.argv", "sys.argv = None", "sys.argv = ['']", "sys.stdout = sys.__stdout__ = None",
                     "class Own(object):\n    def write(self, text): os.write(1, text.encode('utf-8'))\n"
                     "sys.stdout = sys.stderr = Own()"):
            # Not by runpy, which needs an argv itself.
            child = self.script("os.environ['CHILDMINDER_PORT'] = sys.argv[2]\n%s\n"
                                "exec(compile(open(OURS).read(), OURS, 'exec'), {'__name__': '__main__'})" % text)
            self.assertEqual(child.value("6 * 7"), "42", text)
            if "None" not in text:
                self.assertEqual(child.run("print('said')")["type"], "finished")
                child.stdout.wait_for(b"said")
            child.send(type="shutdown", code=4)
            # Python 3 itself makes 120 of a stdout that it cannot flush at its end.
            self.assertEqual(child.ended(), 120 if "Own" in text and not self.python2 else 4, text)

    def test_a_host_that_holds_the_lock(self):
        self.plain()
        if self.host.name.startswith("pypy"):
            self.skipTest("it has no PyDLL")
        child = self.fresh(welcome={"heartbeat": 0.05})
        number = child.started("import ctypes\nctypes.PyDLL(None).usleep(300000)\nwhile True: pass")
        child.until("heartbeat")
        self.assertTrue(child.ask("interrupt", "interrupt_result", command=number)["ok"])
        self.assertEqual(child.end_of_command()["exception"]["type"], "KeyboardInterrupt")

    def test_a_pump_whose_host_is_not_there(self):
        """A clear end, and neither a hang nor a loop that blocks the host."""
        gone = [("timer", b"no pump of that name is known"), ("maya", b"maya.cmds is not loaded"), ("tkinter", b"not loaded")]
        if self.host.name == "blender":
            gone = [("blender", b"Blender runs in the background")]
        for pump, why in gone:
            child = self.fresh(hello=False)
            child.accept()
            self.assertRaises(Closed, child.shake_hands, {"pump": pump})
            child.stderr.wait_for(b'the recipe\'s pump is "%s", but ' % pump.encode())
            child.stderr.wait_for(why)
            self.assertEqual(child.ended(), 72)


class Commands(Case):
    def test_values(self):
        child = self.child
        self.assertEqual(child.run("a = 1")["value"], None)
        self.assertEqual(child.run("a + 1", False)["value"], None)
        self.assertEqual(child.value("b = a + 1\nb * 10"), "20")
        self.assertEqual(child.value("_ + 1"), "21")
        self.assertEqual(child.value("None"), None)
        self.assertEqual(child.value("''"), "''")
        self.assertEqual(child.value("if a:\n    a\n"), None)
        self.assertEqual(child.value("# nothing\n"), None)
        self.assertEqual(child.value("from __future__ import division\n1 / 2"), "0.5")
        if self.python2:
            self.assertEqual(child.value("print 'no future leaked', \n1 / 2"), "0")

    def test_one_namespace(self):
        child = self.child
        child.run("import math\ndef half(x): return math.floor(x / 2.0)\nclass Thing(object): pass")
        child.run("def quarter(x): return half(half(x))")
        self.assertEqual(child.value("int(quarter(9))"), "2")
        self.assertEqual(child.value("[int(half(x)) for x in (2, 4)]"), "[1, 2]")
        self.assertEqual(child.value("__name__"), "'__main__'")
        self.assertEqual(child.value("import pickle; type(pickle.loads(pickle.dumps(Thing()))) is Thing"), "True")

    def test_main_thread(self):
        self.assertEqual(self.child.value("import threading; type(threading.current_thread()).__name__"), "'_MainThread'")

    def test_unicode(self):
        child = self.child
        self.assertEqual(child.value(u"len(u'\xe4\u20ac')"), "2")
        self.assertEqual(child.value(u"# -*- coding: latin-1 -*-\nlen(u'\xe4\u20ac')"), "2")
        self.assertEqual(child.run(u"print(u'\xe4\u20ac')")["type"], "finished")
        if self.host.name != "gdb":
            child.stdout.wait_for(u"\xe4\u20ac\n".encode("utf-8"))
        if not self.python2 and self.host.name != "gdb":  # whose own stdout refuses these, and is left as it is
            self.assertEqual(child.value(u"'\xe4\u20ac'"), u"'\xe4\u20ac'")
            self.assertEqual(child.run("print('\\ud800')")["type"], "finished")

    def test_surrogates_are_not_malformed_json(self):
        child = self.child
        error = child.error("raise ValueError(u'bad \\ud800 end')")
        self.assertIn("end", error["message"])
        child.value("type('T', (object,), {'__repr__': lambda s: 'x\\ud800y'})()")
        child.start("import childminder; childminder.status(u'\\ud800')")
        self.assertIn("d800", child.until("status")["text"])
        child.until("finished")

    def test_null_byte_and_bad_source(self):
        for source in ("a = 1\0", "if", "(" * 300 + ")" * 300, "\ud800", "  x"):
            self.assertIn(self.child.run(source)["type"], ("raised",) if source[0] != "(" else ("raised", "finished"))
        self.assertEqual(self.child.value("1"), "1")

    def test_ten_mebibytes(self):
        child = self.child
        big = "x" * (10 * 1024 * 1024)
        self.assertEqual(child.value("len('%s')" % big), str(len(big)))
        child.send(type="execute", id=1, source="len('%s')" % big, phase="item", item=None, value=True)
        self.assertEqual(child.ask("ping", "pong")["type"], "pong")
        child.until("finished") if not any(m["type"] == "finished" for m in child.passed) else None

    def test_huge_value_is_cut(self):
        child = self.child
        ended = child.run("'%s' * (100 * 1024 * 1024)" % "v", True)
        self.assertEqual(ended["cut"], 100 * 1024 * 1024 + 2)
        self.assertEqual(ended["value"], "'" + "v" * 65535)
        child.run("_ = None")
        ended = child.run(u"u'\u20ac' * 100000" if not self.python2 else "'e' * 100000", True)
        self.assertLessEqual(len(ended["value"].encode("utf-8")), 65536)
        self.assertEqual(ended["cut"], 100002)

    def test_order(self):
        child = self.child
        numbers = [child.start("order = %d" % index) for index in range(200)]
        seen = [child.receive() for _ in range(400)]
        self.assertEqual([m["id"] for m in seen if m["type"] == "finished"], numbers)
        self.assertEqual([m["type"] for m in seen], ["started", "finished"] * 200)
        self.assertEqual(child.value("order"), "199")

    def test_repr_that_fails(self):
        child = self.child
        child.run("class Bad(object):\n    def __repr__(self): raise ValueError('no repr')\nbad = Bad()")
        self.assertRegex(child.value("bad"), "^<repr failed: ValueError: no repr>$")
        child.run("class Leaves(object):\n    def __repr__(self): raise SystemExit(3)")
        self.assertRegex(child.value("Leaves()"), "^<repr failed: SystemExit")
        child.run("class Deep(object):\n    def __repr__(self): return repr(self)")
        self.assertRegex(child.value("Deep()"), "^<repr failed: R")

    def test_unknown_messages_are_skipped(self):
        child = self.child
        child.send(type="from the future", id=3)
        self.assertEqual(child.value("5"), "5")

    def test_echo(self):
        child = self.fresh(welcome={"echo": True}, env={"CHILDMINDER_PROMPT": "somePy> "})
        child.run("pass # echoed")
        child.stdout.wait_for(b"somePy> pass # echoed\n")
        # "started" is then not held back for what follows: the kernel has sent all of it when the command looks.
        child.run("import fcntl, os, struct\ndef unsent(fd, not_sent=0x894b):\n"
                  "    try: return struct.unpack('i', fcntl.ioctl(fd, not_sent, b'\\0' * 4))[0]\n"
                  "    except EnvironmentError: return 0\n"
                  "fds = [fd for fd in range(3, 1000) if os.path.exists('/proc/self/fd/%d' % fd)]\n"
                  "sockets = [fd for fd in fds if os.readlink('/proc/self/fd/%d' % fd).startswith('socket:')]")
        self.assertEqual(child.value("(len(sockets) > 0, sum(map(unsent, sockets)))"), "(True, 0)")


class Errors(Case):
    def test_frames_locals_and_chain(self):
        error = self.child.error("def outer(x):\n    inner = [x]\n    return {}['missing']\n\nouter(5)")
        self.assertEqual((error["type"], error["message"]), ("KeyError", "'missing'"))
        self.assertEqual(error["module"], "exceptions" if self.python2 else "builtins")
        name = "<command %d>" % self.child.number
        first, last = error["frames"]
        self.assertEqual((first["file"], first["line"], first["function"], first["source"]), (name, 5, "<module>", "outer(5)"))
        self.assertEqual((last["line"], last["function"], last["source"]), (3, "outer", "return {}['missing']"))
        self.assertEqual(last["locals"], {"x": "5", "inner": "[5]"})
        self.assertIn("Traceback", error["text"])
        self.assertNotIn("child_bootstrapper", error["text"])
        self.assertIn("return {}['missing']", error["text"])
        self.assertFalse(error["cut"])
        if not self.python2:
            error = self.child.error("try:\n    1/0\nexcept Exception as e:\n    raise ValueError('second') from e")
            self.assertEqual((error["type"], error["cause"]["type"], error["context"]), ("ValueError", "ZeroDivisionError", None))
            self.assertEqual(error["cause"]["frames"][0]["source"], "1/0")
            error = self.child.error("try:\n    1/0\nexcept Exception:\n    {}[1]")
            self.assertEqual((error["type"], error["cause"], error["context"]["type"]), ("KeyError", None, "ZeroDivisionError"))

    def test_cycle_and_long_chain(self):
        if self.python2:
            self.skipTest("Python 2 has no chains")
        error = self.child.error("a, b = ValueError('a'), ValueError('b')\na.__cause__, b.__cause__ = b, a\nraise a")
        self.assertEqual(error["cause"]["message"], "b")
        self.assertIsNone(error["cause"]["cause"])
        error = self.child.error("last = None\nfor n in range(100):\n    e = ValueError(n)\n    e.__cause__ = last\n    last = e\nraise last")
        depth = 0
        while error:
            error, depth = error["cause"], depth + 1
        self.assertEqual(depth, 21)

    def test_group_and_notes(self):
        if self.host.version < (3, 11):
            self.skipTest("groups are of 3.11")
        error = self.child.error("e = ExceptionGroup('g', [ValueError(n) for n in range(30)])\ne.add_note('noted')\nraise e")
        self.assertEqual((error["type"], len(error["group"]), error["notes"]), ("ExceptionGroup", 20, ["noted"]))
        self.assertEqual(error["group"][1]["message"], "1")
        error = self.child.error("e = ValueError(1)\nfor n in range(15): e = ExceptionGroup('g', [e] * 15)\nraise e")
        self.assertTrue(error["cut"])

    def test_syntax_error(self):
        error = self.child.error("a = 1\nb = = 2\n")
        frame = error["frames"][-1]
        self.assertEqual(error["type"], "SyntaxError")
        self.assertEqual((frame["file"], frame["line"], frame["source"]), ("<command %d>" % self.child.number, 2, "b = = 2"))
        self.assertEqual(error["frames"][:-1], [])

    def test_exits(self):
        for source, code in (("raise SystemExit", 0), ("raise SystemExit(3)", 3), ("import sys; sys.exit('words')", 1),
                             ("raise SystemExit(10 ** 30)", 10 ** 30 & 0xff)):
            ended = self.child.run(source)
            self.assertEqual((ended["type"], ended["exit"], ended["exception"]["type"]), ("raised", code, "SystemExit"))
        for source in ("raise KeyboardInterrupt", "raise GeneratorExit", "raise MemoryError", "1/0"):
            self.assertEqual((self.child.run(source)["type"], self.child.run(source)["exit"]), ("raised", None))
        self.assertEqual(self.child.value("1"), "1")

    def test_recursion(self):
        error = self.child.error("def down(n):\n    return down(n + 1)\ndown(0)")
        self.assertEqual(error["type"], "RuntimeError" if self.python2 else "RecursionError")
        self.assertLessEqual(len(error["frames"]), 200)
        self.assertEqual(error["frames"][0]["source"], "down(0)")
        self.assertTrue(error["cut"])

    def test_exceptions_that_fail(self):
        child = self.child
        error = child.error("class Mean(Exception):\n    def __str__(self): raise ValueError('mean')\n    __repr__ = __str__\n"
                            "def f():\n    m = Mean()\n    raise m\nf()")
        self.assertRegex(error["message"], "<str failed: ValueError: mean>")
        self.assertRegex(error["frames"][-1]["locals"]["m"], "<repr failed: ValueError: mean>")
        if self.python2:
            error = child.error("class Old: pass\nraise Old()")
            self.assertEqual(error["type"], "Old")
            self.assertEqual(child.error(u"raise ValueError(u'\xe4')")["message"], u"\xe4")

    def test_bounds(self):
        child = self.child
        child.run("def f(n):\n    big = 'x' * 100000\n    if n: return f(n - 1)\n"
                  "    many = dict((i, i) for i in range(10 ** 6))\n    raise ValueError('m' * 10 ** 7)\n")
        ended = child.run("f(150)")
        error = ended["exception"]
        self.assertLessEqual(ended["frame_bytes"], 1048576 + 1000)
        self.assertLessEqual(len(error["message"]), 65536)
        self.assertTrue(error["cut"])
        for name, text in error["frames"][-1]["locals"].items():
            self.assertLessEqual(len(text), 1024, name)
        child.run("src = 'def g():\\n' + ''.join('    v%d = u\"\\\\u20ac\" * 2000\\n' % i for i in range(300)) + '    g()'\nexec(src)")
        ended = child.run("g()")
        self.assertLessEqual(ended["frame_bytes"], 1048576)
        self.assertTrue(ended["exception"]["cut"])
        self.assertLessEqual(len(ended["exception"]["frames"][-1]["locals"] or {}), 50)

    def test_small_limit(self):
        child = self.fresh(welcome={"exception_limit": 2000, "value_limit": 10})
        ended = child.run("def f(n):\n    x = 'y' * 500\n    if n: f(n - 1)\n    raise ValueError('z' * 5000)\nf(50)")
        self.assertLessEqual(ended["frame_bytes"], 2000)
        self.assertEqual(ended["exception"]["type"], "ValueError")
        self.assertEqual(len(child.value("'abc' * 100")), 10)

    def test_thread_exception(self):
        child = self.child
        if "thread_exception" not in child.hello["features"]:
            self.assertLess(self.host.version, (3, 8))
            self.skipTest("threading.excepthook is of 3.8")
        child.start("import threading\ndef worker():\n    raise ValueError('in thread')\n"
                    "t = threading.Thread(target=worker, name='worker 7'); t.start(); t.join()")
        message = child.until("thread_exception")
        self.assertEqual((message["thread"], message["exception"]["message"]), ("worker 7", "in thread"))
        self.assertEqual(message["exception"]["frames"][-1]["function"], "worker")
        child.until("finished")
        if self.host.name != "gdb":
            child.stderr.wait_for(b"in thread")

    def test_source_of_an_older_command(self):
        child = self.child
        child.run("def older():\n    raise ValueError('older')  # this line")
        self.assertIn("# this line", child.error("older()")["text"])


class Busy(Case):
    def busy(self, source="time.sleep(%d)" % LIMIT):
        self.child.run("import time")
        return self.child.started(source)

    def interrupt(self, number):
        return self.child.ask("interrupt", "interrupt_result", command=number)

    def test_interrupt(self):
        number = self.busy()
        self.assertEqual(self.child.ask("ping", "pong")["command"], number)
        result = self.interrupt(number)
        self.assertTrue(result["ok"], result)
        ended = self.child.until("raised")
        self.assertEqual((ended["id"], ended["exception"]["type"], ended["exit"]), (number, "KeyboardInterrupt", None))
        self.assertEqual(self.child.ask("ping", "pong")["command"], None)

    def assert_nothing_of_ours(self, error, *sources):
        self.assertEqual([frame["source"] for frame in error["frames"]], list(sources))
        for trace in ("child_bootstrapper.py", "on_sigint", "signum"):
            self.assertNotIn(trace, json.dumps(error))
        for source in sources:
            self.assertIn(source, error["text"])
        self.assertTrue(error["text"].startswith("Traceback (most recent call last):\n"), error["text"])

    def test_an_interrupt_shows_where_user_code_was(self):
        number = self.busy("def nap():\n    time.sleep(%d)\nnap()" % LIMIT)
        self.interrupt(number)
        error = self.child.until("raised")["exception"]
        self.assert_nothing_of_ours(error, "nap()", "time.sleep(%d)" % LIMIT)
        number = self.busy("try:\n    time.sleep(%d)\nexcept KeyboardInterrupt:\n    raise ValueError('late')" % LIMIT)
        self.interrupt(number)
        error = self.child.until("raised")["exception"]
        self.assertEqual(error["type"], "ValueError")
        self.assert_nothing_of_ours(error, "raise ValueError('late')")
        if not self.python2:
            self.assertEqual([frame["source"] for frame in error["context"]["frames"]], ["time.sleep(%d)" % LIMIT])

    def test_what_the_user_module_refuses_shows_the_call(self):
        child = self.child
        child.run("import childminder")
        for source in ("childminder.progress('much')", "childminder.progress(float('nan'))"):
            self.assert_nothing_of_ours(child.error(source), source)
        child.run("class Mute(object):\n    def __str__(self): raise ValueError('mute')")
        self.assert_nothing_of_ours(child.error("childminder.status(Mute())"),
                                    "childminder.status(Mute())", "def __str__(self): raise ValueError('mute')")

    def test_interrupt_twice(self):
        number = self.busy("try:\n    time.sleep(%d)\nexcept KeyboardInterrupt:\n    import childminder; "
                           "childminder.status('once')\n    time.sleep(%d)" % (LIMIT, LIMIT))
        self.assertTrue(self.interrupt(number)["ok"])
        if not any(m["type"] == "status" for m in self.child.passed):
            self.child.until("status")
        self.assertTrue(self.interrupt(number)["ok"])
        self.assertEqual(self.child.until("raised")["exception"]["type"], "KeyboardInterrupt")

    def test_interrupt_of_an_ended_command_is_refused(self):
        self.child.run("pass")
        result = self.interrupt(self.child.number)
        self.assertFalse(result["ok"])
        self.assertIn("not running", result["reason"])
        number = self.busy()
        self.assertFalse(self.interrupt(number - 1)["ok"])
        self.assertTrue(self.interrupt(number)["ok"])
        self.child.until("raised")

    def test_interrupts_never_hit_the_loop(self):
        """Signals from outside, at any moment: commands end one way or the other, the child lives."""
        child, pid = self.child, self.child.hello["pid"]
        for _ in range(300):
            child.start("import childminder; childminder.progress(0.5)")
            os.kill(pid, signal.SIGINT)
            self.assertIn(child.until("finished", "raised")["type"], ("finished", "raised"))
            os.kill(pid, signal.SIGINT)
        self.assertEqual(child.value("1"), "1")

    def test_interrupt_of_a_slow_repr(self):
        self.child.run("class Slow(object):\n    def __repr__(self): time.sleep(%d)\nimport time" % LIMIT)
        number = self.child.started("Slow()", True)
        self.assertTrue(self.interrupt(number)["ok"])
        self.assertEqual(self.child.until("finished", "raised")["type"], "raised")
        number = self.child.started("def f():\n    a = Slow()\n    b = Slow()\n    raise ValueError('slow')\nf()")
        self.assertTrue(self.interrupt(number)["ok"])
        error = self.child.until("finished", "raised")["exception"]
        self.assertEqual(error["type"], "ValueError")
        # Met before the first __repr__, the interrupt spares us all of them.
        self.assertRegex(str(error["frames"][-1]["locals"]), "interrupted|skipped|^None$")

    def test_a_signal_that_meets_our_code_is_sent_again(self):
        child = self.child
        child.run("import childminder")
        number = child.started("while True: childminder.progress(0.1)")
        self.assertTrue(self.interrupt(number)["ok"])
        self.assertEqual(child.until("raised")["id"], number)

    def test_sigint_while_idle_is_ignored(self):
        child = self.child
        child.value("1")
        os.kill(child.hello["pid"], signal.SIGINT)
        self.assertEqual(child.value("2"), "2")

    def test_stacks(self):
        child = self.child
        child.run("import time\ndef deep(n):\n    mark = n\n    deep(n - 1) if n else time.sleep(%d)" % LIMIT)
        number = child.started("deep(3)")
        for with_locals in (False, True):
            main = child.ask("stacks", "stacks", locals=with_locals)["threads"][0]
            self.assertTrue(main["main"])
            self.assertEqual([frame["function"] for frame in main["frames"]], ["<module>"] + ["deep"] * 4)
            self.assertEqual(main["frames"][0]["source"], "deep(3)")
            self.assertEqual(main["frames"][2]["locals"], {"n": "2", "mark": "2"} if with_locals else None)
        names = [thread["name"] for thread in child.ask("stacks", "stacks", locals=False)["threads"]]
        self.assertIn("childminder", names)
        self.interrupt(number)
        child.until("raised")
        self.assertTrue(child.ask("stacks", "stacks", locals=True)["threads"])

    def test_locals_of_stacks_run_nothing_of_the_users(self):
        child = self.fresh()
        child.run("import os, time\nclass Odd(object):\n    def __repr__(self): os._exit(3)\n    __len__ = __hash__ = __repr__\n"
                  "def wait():\n    odd, nested, large = Odd(), {'a': [Odd(), 1.5]}, bytearray(10 ** 7)\n    time.sleep(%d)"
                  % LIMIT)
        child.started("wait()")
        main = child.ask("stacks", "stacks", locals=True)["threads"][0]
        self.assertEqual(main["frames"][-1]["locals"], {
            "odd": "<Odd object>", "nested": "{'a': [<Odd object>, 1.5]}", "large": "<bytearray of 10000000>"})

    def test_stack_file(self):
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        path = os.path.join(folder, "stacks")
        child = self.fresh(env={"CHILDMINDER_STACK_FILE": path})
        if self.python2:
            self.assertNotIn("SIGUSR1", child.hello["signals"])
            return
        self.assertEqual(child.hello["signals"]["SIGUSR1"], "stacks")
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        child.started("import time; time.sleep(%d)" % LIMIT)
        limit = time.monotonic() + LIMIT
        with open(path, "rb") as stacks:
            seen = stacks.read()
            while b"<command 1>" not in seen:  # the first may come before the command has its frame
                self.assertLess(time.monotonic(), limit, seen)
                os.kill(child.process.pid, signal.SIGUSR1)
                seen += stacks.read()

    def test_completions(self):
        child = self.child
        child.run("import math\nlonely_name = {}")
        for busy in (False, True):
            number = self.busy() if busy else None
            found = child.ask("complete", "completions", text="x = lonely_n")
            self.assertEqual((found["start"], [m.rstrip("( ") for m in found["matches"]]), (4, ["lonely_name"]))
            found = child.ask("complete", "completions", text="math.flo")
            self.assertEqual((found["start"], [m.rstrip("()") for m in found["matches"]]), (0, ["math.floor"]))
            self.assertEqual(child.ask("complete", "completions", text="")["matches"], [])
            self.assertEqual(child.ask("complete", "completions", text="nothing.at.all")["matches"], [])
            self.assertEqual(child.ask("complete", "completions", text=u"'\xe4' + lonely_")["start"], 6)
            if busy:
                self.interrupt(number)
                child.until("raised")
        child.run("class Many(object): pass\nmany = Many()\nfor n in range(500): setattr(many, 'a%03d' % n, n)")
        self.assertEqual(len(child.ask("complete", "completions", text="many.a")["matches"]), 200)

    CHECKS = (
        ("", "complete"), ("x = 1", "complete"), ("x = 1\ny = 2", "complete"), ("# only", "complete"),
        ("if x:", "incomplete"), ("if x:\n    y = 1", "incomplete"), ("if x:\n    y = 1\n", "complete"),
        ("if x:\n    y = 1\n    ", "complete"), ("if x:\n    y = 1\nz = 2", "complete"),
        ("for i in x: pass", "incomplete"), ("for i in x: pass\n", "complete"),
        ("def f():", "incomplete"), ("def f():\n    return (", "incomplete"), ("class A(object):\n", "incomplete"),
        ("@decorated", "incomplete"), ("@decorated\n", "incomplete"), ("@decorated\ndef f(): pass\n", "complete"),
        ("@decorated\ndef f():", "incomplete"),
        ("f(", "incomplete"), ("f(1,\n  2", "incomplete"), ("[1, {2: 3}", "incomplete"), ("f(1,\n  2)", "complete"),
        ("'''abc", "incomplete"), ('x = """abc\ndef', "incomplete"), ("'''abc'''", "complete"), ("x = 1 + \\", "incomplete"),
        ("try:\n    x = 1\n", "incomplete"), ("try:\n    x = 1\nexcept E:\n    pass\n", "complete"),
        ("if x:\n    y = 1\nelse:", "incomplete"), ("a = 1\nif x:", "incomplete"),
        ("x = = 1", "invalid"), (")", "invalid"), ("x = (1]", "invalid"), ("'abc", "invalid"), ("a = 1\n  b = 2", "invalid"),
        ("if x:\ny = 1", "invalid"), ("return 1", "invalid"), ("a\0b", "invalid"),
        ("# coding: latin-1\nx = 1", "complete"), (u"x = u'\xe4'", "complete"), ("x is 1", "complete"),
    )

    def test_check(self):
        child, wrong = self.child, []
        for source, state in self.CHECKS:
            answer = child.ask("check", "checked", source=source)
            if answer["state"] != state or (state == "invalid") != bool(answer["message"]):
                wrong.append((source, answer["state"], state, answer["message"]))
        self.assertEqual(wrong, [])

    def test_heartbeats_only_while_busy(self):
        child = self.fresh(welcome={"heartbeat": 0.05})
        child.run("import time")
        number = child.started("time.sleep(0.6)")
        child.until("finished")
        self.assertGreaterEqual(len(child.heartbeats), 4)
        self.assertTrue(all(beat["id"] == number for beat in child.heartbeats))
        elapsed = [beat["elapsed"] for beat in child.heartbeats]
        self.assertEqual(elapsed, sorted(elapsed))

    def test_idle_wakes_nobody(self):
        child = self.fresh(welcome={"heartbeat": 0.05})
        child.run("import time; time.sleep(0.3)")
        pid = child.process.pid

        def switches():
            counts = {}
            for task in os.listdir("/proc/%d/task" % pid):
                with open("/proc/%d/task/%s/status" % (pid, task)) as status:
                    counts[task] = re.findall(r"voluntary_ctxt_switches:\s+(\d+)", status.read())
            return counts

        # Parked within a moment; then nothing moves for a whole second.
        limit, before, since = time.monotonic() + LIMIT, None, 0.0
        while True:
            now = switches()
            if now != before:
                before, since = now, time.monotonic()
            if time.monotonic() - since > 1.0:
                return
            self.assertLess(time.monotonic(), limit)
            select.select([], [], [], 0.1)


class Ladder(Case):
    """Ways to end a command that does not end by itself."""

    def begin(self, source):
        self.child.run("import childminder, signal, sys, threading, time\nours = signal.getsignal(signal.SIGINT)")
        return self.child.started(source)

    def ask(self, kind, number, **more):
        return self.child.ask(kind, "interrupt_result", command=number, **more)

    def hears(self, *texts):
        """These statuses, of which some may have come before the answer that was just waited for."""
        early = [message["text"] for message in self.child.passed if message["type"] == "status"]
        while len(early) < len(texts):
            early.append(self.child.until("status")["text"])
        self.assertEqual(early, list(texts))

    def cancelled(self, number):
        result = self.ask("raise", number)
        self.assertTrue(result["ok"], result)
        ended = self.child.end_of_command()
        self.assertEqual((ended["id"], ended["type"]), (number, "raised"))
        self.assertEqual((ended["exception"]["module"], ended["exception"]["type"]), ("childminder", "Cancelled"))
        return ended["exception"]

    def asynchronous(self):
        if "raise:async" not in self.child.hello["features"]:
            self.assertIn("pypy", self.host.name)
            self.skipTest("this Python has no asynchronous exceptions")

    def test_raise_ends_what_catches_interrupts(self):
        number = self.begin("while True:\n    try:\n        childminder.status('in it')\n        time.sleep(%d)\n"
                            "    except KeyboardInterrupt: childminder.status('caught')" % LIMIT)
        self.assertEqual(self.child.until("status")["text"], "in it")
        for _ in range(3):
            self.assertTrue(self.ask("interrupt", number)["ok"])
            self.hears("caught", "in it")
        error = self.cancelled(number)
        self.assertEqual(len(error["frames"]), 1)
        self.assertNotIn("child_bootstrapper", json.dumps(error))
        self.assertIn("Cancelled", error["text"])

    EVERYTHING_CAUGHT = ("for n in range(5):\n    try:\n        childminder.status('in it')\n        while True: %s\n"
                         "    except: childminder.status('%%d %%s' %% (n, sys.exc_info()[0].__name__))")

    def assert_once_each(self, source):
        number = self.begin(source)
        self.assertEqual(self.child.until("status")["text"], "in it")
        for n in range(5):
            self.assertTrue(self.ask("raise", number)["ok"])
            self.hears("%d Cancelled" % n, *["in it"][n // 4:])
        self.assertEqual(self.child.end_of_command()["type"], "finished")

    def test_raise_comes_once_each_time_it_is_asked(self):
        self.assert_once_each(self.EVERYTHING_CAUGHT % ("time.sleep(%d)" % LIMIT))
        self.assert_once_each(self.EVERYTHING_CAUGHT % "pass")

    def test_raise_comes_once_also_where_signals_do_not_get_through(self):
        self.asynchronous()
        self.assert_once_each("signal.signal(signal.SIGINT, signal.SIG_IGN)\n" + self.EVERYTHING_CAUGHT % "pass")
        self.child.run("signal.signal(signal.SIGINT, ours)")
        if not self.python2:
            self.assert_once_each("signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])\n" + self.EVERYTHING_CAUGHT % "pass")
            # What was blocked is not raised in a later command that lets it through.
            self.assertEqual(self.child.value("signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])\n"
                                              "for n in range(1000): pass\n6 * 7"), "42")

    def test_raise_ends_waits(self):
        waits = ["import socket\na, b = socket.socketpair()\na.recv(1)", "import os\nr, w = os.pipe()\nos.read(r, 1)"]
        if not self.python2:  # where a lock cannot be interrupted
            waits += ["lock = threading.Lock()\nlock.acquire()\nlock.acquire()", "threading.Event().wait()"]
        for wait in waits:
            self.cancelled(self.begin(wait))

    def test_raise_of_an_ended_command_is_refused(self):
        self.child.run("pass")
        self.assertIn("not running", self.ask("raise", self.child.number)["reason"])
        number = self.begin("time.sleep(%d)" % LIMIT)
        self.assertFalse(self.ask("raise", number - 1)["ok"])
        self.cancelled(number)

    def test_raise_of_a_slow_repr(self):
        self.child.run("class Slow(object):\n    def __repr__(self): time.sleep(%d)\nimport time" % LIMIT)
        number = self.child.started("Slow()", True)
        self.cancelled(number)

    def race(self, command, rounds):
        """Commands that end about when they are ended: longer after one that was too short, shorter after the others."""
        child, outcomes, seconds = self.child, set(), 0.03
        for n in range(rounds):
            number = child.start(command % seconds)
            child.send(type="raise", id=n, command=number)
            result = child.until("interrupt_result")
            ended = child.end_of_command()
            self.assertEqual((result["id"], ended["id"]), (n, number))
            self.assertTrue(result["ok"] or "not running" in result["reason"], result)
            if ended["type"] == "raised":
                self.assertEqual(ended["exception"]["type"], "Cancelled")
                self.assertTrue(result["ok"])
            outcomes.add((result["ok"], ended["type"]))
            seconds = min(0.2, seconds) * (0.9 if ended["type"] == "raised" else 1.1)
            self.assertEqual(child.value("6 * 7"), "42")
        return outcomes

    RACER = ("end = time.time() + %f\nwhile time.time() < end:\n    childminder.progress(0.5)\n"
             "    for n in range(2000): time.time()")

    def test_raise_never_hits_the_loop(self):
        self.begin("pass")
        self.child.until("finished")
        self.assertIn((True, "raised"), self.race(self.RACER, 200))
        if "raise:async" in self.child.hello["features"]:
            self.addCleanup(self.child.run, "signal.signal(signal.SIGINT, ours)")
            self.child.run("signal.signal(signal.SIGINT, signal.SIG_IGN)")
            self.assertIn((True, "raised"), self.race(self.RACER, 100))
            self.child.run("signal.signal(signal.SIGINT, ours)")
        self.assertEqual(self.child.run("for n in range(100000): pass")["type"], "finished")
        self.cancelled(self.begin("time.sleep(%d)" % LIMIT))

    def test_raise_that_meets_our_own_code_comes_afterwards(self):
        self.cancelled(self.begin("while True: childminder.progress(0.1)"))
        self.asynchronous()
        for _ in range(20):
            self.cancelled(self.begin("signal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: childminder.progress(0.1)"))
            self.child.run("signal.signal(signal.SIGINT, ours)")

    def test_raise_where_signals_are_not_ours(self):
        self.plain()
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        wrapper = os.path.join(folder, "host.py")
        with open(wrapper, "w") as script:
            script.write("import sys, threading\nsys.path.insert(0, %r)\ndef work():\n    import child_bootstrapper\n"
                         "t = threading.Thread(target=work); t.start(); t.join()\n" % os.path.dirname(BOOT))
        if self.python2:
            self.skipTest("there a thread cannot import while the main script is imported")
        child = self.fresh(boot=wrapper)
        features = child.hello["features"]
        self.assertNotIn("interrupt", features)
        self.assertEqual("raise" in features, "raise:async" in features)
        number = child.started("while True: pass")
        result = child.ask("raise", "interrupt_result", command=number)
        self.assertEqual(result["ok"], "raise" in features)
        if result["ok"]:
            self.assertEqual(child.until("raised")["exception"]["type"], "Cancelled")
            self.assertEqual(child.value("6 * 7"), "42")

    def test_cancel(self):
        number = self.begin("stop = []\nwhile not stop: time.sleep(0.01)")
        self.assertFalse(self.ask("cancel", number - 1, source="stop.append(1)")["ok"])
        self.assertIn("not running", self.ask("cancel", number - 1, source="stop.append(1)")["reason"])
        result = self.ask("cancel", number, source="1 / 0")
        self.assertFalse(result["ok"])
        self.assertRegex(result["reason"], "^ZeroDivisionError: ")
        self.assertRegex(self.ask("cancel", number, source="if")["reason"], "^SyntaxError: ")
        self.assertEqual(self.ask("cancel", number, source="leaked = childminder.status\nstop.append(leaked)"),
                         {"type": "interrupt_result", "id": 900, "ok": True, "reason": ""})
        self.assertEqual(self.child.end_of_command()["type"], "finished")
        self.assertEqual(self.child.value("'leaked' in globals()"), "False")

    def test_cancel_that_hangs(self):
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        boot = os.path.join(folder, "boot.py")
        with open(BOOT) as source, open(boot, "w") as copy:
            text = source.read()
            assert text.count("CANCEL_SECONDS = 5.0") == 1
            copy.write(text.replace("CANCEL_SECONDS = 5.0", "CANCEL_SECONDS = 0.1"))
        child = self.fresh(boot=boot)
        child.run("import threading, time")
        number = child.started("time.sleep(%d)" % LIMIT)
        result = child.ask("cancel", "interrupt_result", command=number, source="import time; time.sleep(%d)" % LIMIT)
        self.assertIn("has not returned after 0.1 s", result["reason"])
        self.assertTrue(child.ask("interrupt", "interrupt_result", command=number)["ok"])
        self.assertEqual(child.until("raised")["exception"]["type"], "KeyboardInterrupt")

    def test_host_sigint(self):
        source = "import childminder; childminder.host_sigint()"
        if "host_sigint" in self.child.hello["features"]:
            self.assertEqual(self.child.run(source)["type"], "finished")
        else:
            self.assertEqual(self.child.error(source)["message"], "the host has no SIGINT handler of its own")

    def test_a_render_is_cancelled_as_often_as_wanted(self):
        if self.host.name != "blender":
            self.skipTest("needs a host that renders")
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        child = self.fresh()
        child.run("import bpy, os\nscene = bpy.context.scene\nscene.render.engine = 'CYCLES'\n"
                  "scene.cycles.use_denoising = scene.cycles.use_adaptive_sampling = False\n"
                  "scene.render.resolution_x, scene.render.resolution_y = 320, 180\nscene.render.resolution_percentage = 100\n"
                  "def render(samples, path):\n    scene.cycles.samples, scene.render.filepath = samples, path\n"
                  "    bpy.ops.render.render(write_still=True)\n    return os.path.exists(path)")
        path = os.path.join(folder, "%s.png")
        for turn in range(3):
            number = child.start("render(400, %r)" % (path % turn), True)
            seen = len(child.stdout.data)
            with child.stdout.changed:
                assert child.stdout.changed.wait_for(lambda: b"Sample 0/400" in child.stdout.data[seen:], LIMIT)
            for _ in range(2):
                result = child.ask("cancel", "interrupt_result", command=number,
                                   source="import childminder; childminder.host_sigint()")
                self.assertEqual(result, {"type": "interrupt_result", "id": 900, "ok": True, "reason": ""})
            self.assertEqual(child.end_of_command()["value"], "False")
            with child.stdout.changed:
                assert child.stdout.changed.wait_for(lambda: b"Cancelled" in child.stdout.data[seen:], LIMIT)
        self.assertEqual(child.value("render(4, %r)" % (path % "last")), "True")
        self.assertNotIn(b"killed", child.stdout.data)


class Beside(Case):
    """Looking in, and running something, while the main thread works."""

    def side(self, source):
        child = self.child
        child.number += 1
        child.send(type="side", id=child.number, source=source)
        return child.number

    def answer(self, source):
        number = self.side(source)
        ended = self.child.until("finished", "raised")
        self.assertEqual(ended["id"], number)
        return ended

    def end(self, number):
        self.child.ask("interrupt", "interrupt_result", command=number)
        return self.child.until("raised", "finished")

    def test_side(self):
        child = self.child
        child.run("import threading, time\nshared = [1]")
        child.value("'kept'")
        for busy in (False, True):
            number = child.started("time.sleep(%d)" % LIMIT) if busy else None
            self.assertEqual(self.answer("shared.append(2)\nbeside = len(shared)\nbeside")["value"], str(3 if busy else 2))
            self.assertEqual(self.answer("None")["value"], None)
            self.assertEqual(self.answer("type(threading.current_thread()).__name__ == '_MainThread'")["value"], "False")
            error = self.answer("def f():\n    return {}['missing']\nf()")["exception"]
            self.assertEqual((error["type"], error["frames"][-1]["source"]), ("KeyError", "return {}['missing']"))
            self.assertNotIn("child_bootstrapper", error["text"])
            self.assertEqual(self.answer("if")["exception"]["type"], "SyntaxError")
            self.assertEqual(self.answer("raise SystemExit(3)")["exit"], 3)
            if busy:
                self.assertEqual(self.end(number)["exception"]["type"], "KeyboardInterrupt")
        self.assertEqual(child.value("_"), "'kept'")
        self.assertEqual(child.value("beside"), "3")

    def test_side_commands_that_hang_hold_nothing_up(self):
        child = self.fresh(welcome={"heartbeat": 0.05})
        type(self).common, kept = child, type(self).common
        try:
            child.run("import threading, time\ngo = threading.Event()")
            hanging = [self.side("while not go.is_set(): time.sleep(0.01)\n%d" % n) for n in range(4)]
            self.assertEqual(child.value("6 * 7"), "42")
            refused = self.answer("1")["exception"]
            self.assertEqual(refused["type"], "RuntimeError")
            self.assertIn("4 side commands run already", refused["message"])
            number = child.started("while True:\n    try: time.sleep(%d)\n    except KeyboardInterrupt: pass" % LIMIT)
            self.assertEqual(child.ask("ping", "pong")["command"], number)
            self.assertEqual(child.until("heartbeat")["id"], number)
            for kind in ("interrupt", "raise"):
                self.assertTrue(child.ask(kind, "interrupt_result", command=number)["ok"])
            self.assertEqual(child.end_of_command()["id"], number)
            threads = child.ask("stacks", "stacks", locals=False)["threads"]
            beside = [thread for thread in threads if thread["name"] == "childminder side"]
            self.assertEqual([(thread["daemon"], thread["ours"]) for thread in beside], [(True, False)] * 4)
            self.assertTrue(all(thread["frames"][0]["file"].startswith("<command ") for thread in beside), beside)
            child.start("go.set()")
            ended = [child.until("finished", "raised") for _ in range(5)]
            self.assertEqual(sorted(m["id"] for m in ended if m["value"]), hanging)
            self.assertEqual(self.answer("6 * 7")["value"], "42")
        finally:
            type(self).common = kept

    def test_shutdown_though_something_hangs_beside(self):
        child = self.fresh()
        child.run("import time")
        child.send(type="side", id=50, source="while True: time.sleep(0.01)")
        child.send(type="shutdown", code=6)
        self.assertEqual(child.ended(), 6)

    def test_a_fork_beside_is_silent(self):
        child = self.fresh()
        child.run("import os, warnings; warnings.simplefilter('ignore')")
        for n, source in enumerate(("pid = os.fork()\nif pid: os.waitpid(pid, 0)\n1", "pid = os.fork()\nif not pid: raise ValueError\n1")):
            child.send(type="side", id=50 + n, source=source)
            self.assertEqual(child.until("finished", "raised")["id"], 50 + n)
            self.assertEqual((child.value("6 * 7"), child.passed), ("42", []))

    NASTY = ("ran = []\ndef run(*a, **k):\n    ran.append(1)\n    raise ValueError('ran')\n"
             "class Meta(type):\n    __name__ = property(run); __module__ = property(run); __getattribute__ = run\n"
             "Nasty = Meta('Nasty', (object,), dict([(name, property(run)) for name in ('__class__', '__dict__')] + [(name, run) for name in ('__repr__', '__str__', '__len__', '__sizeof__', "
             "'__getattribute__', '__getattr__', '__bool__', '__nonzero__', '__eq__', '__hash__', '__enter__', 'acquire', 'locked')]))\n"
             "nasty = object.__new__(Nasty)\nclass Listed(list): __len__ = __sizeof__ = run\nlisted = Listed()\n"
             "class ndarray(object): nbytes = property(run); shape = property(run)\nndarray.__module__ = 'numpy'\nfake = ndarray()\ndel ran[:]\n")

    def names(self):
        answer = self.child.ask("names", "names")
        return {info["name"]: info for info in answer["names"]}, answer

    def test_names(self):
        child = self.child
        child.run(self.NASTY + "import os\nxs = [1, 2, 3]\ntext = 'abcd'\nnumber = 5\ndef function(): pass\n")
        for busy in (False, True):
            number = child.started("import time; time.sleep(%d)" % LIMIT) if busy else None
            names, answer = self.names()
            self.assertEqual([info["name"] for info in answer["names"]], sorted(names))
            self.assertEqual(answer["more"], 0)
            kinds = {name: names[name]["kind"] for name in ("xs", "number", "function", "os", "listed", "fake")}
            self.assertEqual(kinds, {"xs": "list", "number": "int", "function": "function", "os": "module", "listed": "Listed",
                                     "fake": "numpy.ndarray"})
            self.assertEqual(names["nasty"]["kind"], "Nasty")
            self.assertEqual((names["xs"]["length"], names["text"]["length"], names["listed"]["length"]), (3, 4, None))
            self.assertEqual((names["os"]["module"], names["xs"]["module"], "__builtins__" in names), (True, False, False))
            self.assertEqual((names["listed"]["size"], names["nasty"]["size"], names["fake"]["size"]), (None, None, None))
            if "pypy" not in self.host.name:
                self.assertGreater(names["xs"]["size"], 40)
            self.assertEqual(self.answer("ran")["value"], "[]")
            if busy:
                self.end(number)
        if child.run("import numpy")["type"] == "finished":
            child.run("image = numpy.zeros((2, 3), 'float32')")
            info = self.names()[0]["image"]
            self.assertEqual((info["kind"], info["size"], info["shape"]), ("numpy.ndarray", 24, "(2, 3)"))

    def test_names_while_they_change(self):
        child = self.fresh()
        number = child.started("while True:\n    for n in range(3000): globals()['v%04d' % n] = n\n"
                               "    for n in range(3000): del globals()['v%04d' % n]")
        sizes = set()
        for _ in range(30):
            answer = child.ask("names", "names")
            self.assertLessEqual(len(answer["names"]), 1000)
            sizes.add(len(answer["names"]) + answer["more"])
        self.assertGreater(len(sizes), 1)
        child.ask("interrupt", "interrupt_result", command=number)
        child.until("raised")


LOCKS = """
import threading, time
try: import queue
except ImportError: import Queue as queue
a, free = threading.Lock(), threading.Lock()
class Thing(object):
    def __init__(self): self.__hidden = self.b = threading.RLock()
    def second(self):
        with self.__hidden:
            both.wait_for_the_other()
            a.acquire()
class Both(object):
    def __init__(self): self.count = 0
    def wait_for_the_other(self):
        self.count += 1
        while self.count < 2: time.sleep(0.001)
thing, both, event, jobs, condition = Thing(), Both(), threading.Event(), queue.Queue(), threading.Condition()
def first():
    with free: pass
    with a:
        both.wait_for_the_other()
        with free, thing.b:
            pass
def get(): jobs.get()
def wait_event(): event.wait()
def wait_condition():
    with condition:
        condition.wait()
def join(): threads['first'].join()
def by_hand():
    other = threading.Lock()
    other.acquire()
    try:
        other.acquire()
    finally:
        other.release()
def own(function):
    threads[function.__name__] = thread = threading.Thread(target=function, name=function.__name__)
    thread.daemon = True
    thread.start()
threads = {}
for function in (first, thing.second, get, wait_event, wait_condition, join, by_hand): own(function)
"""


class Locks(Case):
    def test_who_waits_for_whom(self):
        child = self.fresh()
        child.run(Beside.NASTY + LOCKS)
        child.run("def around_nasty():\n    try: a.acquire() or nasty.lock.acquire()\n    finally: nasty.release() or nasty.lock.release()\n"
                  "own(around_nasty)")
        expected = {
            "first": ("RLock", "thing.b", "second", ["a", "free"]), "second": ("Lock", "a", "first", ["self.__hidden"]),
            "get": ("Queue", "jobs", None, []), "wait_event": ("Event", "event", None, []),
            "wait_condition": ("Condition", "condition", None, []), "join": ("Thread", "", "first", []),
            "by_hand": ("Lock", "other", "by_hand", ["other"]), "around_nasty": ("Lock", "a", "first", []),
        }
        number = child.started("time.sleep(%d)" % LIMIT)
        limit, seen = time.monotonic() + LIMIT, None
        while seen != expected:  # the threads need a moment to get there
            self.assertLess(time.monotonic(), limit, seen)
            threads = {thread["name"]: thread for thread in child.ask("stacks", "stacks", locals=False)["threads"]}
            names = {thread["ident"]: name for name, thread in threads.items()}
            seen = {name: (thread["waits"]["kind"], thread["waits"]["name"], names.get(thread["waits"]["owner"]),
                           [held["name"] for held in thread["holds"]])
                    for name, thread in threads.items() if thread["waits"]}
        self.assertEqual(threads["first"]["waits"]["lock"], threads["second"]["holds"][0]["lock"])
        self.assertEqual(threads["second"]["waits"]["lock"], threads["first"]["holds"][0]["lock"])
        at = threads["second"]["holds"][0]["at"]
        self.assertEqual((at["file"], at["line"], at["function"].rsplit(".")[-1]), ("<command 1>", at["line"], "second"))
        self.assertEqual(threads["first"]["frames"][-1]["source"] if not self.python2 else "with free, thing.b:", "with free, thing.b:")
        self.assertTrue(threads["childminder"]["ours"])
        self.assertEqual([thread["ours"] for name, thread in threads.items() if name != "childminder"], [False] * (len(threads) - 1))
        if self.host.version >= (3, 8):
            self.assertEqual(threads["MainThread"]["tid"], child.hello["pid"])
        child.send(type="side", id=50, source="ran")
        self.assertEqual(child.until("finished", "raised")["value"], "[]")
        child.ask("interrupt", "interrupt_result", command=number)
        child.until("raised")

    def test_many_deep_stacks_take_bounded_time(self):
        child = self.fresh()
        child.run("import threading, time\nlock = threading.Lock()\ndef deep(n):\n    with lock if not n else threading.RLock():\n"
                  "        deep(n - 1) if n else time.sleep(%d)\n" % LIMIT)
        child.run("for n in range(20):\n    t = threading.Thread(target=deep, args=(150,)); t.daemon = True; t.start()")
        began = time.monotonic()
        self.assertEqual(len(child.ask("stacks", "stacks", locals=False)["threads"]) , 22)
        self.assertLess(time.monotonic() - began, 5)


class Output(Case):
    def available(self, pipe):
        data = b""
        while select.select([pipe], [], [], 0)[0]:
            piece = os.read(pipe.fileno(), 65536)
            if not piece:
                break
            data += piece
        return data

    def test_flushed_before_finished(self):
        child = self.fresh(drain=False)
        self.available(child.stdout)
        for source, text in (
            ("import sys; sys.stdout.write('no newline')", b"no newline"),
            ("print('a line')", b"a line\n"),
            ("import ctypes; libc = ctypes.CDLL(None); libc.printf(b'from C')", b"from C"),
            ("import os; os.write(1, b'raw') and None", b"raw"),
        ):
            ended = child.run(source)
            self.assertEqual(ended["type"], "finished", ended)
            self.assertEqual(self.available(child.stdout), text)

    def test_interrupt_that_python_did_not_notice_is_sent_again(self):
        child = self.child
        child.run("import signal, time, childminder")
        number = child.started(
            "ours = signal.getsignal(signal.SIGINT)\n"
            "signal.signal(signal.SIGINT, lambda number, frame: signal.signal(signal.SIGINT, ours))\n"
            "childminder.status('deaf')\nwhile True: time.sleep(1)")
        child.until("status")
        child.ask("interrupt", "interrupt_result", command=number)
        self.assertEqual(child.until("raised")["exception"]["type"], "KeyboardInterrupt")

    def test_lines_arrive_while_the_command_runs(self):
        child = self.child
        child.run("import time, sys")
        number = child.started("print('line now'); sys.stdout.write('half'); time.sleep(%d)" % LIMIT)
        child.stdout.wait_for(b"line now\n")
        child.stdout.wait_for(b"half")
        child.ask("interrupt", "interrupt_result", command=number)
        child.until("raised")

    def test_replaced_streams(self):
        child = self.child
        child.run("import sys, io\nkept = sys.stdout, sys.stderr")
        for replacement in ("None", "object()", "io.StringIO()", "Evil()"):
            child.run("class Evil(object):\n    def flush(self): raise SystemExit(9)\n    write = flush")
            self.assertEqual(child.run("sys.stdout = sys.stderr = %s" % replacement)["type"], "finished")
            self.assertEqual(child.value("1"), "1")
        child.run("sys.stdout, sys.stderr = kept")
        child.run("print('back again')")
        child.stdout.wait_for(b"back again\n")

    def test_closed_descriptors(self):
        child = self.fresh()
        child.run("import os\nfor fd in (0, 1, 2): os.close(fd)\nos.chdir('/')")
        self.assertEqual(child.value("1"), "1")
        child.run("f = open(os.devnull); g = open(os.devnull); h = open(os.devnull)")
        self.assertEqual(child.value("2"), "2")
        child.send(type="shutdown", code=5)
        self.assertIn(child.ended(), (5, 120))  # 120: Python's own, when it cannot flush

    def test_started_with_closed_descriptors(self):
        self.plain()
        child = self.fresh(preexec_fn=lambda: [os.close(fd) for fd in (0, 1)])
        self.assertEqual(child.value("6 * 7"), "42")
        child.run("import os\nfor fd in (0, 1, 2):\n    try: os.close(fd)\n    except OSError: pass")
        self.assertEqual(child.value("6 * 7"), "42")

    def test_one_write_per_print(self):
        if self.python2 or self.host.name in ("gdb", "blender") or not shutil.which("strace"):
            self.skipTest("needs strace; Python 2 writes the newline by itself")
        for unbuffered in ("", "1"):
            folder = tempfile.mkdtemp()
            self.addCleanup(shutil.rmtree, folder)
            trace = os.path.join(folder, "trace")

            host = Host(self.host.name, self.host.version, ["strace", "-f", "-e", "trace=write", "-o", trace] + self.host.command)
            child = Child(host, env={"PYTHONUNBUFFERED": unbuffered})
            self.addCleanup(child.close)
            child.run("for n in range(100): print('line', n)")
            child.send(type="shutdown", code=0)
            child.ended()
            with open(trace) as lines:
                writes = [line for line in lines if "write(1, " in line]
            self.assertEqual(len(writes), 100, writes[:4])


class Reports(Case):
    def test_user_module(self):
        child = self.child
        number = child.start("import childminder as c\nc.progress(0.4)\nc.progress(7)\nc.status(u'st\\xe4tus')\n"
                             "c.output('/out/a.exr')\nc.fail('x' * 10000)")
        child.until("finished")
        passed = [m for m in child.passed if m["type"] != "started"]
        self.assertEqual(passed, [
            {"type": "progress", "id": number, "fraction": 0.4}, {"type": "progress", "id": number, "fraction": 1.0},
            {"type": "status", "id": number, "text": u"st\xe4tus"}, {"type": "output", "id": number, "path": "/out/a.exr"},
            {"type": "fail", "id": number, "message": "x" * 4096}])
        self.assertEqual(child.error("c.progress(float('nan'))")["type"], "ValueError")

    def test_from_many_threads(self):
        child = self.child
        child.start("import childminder, threading\ndef many():\n    for n in range(200): childminder.status('s' * 1000)\n"
                    "ts = [threading.Thread(target=many) for n in range(4)]\n[t.start() for t in ts]\n[t.join() for t in ts] and None")
        child.until("finished")
        self.assertEqual(sum(m["type"] == "status" for m in child.passed), 800)

    def test_fork_is_silent(self):
        child = self.fresh()
        child.run("import os, sys, childminder")
        for source in ("pid = os.fork()\nif pid == 0:\n    childminder.status('forked')\n    os._exit(0)\nos.waitpid(pid, 0) and None",
                       "pid = os.fork()\nif pid == 0:\n    raise ValueError('forked')\nos.waitpid(pid, 0) and None",
                       "pid = os.fork()\nif pid:\n    os.waitpid(pid, 0)"):
            self.assertEqual(child.run(source)["type"], "finished")
            self.assertEqual(child.passed, [])
        self.assertEqual(child.value("1"), "1")

    def test_grandchild_does_not_hold_the_channel(self):
        child = self.fresh()
        self.assertEqual(child.run("import subprocess; p = subprocess.Popen(['sleep', '%d'])" % LIMIT)["type"], "finished")
        grandchild = int(child.value("p.pid"))
        try:
            os.kill(child.process.pid, signal.SIGKILL)
            self.assertRaises((Closed, ConnectionResetError), child.receive)
        finally:
            os.kill(grandchild, signal.SIGKILL)


class Ends(Case):
    def test_engine_gone_while_idle(self):
        child = self.fresh()
        child.run("1")
        child.sock.close()
        self.assertEqual(child.ended(), 70)

    def test_engine_gone_while_busy(self):
        child = self.fresh()
        child.started("import sys, time; sys.stdout.write('last words'); time.sleep(%d)" % LIMIT)
        child.sock.close()
        self.assertEqual(child.ended(), 70)
        child.stdout.wait_for(b"last words")

    def test_engine_gone_while_a_pipe_is_full(self):
        self.plain()
        child = self.fresh(drain=False)
        child.started("import sys\nwhile True: sys.stdout.write('x' * 10000)")
        child.sock.close()
        self.assertEqual(child.ended(), 70)

    def test_bad_frames(self):
        self.plain()
        for data in (b"\xff\xff\xff\xff", b"\0\0\0\2{]", b"\0\0\0\2[]", b"\0\0\0\0", b'\0\0\0\x12{"type":"execute"}'):
            child = self.fresh()
            child.sock.sendall(data)
            self.assertEqual(child.ended(), 70, data)
            child = self.fresh()
            child.started("import time; time.sleep(%d)" % LIMIT)
            child.sock.sendall(data)
            if not data.endswith(b'"execute"}'):  # that one waits for its turn
                self.assertEqual(child.ended(), 70, data)

    def test_shutdown(self):
        for code in (0, 5):
            child = self.fresh()
            child.run("import atexit, sys; atexit.register(lambda: sys.stderr.write('at exit\\n'))")
            last = child.start("last = 1")
            child.send(type="shutdown", code=code)
            self.assertEqual(child.until("finished")["id"], last)
            self.assertEqual(child.ended(), code)
            if self.host.name != "gdb":
                child.stderr.wait_for(b"at exit")

    def test_shutdown_though_threads_go_on(self):
        child = self.fresh()
        child.run("import threading, time; threading.Thread(target=time.sleep, args=(%d,)).start()" % LIMIT)
        child.send(type="shutdown", code=6)
        self.assertEqual(child.ended(), 6)

    def test_shutdown_though_the_host_swallows_it(self):
        self.plain()
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        wrapper = os.path.join(folder, "host.py")
        with open(wrapper, "w") as script:
            script.write("import sys, time\nsys.path.insert(0, %r)\ntry:\n    import child_bootstrapper\nexcept SystemExit:\n    pass\n"
                         "time.sleep(%d)\n" % (os.path.dirname(BOOT), LIMIT))
        child = self.fresh(boot=wrapper)
        self.assertEqual(child.value("__name__"), "'__main__'")
        self.assertEqual(child.value("import threading\nt = threading.Thread(target=lambda: __import__('sched'))\n"
                                     "t.start(); t.join()\n6 * 7"), "42")
        child.send(type="shutdown", code=8)
        self.assertEqual(child.ended(), 8)

    def test_what_was_the_hosts_is_given_back(self):
        self.plain()
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        wrapper = os.path.join(folder, "host.py")
        with open(wrapper, "w") as script:
            script.write("import sys, signal, __main__\nsys.path.insert(0, %r)\nbefore = signal.getsignal(signal.SIGINT)\n"
                         "try:\n    import child_bootstrapper\nexcept SystemExit:\n    pass\n"
                         "assert signal.getsignal(signal.SIGINT) is before and sys.modules['__main__'] is __main__\n"
                         "import childminder; childminder.status('harmless')\nsys.exit(9)\n" % os.path.dirname(BOOT))
        child = self.fresh(boot=wrapper)
        child.send(type="shutdown", code=0)
        self.assertEqual(child.ended(), 9)


class Display(object):
    """One virtual display for all windows of these tests."""

    process, name = None, None

    @classmethod
    def get(cls):
        if cls.process is None:
            reading, writing = os.pipe()
            cls.process = subprocess.Popen(
                ["Xvfb", "-displayfd", str(writing), "-screen", "0", "800x600x24", "-nolisten", "tcp"],
                stderr=subprocess.DEVNULL, pass_fds=[writing])
            os.close(writing)
            assert select.select([reading], [], [], LIMIT)[0], "Xvfb does not come up"
            with os.fdopen(reading) as told:
                cls.name = ":" + told.readline().strip()
        return cls.name

    @classmethod
    def close(cls):
        if cls.process is not None:
            cls.process.terminate()
            cls.process.wait(LIMIT)
            cls.process = None


class Loop(Case):
    """A host with an event loop: the application's main thread is its own between commands."""

    pump = None
    prepare = "import host, time"
    endless = ("while True: pass", "time.sleep(%d)" % LIMIT, "while True: host.spin()")
    last_words = b"the application ended by itself"

    def application(self):
        """(host, environment) of the application."""
        raise NotImplementedError

    def fresh(self, **options):
        host, env = self.application()
        child = Child(host, env=env, welcome={"pump": self.pump}, **options)
        self.addCleanup(child.close)
        return child

    @property
    def child(self):
        cls = type(self)
        if cls.common is None or cls.common.process.poll() is not None:
            host, env = self.application()
            cls.common = Child(host, env=env, welcome={"pump": self.pump, "heartbeat": 0.05})
            cls.common.run(self.prepare)
        return cls.common

    def ask(self, kind, number):
        return self.child.ask(kind, "interrupt_result", command=number)

    def until_it_ticks(self):
        """Until the application's own loop has turned some more: only questions, and each is a turn of its own."""
        before, limit = int(self.child.value("host.ticks()")), time.monotonic() + LIMIT
        while int(self.child.value("host.ticks()")) < before + 3:
            self.assertLess(time.monotonic(), limit, "the application's loop does not turn")

    def test_commands_run_on_the_main_thread_and_the_loop_turns_between_them(self):
        child = self.child
        self.assertIn("pump:" + self.pump, child.hello["features"])
        self.assertEqual([word for word in child.hello["features"] if word.startswith("pump:")], ["pump:" + self.pump])
        self.assertEqual(child.hello["signals"], {"SIGINT": "interrupt"})
        self.assertEqual(child.value("import threading; type(threading.current_thread()).__name__"), "'_MainThread'")
        self.until_it_ticks()
        error = child.error("def deep(n):\n    raise ValueError('no %d' % n)\ndeep(3)")
        self.assertEqual((error["type"], error["message"]), ("ValueError", "no 3"))
        self.assertEqual([frame["function"] for frame in error["frames"]], ["<module>", "deep"])
        self.assertNotIn("child_bootstrapper", json.dumps(error))
        self.assertEqual(child.error("raise SystemExit(3)")["type"], "SystemExit")
        self.until_it_ticks()

    def test_main_is_the_commands_while_they_run(self):
        child = self.child
        self.assertEqual(child.value("import pickle\nclass Thing(object): pass\ntype(pickle.loads(pickle.dumps(Thing()))) is Thing"),
                         "True")
        if self.host.name != "blender":
            self.assertEqual(child.value("import sys; sys.modules['__main__'] is host.main"), "False")
            self.assertEqual(child.ask("names", "names")["more"], 0)
            child.send(type="side", id=77, source="__import__('sys').modules['__main__'] is __import__('host').main")
            self.assertEqual(child.until("finished")["value"], "True")

    def test_one_command_at_a_time_though_one_runs_a_loop_of_its_own(self):
        child = self.child
        child.start("import time\norder = ['begins']\nlimit, before = time.time() + %d, host.ticks()\n"
                    "while host.ticks() < before + 5 and time.time() < limit: host.spin()\norder.append('ends')" % LIMIT)
        child.start("order.append('next')")
        child.start("order.append('last')")
        ended = [child.until("finished", "raised") for _ in range(3)]
        self.assertEqual([end["type"] for end in ended], ["finished"] * 3, ended)
        self.assertEqual(child.value("order"), "['begins', 'ends', 'next', 'last']")

    def test_interrupts(self):
        child = self.child
        for source in self.endless:
            for kind, raised in (("interrupt", "KeyboardInterrupt"), ("raise", "Cancelled")):
                number = child.started(source)
                self.assertTrue(self.ask(kind, number)["ok"])
                ended = child.end_of_command()
                self.assertEqual((ended["id"], ended["type"], ended.get("exception", {}).get("type")), (number, "raised", raised))
        for kind in ("interrupt", "raise"):
            self.assertIn("not running", self.ask(kind, number)["reason"])
        # Nor does a signal from outside reach the host's own code.
        for _ in range(5):
            os.kill(child.hello["pid"], signal.SIGINT)
            self.until_it_ticks()

    def test_heartbeats_and_answers_while_a_command_runs(self):
        child = self.child
        number = child.started("time.sleep(%d)" % LIMIT)
        self.assertEqual(child.ask("ping", "pong")["command"], number)
        child.heartbeats = []
        while len(child.heartbeats) < 3:
            child.heartbeats.append(child.until("heartbeat"))
        self.assertEqual({beat["id"] for beat in child.heartbeats}, {number})
        main = child.ask("stacks", "stacks", locals=False)["threads"][0]
        self.assertEqual((main["main"], [frame["function"] for frame in main["frames"]]), (True, ["<module>"]))
        self.assertTrue(self.ask("interrupt", number)["ok"])
        child.end_of_command()
        self.assertEqual(child.ask("ping", "pong")["command"], None)

    def test_no_thread_of_ours_wakes_while_nothing_runs(self):
        child = self.child
        if self.host.version < (3, 8) or self.host.name.startswith("pypy"):
            self.skipTest("there threads do not know the system's numbers")
        tid = child.value("import threading\n[t.native_id for t in threading.enumerate() if t.name == 'childminder'][0]")
        limit, before, since = time.monotonic() + LIMIT, None, 0.0
        while time.monotonic() - since < 0.5:
            with open("/proc/%d/task/%s/status" % (child.hello["pid"], tid)) as status:
                now = re.findall(r"voluntary_ctxt_switches:\s+(\d+)", status.read())
            if now != before:
                before, since = now, time.monotonic()
            self.assertLess(time.monotonic(), limit)
            select.select([], [], [], 0.05)
        self.assertEqual(child.value("6 * 7"), "42")

    def test_shutdown(self):
        for code in (0, 5):
            child = self.fresh()
            last = child.start("import atexit, sys\natexit.register(lambda: sys.stderr.write('at exit\\n')) and None")
            child.send(type="shutdown", code=code)
            self.assertEqual(child.until("finished", "raised")["id"], last)
            self.assertEqual(child.ended(), code)
            child.stdout.wait_for(self.last_words)
            child.stderr.wait_for(b"at exit")

    def test_engine_gone(self):
        child = self.fresh()
        child.value("6 * 7")
        child.sock.close()
        self.assertEqual(child.ended(), 70)
        child.stdout.wait_for(self.last_words)
        child = self.fresh()
        child.started("import sys, time; sys.stdout.write('last words'); time.sleep(%d)" % LIMIT)
        child.sock.close()
        self.assertEqual(child.ended(), 70)
        child.stdout.wait_for(b"last words")


class LoopOfTkinter(Loop):
    """A real program, on a virtual display."""

    pump = "tkinter"

    def application(self):
        self.plain()
        if not shutil.which("Xvfb"):
            self.skipTest("Xvfb is not installed")
        python = with_module(self.host, "Tkinter" if self.python2 else "tkinter")
        if python is None:
            self.skipTest("this Python has no tkinter")
        return Host("tkinter", self.host.version, [python, os.path.join(CHILDREN, "tk_app.py"), "{boot}"]), {"DISPLAY": Display.get()}

    def test_widgets(self):
        child = self.child
        child.run("label = host.tkinter.Label(host.root, text='made'); label.pack()")
        self.until_it_ticks()
        self.assertEqual(child.value("label['text'], bool(label.winfo_ismapped()), label.winfo_width() > 1"), "('made', True, True)")

    def test_there_is_no_root_yet(self):
        host, env = self.application()
        source = "import %s, runpy\nrunpy.run_path(%r, run_name='__main__')" % ("Tkinter" if self.python2 else "tkinter", BOOT)
        arguments = [host.command[0], "-c", source, "--port", "{port}"]
        child = Child(Host("no root", host.version, arguments, ()), env=env, hello=False)
        self.addCleanup(child.close)
        child.accept()
        self.assertRaises(Closed, child.shake_hands, {"pump": "tkinter"})
        child.stderr.wait_for(b"tkinter has no root window yet")
        self.assertEqual(child.ended(), 72)


class LoopOfQt(Loop):
    """A real application, without a display; with whichever bindings are installed."""

    pump, binding = "qt", "PySide2"

    def application(self):
        self.plain()
        python = with_module(self.host, self.binding + ".QtWidgets")
        if python is None:
            self.skipTest("this Python has no " + self.binding)
        command = [python, os.path.join(CHILDREN, "qt_app.py"), "{boot}", self.binding]
        return Host("qt", self.host.version, command), {"QT_QPA_PLATFORM": "offscreen", "QT_LOGGING_RULES": "*=false"}

    def test_widgets(self):
        child = self.child
        child.run("button = host.widgets.QPushButton('made'); button.clicked.connect(lambda: host.window.setText('clicked'))")
        child.run("button.show(); button.click()")
        self.until_it_ticks()
        self.assertEqual(child.value("(str(button.text()), str(host.window.text()), button.isVisible())"), "('made', 'clicked', True)")

    def test_a_dialog_holds_the_next_command_and_is_closed_from_beside(self):
        """No exception passes through its loop: the interrupt meets a callback there, and comes when it returns."""
        child = self.child
        child.run("dialog = host.widgets.QDialog(); shown, seen = [], []")
        number = child.started("host.core.QTimer.singleShot(0, lambda: shown.append(1))\n(dialog.exec_ if hasattr(dialog, 'exec_') else dialog.exec)()\nseen.append('closed')")
        waiting = child.start("seen.append('next')")
        shown, limit = None, time.monotonic() + LIMIT
        while shown != "[1]":
            self.assertLess(time.monotonic(), limit)
            child.send(type="side", id=9000, source="shown")
            shown = child.until("finished")["value"]
        self.assertTrue(self.ask("interrupt", number)["ok"])
        child.send(type="cancel", id=901, command=number, source=
                   "kinds = host.core.Qt if hasattr(host.core.Qt, 'QueuedConnection') else host.core.Qt.ConnectionType\n"
                   "host.core.QMetaObject.invokeMethod(dialog, 'reject', kinds.QueuedConnection)")
        ends = [child.until("finished", "raised") for _ in range(2)]
        self.assertEqual([(end["id"], end["type"]) for end in ends], [(number, "raised"), (waiting, "finished")])
        self.assertEqual(ends[0]["exception"]["type"], "KeyboardInterrupt")
        self.assertEqual(child.value("seen"), "['next']")

    def test_there_is_no_application_yet(self):
        host, env = self.application()
        source = "import %s.QtCore, runpy\nrunpy.run_path(%r, run_name='__main__')" % (self.binding, BOOT)
        child = Child(Host("no application", host.version, [host.command[0], "-c", source]), env=env, hello=False)
        self.addCleanup(child.close)
        child.accept()
        self.assertRaises(Closed, child.shake_hands, {"pump": "qt"})
        child.stderr.wait_for(b"there is no QApplication yet in " + self.binding.encode())
        self.assertEqual(child.ended(), 72)


class LoopOfPyQt5(LoopOfQt):
    binding = "PyQt5"


class LoopOfPyQt6(LoopOfQt):
    binding = "PyQt6"


class LoopOfPySide6(LoopOfQt):
    binding = "PySide6"

    def application(self):
        if self.host.version < (3, 12):
            self.skipTest("there PySide6 6.12 by itself gives back None once too often, until Python ends the process")
        return LoopOfQt.application(self)


class LoopOfBlender(Loop):
    """The real Blender with its window, on a virtual display."""

    pump = "blender"
    prepare = ("import bpy, time\nclass host(object):\n    count = 0\n    ticks = staticmethod(lambda: host.count)\n"
               "def tick():\n    host.count += 1\n    return 0.005\nbpy.app.timers.register(tick, persistent=True)")
    endless = Loop.endless[:2]
    last_words = b"Saved session recovery"  # printed when it takes its leave, whatever its exit code

    def application(self):
        if self.host.name != "blender":
            self.skipTest("needs Blender")
        if not shutil.which("Xvfb"):
            self.skipTest("Xvfb is not installed")
        command = ["blender", "--factory-startup", "--python", "{boot}", "--"]
        return Host("blender", self.host.version, command), {"DISPLAY": Display.get()}

    def test_one_command_at_a_time_though_one_runs_a_loop_of_its_own(self):
        self.skipTest("no command can have Blender's loop turn")

    def test_files_are_opened(self):
        child, folder = self.child, tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        path = os.path.join(folder, "scene.blend")
        self.assertEqual(child.value("bpy.app.background"), "False")
        child.run("bpy.context.scene.name = 'saved'\nbpy.ops.wm.save_as_mainfile(filepath=%r)" % path)
        for load_ui in (True, False):
            child.run("bpy.ops.wm.read_factory_settings()")
            self.assertEqual(child.value("bpy.context.scene.name"), "'Scene'")
            ended = child.run("bpy.ops.wm.open_mainfile(filepath=%r, load_ui=%r)" % (path, load_ui))
            self.assertEqual(ended["type"], "finished", ended)
            self.assertEqual(child.value("bpy.context.scene.name, bpy.context.window is not None"), "('saved', True)")
            self.until_it_ticks()


class LoopOfStandIns(Loop):
    """Small modules that behave as the vendor's documentation says stand in for an application that cannot be had here."""

    def application(self):
        self.plain()
        if self.pump != "maya" and self.host.version[:2] not in ((2, 7), (3, 11)):
            self.skipTest("an old and a new Python will do: the loops differ, not what they are written in")
        return self.stand_in(self.pump), {}

    def stand_in(self, kind):
        return Host("stand-in", self.host.version, [self.host.command[0], os.path.join(CHILDREN, "stand_in_app.py"), "{boot}", kind])

    def test_the_application_runs_without_its_window(self):
        self.application()
        child = Child(self.stand_in(self.pump + "-batch"), hello=False)
        self.addCleanup(child.close)
        child.accept()
        self.assertRaises(Closed, child.shake_hands, {"pump": self.pump})
        self.assertEqual(child.ended(), 72)
        child.stderr.wait_for(b"runs ")

    def test_an_application_that_does_not_leave_is_ended(self):
        self.application()
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        boot = os.path.join(folder, "boot.py")
        with open(BOOT) as source, open(boot, "w") as copy:
            text = source.read()
            assert text.count("LEAVE_SECONDS = 5.0") == 1
            copy.write(text.replace("LEAVE_SECONDS = 5.0", "LEAVE_SECONDS = 0.2"))
        for end, code in ((lambda child: child.send(type="shutdown", code=9), 9), (lambda child: child.sock.close(), 70)):
            child = Child(self.stand_in(self.pump + "-stays"), boot=boot, welcome={"pump": self.pump})
            self.addCleanup(child.close)
            child.value("6 * 7")
            end(child)
            self.assertEqual(child.ended(), code)
            self.assertNotIn(b"ended by itself", child.stdout.data)


class LoopOfMaya(LoopOfStandIns):
    pump = "maya"


class LoopOfHoudini(LoopOfStandIns):
    pump = "houdini"


class LoopOfNuke(LoopOfStandIns):
    pump = "nuke"


@functools.lru_cache(None)
def with_module(host, name):
    """An executable of this Python that can import a module: it, or the system's own of the same version."""
    for python in (host.command[0], "/usr/bin/python%d.%d" % host.version[:2]):
        try:
            if not subprocess.run([python, "-c", "import " + name], stderr=subprocess.DEVNULL, timeout=LIMIT,
                                  env=clean_environment()).returncode:
                return python
        except OSError:
            pass
    return None


def load_tests(loader, _tests, _pattern):
    suite = unittest.TestSuite()
    found, missing = find_hosts()
    print("interpreters: %s" % ", ".join(repr(host) for host in found.values()), file=sys.stderr)
    print("missing: %s" % (", ".join(missing) or "none"), file=sys.stderr)
    for name, host in found.items():
        for part in (Handshake, Commands, Errors, Busy, Ladder, Beside, Locks, Output, Reports, Ends, LoopOfTkinter,
                     LoopOfQt, LoopOfPyQt5, LoopOfPyQt6, LoopOfPySide6, LoopOfBlender, LoopOfMaya, LoopOfHoudini, LoopOfNuke):
            case = type("%s_%s" % (part.__name__, re.sub(r"\W", "_", name)), (part, unittest.TestCase), {"host": host})
            suite.addTests(loader.loadTestsFromTestCase(case))
    return suite


if __name__ == "__main__":
    atexit.register(Display.close)
    unittest.main()
