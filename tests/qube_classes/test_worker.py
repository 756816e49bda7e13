"""Under a Qube worker: the work is the installed qb's, and the engine hears of all of it."""
from fake_engine import Engine, for_each_python, item

STOCK = {"source": None, "name": ""}


def work(name, *commands, **more):
    return item(name, *commands, **dict({"status": "running"}, **more))


class Worker(object):
    def run_with(self, *left, **more):
        self.engine = Engine(self.python, installed=list(left), **more).run()
        return self.engine.told_farm("reportwork"), self.engine.told_farm("reportjob"), self.engine.code

    def test_the_stock_class(self):
        package = {"jobSetupCmds": ["s = 1"], "jobTeardownCmds": ["t = 1"]}
        self.assertEqual(self.run_with(work("a", "x = 1"), work("b", "1/0"), package=package, **STOCK),
                         ([("a", "complete"), ("b", "failed")], ["complete"], 0))
        engine = self.engine
        self.assertEqual([one["work"] for one in engine.all("begin")],
                         [work("a", "x = 1"), work("b", "1/0")])
        self.assertEqual((engine.reported(), engine.jobs()), ([("a", "complete"), ("b", "failed")], ["complete"]))
        self.assertEqual(engine.all("take"), [])
        self.assertIsNone(engine.all("start")[0]["args"])
        self.assertEqual([engine.ran("setup"), engine.ran("item"), engine.ran("teardown")],
                         [[(None, "s = 1")], [("a", "x = 1"), ("b", "1/0")], [(None, "t = 1")]])
        hello = engine.all("hello")[0]
        self.assertEqual((hello["class"], hello["file"], hello["overrides"], hello["job"]["name"]), ("RecipeBackEnd", "", [], "a job"))

    def test_a_class_of_the_studios(self):
        source = """
class MyBackEnd(Base):
    def executeWork(self):
        super(MyBackEnd, self).executeWork()
        seen(job=self.job.name, kind=type(self.job).__module__, backend=qb.backend.__file__.replace(os.sep, "/")[-30:])
"""
        self.assertEqual(self.run_with(work("a", "x = 1"), source=source), ([("a", "complete")], ["complete"], 0))
        seen = self.engine.seen()
        self.assertEqual((seen["job"], seen["kind"]), ("a job", "qb"))
        self.assertIn("/qube/qb/backend/__init__.py", seen["backend"])

    def test_each_status(self):
        nothing = {"name": "", "package": {}}
        for status, told in (
            ("failed", ([("n", "failed"), ("a", "complete")], ["complete"], 0)), ("complete", ([], ["complete"], 0)),
            ("pending", ([], ["pending"], 0)), ("blocked", ([], ["blocked"], 0)),
            ("waiting", ([("a", "complete")], ["complete"], 0)), ("running", ([("n", "complete"), ("a", "complete")], ["complete"], 0)),
            ("retrying", ([("n", "complete"), ("a", "complete")], ["complete"], 0)),
        ):
            source = "class MyBackEnd(Base):\n    QB_WAITING_TIMEOUT = 0.01\n"
            name = "n" if status in ("failed", "running", "retrying") else ""
            first = dict(nothing, name=name, status=status, package={"commands": ["x = 1"]})
            self.assertEqual(self.run_with(first, work("a", "x = 1"), source=source), told, status)
            self.assertEqual((self.engine.reported(), self.engine.jobs()), told[:2], status)
            began = [one["work"]["name"] for one in self.engine.all("begin")]
            self.assertEqual(began, [one for one, _ in told[0] if (one, status) != ("n", "failed")], status)

    def test_a_class_that_asks_qb_by_itself(self):
        source = """
from qb import requestwork, reportwork
import qb as farm
class MyBackEnd(Base):
    def executeWork(self):
        work = requestwork()
        work["status"] = "complete"
        work["resultpackage"] = {"outputPaths": "/a", "progress": "1.00"}
        reportwork(work)
        farm.reportjob("blocked")
"""
        self.assertEqual(self.run_with(work("a"), source=source), ([("a", "complete")], ["blocked"], 0))
        self.assertEqual(self.engine.reported(), [("a", "complete")])
        self.assertEqual(self.engine.all("report")[0]["work"]["resultpackage"], {"outputPaths": "/a", "progress": "1.00"})
        self.assertEqual((len(self.engine.all("begin")), self.engine.jobs()), (1, ["blocked"]))

    def test_modules_of_qubes_that_we_have_none_for(self):
        source = "import qb.backend.somethingElse\nassert qb.backend.somethingElse.HERE\nclass MyBackEnd(Base): pass\n"
        self.assertEqual(self.run_with(source=source), ([], ["complete"], 0))

    def test_results_found_in_the_output_reach_the_farm(self):
        package = {"regex_outputPaths": "Saved: (.*)", "regex_highlights": "note"}
        self.run_with(work("a", "out('note\\nSaved: /x,y\\nSaved: /z\\n')"), package=package, **STOCK)
        last = [told for call, told in self.engine.farm if call == "reportwork"][-1]
        self.assertEqual(last["resultpackage"], {"outputPaths": "/x,y,/z", "highlights": ["note"]})
        self.assertEqual(self.engine.all("report")[-1]["output_paths"], ["/x,y", "/z"])

    def test_the_farm_hears_though_the_engine_refuses(self):
        refuse = lambda engine, message: {"ok": False, "error": "the journal is full"}  # noqa: E731
        self.assertEqual(self.run_with(work("a", "x = 1"), answers={"report": refuse, "job": refuse}, **STOCK),
                         ([("a", "complete")], ["complete"], 0))
        self.assertIn("WARNING: the engine did not take a report: the journal is full", self.engine.err)

    def test_the_farm_hears_of_a_child_that_is_lost(self):
        self.assertEqual(self.run_with(work("a", "leave(0)"), work("b"), **STOCK), ([("a", "failed")], ["failed"], 1))

    def test_the_farm_hears_of_a_class_that_cannot_be_run(self):
        self.assertEqual(self.run_with(source="class Other(Base): pass\n"), ([], ["failed"], 2))
        source = "class MyBackEnd(Base):\n    def executeWork(self):\n        qb.requestwork()\n        raise KeyError('x')\n"
        self.assertEqual(self.run_with(work("a"), source=source), ([("a", "failed")], ["failed"], 1))

    def test_asked_to_stop_it_gives_the_instance_back(self):
        def report(engine, message):
            engine.send({"event": "stop", "mode": "after_item"})
            return {}
        self.assertEqual(self.run_with(work("a", "1"), work("b"), answers={"report": report}, **STOCK),
                         ([("a", "complete")], ["pending"], 0))

    def test_the_workers_own_path_map_is_used_if_the_engine_has_none(self):
        farm = {"path_map": {"/proj": "/here"}}
        setup = {"jobSetupCmds": ["x = 'QB_CONVERT_PATH(/proj)'"]}
        for path_map, expected in (((), "x = '/here'"), ([("/proj", "/ours")], "x = '/ours'")):
            self.run_with(package=setup, farm=farm, path_map=path_map, **STOCK)
            self.assertEqual(self.engine.ran("setup"), [(None, expected)])

    def test_a_worker_without_a_qb(self):
        self.assertEqual(self.run_with(env={"QBDIR": "/nowhere"}, **STOCK), ([], [], 2))
        self.assertIn("the worker's qb module cannot be imported from /nowhere/api/python or the Python path",
                      self.engine.all("failed")[0]["error"])


def load_tests(loader, _tests, _pattern):
    return for_each_python(loader, Worker)
