"""An application with a Qt window, as a TD would write one: `qt_app.py BOOTSTRAPPER BINDING [its arguments]`.

It starts the executor by the documented call once its window is there, and goes on.  Commands may `import host`: its
`ticks()` grow only while the application's own loop turns, `spin()` lets that turn within a command.
"""
import importlib
import runpy
import sys
import types

core, widgets = (importlib.import_module("%s.%s" % (sys.argv[2], part)) for part in ("QtCore", "QtWidgets"))
executor = runpy.run_path(sys.argv[1], run_name="childminder_executor")

app = widgets.QApplication(sys.argv[:1])
app.setQuitOnLastWindowClosed(False)
window = widgets.QLabel("nothing yet")
window.show()
counted = []
timer = core.QTimer()
timer.timeout.connect(lambda: counted.append(None))
timer.start(10)

host = sys.modules["host"] = types.ModuleType("host")
host.core, host.widgets, host.window, host.main = core, widgets, window, sys.modules["__main__"]
host.ticks, host.spin = lambda: len(counted), app.processEvents

executor["start"]()
code = app.exec() if hasattr(app, "exec") else app.exec_()
print("the application ended by itself")
sys.exit(code)
