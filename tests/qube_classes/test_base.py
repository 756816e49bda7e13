"""What PythonQubeBackEnd offers, name by name: what it does, and what overriding it does.

    python3 -m unittest discover -s tests/qube_classes

CHILDMINDER_TEST_PYTHONS restricts the interpreters, e.g. "2.7,3.11".
"""
import os

from fake_engine import Engine, for_each_python, item

PATTERNS = {"regex_errors": "^Error:\nLicense (lost|gone)", "regex_highlights": "^note",
            "regex_progress": r"frame (\d+)%", "regex_outputPaths": r"Saved: '(.*)'"}
PERCENT = dict(PATTERNS, logParser={"className": "ProgressPercentageLogParser", "modulePath": "qb.backend.logParser"})


class Attributes(object):
    def test_init_takes_its_settings_from_the_package(self):
        source = """
class MyBackEnd(Base):
    def executeWork(self):
        seen(dev=self.dev, required=self.outputPaths_required, merging=self.redirectingStdErr, status=self.status,
             logs=sorted(self.jobLogs), parser=type(self.logParser).__name__, map=self.workerPathMap,
             job=[self.job.id, self.job["package"]["dev"], self.job.package.dev, type(self.job).__name__],
             text=type(self.job.name).__name__)
"""
        package = {"dev": "False", "outputPaths_required": "1", "redirectStderrToStdout": "0"}
        engine = Engine(self.python, source, package, path_map=[("/a", "/b")]).run()
        self.assertEqual(engine.seen(), {
            "dev": False, "required": True, "merging": False, "status": 0, "logs": ["stderr", "stdout"],
            "parser": "LogParser", "map": [["/a", "/b"]], "job": [7, "False", "False", "Job"], "text": "str"})

    def test_what_counts_as_true(self):
        values = ["f", "False", "fal", "", "0", "1", "2", "no", "off", "True", None, 0, 1, True, False]
        source = """
from qb.backend.utils import boolOf
class MyBackEnd(Base):
    def executeWork(self):
        seen(truth=[boolOf(value) for value in self.job.package["values"]])
"""
        engine = Engine(self.python, source, {"values": values}).run()
        self.assertEqual(engine.seen()["truth"], [False] * 5 + [True] * 5 + [False, False, True, True, False])

    def test_overriding_init_changes_what_the_base_does(self):
        source = """
class MyBackEnd(Base):
    def __init__(self, job):
        super(MyBackEnd, self).__init__(job)
        self.outputPaths_required = True
"""
        self.assertEqual(Engine(self.python, source, agenda=[item("a", "1")]).run().reported(), [("a", "failed")])

    def test_a_log_parser_of_the_studios_own(self):
        source = """
class MyBackEnd(Base):
    pass
"""
        package = {"logParser": {"className": "Own", "modulePath": "studio_parser", "libPath": "LIB"},
                   "regex_progress": "at (.*)"}
        engine = Engine(self.python, source, package, [item("a", "out('at half\\n')")])
        package["logParser"]["libPath"] = os.path.join(engine.folder, "lib")
        engine.job["package"] = package
        os.mkdir(os.path.join(engine.folder, "lib"))
        with open(os.path.join(engine.folder, "lib", "studio_parser.py"), "w") as file:
            file.write("from qb.backend.logParser import LogParser\nclass Own(LogParser):\n"
                       "    def calcProgress(self, progress, qbTokens=None):\n        return {'half': '0.50'}[progress]\n")
        engine.run()
        self.assertEqual(engine.all("report")[-1]["work"]["resultpackage"], {"progress": "0.50"})

    def test_printClassInfo_tells_where_it_all_comes_from(self):
        source = """
class MyBackEnd(Base):
    QB_WAITING_TIMEOUT = 7
    def jobTeardown(self):
        super(MyBackEnd, self).jobTeardown()
"""
        engine = Engine(self.python, source).run()
        self.assertIn("back end: MyBackEnd of %s\n" % engine.file, engine.out)
        self.assertIn("qb.backend.pythonBackEnd.PythonQubeBackEnd", engine.out)
        self.assertIn("QB_WAITING_TIMEOUT: 7\n", engine.out)
        self.assertIn("jobTeardown is overridden by MyBackEnd in %s, line 16\n" % engine.file, engine.out)

    def test_overriding_printClassInfo(self):
        source = """
class MyBackEnd(Base):
    def printClassInfo(self):
        seen(told="my own")
"""
        engine = Engine(self.python, source).run()
        self.assertEqual(engine.seen(), {"told": "my own"})
        self.assertNotIn("back end: MyBackEnd", engine.out)

    def test_hasJobPhaseCmds(self):
        source = """
class MyBackEnd(Base):
    def executeWork(self):
        seen(has=[self.hasJobPhaseCmds(phase) for phase in ("setup", "teardown", "jobSetupCmds", "jobTeardownCmds")])
"""
        engine = Engine(self.python, source, {"jobSetupCmds": ["x = 1"], "jobTeardownCmds": []}).run()
        self.assertEqual(engine.seen()["has"], [True, False, True, False])
        self.assertEqual(engine.ran("setup"), [(None, "x = 1")])

    def test_overriding_hasJobPhaseCmds(self):
        source = """
class MyBackEnd(Base):
    def hasJobPhaseCmds(self, phase):
        return False
"""
        engine = Engine(self.python, source, {"jobSetupCmds": ["1/0"], "jobTeardownCmds": ["1/0"]}).run()
        self.assertEqual((engine.code, engine.ran("setup"), engine.ran("teardown")), (0, [], []))


