"""A program with a tkinter window, in Python 2 too: `tk_app.py BOOTSTRAPPER [its arguments]`.

It runs the bootstrapper as a script once its window is there, and goes on.  Commands may `import host`: its `ticks()`
grow only while the program's own loop turns, `spin()` lets that turn within a command.
"""
import runpy
import sys
import types

try:
    import tkinter
except ImportError:
    import Tkinter as tkinter

root = tkinter.Tk()
# In Tcl, since an interrupt of a command that calls `update` would end a callback in Python, and be reported there.
root.tk.eval("set ticks 0; proc tick {} {incr ::ticks; after 10 tick}; tick")
host = sys.modules["host"] = types.ModuleType("host")
host.tkinter, host.root, host.main = tkinter, root, sys.modules["__main__"]
host.ticks, host.spin = lambda: int(root.tk.eval("set ticks")), root.update

runpy.run_path(sys.argv[1], run_name="__main__")
root.mainloop()
print("the application ended by itself")
