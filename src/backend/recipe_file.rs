//! The walk over a recipe's tree: what a recipe may say. The table of it for people is in [`schema`](super::schema).

use super::arguments;
use super::recipe::{
    Argument, Changes, Declared, EXECUTABLE, Guard, Init, LAUNCH_KEYS, Passing, Platform, Protocol, Pump, PumpChoice,
    Recipe, StdinMode, VERSION, ValueKind,
};
use crate::job::source::{At, Format, Sink, Source, quoted};
use crate::job::template;
use crate::job::tree::{Fields, Node, Tree, Walk};
use crate::job::{JobErrors, is_identifier, parse, patterns};
use crate::model::{Exit, PatternOrigin, Rung, SignalName};
use std::collections::BTreeMap;

/// A template and its place, for the checks that need all declarations first.
type Placed<'n> = (At, &'n str);

impl Recipe {
    /// Reads and checks a recipe in TOML; `file` is what errors call it.
    pub fn parse(file: &str, text: &str) -> Result<Self, JobErrors> {
        let source = Source::file(file, text, Format::Toml);
        let mut walk = Walk { source: &source, sink: Sink::default() };
        let recipe = parse(&mut walk).map(|root| read(&root, text, &mut walk));
        walk.sink.finish(|| recipe)
    }
}

