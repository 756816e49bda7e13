"""Where work comes from and is reported to: the engine's agenda, or a Qube worker's own ``qb``.

What must stay true: whichever it is, the engine hears of every item and every report, also from a class that asks
``qb`` by itself, past our base classes. Hence the installed module's own functions are wrapped, where a class finds
them under any name.
"""
import functools

from . import objects
from .bridge import EngineError
from .session import complain, current

# What requestwork() may answer instead of work to do.
NO_WORK = ("complete", "pending", "blocked", "waiting")


# --- The engine's agenda: what our own qb module offers ---------------------------------------------------------


def jobobj():
    """The job that runs here."""
    return current().job


def requestwork():
    """The next item, or one whose status says why there is none."""
    session = current()
    work = objects.received(session.ask("take").get("work") or {}, objects.Work)
    work.setdefault("name", "")
    work.setdefault("status", "running")
    work.setdefault("package", objects.Package())
    note_taken(session, work)
    return work


def reportwork(work):
    """Tell what became of an item, or how far it is."""
    tell_work(current(), work)


def reportjob(status, reason=""):
    """Tell what became of the job here: a status, or the job with its status in it."""
    tell_job(current(), status, reason)


# --- Both -------------------------------------------------------------------------------------------------------


def note_taken(session, work):
    if objects.field(work, "status") not in NO_WORK:
        session.item = objects.field(work, "name")
        session.reason = ""


def tell_work(session, work):
    name, status = objects.field(work, "name"), objects.field(work, "status")
    result = objects.field(work, "resultpackage") or {}
    more = {"output_paths": objects.split_paths(objects.field(result, "outputPaths"))}
    if session.reason:
        more["reason"] = session.reason
    if status != "running":
        session.reason = ""
        if session.item == name:
            session.item = None
    session.ask("report", work={"name": name, "status": status, "resultpackage": result}, **more)


def tell_job(session, status, reason=""):
    more = {}
    if not isinstance(status, objects.string_types):
        result = objects.field(status, "resultpackage")
        if result:
            more["resultpackage"] = result
        status = objects.field(status, "status")
    session.left = status
    session.ask("job", status=objects.as_text(status or ""), reason=objects.as_text(reason), **more)


# --- A worker's own qb ------------------------------------------------------------------------------------------


def wrap_installed(qb):
    """Have the engine hear what a studio's class and the worker's ``qb`` say to each other."""
    session = current()
    session.farm_converts = getattr(qb, "convertpath", None)
    qb.requestwork = taking(session, qb.requestwork)
    qb.reportwork = telling(session, qb.reportwork, tell_work)
    qb.reportjob = telling(session, qb.reportjob, tell_job)


def taking(session, original):
    @functools.wraps(original, assigned=("__doc__",), updated=())
    def requestwork(*args, **keys):
        work = original(*args, **keys)
        note_taken(session, work)
        if objects.field(work, "status") not in NO_WORK + ("failed",):  # which is only reported
            session.ask("begin", work=work_to_tell(work))
        return work
    return requestwork


def work_to_tell(work):
    told = dict((key, objects.field(work, key)) for key in ("name", "id", "status", "package"))
    return dict((key, value) for key, value in told.items() if value is not None)


def telling(session, original, tell):
    """The engine first: what it has written down stays, and what the farm has not heard of it asks for again."""
    @functools.wraps(original, assigned=("__doc__",), updated=())
    def report(what, *args, **keys):
        try:
            tell(session, what)
        except EngineError as problem:  # the farm has to hear of it all the same
            complain("WARNING: the engine did not take a report: %s" % problem)
        return original(what, *args, **keys)
    return report
