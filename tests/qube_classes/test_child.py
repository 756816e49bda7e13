"""What PythonChildBackEnd offers, name by name, its dispatcher, and the statuses that work can have."""
import os
import time

from fake_engine import Engine, LIMIT, ROOT, for_each_python, item

PLAIN = "class MyBackEnd(Base): pass\n"


class StartUp(object):
    def test_DEFAULT_PYTHON(self):
        source = """
class MyBackEnd(Base):
    def executeWork(self):
        seen(default=self.DEFAULT_PYTHON == sys.executable, used=self.pyExecutable == sys.executable)
"""
        for package in ({}, {"pyExecutable": ""}):
            engine = Engine(self.python, source, package).run()
            self.assertEqual(engine.seen(), {"default": True, "used": True})
        source = "class MyBackEnd(Base):\n    DEFAULT_PYTHON = '/bin/sh'\n    def executeWork(self): seen(used=self.pyExecutable)\n"
        engine = Engine(self.python, source).run()
        self.assertEqual(engine.seen(), {"used": "/bin/sh"})
        self.assertEqual(engine.all("hello")[0]["constants"]["DEFAULT_PYTHON"], "/bin/sh")

    def test_an_executable_that_is_not_there(self):
        for path in ("/nowhere/python", "no-such-python"):
            engine = Engine(self.python, PLAIN, {"pyExecutable": path}).run()
            self.assertEqual((engine.code, engine.jobs(), engine.all("start")), (1, ["failed"], []))
            self.assertIn("ERROR: the Python executable %s is not there" % path, engine.err)
        self.assertEqual(Engine(self.python, PLAIN, {"pyExecutable": "sh"}).run().code, 0)

    def test_getSubprocessArgs(self):
        engine = Engine(self.python, PLAIN).run()
        path = os.path.join(engine.folder, "child_bootstrapper.py")
        start = engine.all("start")[0]
        self.assertEqual(start["args"], ["/bin/sh", "-c", "python %s --port 4711" % path])
        self.assertEqual((start["bootstrapper"], start["merge_stderr"]), (path, False))

    def test_overriding_getSubprocessArgs_with_first_commands(self):
        source = """
class MyBackEnd(Base):
    def getSubprocessArgs(self, port):
        return (u"/bin/sh", "-c", "app"), ["first = 1", "second = first + 1"]
"""
        engine = Engine(self.python, source).run()
        self.assertEqual(engine.all("start")[0]["args"], ["/bin/sh", "-c", "app"])
        self.assertEqual([command for _, command in engine.ran("init")],
                         ["import sys", "import os", "import time", "first = 1", "second = first + 1"])

    def test_getSubprocessArgs_may_leave_the_start_to_the_recipe(self):
        source = "class MyBackEnd(Base):\n    def getSubprocessArgs(self, port): return None, []\n"
        self.assertIsNone(Engine(self.python, source).run().all("start")[0]["args"])

    def test_getSubprocessArgs_is_the_one_that_is_needed(self):
        source = "class MyBackEnd(PythonChildBackEnd): pass\n"
        engine = Engine(self.python, source).run()
        self.assertEqual((engine.code, engine.jobs()), (1, ["failed"]))
        self.assertIn("MyBackEnd has no getSubprocessArgs(port)", engine.all("failed")[0]["error"])

    def test_generateChildBootstrapper(self):
        source = """
class MyBackEnd(Base):
    def generateChildBootstrapper(self, port):
        stock = super(MyBackEnd, self).generateChildBootstrapper(port)
        return stock + ".%d" % port
    def executeWork(self):
        seen(all=[self.childBootstrapper, self.bootstrapper, self.bootstrapperPath, self.childBootstrapperPath])
"""
        engine = Engine(self.python, source).run()
        path = os.path.join(engine.folder, "child_bootstrapper.py.4711")
        self.assertEqual(engine.seen()["all"], [path] * 4)
        start = engine.all("start")[0]
        self.assertEqual((start["bootstrapper"], start["args"][2]), (path, "python %s --port 4711" % path))

    def test_initPyCmdDispatcher(self):
        source = """
class MyBackEnd(Base):
    def initPyCmdDispatcher(self):
        dispatcher, code = super(MyBackEnd, self).initPyCmdDispatcher()
        seen(code=code, kind=type(dispatcher).__name__, same=dispatcher is self.pyCmdDispatcher is self.dispatcher,
             pid=dispatcher.child.pid, alive=dispatcher.child.poll() is None, ready=dispatcher.child_ready_for_cmd)
        return dispatcher, code
"""
        self.assertEqual(Engine(self.python, source).run().seen(), {
            "code": 0, "kind": "PyCmdDispatcher", "same": True, "pid": 99, "alive": True, "ready": True})

    def test_overriding_initPyCmdDispatcher(self):
        source = """
class MyBackEnd(Base):
    def initPyCmdDispatcher(self):
        dispatcher, code = super(MyBackEnd, self).initPyCmdDispatcher()
        return dispatcher, 3
"""
        engine = Engine(self.python, source).run()
        self.assertEqual((engine.code, engine.jobs(), engine.all("close")[0]["code"]), (3, ["failed"], 3))

    def test_a_dispatcher_of_the_classes_own(self):
        source = """
class Own(object):
    def execute(self, commands, work=None):
        seen(**{str(commands): work.name})
        return 0
    def close(self, code=0):
        return code
class MyBackEnd(Base):
    def initPyCmdDispatcher(self):
        return Own(), 0
"""
        engine = Engine(self.python, source, agenda=[item("a", "render")]).run()
        self.assertEqual((engine.code, engine.seen(), engine.reported()), (0, {"render": "a"}, [("a", "complete")]))
        self.assertNotIn("open", engine.ops())

    def test_a_first_command_that_fails_ends_the_job_and_the_child(self):
        source = "class MyBackEnd(Base):\n    def getSubprocessArgs(self, port): return None, ['1/0', '2']\n"
        engine = Engine(self.python, source, {"jobSetupCmds": ["3"]}, [item("a", "1")]).run()
        self.assertEqual((engine.code, engine.jobs(), engine.ops()[-2:]), (1, ["failed"], ["job", "close"]))
        self.assertEqual(engine.ran("init")[-1], (None, "1/0"))
        self.assertIn("ZeroDivisionError", engine.err)

    def test_a_child_that_cannot_be_started(self):
        engine = Engine(self.python, PLAIN, answers={"start": lambda _, message: {"ok": False, "error": "the child could not be started: no such shell"}}).run()
        self.assertEqual((engine.code, engine.jobs(), engine.all("execute")), (1, ["failed"], []))
        self.assertIn("ERROR: the child could not be started: no such shell", engine.err)

    def test_jobSetup(self):
        source = """
class MyBackEnd(Base):
    def executeWork(self):
        seen(status=self.job["status"])
"""
        engine = Engine(self.python, source, {"jobSetupCmds": ["x = 1", "y = x"]}).run()
        self.assertEqual((engine.seen(), engine.ran("setup")), ({"status": "running"}, [(None, "x = 1"), (None, "y = x")]))

    def test_jobSetupCmds_that_fail(self):
        for command, code in (("1/0", 1), ("leave(0)", 1), ("leave(5)", 1)):
            engine = Engine(self.python, PLAIN, {"jobSetupCmds": ["1", command, "2"]}, [item("a")]).run()
            self.assertEqual((engine.code, engine.jobs(), engine.all("take")), (code, ["failed"], []), command)
            self.assertEqual(len(engine.ran("setup")), 2)
            self.assertIn("a command of jobSetupCmds failed, return code 1", engine.err)
            self.assertEqual(engine.ops()[-1], "close")

    def test_a_child_that_ends_in_its_last_setup_command_as_if_all_were_well(self):
        def execute(engine, message):
            reply = engine.on_execute(message)
            return dict(reply, code=0) if reply["exit"] == 0 else reply
        engine = Engine(self.python, PLAIN, {"jobSetupCmds": ["leave(0)"]}, [item("a")], answers={"execute": execute}).run()
        self.assertEqual((engine.code, engine.jobs(), engine.all("take")), (1, ["failed"], []))

    def test_overriding_jobSetup(self):
        source = """
class MyBackEnd(Base):
    def jobSetup(self):
        super(MyBackEnd, self).jobSetup()
        self.pyCmdDispatcher.execute("mine = 1")
"""
        self.assertEqual(Engine(self.python, source).run().ran("setup"), [(None, "mine = 1")])


