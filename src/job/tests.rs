use super::*;
use crate::model::job::{Agenda, FrameRun};
use crate::model::{Breakpoint, OutputChecks, Policies, Policy, Stops};
use proptest::prelude::*;
use serde_json::json;
use std::fs;
use std::time::Duration;

fn read_text(name: &str, text: &str, sets: &[(&str, &str)]) -> Result<Job, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, text).unwrap();
    let sets: Vec<_> = sets.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    read(&path, &sets).map_err(|errors| errors.to_string().replace(&format!("{}/", folder.path().display()), ""))
}

fn errors(text: &str) -> Vec<String> {
    read_text("j.toml", text, &[]).unwrap_err().lines().map(Into::into).collect()
}

const FULL: &str = r#"
backend = "blender"
cwd = "."
hold = true
restarts = 2
outputs_required = true
stderr_to_stdout = true
hold_on_failure = true
breakpoints = [{ item = "3" }, { command = "r\\(" }]
[on_timeout]
command = "warn"
silence = "restart"
[env]
A = "1"
[parameters]
scene = "/x.blend"
size = [1, 2.5, { a = true }]
[settings]
executable = "bin/blender"
factory_startup = false
[timeouts]
startup = 90
command = "1h 2m"
silence = "none"
teardown = 1.5
kill_grace = "0s"
[retry]
times = 1
delay = "5s"
[outputs]
exist = true
min_size = "10k"
max_size = 1000000
image = true
dimensions = [1920, 1080]
newer = true
[phases]
init = ["a"]
setup = ["b({scene})"]
commands = ["r({frame}, {size})"]
teardown = ["c"]
[agenda]
frames = "1-9x2"
chunk = 1
"#;

#[test]
fn every_key_of_the_file_is_read() {
    let job = read_text("shots.toml", FULL, &[]).unwrap();
    assert_eq!((job.name.as_str(), job.backend.as_str()), ("shots", "blender"));
    assert!(job.cwd.as_ref().is_some_and(|cwd| cwd.is_absolute()));
    assert!(job.hold && job.outputs_required && job.stderr_to_stdout);
    assert_eq!(job.restarts, 2);
    let breakpoints = vec![Breakpoint::Item("3".into()), Breakpoint::Command("r\\(".into())];
    assert_eq!(job.stops, Stops { on_failure: true, breakpoints });
    let policies = Policies { command: Policy::Warn, item: Policy::Fail, silence: Policy::Restart };
    assert_eq!(job.timeouts.policies, policies);
    assert_eq!(job.env["A"], "1");
    assert_eq!(job.parameters["size"], json!([1, 2.5, { "a": true }]));
    assert!(
        job.backend_settings["executable"]
            .as_str()
            .is_some_and(|path| path.starts_with('/') && path.ends_with("/bin/blender"))
    );
    assert_eq!(job.backend_settings["factory_startup"], json!(false));
    let timeouts = &job.timeouts;
    assert_eq!(timeouts.startup, Some(Duration::from_secs(90)));
    assert_eq!(timeouts.command, Some(Duration::from_mins(62)));
    assert_eq!((timeouts.item, timeouts.silence), (None, None));
    assert_eq!(timeouts.teardown, Some(Duration::from_millis(1500)));
    assert_eq!((timeouts.kill_grace, timeouts.waiting), (Duration::ZERO, Duration::from_secs(5)));
    assert_eq!((job.retry.times, job.retry.delay), (1, Duration::from_secs(5)));
    let sizes = (Some(10 << 10), Some(1_000_000));
    assert_eq!((job.outputs.min_size, job.outputs.max_size), sizes);
    assert_eq!(job.outputs.dimensions, Some((1920, 1080)));
    assert!(job.outputs.exist && job.outputs.image && job.outputs.newer);
    assert_eq!(job.agenda, Agenda::Frames { runs: vec![FrameRun { first: 1, count: 5, step: 2 }], chunk: 1 });
    let item = job.agenda.item(crate::model::ItemIndex(1)).unwrap();
    assert_eq!(commands::of_item(&job, &item).unwrap(), ["r(3, [1, 2.5, {'a': True}])"]);
    assert_eq!(commands::of_phase(&job, crate::model::Phase::Setup).unwrap(), ["b('/x.blend')"]);
}

