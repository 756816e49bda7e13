//! The places that a pattern stands for: `*` is anything within a name, `{version}` a version.
//!
//! What must stay true: a folder of any size costs a bounded time, and nothing outside of the pattern is read.

use super::version;
use regex::{Regex, escape};
use std::cmp::Reverse;
use std::path::{Component, Path, PathBuf};

/// What stands for a version in a pattern.
const VERSION: &str = "{version}";
/// How many names of one folder are looked at.
const NAMES: usize = 10_000;
/// How many places a pattern stands for at most.
const PLACES: usize = 100;

/// A place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// Where.
    pub(super) path: PathBuf,
    /// What the pattern says of its version.
    pub(super) version: Option<String>,
}

/// Whether a text is a pattern, and not just a path.
pub(super) fn is_pattern(text: &str) -> bool {
    text.contains('*') || text.contains(VERSION)
}

/// What is there of what a pattern stands for, the newest version first; a path that is no pattern stands for itself. A
/// relative one starts at the folder.
pub(super) fn of(folder: &Path, pattern: &str) -> Vec<Place> {
    let mut places = vec![Place { path: folder.to_owned(), version: None }];
    for part in Path::new(pattern).components() {
        places = match part {
            Component::Normal(name) if name.to_str().is_some_and(is_pattern) => {
                let Some(name) = name.to_str().and_then(Name::new) else { return Vec::new() };
                let mut found: Vec<Place> = places.iter().flat_map(|place| name.within(place)).collect();
                newest_first(&mut found);
                found.truncate(PLACES);
                found
            }
            part => places.into_iter().map(|place| Place { path: place.path.join(part), ..place }).collect(),
        };
    }
    if is_pattern(pattern) {
        places.retain(|place| place.path.symlink_metadata().is_ok());
        newest_first(&mut places);
    }
    places
}

/// Puts them in order. The sort is stable: what has no version stays where it is, behind the others.
pub(super) fn newest_first(places: &mut [Place]) {
    places.sort_by_cached_key(|place| Reverse(place.version.as_deref().map(version::natural)));
}

/// A name with patterns in it.
struct Name {
    regex: Regex,
}

impl Name {
    fn new(pattern: &str) -> Option<Self> {
        let mut regex = String::from("^");
        let mut rest = pattern;
        while let Some(at) = [rest.find('*'), rest.find(VERSION)].into_iter().flatten().min() {
            regex.push_str(&escape(&rest[..at]));
            let is_version = rest[at..].starts_with(VERSION);
            regex.push_str(if is_version { r"(\d[0-9A-Za-z._]*)" } else { "(.*)" });
            rest = &rest[at + if is_version { VERSION.len() } else { 1 }..];
        }
        regex.push_str(&escape(rest));
        regex.push('$');
        Some(Self { regex: Regex::new(&regex).ok()? })
    }

    fn within(&self, place: &Place) -> Vec<Place> {
        let names = place.path.read_dir().into_iter().flatten().take(NAMES).flatten();
        let mut found: Vec<Place> = names
            .filter_map(|entry| {
                let name = entry.file_name();
                let name = name.to_str()?;
                let captures = self.regex.captures(name)?;
                let mut parts = captures.iter().skip(1).flatten();
                let version = place.version.clone().or_else(|| parts.find_map(|part| version::within(part.as_str())));
                Some(Place { path: place.path.join(name), version })
            })
            .collect();
        // A folder has no order of its own that is worth anything.
        found.sort_by(|one, other| one.path.cmp(&other.path));
        // Before most are left out: what is wanted is the newest.
        newest_first(&mut found);
        found.truncate(PLACES);
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_stands_for_what_is_there() {
        let root = tempfile::tempdir().unwrap();
        for name in
            ["maya2024/bin/mayapy", "maya2022/bin/mayapy", "maya/bin/mayapy", "maya2025/readme", "mayaX/bin/mayapy"]
        {
            let path = root.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let found = |pattern: &str| -> Vec<(String, Option<String>)> {
            let places = of(root.path(), pattern).into_iter();
            places
                .map(|place| (place.path.strip_prefix(root.path()).unwrap().display().to_string(), place.version))
                .collect()
        };
        let place = |path: &str, version: &str| (path.to_owned(), (!version.is_empty()).then(|| version.to_owned()));
        let versions = [place("maya2024/bin/mayapy", "2024"), place("maya2022/bin/mayapy", "2022")];
        assert_eq!(found("maya{version}/bin/mayapy"), versions);
        let others = [place("maya/bin/mayapy", ""), place("mayaX/bin/mayapy", "")];
        assert_eq!(found("maya*/bin/mayapy"), [versions.as_slice(), &others].concat());
        assert_eq!(found("no/pattern"), [place("no/pattern", "")]);
        assert_eq!(found("no*/bin/mayapy"), []);
    }

    #[test]
    fn of_more_than_are_looked_at_the_newest_are_kept() {
        let root = tempfile::tempdir().unwrap();
        for number in 1..=3 * PLACES {
            std::fs::create_dir_all(root.path().join(format!("maya{number}/bin"))).unwrap();
        }
        let newest = 3 * PLACES;
        std::fs::write(root.path().join(format!("maya{newest}/bin/mayapy")), "").unwrap();
        let found = of(root.path(), "maya{version}/bin/mayapy");
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].version, Some(newest.to_string()));
    }
}
