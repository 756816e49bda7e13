"""The log parsers, frame ranges, path translation and objects, in every interpreter."""
import os
import shutil
import subprocess
import tempfile

from fake_engine import BOOT, Child, Engine, Host, PACKAGE, clean_environment, for_each_python, item

SHOW = """
class MyBackEnd(Base):
    def executeWork(self):
        from qb.backend import logParser, utils
        from childminder_qube import paths
        def attempt(function, *args):
            try:
                return function(*args)
            except Exception as problem:
                return "%%s: %%s" %% (type(problem).__name__, problem)
        job = self.job
        seen(shown=%s)
"""


class Parsers(object):
    def shown(self, expression, package=None, **more):
        engine = Engine(self.python, SHOW % expression, package, **more).run()
        self.engine = engine
        self.assertEqual(engine.code, 0, engine.err)
        return engine.seen()["shown"]

    def test_progress_parsers(self):
        tokens = {"QB_FRAME_RANGE": "1-10x3"}  # 1, 4, 7, 10
        values = ["50", "150", "-3", "x", "4", "0007", "3", "", "2", "1e999", "nan"]
        expression = """[[attempt(getattr(logParser, name)(job).calcProgress, value, tokens)
            for value in job.package["values"]] for name in job.package.parsers for tokens in (job.package.tokens, None)]"""
        parsers = ["LogParser", "ProgressPercentageLogParser", "CmdRangeChunkLogParser", "AERenderLogParser"]
        shown = self.shown(expression, {"values": values, "parsers": parsers, "tokens": tokens})
        none = [None] * len(values)
        percents = ["0.50", "1.00", "0.00", None, "0.04", "0.07", "0.03", None, "0.02", None, None]
        frames = ["0.00", "0.00", "0.00", None, "0.50", "0.75", "0.00", None, "0.00", None, None]
        indexes = ["1.00", "1.00", "0.00", None, "1.00", "1.00", "0.75", None, "0.50", None, None]
        self.assertEqual(shown, [none, none, percents, percents, frames, none, indexes, none])
        self.assertIn("WARNING: the frame 50 is none of the item's", self.engine.err)

    def test_a_chunks_frames_are_taken_from_the_items_name(self):
        package = {"regex_progress": r"frame (\d+)",
                   "logParser": {"className": "CmdRangeChunkLogParser", "modulePath": "qb.backend.logParser"}}
        engine = Engine(self.python, "class MyBackEnd(Base): pass\n", package,
                        [item("11-20", "out('frame 13\\n')"), item("no range", "out('frame 13\\n')")]).run()
        self.assertEqual([one["work"]["resultpackage"] for one in engine.all("report") if one["work"]["status"] == "complete"],
                         [{"progress": "0.30"}, {}])

    def test_patterns(self):
        package = {"regex_errors": "  ^fail(ed|ure)\n\n(?i)(?:bad)\n(?s)worse.thing ", "regexOther": "(a)|(b)", "regex_none": "x",
                   "regex_number": 5, "regex_empty": " \n ", "regex_outputPaths": "no group"}
        text = "FAILED\nnot failed\nso bad\nworse\nthing\nab x no group\n"
        shown = self.shown("[logParser.LogParser(job).parse(job.name), sorted(logParser.LogParser(job).regexes)]",
                           package, greeting={"job": {"name": text, "package": package}})
        if shown[0]["errors"][-1:] == ["worse\nthing"]:
            shown[0]["errors"].pop()
        self.assertEqual(shown[0]["errors"], ["FAILED", "bad"])
        self.assertEqual(shown[0]["regexOther"][-2:], ["a", "b"])
        self.assertNotIn("outputPaths", shown[0])
        self.assertEqual(shown[1], ["errors", "none", "outputPaths", "regexOther"])

    def test_a_pattern_that_cannot_be_read(self):
        engine = Engine(self.python, "class MyBackEnd(Base): pass\n", {"regex_errors": "fine\n(open"}).run()
        self.assertEqual((engine.code, engine.jobs()), (1, ["failed"]))
        self.assertIn("the pattern in line 2 of the job's regex_errors cannot be read", engine.all("failed")[0]["error"])

    def test_what_is_kept_is_bounded(self):
        shown = self.shown("[len(one) for one in logParser.LogParser(job).parse('e' * 5000 + ' e' * 5000)['errors'][:2]]"
                           " + [len(logParser.LogParser(job).parse('e ' * 5000)['errors'])]", {"regex_errors": "e+"})
        self.assertEqual(shown, [4096, 1, 1000])

    def test_frame_ranges_and_tokens(self):
        texts = ["5", "1-3", "3-1", "-2-1", "1-10x4", "1, 3-4", "-5--3", "1-2-3", "", "a", "1-3x0", "1-99999999"]
        shown = self.shown("[attempt(utils.expandFrameRange, text) for text in job.package.texts]", {"texts": texts})
        self.assertEqual(shown[:7], [[5], [1, 2, 3], [3, 2, 1], [-2, -1, 0, 1], [1, 5, 9], [1, 3, 4], [-5, -4, -3]])
        self.assertEqual([text[:11] for text in shown[7:]], ["ValueError:"] * 5)
        shown = self.shown("[utils.getFrameTokens(qb.Work(name='1-9x4'), 4), utils.getFrameTokens(qb.Work(name='sh'))]")
        self.assertEqual(shown, [{"QB_FRAME_START": "0001", "QB_FRAME_NUMBER": "0001", "QB_FRAME_END": "0009",
                                  "QB_FRAME_STEP": "4", "QB_FRAME_RANGE": "1-9x4"}, {}])

    def test_log_paths_of_a_worker(self):
        shown = self.shown("[utils.getJobLogPaths(12345, 2, job.cwd), sorted(utils.getJobLogPaths())]")
        self.assertEqual(shown, [{"stdout": "", "stderr": ""}, ["stderr", "stdout"]])
        expression = """[os.makedirs(job.cwd + '/job/12000/12345'), open(job.cwd + '/job/12000/12345/12345_2.out', 'w').close(),
            utils.getJobLogPaths('12345', '2', job.cwd)['stdout'].replace(job.cwd, '')][2]"""
        self.assertEqual(self.shown(expression), "/job/12000/12345/12345_2.out")

    def test_path_translation(self):
        table = [
            ("plain", "plain"), ("QB_CONVERT_PATH(/proj/x)", "/p/x"), ("QB_CONVERT_PATH( /proj )", "/p"),
            ("QB_CONVERT_PATH(/project/x)", "/project/x"), ("QB_CONVERT_PATH(/proj/deep/x)", "/d/x"),
            ("a QB_CONVERT_PATH(/proj/(b(c))) d QB_CONVERT_PATH(/q) e", "a /p/(b(c)) d /q e"),
            ("QB_CONVERT_PATH(QB_CONVERT_PATH(/proj)/x)", "/p/x"), ("QB_CONVERT_PATH(/loop)", "QB_CONVERT_PATH(/loop)"),
            ("QB_CONVERT_PATH(P:\\a\\b c.exr)", "/mnt/a/b c.exr"), ("QB_CONVERT_PATH(/win/a)", "W:/a"),
            ("QB_CONVERT_PATH(p:/a//b)", "/mnt/a/b"), ("QB_CONVERT_PATH(P:x)", "P:x"),
            ("QB_CONVERT_PATH(//Server/Vol/a)", "/vol/a"), ("QB_CONVERT_PATH(/it's)", "/it\\'s"), ("QB_CONVERT_PATH()", ""),
            ("x QB_CONVERT_PATH(/a", "MalformedToken: QB_CONVERT_PATH at character 3 is malformed, its parenthesis is never "
             "closed: QB_CONVERT_PATH(/a"),
            ("QB_CONVERT_PATH /a", "MalformedToken: QB_CONVERT_PATH at character 1 is malformed, a path in parentheses has to "
             "follow: QB_CONVERT_PATH /a"),
        ]
        path_map = [("/proj/", "/p"), ("/proj/deep", "/d/"), ("/loop", "QB_CONVERT_PATH(/loop)"), ("P:", "/mnt"), ("/win", "W:"),
                    ("\\\\\\\\server\\\\vol", "/vol")]
        shown = self.shown("[attempt(utils.convertPaths, text) for text in job.package.texts]",
                           {"texts": [text for text, _ in table]}, path_map=path_map)
        expected = [there for _, there in table]
        self.assertEqual(shown, expected)
        self.assertEqual(self.shown("qb.convertpath('/proj/x')", path_map=path_map), "/p/x")

    def test_objects(self):
        expression = """[qb.Job(a=1).a, attempt(getattr, qb.Work(), 'b'), attempt(lambda: qb.Work(x=1).__delattr__('x')),
            __import__('copy').deepcopy(qb.Work(p=qb.Package(q=[1]))).p.q, type(qb.requestwork().package).__name__]"""
        self.assertEqual(self.shown(expression, agenda=[item("a")]),
                         [1, "AttributeError: Work has no 'b'", None, [1], "Package"])

    def test_names_under_which_modules_are_found(self):
        names = ["qb.backend.pythonBackEnd.PythonBackEnd", "qb.backend.pythonBackEnd.PythonQubeBackEnd",
                 "qb.backend.pythonQubeBackEnd.PythonQubeBackEnd", "qb.backend.pythonChildBackEnd.PythonChildBackEnd",
                 "qb.backend.pythonChildHandler.PyCmdDispatcher", "qb.backend.pythonChildHandler.PyCmdExecutor",
                 "qb.backend.pyCmdDispatcher.PyCmdDispatcher", "qb.backend.logParser.LogParser", "qb.backend.logParsers.LogParser",
                 "qb.backend.utils.bannerPrint", "qb.jobobj", "qb.Work"]
        source = "\n".join("from %s import %s" % tuple(name.rsplit(".", 1)) for name in names) + "\nclass MyBackEnd(Base): pass\n"
        engine = Engine(self.python, source).run()
        self.assertEqual(engine.code, 0, engine.err)


