//! What a recipe may say, as a table for people: `childminder backends schema` and the README are made of it, and a test
//! holds it against the reader in [`recipe_file`](super::recipe_file), table by table and key by key.

use std::fmt;
use std::fmt::Write as _;

/// What is written after a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A string.
    Text,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A list of strings.
    Texts,
    /// A list of words, of these.
    Words(&'static [&'static str]),
    /// True or false.
    Boolean,
    /// A list of strings and of tables.
    Groups,
    /// A table of strings by keys of the writer's own.
    Table,
    /// A table of tables by names of the writer's own.
    Tables,
    /// Anything.
    Any,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = |words: &[&str]| words.iter().map(|word| format!("`\"{word}\"`")).collect::<Vec<_>>().join(", ");
        match self {
            Self::Text => f.write_str("string"),
            Self::Word(words) => f.write_str(&quoted(words)),
            Self::Texts => f.write_str("list of strings"),
            Self::Words(words) => write!(f, "list of {}", quoted(words)),
            Self::Boolean => f.write_str("true or false"),
            Self::Groups => f.write_str("list"),
            Self::Table => f.write_str("table of strings"),
            Self::Tables => f.write_str("tables"),
            Self::Any => f.write_str("any value"),
        }
    }
}

/// A key that a recipe may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// In which table: none for the top, else as it is written, `NAME` for a name of the writer's own.
    pub table: &'static str,
    /// The key.
    pub key: &'static str,
    /// What is written after it.
    pub kind: Kind,
    /// What counts when it is left out; empty where nothing does.
    pub default: &'static str,
    /// What it says.
    pub doc: &'static str,
}

const PUMPS: &[&str] = &["block", "blender", "maya", "houdini", "nuke", "qt", "tkinter"];

