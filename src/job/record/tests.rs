use super::*;
use proptest::prelude::*;
use std::os::unix::fs::PermissionsExt;

fn command(id: u64, source: &str) -> Command {
    Command { id: CommandId(id), at: Micros(1_000_000), source: source.to_owned() }
}

fn recorded(name: &str, before: &str, slot: Slot, sources: &[&str]) -> Result<String, String> {
    let commands: Vec<Command> = (1..).zip(sources).map(|(id, source)| command(id, source)).collect();
    job(Path::new(name), before, slot, &commands).map_err(|error| error.to_string())
}

#[test]
fn what_is_written_into_toml_leaves_all_else_as_it_was() {
    let before = "\
# A job.
name = 'a'   # its name

[phases]
init = [\"import os\", 'import sys']
commands = [
    # First.
    \"a({frame})\", # not here
    \"b()\"   # last
    # after all
]
teardown = [ 'x', ]

[agenda]
frames = \"1-3\"
";
    let after = recorded("j.toml", before, Slot::Commands, &["c('{frame}')", "if x:\n    y = \"z\"\n"]);
    let expected = before.replace(
        "\"b()\"   # last\n    # after all\n",
        "\"b()\",   # last\n    # after all\n    \"c('{{frame}}')\",\n    \"\"\"\nif x:\n    y = \"z\"\n\"\"\"\n",
    );
    assert_eq!(after.as_deref(), Ok(expected.as_str()));
    let after = recorded("j.toml", before, Slot::Init, &["print(1)"]);
    let expected = before.replace("'import sys']", "'import sys', \"print(1)\"]");
    assert_eq!(after.as_deref(), Ok(expected.as_str()));
    let after = recorded("j.toml", before, Slot::Teardown, &["print(1)"]);
    let expected = before.replace("[ 'x', ]", "[ 'x', \"print(1)\",]");
    assert_eq!(after.as_deref(), Ok(expected.as_str()));
    let after = recorded("j.toml", before, Slot::Setup, &["print(1)"]);
    let expected = before.replace("\n\n[agenda]", "\nsetup = [\n    \"print(1)\",\n]\n\n[agenda]");
    assert_eq!(after.as_deref(), Ok(expected.as_str()));
}

#[test]
fn a_job_without_phases_gets_them() {
    let before = "[[agenda.items]]\nname = \"a\"\n";
    let after = recorded("j.toml", before, Slot::Commands, &["f()"]).expect("recorded");
    assert_eq!(after, format!("{before}\n[phases]\ncommands = [\n    \"f()\",\n]\n"));
    let dotted = "phases.init = ['a']\n";
    let after = recorded("j.toml", dotted, Slot::Init, &["f()"]).expect("recorded");
    assert_eq!(after, "phases.init = ['a', \"f()\"]\n");
    let inline = "phases = { init = ['a'] }\n";
    assert!(recorded("j.toml", inline, Slot::Setup, &["f()"]).is_ok());
}

#[test]
fn what_is_written_into_json_leaves_all_else_as_it_was() {
    let before = r#"{
  "phases": {
    "setup": ["[", "}\""],
    "commands": [
      "a({frame})",
      "b()"
    ],
    "init": []
  },
  "agenda": {"frames": "1-3"}
}
"#;
    let after = recorded("j.json", before, Slot::Commands, &["c('{frame}')", "d\n"]);
    let expected = before.replace("\"b()\"\n", "\"b()\",\n      \"c('{{frame}}')\",\n      \"d\\n\"\n");
    assert_eq!(after.as_deref(), Ok(expected.as_str()));
    let after = recorded("j.json", before, Slot::Setup, &["c"]);
    assert_eq!(after.as_deref(), Ok(before.replace("\"}\\\"\"]", "\"}\\\"\", \"c\"]").as_str()));
    let after = recorded("j.json", before, Slot::Init, &["c", "d"]);
    let expected = before.replace("\"init\": []", "\"init\": [\n      \"c\",\n      \"d\"\n    ]");
    assert_eq!(after.as_deref(), Ok(expected.as_str()));
    let after = recorded("j.json", before, Slot::Teardown, &["c"]);
    let expected = before.replace("\"init\": []", "\"init\": [],\n    \"teardown\": [\"c\"]");
    assert_eq!(after.as_deref(), Ok(expected.as_str()));
    let after = recorded("j.json", "{\"hold\": true}", Slot::Init, &["c"]);
    assert_eq!(after.as_deref(), Ok("{\"hold\": true, \"phases\": {\"init\": [\"c\"]}}"));
    assert_eq!(recorded("j.json", "{}", Slot::Init, &["c"]).as_deref(), Ok("{\n  \"phases\": {\"init\": [\"c\"]}\n}"));
}

