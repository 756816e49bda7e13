"""Stands in for the ``qb`` module of a Qube worker: its documented functions and objects, and nothing else.

$QB_STANDIN_SCRIPT names a JSON file: {"job": {...}, "work": [{"name", "status", "package"}, ...]}, and a "path_map" if
the worker is to have one. Each call of
requestwork() gives the next work; when there is none left its status is "complete". Every call is added to the file
$QB_STANDIN_REPORTS, one JSON object a line. Like the real one it has a ``qb.backend`` of its own.
"""
import json
import os


class QbObject(dict):
    def __getattr__(self, name):
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name)

    def __setattr__(self, name, value):
        self[name] = value


class Job(QbObject):
    pass


class Work(QbObject):
    pass


def _objects(value, kind):
    if isinstance(value, dict):
        return kind((str(key), _objects(one, QbObject)) for key, one in value.items())
    return [_objects(one, QbObject) for one in value] if isinstance(value, list) else value


def _load():
    with open(os.environ["QB_STANDIN_SCRIPT"]) as script:
        return json.load(script)


_script = _load()
_job = _objects(_script["job"], Job)
_left = list(_script.get("work", []))


def _note(call, told):
    with open(os.environ["QB_STANDIN_REPORTS"], "a") as reports:
        reports.write(json.dumps({"call": call, "told": told}) + "\n")


if "path_map" in _script:
    def convertpath(path):
        return _script["path_map"].get(path, path)


def jobobj():
    return _job


def requestwork():
    work = _objects(_left.pop(0) if _left else {"name": "", "status": "complete"}, Work)
    _note("requestwork", work)
    return work


def reportwork(work):
    _note("reportwork", work)


def reportjob(status):
    _note("reportjob", status)
