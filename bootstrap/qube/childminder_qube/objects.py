"""Qube's objects, and what may travel of them.

What must stay true: everything sent is JSON that a strict reader takes (no lone surrogates, no NaN, no cycles),
whatever a studio's class has put into a result package; everything received is ``str`` in Python 2 too, as Qube's
own interface gives it.
"""
import math
import re
import sys

PY2 = sys.version_info[0] == 2
if PY2:
    text_type, string_types, integer_types = unicode, (str, unicode), (int, long)  # noqa: F821
else:
    text_type, string_types, integer_types = str, (str,), (int,)

MAX_DEPTH = 50
MAX_OTHER = 4096  # characters of a value that is none of JSON's kinds
LONE = re.compile(u"[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]") if PY2 else None


class QbObject(dict):
    """A dictionary whose keys are attributes too."""

    def __getattr__(self, name):
        try:
            return self[name]
        except KeyError:
            raise AttributeError("%s has no %r" % (type(self).__name__, name))

    def __setattr__(self, name, value):
        self[name] = value

    def __delattr__(self, name):
        try:
            del self[name]
        except KeyError:
            raise AttributeError("%s has no %r" % (type(self).__name__, name))


class Package(QbObject):
    """What is particular to a job or an item."""


class Job(QbObject):
    """A job, or the instance of it that runs here."""


class Work(QbObject):
    """An item of the agenda."""


class JoinedPaths(str):
    """Paths as Qube tells them, joined by commas, which still knows them one by one."""

    def __new__(cls, paths):
        if PY2:
            paths = [path.encode("utf-8") if isinstance(path, text_type) else path for path in paths]
        joined = super(JoinedPaths, cls).__new__(cls, ",".join(paths))
        joined.paths = list(paths)
        return joined


def split_paths(told):
    """Paths one by one, whichever way they are told."""
    if isinstance(told, (list, tuple)):
        return list(told)
    if isinstance(told, JoinedPaths):
        return list(told.paths)
    return [path for path in told.split(",") if path] if isinstance(told, string_types) else []


def field(thing, name, default=None):
    """A field of a Qube object, whether it is a dictionary, has attributes, or both."""
    if thing is None:
        return default
    if hasattr(thing, "get"):
        return thing.get(name, default)
    try:
        return thing[name]
    except (KeyError, TypeError, IndexError, AttributeError):
        return getattr(thing, name, default)


def package_of(thing):
    """The package of a job or an item: a dictionary, be it empty."""
    package = field(thing, "package")
    return {} if package is None else package


def received(value, kind=dict):
    """What JSON gave, as a studio's class expects it: dictionaries of Qube's kind, and ``str`` for text."""
    if isinstance(value, dict):
        return kind((received(key), received(one, Package)) for key, one in value.items())
    if isinstance(value, list):
        return [received(one, Package) for one in value]
    if PY2 and isinstance(value, text_type):
        return value.encode("utf-8")
    return value


def well_formed(text):
    """Text without lone surrogates, which no strict reader of JSON takes."""
    if PY2:  # a narrow build keeps astral characters as pairs, which are fine
        return LONE.sub(lambda found: u"\\u%04x" % ord(found.group()), text)
    try:
        text.encode("utf-8")
        return text
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace").decode("utf-8")


def as_text(value):
    """Text for people and for the wire; never fails."""
    try:
        if not isinstance(value, (bytes, bytearray, text_type)):
            value = str(value)
        if isinstance(value, (bytes, bytearray)):
            value = bytes(value).decode("utf-8", "replace")
        return well_formed(value[:])
    except Exception:  # a __str__ of the user's
        return u"<%s>" % type(value).__name__


def plain(value, above=()):
    """A copy made of JSON's kinds only."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, integer_types):
        return int(value)
    if isinstance(value, float):
        return None if math.isnan(value) or math.isinf(value) else float(value)
    if isinstance(value, string_types + (bytes, bytearray)):
        return as_text(value)
    if id(value) in above or len(above) >= MAX_DEPTH:
        return u"<%s, left out>" % type(value).__name__
    above += (id(value),)
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(one, above) for one in value]
    try:
        keys = list(value.keys())
    except Exception:
        return as_text(value)[:MAX_OTHER]
    return dict((as_text(key), plain(value[key], above)) for key in keys)
