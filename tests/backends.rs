//! `backends` and `info`: what is listed is there, a check tells every step and where it stopped, and what runs a session
//! is told with where it came from.

#![allow(clippy::expect_used, clippy::panic, reason = "a helper that cannot do its part fails the test")]

#[path = "common/home.rs"]
mod home;
#[path = "common/hosts.rs"]
mod hosts;

use home::{Home, text};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

/// A recipe beside the user's files, and its path.
fn recipe(home: &Home, name: &str, rest: &str) -> String {
    let path = home.path().join(format!("{name}.toml"));
    std::fs::write(&path, format!("name = '{name}'\n{rest}")).expect("written");
    path.display().to_string()
}

/// What a check says, and its exit code.
fn check(home: &Home, args: &[&str]) -> (String, Option<i32>) {
    let output = home.run(&[&["backends", "check"], args].concat());
    (text(&output.stdout) + &text(&output.stderr), output.status.code())
}

/// The names of the steps that were told.
fn steps(said: &str) -> Vec<String> {
    let told = said.lines().filter_map(|line| {
        let (time, rest) = line.get(..8).zip(line.get(10..))?;
        let is_time = time.trim_start().starts_with(|c: char| c.is_ascii_digit());
        is_time.then(|| rest.split("  ").next().unwrap_or_default().trim().to_owned())
    });
    told.collect()
}

const PYTHON: &str = "executables = ['python3']\narguments = ['{bootstrapper}', '--port', '{port}']\n";

#[test]
fn what_is_there_is_listed_with_its_version_and_what_is_not_with_why() {
    let home = Home::new();
    let listed = home.json(&["backends", "--json"]);
    let listed = listed.as_array().expect("a list");
    let of = |name: &str| listed.iter().find(|one| one["name"] == name).unwrap_or_else(|| panic!("no {name}"));
    for (name, executable) in [("python", "python3"), ("blender", "blender"), ("gdb", "gdb"), ("pypy", "pypy3")] {
        if hosts::on_path(executable).is_none() {
            hosts::not_run(executable);
            continue;
        }
        let one = of(name);
        assert!(one["executable"].as_str().is_some_and(|path| path.ends_with(executable)), "{one}");
        assert!(one["version"].as_str().is_some_and(|version| version.contains('.')), "{one}");
        assert_eq!((&one["not_run"], &one["looked"], &one["wrong"]), (&Value::Null, &Value::Null, &Value::Null));
    }
    let max = of("3dsmaxbatch");
    assert_eq!(max["not_launchable"], "not launchable on this system: 3ds Max runs on Windows");
    assert!(max["not_run"].as_str().is_some_and(|why| why.contains("licence")), "{max}");
    if std::env::var_os("MAYA_LOCATION").is_none() {
        let maya = of("mayapy");
        assert_eq!(maya["looked"][0]["outcome"], "the variable MAYA_LOCATION is not set");
    }
    let said = home.says(&["backends"]);
    for line in ["from the vendor's documentation", "not launchable on this system", "python"] {
        assert!(said.contains(line), "{line}: {said}");
    }
}

#[test]
fn ones_own_recipes_are_listed_and_wrong_ones_say_so() {
    let home = Home::new();
    let folder = home.path().join("config/childminder/backends");
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("broken.toml"), "name = 3").expect("written");
    let mut list = home.command(&["backends", "--json"]);
    let output = list.env("XDG_CONFIG_HOME", home.path().join("config")).output().expect("it runs");
    let listed: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let one = listed.as_array().expect("a list").iter().find(|one| one["name"] == "broken").expect("listed");
    assert!(one["wrong"].as_str().is_some_and(|why| why.contains("broken.toml:1:8: expected a string")), "{one}");
}

#[test]
fn a_check_tells_every_step_of_a_backend_that_works() {
    let home = Home::new();
    for (name, executable, init) in [("python", "python3", false), ("gdb", "gdb", true), ("blender", "blender", true)] {
        if hosts::on_path(executable).is_none() {
            hosts::not_run(executable);
            continue;
        }
        let (said, code) = check(&home, &[name]);
        assert_eq!(code, Some(0), "{said}");
        let first = ["executable", "spawned", "script read", "connected", "script run", "secret proven", "hello"];
        let init = if init { vec!["init command"] } else { vec![] };
        let expected: Vec<&str> = first.into_iter().chain(init).chain(["command", "ended"]).collect();
        assert_eq!(steps(&said), expected, "{said}");
        assert!(said.ends_with(&format!("the backend {name} works\n")), "{said}");
    }
    let left: Vec<_> =
        std::fs::read_dir(home.path()).expect("a folder").flatten().map(|file| file.file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with("childminder-check")), "{left:?}");
    assert!(home.json(&["ls", "--json"]).as_array().is_some_and(Vec::is_empty), "a check is no session");
}