#[test]
fn how_outputs_are_judged_is_read_in_words_and_in_numbers() {
    let checks = |text: &str| read_text("j.toml", &format!("[outputs]\n{text}"), &[]).unwrap().outputs;
    assert!(!checks("").any() && !checks("exist = false").any());
    assert_eq!(
        checks("dimensions = \"2048 x 858\""),
        OutputChecks { dimensions: Some((2048, 858)), ..Default::default() }
    );
    assert_eq!(checks("min_size = '2 MiB'"), OutputChecks { min_size: Some(2 << 20), ..Default::default() });
    let told = errors(
        r#"
[outputs]
exist = "yes"
min_size = "10 kilos"
max_size = -1
image = 1
dimensions = [1920, 0]
never = true
"#,
    );
    let expected = [
        "j.toml:3:9: expected true or false, found a string",
        r#"j.toml:4:12: expected a size ("10k", "2M", or bytes), found "10 kilos""#,
        r#"j.toml:5:12: expected a size ("10k", "2M", or bytes), found -1"#,
        "j.toml:6:9: expected true or false, found an integer",
        "j.toml:7:21: expected 1 to 4294967295, found 0",
        r#"j.toml:8:1: unknown key "never" in [outputs]: did you mean "newer"?"#,
    ];
    assert_eq!(told, expected);
    for (text, wanted) in [
        (
            "min_size = '2M'\nmax_size = '1M'",
            "j.toml:3:12: no file is both as large as min_size (2.0 MiB) and no larger",
        ),
        ("dimensions = '1920'", r#"j.toml:2:14: "1920" are no dimensions: write them like "1920x1080""#),
        ("dimensions = '0x5'", r#"j.toml:2:14: "0x5" are no dimensions"#),
        ("dimensions = [1, 2, 3]", "j.toml:2:14: expected dimensions ([1920, 1080] or \"1920x1080\"), found a list"),
        ("min_size = true", "j.toml:2:12: expected a size (\"10k\", \"2M\", or bytes), found a boolean"),
    ] {
        let told = errors(&format!("[outputs]\n{text}"));
        assert!(told.len() == 1 && told[0].starts_with(wanted), "{text}: {told:?}");
    }
}

#[test]
fn mistakes_in_how_a_job_is_steered_are_told_with_their_places() {
    let told = errors(
        r#"
hold_on_failure = "yes"
breakpoints = [{ item = "frame_1" }, { command = "(" }, { item = "a", command = "b" }, {}, { line = 3 }, "a", { command = "" }]
[on_timeout]
item = "fial"
silence = "explode"
startup = "warn"
[phases]
commands = ["a"]
[[agenda.items]]
name = "frame_01"
"#,
    );
    let expected = [
        "j.toml:2:19: expected true or false, found a string",
        r#"j.toml:3:25: there is no item "frame_1": did you mean "frame_01"?"#,
        r#"j.toml:3:50: "(" is no pattern: unclosed group, at character 1 of the pattern"#,
        "j.toml:3:81: a breakpoint is an item or a command, not both: write two",
        r#"j.toml:3:88: a breakpoint needs an "item" (a name) or a "command" (a regex)"#,
        r#"j.toml:3:92: a breakpoint needs an "item" (a name) or a "command" (a regex)"#,
        r#"j.toml:3:94: unknown key "line" in a breakpoint: known are command, item"#,
        "j.toml:3:106: expected a table, found a string",
        r#"j.toml:3:106: a breakpoint needs an "item" (a name) or a "command" (a regex)"#,
        "j.toml:3:123: an empty pattern would stop at every command: `childminder agenda step` does that",
        r#"j.toml:5:8: "fial" is nothing that a time-out leads to: did you mean "fail"?"#,
        r#"j.toml:6:11: "explode" is nothing that a time-out leads to: known are warn, interrupt, fail, restart"#,
        r#"j.toml:7:1: unknown key "startup" in [on_timeout]: known are command, item, silence"#,
    ];
    assert_eq!(told, expected);
    let many = "{ command = \"x\" }, ".repeat(101);
    let told = errors(&format!("breakpoints = [{many}]\n[phases]\ncommands = ['a']\n[agenda]\nframes = 1"));
    assert_eq!(told, ["j.toml:1:15: there are more than 100 breakpoints; one pattern can stand for many commands"]);
}

#[test]
fn the_same_in_json_is_the_same_job() {
    let value: toml::Value = toml::from_str(FULL).unwrap();
    let mut toml = read_text("shots.toml", FULL, &[]).unwrap();
    let mut json = read_text("shots", &serde_json::to_string_pretty(&value).unwrap(), &[]).unwrap();
    for job in [&mut toml, &mut json] {
        // They were read in folders of their own.
        job.cwd = None;
        job.backend_settings.remove("executable");
        job.origins.clear();
    }
    assert_eq!(toml, json);
}

#[test]
fn everything_wrong_is_told_at_once_and_in_order() {
    let said = errors(
        "nmae = 1\nhold = 3\nbackend = \"blendr\"\nrestarts = -1\n[env]\nCHILDMINDER_X = \"1\"\nB = 2\n[timeouts]\nitem = \"soon\"\n\
         kill_grace = \"none\"\n[agenda]\nitems = [{ name = \"a\" }, { name = \"a\", commands = [] }]\n[phases]\ncommands = [\"ok\", '''\nx = 1\ny = \"é{name}\"''']\n",
    );
    let expected = [
        "j.toml:1:1: unknown key \"nmae\" in the job: did you mean \"name\"?",
        "j.toml:2:8: expected true or false, found an integer",
        "j.toml:3:11: there is no backend \"blendr\": did you mean \"blender\"?",
        "j.toml:4:12: expected 0 to 1000000, found -1",
        "j.toml:6:1: \"CHILDMINDER_X\" is childminder's own: a job cannot set it",
        "j.toml:7:5: expected a string, found an integer",
        "j.toml:9:8: \"soon\" is no duration: write it like",
        "j.toml:10:14: \"none\" is not possible here",
        "j.toml:12:26: the item \"a\" has an empty list of commands",
        "j.toml:12:35: the name \"a\" is there twice",
        "j.toml:16:7: {name} stands in a string",
    ];
    assert_eq!(said.len(), expected.len(), "{said:#?}");
    for (said, expected) in said.iter().zip(expected) {
        assert!(said.starts_with(expected), "{said}\nis not\n{expected}");
    }
}

#[test]
fn syntax_errors_have_places() {
    let said = errors("name = \"x\nhold = ture\n");
    assert!(said[0].starts_with("j.toml:1:") && said[1].starts_with("j.toml:2:8: "), "{said:?}");
    assert_eq!(errors("b = 1\nb = 2"), ["j.toml:2:1: duplicate key"]);
    let said = read_text("j.json", "{\n \"name\": \"a\"\n \"hold\": true}", &[]).unwrap_err();
    assert_eq!(said, "j.json:3:2: expected \",\" or \"}\"");
}

#[test]
fn wrong_bytes_sizes_and_paths_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("j.toml");
    fs::write(&path, b"name = 1\nx = \"\xff\"").unwrap();
    assert!(read(&path, &[]).unwrap_err().to_string().ends_with("j.toml:2:6: this byte is not UTF-8"));
    fs::File::create(&path).unwrap().set_len(MOST_BYTES + 1).unwrap();
    assert!(read(&path, &[]).unwrap_err().to_string().contains("larger than 64 MiB"));
    let said = read(folder.path(), &[]).unwrap_err().to_string();
    assert!(said.ends_with("is not a regular file"), "{said}");
    assert!(read(&folder.path().join("no"), &[]).unwrap_err().to_string().contains("cannot be opened"));
    assert!(errors("cwd = \"nowhere\"\n")[0].starts_with("j.toml:1:7: there is no folder"));
}

#[test]
fn templates_are_checked_for_every_item() {
    let frames = |chunk, command: &str| {
        errors(&format!("agenda = {{ frames = '1-9', chunk = {chunk} }}\nphases.commands = ['{command}']\nhold = 1"))
    };
    assert!(frames(2, "r({frame})")[0].starts_with("j.toml:2:23: {frame} is one frame"));
    assert_eq!(frames(2, "r({start}, {frames})").len(), 1);
    let said = errors(
        "phases.commands = ['f({item.k})']\nagenda.items = [\n{ name = 'a', data = { k = 1 } },\n{ name = 'b' },\n\
         { name = 'c', commands = ['g({item.k}, {frame})'] }]",
    );
    assert_eq!(
        said,
        [
            "j.toml:4:1: the item \"b\" has no data for {item.k}, which the commands use",
            "j.toml:5:30: this item has no data for {item.k}",
        ]
    );
    assert!(errors("agenda.frames = '1'")[0].contains("nothing to run"));
    assert!(errors("backend = 'blender'\nphases.init = ['x({scene})']")[0].contains("{scene} has no value"));
    assert!(errors("phases.init = [' ']")[0].contains("must not be empty"));
    assert!(errors("[parameters]\nframe = 1\na-b = 2\nx = inf\nd = 2026-01-01").len() == 4);
}

#[test]
fn errors_inside_of_frames_have_their_column() {
    let said = errors("agenda.frames = \"1-5,7-x,\\u0031-0x0\"");
    assert!(said[0].starts_with("j.toml:1:22: "), "{said:?}");
    assert!(said[1].starts_with("j.toml:1:26: a step of 0"), "{said:?}");
}

#[test]
fn sets_go_to_settings_or_parameters_and_win() {
    let sets = [
        ("scene", "7"),
        ("factory_startup", "true"),
        ("size", "[1,"),
        ("n", "1.5"),
        ("o", "{\"a\": null}"),
        ("q", "\"7\""),
    ];
    let job = read_text("j.toml", FULL, &sets).unwrap();
    assert_eq!(job.parameters["scene"], json!("7"));
    assert_eq!(job.parameters["size"], json!("[1,"));
    assert_eq!(job.parameters["n"], json!(1.5));
    assert_eq!(job.parameters["o"], json!({ "a": null }));
    assert_eq!(job.parameters["q"], json!("7"));
    assert_eq!(job.backend_settings["factory_startup"], json!(true));
    let said = read_text("j.toml", FULL, &[("factory_startup", "2"), ("a b", "1")]).unwrap_err();
    assert!(said.contains("--set factory_startup: \"factory_startup\" must be true or false"), "{said}");
    assert!(said.contains("--set a b: \"a b\" cannot name a parameter"), "{said}");
    assert!(errors("settings.executabel = 'x'")[0].contains("did you mean \"executable\"?"));
}

#[test]
fn flags_make_a_job_or_say_which_is_wrong() {
    let flags = Flags {
        backend: Some("python".into()),
        frames: Some("1-3".into()),
        commands: vec!["print({frame}, {x})".into()],
        set: vec![("x".into(), "it's".into())],
        hold: true,
        ..Flags::default()
    };
    let job = from_flags(&flags).unwrap();
    let item = job.agenda.item(crate::model::ItemIndex(2)).unwrap();
    assert_eq!(commands::of_item(&job, &item).unwrap(), ["print(3, 'it\\'s')"]);
    assert!(job.hold && job.name == "python" && job.cwd.is_none());
    let flags = Flags {
        frames: Some("1-3,x".into()),
        commands: vec!["ok".into(), "a\n'{x}'".into()],
        cwd: Some("/no/such".into()),
        ..flags
    };
    let said = from_flags(&flags).unwrap_err().to_string();
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines.len(), 3, "{said}");
    assert!(lines[0].starts_with("--cwd: there is no folder"), "{said}");
    assert!(lines[1].starts_with("--command:2:2: {x} stands in a string"), "{said}");
    assert!(lines[2].starts_with("--frames:1:5: "), "{said}");
}

