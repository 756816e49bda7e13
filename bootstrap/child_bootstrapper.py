# -*- coding: utf-8 -*-
"""childminder's end inside the child: the PyCmdExecutor.

A host application (Blender, Maya, gdb, a plain python ...) runs this one file.  It connects to the
engine over loopback, both ends prove the session's secret, and from then on it runs the Python commands
it is sent, one after another, and tells what became of them.

It runs as a script, imported as a module, or from a bootstrapper of your own, which finds it by the environment
variable CHILDMINDER_BOOTSTRAPPER, in Python 2 as in 3:

    import os, runpy
    runpy.run_path(os.environ["CHILDMINDER_BOOTSTRAPPER"], run_name="__main__")

That starts it at once, with the port of the command line or the environment.  Loaded under the name
``childminder_executor`` it does nothing until it is told to, for instance when the application has its window:

    executor = runpy.run_path(os.environ["CHILDMINDER_BOOTSTRAPPER"], run_name="childminder_executor")
    ...
    executor["start"]()

``start(port=None, secret=None)`` is to be called once, on the main thread.  Where the recipe says ``pump = "block"`` it
runs commands until the session is over, and then raises SystemExit; with another pump it returns, and commands run
whenever the application's event loop turns.  ``importlib`` or ``imp`` will do as well; with ``exec`` or ``execfile`` (in
hosts without a ``sys.argv``, which ``runpy`` needs) give it a dictionary of its own, ``{"__name__": "__main__"}``: what is
defined in the same one counts as ours.

What lives here, from top to bottom: arguments and secret; text and JSON; the channel (frames, proof);
output; descriptions of exceptions and stacks; locks; names; compiling; completion and checking; the host's
own SIGINT handler; pumps; the Executor; start.

What must stay true, and why:

* One file, standard library only, Python 2.7 and 3.6 to 3.14 and PyPy: hosts bring their own interpreter
  and nobody installs anything into it.
* Commands run on the main thread (hosts allow their API nowhere else), in one namespace, which is the
  module ``__main__``: functions see imports, and pickle and typing find what commands define.
* Whoever has nothing better to do reads the socket.  Idle, that is the main thread itself, so a command
  is run by the thread that received it, with no hand-over between threads (which would double the round
  trip).  Once a command has run for ``GRACE`` seconds the second thread ("the follower") leads: it reads,
  answers and beats until the main thread asks for the lead back.  Between bursts it is parked; when
  nothing runs, nothing wakes up.  In a host with an event loop the main thread is the host's: there the follower
  leads for ever, and a pump has the host's loop call ``Executor.turn``.
* A command's end is told only after all its output is flushed: the engine slices output by it.
* A KeyboardInterrupt may be raised in the user's code only, never in ours: see ``user_code_on_top``.  The same
  goes for ``Cancelled``, which also comes where signals do not get through: see ``close_window``.
* Looking in (stacks, locks, names) runs no code of the user's, not even a property or a __repr__.
* What runs beside the main thread is on threads of its own: whatever it does, the channel is read.
* What user code does (replace sys.stdout, close 0-2, fork, raise anything) ends a command, not the channel.
* All text sent is bounded and is valid Unicode: a lone surrogate would be a malformed frame.
"""
import os
import sys

# The engine writes a copy of this file with this line filled in where a host can pass neither arguments
# nor environment: {"port": 1234, "secret": "hex", "remove": "/path/to/the/copy"}.
GENERATED = None


def take_credentials(generated, environ):
    """(generated port, port of the environment, secret), taken away from where user code could find them."""
    generated = generated or {}
    port, secret = environ.pop("CHILDMINDER_PORT", None), environ.pop("CHILDMINDER_SECRET", None)
    remove = generated.get("remove")
    # Imported as a module, the copy (with the secret in it) was also compiled to a file.
    for path in (remove, remove and remove + "c", remove and globals().get("__cached__")):
        try:
            if path:
                os.unlink(path)
        except OSError:
            pass
    return generated.get("port"), port, generated.get("secret", secret)


# Before any other import: nothing that runs later may find the secret.
CREDENTIALS = take_credentials(GENERATED, os.environ)
GENERATED = None
# Python 2 empties a module that nobody has any more: after `runpy`, or an import that ends in our SystemExit.
THIS_MODULE = sys.modules.get(__name__)

import ast
import atexit
import binascii
import codeop
import collections
import dis
import errno
import fcntl
import hashlib
import hmac
import io
import json
import linecache
import platform
import re
import select
import signal
import socket
import struct
import threading
import time
import traceback
import types
import warnings

try:
    import ctypes
except Exception:  # a host may ship without it, or with a broken one
    ctypes = None
try:
    import faulthandler
except ImportError:
    faulthandler = None

PROTOCOL = 1
MSG_MORE = getattr(socket, "MSG_MORE", 0x8000)  # Linux's number, for Python 2.7, which does not name it
MAX_FRAME = 16 * 1024 * 1024
EXIT_LOST = 70  # the engine is gone, or spoke nonsense
EXIT_REFUSED = 71  # the engine could not prove itself
EXIT_NO_LOOP = 72  # the host has no such event loop as the recipe says
REACH_SECONDS = 60.0  # for all tries to reach the engine together
CONNECT_SECONDS = 5.0  # for one connection: where the port's queue is full, the system asks again ever more seldom
GRACE = 0.02  # how long a command runs before the follower takes the lead
EXIT_SECONDS = 2.0  # how long a host may sit on our SystemExit before the process is ended
LEAVE_SECONDS = 5.0  # the same for an application that was asked to end: it closes its windows first
FLUSH_SECONDS = 1.0
UNSEEN_SECONDS = 0.1  # after which an interrupt that Python has not noticed is sent once more
CANCEL_SECONDS = 5.0  # after which a host's cancel is said to hang
MAX_BESIDE = 4  # of side commands, and as many of cancels, at once

KIB = 1024
MAX_TEXT = 4 * KIB  # of a status, path, failure, note
MAX_MESSAGE = 64 * KIB  # of an exception's message
MAX_LOCAL = 1 * KIB
MAX_LOCALS = 50
MAX_FRAMES = 200
MAX_GROUP = 20
MAX_CHAIN = 20
MAX_EXCEPTIONS = 100  # chains and groups together: a group of groups grows as a power
DESCRIBE_SECONDS = 2.0  # after which no further __repr__ of a local is begun
MAX_STACK_FRAMES = 4000
MAX_LOCK_FRAMES = 2000  # that are looked at for locks
MAX_LOCKS = 50  # of one thread
MAX_PARSED = 20  # files that are parsed to see where they take locks
MAX_PARSED_SIZE = 1024 * KIB
MAX_KEPT_PARSED = 100
LOCK_SECONDS = 0.5  # after which no further file is parsed
MAX_NAMES = 1000
MAX_MATCHES = 200
MAX_KEPT_COMMANDS = 1000
MAX_KEPT_SOURCE = 16 * 1024 * KIB
MAX_ECHO = 4 * KIB

PY2 = sys.version_info[0] == 2
OURS = globals()
if PY2:
    text_type = unicode  # noqa: F821
    integer_types = (int, long)  # noqa: F821
    monotonic = time.time
    import __builtin__ as builtins
    import thread as _thread
else:
    text_type = str
    integer_types = (int,)
    monotonic = time.monotonic
    import _thread
    import builtins

# Bound here so that a user's monkey patch (gevent, freezegun) cannot reach the channel.
getpid, sleep, new_lock, get_ident = os.getpid, time.sleep, _thread.allocate_lock, _thread.get_ident
new_thread = _thread.start_new_thread
pack_length = struct.Struct(">I").pack
unpack_length = struct.Struct(">I").unpack_from


# --- Gates -------------------------------------------------------------------------------------------

GATES = set()


def gate(function):
    """Marks a function of ours that calls user code and survives a KeyboardInterrupt from it."""
    GATES.add(function.__code__)
    return function


def user_code_on_top(frame):
    """May a KeyboardInterrupt be raised here?  Yes if the innermost frame of ours is a gate, with others above it.

    A signal's handler runs between two byte codes of whatever the main thread executes.  In our own code,
    or in the standard library on our behalf, an exception would tear a frame on the wire or end the loop.
    """
    if frame is None or frame.f_globals is OURS:
        return False
    while frame is not None:
        if frame.f_globals is OURS:
            return frame.f_code in GATES
        frame = frame.f_back
    return True


class Cancelled(BaseException):
    """Ends a command.  No KeyboardInterrupt and no Exception, so that what catches those does not stop it."""

    __module__ = "childminder"
    flying = False  # sent as an asynchronous exception, and not yet raised

    def __init__(self, *args):
        Cancelled.flying = False
        BaseException.__init__(self, *args)


def find_set_async():
    """A function (thread, exception or None): raises it there once that thread runs Python, or takes that back."""
    try:
        function = ctypes.pythonapi.PyThreadState_SetAsyncExc
        function.argtypes = [ctypes.c_ulong, ctypes.c_void_p]
    except Exception:  # no ctypes, or PyPy
        return None
    return lambda ident, exception: function(ident, None if exception is None else id(exception))


# --- Text and JSON -----------------------------------------------------------------------------------

if PY2:
    # A narrow build keeps astral characters as pairs, which are fine; the rest would be refused as JSON.
    LONE = re.compile(u"[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]")

    def well_formed(text):
        return LONE.sub(lambda found: u"\\u%04x" % ord(found.group()), text)
else:
    def well_formed(text):
        try:
            text.encode("utf-8")
            return text
        except UnicodeEncodeError:
            return text.encode("utf-8", "backslashreplace").decode("utf-8")


