use super::*;
use crate::backend::{self, NoRecipe};
use crate::job::{Flags, from_flags};
use crate::model::Rung;
use serde_json::json;
use std::process::Command;

const SECRET: &str = "0123456789abcdef";

fn back_end_of(recipe: Recipe, sets: &[(&str, &str)], folder: &std::path::Path) -> RecipeBackEnd {
    let set = sets.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let embedded = EMBEDDED.iter().any(|(name, _)| *name == recipe.name);
    let backend = if embedded { recipe.name.as_str() } else { "python" };
    let flags = Flags {
        backend: Some(backend.into()),
        frames: Some("1-4".into()),
        commands: vec!["go({frame})".into()],
        init: vec!["first".into()],
        setup: vec!["second".into()],
        teardown: vec!["last".into()],
        set,
        ..Flags::default()
    };
    let job = from_flags(&flags).unwrap();
    RecipeBackEnd::new(Arc::new(job), Arc::new(recipe), folder.join("run"), SECRET)
}

fn back_end(name: &str, sets: &[(&str, &str)], folder: &std::path::Path) -> RecipeBackEnd {
    back_end_of(backend::find(name).unwrap(), sets, folder)
}

fn words(args: &ChildArgs) -> Vec<String> {
    args.args.iter().map(|word| word.to_string_lossy().into_owned()).collect()
}

fn value<'a>(args: &'a ChildArgs, name: &str) -> Option<&'a OsStr> {
    args.env.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_os_str())
}

/// The recipes in this binary, and whether we have run them.
const EMBEDDED: [(&str, bool); 13] = [
    ("3dsmaxbatch", false),
    ("blender", true),
    ("bpy", true),
    ("c4dpy", false),
    ("class", true),
    ("gdb", true),
    ("hython", false),
    ("maya", false),
    ("mayapy", false),
    ("nuke", false),
    ("pypy", true),
    ("python", true),
    ("unreal", false),
];

#[test]
fn the_embedded_recipes_are_right_and_complete() {
    let folder = tempfile::tempdir().unwrap();
    for (name, run) in EMBEDDED {
        let recipe = backend::find(name).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(recipe.name, name);
        assert_eq!(Recipe::parse("again", &recipe.text).unwrap(), recipe);
        assert_eq!(recipe.not_run.is_none(), run, "{name}");
        assert!(!recipe.exit_codes.is_empty() && recipe.description.len() > 20, "{name}");
        for key in ["application", "prompt", "passing", "stdin", "pump", "rungs"] {
            assert!(recipe.text.lines().any(|line| line.starts_with(&format!("{key} = "))), "{name} leaves {key} open");
        }
        for (key, declared) in recipe.parameters.iter().chain(&recipe.settings) {
            assert!(declared.doc.len() > 10, "{name}: {key} does not say what it is");
        }
        // Its arguments and commands can be made, though it is not there.
        let sets = [("executable", "/bin/sh"), ("project", "/p.uproject"), ("scene", "/s"), ("window", "true")];
        let known: Vec<_> = sets.into_iter().filter(|(key, _)| recipe.declares(key)).collect();
        let made = back_end_of(recipe.clone(), &known, folder.path()).get_subprocess_args(1);
        match (recipe.not_launchable(), made) {
            (Some(why), Err(error)) => assert_eq!(error.to_string(), why),
            (None, Ok((args, _))) => {
                let all = format!("{:?} {:?}", args.args, args.env);
                assert!(all.contains("child_bootstrapper.py"), "{name}: {all}");
            }
            (_, made) => panic!("{name}: {made:?}"),
        }
    }
    let builtin = backend::names().into_iter().filter(|(_, file)| file.is_none()).count();
    assert!(builtin <= EMBEDDED.len());
}

#[test]
fn a_window_changes_arguments_and_pump() {
    let folder = tempfile::tempdir().unwrap();
    let made = |window| {
        let back_end = back_end("blender", &[("executable", "/bin/sh"), ("window", window)], folder.path());
        let (args, _) = back_end.get_subprocess_args(1).unwrap();
        (words(&args).contains(&"--background".to_owned()), back_end.init_py_cmd_dispatcher().pump)
    };
    assert_eq!(made("false"), (true, Pump::Block));
    assert_eq!(made("true"), (false, Pump::Blender));
}