/// Templates that were met on the way.
#[derive(Default)]
struct Met<'n> {
    guards: Vec<Placed<'n>>,
    /// With what guards them, if anything.
    words: Vec<(Placed<'n>, Option<Guard>)>,
    init: Vec<(Placed<'n>, Option<Guard>)>,
}

fn read(root: &Node, text: &str, walk: &mut Walk<'_>) -> Recipe {
    let mut fields = Fields::of(root, "the recipe", walk);
    let mut met = Met::default();
    let name = string(&mut fields, "name", walk).unwrap_or_else(|| {
        walk.add(root.at, "a recipe needs a name (a string)");
        String::new()
    });
    let executables = texts(&mut fields, "executables", walk);
    if executables.is_empty() {
        walk.add(root.at, "a recipe needs executables (a list of names or paths)");
    }
    let nodes = fields.get("arguments").map(|node| node.list(walk, "arguments")).unwrap_or_default();
    let arguments = nodes.iter().filter_map(|node| argument(node, &mut met, walk)).collect();
    let nodes = fields.get("init").map(|node| node.list(walk, "commands")).unwrap_or_default();
    let init = nodes.iter().filter_map(|node| init(node, &mut met, walk)).collect();
    let environment = fields.get("environment").map(|node| changes(node, &mut met, walk)).unwrap_or_default();
    let pumps = fields.get("pump").map(|node| pumps(node, &mut met, walk)).unwrap_or_default();
    let cancel = fields.text("cancel", walk).map(|(_, text)| text.to_owned());
    let protocol = word(&mut fields, "protocol", &Protocol::ALL.map(|one| (one.word(), one)), walk);
    let rungs = rungs(fields.get("rungs"), protocol, cancel.is_some(), walk);
    let mut settings = fields.get("settings").map(|node| declarations(node, walk)).unwrap_or_default();
    add_own_settings(&mut settings, &executables);
    let recipe = Recipe {
        application: string(&mut fields, "application", walk).unwrap_or_else(|| name.clone()),
        description: string(&mut fields, "description", walk).unwrap_or_default(),
        prompt: string(&mut fields, "prompt", walk).unwrap_or_else(|| ">>> ".into()),
        protocol,
        platforms: fields.get("platforms").map(|node| platforms(node, walk)).unwrap_or_default(),
        not_run: string(&mut fields, "not_run", walk),
        version_arguments: texts(&mut fields, "version_arguments", walk),
        bootstrapper: string(&mut fields, "bootstrapper", walk),
        passing: word(&mut fields, "passing", &Passing::ALL.map(|one| (one.word(), one)), walk),
        stdin: word(&mut fields, "stdin", &StdinMode::ALL.map(|one| (one.word(), one)), walk),
        echo: fields.get("echo").and_then(|node| node.boolean(walk)).unwrap_or_default(),
        pumps,
        rungs,
        cancel,
        side_eval: fields.get("side_eval").and_then(|node| node.boolean(walk)).unwrap_or_default(),
        exit_codes: fields.get("exit_codes").map(|node| exit_codes(node, walk)).unwrap_or_default(),
        parameters: fields.get("parameters").map(|node| declarations(node, walk)).unwrap_or_default(),
        settings,
        patterns: fields
            .get("patterns")
            .map(|node| patterns::read(node, PatternOrigin::Backend, walk).patterns)
            .unwrap_or_default(),
        name,
        executables,
        arguments,
        init,
        environment,
        text: text.to_owned(),
        file: None,
    };
    fields.finish(walk);
    check(&recipe, &met, walk);
    recipe
}

/// The settings that every recipe has.
fn add_own_settings(settings: &mut BTreeMap<String, Declared>, executables: &[String]) {
    let docs = [
        (EXECUTABLE, format!("The executable to use instead of {}", executables.join(", "))),
        (VERSION, "The version wanted of those that are there, or the beginning of it, such as \"4.2\"".to_owned()),
    ];
    for (key, doc) in docs {
        let declared = Declared { doc, kind: ValueKind::Text, default: None, required: false };
        settings.entry(key.into()).or_insert(declared);
    }
}

fn string(fields: &mut Fields<'_>, key: &'static str, walk: &mut Walk<'_>) -> Option<String> {
    let (at, text) = fields.text(key, walk)?;
    if text.contains(char::is_control) {
        walk.add(at, format!("{} has control characters in it", quoted(text)));
    }
    Some(text.to_owned())
}

fn texts(fields: &mut Fields<'_>, key: &'static str, walk: &mut Walk<'_>) -> Vec<String> {
    let texts = fields.get(key).map(|node| node.texts(walk)).unwrap_or_default();
    texts.into_iter().map(|(_, text)| text.to_owned()).collect()
}

fn word<T: Copy + Default>(fields: &mut Fields<'_>, key: &'static str, words: &[(&str, T)], walk: &mut Walk<'_>) -> T {
    let Some((at, text)) = fields.text(key, walk) else { return T::default() };
    one_of(key, at, text, words, walk).unwrap_or_default()
}

/// What a word stands for; an error, if it is none of those.
fn one_of<T: Copy>(what: &str, at: At, text: &str, words: &[(&str, T)], walk: &mut Walk<'_>) -> Option<T> {
    let found = words.iter().find(|(word, _)| *word == text);
    if found.is_none() {
        let words: Vec<_> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
        walk.add(at, format!("{what} is {}, not {}", words.join(" or "), quoted(text)));
    }
    found.map(|(_, value)| *value)
}

/// The rungs that a recipe calls safe; all that it can have when it calls none.
fn rungs(node: Option<&Node>, protocol: Protocol, can_cancel: bool, walk: &mut Walk<'_>) -> Vec<Rung> {
    let possible = |rung: Rung| protocol == Protocol::Native || rung.costs_the_child();
    let Some(node) = node else {
        let all = Rung::ALL.into_iter().filter(|rung| *rung != Rung::Cancel || can_cancel);
        return all.filter(|rung| possible(*rung)).collect();
    };
    let mut rungs = Vec::new();
    for (at, text) in node.texts(walk) {
        match Rung::ALL.into_iter().find(|rung| rung.word() == text) {
            Some(rung) if !possible(rung) => {
                walk.add(
                    at,
                    format!(
                        "the rung {text:?} is not possible with protocol = \"qube\": only those that end the child are"
                    ),
                );
            }
            Some(Rung::Cancel) if !can_cancel => {
                walk.add(at, "the rung \"cancel\" needs a cancel (a string of Python)");
            }
            Some(rung) => rungs.push(rung),
            None => {
                let known = Rung::ALL.map(Rung::word).join(", ");
                walk.add(at, format!("{} is no rung: known are {known}", quoted(text)));
            }
        }
    }
    rungs.sort_unstable();
    rungs.dedup();
    rungs
}

fn argument<'n>(node: &'n Node, met: &mut Met<'n>, walk: &mut Walk<'_>) -> Option<Argument> {
    let (guard, words) = match &node.tree {
        Tree::Text(text) => (None, vec![(node.at, text.as_str())]),
        Tree::Table(_) => {
            let mut fields = Fields::of(node, "a group of arguments", walk);
            let guard = guard(&mut fields, node, met, walk);
            let words = fields.get("arguments").map(|node| node.texts(walk)).unwrap_or_default();
            fields.finish(walk);
            (Some(guard?), words)
        }
        _ => {
            walk.add(
                node.at,
                format!("expected a string or a table with \"when\" and \"arguments\", found {}", node.kind()),
            );
            return None;
        }
    };
    met.words.extend(words.iter().map(|word| (*word, guard.clone())));
    let words = words.into_iter().map(|(_, word)| word.to_owned()).collect();
    Some(Argument { guard, words })
}