def as_text(value):
    """Text for the wire from a str, bytes or unicode; never fails."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
        return well_formed(value) if PY2 else value  # Python 2 decodes encoded surrogates
    if isinstance(value, text_type):
        return well_formed(value[:])  # [:] of a subclass is a plain string with no surprises in it
    return u"<%s>" % type(value).__name__


def shorten(text, limit):
    """The text cut to `limit` UTF-8 bytes."""
    text = text[:limit]
    if len(text) * 4 <= limit:
        return text
    return text.encode("utf-8")[:limit].decode("utf-8", "ignore")


def bounded(value, limit=MAX_TEXT):
    if isinstance(value, (bytes, text_type)):
        value = value[:limit]
    return shorten(as_text(value), limit)


def to_json(message):
    return json.dumps(message, separators=(",", ":")).encode("ascii")


# --- The channel -------------------------------------------------------------------------------------


class Gone(Exception):
    """The engine is gone or cannot be understood; there is nobody left to work for."""


class HungUp(Gone):
    """The channel was closed or broke; before the welcome, that need not be the end."""


class Refused(Exception):
    """The other end is not our engine."""


class Channel(object):
    """Frames over the socket.  Sending is safe from any thread; one thread at a time may read."""

    def __init__(self, sock):
        self.sock = sock
        self.pid = getpid()
        self.buffer = bytearray()
        self.lock = new_lock()
        self.contended = False
        self.recv, self.sendall = sock.recv, self.send_patiently if PY2 else sock.sendall

    def send_patiently(self, data, flags=0):
        """sendall() for Python 2, whose own gives up in the middle when a signal arrives."""
        left = memoryview(data)
        while len(left):
            try:
                left = left[self.sock.send(left, flags):]
            except EnvironmentError as problem:
                if problem.errno != errno.EINTR:
                    raise

    def send_bytes(self, payload, flags=0):
        # A forked copy shares the socket, and would answer in our name.
        if getpid() != self.pid or len(payload) > MAX_FRAME:
            return
        data = pack_length(len(payload)) + payload
        if not self.lock.acquire(False):
            self.contended = True
            self.lock.acquire()
        try:
            self.sendall(data, flags)
        except (EnvironmentError, ValueError):
            pass  # whoever reads will see the end of the channel, and act on it
        finally:
            self.lock.release()

    def send(self, message):
        self.send_bytes(to_json(message))

    def read(self):
        """Wait for at least one whole message; all that have arrived, in order."""
        while True:
            messages = self.read_some()
            if messages:
                return messages

    def read_some(self):
        """Read once; the messages that are whole by now, which may be none."""
        try:
            data = self.recv(min(max(self.missing(), 64 * KIB), 1024 * KIB))
        except EnvironmentError as problem:
            if problem.errno == errno.EINTR:  # Python 2.7, a signal while idle
                return []
            raise HungUp("the channel to the engine failed: %s" % problem)
        except ValueError as problem:
            raise HungUp("the channel to the engine failed: %s" % problem)
        if not data:
            raise HungUp("the engine closed the channel")
        if not self.buffer and len(data) >= 4 and unpack_length(data)[0] == len(data) - 4 <= MAX_FRAME:
            return [self.parse(data[4:])]
        self.buffer += data
        return self.split()

    def missing(self):
        if len(self.buffer) < 4:
            return 0
        return unpack_length(self.buffer)[0] + 4 - len(self.buffer)

    def split(self):
        messages, buffer, at = [], self.buffer, 0
        while len(buffer) - at >= 4:
            length = unpack_length(buffer, at)[0]
            if length > MAX_FRAME:
                raise Gone("the engine sent a frame of %d bytes" % length)
            if len(buffer) - at - 4 < length:
                break
            messages.append(self.parse(bytes(buffer[at + 4:at + 4 + length])))
            at += 4 + length
        if at:
            del buffer[:at]
        return messages

    @staticmethod
    def parse(payload):
        try:
            message = json.loads(payload.decode("utf-8"))
            message["type"]
            return message
        except Exception as problem:
            raise Gone("the engine sent a malformed frame: %s" % type(problem).__name__)


def connect(port, seconds):
    sock = socket.create_connection(("127.0.0.1", port), min(seconds, CONNECT_SECONDS))
    sock.settimeout(seconds)
    close_on_exec(sock.fileno())
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def occupy_standard_descriptors():
    """Where a host has closed 0, 1 or 2, what we open must not land there: user code closes and reopens those."""
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except EnvironmentError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free, which is this one


def close_on_exec(fd):
    fcntl.fcntl(fd, fcntl.F_SETFD, fcntl.fcntl(fd, fcntl.F_GETFD) | fcntl.FD_CLOEXEC)


def proof(secret, who, child_nonce, engine_nonce):
    said = "childminder %s %d\n%s\n%s" % (who, PROTOCOL, child_nonce, engine_nonce)
    return hmac.new(secret, said.encode("ascii"), hashlib.sha256).hexdigest()


def expect(channel, kind):
    """The next message, which must be of this kind.  The engine waits for us in between, so it comes alone."""
    message = channel.read()[0]
    if message["type"] != kind:
        raise Gone("expected %s from the engine" % kind)
    return message


def shake_hands(channel, secret):
    """Prove each other; the engine goes first, so that a stranger on the port learns nothing.  The welcome."""
    mine = binascii.hexlify(os.urandom(32)).decode("ascii")
    channel.send({"type": "knock", "protocol": PROTOCOL, "nonce": mine})
    challenge = expect(channel, "challenge")
    try:
        theirs, shown = challenge["nonce"].encode("ascii"), challenge["proof"].encode("ascii")
        theirs = theirs.decode("ascii")
    except (KeyError, AttributeError, UnicodeError):
        raise Refused("the engine's challenge makes no sense")
    if not hmac.compare_digest(shown, proof(secret, "engine", mine, theirs).encode("ascii")):
        raise Refused("the engine could not prove that it knows the session's secret")
    channel.send({"type": "prove", "proof": proof(secret, "child", mine, theirs)})
    return expect(channel, "welcome")


def reach_engine(port, secret):
    """(channel, welcome).  Anybody on this host may crowd the port and cost us our place: so it is tried again."""
    deadline, pause = monotonic() + REACH_SECONDS, 0.05
    while True:
        sock = None
        try:
            sock = connect(port, max(1.0, deadline - monotonic()))
            channel = Channel(sock)
            return channel, shake_hands(channel, secret)
        except (HungUp, EnvironmentError) as problem:
            if sock is not None:
                sock.close()
            # Where nobody listens, there is no engine any more.
            if getattr(problem, "errno", None) == errno.ECONNREFUSED or monotonic() + pause > deadline:
                raise
        sleep(pause)
        pause = min(1.0, 2 * pause)


# --- Output ------------------------------------------------------------------------------------------


class Output(object):
    """stdout and stderr: made to arrive at once, and flushed before a command's end is told."""

    def __init__(self):
        self.wrappers = []
        self.c_flushes = []
        self.open_c_streams()
        for name, fd in (("stdout", 1), ("stderr", 2)):
            try:
                self.open_python_stream(name, fd)
            except Exception:
                pass  # output that arrives late is better than no child

    def open_c_streams(self):
        try:
            libc = ctypes.CDLL(None)
            libc.fflush.argtypes = [ctypes.c_void_p]
            libc.setvbuf.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
            unbuffered = 2
            for name in ("stdout", "stderr"):
                stream = ctypes.c_void_p.in_dll(libc, name)
                libc.fflush(stream)
                libc.setvbuf(stream, None, unbuffered, 0)
                # Not fflush(NULL), which waits for a lock that a thread reading stdin may hold for ever.
                self.c_flushes.append((libc.fflush, stream))
        except Exception:
            pass

    def open_python_stream(self, name, fd):
        old = getattr(sys, name)
        if PY2:
            if type(old) is file and old.fileno() == fd and old.encoding is None:  # noqa: F821
                ctypes.pythonapi.PyFile_SetEncodingAndErrors(ctypes.py_object(old), b"utf-8", b"backslashreplace")
            return
        # An object of the host's own (gdb, a script editor) knows better where its text goes.
        if type(old) is not io.TextIOWrapper or old.fileno() != fd:
            return
        old.flush()
        new = self.line_by_line(old, name, fd)
        self.wrappers.append(new)
        if getattr(sys, "__%s__" % name) is old:
            setattr(sys, "__%s__" % name, new)
        setattr(sys, name, new)

    @staticmethod
    def line_by_line(old, name, fd):
        """A wrapper that makes one write(2) of each print().

        Unbuffered (-u) it would be two, the text and the newline, and viewers would see lines torn.
        What has no newline yet is brought out by `nudge` and at the command's end.
        """
        if type(old.buffer) is io.BufferedWriter and hasattr(old, "reconfigure"):
            old.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True, write_through=False)
            return old
        raw = io.FileIO(fd, "w", closefd=False)
        raw.name = "<%s>" % name
        new = io.TextIOWrapper(io.BufferedWriter(raw), encoding="utf-8", errors="backslashreplace",
                               newline="\n", line_buffering=True)
        new.mode = "w"
        new.childminder_replaces = old  # others may hold it; collected, it might close the descriptor
        return new

    def nudge(self):
        """Bring out unfinished lines, from the follower: only where it cannot block behind a full pipe."""
        for wrapper in self.wrappers:
            try:
                asker = select.poll()
                asker.register(wrapper.fileno(), select.POLLOUT)
                if asker.poll(0):
                    wrapper.flush()
            except Exception:
                pass

    @gate
    def flush(self):
        out, err = sys.stdout, sys.stderr
        # A user's own stream may raise anything, and a closed one does.
        try:
            out.flush()
        except:  # noqa: E722
            pass
        try:
            err.flush()
        except:  # noqa: E722
            pass
        if sys.__stdout__ is not out or sys.__stderr__ is not err:
            for stream in (sys.__stdout__, sys.__stderr__):
                try:
                    stream.flush()
                except:  # noqa: E722
                    pass
        for flush, stream in self.c_flushes:
            try:
                flush(stream)
            except:  # noqa: E722  PyPy's ctypes is Python code, and an interrupt may meet it
                pass

    @gate
    def echo(self, text):
        try:
            sys.stdout.write(text if not PY2 else text.encode("utf-8"))
            sys.stdout.flush()
        except:  # noqa: E722
            pass


def flush_within(output, seconds):
    """Flush in a thread of its own: a pipe nobody reads must not keep a dying child."""
    try:
        helper = threading.Thread(target=output.flush, name="childminder flush")
        helper.daemon = True
        helper.start()
        helper.join(seconds)
    except Exception:
        pass


def complain(text):
    try:
        sys.stderr.write("childminder: %s\n" % text)
        sys.stderr.flush()
    except Exception:
        pass


# --- Descriptions ------------------------------------------------------------------------------------


@gate
def brief(value, limit=MAX_LOCAL, depth=3, others=repr):
    """repr(), without building what will not be shown.  May raise what the value's own __repr__ raises.

    `others` is asked for what is of none of the types that are known here.
    """
    kind = type(value)
    if kind in (bytes, text_type):
        if len(value) <= limit:
            return repr(value)
        return "%s... (%d long)" % (repr(value[:limit]), len(value))
    if kind in integer_types and value.bit_length() > 8 * limit:
        return "<%s of %d bits>" % (kind.__name__, value.bit_length())
    if others is repr and GROUP and isinstance(value, GROUP):
        return "<%s of %d>" % (kind.__name__, len(value.exceptions))  # groups of groups grow as a power
    if kind in BRACKETS and len(value) and depth:
        return brief_container(value, kind, limit, depth, others)
    return repr(value) if kind in PLAIN or kind in BRACKETS and not len(value) else others(value)


def outline(value):
    """What can be said of any value without running code of the user's, or for long."""
    kind = type(value)
    return "<%s of %d>" % (type_name(kind), len(value)) if kind in SIZED else "<%s object>" % kind_of(value)


GROUP = getattr(builtins, "BaseExceptionGroup", None)
PLAIN = integer_types + (bool, float, complex, type(None))
BRACKETS = {list: "[]", tuple: "()", dict: "{}", set: "{}", frozenset: ("frozenset({", "})")}


@gate
def brief_container(value, kind, limit, depth, others):
    left, right = BRACKETS[kind]
    parts, size = [], 0
    for item in (value if kind is not dict else value.iteritems() if PY2 else value.items()):
        if size > limit or len(parts) == 100:
            parts.append("... (%d in all)" % len(value))
            break
        if kind is dict:
            part = "%s: %s" % tuple(brief(one, limit, depth - 1, others) for one in item)
        else:
            part = brief(item, limit, depth - 1, others)
        parts.append(part)
        size += len(part)
    return left + ", ".join(parts) + ("," if kind is tuple and len(value) == 1 else "") + right


@gate
def failure_of(what):
    """What to show for a repr or str that raised, from within the except clause."""
    kind, problem = sys.exc_info()[:2]
    try:
        why = as_text(str(problem))[:200]
    except:  # noqa: E722
        why = u"?"
    return u"<%s failed: %s: %s>" % (what, kind.__name__, why)


@gate
def string_of(value):
    """str() of an exception; in Python 2 its message may be unicode."""
    if PY2:
        try:
            return unicode(value)  # noqa: F821
        except UnicodeError:
            return str(value)
    return str(value)


TRACEBACK = u"Traceback (most recent call last):\n"
# Where a host ran us without a file name, user code may bear the same one; then the text shows our frames too.
OUR_FILE = gate.__code__.co_filename if not gate.__code__.co_filename.startswith("<") else None


def without_ours(summary):
    """A traceback's lines but for those of this file: an interrupt is raised in it, and so is what `progress` refuses."""
    return [line for line in summary if line[0] != OUR_FILE]


@gate
def formatted(kind, value, trace):
    """What Python itself would have printed, had we not been there."""
    if PY2:
        lines = [TRACEBACK] + traceback.format_list(without_ours(traceback.extract_tb(trace)))
        lines += traceback.format_exception_only(kind, value)
    else:
        whole = traceback.TracebackException(kind, value, trace, limit=print_limit(trace))
        left = [whole]
        while left:
            one = left.pop()
            one.stack[:] = without_ours(one.stack)
            left += [other for other in [one.__cause__, one.__context__] + (getattr(one, "exceptions", None) or []) if other]
        lines = whole.format()
    return u"".join(as_text(line[:MAX_MESSAGE]) for line in lines)


@gate
def formatted_alone(trace, last_line):
    """The same without members and causes, which Python would follow however many there are."""
    lines = traceback.format_list(without_ours(traceback.extract_tb(trace, print_limit(trace))))
    return TRACEBACK + u"".join(as_text(line) for line in lines) + last_line


