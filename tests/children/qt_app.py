"""An application with a Qt window, as a TD would write one: `qt_app.py BINDING [bootstrapper's arguments]`.

It starts the executor by the documented call, once its window is there, and goes on.  `ticks` counts what its own timer
does: only a loop that turns makes it grow.
"""
import importlib
import os
import runpy
import sys

binding = sys.argv[1]
core, widgets = (importlib.import_module("%s.%s" % (binding, part)) for part in ("QtCore", "QtWidgets"))
executor = runpy.run_path(os.environ["CHILDMINDER_BOOTSTRAPPER"], run_name="childminder_executor")

app = widgets.QApplication(sys.argv[:1])
window = widgets.QLabel("nothing yet")
app.setProperty("ticks", 0)
timer = core.QTimer()
timer.timeout.connect(lambda: app.setProperty("ticks", app.property("ticks") + 1))
timer.start(10)
window.show()
executor["start"]()
code = getattr(app, "exec_", None) or app.exec
code = code()
print("the application has ended by itself")
sys.exit(code)
