"""Carries commands into a child whose bootstrapper is Qube's own, unchanged.

The engine has Qube's executor run this file, and then speaks to `_childminder`, which is put among the builtins so that
it is known in every namespace.  Long commands come in pieces, as Qube's wire cannot take them whole.  One
standard-library file for Python 2.7 and 3.6 to 3.14.

What must stay true: a command runs in the namespaces of whoever calls, as the executor would have run it; no exception
gets out, since an executor in Python 3 does not survive telling one; what became of a command is in a file of the
private folder before the executor replies, because anybody on the machine can send a reply.
"""
import binascii
import json
import linecache
import os
import sys
import traceback

try:
    import builtins
except ImportError:
    import __builtin__ as builtins

PY2 = sys.version_info[0] == 2
OURS = "<childminder>"
# How many commands' lines are kept for tracebacks.
KEPT = 200
MESSAGE = 65536
TEXT = 1 << 20
FRAMES = 200


def text_of(value):
    """As text, whatever it is; a __str__ of the user's may do anything."""
    for shown in (lambda: u"%s" % (value,), lambda: str(value), lambda: repr(value)):
        try:
            text = shown()
        except Exception:
            continue
        return text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return u"(a value that cannot be shown)"


def readable(text):
    """Text that JSON and UTF-8 can hold."""
    text = text_of(text)
    return text.encode("utf-8", "replace").decode("utf-8")


def cut(text, limit):
    return text if len(text) <= limit else text[: limit - 1] + u"\u2026"


def exit_code(value):
    code = value.code
    if code is None:
        return 0
    return int(code) if isinstance(code, int) else 1


class Carrier(object):
    def __init__(self):
        self.pieces = []
        self.folder = None
        self.kept = []
        self.pid = os.getpid()

    def add(self, piece):
        self.pieces.append(piece)

    def take(self):
        pieces, self.pieces = self.pieces, []
        return binascii.a2b_base64("".join(pieces)).decode("utf-8")

    def hello(self):
        """The pieces are the folder."""
        self.folder = self.take().encode("utf-8")
        said = {
            "id": 0,
            "pid": self.pid,
            "executable": readable(sys.executable or ""),
            "python": "%d.%d.%d" % sys.version_info[:3],
            "implementation": "PyPy" if "PyPy" in sys.version else "CPython",
        }
        self.tell(said)

    def run(self, number, source=None):
        """Runs a command where the caller stands; without a source, the pieces are it."""
        caller = sys._getframe(1)
        said = {"id": number}
        try:
            name = "<command %d>" % number
            source = self.take() if source is None else source
            self.keep(name, source)
            if PY2:
                # Then bytes are read as UTF-8, and a line that names another encoding is none of ours.
                source = b"\xef\xbb\xbf" + (source if isinstance(source, bytes) else source.encode("utf-8"))
            exec(compile(source, name, "exec", 0, True), caller.f_globals, caller.f_locals)
        except BaseException:
            said["raised"], said["exit"] = self.raised()
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except Exception:
                pass
        if os.getpid() != self.pid:
            # A forked copy has nothing to say, and must not take what is meant for the child.
            os._exit(0)
        self.tell(said)

    def keep(self, name, source):
        text = source.encode("utf-8") if PY2 and not isinstance(source, bytes) else source
        linecache.cache[name] = (len(text), None, text.splitlines(True), name)
        self.kept.append(name)
        if len(self.kept) > KEPT:
            linecache.cache.pop(self.kept.pop(0), None)

    def raised(self):
        kind, value, stack = sys.exc_info()
        # The first frame is ours.
        stack = stack.tb_next
        entries = [entry for entry in traceback.extract_tb(stack) if entry[0] != OURS]
        try:
            lines = traceback.format_exception(kind, value, stack)
        except Exception:
            lines = ["(the traceback cannot be formatted)"]
        text = u"".join(readable(line) for line in lines)
        frames = entries if len(entries) <= FRAMES else entries[: FRAMES // 2] + entries[-(FRAMES // 2):]
        raised = {
            "type": readable(getattr(kind, "__name__", kind)),
            "module": readable(getattr(kind, "__module__", "") or ""),
            "message": cut(readable(value), MESSAGE),
            "frames": [
                {
                    "file": readable(entry[0]),
                    "line": entry[1] or 0,
                    "function": readable(entry[2]),
                    "source": cut(readable(entry[3] or ""), 1000),
                }
                for entry in frames
            ],
            "text": cut(text, TEXT),
            "cut": len(entries) > FRAMES or len(text) > TEXT,
        }
        return raised, exit_code(value) if isinstance(value, SystemExit) else None

    def tell(self, said):
        """Writes the file whole or not at all.  A child that cannot say what became of a command must end."""
        try:
            path = os.path.join(self.folder, ("qube-%d.json" % said["id"]).encode("ascii"))
            draft = path + b".draft"
            handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            try:
                data = json.dumps(said).encode("ascii")
                while data:
                    data = data[os.write(handle, data):]
            finally:
                os.close(handle)
            os.rename(draft, path)
        except Exception:
            traceback.print_exc()
            sys.stderr.write("childminder cannot be told what became of a command: the child ends\n")
            raise SystemExit(70)


builtins._childminder = Carrier()
