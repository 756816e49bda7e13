"""The driver: its hello, its exit codes, what it says of a class that cannot be run, and a bridge that breaks."""
import os
import subprocess

from fake_engine import DRIVER, Engine, HEAD, LIMIT, clean_environment, for_each_python, item

PLAIN = "class MyBackEnd(Base): pass\n"


class Hello(object):
    def test_hello(self):
        source = """
class MyBackEnd(Base):
    QB_WAITING_TIMEOUT = 9

    def __init__(self, job):
        super(MyBackEnd, self).__init__(job)

    @staticmethod
    def parseLogData(logData, qbTokens=None):
        return {}

    def mine(self):
        pass
"""
        engine = Engine(self.python, source).run()
        hello = engine.all("hello")[0]
        self.assertEqual((hello["id"], hello["class"], hello["file"], hello["pid"]), (1, "MyBackEnd", engine.file, engine.process.pid))
        self.assertEqual(hello["constants"], {"DEFAULT_PYTHON": hello["executable"], "LOGREAD_TIME_THRESHOLD": 5, "QB_WAITING_TIMEOUT": 9})
        where = [(one["name"], one["class"], one["line"]) for one in hello["overrides"]]
        lines = (HEAD + source).split("\n")
        at = lambda text: next(number for number, line in enumerate(lines, 1) if text in line)  # noqa: E731
        self.assertEqual([one for one in where if one[0] != "parseLogData"], [
            ("QB_WAITING_TIMEOUT", "MyBackEnd", at("QB_WAITING")), ("__init__", "MyBackEnd", at("def __init__")),
            ("getSubprocessArgs", "Base", at("def getSub"))])
        self.assertIn(("parseLogData", "MyBackEnd"), [one[:2] for one in where])
        self.assertEqual({one["file"] for one in hello["overrides"]}, {engine.file})
        self.assertRegex(hello["python"], r"\d+\.\d+\.\d+")
        self.assertEqual(len(engine.all("hello")), 1)

    def test_what_the_class_finds(self):
        source = """
import neighbour, subprocess
class MyBackEnd(Base):
    def executeWork(self):
        ask = [sys.executable, "-c", "import os; print([fd for fd in os.listdir('/proc/self/fd') if 'socket:' in os.path.realpath('/proc/self/fd/' + fd)])"]
        left = [name for name in os.environ if name.startswith("CHILDMINDER")]
        seen(neighbour=neighbour.HERE, left=left, name=__name__, ids=[os.environ["QBJOBID"], os.environ["QBSUBID"]],
             sockets=subprocess.Popen(ask, close_fds=False, stdout=subprocess.PIPE).communicate()[0].decode().strip())
        print(u"caf\\u00e9" if sys.version_info[0] > 2 else "caf\\xc3\\xa9")
"""
        engine = Engine(self.python, source, env={"LC_ALL": "C"})
        del engine.env["PYTHONDONTWRITEBYTECODE"]
        with open(os.path.join(engine.folder, "neighbour.py"), "w") as file:
            file.write("HERE = True\n")
        engine.answers["close"] = lambda engine, message: engine.files.extend(os.listdir(engine.folder)) or engine.on_close(message)
        engine.files = []
        engine.run()
        self.assertEqual(engine.seen(), {"neighbour": True, "left": [], "name": "my_backend", "ids": ["7", "0"], "sockets": "[]"})
        self.assertIn(u"caf\u00e9\n", engine.out)
        self.assertEqual(sorted(engine.files), ["my_backend.py", "neighbour.py", "stderr.log", "stdout.log"])

    def test_the_engine_may_refuse(self):
        engine = Engine(self.python, PLAIN, greeting={"ok": False, "error": "another back end is here"}).run()
        self.assertEqual((engine.code, engine.ops()), (2, ["hello", "failed"]))
        self.assertEqual(engine.all("failed")[0]["error"], "another back end is here")