class Logs(object):
    def result(self, package, *commands, **more):
        engine = Engine(self.python, more.pop("source", "class MyBackEnd(Base): pass\n"), package,
                        [item("a", *commands)], **more).run()
        last = engine.all("report")[-1]
        self.engine, self.last = engine, last
        return last["work"]["status"], last["work"]["resultpackage"]

    def test_getLogData(self):
        source = """
class MyBackEnd(Base):
    def executeWork(self):
        path = self.jobLogs["stdout"]
        self.pyCmdDispatcher.execute(r"out(b'one \\xc3\\xa9\\xff\\n')")
        text, offset = self.getLogData(path, "stdout", 0)
        again = self.getLogData(path, "stdout", offset)
        seen(kind=type(text).__name__, size=len(text) > 5, offset=offset, again=again, part=self.getLogData(path, "stdout", 4)[1],
             missing=self.getLogData(path + ".none", "stdout", 3))
"""
        engine = Engine(self.python, source).run()
        self.assertEqual(engine.seen(), {"kind": "str", "size": True, "offset": 8, "again": ["", 8], "part": 8,
                                         "missing": ["", 3]})
        self.assertIn("WARNING: the log of stdout cannot be read", engine.err)

    def test_overriding_getLogData(self):
        source = """
class MyBackEnd(Base):
    def getLogData(self, path, stream, offset):
        text, offset = super(MyBackEnd, self).getLogData(path, stream, offset)
        return text.replace("bad", "note"), offset
"""
        self.assertEqual(self.result({"regex_errors": "bad", "regex_highlights": "note.*"}, "out('bad thing\\n')", source=source),
                         ("complete", {"highlights": ["note thing"]}))

    def test_parseLogData(self):
        source = """
class MyBackEnd(Base):
    def executeWork(self):
        seen(found=self.parseLogData("Error: x\\nlicense LOST\\nframe 30%\\nSaved: '/a.png'\\nSaved: '/b.png'\\n"),
             none=self.parseLogData("nothing"))
"""
        engine = Engine(self.python, source, PERCENT).run()
        self.assertEqual(engine.seen(), {"none": {}, "found": {
            "errors": ["Error:", "license LOST"], "progress": "0.30", "outputPaths": "/a.png,/b.png"}})

    def test_overriding_parseLogData(self):
        source = """
class MyBackEnd(Base):
    def parseLogData(self, logData, qbTokens=None):
        return {"progress": "0.77"} if "magic" in logData else {}
"""
        self.assertEqual(self.result({}, "out('magic\\n')", source=source), ("complete", {"progress": "0.77"}))

    def test_logHandler_fills_the_result_package(self):
        status, result = self.result(PERCENT, "out('note this\\nframe 10%\\n')", "out(\"frame 40%\\nSaved: '/a,b.png'\\n\")")
        self.assertEqual(status, "complete")
        self.assertEqual(result, {"highlights": ["note"], "progress": "0.40", "outputPaths": "/a,b.png"})
        self.assertEqual(self.last["output_paths"], ["/a,b.png"])
        self.assertEqual(self.engine.reported(), [("a", "running"), ("a", "running"), ("a", "complete")])

    def test_an_error_in_the_output_fails_the_item_and_its_other_commands_are_not_sent(self):
        status, result = self.result(PATTERNS, "out('Error: bad\\n')", "out('never')")
        self.assertEqual((status, result), ("failed", {"errors": ["Error:"]}))
        self.assertEqual([command for _, command in self.engine.ran("item")], ["out('Error: bad\\n')"])

    def test_errors_of_both_streams_are_kept(self):
        result = self.result(PATTERNS, "out('Error: one\\n'); err('License gone\\n')")[1]
        self.assertEqual(result, {"errors": ["Error:", "License gone"]})

    def test_merged_streams_are_parsed_all_the_same(self):
        status, result = self.result(dict(PATTERNS, redirectStderrToStdout="True"), "out('License gone\\n')")
        self.assertEqual((status, result), ("failed", {"errors": ["License gone"]}))
        self.assertTrue(self.engine.all("start")[0]["merge_stderr"])

    def test_a_stream_without_a_log_silences_only_itself(self):
        source = """
class MyBackEnd(Base):
    def __init__(self, job):
        super(MyBackEnd, self).__init__(job)
        self.jobLogs["stderr"] = ""
"""
        self.assertEqual(self.result(PATTERNS, "out('Error: x\\n'); err('License gone\\n')", source=source)[1],
                         {"errors": ["Error:"]})

    def test_what_was_printed_before_the_item_is_not_the_items(self):
        engine = Engine(self.python, "class MyBackEnd(Base): pass\n", PATTERNS, [item("a", "1")],
                        answers={"take": lambda engine, message: engine.append("stdout", "Error: old\n") or engine.on_take(message)})
        self.assertEqual(engine.run().reported(), [("a", "complete")])

    def test_logHandler_runs_while_a_command_does(self):
        source = """
class MyBackEnd(Base):
    LOGREAD_TIME_THRESHOLD = 0.02
"""
        # The command does not end before its progress has been reported; half a line is no line yet.
        command = "out('frame 25%\\nframe 9'); until('report', 1); out('9%\\n')"
        self.assertEqual(self.result(PERCENT, command, source=source), ("complete", {"progress": "0.99"}))
        self.assertEqual(self.engine.all("report")[0]["work"],
                         {"name": "a", "status": "running", "resultpackage": {"progress": "0.25"}})
        self.assertEqual(self.engine.all("hello")[0]["constants"]["LOGREAD_TIME_THRESHOLD"], 0.02)

    def test_an_error_while_a_command_runs_is_seen_once_it_has_ended(self):
        source = """
class MyBackEnd(Base):
    LOGREAD_TIME_THRESHOLD = 0.02
    def logHandler(self, work, qbTokens=None):
        result = super(MyBackEnd, self).logHandler(work, qbTokens)
        if result[0]:
            qb.reportjob("running")
        return result
"""
        commands = "out('Error: x\\n'); until('job', 1); out('ended')", "out('never')"
        self.assertEqual(self.result(PATTERNS, *commands, source=source), ("failed", {"errors": ["Error:"]}))
        self.assertEqual(len(self.engine.ran("item")), 1)

    def test_logHandler_of_the_job_itself(self):
        engine = Engine(self.python, "class MyBackEnd(Base): pass\n", dict(PATTERNS, jobSetupCmds=["out('note\\n')"])).run()
        self.assertEqual(engine.jobs(), ["running", "complete"])
        self.assertEqual(engine.all("job")[0]["resultpackage"], {"highlights": ["note"]})

    def test_logHandler_without_work(self):
        source = """
class MyBackEnd(Base):
    def executeWork(self):
        session = self.pyCmdDispatcher
        seen(fine=session.execute("out('note\\\\n')"), wrong=session.execute("out('Error: \\\\n')"))
"""
        engine = Engine(self.python, source, PATTERNS).run()
        self.assertEqual((engine.code, engine.seen()), (0, {"fine": 0, "wrong": 1}))

    def test_overriding_logHandler(self):
        source = """
class MyBackEnd(Base):
    def logHandler(self, work, qbTokens=None):
        return (work is not None and work is not self.job and work.name == "a"), False
"""
        engine = Engine(self.python, source, agenda=[item("a", "1", "2"), item("b", "3")]).run()
        self.assertEqual(engine.reported(), [("a", "failed"), ("b", "complete")])

    def test_in_development_nothing_is_matched_and_banners_are_printed(self):
        self.assertEqual(self.result(dict(PATTERNS, dev=True), "out('Error: x\\n')"), ("complete", {}))
        self.assertIn("=" * 80 + "\n", self.engine.out)
        self.assertRegex(self.engine.out, r"\d\d:\d\d:\d\d {8}item a +\S+\n")

    def test_a_flood_is_read_to_its_end(self):
        commands = ["out('x' * 79 + '\\n' * 1)", "out(('y' * 99 + '\\n') * 100000 + 'Error: last')"]
        self.assertEqual(self.result({"regex_errors": "Error: last"}, *commands), ("failed", {"errors": ["Error: last"]}))