#[test]
fn what_cannot_be_added_to_says_why() {
    let qube = r#"{"prototype": "python", "package": {}, "agenda": []}"#;
    let said = recorded("j.json", qube, Slot::Setup, &["a"]).unwrap_err();
    assert!(said.starts_with("a job of Qube's cannot be added to"), "{said}");
    let said = |before, slot, source| recorded("j.toml", before, slot, &[source]).expect_err(before);
    assert!(said("name = 3\n", Slot::Init, "a").contains("j.toml:1:8"));
    assert!(said("phases = 3\n", Slot::Init, "a").contains("no table"));
    assert!(said("[phases]\ninit = 'a'\n", Slot::Init, "a").contains("phases.init is no list"));
    assert!(said("[phases\n", Slot::Init, "a").contains("cannot be added to"));
    let some = "[[agenda.items]]\nname = 'a'\ndata = { k = 1 }\n[[agenda.items]]\nname = 'b'\n";
    assert!(said(some, Slot::Commands, "f('{item.k}')").contains("command 1 would not run"));
    assert!(recorded("j.toml", some, Slot::Commands, &["f('{item.j}')"]).is_ok());
    assert!(recorded("j.json", "[]", Slot::Init, &["a"]).is_err());
    assert!(recorded("j.json", "{\"phases\": []}", Slot::Init, &["a"]).is_err());
}

#[test]
fn python_is_added_under_a_comment_that_says_which_command_it_was() {
    let commands = [command(3, "import os"), command(5, "if x:\n    y()\n")];
    let text = python("a = 1", &commands, &TimeZone::UTC);
    let expected =
        "a = 1\n\n# command 3, 1970-01-01 00:00:01\nimport os\n\n# command 5, 1970-01-01 00:00:01\nif x:\n    y()\n\n";
    assert_eq!(text, expected);
    assert!(python("", &commands, &TimeZone::UTC).starts_with("# command 3"));
}

#[test]
fn a_file_is_replaced_whole_and_keeps_its_mode() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("j.toml");
    std::fs::write(&path, "old").expect("written");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).expect("set");
    let target = Target::read(&path).expect("read");
    assert_eq!((target.text(), target.exists()), ("old", true));
    target.replace("new").expect("replaced");
    assert_eq!(std::fs::read_to_string(&path).expect("read"), "new");
    assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o7777, 0o640);
    let fresh = Target::read(&folder.path().join("new.py")).expect("nothing");
    assert!(!fresh.exists());
    fresh.replace("x").expect("made");
    let late = Target::read(&path).expect("read");
    std::fs::write(&path, "somebody else's").expect("written");
    assert!(late.replace("mine").expect_err("changed").to_string().contains("changed meanwhile"));
    assert_eq!(std::fs::read_to_string(&path).expect("read"), "somebody else's");
    let names = std::fs::read_dir(folder.path()).expect("a folder").count();
    assert_eq!(names, 2, "no draft is left");
}

#[test]
fn what_is_no_file_is_not_written_to() {
    let folder = tempfile::tempdir().expect("a folder");
    let (file, link, pipe) = (folder.path().join("f"), folder.path().join("l"), folder.path().join("p"));
    std::fs::write(&file, "x").expect("written");
    std::os::unix::fs::symlink(&file, &link).expect("linked");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).expect("made");
    for (path, why) in [(&link, "link"), (&pipe, "regular"), (&folder.path().to_owned(), "regular")] {
        let said = Target::read(path).expect_err(why).to_string();
        assert!(said.contains(why), "{said}");
    }
}

proptest! {
    #[test]
    fn what_was_recorded_runs_again_to_the_byte(
        sources in proptest::collection::vec(r#"([ab'"{}#:\\\n\r\t(.]|\{frame\}|\{name\}|\{p\}|\{\{p\}\}|\{q\}|é|\x00|\x7f){0,14}a"#, 1..4),
        slot in proptest::sample::select(Slot::ALL.to_vec()),
        json: bool,
    ) {
        let (name, before) = if json {
            ("j.json", r#"{"parameters": {"p": "v"}, "phases": {"commands": ["f({p})"]}, "agenda": {"frames": "1-3"}}"#)
        } else {
            ("j.toml", "[parameters]\np = 'v'\n[phases]\ncommands = ['f({p})'] # c\n[agenda]\nframes = '1-3'\n")
        };
        let sources: Vec<&str> = sources.iter().map(String::as_str).collect();
        // It proves itself that the expansion is what was recorded.
        let text = recorded(name, before, slot, &sources);
        prop_assert!(text.is_ok(), "{text:?}");
    }

    #[test]
    fn no_document_breaks_it(before in r#"[{}\[\]"a:,= #\n']{0,40}"#, json: bool) {
        let _ = recorded(if json { "j.json" } else { "j.toml" }, &before, Slot::Init, &["a"]);
    }
}
