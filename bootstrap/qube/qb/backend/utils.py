"""Small helpers of back ends: banners, Qube's idea of true, frame ranges and frame tokens, a worker's log files.

Which names the original has here is not documented; these are ours, and Qube's rules where they are known. Mended: a
range is never expanded further than ``MAX_FRAMES``, and says what it cannot read.
"""
import os
import re
import socket
import sys
import time

from childminder_qube.objects import string_types
from childminder_qube.session import current, say

WIDTH = 80
MAX_FRAMES = 1000000
RANGE = re.compile(r"(-?\d+)(?:-(-?\d+)(?:x(\d+))?)?$")


def flushPrint(message, fhList=None):
    """A line on each of the streams, at once; stdout if none is named."""
    for stream in streams_of(fhList):
        say(message, stream)


def bannerPrint(message, fhList=None):
    """Three lines that are found again in a long log: a rule; the time, the message, the host; a rule."""
    begin = "%s%s%s" % (time.strftime("%H:%M:%S"), " " * 8, message)
    host = socket.gethostname().split(".")[0]
    rule = "=" * WIDTH
    flushPrint("\n".join([rule, begin + host.rjust(max(len(host) + 1, WIDTH - len(begin))), rule]), fhList)


def streams_of(fhList):
    if fhList is None:
        return [sys.stdout]
    return fhList if isinstance(fhList, (list, tuple)) else [fhList]


def boolOf(value):
    """Qube's rule: what begins with f or F is false, a number is what it is, any other text is true."""
    if isinstance(value, string_types):
        if value[:1] in ("f", "F"):
            return False
        try:
            return bool(int(value)) if value else False
        except ValueError:
            return True
    return bool(value)


def numberOf(value):
    """A whole number from a number or its text; None from anything else."""
    try:
        return int(value)
    except (TypeError, ValueError):
        return None


def expandFrameRange(text):
    """The frames of ``n``, ``a-b``, ``a-bxS`` and lists of them; frames may be negative. ValueError says what is wrong."""
    frames = []
    for part in text.split(","):
        found = RANGE.match(part.strip())
        if not found:
            raise ValueError("%r is no frame range: it is like 1-10, 1-10x2 or 1,5,9" % part)
        first, last, step = int(found.group(1)), numberOf(found.group(2)), numberOf(found.group(3) or 1)
        last = first if last is None else last
        if step == 0 or len(frames) + abs(last - first) // step >= MAX_FRAMES:
            raise ValueError("the frame range %r has a step of 0 or more than %d frames" % (part, MAX_FRAMES))
        frames += range(first, last + 1, step) if first <= last else range(first, last - 1, -step)
    return frames


def getFrameTokens(work, padding=1):
    """The ``QB_FRAME_...`` tokens of an item that is named by its frames; empty for any other."""
    name = work.get("name") if hasattr(work, "get") else getattr(work, "name", None)
    try:
        frames = expandFrameRange(name or "")
    except ValueError:
        return {}
    step = name.rpartition("x")[2] if "x" in name and "," not in name else "1"
    first, last = (str(frame).zfill(padding) for frame in (frames[0], frames[-1]))
    return {"QB_FRAME_START": first, "QB_FRAME_NUMBER": first, "QB_FRAME_END": last, "QB_FRAME_STEP": step,
            "QB_FRAME_RANGE": name}


def getJobLogPaths(jobid=None, subid=None, logdir=None):
    """Where the instance's output is: here in the session's folder; under a worker's log folder if one is named.

    A file that does not exist yields ``""``.
    """
    if logdir is None:
        return dict(current().logs)
    jobid = numberOf(os.environ.get("QBJOBID") if jobid is None else jobid) or 0
    subid = numberOf(os.environ.get("QBSUBID") if subid is None else subid) or 0
    stem = os.path.join(logdir, "job", str(jobid - jobid % 1000), str(jobid), "%d_%d" % (jobid, subid))
    paths = {"stdout": stem + ".out", "stderr": stem + ".err"}
    return dict((name, path if os.path.exists(path) else "") for name, path in paths.items())


def convertPaths(text):
    """The text with every ``QB_CONVERT_PATH(...)`` in it replaced."""
    return current().convert(text)


__all__ = ["MAX_FRAMES", "bannerPrint", "boolOf", "convertPaths", "expandFrameRange", "flushPrint", "getFrameTokens",
           "getJobLogPaths", "numberOf"]
