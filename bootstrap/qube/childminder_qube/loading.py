"""Finding a studio's class in its file, and telling what it does its own way.

What must stay true: whatever is wrong with the file is told in one sentence with file and line; the class's own name
for its file is kept, so that the file may import itself and its neighbours.
"""
import ast
import os
import sys

from .objects import as_text

CONSTANTS = ("DEFAULT_PYTHON", "LOGREAD_TIME_THRESHOLD", "QB_WAITING_TIMEOUT")
OURS = ("qb.backend.", "childminder_qube.")


class Refusal(Exception):
    """Why a class cannot be run: one sentence for its author."""


def load_class(back_end, base):
    """The class that ``/path/to/file.py:Class`` names."""
    path, colon, name = back_end.rpartition(":")
    if not colon or not path or not name:
        raise Refusal("the back end %r is not named as file.py:Class" % as_text(back_end))
    if not os.path.isfile(path):
        raise Refusal("the back end's file %s is not there" % as_text(path))
    module = load_module(path)
    found = getattr(module, name, None)
    if not isinstance(found, type):
        classes = [(key, one) for key, one in vars(module).items() if isinstance(one, type)]
        there = sorted(key for key, one in classes if one.__module__ == module.__name__)
        raise Refusal("%s has no class %s; its classes are: %s" % (as_text(path), name, ", ".join(there) or "none"))
    if not issubclass(found, base):
        raise Refusal("%s, line %d: the class %s is not derived from %s (import it from qb.backend.pythonChildBackEnd)"
                      % (as_text(path), line_of(found), name, base.__name__))
    return found


def load_module(path):
    name = os.path.splitext(os.path.basename(path))[0]
    sys.path.insert(0, os.path.dirname(os.path.abspath(path)))
    try:
        return run_module(name, path)
    except SyntaxError as problem:
        raise Refusal("%s, line %s: %s" % (as_text(problem.filename or path), problem.lineno, problem.msg))
    except (Exception, SystemExit) as problem:
        raise Refusal("%s cannot be imported: %s" % (as_text(path), told(sys.exc_info(), path, problem)))


def run_module(name, path):
    if sys.version_info[0] == 2:
        import imp
        return imp.load_source(name, path)
    import importlib.util
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None:
        raise ImportError("its name does not end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def told(exc_info, path, problem):
    """An exception in a few words, with the innermost place in the file, or in any if none is in it."""
    place, traceback = None, exc_info[2]
    while traceback is not None:
        file = traceback.tb_frame.f_code.co_filename
        if os.path.abspath(file) == os.path.abspath(path or "") or (place is None and not is_ours(traceback.tb_frame)):
            place = file, traceback.tb_lineno
        traceback = traceback.tb_next
    words = as_text(u"%s: %s" % (type(problem).__name__, as_text(problem)))
    return words if place is None else as_text(u"%s, line %d: %s" % (as_text(place[0]), place[1], words))


def is_ours(frame):
    name = frame.f_globals.get("__name__") or ""
    return name == "__main__" or name.startswith(OURS) or name.startswith("importlib")


def full_name(cls):
    return "%s.%s" % (cls.__module__, cls.__name__)


def file_of(cls):
    """Where a class of the studio's was written; nothing for one of ours."""
    if cls.__module__.startswith(OURS):
        return ""
    path = getattr(sys.modules.get(cls.__module__), "__file__", None) or ""
    return path[:-1] if path.endswith((".pyc", ".pyo")) else path


def constants_of(cls):
    return dict((name, getattr(cls, name)) for name in CONSTANTS if hasattr(cls, name))


def overrides_of(cls):
    """Every public name of our base classes that the studio's classes define: name, class, file, line."""
    ours = [base for base in cls.__mro__ if base.__module__.startswith(OURS)]
    names = set(name for base in ours for name in vars(base) if not name.startswith("_")) | set(["__init__"])
    overrides = []
    for name in sorted(names):
        owner = next(base for base in cls.__mro__ if name in vars(base))
        if owner not in ours and owner is not object:
            overrides.append({"name": name, "class": owner.__name__, "file": file_of(owner), "line": line_of(owner, name)})
    return overrides


def line_of(cls, name=None):
    """The line in which a class, or a name in it, is defined; 0 if that cannot be found."""
    code = getattr(getattr(vars(cls).get(name), "__func__", vars(cls).get(name)), "__code__", None) if name else None
    if code is not None:
        return code.co_firstlineno
    try:
        with open(file_of(cls), "rb") as source:
            tree = ast.parse(source.read())
    except (EnvironmentError, SyntaxError, ValueError):
        return 0
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and node.name == cls.__name__:
            if name is None:
                return node.lineno
            return next((one.lineno for one in node.body if name in names_in(one)), 0)
    return 0


def names_in(statement):
    """What a statement of a class's body defines."""
    targets = getattr(statement, "targets", None) or [getattr(statement, "target", None)]
    return [getattr(statement, "name", None)] + [getattr(target, "id", None) for target in targets]