#[test]
fn a_check_tells_where_it_stopped_and_what_to_do() {
    let home = Home::new();
    let waits = "['-c', 'import time; print(\"no licence\"); time.sleep(60)', '{bootstrapper}', '{port}']";
    let ends = "['-c', 'open(__import__(\"sys\").argv[1]); print(\"no port\"); raise SystemExit(7)', '{bootstrapper}', '{port}']";
    let drops = "['-i', 'CHILDMINDER_SECRET=00', 'python3', '{bootstrapper}', '--port', '{port}']";
    let codes = "[exit_codes]\n7 = 'its seventh trouble'\n";
    let cases = [
        ("missing", "/no/such/app", "['{bootstrapper}', '{port}']", "not even spawned", "/no/such/app: no such file"),
        ("waits", "python3", waits, "nobody has opened the script", "no licence"),
        ("ends", "python3", ends, "nobody has come to the port", "exit code 7 (its seventh trouble)"),
        ("drops", "env", drops, "drops its environment", "could not prove that it knows the session's secret"),
    ];
    for (name, executable, arguments, advice, told) in cases {
        let rest = format!("executables = ['{executable}']\narguments = {arguments}\n{codes}");
        // Only one of them waits for all of it.
        let timeout = if name == "waits" { "5s" } else { "60s" };
        let (said, code) = check(&home, &["--timeout", timeout, &recipe(&home, name, &rest)]);
        assert_eq!(code, Some(69), "{said}");
        for expected in [advice, told] {
            assert!(said.contains(expected), "{name}: {expected:?} is not in\n{said}");
        }
        assert!(!steps(&said).contains(&"hello".to_owned()), "{said}");
    }
}

#[test]
fn a_check_tells_all_that_is_wrong_with_a_file_and_which_command_failed() {
    let home = Home::new();
    let wrong = recipe(&home, "wrong", "executable = 'x'\npassing = 'pipe'\n");
    let (said, code) = check(&home, &[&wrong]);
    assert_eq!(code, Some(2), "{said}");
    for expected in ["wrong.toml:2:1: unknown key \"executable\"", "wrong.toml:3:11: passing is", "needs executables"] {
        assert!(said.contains(expected), "{said}");
    }
    let raises = recipe(&home, "raises", &format!("{PYTHON}init = ['import sys', 'import no_such_module']"));
    let (said, code) = check(&home, &[&raises]);
    assert_eq!(code, Some(69), "{said}");
    assert!(said.contains("raised         ModuleNotFoundError: No module named 'no_such_module'"), "{said}");
    assert!(said.contains("what failed is the command before that"), "{said}");
    let dies = "init = ['import os; print(\"last words\")', 'os._exit(3)']\n[exit_codes]\n3 = 'its third trouble'\n";
    let (said, code) = check(&home, &[&recipe(&home, "dies", &format!("{PYTHON}{dies}"))]);
    assert_eq!(code, Some(70), "{said}");
    for expected in ["exit code 3 (its third trouble)", " last words\n"] {
        assert!(said.contains(expected), "{expected:?} is not in\n{said}");
    }
    let (said, code) = check(&home, &["--no-start", &raises]);
    assert_eq!((code, steps(&said)), (Some(0), Vec::new()), "{said}");
    let (said, code) = check(&home, &["3dsmaxbatch"]);
    assert_eq!(code, Some(69), "{said}");
    assert!(said.contains("not launchable on this system: 3ds Max runs on Windows"), "{said}");
}