#[test]
fn nothing_at_all_is_a_python_to_work_in() {
    let job = from_flags(&Flags::default()).unwrap();
    assert_eq!((job.backend.as_str(), job.agenda.is_empty()), ("python", true));
    assert_eq!(read_text("empty.toml", "", &[]).unwrap().name, "empty");
}

#[test]
fn hostile_files_are_answered_shortly() {
    let many: String = (0..5000).map(|n| format!("k{n} = 1\n")).collect::<Vec<_>>().concat();
    let said = errors(&many);
    assert_eq!(said.len(), 101);
    assert_eq!(said[100], "… and 4900 more");
    assert!(!errors("\"\\u001b[2J\" = 1")[0].contains('\u{1b}'));
    assert!(!errors(&format!("a = {}", "[".repeat(100_000))).is_empty());
}

proptest! {
    #[test]
    fn no_file_breaks_the_reader(
        text in r#"([a-z]{1,3} = |\[|\]|"|'|\{[a-z]*\}|phases|agenda|items|frames|=|,|\n|[0-9.-]+|true|é|\\u00e9){0,20}"#,
    ) {
        let _ = read_text("j.toml", &text, &[]);
        let _ = read_text("j.json", &text, &[]);
    }
}

#[test]
fn paths_of_other_machines_are_mapped_in_values_and_not_in_commands() {
    let text = r#"
        [parameters]
        scene = "Z:\\show\\a.blend"
        list = ["/old/x", { deep = "/old/y/z" }, "see /old/x", 3]
        [env]
        OUT = "/old"
        PATHS = "/bin:/old"
        [phases]
        commands = ["open({scene}, '/old/x', {item.file})"]
        [[agenda.items]]
        name = "a"
        data = { file = "/old/b" }
        [[path_map]]
        from = "/old"
        to = "/new"
        [[path_map]]
        from = 'Z:\show'
        to = "/mnt/show"
    "#;
    let job = read_text("j.toml", text, &[]).unwrap();
    assert_eq!(job.parameters["scene"], json!("/mnt/show/a.blend"));
    assert_eq!(job.parameters["list"], json!(["/new/x", { "deep": "/new/y/z" }, "see /old/x", 3]));
    assert_eq!((job.env["OUT"].as_str(), job.env["PATHS"].as_str()), ("/new", "/bin:/old"));
    let item = job.agenda.item(crate::model::ItemIndex(0)).unwrap();
    assert_eq!(commands::of_item(&job, &item).unwrap(), ["open('/mnt/show/a.blend', '/old/x', '/new/b')"]);
    let table = "cwd = '/old'\nhold = true\n[path_map]\n'/old' = '/'\n";
    assert_eq!(read_text("j.toml", table, &[]).unwrap().cwd.as_deref(), Some(Path::new("/")));
    let wrong = errors("hold = true\npath_map = [{ from = '' , to = 'x' }, { from = '/a' }, 3]");
    assert_eq!(wrong.len(), 3, "{wrong:?}");
}