#[test]
fn a_recipe_may_bring_a_bootstrapper_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.toml");
    let text = "name = 'mine'\nexecutables = ['sh']\narguments = ['{bootstrapper}', '{port}']\nbootstrapper = 'my.py'";
    std::fs::write(&path, text).unwrap();
    let recipe = backend::find(path.to_str().unwrap()).unwrap();
    let back_end = back_end_of(recipe, &[], folder.path());
    let said = back_end.get_subprocess_args(1).unwrap_err().to_string();
    assert!(said.contains("my.py, which cannot be read"), "{said}");
    std::fs::write(folder.path().join("my.py"), "").unwrap();
    let (args, _) = back_end.get_subprocess_args(1).unwrap();
    let ours = back_end.generate_child_bootstrapper(1).unwrap();
    assert_eq!(words(&args)[0], folder.path().join("my.py").to_string_lossy());
    assert_eq!(value(&args, "CHILDMINDER_BOOTSTRAPPER"), Some(ours.as_os_str()));
}

#[test]
fn python_is_launched_with_the_port_and_without_the_secret_in_sight() {
    let folder = tempfile::tempdir().unwrap();
    let back_end = back_end("python", &[("extra_arguments", "['-X', 'dev']")], folder.path());
    let (args, init) = back_end.get_subprocess_args(4711).unwrap();
    let boot = back_end.generate_child_bootstrapper(4711).unwrap();
    assert_eq!(words(&args), ["-X", "dev", boot.to_str().unwrap(), "--port", "4711"]);
    assert_eq!(init, ["first"]);
    assert_eq!(back_end.job_setup().unwrap(), ["second"]);
    assert_eq!(back_end.job_teardown().unwrap(), ["last"]);
    let item = back_end.job.agenda.item(crate::model::ItemIndex(3)).unwrap();
    assert_eq!(back_end.execute_work(&item).unwrap(), ["go(4)"]);
    assert_eq!(value(&args, "CHILDMINDER_SECRET"), Some(OsStr::new(SECRET)));
    assert_eq!(value(&args, "CHILDMINDER_PORT"), None);
    assert_eq!(value(&args, "PYTHONUNBUFFERED"), Some(OsStr::new("1")));
    for shown in [format!("{args:?}"), format!("{back_end:?}"), format!("{:?}", args.args)] {
        assert!(!shown.contains(SECRET), "{shown}");
    }
    assert!(!std::fs::read_to_string(boot).unwrap().contains(SECRET));
}

#[test]
fn blender_opens_a_scene_by_a_command() {
    let folder = tempfile::tempdir().unwrap();
    let plain = back_end("blender", &[("executable", "/bin/sh")], folder.path());
    let (args, init) = plain.get_subprocess_args(1).unwrap();
    assert_eq!(words(&args)[..2], ["--background", "--factory-startup"]);
    assert_eq!(words(&args)[words(&args).len() - 3..], ["--", "--port", "1"]);
    assert_eq!(init, ["import bpy", "first"]);
    let sets = [("executable", "/bin/sh"), ("factory_startup", "false"), ("scene", "/a'b.blend")];
    let (args, init) = back_end("blender", &sets, folder.path()).get_subprocess_args(1).unwrap();
    assert!(!words(&args).contains(&"--factory-startup".to_owned()));
    assert_eq!(init[1], "bpy.ops.wm.open_mainfile(filepath='/a\\'b.blend', load_ui=False)");
}

#[test]
fn environment_and_file_pass_what_arguments_cannot() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = |passing| {
        let text = format!(
            "name = 'x'\nexecutables = ['sh']\narguments = ['{{bootstrapper}}']\npassing = '{passing}'\n\
             environment.set = {{ KEY = 'p={{port}}', JOB = 'recipe' }}"
        );
        Recipe::parse("x.toml", &text).unwrap()
    };
    let by_env = back_end_of(recipe("environment"), &[], folder.path());
    let (args, _) = by_env.get_subprocess_args(5).unwrap();
    assert_eq!(value(&args, "CHILDMINDER_PORT"), Some(OsStr::new("5")));
    assert_eq!(value(&args, "KEY"), Some(OsStr::new("p=5")));
    let by_file = back_end_of(recipe("file"), &[], folder.path());
    let (args, _) = by_file.get_subprocess_args(5).unwrap();
    assert_eq!((value(&args, "CHILDMINDER_PORT"), value(&args, "CHILDMINDER_SECRET")), (None, None));
    let boot = by_file.generate_child_bootstrapper(5).unwrap();
    let text = std::fs::read_to_string(boot).unwrap();
    assert!(text.contains("\nGENERATED = {'port': 5, "), "not filled in");
    assert!(text.contains(SECRET));
}