fn init<'n>(node: &'n Node, met: &mut Met<'n>, walk: &mut Walk<'_>) -> Option<Init> {
    let (guard, command) = match &node.tree {
        Tree::Text(text) => (None, (node.at, text.as_str())),
        Tree::Table(_) => {
            let mut fields = Fields::of(node, "an init command", walk);
            let (guard, command) = (guard(&mut fields, node, met, walk), fields.text("command", walk));
            fields.finish(walk);
            if command.is_none() {
                walk.add(node.at, "expected a \"command\" (a string)");
            }
            (Some(guard?), command?)
        }
        _ => {
            walk.add(
                node.at,
                format!("expected a string or a table with \"when\" and \"command\", found {}", node.kind()),
            );
            return None;
        }
    };
    met.init.push((command, guard.clone()));
    Some(Init { guard, command: command.1.to_owned() })
}

/// The `when` or `unless` of a table, of which there must be one.
fn guard<'n>(fields: &mut Fields<'n>, node: &Node, met: &mut Met<'n>, walk: &mut Walk<'_>) -> Option<Guard> {
    let (when, unless) = (fields.text("when", walk), fields.text("unless", walk));
    met.guards.extend(when.into_iter().chain(unless));
    match (when, unless) {
        (Some((_, key)), None) => Some(Guard::When(key.to_owned())),
        (None, Some((_, key))) => Some(Guard::Unless(key.to_owned())),
        _ => {
            walk.add(node.at, "expected a \"when\" or an \"unless\" with the name of a parameter or setting");
            None
        }
    }
}

/// A word, or a list of words and of tables with one each, of which the first that applies counts.
fn pumps<'n>(node: &'n Node, met: &mut Met<'n>, walk: &mut Walk<'_>) -> Vec<PumpChoice> {
    let words = Pump::ALL.map(|pump| (pump.word(), pump));
    let nodes = if let Tree::List(nodes) = &node.tree { nodes.as_slice() } else { std::slice::from_ref(node) };
    let mut pumps = Vec::new();
    for node in nodes {
        let choice = match &node.tree {
            Tree::Text(text) => Some((None, (node.at, text.as_str()))),
            Tree::Table(_) => {
                let mut fields = Fields::of(node, "a pump", walk);
                let (guard, word) = (guard(&mut fields, node, met, walk), fields.text("pump", walk));
                fields.finish(walk);
                if word.is_none() {
                    walk.add(node.at, "expected a \"pump\" (a string)");
                }
                guard.zip(word).map(|(guard, word)| (Some(guard), word))
            }
            _ => {
                let found = node.kind();
                walk.add(node.at, format!("expected a string or a table with \"when\" and \"pump\", found {found}"));
                None
            }
        };
        if let Some((guard, (at, text))) = choice
            && let Some(pump) = one_of("pump", at, text, &words, walk)
        {
            pumps.push(PumpChoice { guard, pump });
        }
    }
    pumps
}