#[test]
fn a_back_end_class_is_found_beside_its_job_and_has_settings_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("j.toml");
    fs::write(folder.path().join("studio.py"), "").unwrap();
    let read_job = |text: &str, sets: &[(String, String)]| {
        fs::write(&path, text).unwrap();
        read(&path, sets).map_err(|errors| errors.to_string())
    };
    let text = "backend = 'studio.py:Mine'\nrestarts = 1\n[settings]\nback_end_python = 'bin/python2'\nrecipe = 'blender'\n\
                factory_startup = false\n[agenda]\nitems = [{ name = 'a' }]\n";
    let job = read_job(text, &[]).unwrap();
    let driven = job.driven.clone().unwrap();
    assert_eq!((driven.file, driven.class.as_str()), (Some(folder.path().join("studio.py")), "Mine"));
    assert_eq!(job.backend, folder.path().join("studio.py:Mine").to_string_lossy());
    assert_eq!(job.backend_settings["back_end_python"], folder.path().join("bin/python2").to_string_lossy().as_ref());
    assert_eq!(crate::backend::of_job(&job).unwrap().name, "blender");
    let again = read_job("backend = 'studio.py:Mine'\n", &[("recipe".into(), "python".into())]).unwrap();
    assert_eq!(crate::backend::of_job(&again).unwrap().name, "python");
    let wrong = read_job("backend = 'other.py:no class'\n[settings]\nrecipe = 'nuke-it'\nback_end_python = 3\n", &[]);
    let wrong = wrong.unwrap_err();
    for said in ["there is no file", "cannot be the name of a class", "there is no backend \"nuke-it\""] {
        assert!(wrong.contains(said), "{said}: {wrong}");
    }
    let nameless = errors("backend = 'studio.py'\n");
    assert!(nameless[0].contains("as in \"studio.py:MyBackEnd\""), "{nameless:?}");
    let foreign = errors("[settings]\nrecipe = 'blender'\n");
    assert!(foreign[0].contains("has no setting \"recipe\""), "{foreign:?}");
}
