//! What the child is asked about the user's modules, and how they are loaded anew.
//!
//! What must stay true: the questions run no code of the user's, leave no name behind in the namespace, and work in
//! Python 2.7 and in every Python 3; answers are bounded, and data.

use super::session::{Answer, Asker};
use crate::cli::exit::{Failure, LOST};
use crate::job::template::{self, Values};
use crate::model::CommandOutcome;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// Finds what `sys.modules` has of some folders: an answer that is ASCII whatever the paths are.
const LIST: &str = r"
import os, sys
def library(path):
    return 'site-packages' in path or 'dist-packages' in path
def text(path):
    if isinstance(path, bytes):
        return path.decode(sys.getfilesystemencoding() or 'utf-8', 'replace')
    return path
own = text(os.path.dirname(os.path.abspath(os.__file__)) + os.sep)
found = []
for name, module in sorted((name, module) for name, module in list(sys.modules.items()) if isinstance(module, type(sys))):
    path = module.__dict__.get('__file__')
    if name in ('__main__', 'childminder', 'child_bootstrapper') or not hasattr(path, 'startswith'):
        continue
    if path.endswith(('.pyc', '.pyo')) and '__pycache__' not in path:
        path = path[:-1]
    path = text(os.path.abspath(path))
    for root in roots:
        if path.startswith(root) and not path.startswith(own) and not library(path[len(root):]):
            found.append([name, path])
            break
answer = found[:200]
";

/// Loads some modules anew, those first that others of them use, as far as their names tell.
const RELOAD: &str = r"
import sys
try:
    from importlib import reload
except ImportError:
    try:
        from imp import reload
    except ImportError:
        pass
left = [name for name in names if name in sys.modules]
def uses(user, used):
    for value in list(sys.modules[user].__dict__.values()):
        if value is sys.modules[used]:
            return True
        if type(value).__name__ in ('function', 'type', 'classobj') and value.__module__ == used:
            return True
    return False
done = []
while left:
    free = [name for name in left if not any(other != name and uses(name, other) for other in left)]
    name = (free or left)[0]
    left.remove(name)
    reload(sys.modules[name])
    done.append(name)
answer = done
";

/// Reads some files as Python, and runs nothing: what is wrong, a line each.
const READ: &str = r"
wrong = []
import io
for path in files:
    try:
        compile(io.open(path, 'rb').read(), path, 'exec', 0, True)
    except SyntaxError as error:
        place = '%s:%s:%s' % (path, error.lineno or 1, max(error.offset or 1, 1))
        wrong.append('%s: %s: %s' % (place, type(error).__name__, error.msg))
    except (EnvironmentError, ValueError, TypeError) as error:
        wrong.append('%s: %s: %s' % (path, type(error).__name__, error))
answer = wrong[:20]
";

/// A source that is run with names of its own, and whose `answer` comes back as the value.
fn question(source: &str, names: &Value) -> Result<String, Failure> {
    const COMMAND: &str = "(lambda d: (eval(compile({source}, '<childminder dev>', 'exec', 0, True), d), \
        __import__('binascii').hexlify(__import__('json').dumps(d['answer']).encode('ascii')).decode('ascii'))[1])({names})";
    let values = BTreeMap::from([("source".to_owned(), Value::from(source)), ("names".to_owned(), names.clone())]);
    template::expand(COMMAND, &Values::of([&values])).map_err(|error| Failure::new(LOST, error.message))
}

/// The answer in a value; Python 2 puts a `u` before it.
fn answered(value: &str) -> Option<Value> {
    let digits = value.trim_start_matches('u').trim_matches('\'');
    let pair = |place: usize| u8::from_str_radix(digits.get(place..place + 2)?, 16).ok();
    let bytes = (0..digits.len()).step_by(2).map(pair).collect::<Option<Vec<u8>>>()?;
    serde_json::from_slice(&bytes).ok()
}

/// The user's modules by name, with their files.
pub(super) async fn loaded(asker: &Asker, roots: &[PathBuf]) -> Result<BTreeMap<String, PathBuf>, Failure> {
    let roots: Vec<_> = roots.iter().map(|root| root.join("").to_string_lossy().into_owned()).collect();
    let answer = asker.run(question(LIST, &json!({ "roots": roots }))?).await?;
    let CommandOutcome::Finished { value: Some(value), .. } = &answer.outcome else {
        return Err(Failure::new(LOST, "the child could not be asked for its modules"));
    };
    let told = answered(value).and_then(|told| serde_json::from_value::<Vec<(String, PathBuf)>>(told).ok());
    told.map(|told| told.into_iter().collect())
        .ok_or_else(|| Failure::new(LOST, "the child's answer about its modules makes no sense"))
}

/// What is wrong with some Python files as this interpreter reads them; nothing of theirs is run.
pub(super) async fn wrong(asker: &Asker, files: &BTreeSet<PathBuf>) -> Result<Vec<String>, Failure> {
    let files: Vec<_> = files.iter().map(|file| file.to_string_lossy()).collect();
    let answer = asker.run(question(READ, &json!({ "files": files }))?).await?;
    let CommandOutcome::Finished { value: Some(value), .. } = &answer.outcome else { return Ok(Vec::new()) };
    Ok(answered(value).and_then(|told| serde_json::from_value(told).ok()).unwrap_or_default())
}

/// Loads the modules of these files anew: what they are called, and what came of it. `None`: there are none.
pub(super) async fn reload(
    asker: &Asker,
    modules: &BTreeMap<String, PathBuf>,
    files: &BTreeSet<PathBuf>,
) -> Result<Option<(Vec<String>, Answer)>, Failure> {
    let names: Vec<_> =
        modules.iter().filter(|(_, file)| files.contains(*file)).map(|(name, _)| name.clone()).collect();
    if names.is_empty() {
        return Ok(None);
    }
    let answer = asker.run(question(RELOAD, &json!({ "names": names }))?).await?;
    let done = match &answer.outcome {
        CommandOutcome::Finished { value: Some(value), .. } => answered(value),
        _ => None,
    };
    let done = done.and_then(|done| serde_json::from_value(done).ok());
    Ok(Some((done.unwrap_or(names), answer)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_whatever_python_says_it() {
        let expected = Some(json!(["/é"]));
        let hex = "5b222f5c7530306539225d";
        assert_eq!(answered(&format!("'{hex}'")), expected);
        assert_eq!(answered(&format!("u'{hex}'")), expected);
        for wrong in ["", "'5'", "'zz'", "'é'", "None"] {
            assert_eq!(answered(wrong), None, "{wrong}");
        }
    }
}