fn platforms(node: &Node, walk: &mut Walk<'_>) -> Vec<Platform> {
    let words = Platform::ALL.map(|platform| (platform.word(), platform));
    let texts = node.texts(walk);
    texts.into_iter().filter_map(|(at, text)| one_of("a platform", at, text, &words, walk)).collect()
}

/// What codes, and signals by their names, mean.
fn exit_codes(node: &Node, walk: &mut Walk<'_>) -> Vec<(Exit, String)> {
    let mut codes = Vec::new();
    for entry in node.table(walk) {
        let signals = (1..=64).map(SignalName).find(|signal| signal.to_string() == entry.key).map(Exit::Signal);
        let exit = entry.key.parse::<u8>().ok().map(|code| Exit::Code(code.into())).or(signals);
        if exit.is_none() {
            let message =
                format!("{} is no exit code (\"0\" to \"255\") and no signal (\"SIGSEGV\")", quoted(&entry.key));
            walk.add(entry.at, message);
        }
        let meaning = entry.value.text(walk);
        if meaning.is_some_and(|meaning| meaning.contains(char::is_control)) {
            walk.add(entry.value.at, "what an exit code means is one line");
        }
        codes.extend(exit.zip(meaning.map(str::to_owned)));
    }
    codes
}

fn changes<'n>(node: &'n Node, met: &mut Met<'n>, walk: &mut Walk<'_>) -> Changes {
    let mut fields = Fields::of(node, "[environment]", walk);
    let mut changes = Changes::default();
    for entry in fields.get("set").map(|node| node.table(walk)).unwrap_or_default() {
        if entry.key.starts_with("CHILDMINDER_") || entry.key.is_empty() || entry.key.contains(['=', '\0']) {
            walk.add(entry.at, format!("{} is no variable that a recipe can set", quoted(&entry.key)));
        }
        if let Some(text) = entry.value.text(walk) {
            met.words.push(((entry.value.at, text), None));
            changes.set.insert(entry.key.clone(), text.to_owned());
        }
    }
    for (key, into) in [("unset", &mut changes.unset), ("keep", &mut changes.keep)] {
        let names = fields.get(key).map(|node| node.texts(walk)).unwrap_or_default();
        into.extend(names.into_iter().map(|(_, name)| name.to_owned()));
    }
    fields.finish(walk);
    changes
}

fn declarations(node: &Node, walk: &mut Walk<'_>) -> BTreeMap<String, Declared> {
    let mut declared = BTreeMap::new();
    for entry in node.table(walk) {
        let key = &entry.key;
        if !is_identifier(key) {
            walk.add(entry.at, format!("{} cannot be a key: use letters, digits and _", quoted(key)));
        } else if template::ITEM_KEYS.contains(&key.as_str()) || LAUNCH_KEYS.contains(&key.as_str()) {
            walk.add(entry.at, format!("{key:?} has a meaning of its own: call it something else"));
        }
        declared.insert(key.clone(), declaration(&entry.value, walk));
    }
    declared
}

fn declaration(node: &Node, walk: &mut Walk<'_>) -> Declared {
    const KINDS: &[(&str, ValueKind)] = &[
        ("string", ValueKind::Text),
        ("integer", ValueKind::Integer),
        ("number", ValueKind::Number),
        ("boolean", ValueKind::Boolean),
        ("list", ValueKind::List),
        ("any", ValueKind::Any),
    ];
    let mut fields = Fields::of(node, "this declaration", walk);
    let doc = string(&mut fields, "doc", walk).unwrap_or_default();
    let required = fields.get("required").and_then(|node| node.boolean(walk)).unwrap_or_default();
    let default = fields.get("default").map(|node| (node.at, node.value(walk)));
    let mut kind = word(&mut fields, "type", KINDS, walk);
    fields.finish(walk);
    if let Some((at, value)) = &default {
        if kind == ValueKind::Any {
            kind = ValueKind::of(value);
        } else if !kind.fits(value) {
            walk.add(*at, format!("the default must be {kind}, like its type says"));
        }
    }
    Declared { doc, kind, default: default.map(|(_, value)| value), required }
}