class Page(object):
    """What the README shows and says."""

    def setUp(self):
        with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as page:
            self.page = page.read()

    def test_its_example_runs(self):
        example = self.page.split("```python back_end my_backend.py\n")[1].split("```")[0]
        engine = Engine(self.python, example, head="", agenda=[item("a", "x = 1")]).run()
        self.assertEqual((engine.code, engine.reported()), (0, [("a", "complete")]), engine.err)
        self.assertIn("looked at the output of a\n", engine.out)
        self.assertEqual([command for _, command in engine.ran("init")][-1], "import json")

    def test_its_table_has_every_public_name(self):
        table = self.page.split("| name | what it does here |\n|---|---|\n")[1].split("\n\n")[0]
        told = set(row.split("`")[1].split("(")[0] for row in table.splitlines())
        source = """
class MyBackEnd(Base):
    def executeWork(self):
        own = [name for name in dir(PythonChildBackEnd) if not name.startswith("_")]
        seen(names=own + [name for name in ("__init__",) if callable(self.__init__)])
"""
        names = set(Engine(self.python, source).run().seen()["names"])
        self.assertEqual(told - names, set())
        self.assertEqual(names - told, {"dispatcher", "bootstrapper", "bootstrapperPath", "childBootstrapperPath"})


class Items(object):
    def test_executeWork(self):
        engine = Engine(self.python, PLAIN, agenda=[item("a", "x = 1", "y = x"), item("b", "1/0", "2"), item("c")]).run()
        self.assertEqual(engine.reported(), [("a", "complete"), ("b", "failed"), ("c", "complete")])
        self.assertEqual(engine.ran("item"), [("a", "x = 1"), ("a", "y = x"), ("b", "1/0")])
        self.assertEqual((engine.code, engine.jobs()), (0, ["complete"]))

    def test_overriding_executeWork(self):
        source = """
class MyBackEnd(Base):
    def executeWork(self):
        work = qb.requestwork()
        while work.status == "running":
            work["status"] = "failed" if self.pyCmdDispatcher.execute(work.package.commands) else "complete"
            work.resultpackage = {"mine": [1]}
            qb.reportwork(work)
            work = qb.requestwork()
"""
        engine = Engine(self.python, source, agenda=[item("a", "x = 1", "x"), item("b", "1/0")]).run()
        self.assertEqual(engine.reported(), [("a", "complete"), ("b", "failed")])
        self.assertEqual(engine.ran("item"), [("a", "x = 1"), ("a", "x"), ("b", "1/0")])
        self.assertEqual(engine.all("report")[0]["work"]["resultpackage"], {"mine": [1]})

    def test_an_item_without_a_list_of_commands(self):
        agenda = [{"name": "a", "package": {}}, {"name": "b"}, {"name": "c", "package": {"commands": None}},
                  {"name": "d", "package": {"commands": "x = 1"}}]
        engine = Engine(self.python, PLAIN, agenda=agenda).run()
        self.assertEqual([status for _, status in engine.reported()], ["failed"] * 3 + ["complete"])
        self.assertEqual(engine.all("report")[0]["reason"], "the item's package has no list of commands")
        self.assertEqual(engine.ran("item"), [("d", "x = 1")])

    def test_a_child_that_ends_fails_item_and_instance_whatever_its_exit_code(self):
        for left, code in ((0, 1), (5, 5), (-11, 139)):
            engine = Engine(self.python, PLAIN, agenda=[item("a", "leave(%d)" % left, "2"), item("b", "1")]).run()
            self.assertEqual((engine.code, engine.reported(), engine.jobs()), (code, [("a", "failed")], ["failed"]))
            self.assertEqual(len(engine.all("take")), 1)
            self.assertIn("ERROR: the child has ended with exit code %d" % left, engine.err)

    def test_a_child_that_ends_with_its_last_command_done(self):
        def execute(engine, message):
            reply = engine.on_execute(message)
            return dict(reply, code=0) if reply["exit"] == 0 else reply
        engine = Engine(self.python, PLAIN, agenda=[item("a", "leave(0)"), item("b")], answers={"execute": execute}).run()
        self.assertEqual((engine.code, engine.reported()), (1, [("a", "failed")]))

    def test_no_work_is_asked_for_a_child_that_ended_between_items(self):
        def report(engine, message):
            engine.exit = 3
            return {}
        engine = Engine(self.python, PLAIN, agenda=[item("a", "1"), item("b", "1")], answers={"report": report}).run()
        self.assertEqual((engine.code, engine.reported(), engine.jobs()), (3, [("a", "complete")], ["failed"]))
        self.assertEqual(len(engine.all("take")), 1)

    def test_an_exception_in_the_middle_of_an_item_fails_it(self):
        source = """
class MyBackEnd(Base):
    def logHandler(self, work, qbTokens=None):
        if work is not self.job and work.name == "a":
            raise KeyError("mine")
        return False, False
"""
        engine = Engine(self.python, source, agenda=[item("a", "1", "2"), item("b", "1")]).run()
        self.assertEqual((engine.code, engine.reported()), (0, [("a", "failed"), ("b", "complete")]))
        self.assertIn("the item a failed in the back end: %s, line 17: KeyError: 'mine'" % engine.file, engine.err)

    def test_what_the_engine_refuses_fails_the_command(self):
        def execute(engine, message):
            return {"ok": False, "error": "the session ends"} if message["item"] else engine.on_execute(message)
        engine = Engine(self.python, PLAIN, agenda=[item("a", "1")], answers={"execute": execute}).run()
        self.assertEqual(engine.reported(), [("a", "failed")])
        self.assertIn("ERROR: the session ends", engine.err)

    def test_jobTeardown(self):
        for commands in (["x = 1", "1/0", "never"], "x = 1"):
            engine = Engine(self.python, PLAIN, {"jobTeardownCmds": commands}).run()
            self.assertEqual((engine.code, engine.jobs(), engine.ops()[-2:]), (0, ["complete"], ["close", "job"]))
            self.assertEqual([command for _, command in engine.ran("teardown")], commands[:2] if commands[0] == "x = 1" else ["x = 1"])

    def test_overriding_jobTeardown(self):
        source = """
class MyBackEnd(Base):
    def jobTeardown(self):
        self.pyCmdDispatcher.execute("last = 1")
        self.status = 4
        super(MyBackEnd, self).jobTeardown()
"""
        engine = Engine(self.python, source).run()
        self.assertEqual(engine.ran("teardown"), [(None, "last = 1")])
        self.assertEqual((engine.code, engine.jobs(), engine.all("close")[0]["code"]), (4, ["failed"], 4))

    def test_the_child_is_closed_though_jobTeardown_does_not(self):
        source = "class MyBackEnd(Base):\n    def jobTeardown(self): pass\n"
        engine = Engine(self.python, source).run()
        self.assertEqual((engine.code, engine.ops()[-1]), (0, "close"))

    def test_commands_are_path_translated(self):
        commands = ["x = 'QB_CONVERT_PATH( /proj/a b(1).exr )'", "y = 'QB_CONVERT_PATH(/other)' + \"QB_CONVERT_PATH(X:\\q\\r)\"",
                    "z = 'QB_CONVERT_PATH(/proj'"]
        engine = Engine(self.python, PLAIN, {"jobSetupCmds": ["s = 'QB_CONVERT_PATH(/proj)'"]}, [item("a", *commands)],
                        path_map=[("/proj", "/mnt/p's"), ("X:\\", "/mnt/x")]).run()
        self.assertEqual(engine.ran("setup"), [(None, "s = '/mnt/p\\'s'")])
        self.assertEqual(engine.ran("item"), [("a", "x = '/mnt/p\\'s/a b(1).exr'"), ("a", "y = '/other' + \"/mnt/x/q/r\"")])
        self.assertEqual(engine.reported(), [("a", "failed")])
        self.assertIn("QB_CONVERT_PATH at character 6 is malformed, its parenthesis is never closed: QB_CONVERT_PATH(/proj'", engine.err)

    def test_text_that_is_not_ascii(self):
        engine = Engine(self.python, PLAIN, {"regex_highlights": u"caf\u00e9.*"},
                        [item(u"\u00fc\U0001f600", u"out('caf\u00e9 \U0001f600\\n')")]).run()
        self.assertEqual(engine.all("report")[-1]["work"], {"name": u"\u00fc\U0001f600", "status": "complete",
                                                            "resultpackage": {"highlights": [u"caf\u00e9 \U0001f600"]}})