const fn top(key: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Key {
    Key { table: "", key, kind, default, doc }
}

const fn within(table: &'static str, key: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Key {
    Key { table, key, kind, default, doc }
}

/// Every key that a recipe may have.
pub const KEYS: &[Key] = &[
    top("name", Kind::Text, "", "What jobs call it; required"),
    top("description", Kind::Text, "", "One sentence for people"),
    top("application", Kind::Text, "the name", "What the child is called"),
    top("prompt", Kind::Text, "\">>> \"", "What viewers draw before a command"),
    top(
        "platforms",
        Kind::Words(&["linux", "windows", "macos"]),
        "all",
        "The systems on which it can be launched; elsewhere it is listed and checked, and a launch is refused",
    ),
    top("not_run", Kind::Text, "", "Why it was never run by who wrote it; shown wherever it is listed"),
    top(
        "executables",
        Kind::Texts,
        "",
        "Where the executable is, the likeliest first; required. A bare name is looked for on `PATH`; `~` and `$NAME` may \
         stand before a path; `*` is anything within a name, `{version}` a version, and of what matches the newest comes \
         first",
    ),
    top(
        "version_arguments",
        Kind::Texts,
        "none",
        "With these the executable says its version and ends: for `childminder backends`, and for the setting `version` \
         where the path does not tell it",
    ),
    top(
        "arguments",
        Kind::Groups,
        "",
        "What follows it on the command line; `{bootstrapper}`, `{port}`, parameters and settings are filled in as plain \
         text, and a list is spliced in",
    ),
    top(
        "bootstrapper",
        Kind::Text,
        "childminder's",
        "A Python file of your own that is `{bootstrapper}`, its path from the recipe's folder; it has to run the file \
         that the environment variable `CHILDMINDER_BOOTSTRAPPER` names",
    ),
    top(
        "protocol",
        Kind::Word(&["native", "qube"]),
        "\"native\"",
        "What is spoken with the child: childminder's own, or Qube's, where the arguments run a bootstrapper of Qube's",
    ),
    top(
        "passing",
        Kind::Word(&["argv", "environment", "file"]),
        "\"argv\"",
        "How port and secret reach the bootstrapper: the port as an argument and the secret in the environment, both in \
         the environment, or both in a private copy of the bootstrapper that removes itself",
    ),
    top(
        "stdin",
        Kind::Word(&["null", "inherit"]),
        "\"null\"",
        "What the child reads from: nothing, or what the engine has",
    ),
    top("echo", Kind::Boolean, "false", "Whether commands are repeated in stdout"),
    top(
        "pump",
        Kind::Word(PUMPS),
        "\"block\"",
        "How commands get their turn: in a loop that never returns to the application, or between the events of its \
         window; or a list, of which the first that applies counts",
    ),
    top(
        "rungs",
        Kind::Words(&["interrupt", "async", "cancel", "terminate", "kill"]),
        "all",
        "The ways to end a command that are safe there",
    ),
    top(
        "cancel",
        Kind::Text,
        "none",
        "The application's own way to end what it does: Python, run beside the main thread",
    ),
    top("side_eval", Kind::Boolean, "false", "Whether Python may be run beside the main thread without a warning"),
    top("init", Kind::Groups, "[]", "Commands that come before the job's own"),
    top("exit_codes", Kind::Table, "", "What its exit codes mean, and the signals that end it (`SIGSEGV`)"),
    top("environment", Kind::Tables, "", "Changes to the child's environment; see below"),
    top("parameters", Kind::Tables, "", "The parameters of jobs that it uses, by name; see below"),
    top("settings", Kind::Tables, "", "Keys of its own; `executable` and `version` are always there; see below"),
    top("patterns", Kind::Tables, "", "What is looked for in the output, by name; see below"),
    within("arguments", "when", Kind::Text, "", "A parameter or setting: left out if that is unset, false or empty"),
    within("arguments", "unless", Kind::Text, "", "The other way round; a table has one of the two"),
    within("arguments", "arguments", Kind::Texts, "[]", "The arguments"),
    within("init", "when", Kind::Text, "", "As above"),
    within("init", "unless", Kind::Text, "", "As above"),
    within("init", "command", Kind::Text, "", "The command; `{key}` is filled in as in a job"),
    within("pump", "when", Kind::Text, "", "As above"),
    within("pump", "unless", Kind::Text, "", "As above"),
    within("pump", "pump", Kind::Word(PUMPS), "", "Which"),
    within("environment", "set", Kind::Table, "{}", "Variables and their values, with placeholders as in arguments"),
    within("environment", "unset", Kind::Texts, "[]", "Variables to take out"),
    within(
        "environment",
        "keep",
        Kind::Texts,
        "[]",
        "Variables that would be taken out otherwise, such as `PYTHONPATH`",
    ),
    within("parameters.NAME", "doc", Kind::Text, "", "What it is for"),
    within(
        "parameters.NAME",
        "type",
        Kind::Word(&["string", "integer", "number", "boolean", "list", "any"]),
        "the default's",
        "What it must be; a list is one of strings",
    ),
    within("parameters.NAME", "default", Kind::Any, "none", "What it is when nobody says"),
    within("parameters.NAME", "required", Kind::Boolean, "false", "Whether somebody must say"),
    within("settings.NAME", "doc", Kind::Text, "", "As above"),
    within(
        "settings.NAME",
        "type",
        Kind::Word(&["string", "integer", "number", "boolean", "list", "any"]),
        "the default's",
        "As above",
    ),
    within("settings.NAME", "default", Kind::Any, "none", "As above"),
    within("settings.NAME", "required", Kind::Boolean, "false", "As above"),
    within(
        "patterns.NAME",
        "finds",
        Kind::Word(&["error", "highlight", "progress", "output", "value", "time", "memory"]),
        "",
        "What a match means; required",
    ),
    within("patterns.NAME", "regex", Kind::Text, "", "What is looked for in each line; required"),
    within("patterns.NAME", "stream", Kind::Word(&["stdout", "stderr"]), "both", "Where to look"),
    within(
        "patterns.NAME",
        "severity",
        Kind::Word(&["note", "warn", "fail_item", "fail_session"]),
        "`\"fail_item\"`",
        "Of an error: how much went wrong",
    ),
    within(
        "patterns.NAME",
        "reads",
        Kind::Word(&["fraction", "percent", "k_of_n", "frame"]),
        "",
        "Of progress, where it is required: what the regex captures",
    ),
];

/// The table for a page, in Markdown.
pub fn markdown() -> String {
    let mut page = String::from("| key | what | else | meaning |\n|---|---|---|---|\n");
    for Key { table, key, kind, default, doc } in KEYS {
        let name = match *table {
            "" => format!("`{key}`"),
            "arguments" | "init" | "pump" => format!("`{key}` of a table in `{table}`"),
            table => format!("`{key}` of `[{table}]`"),
        };
        let default = match *default {
            "" => "–".to_owned(),
            plain if plain.starts_with(|c: char| c.is_ascii_alphabetic()) && !matches!(plain, "false" | "true") => {
                plain.to_owned()
            }
            code => format!("`{code}`"),
        };
        // Writing to a string cannot fail.
        let _ = writeln!(page, "| {name} | {kind} | {default} | {doc} |");
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::{Pump, Recipe};
    use crate::model::Rung;
    use std::collections::BTreeSet;

    const BASE: &str = "name = 'x'\nexecutables = ['x']\narguments = ['{bootstrapper}', '{port}']\n";

    /// The keys that the reader knows in a table: what it names when it does not know one.
    fn known(table: &str) -> BTreeSet<String> {
        let wrong = "qqqqqqqqqqqqqqqqqqqqqqqqqqqqqq = 1";
        let text = match table {
            "" => format!("{wrong}\n{BASE}"),
            "arguments" => format!("{}\n", BASE.replace("'{port}'", &format!("'{{port}}', {{ {wrong} }}"))),
            "init" | "pump" => format!("{BASE}\n{table} = [{{ {wrong} }}]"),
            table => format!("{BASE}\n[{table}]\n{wrong}"),
        };
        let said = Recipe::parse("x.toml", &text).expect_err("wrong").to_string();
        let (_, known) = said.split_once("known are ").unwrap_or_else(|| panic!("{table}: {said}"));
        known.lines().next().expect("a line").split(", ").map(str::to_owned).collect()
    }

    #[test]
    fn the_reader_knows_the_keys_of_the_table_and_no_others() {
        let tables: BTreeSet<&str> = KEYS.iter().map(|key| key.table).collect();
        assert_eq!(tables.len(), 8);
        for table in tables {
            let keys = KEYS.iter().filter(|key| key.table == table).map(|key| key.key.to_owned());
            assert_eq!(known(table), keys.collect(), "{table}");
        }
    }

    #[test]
    fn the_reader_takes_what_the_table_says_and_nothing_else() {
        for key in KEYS.iter().filter(|key| key.table.is_empty()) {
            // A number is never right at the top.
            let rest: String = BASE
                .lines()
                .filter(|line| !line.starts_with(key.key))
                .fold(String::new(), |all, line| all + line + "\n");
            let said = Recipe::parse("x.toml", &format!("{} = 1\n{rest}", key.key)).expect_err("a number").to_string();
            let expected = match key.kind {
                Kind::Boolean => "expected true or false",
                Kind::Texts | Kind::Words(_) | Kind::Groups => "expected a list",
                Kind::Table | Kind::Tables => "expected a table",
                Kind::Text | Kind::Word(_) | Kind::Any => "expected a string",
            };
            assert!(said.contains(&format!("x.toml:1:{}: {expected}", key.key.len() + 4)), "{}: {said}", key.key);
            let (Kind::Word(words) | Kind::Words(words)) = key.kind else { continue };
            for word in words {
                let cancel = if key.key == "rungs" { "cancel = 'x'\n" } else { "" };
                let value =
                    if matches!(key.kind, Kind::Words(_)) { format!("['{word}']") } else { format!("'{word}'") };
                // Qube's bootstrapper is not ours.
                let base = if *word == "qube" { BASE.replace("'{bootstrapper}', ", "") } else { BASE.to_owned() };
                let read = Recipe::parse("x.toml", &format!("{} = {value}\n{cancel}{base}", key.key));
                read.unwrap_or_else(|errors| panic!("{errors}"));
            }
        }
        assert_eq!(PUMPS, Pump::ALL.map(Pump::word));
        let rungs = KEYS.iter().find(|key| key.key == "rungs").expect("a key");
        assert!(matches!(rungs.kind, Kind::Words(words) if words == Rung::ALL.map(Rung::word)));
    }

    #[test]
    fn every_row_has_four_cells() {
        let page = markdown();
        assert_eq!(page.lines().count(), KEYS.len() + 2);
        assert!(page.lines().all(|line| line.matches(" | ").count() == 3 || line.starts_with("|---")), "{page}");
    }
}