/// Every placeholder must be known, and sure to have a value where it stands.
fn check(recipe: &Recipe, met: &Met<'_>, walk: &mut Walk<'_>) {
    for key in recipe.settings.keys().filter(|key| recipe.parameters.contains_key(*key)) {
        walk.add(At::default(), format!("{key:?} is a setting and a parameter: only one can be meant"));
    }
    for (at, key) in &met.guards {
        if !recipe.declares(key) {
            walk.add(*at, format!("{} is no parameter and no setting of this recipe", quoted(key)));
        }
    }
    let may_lack = |key: &str, guard: Option<&Guard>| {
        let declared = recipe.parameters.get(key).or_else(|| recipe.settings.get(key));
        let guarded = matches!(guard, Some(Guard::When(sure)) if sure == key);
        !guarded && declared.is_some_and(|declared| declared.default.is_none() && !declared.required)
    };
    for ((at, text), guard) in &met.words {
        for (offset, key) in arguments::placeholders(text) {
            if LAUNCH_KEYS.contains(&key) {
                continue;
            }
            if !recipe.declares(key) {
                let message = format!("{} is no parameter and no setting of this recipe; {{{{ is a brace", quoted(key));
                walk.sink.add_inside(walk.source, *at, text, offset, message);
            } else if may_lack(key, guard.as_ref()) {
                let message = format!("{{{key}}} may have no value: put it into {{ when = {key:?}, … }}");
                walk.sink.add_inside(walk.source, *at, text, offset, message);
            }
        }
    }
    for ((at, text), guard) in &met.init {
        let plan = template::plan(text, &|key| recipe.declares(key));
        for error in plan.errors {
            walk.sink.add_inside(walk.source, *at, text, error.offset, error.message);
        }
        for site in plan.sites.iter().filter(|site| may_lack(site.key, guard.as_ref())) {
            let message = format!("{{{}}} may have no value: put it into {{ when = {:?}, … }}", site.key, site.key);
            walk.sink.add_inside(walk.source, *at, text, site.offset, message);
        }
    }
    let has =
        |key: &str| met.words.iter().any(|((_, text), _)| arguments::placeholders(text).any(|(_, found)| found == key));
    if recipe.protocol == Protocol::Qube {
        check_qube(recipe, &has, walk);
        return;
    }
    if !has("bootstrapper") {
        walk.add(At::default(), "no argument has {bootstrapper} in it: the application would not run it");
    }
    if recipe.passing == Passing::Argv && !has("port") {
        let message = "no argument has {port} in it: add it, or choose passing = \"environment\" or \"file\"";
        walk.add(At::default(), message);
    }
}

/// What Qube's bootstrapper is told, and what nobody can tell it.
fn check_qube(recipe: &Recipe, has: &dyn Fn(&str) -> bool, walk: &mut Walk<'_>) {
    let mut add = |message: &str| walk.add(At::default(), message);
    if has("bootstrapper") && recipe.bootstrapper.is_none() {
        add("{bootstrapper} is childminder's own, which does not speak Qube's protocol: give the path of Qube's");
    }
    if !has("port") {
        add("no argument has {port} in it: Qube's bootstrapper needs it, as in \"--port\", \"{port}\"");
    }
    if recipe.passing != Passing::Argv {
        add("with protocol = \"qube\" the port is an argument: leave passing out");
    }
    if recipe.stdin != StdinMode::Null {
        add("with protocol = \"qube\" the child's stdin is for commands: leave stdin out");
    }
    if recipe.cancel.is_some() || recipe.side_eval || recipe.echo {
        add(
            "with protocol = \"qube\" there is no cancel and no side_eval, and the executor repeats commands by itself",
        );
    }
}