def print_limit(trace):
    """Python folds a plain recursion itself; a deeper one is not worth the megabytes."""
    depth = 0
    while trace is not None:
        depth, trace = depth + 1, trace.tb_next
    return None if depth <= 2000 or PY2 else -MAX_FRAMES


class Describer(object):
    """Exceptions and stacks as plain data.  One describer a message: it keeps count of what it spends.

    `weary` tells that somebody wants this to end (an interrupt while a slow __repr__ is being waited for).
    """

    def __init__(self, limit, weary=lambda: False, others=repr):
        self.limit = limit
        self.others = others
        self.weary = weary
        self.deadline = monotonic() + DESCRIBE_SECONDS
        self.tired = False
        self.spent = 0
        self.exceptions = 0
        self.too_many = False
        self.cut = False

    def safely(self, function, value, what, limit):
        if self.tired or self.weary() or monotonic() > self.deadline:
            self.tired = True
            return u"<%s skipped>" % what
        try:
            return bounded(function(value), limit)
        except (KeyboardInterrupt, Cancelled):
            self.tired = True
            return u"<%s interrupted>" % what
        except:  # noqa: E722
            return failure_of(what)

    # Frames

    def locals_of(self, frame):
        shown = {}
        if self.tired or self.spent > self.limit:
            self.cut = True
            return None
        try:
            names = dict(frame.f_locals)
        except Exception:
            return None
        for name in sorted(key for key in names if type(key) is str):
            value = names[name]
            # Of a module's globals, what it imported and its own bookkeeping tell nothing; `_` has been shown.
            if name == "_" or name.startswith("__") and name.endswith("__") or type(value) is types.ModuleType:
                continue
            if len(shown) == MAX_LOCALS or self.spent > self.limit:
                self.cut = True
                break
            text = self.safely(self.local, value, "repr", MAX_LOCAL)
            shown[bounded(name, 200)] = text
            self.spent += len(name) + len(text)
        return shown

    def local(self, value):
        return brief(value, MAX_LOCAL, 3, self.others)

    def frame(self, frame, line, with_locals):
        code = frame.f_code
        try:
            source = linecache.getline(code.co_filename, line, frame.f_globals).strip()
        except Exception:
            source = ""
        return {
            "file": bounded(code.co_filename, KIB), "line": line or 0,
            "function": bounded(getattr(code, "co_qualname", code.co_name), 500),
            "source": bounded(source, 500),
            "locals": self.locals_of(frame) if with_locals else None,
        }

    def frames(self, pairs, with_locals):
        """Frames outermost first; of very many, the first and the last; the innermost get their locals first."""
        head, tail = [], collections.deque(maxlen=MAX_FRAMES // 2)
        for pair in pairs:
            if len(head) < MAX_FRAMES // 2:
                head.append(pair)
            else:
                self.cut = self.cut or len(tail) == tail.maxlen
                tail.append(pair)
        chosen = head + list(tail)
        # In a __repr__ that raised or hangs, asking the same object again would do no better.
        names = [frame.f_code.co_name for frame, _ in chosen]
        sound = min([names.index(name) for name in ("__repr__", "__str__", "__unicode__") if name in names] or [len(chosen)])
        described = [self.frame(frame, line, with_locals and index < sound)
                     for index, (frame, line) in reversed(list(enumerate(chosen)))]
        return described[::-1]

    # Exceptions

    def exception(self, kind, value, trace):
        while trace is not None and trace.tb_frame.f_globals is OURS:
            trace = trace.tb_next
        described = self.one(kind, value, trace, 0, set())
        described["text"] = self.text(kind, value, trace, described)
        described["cut"] = self.cut
        return described

    def text(self, kind, value, trace, described):
        text = last_line = u"%s: %s\n" % (described["type"], described["message"])
        try:
            if self.too_many:
                text = formatted_alone(trace, last_line)
            elif not self.tired:
                text = formatted(kind, value, trace)
        except:  # noqa: E722
            pass
        limit = self.limit // 4
        if len(text) > limit:
            self.cut = True
            text = text[:limit // 2] + u"\n... (cut) ...\n" + text[-limit // 2:]
        return text

    def one(self, kind, value, trace, depth, seen):
        seen = seen | set([id(value)])
        self.exceptions += 1
        described = {
            "type": bounded(getattr(kind, "__qualname__", getattr(kind, "__name__", "?")), 500),
            "module": bounded(getattr(kind, "__module__", None) or "", 500),
            "message": self.safely(self.message_of, value, "str", MAX_MESSAGE),
            "frames": self.frames(self.walk(trace), True),
            "cause": None, "context": None, "group": [], "notes": self.notes(value), "text": u"", "cut": False,
        }
        if isinstance(value, SyntaxError):
            described["frames"].append(self.syntax_frame(value))
        cause, context = getattr(value, "__cause__", None), getattr(value, "__context__", None)
        if context is cause or getattr(value, "__suppress_context__", False):
            context = None
        described["cause"] = self.next(cause, depth, seen)
        described["context"] = self.next(context, depth, seen)
        for member in self.members(value):
            described["group"].append(self.next(member, depth, seen))
        described["group"] = [member for member in described["group"] if member]
        return described

    def message_of(self, value):
        said = string_of(value)
        text = as_text(said[:MAX_MESSAGE])
        shown = shorten(text, MAX_MESSAGE)
        self.cut = self.cut or len(said) > MAX_MESSAGE or len(shown) < len(text)
        return shown

    def next(self, value, depth, seen):
        if not isinstance(value, BaseException):
            return None
        if depth >= MAX_CHAIN or id(value) in seen or self.exceptions >= MAX_EXCEPTIONS:
            self.cut = True
            self.too_many = self.too_many or self.exceptions >= MAX_EXCEPTIONS
            return None
        return self.one(type(value), value, getattr(value, "__traceback__", None), depth + 1, seen)

    @staticmethod
    def walk(trace):
        while trace is not None:
            if trace.tb_frame.f_globals is not OURS:
                yield trace.tb_frame, trace.tb_lineno
            trace = trace.tb_next

    def members(self, value):
        try:
            members = getattr(value, "exceptions", None)
            if not isinstance(members, (tuple, list)):
                return []
            self.cut = self.cut or len(members) > MAX_GROUP
            return list(members[:MAX_GROUP])
        except Exception:
            return []

    @staticmethod
    def notes(value):
        try:
            notes = getattr(value, "__notes__", None)
            return [bounded(note) for note in notes[:20]] if isinstance(notes, list) else []
        except Exception:
            return []

    @staticmethod
    def syntax_frame(error):
        def number(value):
            return value if isinstance(value, int) and 0 <= value < 2 ** 31 else 0
        return {"file": bounded(error.filename or "", KIB), "line": number(error.lineno), "function": u"",
                "source": bounded(error.text or "", 500).rstrip(u"\n"), "offset": number(error.offset), "locals": None}


def exception_frame(described, limit, wrap):
    """The message's bytes, within `limit`: what is least worth knowing goes first."""
    def each(exc):
        yield exc
        for other in [exc["cause"], exc["context"]] + exc["group"]:
            if other:
                for inner in each(other):
                    yield inner

    def drop_other_locals():
        for exc in list(each(described))[1:]:
            for frame in exc["frames"]:
                frame["locals"] = None

    def drop_outer_locals():
        for frame in described["frames"][:-3]:
            frame["locals"] = None

    def drop_locals():
        for frame in described["frames"]:
            frame["locals"] = None

    def few_frames():
        for exc in each(described):
            exc["frames"] = exc["frames"][:10] + exc["frames"][10:][-10:]
            exc["message"] = exc["message"][:MAX_TEXT]
            exc["text"] = exc["text"][:limit // 32]

    def alone():
        described.update({"cause": None, "context": None, "group": []})

    def bare():
        described.update({"frames": [], "notes": [], "text": u"", "message": described["message"][:200]})

    payload = to_json(wrap(described))
    for step in (drop_other_locals, drop_outer_locals, drop_locals, few_frames, alone, bare):
        if len(payload) <= limit:
            break
        described["cut"] = True
        step()
        payload = to_json(wrap(described))
    return payload


def describe_exception(info, limit, wrap, weary=lambda: False):
    """The bytes of a message about an exception; if even this fails (no memory, no stack), the least there is."""
    try:
        return exception_frame(Describer(limit, weary).exception(*info), limit, wrap)
    except Exception:
        least = {"type": bounded(getattr(info[0], "__name__", "?"), 200), "module": u"", "message": u"", "frames": [],
                 "cause": None, "context": None, "group": [], "notes": [], "text": u"", "cut": True}
        return to_json(wrap(least))


def threads_now(with_locals, main_ident, limit):
    """All threads' stacks, outermost frame first, the main thread first."""
    # Asked by the thread that interrupts come by: a __repr__ that waits, or ends the process, would cost the scene.
    describer = Describer(limit, others=outline)
    # Not threading.enumerate(): its lock may be held by the very thread that hangs.
    known, threads, left = dict(threading._active), [], MAX_STACK_FRAMES
    stacks = sorted(sys._current_frames().items(), key=lambda item: item[0] != main_ident)
    walked = [(ident, frames_of(frame)) for ident, frame in stacks]
    waits, holds = locks_of(walked)
    for ident, pairs in walked:
        own = plain_attributes(known.get(ident))
        name = own.get("_name", own.get("_Thread__name", OWN_THREADS.get(ident)))
        pairs, ours = without_machinery(pairs)
        frames = describer.frames(pairs, with_locals) if left > 0 else []
        left -= len(frames)
        threads.append({
            "ident": unsigned(ident), "tid": plain_number(own.get("_native_id", OWN_TIDS.get(ident))),
            "name": bounded(name if type(name) in (str, text_type) else "", 200), "main": ident == main_ident,
            "daemon": bool(plain_number(own.get("_daemonic", own.get("_Thread__daemonic", ident in OWN_THREADS)))),
            "ours": ours and ident != main_ident, "waits": waits.get(ident), "holds": holds.get(ident, []),
            "frames": frames,
        })
    return threads


def frames_of(frame):
    """(frame, line) of a stack, outermost first."""
    pairs = []
    while frame is not None and len(pairs) < 100000:
        pairs.append((frame, frame.f_lineno))
        frame = frame.f_back
    pairs.reverse()
    return pairs


def without_machinery(pairs):
    """(the frames that tell something, whether the thread is ours): the host's and ours below a command do not."""
    if any(frame.f_globals is not OURS for frame, _ in pairs):
        running = [index for index, pair in enumerate(pairs) if pair[0].f_code in GATES]
        if running:
            return pairs[running[-1] + 1:] or pairs, False
    first = next((frame for frame, _ in pairs if frame.f_globals.get("__name__") != "threading"), None)
    return pairs, first is not None and first.f_globals is OURS


def unsigned(number):
    """An identifier as the wire has it; some systems have negative ones."""
    return int(number) & (2 ** 64 - 1)


def plain_number(value):
    return value if type(value) in integer_types or type(value) is bool else None


# Threads that Python's own list does not know: {ident: name} and {ident: the system's number}.
OWN_THREADS, OWN_TIDS = {}, {}


def start_thread(name, function, *arguments):
    """Not a threading.Thread, whose start() waits for the thread, and would for ever under a monkey patch."""
    def run():
        ident = get_ident()
        OWN_THREADS[ident] = name
        if hasattr(_thread, "get_native_id"):
            OWN_TIDS[ident] = _thread.get_native_id()
        try:
            function(*arguments)
        finally:
            OWN_THREADS.pop(ident, None)
            OWN_TIDS.pop(ident, None)

    new_thread(run, ())


# --- Locks -------------------------------------------------------------------------------------------
# What can be told of objects without running code of the user's: by descriptors of C's, asked of the type itself.

TYPE_DICT, TYPE_MRO = type.__dict__["__dict__"].__get__, type.__dict__["__mro__"].__get__
TYPE_NAME, TYPE_MODULE = type.__dict__["__name__"].__get__, type.__dict__["__module__"].__get__
DESCRIPTORS = (types.GetSetDescriptorType, types.MemberDescriptorType)
# An object's own dictionary, a class's, and (3.13) a function's locals.
MAPPINGS = (dict, type(type.__dict__), (lambda: type(sys._getframe().f_locals))())
LOCK, RLOCK, CONDITION = type(new_lock()), type(threading.RLock()), type(threading.Condition())
RLOCK_REPR = re.compile(r"owner=(-?\d+) count=(\d+)")
# Whose frames on top of a stack are a wait that user code asked for, and those below that are only how a thread begins.
IMPORTERS = ("importlib._bootstrap", "_frozen_importlib")
WAITERS = IMPORTERS + ("threading", "queue", "Queue", "concurrent.futures._base", "concurrent.futures.thread")
BEGINNERS = ("run", "_bootstrap", "_bootstrap_inner", "__bootstrap", "__bootstrap_inner", "_worker")
WITH_OPS = [op for op in (dis.opmap.get("SETUP_WITH"), dis.opmap.get("BEFORE_WITH")) if op is not None and op < 256]
LOAD_SPECIAL, CALL = dis.opmap.get("LOAD_SPECIAL"), dis.opmap.get("CALL")  # which 3.14 has instead
SCOPES = tuple(getattr(ast, name) for name in ("FunctionDef", "AsyncFunctionDef", "ClassDef") if hasattr(ast, name))
TRIES = tuple(getattr(ast, name) for name in ("Try", "TryStar", "TryFinally") if hasattr(ast, name))
CHAIN = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*")


def type_name(kind):
    name = TYPE_NAME(kind)
    return name if type(name) is str else "?"


def plain_attributes(value):
    """An object's own attributes."""
    for kind in TYPE_MRO(type(value)):
        found = TYPE_DICT(kind).get("__dict__")
        if found is not None:
            own = found.__get__(value) if type(found) in DESCRIPTORS else None
            return own if type(own) in MAPPINGS else {}
    return {}


def attribute(value, name):
    """value.name, where finding it runs no code; else None."""
    kinds = TYPE_MRO(type(value))
    names = [name]
    if name.startswith("__") and not name.endswith("__"):
        names = ["_%s%s" % (type_name(kind).lstrip("_"), name) for kind in kinds]
    for name in names:
        for place in [plain_attributes(value)] + [TYPE_DICT(kind) for kind in kinds]:
            if name in place:
                found = place[name]
                return found.__get__(value) if type(found) is types.MemberDescriptorType else found
    return None


def resolve(frame, names):
    """What a chain of names stands for in a frame, or None."""
    for scope in (frame.f_locals, frame.f_globals):
        if names and type(scope) in MAPPINGS and names[0] in scope:
            value = scope[names[0]]
            for name in names[1:]:
                value = attribute(value, name)
            return value
    return None


def dotted(node):
    """The names of `a.b.c`; none for what is not so simple."""
    names = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return (names + [node.id])[::-1] if isinstance(node, ast.Name) else []


def lock_of(value):
    """The lock that a lock or condition comes down to."""
    if type(value) is CONDITION:
        own = plain_attributes(value)
        value = own.get("_lock", own.get("_Condition__lock"))
    return value if type(value) in (LOCK, RLOCK) else None


def lock_state(lock):
    """(whether somebody has it, who if it knows)"""
    if type(lock) is LOCK:
        return lock.locked(), None
    if PY2:
        owner = plain_attributes(lock).get("_RLock__owner")
        return owner is not None, owner
    owner, count = RLOCK_REPR.search(repr(lock)).groups()
    return int(count) > 0, int(owner)


def wait_for(target, kind, name, owner=None):
    owner = plain_number(owner)
    return {"lock": unsigned(id(target)), "kind": bounded(kind, 100), "name": bounded(name, 200),
            "owner": None if owner is None else unsigned(owner)}


def source_line(frame):
    return linecache.getline(frame.f_code.co_filename, frame.f_lineno, frame.f_globals)


def module_of(frame):
    name = frame.f_globals.get("__name__") if type(frame.f_globals) is dict else None
    return name if type(name) is str else ""


class Blocks(object):
    """Where sources take locks and give them back; only so many files are parsed for one answer."""

    parsed = {}  # {file name: (its lines, its blocks)}, as long as they are the same lines

    def __init__(self):
        self.files = {}
        self.deadline = monotonic() + LOCK_SECONDS

    def of_file(self, frame):
        """(first line, first line of the body, its last line, node) of its blocks, outer before inner."""
        filename = frame.f_code.co_filename
        if filename not in self.files:
            found = self.files[filename] = []
            if len(self.files) <= MAX_PARSED and monotonic() < self.deadline:
                try:
                    found.extend(self.of_lines(filename, linecache.getlines(filename, frame.f_globals)))
                except Exception:
                    pass
        return self.files[filename]

    def of_lines(self, filename, lines):
        known, blocks = self.parsed.get(filename, (None, ()))
        if known is not lines and sum(map(len, lines)) <= MAX_PARSED_SIZE:
            blocks = list(self.parse("".join(lines)))
            if len(self.parsed) >= MAX_KEPT_PARSED:
                self.parsed.clear()
            self.parsed[filename] = lines, blocks
        return blocks

    @staticmethod
    def parse(source):
        for node in ast.walk(compile(source, CHECKED, "exec", ast.PyCF_ONLY_AST, True)):
            if isinstance(node, SCOPES + TRIES + (ast.With,)):
                last = node.body[-1]
                end = getattr(last, "end_lineno", None) or max(getattr(part, "lineno", 0) for part in ast.walk(last))
                yield node.lineno, node.body[0].lineno, end, node

    def around(self, frame):
        """(line, expression, whether it is only being taken) of what is taken around a frame's line, outer first."""
        code, line, taken = frame.f_code, frame.f_lineno, []
        if code.co_name.startswith("<") and code.co_name != "<module>":
            return []  # a comprehension's or lambda's line is also its function's
        place = entering(code, frame.f_lasti)
        blocks = [block for block in self.of_file(frame) if block[0] <= line <= block[2]]
        if code.co_name != "<module>":
            own = [index for index, block in enumerate(blocks)
                   if isinstance(block[3], SCOPES) and block[3].name == code.co_name]
            blocks = blocks[own[-1] + 1:] if own else []
        for start, body, _, node in blocks:
            if isinstance(node, SCOPES):
                break
            header = line < body or start == body == line and place is not None
            if isinstance(node, ast.With) and (not header or place is not None):
                taken += [(item.context_expr, header) for item in getattr(node, "items", None) or [node]]
            elif isinstance(node, TRIES) and not header:
                taken += [(expression, False) for expression in released(node)]
        headers = [index for index, (_, header) in enumerate(taken) if header]
        headers = [index for index in headers if taken[index][0].lineno == line] or headers
        now = headers[place % len(headers)] if headers else len(taken)
        return [(expression.lineno, expression, index == now) for index, (expression, _) in enumerate(taken[:now + 1])]


def released(node):
    """The X of each `X.release()` that a try's `finally` says."""
    for statement in node.finalbody:
        call = getattr(statement, "value", None)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "release":
            yield call.func.value


def entering(code, at):
    """Which of its line's `with` the code is just entering, from 0; None when it does something else."""
    ops = bytearray(code.co_code)
    places, index = [], 0
    if at < 0 or not is_entry(ops, at):
        return None
    while index < len(ops):
        if is_entry(ops, index):
            places.append(index)
        index += 3 if PY2 and ops[index] >= dis.HAVE_ARGUMENT else 1 if PY2 else 2
    lines = [(start, line) for start, line in dis.findlinestarts(code)]

    def line_of(index):
        return [line for start, line in lines if start <= index][-1:]

    return [place for place in places if line_of(place) == line_of(at)].index(at)


def is_entry(ops, at):
    return ops[at] in WITH_OPS or bool(LOAD_SPECIAL) and ops[at] == CALL and ops[at - 2] == LOAD_SPECIAL


def may_take(code):
    """Is it worth parsing the source?"""
    ops = bytearray(code.co_code)
    return any(op in ops for op in WITH_OPS) or bool(LOAD_SPECIAL) and LOAD_SPECIAL in ops or "release" in code.co_names


def locks_of(walked):
    """({ident: what its thread waits for}, {ident: what it holds}), as far as that can be told."""
    waits, holds, blocks, left = {}, {}, Blocks(), MAX_LOCK_FRAMES
    for ident, pairs in walked:
        frames = [frame for frame, _ in pairs[-left:]] if left > 0 else []
        left -= len(frames)
        if not frames:
            break
        try:
            given_up = None
            if frames[-1].f_globals is not OURS:
                waits[ident], given_up = waiting(frames[::-1], blocks)
            holds[ident] = holding(ident, frames, blocks, given_up)
        except Exception:
            pass  # a thread that ran on meanwhile, a source that has changed: best effort
    for ident, wait in waits.items():
        if wait and wait["owner"] is None:
            owners = [owner for owner, held in holds.items() if any(lock["lock"] == wait["lock"] for lock in held)]
            wait["owner"] = unsigned(owners[0]) if len(owners) == 1 else None
    return waits, holds


def waiting(frames, blocks):
    """(what the innermost frame waits for, the lock that it gave up for so long)"""
    frame = frames[0]
    if module_of(frame) in WAITERS:
        return waiting_in_library(frames)
    for _, expression, now in blocks.around(frame) if entering(frame.f_code, frame.f_lasti) is not None else ():
        names = dotted(expression)
        lock = lock_of(resolve(frame, names))
        if now and lock is not None:
            return waiting_for_lock(lock, ".".join(names)), None
    for chain in CHAIN.findall(source_line(frame)):
        names = chain.split(".")
        if names[-1] in ("acquire", "__enter__"):
            lock = lock_of(resolve(frame, names[:-1]))
            if lock is not None:
                return waiting_for_lock(lock, ".".join(names[:-1])), None
    return None, None


def waiting_for_lock(lock, name):
    taken, owner = lock_state(lock)
    return wait_for(lock, "Lock" if type(lock) is LOCK else "RLock", name, owner) if taken else None


def waiting_in_library(frames):
    """The same where a wait is Python code of the library's: what counts is the object that the user asked."""
    asked, caller = None, None
    for caller in frames:
        module = module_of(caller)
        if module not in WAITERS or caller.f_code.co_name in BEGINNERS or module in IMPORTERS and asked is not None:
            break
        asked = caller.f_locals.get("self", asked)
    innermost = frames[0]
    own = innermost.f_locals.get("self")
    waiter = innermost.f_locals.get("waiter")
    if asked is None:
        return None, None
    names = name_in(caller, asked)
    if lock_of(own) is not None and not (type(waiter) is LOCK and waiter.locked()):
        # Not for a notice, but for the lock that goes with it.
        return waiting_for_lock(lock_of(own), names), None
    kinds = [type_name(kind) for kind in TYPE_MRO(type(asked)) if TYPE_MODULE(kind) in WAITERS]
    kind = kinds[0].strip("_") if kinds else kind_of(asked)
    attributes = plain_attributes(asked)
    owner = {"Thread": attributes.get("_ident", attributes.get("_Thread__ident")),
             "ModuleLock": attributes.get("owner")}
    return wait_for(asked, kind, names, owner.get(kind)), lock_of(own)


def name_in(frame, target):
    """What a frame's line calls an object; a module's lock has the module's name."""
    for chain in CHAIN.findall(source_line(frame)):
        names = chain.split(".")
        while names:
            found = resolve(frame, names)
            if found is target or found is not None and lock_of(found) is target:
                return ".".join(names)
            names.pop()
    name = plain_attributes(target).get("name")
    return name if type(name) is str else ""


def holding(ident, frames, blocks, given_up):
    held = []
    for frame in frames:
        if len(held) >= MAX_LOCKS or frame.f_globals is OURS or not may_take(frame.f_code):
            continue
        for line, expression, now in blocks.around(frame):
            names = dotted(expression)
            lock = lock_of(resolve(frame, names))
            if now or lock is None or lock is given_up or any(unsigned(id(lock)) == other["lock"] for other in held):
                continue
            taken, owner = lock_state(lock)
            if taken and owner in (None, ident):
                at = {"file": bounded(frame.f_code.co_filename, KIB), "line": line,
                      "function": bounded(frame.f_code.co_name, 500)}
                held.append({"lock": unsigned(id(lock)), "name": bounded(".".join(names), 200), "at": at})
    return held


# --- Names -------------------------------------------------------------------------------------------

SIZED = (text_type, bytes, bytearray, list, tuple, dict, set, frozenset)
MEASURED = SIZED + integer_types + (bool, float, complex, type(None), range)


def items_of(namespace):
    """Its items at one moment, while other threads go on changing it."""
    for _ in range(100):
        try:
            return list(namespace.items())
        except RuntimeError:  # it changed size: PyPy
            pass
    return []


def names_of(namespace):
    """(what is known of at most so many names, how many more there are)"""
    found = [(as_text(name), value) for name, value in items_of(namespace) if type(name) in (str, text_type)]
    found = sorted((pair for pair in found if not (pair[0].startswith(u"__") and pair[0].endswith(u"__"))),
                   key=lambda pair: pair[0])
    return [name_info(name, value) for name, value in found[:MAX_NAMES]], max(0, len(found) - MAX_NAMES)


def name_info(name, value):
    kind = type(value)
    info = {"name": bounded(name, 200), "kind": bounded(kind_of(value), 200), "size": None, "length": None,
            "shape": None, "module": kind is types.ModuleType}
    if kind in SIZED:
        info["length"] = len(value)
    if kind in MEASURED:
        try:
            info["size"] = sys.getsizeof(value)
        except TypeError:  # PyPy does not know
            pass
    if info["kind"] == "numpy.ndarray":
        # By C's own descriptors: a class of the user's may bear the same name.
        found = [TYPE_DICT(kind).get(name) for name in ("nbytes", "shape")]
        if all(type(one) is types.GetSetDescriptorType for one in found):
            info["size"] = plain_number(found[0].__get__(value))
            info["shape"] = bounded(repr(found[1].__get__(value)), 200)
    return info


def kind_of(value):
    """Its type's name, with the module where that tells something."""
    kind = type(value)
    if PY2 and kind is types.InstanceType:  # of an old-style class, which only C looks up
        return value.__class__.__name__
    name = type_name(kind)
    try:
        module = TYPE_MODULE(kind)
    except AttributeError:
        module = None
    if type(module) is not str or module in ("builtins", "__builtin__", "__main__"):
        return name
    return "%s.%s" % (module, name)


# --- Compiling ---------------------------------------------------------------------------------------

FUTURE_FLAGS = 0
for _name in __import__("__future__").all_feature_names:
    FUTURE_FLAGS |= getattr(__import__("__future__"), _name).compiler_flag
COOKIE = re.compile(u"^([ \\t\\f]*#[^\\n]*?)coding(?=[:=])")


def parseable(source):
    """What compile() takes.  Python 2 refuses a coding cookie in unicode; ours has been decoded long ago."""
    if not PY2:
        return source
    lines = source.split(u"\n", 2)
    lines[:2] = [COOKIE.sub(u"\\1c-ding", line) for line in lines[:2]]
    return u"\n".join(lines)


def compile_command(source, filename, want_value):
    """(code to execute, code to evaluate for the value or None).

    dont_inherit: __future__ imports of this file must not leak into the user's code.
    """
    source = parseable(source)
    if not want_value:
        return compile(source, filename, "exec", 0, True), None
    tree = compile(source, filename, "exec", ast.PyCF_ONLY_AST, True)
    if not tree.body or not isinstance(tree.body[-1], ast.Expr):
        return compile(tree, filename, "exec", 0, True), None
    last = ast.Expression(tree.body.pop().value)
    first = compile(tree, filename, "exec", 0, True)
    return first, compile(last, filename, "eval", first.co_flags & FUTURE_FLAGS, True)


@gate
def run_code(code, namespace):
    exec(code, namespace)


@gate
def evaluate_code(code, namespace):
    return eval(code, namespace)


@gate
def value_text(value):
    """repr() in full: its length is told even where its text is cut."""
    return repr(value)


class Sources(object):
    """The last commands' lines, where tracebacks look for them."""

    def __init__(self):
        self.kept = collections.deque()
        self.size = 0
        self.lock = new_lock()

    def add(self, filename, source):
        if len(source) <= MAX_KEPT_SOURCE:
            with self.lock:
                self.keep(filename, source, len(source))

    def keep(self, filename, source, size):
        text = source.encode("utf-8") if PY2 else source
        # No modification time: checkcache() then leaves the entry alone.
        linecache.cache[filename] = (size, None, text.splitlines(True), filename)
        self.kept.append((filename, size))
        self.size += size
        while len(self.kept) > MAX_KEPT_COMMANDS or self.size > MAX_KEPT_SOURCE:
            oldest, freed = self.kept.popleft()
            self.size -= freed
            linecache.cache.pop(oldest, None)


# --- Completing and checking -------------------------------------------------------------------------

WORD = re.compile(u"[^\\W\\d][\\w.]*$", re.UNICODE)


def completer_for(namespace):
    # rlcompleter imports readline if it can, which may write to the terminal and hooks itself into the host.
    missing = object()
    kept = sys.modules.get("readline", missing)
    sys.modules["readline"] = None
    try:
        import rlcompleter
    finally:
        if kept is missing:
            del sys.modules["readline"]
        else:
            sys.modules["readline"] = kept
    return rlcompleter.Completer(namespace)


def completions(namespace, line):
    """(start, matches) for the word at the end of the line; start counts characters."""
    found = WORD.search(line)
    if not found:
        return len(line), []
    matches = []
    try:
        word = found.group()
        word = word.encode("ascii") if PY2 else word
        completer = completer_for(namespace)
        while len(matches) < MAX_MATCHES:
            match = completer.complete(word, len(matches))
            if match is None:
                break
            matches.append(bounded(match, 500))
    except BaseException:
        pass
    return found.start(), matches


CHECKED = "<check>"
ALLOW_INCOMPLETE = getattr(codeop, "PyCF_ALLOW_INCOMPLETE_INPUT", 0)
BLOCKS = tuple(getattr(ast, name) for name in (
    "FunctionDef", "AsyncFunctionDef", "ClassDef", "If", "For", "AsyncFor", "While", "With", "AsyncWith",
    "Try", "TryStar", "TryExcept", "TryFinally", "Match") if hasattr(ast, name))


def check(source):
    """(state, message) of a prompt's text: would Enter run it, or ask for another line?"""
    source = parseable(source)
    tree, problem = parsed(source)
    if tree is not None:
        tree, problem = parsed(source, compile)
        if problem:  # "return" outside a function and such: well formed, yet nonsense
            return "invalid", problem
        # As at Python's own prompt, a block goes on until an empty line.
        open_block = tree.body and isinstance(tree.body[-1], BLOCKS) and source.rsplit(u"\n", 1)[-1].strip()
        return ("incomplete" if open_block else "complete"), u""
    if more_could_help(source):
        return "incomplete", u""
    return "invalid", problem


def parsed(source, finish=None, flags=0):
    """(tree, None) or (None, the problem in words)."""
    try:
        tree = compile(source, CHECKED, "exec", ast.PyCF_ONLY_AST | flags, True)
        if finish:
            finish(tree, CHECKED, "exec", 0, True)
        return tree, None
    except SyntaxError as error:
        where = u" (line %s)" % error.lineno if error.lineno else u""
        return None, bounded(u"%s: %s%s" % (type(error).__name__, as_text(error.msg or ""), where))
    except Exception as error:  # a null byte, an overflow, too deep a nesting
        return None, bounded(u"%s: %s" % (type(error).__name__, as_text(str(error))))


def more_could_help(source):
    """Is the text only not finished?  codeop's way, without its change of the warnings filters (not thread-safe)."""
    if ALLOW_INCOMPLETE:
        problem = parsed(source + u"\n", None, ALLOW_INCOMPLETE | codeop.PyCF_DONT_IMPLY_DEDENT)[1]
        return problem is None or u"incomplete input" in problem
    return syntax_error(source + u"\n") != syntax_error(source + u"\n\n")


def syntax_error(source):
    try:
        compile(source, CHECKED, "exec", ast.PyCF_ONLY_AST | codeop.PyCF_DONT_IMPLY_DEDENT, True)
    except SyntaxError as error:
        return repr(error)
    except Exception as error:
        return repr(error)
    return None


# --- The host's own SIGINT handler -------------------------------------------------------------------


class HostHandler(object):
    """What the host did at SIGINT before our handler was there, from C; some hosts cancel by it what they compute.

    Blender's sets its break flag whatever number it is called with; only for SIGINT's own does it count, and end the
    process the second time.  So it is called with 0.
    """

    IGNORE, TAKES_MORE = 1, 4  # SIG_IGN; SA_SIGINFO
    FLAGS_AT = 136  # in Linux's struct sigaction, behind the handler and the mask; on 64 bits

    def __init__(self):
        self.function, self.libc = None, None
        self.action = None
        try:
            self.why_not = self.find()
        except Exception as problem:
            self.why_not = "the host's SIGINT handler cannot be found out: %s" % problem

    def find(self):
        """Before ours is installed.  Why it cannot be called, or None."""
        # Not platform.machine(), which may start a process to find out.
        if not sys.platform.startswith("linux") or os.uname()[4] not in ("x86_64", "aarch64"):
            return "the host's SIGINT handler cannot be found out on this system"
        if signal.getsignal(signal.SIGINT) is not None:
            return "the host has no SIGINT handler of its own"
        self.libc = ctypes.CDLL(None)
        action = ctypes.create_string_buffer(512)
        if self.libc.sigaction(int(signal.SIGINT), None, action):
            return "the system does not tell the host's SIGINT handler"
        address = ctypes.c_void_p.from_buffer(action).value
        if address in (None, self.IGNORE):
            return "the host has no SIGINT handler of its own"
        self.action = action
        if ctypes.c_int.from_buffer(action, self.FLAGS_AT).value & self.TAKES_MORE:
            return "the host's SIGINT handler wants to know more than a number"
        self.function = ctypes.CFUNCTYPE(None, ctypes.c_int)(address)
        return None

    def call(self):
        if self.function is None:
            raise RuntimeError(self.why_not)
        self.function(0)

    def give_back(self):
        if self.action is not None:
            self.libc.sigaction(int(signal.SIGINT), self.action, None)


# --- Pumps -------------------------------------------------------------------------------------------
# How commands get their turn in a host with an event loop of its own: an application with its window open.


class NoLoop(Exception):
    """The host has no such event loop."""


class Pump(object):
    """A host's event loop, as far as we need it.

    What must stay true: `turn` is called by the host's loop, on the host's main thread; too often does no harm.  `wake`
    comes from any thread, as often as something is to be done, and never waits for the main thread, which may be in a
    command for hours.  Whoever is not the host's main thread asks the host for nothing else.
    """

    word = None

    def start(self, turn):
        """Main thread, once: from now on `turn` is called after each `wake`.  Raises NoLoop."""
        raise NotImplementedError

    def wake(self):
        raise NotImplementedError

    def leave(self, code):
        """Main thread, within a turn: have the application end as it does when its user closes it, asking nothing."""
        raise NotImplementedError

    def loaded(self, name):
        """A module of the host's.  A host has loaded it long ago; to import it elsewhere may start the whole host."""
        module = sys.modules.get(name)
        if module is None:
            raise NoLoop("the module %s is not loaded" % name)
        return module


class PipePump(Pump):
    """Of a loop that can watch a descriptor: it wakes at once, and costs nothing while nothing comes."""

    def __init__(self):
        self.reading, self.writing = os.pipe()
        for fd in (self.reading, self.writing):
            close_on_exec(fd)
            fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_NONBLOCK)
        self.turn = None

    def wake(self):
        try:
            os.write(self.writing, b"x")
        except EnvironmentError:
            pass  # full, so it wakes anyway

    def woken(self, *_):
        try:
            os.read(self.reading, 64 * KIB)
        except EnvironmentError:
            pass
        self.turn()


class QtPump(PipePump):
    """Any application with a QApplication, through whichever binding has it.

    A dialog's own loop (`exec_`) calls us too.  No exception passes through it: what interrupts the command is raised
    when the dialog is closed, which is something for the recipe's `cancel`.
    """

    word = "qt"
    BINDINGS = ("PySide6", "PySide2", "PyQt6", "PyQt5")

    def __init__(self):
        PipePump.__init__(self)
        self.core, self.notifier = None, None

    def start(self, turn):
        self.turn, self.core = turn, self.find()
        kinds = self.core.QSocketNotifier if hasattr(self.core.QSocketNotifier, "Read") else self.core.QSocketNotifier.Type
        # The application is its parent, so that it does not outlive that.
        self.notifier = self.core.QSocketNotifier(self.reading, kinds.Read, self.core.QCoreApplication.instance())
        self.notifier.activated.connect(self.woken)

    def find(self):
        """QtCore of the first binding that knows the application."""
        found = [name for name in self.BINDINGS if name + ".QtCore" in sys.modules]
        # Where the host is C++, perhaps nobody has imported one yet.
        without = []
        for name in found or self.BINDINGS:
            try:
                core = __import__(name + ".QtCore", fromlist=["QtCore"])
            except Exception:
                continue
            if core.QCoreApplication.instance() is not None:
                return core
            without.append(name)
        if without:
            raise NoLoop("there is no QApplication yet in %s" % " or ".join(without))
        raise NoLoop("none of %s can be imported" % ", ".join(self.BINDINGS))

    def leave(self, code):
        self.core.QCoreApplication.exit(code)


class TkinterPump(PipePump):
    """A program with a tkinter root window.  Not `after`, which other threads may not call: they would wait for it."""

    word = "tkinter"

    def __init__(self):
        PipePump.__init__(self)
        self.root = None

    def start(self, turn):
        tkinter = self.loaded("Tkinter" if PY2 else "tkinter")
        self.turn, self.root = turn, getattr(tkinter, "_default_root", None)
        if self.root is None:
            raise NoLoop("tkinter has no root window yet")
        self.root.tk.createfilehandler(self.reading, tkinter.READABLE, self.woken)

    def leave(self, code):
        self.root.destroy()


class BlenderPump(Pump):
    """Blender with its window.

    It has no way to be woken from another thread, so a timer looks.  While commands come it looks whenever Blender's own
    loop turns, which is every few milliseconds; later a command may wait for LAZY seconds.  What the looks cost is lost
    in what that loop costs by itself (one or two hundredths of a core, measured with and without them).
    """

    word = "blender"
    EAGER, LAZY = 0.0, 0.05
    EAGER_SECONDS = 1.0

    def __init__(self):
        self.bpy, self.turn = self.loaded("bpy"), None
        self.woken_at = monotonic()

    def start(self, turn):
        if self.bpy.app.background:
            raise NoLoop("Blender runs in the background")
        self.turn = turn
        # Persistent, since a command that opens a file ends all others.
        self.bpy.app.timers.register(self.look, first_interval=0.0, persistent=True)

    def look(self):
        self.turn()
        return self.EAGER if monotonic() - self.woken_at < self.EAGER_SECONDS else self.LAZY

    def wake(self):
        self.woken_at = monotonic()

    def leave(self, code):
        self.bpy.ops.wm.quit_blender()


class MayaPump(Pump):
    """Maya with its window, whose `executeDeferred` may be called from any thread and is heeded when Maya is idle."""

    word = "maya"

    def __init__(self):
        self.cmds, self.utils, self.turn = self.loaded("maya.cmds"), None, None

    def start(self, turn):
        if self.cmds.about(batch=True):
            raise NoLoop("Maya runs in batch mode")
        self.turn, self.utils = turn, __import__("maya.utils", fromlist=["utils"])

    def wake(self):
        self.utils.executeDeferred(self.turn)

    def leave(self, code):
        self.cmds.quit(force=True, exitCode=code)


class HoudiniPump(Pump):
    """Houdini with its window, which calls us each time its loop turns: some twenty times a second when it is idle.

    Not woken from the other thread: its API has one lock for all threads, which a command may hold.
    """

    word = "houdini"

    def __init__(self):
        self.hou = self.loaded("hou")

    def start(self, turn):
        if not self.hou.isUIAvailable():
            raise NoLoop("Houdini runs without its window")
        self.hou.ui.addEventLoopCallback(turn)

    def wake(self):
        pass

    def leave(self, code):
        self.hou.exit(code, suppress_save_prompt=True)


class NukePump(Pump):
    """Nuke with its window, whose `executeInMainThread` is made for other threads and returns at once."""

    word = "nuke"

    def __init__(self):
        self.nuke, self.turn = self.loaded("nuke"), None

    def start(self, turn):
        if not self.nuke.GUI:
            raise NoLoop("Nuke runs in a terminal")
        self.turn = turn

    def wake(self):
        self.nuke.executeInMainThread(self.turn)

    def leave(self, code):
        self.nuke.modified(False)  # or it would ask whether to save the script
        self.nuke.scriptExit()


PUMPS = {pump.word: pump for pump in (QtPump, TkinterPump, BlenderPump, MayaPump, HoudiniPump, NukePump)}


def start_pump(word, turn):
    """The running pump of this name."""
    if word not in PUMPS:
        raise NoLoop("no pump of that name is known")
    pump = PUMPS[word]()
    pump.start(turn)
    return pump


# --- The Executor ------------------------------------------------------------------------------------


class Executor(object):
    """Runs commands on the main thread, and answers for them from whichever thread leads.

    Without a pump, `serve` has the main thread.  With one the host keeps it: the follower leads for ever, and the
    host's event loop calls `turn`.
    """

    def __init__(self, channel, output, welcome):
        self.channel, self.output, self.pump = channel, output, None
        self.period = float(welcome.get("heartbeat") or 1.0)
        self.value_limit = int(welcome.get("value_limit") or 64 * KIB)
        self.exception_limit = int(welcome.get("exception_limit") or 1024 * KIB)
        self.echo = bool(welcome.get("echo"))
        self.prompt = os.environ.get("CHILDMINDER_PROMPT") or ">>> "
        self.main_ident = get_ident()
        self.sources = Sources()
        self.pending = collections.deque()
        self.exit_code = None
        self.in_turn, self.gone = False, False
        self.answers = {
            "execute": self.pending.append, "shutdown": self.pending.append, "interrupt": self.on_interrupt,
            "raise": self.on_raise, "cancel": self.on_cancel, "side": self.on_side, "names": self.on_names,
            "ping": self.on_ping, "stacks": self.on_stacks, "complete": self.on_complete, "check": self.on_check,
        }
        # What the lock guards: which command runs, whether it may be interrupted, and who leads.
        self.lock = new_lock()
        self.running = None
        self.began = 0.0
        self.beat_due = 0.0
        self.count = 0
        self.parked = True
        self.leading = False
        self.unpark, self.handed = new_lock(), new_lock()
        self.unpark.acquire()
        self.handed.acquire()
        self.recall, self.recalling = os.pipe()
        for fd in (self.recall, self.recalling):
            close_on_exec(fd)
        self.interrupt_pending = False
        # When to send an interrupt again: Python looks for signals between byte codes, and one that comes after the
        # look and before a system call does not end that call.
        self.unseen_at = None
        self.tries = 0
        # What the next signal of ours raises.
        self.wanted = KeyboardInterrupt
        # Whether an asynchronous exception may be sent, is being sent, and has been sent: see `close_window`.
        self.exposed, self.arming, self.armed = False, False, False
        self.set_async = find_set_async()
        self.beside = {"side": 0, "cancel": 0}
        self.sigint = False
        self.host = HostHandler()
        self.pthread_kill = find_pthread_kill()
        self.former_sigint = None
        self.former_main = None
        self.module = types.ModuleType("__main__")
        self.module.__dict__["__builtins__"] = builtins
        self.namespace = self.module.__dict__

    # Life

    def install(self):
        if self.pump is None:
            self.former_main = sys.modules.get("__main__")
            sys.modules["__main__"] = self.module
        try:
            self.former_sigint = signal.signal(signal.SIGINT, self.on_sigint)
            self.sigint = True
        except ValueError:
            pass  # not on the main thread
        follower = threading.Thread(target=self.follow, name="childminder")
        follower.daemon = True
        follower.start()

    def uninstall(self):
        if self.sigint and self.former_sigint is not None:
            try:
                signal.signal(signal.SIGINT, self.former_sigint)
            except (ValueError, TypeError):
                pass
        elif self.sigint:  # a handler not set from Python
            self.host.give_back()
        if self.former_main is not None:
            sys.modules["__main__"] = self.former_main

    def serve(self):
        """The blocking pump: until shutdown or until the engine is gone.  The exit code."""
        while self.exit_code is None:
            if self.pending:
                self.run_pending()
                continue
            self.take_lead()
            if not self.pending:
                self.handle(self.channel.read())
        return self.exit_code

    def run_pending(self):
        while self.pending and self.exit_code is None:
            self.run_next()

    def run_next(self):
        message = self.pending.popleft()
        if message["type"] == "shutdown":
            code = message.get("code")
            self.exit_code = code if isinstance(code, int) else 0
        else:
            self.run(message)

    # Life in a host with an event loop

    def join_loop(self, word):
        """Before `install`: have the host's loop call `turn`.  Raises NoLoop."""
        self.pump = start_pump(word, self.turn)
        self.answers.update(execute=self.queue_and_wake, shutdown=self.queue_and_wake)
        atexit.register(self.at_exit)

    def queue_and_wake(self, message):
        self.pending.append(message)
        self.pump.wake()

    def turn(self):
        """Called by the host's loop on its main thread: one command, and then the host has its turn again.

        A command may run an event loop of its own (a dialog, an `update`), which calls us too: the next one waits.
        """
        if self.in_turn or not self.pending or self.exit_code is not None or getpid() != self.channel.pid:
            return
        self.in_turn = True
        # What the host itself runs between commands has its own idea of what __main__ is.
        former_main, sys.modules["__main__"] = sys.modules.get("__main__"), self.module
        former_hook = sys.excepthook
        sys.excepthook = hook = self.hook_before(former_hook)
        try:
            self.main_ident = get_ident()
            self.run_next()
        except Gone as gone:
            self.pending.clear()
            self.lose(gone)
        finally:
            sys.modules["__main__"] = former_main
            if sys.excepthook is hook:
                sys.excepthook = former_hook
            self.in_turn = False
        if self.exit_code is not None:
            self.leave()
        elif self.pending:
            self.pump.wake()

    def hook_before(self, former):
        """The host's excepthook, while a command runs: a loop of the command's reports to it what its callbacks raise.

        That may be an interrupt, which met a callback.  It is raised again where the command has called the loop, once
        that returns.  Besides, where nobody has replaced the hook, PyQt ends the process.
        """
        def hook(kind, value, trace):
            if kind in (KeyboardInterrupt, Cancelled) and self.running is not None and get_ident() == self.main_ident:
                return self.raise_after_loop(sys._getframe(1), kind)
            return former(kind, value, trace)

        return hook

    def raise_after_loop(self, frame, kind):
        """Raise when this frame, which is in C code now, goes on or ends."""
        if sys.gettrace() is not None:
            return  # a debugger's

        def trace(frame, event, argument):
            sys.settrace(None)
            frame.f_trace = None
            if self.running is not None:
                raise kind

        frame.f_trace = trace
        sys.settrace(lambda frame, event, argument: None)

    def at_exit(self):
        """Few hosts can be told what to exit with.  After whatever commands have registered, and not for a mere 0."""
        if self.exit_code and getpid() == self.channel.pid:
            self.output.flush()
            os._exit(self.exit_code & 0xff)

    def leave(self):
        """Have the application end, in its own way if that works."""
        self.uninstall()
        self.output.flush()
        end_by(self.output, self.exit_code, LEAVE_SECONDS)
        try:
            self.pump.leave(self.exit_code)
        except BaseException:  # some hosts leave by a SystemExit, which here would meet their loop
            if sys.exc_info()[0] is not SystemExit:
                complain("the application cannot be asked to end: %s" % traceback.format_exc())

    def lose(self, why):
        """Any thread: nobody listens any more, so the application ends, properly if its loop still turns."""
        if self.exit_code is not None:
            return
        with self.lock:
            busy = self.running is not None
        if busy:
            self.die(str(why))
        complain(why)
        self.gone = True
        self.queue_and_wake({"type": "shutdown", "code": EXIT_LOST})
        end_by(self.output, EXIT_LOST, LEAVE_SECONDS)

    def handle(self, messages):
        for message in messages:
            answer = self.answers.get(message["type"])
            if answer:
                try:
                    answer(message)
                except (KeyError, TypeError, ValueError, AttributeError) as problem:
                    raise Gone("the engine sent a malformed %s: %s" % (message["type"], type(problem).__name__))

    # A command

    def run(self, message):
        try:
            number, source = int(message["id"]), message["source"] + u""
        except (KeyError, TypeError, ValueError):
            raise Gone("the engine sent a malformed execute")
        if self.gone:
            return
        if self.echo:
            # Before "started", and so before anything that the command prints.
            self.output.echo(well_formed(u"%s%s\n" % (as_text(self.prompt), source[:MAX_ECHO].rstrip(u"\n"))))
        now = monotonic()
        with self.lock:
            self.began, self.beat_due = now, now + self.period
            self.count += 1
            self.interrupt_pending, self.unseen_at, self.tries, self.wanted = False, None, 0, KeyboardInterrupt
            self.running = number
            wake, self.parked = self.parked, False
        if wake:
            self.rouse()
        # With what follows, if that follows soon: one packet and one wake-up instead of two, which more than halves
        # the round trip of a short command.  The kernel sends it by itself after 0.2 s, whoever holds the GIL, and
        # when the process dies.  After an echo it is sent at once: it stands between that and the command's output.
        self.channel.send_bytes(b'{"type":"started","id":%d}' % number, 0 if self.echo else MSG_MORE)
        reply = self.perform(number, source, message.get("value"))
        self.output.flush()
        if getpid() != self.channel.pid:
            os._exit(0)  # a forked copy that came out of the command: it has no work here
        with self.lock:
            self.running = None
        if self.tries:
            self.forget_blocked()
        self.channel.send_bytes(reply)

    def perform(self, number, source, want_value):
        """Compile and run; the bytes of the reply.  Nothing the command does gets past here."""
        try:
            try:
                value = self.evaluate(number, source, want_value, True)
                if value is None:
                    return b'{"type":"finished","id":%d,"value":null,"cut":null}' % number
                self.namespace["_"] = value  # as at Python's own prompt
                return self.finished(number, value)
            finally:
                self.close_window()
        except:  # noqa: E722  old-style classes of Python 2 are no BaseException
            self.close_window()  # once more: what it ends may have come before it
            return self.raised(number)

    def evaluate(self, number, source, want_value, exposed=False):
        """Run a command's text; its value, None if there is none."""
        filename = "<command %d>" % number
        self.sources.add(filename, source)
        code, last = compile_command(source, filename, want_value)
        if exposed:
            self.exposed = True
        run_code(code, self.namespace)
        return evaluate_code(last, self.namespace) if last is not None else None

    def finished(self, number, value):
        text, cut = None, None
        if value is not None:
            try:
                text = value_text(value)
                if len(text) > self.value_limit:
                    cut = len(text)
                text = bounded(text, self.value_limit)
            except (KeyboardInterrupt, Cancelled):
                raise
            except:  # noqa: E722
                text = failure_of("repr")
        return to_json({"type": "finished", "id": number, "value": text, "cut": cut})

    def raised(self, number, info=None):
        info = info or sys.exc_info()
        try:
            leave = exit_code_of(info[1]) if isinstance(info[1], SystemExit) else None
            return describe_exception(
                info, self.exception_limit,
                lambda exc: {"type": "raised", "id": number, "exception": exc, "exit": leave},
                lambda: self.interrupt_pending and get_ident() == self.main_ident)
        finally:
            del info

    # Interrupts

    def on_sigint(self, signum, frame):
        self.unseen_at = None
        if self.running is None:
            return
        exposed = self.exposed
        if exposed and self.close_window():  # it was to come both ways, and comes once
            self.wanted = Cancelled
        try:
            if user_code_on_top(frame):
                self.raise_wanted()
            # It met our own code: the follower sends it again until it meets the user's.
            self.interrupt_pending = True
        finally:
            self.exposed = exposed

    def raise_wanted(self):
        self.interrupt_pending = False
        wanted, self.wanted = self.wanted, KeyboardInterrupt
        raise wanted

    def signal_main(self):
        self.pthread_kill(self.main_ident, signal.SIGINT)

    def on_interrupt(self, message):
        self.ask_to_end(message, KeyboardInterrupt)

    def on_raise(self, message):
        self.ask_to_end(message, Cancelled)

    def ask_to_end(self, message, wanted):
        reason = u""
        with self.lock:
            if not self.sigint and not (wanted is Cancelled and self.set_async):
                reason = u"SIGINT is not ours to use in this host"
            elif self.running is None or self.running != message["command"]:
                reason = u"command %s is not running" % message["command"]
            else:
                if wanted is Cancelled:
                    self.wanted = Cancelled
                self.tries = 0
                self.press()
            # Under the lock, which the command's end needs as well: so this is told before "raised".
            self.channel.send({"type": "interrupt_result", "id": message["id"], "ok": not reason, "reason": reason})

    def press(self):
        """Under the lock: raise what is wanted in the main thread, by a signal, which ends waits as well.

        A host may keep signals to itself, and a command block them or take our handler away.  Then Cancelled comes as
        an asynchronous exception, which ends no wait.
        """
        self.tries += 1
        otherwise = self.wanted is Cancelled and self.set_async
        if otherwise and (self.tries > 2 or not self.heeded()):
            self.unseen_at = None
            self.arm()
        else:
            self.unseen_at = monotonic() + UNSEEN_SECONDS if otherwise or self.tries == 1 else None
            self.signal_main()

    def heeded(self):
        return self.sigint and signal.getsignal(signal.SIGINT) == self.on_sigint

    def arm(self):
        """Send Cancelled as an asynchronous exception; to our own code say that it is wanted, until it meets the user's."""
        self.arming = True
        try:
            if self.wanted is not Cancelled:
                return  # it came by a signal meanwhile
            exposed = self.exposed
            self.interrupt_pending = not exposed
            if exposed:
                if not Cancelled.flying:
                    self.armed = Cancelled.flying = True
                    self.set_async(self.main_ident, Cancelled)
                self.wanted = KeyboardInterrupt
        finally:
            self.arming = False

    def close_window(self):
        """Main thread: from here on no asynchronous exception comes.  Whether one was on its way.

        It may come between any two byte codes before that, here too.  No lock helps against that: one might be lost
        with it.  So each side first says what it is about to do and then looks at what the other has said.
        """
        caught = False
        while True:
            try:
                self.exposed = False
                while self.arming and getpid() == self.channel.pid:
                    sleep(0.001)
                flying = Cancelled.flying
                if self.armed:
                    self.set_async(self.main_ident, None)
                    self.armed = Cancelled.flying = False
                return caught or flying
            except Cancelled:
                caught = True

    def sheltered(self, function, *arguments):
        """Call a function of ours for user code; what was on its way to the main thread meanwhile is raised afterwards."""
        if get_ident() != self.main_ident:
            return function(*arguments)
        exposed = self.exposed
        if exposed and self.close_window():
            self.wanted, self.interrupt_pending = Cancelled, True
        try:
            function(*arguments)
            if self.interrupt_pending and self.running is not None:
                self.raise_wanted()
        finally:
            self.exposed = exposed

    def forget_blocked(self):
        """A signal that the command has blocked must not hit the next one, should that let it through."""
        try:
            signal.sigtimedwait([signal.SIGINT], 0)
        except Exception:  # Python 2
            pass

    # Beside the main thread

    def spawn(self, kind, function, *arguments):
        """Why it cannot be run on a thread of its own, or None."""
        def run():
            try:
                function(*arguments)
            finally:
                if getpid() != self.channel.pid:
                    os._exit(0)  # a forked copy that came out of it
                with self.lock:
                    self.beside[kind] -= 1

        with self.lock:
            if self.beside[kind] >= MAX_BESIDE:
                return u"%d %s commands run already, and do not end" % (MAX_BESIDE, kind)
            self.beside[kind] += 1
        try:
            start_thread("childminder " + kind, run)
        except Exception as problem:
            with self.lock:
                self.beside[kind] -= 1
            return bounded(u"no thread for it: %s" % problem)

    def on_side(self, message):
        number, source = int(message["id"]), message["source"] + u""
        refused = self.spawn("side", self.run_beside, number, source)
        if refused:
            self.channel.send_bytes(self.raised(number, (RuntimeError, RuntimeError(refused), None)))

    def run_beside(self, number, source):
        try:
            reply = self.finished(number, self.evaluate(number, source, True))
        except:  # noqa: E722
            reply = self.raised(number)
        self.output.nudge()  # no flush, which could wait for what the main thread holds
        if self.exit_code is None:
            self.channel.send_bytes(reply)

    def on_cancel(self, message):
        number, command, source = message["id"], message["command"], message["source"] + u""
        with self.lock:
            reason = u"" if self.running is not None and self.running == command else u"command %s is not running" % command
        reason = reason or self.spawn("cancel", self.run_cancel, number, source)
        if reason:
            self.answer_cancel(number, reason)

    def run_cancel(self, number, source):
        said, done = [], new_lock()
        done.acquire()
        scope = dict(items_of(self.namespace), childminder=sys.modules.get("childminder"))

        def attempt():
            try:
                run_code(compile_command(source, "<cancel>", False)[0], scope)
                said.append(u"")
            except:  # noqa: E722
                said.append(headline(*sys.exc_info()[:2]))
            done.release()

        start_thread("childminder cancel", attempt)
        acquire_within(done, CANCEL_SECONDS)
        self.answer_cancel(number, said[0] if said else u"the host's cancel has not returned after %g s" % CANCEL_SECONDS)

    def answer_cancel(self, number, reason):
        self.channel.send({"type": "interrupt_result", "id": number, "ok": not reason, "reason": reason})

    # Questions

    def on_ping(self, message):
        self.channel.send({"type": "pong", "id": message["id"], "command": self.running})

    def on_stacks(self, message):
        try:
            threads = threads_now(bool(message.get("locals")), self.main_ident, self.exception_limit)
        except Exception:
            threads = []
        payload = to_json({"type": "stacks", "id": message["id"], "threads": threads})
        if len(payload) > MAX_FRAME:
            payload = to_json({"type": "stacks", "id": message["id"], "threads": threads[:1]})
        self.channel.send_bytes(payload)

    def on_names(self, message):
        names, more = names_of(self.namespace)
        self.channel.send({"type": "names", "id": message["id"], "names": names, "more": more})

    def on_complete(self, message):
        start, matches = completions(self.namespace, message["text"])
        self.channel.send({"type": "completions", "id": message["id"], "start": start, "matches": matches})

    def on_check(self, message):
        state, why = check(message["source"])
        self.channel.send({"type": "checked", "id": message["id"], "state": state, "message": why})

    # The follower

    def rouse(self):
        if self.pump is None:
            self.unpark.release()
        else:
            os.write(self.recalling, b"x")

    def take_lead(self):
        """Main thread, nothing to run: have the follower hand the socket back."""
        with self.lock:
            leading = self.leading
        if leading:
            os.write(self.recalling, b"x")
            self.handed.acquire()

    def follow(self):
        try:
            if self.pump is not None:
                self.leading = True
                self.lead()
            while True:
                self.unpark.acquire()
                while self.worth_following():
                    pass
        except Gone as gone:
            if self.pump is not None:
                self.lose(gone)
            else:
                self.die(str(gone))
        except BaseException:
            if traceback is None:
                return  # Python 2 takes the interpreter down around us: nobody is left to be told
            self.die("the second thread failed:\n" + traceback.format_exc())

    def worth_following(self):
        """One look at a burst of commands: lead if the same one still runs; park when nothing has run since."""
        count = self.count
        sleep(GRACE)
        with self.lock:
            if count == self.count:
                if self.running is None:
                    self.parked = True
                    return False
                self.leading = True
        if self.leading:
            self.lead()
        return True

    def lead(self):
        asker = select.poll()
        asker.register(self.channel.sock.fileno(), select.POLLIN)
        asker.register(self.recall, select.POLLIN)
        while True:
            try:
                ready = [fd for fd, _ in asker.poll(self.until_beat() * 1000)]
            except (EnvironmentError, select.error):
                ready = []  # Python 2.7, a signal
            if self.recall in ready:
                os.read(self.recall, 1)
                if self.pump is None:
                    break
            if self.channel.sock.fileno() in ready:
                self.handle(self.channel.read_some())
            self.beat()
        with self.lock:
            self.leading = False
        self.handed.release()

    def until_beat(self):
        if self.pump is not None:
            with self.lock:
                if self.running is None:
                    self.parked = True
                    return -1  # until the next command begins
        if self.interrupt_pending:
            return 0.02
        # Read once: the main thread may forget it at any moment.
        due = [moment for moment in (self.beat_due, self.unseen_at) if moment is not None]
        return max(0.0, min(self.period, min(due) - monotonic()))

    def beat(self):
        due = False
        with self.lock:
            if self.running is None:
                return
            unseen_at = self.unseen_at
            unseen = unseen_at is not None and monotonic() >= unseen_at
            if unseen:
                self.unseen_at = None
            if unseen or self.interrupt_pending:
                self.press()
            elapsed = monotonic() - self.began
            if monotonic() >= self.beat_due:
                due = True
                self.beat_due += self.period
                # Under the lock, so that no beat follows its command's end.
                self.channel.send({"type": "heartbeat", "id": self.running, "elapsed": round(elapsed, 6)})
        if due:
            self.output.nudge()

    def die(self, why):
        """From the follower: the main thread is in a command that nobody waits for any more."""
        complain(why)
        flush_within(self.output, FLUSH_SECONDS)
        os._exit(EXIT_LOST)


def headline(kind, problem):
    """An exception's last line, whatever its __str__ does."""
    try:
        why = as_text(string_of(problem))
    except:  # noqa: E722
        why = u"?"
    return bounded(u"%s: %s" % (getattr(kind, "__name__", "?"), why))


def acquire_within(lock, seconds):
    if not PY2:
        return lock.acquire(True, seconds)
    limit = monotonic() + seconds
    while not lock.acquire(False):  # as Python 2's own waits do
        if monotonic() > limit:
            return False
        sleep(0.01)
    return True


def find_pthread_kill():
    """A signal to the whole process may go to another thread, and then wakes no sleep of the main thread."""
    if hasattr(signal, "pthread_kill"):
        return signal.pthread_kill
    try:  # Python 2.7 and PyPy, whose identifiers are pthread_t too
        function = ctypes.CDLL(None).pthread_kill
        function.argtypes = [ctypes.c_ulong, ctypes.c_int]
        return lambda ident, signum: function(ident, int(signum))
    except Exception:
        return lambda ident, signum: os.kill(getpid(), signum)


def exit_code_of(leaving):
    """The exit code that Python would have made of a SystemExit."""
    code = getattr(leaving, "code", None)
    if code is None:
        return 0
    if isinstance(code, integer_types):
        return int(code) if -2 ** 31 <= code < 2 ** 31 else int(code) & 0xff
    return 1


# --- What user code may import -----------------------------------------------------------------------


def user_module(executor):
    """`import childminder` in the child: tells the engine about the work.  Works, silently, without one too."""
    module = types.ModuleType("childminder")
    module.__doc__ = user_module.__doc__

    def send(message):
        executor.sheltered(send_whole, message)

    def send_whole(message):
        executor.channel.send(message)
        if executor.channel.contended:
            # Locks are not fair: a command that reports without pause would keep the follower from answering.
            executor.channel.contended = False
            sleep(0.001)

    def progress(fraction):
        """How much of the current item is done, 0 to 1."""
        fraction = float(fraction)
        if fraction != fraction:
            raise ValueError("progress is not a number")
        send({"type": "progress", "id": executor.running, "fraction": min(1.0, max(0.0, fraction))})

    def status(text):
        """One line about what is going on."""
        send({"type": "status", "id": executor.running, "text": spoken(text)})

    def output(path):
        """A file that this item has made."""
        path = os.fspath(path) if hasattr(os, "fspath") else path
        send({"type": "output", "id": executor.running, "path": spoken(path)})

    def fail(message):
        """The item has failed, though no exception says so."""
        send({"type": "fail", "id": executor.running, "message": spoken(message)})

    def spoken(value):
        return bounded(value if isinstance(value, (bytes, text_type)) else str(value))

    def host_sigint():
        """What the host itself does when it is interrupted, as often as wanted: for the host's own cancel."""
        executor.host.call()

    offered = (progress, status, output, fail, host_sigint, Cancelled)
    for thing in offered:
        setattr(module, thing.__name__, thing)
    module.__all__ = [thing.__name__ for thing in offered]
    return module


def watch_threads(executor):
    """Tell of exceptions that end other threads.  Whether this Python can."""
    former = getattr(threading, "excepthook", None)
    if former is None:
        return False

    def hook(args):
        try:
            if args.exc_type is not SystemExit and args.exc_value is not None:
                name = bounded(getattr(args.thread, "name", None) or "", 200)
                executor.channel.send_bytes(describe_exception(
                    (args.exc_type, args.exc_value, args.exc_traceback), executor.exception_limit,
                    lambda exc: {"type": "thread_exception", "thread": name, "exception": exc}))
        finally:
            former(args)

    threading.excepthook = hook
    return True


def silence_forks(channel):
    """A forked copy may not speak; where Python can say so it does not even keep the socket."""
    register = getattr(os, "register_at_fork", None)
    if register is None:
        return

    def in_child():
        try:
            channel.sock.close()
        except Exception:
            pass

    register(after_in_child=in_child)


# --- Hello -------------------------------------------------------------------------------------------


def application():
    """Who hosts us.  Only what is loaded is asked: importing a host's module may start the whole host."""
    version = platform.python_version()
    for module, ask in (
        ("bpy", lambda bpy: bpy.app.version_string),
        ("maya.cmds", lambda cmds: cmds.about(version=True)),
        ("hou", lambda hou: hou.applicationVersionString()),
        ("nuke", lambda nuke: nuke.NUKE_VERSION_STRING),
        ("gdb", lambda gdb: gdb.VERSION),
    ):
        if sys.modules.get(module) is not None:
            try:
                version = ask(sys.modules[module])
                break
            except Exception:
                pass
    return {"name": bounded(os.environ.get("CHILDMINDER_APPLICATION") or kind_of_host() or "python", 200),
            "version": bounded(str(version), 200)}


def register_stacks():
    """On SIGUSR1, Python's C code writes all stacks to a file, whoever holds the interpreter's lock."""
    path = os.environ.get("CHILDMINDER_STACK_FILE")
    if not path or faulthandler is None:
        return False
    try:
        stream = os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "w")
        faulthandler.register(signal.SIGUSR1, file=stream, all_threads=True, chain=False)
        if not faulthandler.is_enabled():
            faulthandler.enable(file=stream, all_threads=True)  # a crash leaves its stacks there too
        register_stacks.stream = stream  # faulthandler keeps only the descriptor
        return True
    except Exception:
        return False


def hello(executor, stacks, threads):
    signals = {}
    if executor.sigint:
        signals["SIGINT"] = "interrupt"
    if stacks:
        signals["SIGUSR1"] = "stacks"
    features = ["stacks", "complete", "check", "names", "side", "cancel"]
    features.append("pump:" + ("block" if executor.pump is None else executor.pump.word))
    if executor.sigint:
        features.append("interrupt")
    if executor.sigint or executor.set_async:
        features.append("raise")
    if executor.set_async:
        features.append("raise:async")
    if executor.host.function is not None:
        features.append("host_sigint")
    if threads:
        features.append("thread_exception")
    try:
        cwd = os.getcwd()
    except EnvironmentError:
        cwd = ""
    argv = getattr(sys, "argv", None) or []
    return {
        "type": "hello", "protocol": PROTOCOL, "pid": getpid(), "ppid": os.getppid(),
        "executable": bounded(sys.executable or ""), "argv": [bounded(word) for word in argv[:100]],
        "cwd": bounded(cwd), "python": platform.python_version(),
        "implementation": platform.python_implementation(), "application": application(),
        "encoding": bounded(getattr(sys.stdout, "encoding", None) or "", 100), "signals": signals,
        "features": features,
    }


# --- Start -------------------------------------------------------------------------------------------


def options_in(argv):
    """What is said behind `--`, if there is one (Blender's argv is its whole command line), also as Qube spells it."""
    words = [word for word in list(argv or []) if isinstance(word, (str, text_type))]
    if "--" in words:
        words = words[words.index("--") + 1:]
    found = {}
    for word, following in zip(words, words[1:] + [None]):
        option, equals, value = word.partition("=")
        if option in ("--port", "--kind"):
            found.setdefault(option[2:], value if equals else following)
        elif word in ("-p", "-k"):
            found.setdefault(word, following)
    # Of a host whose own option this is (Blender's -p places its window), only what can be meant.
    if not (found.get("-p") or "").isdigit() or not 0 < int(found["-p"]) < 65536:
        found.pop("-p", None)
    return found


def options():
    return options_in(getattr(sys, "argv", None))


def known_port():
    found = options()
    return CREDENTIALS[0] or found.get("port") or CREDENTIALS[1] or found.get("-p")


def kind_of_host():
    """What Qube would call the application."""
    found = options()
    return found.get("kind") or found.get("-k")


def end_by(output, code, seconds=EXIT_SECONDS):
    """The host is asked to take its leave; if it does not, the process is ended all the same."""
    leaving = new_lock()
    leaving.acquire()

    def insist():
        limit = monotonic() + seconds
        while monotonic() < limit:
            if leaving.acquire(False):
                return  # the interpreter is being taken down: however long it takes, it is no longer swallowed
            sleep(0.05)
        flush_within(output, FLUSH_SECONDS)
        os._exit(code & 0xff)

    atexit.register(leaving.release)
    watchdog = threading.Thread(target=insist, name="childminder exit")
    watchdog.daemon = True
    watchdog.start()


def serve(port, secret):
    """Reach the engine and run its commands: to the end, and then the exit code; where a pump does it, None at once."""
    occupy_standard_descriptors()
    channel, welcome = reach_engine(port, secret)
    channel.sock.settimeout(None)
    silence_forks(channel)
    output = Output()
    executor = Executor(channel, output, welcome)
    pump = as_text(welcome.get("pump") or "block")
    if pump != "block":
        try:
            executor.join_loop(pump)
        except NoLoop as problem:
            complain("the recipe's pump is \"%s\", but %s" % (pump, problem))
            end_by(output, EXIT_NO_LOOP)
            return EXIT_NO_LOOP
    sys.modules["childminder"] = user_module(executor)
    warnings.filterwarnings("ignore", module=re.escape(CHECKED))
    stacks, threads = register_stacks(), watch_threads(executor)
    executor.install()
    channel.send(hello(executor, stacks, threads))
    if executor.pump is not None:
        return None
    try:
        code = executor.serve()
    except Gone as gone:
        complain(gone)
        code = EXIT_LOST
    finally:
        executor.uninstall()
    output.flush()
    end_by(output, code)
    return code


def unlock_imports():
    """Imported in Python 2, we hold its one import lock, and no other thread could ever import.  What undoes it."""
    if PY2:
        import imp
        if imp.lock_held():
            imp.release_lock()
            return imp.acquire_lock
    return lambda: None


def start(port=None, secret=None):
    """Reach the engine and serve it; see the top of this file.  Once in a process: some hosts run a script again."""
    if getattr(sys, "childminder_started", None) == getpid() or "__mp_main__" in sys.modules:
        return  # multiprocessing runs a parent's script in its workers
    port, secret = port or known_port(), secret or CREDENTIALS[2]
    if port is None:
        complain("no port given: this file is run by the childminder engine")
        raise SystemExit(2)
    sys.childminder_started = getpid()
    relock = unlock_imports()
    try:
        key = binascii.unhexlify(secret or "")
        if not key:
            raise Refused("no secret given")
        code = serve(int(port), key)
    except Refused as refused:
        complain(refused)
        code = EXIT_REFUSED
    except (Gone, EnvironmentError, ValueError, TypeError, binascii.Error) as problem:
        complain("cannot reach the engine: %s" % problem)
        code = EXIT_LOST
    relock()
    if code is not None:
        raise SystemExit(code)


if __name__ == "__main__" or __name__ != "childminder_executor" and known_port() is not None:
    start()
