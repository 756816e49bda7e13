"""A program with a tkinter window, in Python 2 too: `tk_app.py [bootstrapper's arguments]`.

It runs the bootstrapper as a script once its window is there, and goes on.  `ticks` counts what its own timer does.
"""
import os
import runpy

try:
    import tkinter
except ImportError:
    import Tkinter as tkinter

root = tkinter.Tk()
root.title("a window")
root.ticks = 0


def tick():
    root.ticks += 1
    root.after(10, tick)


tick()
runpy.run_path(os.environ["CHILDMINDER_BOOTSTRAPPER"], run_name="__main__")
root.mainloop()
print("the program has ended by itself")
