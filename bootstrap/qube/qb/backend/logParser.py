"""Log parsers: what the patterns of a job find in its output, by the patterns' names.

A job's package names patterns by keys that begin with ``regex``, one pattern a line. What they find is called by the
rest of the key: ``regex_errors`` gives ``errors``. Of ``errors`` and ``highlights`` all that matched is kept, of the
others each group that is not empty.

Mended of the original: an error pattern with groups in it counts once; a pattern that cannot be read says which it
is; ``(?i)`` may begin any line; what is kept is bounded; parsers that need frames take them from the item's name where
nobody passes tokens, and compare numbers as numbers; where there is nothing to calculate, no progress is set. Markers
of retry and preemption are not looked for: here a session's output is its own, and begins where its item does.
"""
import re
import sys

from childminder_qube.objects import JoinedPaths, as_text, package_of, string_types
from childminder_qube.session import complain
from qb.backend.utils import boolOf, expandFrameRange

WHOLE = ("errors", "highlights")
MAX_FOUND = 1000  # of one name in one slice
MAX_TEXT = 4096
GLOBAL_FLAGS = re.compile(r"\(\?([aimsux]+)\)")


class LogParser(object):
    """The default parser: any patterns, and no idea of progress."""

    def __init__(self, job):
        self.job = job
        package = package_of(job)
        self.dev = boolOf(package.get("dev"))
        self.regexes = {}
        for key in sorted(package.keys()):
            if key.startswith("regex") and isinstance(package[key], string_types):
                self.addRegex(key, package[key])

    def addRegex(self, key, text):
        """Take in one key of the package."""
        alternatives = [line.strip() for line in text.splitlines() if line.strip()]
        for number, alternative in enumerate(alternatives):
            try:
                compiled(alternative)
            except re.error as problem:
                raise ValueError("the pattern in line %d of the job's %s cannot be read: %s: %s"
                                 % (number + 1, key, problem, as_text(alternative[:200])))
        if alternatives:
            name = key[len("regex_"):] if key.startswith("regex_") else key
            self.regexes[name] = compiled("|".join(scoped(one) for one in alternatives))

    def parse(self, data, qbTokens=None):
        """What is found in some output, by name: lists of text; output paths and progress as text."""
        results = {}
        if self.dev:
            return results
        for name, regex in self.regexes.items():
            found = self.find(name, regex, data)
            if name == "progress" and found:
                found = self.calcProgress(found[-1], qbTokens)
            elif name == "outputPaths":
                found = found and JoinedPaths(found)
            if found:
                results[name] = found
        return results

    def find(self, name, regex, data):
        """All that one pattern finds."""
        found = []
        for match in regex.finditer(data):
            texts = (match.group(),) if name in WHOLE else match.groups()
            found += [text[:MAX_TEXT] for text in texts if text]
            if len(found) >= MAX_FOUND:
                complain("WARNING: the pattern for %s matches so often that only the first %d are kept"
                         % (name, MAX_FOUND))
                return found[:MAX_FOUND]
        return found

    def calcProgress(self, progress, qbTokens=None):
        """A fraction as text with two decimals, from what the last match was; None if it means nothing."""
        return None


class ProgressPercentageLogParser(LogParser):
    """Progress is printed as a percentage."""

    def calcProgress(self, progress, qbTokens=None):
        value = decimal(progress)
        return None if value is None else fraction(value, 100.0)


class CmdRangeChunkLogParser(LogParser):
    """Progress is printed as the frame that is worked on, of a chunk of frames."""

    def calcProgress(self, progress, qbTokens=None):
        frames, value = chunk(qbTokens), decimal(progress)
        if not frames or value is None:
            return None
        if value not in frames:
            complain("WARNING: the frame %s is none of the item's" % as_text(progress))
            return "0.00"
        return fraction(frames.index(value) + 1, len(frames))


class AERenderLogParser(LogParser):
    """Progress is printed as a number from 1 on within a chunk of frames."""

    def calcProgress(self, progress, qbTokens=None):
        frames, value = chunk(qbTokens), decimal(progress)
        return None if not frames or value is None else fraction(value, len(frames))


def chunk(qbTokens):
    try:
        return expandFrameRange((qbTokens or {}).get("QB_FRAME_RANGE") or "")
    except ValueError:
        return []


def decimal(text):
    try:
        value = float(text)
    except (TypeError, ValueError):
        return None
    return value if abs(value) < 1e9 else None


def fraction(part, whole):
    return "%.2f" % min(1.0, max(0.0, part / float(whole)))


def compiled(pattern):
    return re.compile(pattern, re.IGNORECASE | re.MULTILINE)


def scoped(pattern):
    """A pattern whose flags at its beginning hold for itself only, as they may not stand further on in Python 3.11."""
    flags = GLOBAL_FLAGS.match(pattern)
    if flags and sys.version_info[0] > 2:
        return "(?%s:%s)" % (flags.group(1).replace("u", ""), pattern[flags.end():])
    return pattern