#[test]
fn what_a_recipe_begins_from_works_and_is_not_written_over() {
    let home = Home::new();
    let path = home.path().join("new/mine.toml");
    let path = path.to_str().expect("UTF-8");
    let said = home.says(&["backends", "new", path]);
    assert!(said.contains(&format!("{path} was written")), "{said}");
    let (said, code) = check(&home, &[path]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(home.run(&["backends", "new", path]).status.code(), Some(2));
    assert_eq!(home.run(&["backends", "new", "no.py"]).status.code(), Some(2));
    let config = home.path().join("config");
    let with_config = |args: &[&str]| home.command(args).env("XDG_CONFIG_HOME", &config).output().expect("it runs");
    assert_eq!(with_config(&["backends", "new", "other"]).status.code(), Some(0));
    let hides = |args: &[&str]| text(&with_config(args).stdout).contains("hides the built-in backend");
    assert!(hides(&["backends", "new", "gdb"]), "nothing is said of the built-in one");
    assert!(!hides(&["backends", "new", "another"]), "nothing is hidden");
    let shown = with_config(&["backends", "show", "other", "--json"]);
    let shown: Value = serde_json::from_slice(&shown.stdout).expect("JSON");
    assert_eq!(shown["name"], "other");
    assert_eq!(shown["file"], config.join("childminder/backends/other.toml").display().to_string());
}

#[test]
fn everything_of_a_recipe_is_shown() {
    let home = Home::new();
    let said = home.says(&["backends", "show", "blender"]);
    for expected in [
        "from: built in",
        "--background    (unless window is set)",
        "pump: blender    (when window is set), else block",
        "exit code 2: Blender was killed by its second SIGINT",
        "scene (a string): The .blend file",
        "factory_startup (true or false, else true)",
    ] {
        assert!(said.contains(expected), "{expected:?} is not in\n{said}");
    }
    assert!(home.says(&["backends", "show", "hython"]).contains("never run by who wrote it"));
    let (_, code) = check(&home, &["blendr"]);
    assert_eq!(code, Some(2));
}

/// A folder with two versions of an application that is Python.
fn versions(home: &Home) -> PathBuf {
    let python = hosts::on_path("python3").expect("python3");
    for version in ["1.9", "1.10"] {
        let path = home.path().join(format!("apps/app-{version}/bin/app"));
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(&path, format!("#!/bin/sh\nexport APP={version}\nexec {} \"$@\"\n", python.display()))
            .expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("set");
    }
    home.path().join("apps")
}

#[test]
fn info_tells_what_runs_a_session_and_where_each_part_came_from() {
    let home = Home::new();
    let apps = versions(&home);
    let rest = format!(
        "description = 'An app'\nexecutables = ['{}/app-{{version}}/bin/app']\n\
         arguments = ['{{bootstrapper}}', '--port', '{{port}}']\n[settings.level]\ndefault = 3\n[parameters.scene]\ntype = 'string'\n",
        apps.display()
    );
    let path = recipe(&home, "app", &rest);
    let job = "name = 'film'\nbackend = 'app.toml'\n[settings]\nversion = '1.9'\n[parameters]\nscene = '/a'\n\
               [timeouts]\nsilence = '90s'\n[phases]\ncommands = ['import os; print(os.environ[\"APP\"])']\n[agenda]\nframes = '1'\n";
    std::fs::write(home.path().join("film.toml"), job).expect("written");
    let ran = home.says(&["run", "film.toml", "--headless", "--set", "scene=/b"]);
    assert!(ran.contains("out| 1.9\n"), "{ran}");
    let info = home.json(&["info", "--json"]);
    assert_eq!(info["launch"]["argv"][0], apps.join("app-1.9/bin/app").display().to_string());
    assert_eq!((&info["backend"]["name"], &info["backend"]["file"]), (&"app".into(), &path.clone().into()));
    let from = |table: &str, key: &str| {
        let values = info[table].as_array().expect("a list").iter();
        values.clone().find(|value| value["key"] == key).map(|value| value["from"].clone())
    };
    assert_eq!(from("settings", "version"), Some("film.toml:4".into()));
    assert_eq!(from("settings", "level"), Some("the recipe's default".into()));
    assert_eq!(from("parameters", "scene"), Some("--set scene".into()));
    let said = home.says(&["info", "film"]);
    for expected in [
        "recipe        ",
        path.as_str(),
        "bootstrapper  childminder's own",
        "1m 30s, then fail",
        "\"/b\"  (--set scene)",
    ] {
        assert!(said.contains(expected), "{expected:?} is not in\n{said}");
    }
    let newest = home.says(&["run", "film.toml", "--headless", "--set", "version=1"]);
    assert!(newest.contains("out| 1.10\n"), "{newest}");
    let none = home.run(&["run", "film.toml", "--headless", "--set", "version=2"]);
    assert_eq!(none.status.code(), Some(69));
    let said = text(&none.stdout);
    assert!(said.contains("app-1.10/bin/app is version 1.10, and 2 is wanted"), "{said}");
}

#[test]
fn info_of_a_session_that_runs_has_what_its_child_said() {
    let home = Home::new();
    let session = home.held(&[]);
    let info = home.json(&["info", "--json"]);
    assert_eq!(info["hello"]["application"]["name"], "python");
    assert_eq!((&info["backend"]["pump"], &info["backend"]["file"]), (&"block".into(), &Value::Null));
    home.says(&["stop"]);
    assert_eq!(session.code(), Some(0));
}

#[test]
fn a_bootstrapper_of_ones_own_starts_the_executor() {
    let home = Home::new();
    let own = "import os\nMINE = 'mine'\npath = os.environ['CHILDMINDER_BOOTSTRAPPER']\nexec(compile(open(path).read(), path, 'exec'))\n";
    std::fs::write(home.path().join("my.py"), own).expect("written");
    let path = recipe(&home, "own", &format!("{PYTHON}bootstrapper = 'my.py'\n"));
    let (said, code) = check(&home, &[&path]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("my.py"), "{said}");
    let ran = home.says(&["run", "--headless", "--backend", &path, "--frames", "1", "--command", "print('ran')"]);
    assert!(ran.contains("out| ran\n"), "{ran}");
}

#[test]
fn the_schema_is_printed_as_a_table() {
    let home = Home::new();
    let said = home.says(&["backends", "schema"]);
    assert_eq!(said, childminder::backend::schema::markdown());
    assert!(said.contains("| `name` | string | – |"), "{said}");
}