class Alone(object):
    """Without an engine: a studio's own unit test, and the executor in a child."""

    def run_python(self, code, **env):
        done = subprocess.run([self.python, "-c", code], env=clean_environment(**env), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    def test_a_class_may_be_made_and_asked(self):
        code = """
import qb
from qb.backend.pythonChildBackEnd import PythonChildBackEnd
back_end = PythonChildBackEnd(qb.Job(package={"regex_highlights": "x"}))
print([back_end.parseLogData("x"), back_end.logHandler(back_end.job), back_end.jobLogs])
try:
    qb.requestwork()
except Exception as problem:
    print(problem)
"""
        code, out, err = self.run_python(code, PYTHONPATH=PACKAGE)
        self.assertEqual((code, out), (0, "[{'highlights': ['x']}, (False, False), {}]\nthere is no engine to ask for 'take': "
                                          "the class was not started by childminder\n"), err)

    def test_a_bootstrapper_of_the_studios_own_starts_our_executor(self):
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        for arguments in ("(%d, 'maya')", "('maya', %d)", "(port=%d)"):
            script = os.path.join(folder, "own.py")

            class Own(Child):
                def prepare(self, port):
                    with open(script, "w") as file:
                        file.write("import sys\nsys.path.insert(0, %r)\nfrom qb.backend.pythonChildHandler import PyCmdExecutor\n"
                                   "sys.exit(PyCmdExecutor%s.mainloop())\n" % (PACKAGE, arguments % port))
            child = Own(Host("own", (), []), env={"CHILDMINDER_BOOTSTRAPPER": BOOT}, arguments=[self.python, script])
            self.addCleanup(child.close)
            self.assertEqual(child.hello["type"], "hello")
            self.assertEqual([child.value("6 * 7"), child.value("__name__")], ["42", "'__main__'"])
            child.send(type="shutdown", code=5)
            self.assertEqual(child.ended(), 5)

    def test_the_bootstrapper_is_looked_for_above_the_package(self):
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        shutil.copytree(PACKAGE, os.path.join(folder, "qube"))
        ask = ("import sys; sys.path.insert(0, %r)\nfrom qb.backend.pythonChildHandler import PyCmdExecutor\n"
               "print(PyCmdExecutor(1).mainloop())" % os.path.join(folder, "qube"))
        code, _, err = self.run_python(ask)
        self.assertEqual((code, "the bootstrapper child_bootstrapper.py is not found above" in err), (1, True), err)
        with open(os.path.join(folder, "child_bootstrapper.py"), "w") as file:
            file.write("import sys\nprint(sys.argv[1:])\nraise SystemExit(3)\n")
        self.assertEqual(self.run_python(ask), (0, "['--port', '1']\n3\n", ""))


def load_tests(loader, _tests, _pattern):
    return for_each_python(loader, Parsers, Alone)
