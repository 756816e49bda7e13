"""``qb`` where no Qube is: a job's work comes from childminder's agenda, and goes back there.

It has what Qube's documented back ends use of the real one, and no more: ``jobobj``, ``requestwork``, ``reportwork``,
``reportjob`` and the objects. Under a Qube worker the installed ``qb`` stands in this place.
"""
from childminder_qube.farm import jobobj, reportjob, reportwork, requestwork
from childminder_qube.objects import Job, Package, QbObject, Work

__all__ = ["Job", "Package", "QbObject", "Work", "convertpath", "jobobj", "reportjob", "reportwork", "requestwork"]


def convertpath(path):
    """The path as it is called on this machine."""
    from childminder_qube.session import current
    return current().convert_path(path)