class Statuses(object):
    """The seven ways in which requestwork() may answer."""

    def run_with(self, *agenda, **more):
        self.engine = Engine(self.python, more.pop("source", PLAIN), agenda=agenda, **more).run()
        return self.engine.reported(), self.engine.jobs(), self.engine.code

    def test_failed(self):
        self.assertEqual(self.run_with(item("a", "never", status="failed"), item("b", "1")),
                         ([("a", "failed"), ("b", "complete")], ["complete"], 0))
        self.assertEqual(self.engine.ran("item"), [("b", "1")])

    def test_complete(self):
        self.assertEqual(self.run_with({"status": "complete"}, item("b", "1")), ([], ["complete"], 0))

    def test_pending(self):
        self.assertEqual(self.run_with(item("a", "1"), {"status": "pending"}, item("b", "1")),
                         ([("a", "complete")], ["pending"], 0))
        self.assertEqual(self.engine.ops()[-1], "close")

    def test_blocked(self):
        self.assertEqual(self.run_with({"status": "blocked"}, item("b", "1")), ([], ["blocked"], 0))

    def test_waiting(self):
        source = "class MyBackEnd(Base):\n    QB_WAITING_TIMEOUT = 0.3\n"
        began = time.time()
        self.assertEqual(self.run_with({"status": "waiting"}, {"status": "waiting"}, item("b", "1"), source=source),
                         ([("b", "complete")], ["complete"], 0))
        self.assertGreater(time.time() - began, 0.6)
        self.assertEqual(self.engine.all("hello")[0]["constants"]["QB_WAITING_TIMEOUT"], 0.3)

    def test_running(self):
        self.assertEqual(self.run_with(item("a", "1", status="running")), ([("a", "complete")], ["complete"], 0))

    def test_any_other(self):
        self.assertEqual(self.run_with(item("a", "1", status="whatever")), ([("a", "complete")], ["complete"], 0))

    def test_pending_is_not_reported_complete_by_a_class_that_asks_for_itself(self):
        source = """
class MyBackEnd(Base):
    def executeWork(self):
        qb.reportjob(qb.requestwork()["status"])
"""
        self.assertEqual(self.run_with({"status": "pending"}, source=source), ([], ["pending"], 0))