class WrongClasses(object):
    def refused(self, source, **more):
        engine = Engine(self.python, source, **more).run()
        self.assertEqual((engine.code, engine.ops()), (2, ["failed"]), engine.err)
        error = engine.all("failed")[0]["error"]
        self.assertNotIn("\n", error)
        return error.replace(engine.file, "FILE")

    def test_a_syntax_error(self):
        self.assertIn("FILE, line 13: ", self.refused("def broken(:\n"))

    def test_no_such_class(self):
        self.assertEqual(self.refused("class Other(Base): pass\nMyBackEnd = 5\n"),
                         "FILE has no class MyBackEnd; its classes are: Base, Other")

    def test_the_wrong_base(self):
        self.assertEqual(self.refused("class MyBackEnd(object): pass\n"),
                         "FILE, line 13: the class MyBackEnd is not derived from PythonQubeBackEnd (import it from "
                         "qb.backend.pythonChildBackEnd)")

    def test_an_import_that_raises(self):
        self.assertEqual(self.refused("def f():\n    raise KeyError('a\\nb')\nf()\n"),
                         "FILE cannot be imported: FILE, line 14: KeyError: 'a\\nb'")
        self.assertIn("FILE cannot be imported: FILE, line 13: ", self.refused("import no_such_module_at_all\n"))
        self.assertIn("FILE cannot be imported: FILE, line 13: SystemExit: 0", self.refused("sys.exit(0)\n"))

    def test_no_such_file(self):
        self.assertEqual(self.refused(None), "the back end's file FILE is not there")

    def test_a_name_that_is_none(self):
        for name in ("nothing", ":", "file.py:"):
            self.assertIn("is not named as file.py:Class", self.refused(PLAIN, env={"CHILDMINDER_BACK_END": name}))

    def test_an_init_that_raises(self):
        engine = Engine(self.python, "class MyBackEnd(Base):\n    def __init__(self, job):\n        raise ValueError('no licence')\n").run()
        self.assertEqual((engine.code, engine.ops()), (1, ["hello", "failed", "job"]))
        self.assertEqual(engine.all("failed")[0]["error"],
                         "the back end MyBackEnd raised: %s, line 15: ValueError: no licence" % engine.file)
        self.assertEqual(engine.jobs(), ["failed"])


class Ends(object):
    def way(self, method, body, agenda=(), **more):
        source = "class MyBackEnd(Base):\n    def %s(self):\n        %s\n" % (method, body)
        return Engine(self.python, source, agenda=agenda, **more).run()

    def test_a_way_that_raises(self):
        for method, code, jobs in (("jobSetup", 1, ["failed"]), ("executeWork", 1, ["failed"]), ("jobTeardown", 1, ["failed"])):
            engine = self.way(method, "raise KeyError('mine')")
            self.assertEqual((engine.code, engine.jobs()), (code, jobs), method)
            self.assertIn("my_backend.py, line 15: KeyError: 'mine'", engine.all("failed")[0]["error"])
            if method != "jobSetup":
                self.assertEqual(len(engine.all("close")), 1, method)

    def test_the_item_in_hand_has_failed_with_it_and_teardown_runs(self):
        engine = self.way("executeWork", "qb.requestwork(); raise KeyError('mine')", [item("a"), item("b")],
                          package={"jobTeardownCmds": ["last = 1"]})
        self.assertEqual((engine.reported(), engine.ran("teardown")), ([("a", "failed")], [(None, "last = 1")]))
        self.assertIn("KeyError: 'mine'", engine.all("report")[0]["reason"])

    def test_exit_codes(self):
        for said, code in (("3", 3), ("'text'", 1), ("None", 0), ("0", 0), ("256", 1), ("-9", 137)):
            engine = self.way("executeWork", "sys.exit(%s)" % said)
            self.assertEqual((engine.code, len(engine.all("close"))), (code, 1), said)
            self.assertEqual("text" in engine.err, said == "'text'")
        self.assertEqual(self.way("executeWork", "self.status = 5").code, 5)

    def test_a_forked_copy_may_not_speak(self):
        body = """
        import qb
        pid = os.fork()
        if pid == 0:
            try:
                qb.reportjob("failed")
            except Exception as problem:
                print(problem)
            os._exit(9)
        seen(ended=os.waitpid(pid, 0)[1] >> 8)"""
        engine = self.way("executeWork", body)
        self.assertEqual((engine.seen(), engine.jobs()), ({"ended": 9}, ["complete"]))
        self.assertIn("a forked copy of the back end may not speak to the engine", engine.out)

    def test_a_result_that_is_too_large(self):
        body = "work = qb.requestwork(); work.resultpackage = {'all': 'x' * (17 << 20)}; qb.reportwork(work)"
        engine = self.way("executeWork", body, [item("a")])
        self.assertEqual((engine.code, engine.reported()), (1, [("a", "failed")]))
        self.assertIn("'report' is 17 MiB, too much to tell the engine: the limit is 16 MiB", engine.all("failed")[0]["error"])

    def test_a_command_that_is_no_text(self):
        engine = Engine(self.python, PLAIN, agenda=[item("a", 5), item("b", "1")]).run()
        self.assertEqual(engine.reported(), [("a", "failed"), ("b", "complete")])
        self.assertIn("ERROR: a command has to be text, not int: 5", engine.err)

    def test_threads_may_ask_at_once_and_answers_come_in_any_order(self):
        body = """
        import threading
        done = []
        threads = [threading.Thread(target=lambda n=n: done.append(qb.reportjob("running %d" % n))) for n in range(5)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        seen(done=len(done))"""
        held = []

        def job(engine, message):
            held.append(message["id"])
            if len(held) < 5:
                return None
            for number in [10 ** 6] + held[:-1][::-1]:
                engine.send({"id": number, "ok": True})
            return {}
        engine = self.way("executeWork", body + "\n    def jobTeardown(self): pass", answers={"job": job})
        self.assertEqual((engine.code, engine.seen()), (0, {"done": 5}))