class Results(object):
    def test_updateResultPackage(self):
        source = """
class MyBackEnd(Base):
    def executeWork(self):
        work = qb.Work(name="a", status="running", package={})
        steps = []
        for more in self.job.package.steps:
            self.updateResultPackage(work, more)
            steps.append(dict(work.resultpackage))
        seen(steps=steps, same=work["resultpackage"] is work.resultpackage)
"""
        steps = [{"outputPaths": "/a,/ab", "progress": "0.10", "errors": ["x"], "values": {"k": 1}},
                 {"outputPaths": "/a,/b", "progress": "0.20", "errors": ["y"], "values": {"l": 2}, "new": [1]},
                 {"outputPaths": ["/c,d", "/c,d"]}]
        engine = Engine(self.python, source, {"steps": steps}).run()
        seen = engine.seen()["steps"]
        self.assertEqual(seen[1], {"outputPaths": "/a,/ab,/b", "progress": "0.20", "errors": ["x", "y"],
                                   "values": {"k": 1, "l": 2}, "new": [1]})
        self.assertEqual(seen[2]["outputPaths"], "/a,/ab,/b,/c,d")

    def test_overriding_updateResultPackage(self):
        source = """
class MyBackEnd(Base):
    def updateResultPackage(self, work, resultDict):
        super(MyBackEnd, self).updateResultPackage(work, {"everything": sorted(resultDict)})
"""
        engine = Engine(self.python, source, PATTERNS, [item("a", "out('note\\n')")]).run()
        self.assertEqual(engine.all("report")[-1]["work"]["resultpackage"], {"everything": ["highlights"]})

    def test_a_result_package_of_the_classes_own_making(self):
        source = """
class MyBackEnd(Base):
    def logHandler(self, work, qbTokens=None):
        work["resultpackage"] = {"outputPaths": "/x,/y", "odd": [b"\\xff", float("nan"), set([1]), {2: None}, self]}
        work["resultpackage"]["odd"].append(work["resultpackage"]["odd"])
        return False, False
"""
        report = Engine(self.python, source, agenda=[item("a", "1")]).run().all("report")[-1]
        self.assertEqual(report["output_paths"], ["/x", "/y"])
        odd = report["work"]["resultpackage"]["odd"]
        self.assertEqual(odd[:4], ["\ufffd", None, [1], {"2": None}])
        self.assertIn("MyBackEnd object", odd[4])
        self.assertEqual(odd[5], "<list, left out>")

    def sized(self, least, *sizes, **more):
        commands = ["out(\"Saved: '\" + folder + '/%d.png' + \"'\\n\")" % number for number in range(len(sizes))]
        engine = Engine(self.python, more.get("source", "class MyBackEnd(Base): pass\n"),
                        dict(PATTERNS, validate_fileMinSize=least), [item("a", *commands)])
        for number, size in enumerate(sizes):
            if size is not None:
                with open(os.path.join(engine.folder, "%d.png" % number), "wb") as file:
                    file.write(b"x" * size)
        self.engine = engine.run()
        return engine.reported()[-1][1]

    def test_validateOutputFileSize(self):
        for least, sizes, status in ((10, (10, 11), "complete"), ("10", (10, 9), "failed"), (10, (None,), "failed"),
                                     (0, (1,), "complete"), ("", (None,), "complete"), ("many", (1,), "complete"),
                                     (10, (10, 10, 10, 10, 10, 9), "failed")):
            self.assertEqual(self.sized(least, *sizes), status, (least, sizes))
            if status == "failed":
                self.assertIn("an output file is not as it should be", self.engine.all("report")[-1]["reason"])
                self.assertRegex(self.engine.err, "it has 9 bytes, at least 10 are wanted|No such file")

    def test_a_file_that_is_told_of_before_it_is_there(self):
        source = "class MyBackEnd(Base):\n    LOGREAD_TIME_THRESHOLD = 0.02\n"
        command = """out("Saved: '" + folder + "/x'\\n"); until('report'); put('x', %r)"""
        for text, status in (("x" * 10, "complete"), ("x", "failed")):
            engine = Engine(self.python, source, dict(PATTERNS, validate_fileMinSize=10), [item("a", command % text)]).run()
            self.assertEqual(engine.reported()[-1], ("a", status))

    def test_a_character_that_is_read_in_two_parts(self):
        source = r"""
class MyBackEnd(Base):
    def executeWork(self):
        path, whole, offset, offsets = self.jobLogs["stdout"], "", 0, []
        for part in (r"note \xf0\x9f", r"\x98\x80\n", r"\xff\xfe"):
            self.pyCmdDispatcher.execute("out(b'%s')" % part)
            text, offset = self.getLogData(path, "stdout", offset)
            whole += text
            offsets.append(offset)
        seen(whole=whole if sys.version_info[0] > 2 else whole.decode("utf-8", "replace"), ends=offsets[1:])
"""
        engine = Engine(self.python, source).run()
        self.assertEqual(engine.seen(), {"whole": u"note \U0001f600\n\ufffd\ufffd", "ends": [10, 12]})

    def test_overriding_validateOutputFileSize(self):
        source = """
class MyBackEnd(Base):
    def validateOutputFileSize(self, work):
        return not work.resultpackage.outputPaths if False else False
"""
        self.assertEqual(self.sized(0, 100, source=source), "failed")

    def test_outputPaths_required(self):
        engine = Engine(self.python, "class MyBackEnd(Base): pass\n", dict(PATTERNS, outputPaths_required=True),
                        [item("a", "out(\"Saved: '/x'\\n\")"), item("b", "1")]).run()
        self.assertEqual([one for one in engine.reported() if one[1] != "running"], [("a", "complete"), ("b", "failed")])
        self.assertIn("no output path was found", engine.all("report")[-1]["reason"])


def load_tests(loader, _tests, _pattern):
    return for_each_python(loader, Attributes, Logs, Results)
