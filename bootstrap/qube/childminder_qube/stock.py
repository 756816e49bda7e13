"""The class for jobs that bring none: the recipe says how the application is started."""
from qb.backend.pythonChildBackEnd import PythonChildBackEnd


class RecipeBackEnd(PythonChildBackEnd):
    """All is the base class's, but for the launch, which is the recipe's."""

    def _executableIsThere(self):
        return True

    def getSubprocessArgs(self, port):
        return None, []