class Stopping(object):
    def stop(self, mode, then=None):
        def answer(engine, message):
            engine.send({"event": "stop", "mode": mode, "something": "new"})
            return then(engine, message) if then else {}
        return answer

    def test_after_the_item(self):
        engine = Engine(self.python, PLAIN, agenda=[item("a", "1"), item("b", "1")],
                        answers={"report": self.stop("after_item")}).run()
        self.assertEqual((engine.reported(), engine.jobs(), engine.code), ([("a", "complete")], ["pending"], 0))

    def test_at_once(self):
        def execute(engine, message):
            if message["item"] is None:
                return engine.on_execute(message)
            engine.send({"event": "stop", "mode": "now"})
            engine.exit = -15
            return {"code": 1, "exit": -15, "error": "", "ran": 0}
        engine = Engine(self.python, PLAIN, agenda=[item("a", "1"), item("b", "1")], answers={"execute": execute}).run()
        self.assertEqual((engine.reported(), len(engine.all("take"))), ([("a", "pending")], 1))

    def test_a_wait_for_work_ends_with_it(self):
        source = "class MyBackEnd(Base):\n    QB_WAITING_TIMEOUT = %d\n" % (LIMIT * 10)
        engine = Engine(self.python, source, agenda=[{"status": "waiting"}],
                        answers={"take": self.stop("after_item", lambda engine, message: engine.on_take(message))}).run()
        self.assertEqual((engine.jobs(), engine.code), (["pending"], 0))


def load_tests(loader, _tests, _pattern):
    return for_each_python(loader, StartUp, Page, Items, Statuses, Stopping)
