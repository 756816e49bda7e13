"""What stands in for Maya, Houdini and Nuke with their windows: `stand_in_app.py BOOTSTRAPPER KIND [its arguments]`.

None of them can be had here.  These are small modules with only those functions that the bootstrapper calls, behaving as
the vendors' documentation says, around a main loop that does nothing but run what was deferred, and tick.  Commands may
`import host`: its `ticks()` grow only while that loop turns, `spin()` lets it turn within a command.

KIND may end in `-batch` (the application without its window) or `-stays` (it does not end when it is asked to).
"""
import runpy
import sys
import threading
import types

try:
    import queue
except ImportError:
    import Queue as queue

kind, _, manner = sys.argv[2].partition("-")
deferred, callbacks, counted, left = queue.Queue(), [], [], []
main_thread = threading.current_thread()


def on_main_thread():
    assert threading.current_thread() is main_thread, "asked on another thread"


def leave(code):
    on_main_thread()
    if manner != "stays":
        left.append(code)


def module(name, **contents):
    made = sys.modules[name] = types.ModuleType(name)
    made.__dict__.update(contents)
    return made


def maya():
    """Maya 2024's Python commands `about` and `quit`, and `maya.utils`."""
    def about(batch=False, version=False):
        on_main_thread()
        return manner == "batch" if batch else "2024"

    def quit(force=False, exitCode=0):
        assert force, "it would ask whether to save"
        leave(exitCode)

    package = module("maya", __path__=[])
    package.cmds = module("maya.cmds", about=about, quit=quit)
    package.utils = module("maya.utils", executeDeferred=lambda call, *args: deferred.put(lambda: call(*args)))


def houdini():
    """Houdini 20's `hou`; `exit` ends what called it by a SystemExit."""
    def exit(exit_code=0, suppress_save_prompt=False):
        assert suppress_save_prompt, "it would ask whether to save"
        leave(exit_code)
        raise SystemExit(exit_code)

    def add(callback):
        on_main_thread()
        callbacks.append(callback)

    ui = types.ModuleType("hou.ui")
    ui.addEventLoopCallback = add
    module("hou", ui=ui, isUIAvailable=lambda: manner != "batch", exit=exit, applicationVersionString=lambda: "20.0.1")


def nuke():
    """Nuke 15's `nuke`."""
    def in_main_thread(call, args=(), kwargs={}):
        deferred.put(lambda: call(*args, **kwargs))

    asks = [True]

    def script_exit():
        assert not asks[0], "it would ask whether to save"
        leave(0)

    def modified(state):
        on_main_thread()
        asks[0] = state

    module("nuke", GUI=manner != "batch", NUKE_VERSION_STRING="15.0v1", executeInMainThread=in_main_thread,
           modified=modified, scriptExit=script_exit)


def spin():
    """One turn of the loop: as there, what raises is told and does no more harm."""
    try:
        job = deferred.get(True, 0.005)
    except queue.Empty:
        job = None
    for call in callbacks + ([job] if job else []):
        try:
            call()
        except Exception as problem:
            sys.stderr.write("the host's loop met %r\n" % problem)
    counted.append(None)


{"maya": maya, "houdini": houdini, "nuke": nuke}[kind]()
host = module("host", ticks=lambda: len(counted), spin=spin, main=sys.modules["__main__"])
runpy.run_path(sys.argv[1], run_name="__main__")
while not left:
    spin()
print("the application ended by itself")
sys.exit(left[0])
