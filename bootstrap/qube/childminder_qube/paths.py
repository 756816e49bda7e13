"""``QB_CONVERT_PATH(...)`` in commands, and the path map behind it.

Mended of the original: a token is read with all its parentheses; what a path is mapped to is not read again, so that
nothing goes round for ever; a malformed token says what and where it is; no quotes are put around a path with spaces,
since in a Python command it stands inside a string literal, for which it is escaped instead.
"""
import re

from .objects import as_text

TOKEN = "QB_CONVERT_PATH"
MAX_NESTED = 20
SHOWN = 80


class CommandError(ValueError):
    """A command that cannot be sent."""


class MalformedToken(CommandError):
    """A ``QB_CONVERT_PATH`` that cannot be understood."""


def mapped(path, path_map):
    """The path as it is called here: by the longest prefix in the map that ends where one of its folders does.

    The engine maps by the same rules. A prefix with a drive letter or backslashes is a Windows path: there either kind
    of slash separates, and letters of either case are the same.
    """
    longest, best = -1, path
    for prefix, here in path_map:
        windows = "\\" in prefix or prefix[1:2] == ":"
        stem, whole = (with_slashes(prefix), with_slashes(path)) if windows else (prefix, path)
        stem, here = without_end(stem), without_end(here)
        head, rest = whole[:len(stem)], whole[len(stem):]
        same = head.lower() == stem.lower() if windows else head == stem
        if same and (not rest or rest[0] == "/" or stem[-1:] == "/") and len(stem) > longest:
            longest, best = len(stem), here + rest
            if rest and (stem[-1:] == "/" or here[-1:] == "/"):
                best = here.rstrip("/") + "/" + rest.lstrip("/")
    return best


def with_slashes(path):
    """A Windows path with one slash between folders; a share keeps the two that it begins with."""
    share = path[:2] in ("\\\\", "//")
    return ("/" if share else "") + re.sub("/+", "/", path.replace("\\", "/"))


def without_end(path):
    return path.rstrip("/") or path[:1]


def convert(text, convert_path, depth=0):
    """The text with each ``QB_CONVERT_PATH(path)`` replaced by what ``convert_path`` makes of the path."""
    done, at = [], 0
    while True:
        start = text.find(TOKEN, at)
        if start < 0:
            return "".join(done) + text[at:]
        opened = start + len(TOKEN)
        closed = closing(text, opened)
        if closed is None or depth >= MAX_NESTED:
            why = "its parenthesis is never closed" if closed is None else "too many are nested"
            raise MalformedToken("%s at character %d is malformed, %s: %s" % (TOKEN, start + 1, why, shown(text, start)))
        if closed == opened:
            raise MalformedToken("%s at character %d is malformed, a path in parentheses has to follow: %s"
                                 % (TOKEN, start + 1, shown(text, start)))
        path = convert(text[opened + 1:closed], convert_path, depth + 1).strip()
        done += [text[at:start], literal(convert_path(path)) if depth == 0 else convert_path(path)]
        at = closed + 1


def closing(text, opened):
    """Where the parenthesis that is opened there is closed: None if nowhere, `opened` if none is opened."""
    if text[opened:opened + 1] != "(":
        return opened
    depth = 0
    for place in range(opened, len(text)):
        depth += {"(": 1, ")": -1}.get(text[place], 0)
        if depth == 0:
            return place
    return None


def literal(path):
    """The path as it is written inside a Python string literal, whichever its quotes are."""
    written = path.replace("\\", "\\\\").replace("'", "\\'").replace('"', '\\"')
    return written.replace("\n", "\\n").replace("\r", "\\r")


def shown(text, start):
    piece = as_text(text[start:start + SHOWN])
    return piece if len(text) <= start + SHOWN else piece + u"..."