#[test]
fn a_missing_executable_tells_where_was_looked() {
    let folder = tempfile::tempdir().unwrap();
    let back_end = back_end("python", &[("executable", "/no/such/python")], folder.path());
    let said = back_end.get_subprocess_args(1).unwrap_err().to_string();
    assert!(
        said.starts_with("no executable for the backend python; looked for\n  /no/such/python: no such file\n"),
        "{said}"
    );
}

#[test]
fn the_jobs_environment_wins_and_settings_complete_templates() {
    let folder = tempfile::tempdir().unwrap();
    let text = "name = 'x'\nexecutables = ['sh']\narguments = ['{bootstrapper}', '{port}']\ninit = ['n = {n}']\n\
                environment.set = { A = 'recipe', B = 'recipe' }\n[settings.n]\ndefault = -3\n";
    let job = Job { env: [("A".to_owned(), "job".to_owned())].into(), ..Job::default() };
    let recipe = Recipe::parse("x.toml", text).unwrap();
    let back_end = RecipeBackEnd::new(Arc::new(job), Arc::new(recipe), folder.path().join("run"), SECRET);
    let (args, init) = back_end.get_subprocess_args(5).unwrap();
    assert_eq!(value(&args, "A"), Some(OsStr::new("job")));
    assert_eq!(value(&args, "B"), Some(OsStr::new("recipe")));
    assert_eq!(init, ["n = (-3)"]);
    let gone = Job { cwd: Some("/no/such".into()), ..Job::default() };
    let back_end = RecipeBackEnd::new(Arc::new(gone), back_end.recipe, folder.path().join("run"), SECRET);
    assert!(back_end.get_subprocess_args(5).unwrap_err().to_string().contains("/no/such"));
}

#[test]
fn wrong_recipes_tell_everything_at_once() {
    let text = "nam = 'x'\nexecutables = []\npassing = 'pipe'\necho = 1\n\
                arguments = ['{port}', '{scene}', '{unknown}', { when = 'nothing', arguments = ['a'] }, 3]\n\
                init = ['f({scene})', \"print('{scene}')\", { when = 'scene', command = 'g({scene})' }]\n\
                [parameters.scene]\ntype = 'text'\n[settings.frame]\ndefault = 1\n\
                [exit_codes]\n256 = 'x'\nSIGNOT = 'x'\nSIGSEGV = 'it crashed'\n";
    let said = Recipe::parse("r.toml", text).unwrap_err().to_string();
    let expected = [
        "r.toml:1:1: a recipe needs a name",
        "r.toml:1:1: a recipe needs executables",
        "r.toml:1:1: no argument has {bootstrapper}",
        "r.toml:1:1: unknown key \"nam\" in the recipe: did you mean \"name\"?",
        "r.toml:3:11: passing is \"argv\" or \"environment\" or \"file\", not \"pipe\"",
        "r.toml:4:8: expected true or false",
        "r.toml:5:25: {scene} may have no value: put it into { when = \"scene\", … }",
        "r.toml:5:36: \"unknown\" is no parameter",
        "r.toml:5:57: \"nothing\" is no parameter",
        "r.toml:5:89: expected a string or a table",
        "r.toml:6:12: {scene} may have no value",
        "r.toml:6:31: {scene} stands in a string",
        "r.toml:8:8: type is \"string\" or",
        "r.toml:9:11: \"frame\" has a meaning of its own",
        "r.toml:12:1: \"256\" is no exit code (\"0\" to \"255\") and no signal",
        "r.toml:13:1: \"SIGNOT\" is no exit code",
    ];
    for (place, expected) in expected.iter().enumerate() {
        assert!(said.lines().any(|line| line.starts_with(expected)), "missing {place}: {expected}\nin\n{said}");
    }
}

#[test]
fn recipes_are_found_by_path() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.toml");
    std::fs::write(&path, "name = 'mine'\nexecutables = ['x']\narguments = ['{bootstrapper}', '{port}']").unwrap();
    assert_eq!(backend::find(path.to_str().unwrap()).unwrap().name, "mine");
    std::fs::write(&path, "name = 3").unwrap();
    assert!(matches!(backend::find(path.to_str().unwrap()), Err(NoRecipe::Wrong(_))));
    assert!(matches!(backend::find("../x"), Err(NoRecipe::Wrong(_))));
    let Err(NoRecipe::Unknown(said)) = backend::find("pyhton") else { panic!("found") };
    assert!(said.contains("did you mean \"python\"?"), "{said}");
}