class Bridges(object):
    def test_lines_that_are_no_messages(self):
        for line, said in ((b"nonsense\n", "the engine sent a line that is no message"), (b"[1]\n", "no object): '[1]'"),
                           (b"\xff\xfe\n", "that is no message"), (b"\n", "that is no message"),
                           (b"[" * 100000 + b"\n", "the"), (b"x" * (17 << 20), "the engine sent a line of more than 16 MiB")):
            engine = Engine(self.python, PLAIN, answers={"open": lambda engine, message: engine.send_bytes(line)}).run()
            self.assertEqual(engine.code, 70, line[:20])
            self.assertIn("childminder: " + said if said.startswith("the ") else said, engine.err)

    def test_messages_of_another_version_are_skipped(self):
        def opened(engine, message):
            for other in ({"event": "party"}, {}, {"id": 77777, "ok": True}, {"id": [1]}, {"id": None}, {"event": ["stop"]}):
                engine.send(other)
            return engine.on_open(message)
        self.assertEqual(Engine(self.python, PLAIN, answers={"open": opened}).run().code, 0)

    def test_a_bridge_that_is_closed(self):
        def close(engine, message):
            engine.sock.shutdown(2)
        for op in ("hello", "start", "execute", "take"):
            engine = Engine(self.python, PLAIN, agenda=[item("a", "1")], answers={op: close}).run()
            self.assertEqual(engine.code, 70, op)
            self.assertRegex(engine.err, "childminder: the (engine closed the bridge|bridge to the engine broke: .*); the back end ends with it")

    def test_a_bridge_that_is_closed_while_the_class_is_busy_elsewhere(self):
        source = "class MyBackEnd(Base):\n    def executeWork(self):\n        qb.reportjob('running')\n        import time; time.sleep(%d)\n" % (LIMIT * 10)

        def job(engine, message):
            engine.send({"id": message["id"], "ok": True})
            engine.sock.shutdown(2)
        self.assertEqual(Engine(self.python, source, answers={"job": job}).run().code, 70)

    def test_a_large_message_both_ways(self):
        text = "y" * (3 << 20)
        engine = Engine(self.python, "class MyBackEnd(Base):\n    def executeWork(self): qb.reportjob(self.job.package.text)\n",
                        {"text": text}).run()
        self.assertEqual(engine.jobs()[0], text)

    def test_no_bridge(self):
        for env in ({}, {"CHILDMINDER_BRIDGE": "no"}, {"CHILDMINDER_BRIDGE": "999"}):
            done = subprocess.run([self.python, DRIVER], env=clean_environment(**env), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            self.assertEqual(done.returncode, 2)
            self.assertIn(b"this program is started by the engine", done.stderr)


def load_tests(loader, _tests, _pattern):
    return for_each_python(loader, Hello, WrongClasses, Ends, Bridges)