/// Every interpreter of this machine works in the environment that it gets, wherever it is installed.
#[test]
fn interpreters_of_version_managers_start_in_the_clean_environment() {
    let home = std::env::var("HOME").unwrap_or_default();
    let pyenv = std::path::Path::new(&home).join(".pyenv/versions").read_dir().into_iter().flatten().flatten();
    let mut interpreters: Vec<_> = pyenv.map(|version| version.path().join("bin/python")).collect();
    interpreters.push("python3".into());
    let folder = tempfile::tempdir().unwrap();
    for interpreter in interpreters {
        let back_end = back_end("python", &[("executable", interpreter.to_str().unwrap())], folder.path());
        let (args, _) = back_end.get_subprocess_args(1).unwrap();
        let code =
            "import sys, json, os; print(json.dumps([sys.prefix, sys.executable, os.environ['PYTHONIOENCODING']]))";
        let run = Command::new(&args.program).args(["-c", code]).env_clear().envs(args.env.clone()).output().unwrap();
        let said: Value = serde_json::from_slice(&run.stdout).unwrap_or_else(|_| panic!("{interpreter:?}: {run:?}"));
        assert_eq!(said[2], json!("utf-8:backslashreplace"));
        let prefix = std::path::Path::new(said[0].as_str().unwrap());
        assert!(interpreter.is_relative() || interpreter.starts_with(prefix), "{interpreter:?}: {said}");
    }
}

/// The real bootstrapper takes port and secret from where each way of passing puts them: it gets as far as a port on
/// which nobody listens, and the generated file is gone by then.
#[test]
fn the_bootstrapper_understands_every_way_of_passing() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for (passing, left) in [("argv", true), ("environment", true), ("file", false)] {
        let folder = tempfile::tempdir().unwrap();
        let words = if passing == "argv" { "'{bootstrapper}', '--port', '{port}'" } else { "'{bootstrapper}'" };
        let text = format!("name = 'x'\nexecutables = ['python3']\narguments = [{words}]\npassing = '{passing}'");
        let back_end = back_end_of(Recipe::parse("x.toml", &text).unwrap(), &[], folder.path());
        let boot = back_end.generate_child_bootstrapper(port).unwrap();
        let (args, _) = back_end.get_subprocess_args(port).unwrap();
        let run = Command::new(&args.program).args(&args.args).env_clear().envs(args.env).output().unwrap();
        let said = String::from_utf8_lossy(&run.stderr);
        assert!(said.contains("cannot reach the engine"), "{passing}: {said}");
        assert_eq!(boot.exists(), left, "{passing}");
    }
}

#[test]
fn on_qubes_wire_the_recipe_names_qubes_bootstrapper_and_gets_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let text = |more: &str| {
        format!(
            "name = 'x'\nprotocol = 'qube'\nexecutables = ['sh']\narguments = ['/qube/boot.py', '-p', '{{port}}']\n{more}"
        )
    };
    let recipe = Recipe::parse("x.toml", &text("")).unwrap();
    assert_eq!(recipe.rungs, [Rung::Terminate, Rung::Kill]);
    let back_end = back_end_of(recipe, &[], folder.path());
    let (args, _) = back_end.get_subprocess_args(5).unwrap();
    assert_eq!(words(&args), ["/qube/boot.py", "-p", "5"]);
    assert_eq!((args.stdin, value(&args, "CHILDMINDER_SECRET")), (StdinMode::Commands, None));
    let carrier = back_end.generate_child_bootstrapper(5).unwrap();
    assert!(std::fs::read_to_string(carrier).unwrap().contains("builtins._childminder = Carrier()"));
    for (more, wanted) in [
        ("rungs = ['interrupt', 'kill']", "the rung \"interrupt\" is not possible"),
        ("passing = 'file'", "leave passing out"),
        ("stdin = 'inherit'", "leave stdin out"),
        ("echo = true", "repeats commands by itself"),
        ("environment.set = { A = '{bootstrapper}' }", "does not speak Qube's protocol"),
    ] {
        let said = Recipe::parse("x.toml", &text(more)).unwrap_err().to_string();
        assert!(said.contains(wanted), "{wanted}: {said}");
    }
}
