//! What a line must contain for a regex to match in it: short texts, one of which is in every match.
//!
//! All patterns' texts are looked for at once and far faster than any regex, so that a regex is tried on few lines.

use regex_syntax::hir::literal::Extractor;
use regex_syntax::hir::{Hir, HirKind};

/// The most texts of one regex.
const MOST: usize = 8;
/// The longest that is asked for, in bytes.
const LONGEST: usize = 24;
/// How many parts of a sequence are looked at: a regex may have thousands.
const PARTS: usize = 64;
/// Of longer texts than this none is better than another, in bytes.
const LONG_ENOUGH: usize = 6;

/// Texts of which one is in every match of one of these; `None` when nothing is known.
pub(super) fn required(hirs: &[Hir]) -> Option<Vec<Vec<u8>>> {
    union(hirs)
}

fn of(hir: &Hir) -> Option<Vec<Vec<u8>>> {
    match hir.kind() {
        HirKind::Literal(_) | HirKind::Class(_) => prefixes(hir),
        HirKind::Capture(group) => of(&group.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => of(&repetition.sub),
        HirKind::Alternation(parts) => union(parts),
        HirKind::Concat(parts) => in_sequence(parts),
        HirKind::Empty | HirKind::Look(_) | HirKind::Repetition(_) => None,
    }
}

fn union(parts: &[Hir]) -> Option<Vec<Vec<u8>>> {
    let mut all = Vec::new();
    for part in parts {
        all.extend(of(part)?);
    }
    all.sort_unstable();
    all.dedup();
    (!all.is_empty() && all.len() <= MOST * 2).then_some(all)
}

/// The best that any part of a sequence asks for, by itself or with those after it.
fn in_sequence(parts: &[Hir]) -> Option<Vec<Vec<u8>>> {
    let parts = &parts[..parts.len().min(PARTS)];
    let mut best: Option<Vec<Vec<u8>>> = None;
    for (place, part) in parts.iter().enumerate() {
        let following = prefixes(&Hir::concat(parts[place..].to_vec()));
        for texts in following.into_iter().chain(of(part)) {
            if best.as_ref().is_none_or(|best| worth(&texts) > worth(best)) {
                best = Some(texts);
            }
        }
    }
    best
}

/// What matches must begin with, if that is few texts.
fn prefixes(hir: &Hir) -> Option<Vec<Vec<u8>>> {
    let mut extractor = Extractor::new();
    extractor.limit_class(MOST).limit_literal_len(LONGEST).limit_total(MOST);
    let texts: Vec<Vec<u8>> =
        extractor.extract(hir).literals()?.iter().map(|literal| literal.as_bytes().to_vec()).collect();
    (!texts.is_empty() && texts.iter().all(|text| !text.is_empty())).then_some(texts)
}

/// Longer is rarer, and fewer are found faster.
fn worth(texts: &[Vec<u8>]) -> (usize, usize, usize) {
    let shortest = texts.iter().map(Vec::len).min().unwrap_or_default();
    (shortest.min(LONG_ENOUGH), MOST * 2 - texts.len(), shortest)
}

#[cfg(test)]
mod tests {
    use super::super::regex::parse;
    use super::*;

    fn texts(regex: &str, qube: bool) -> Vec<String> {
        let texts = required(&[parse(regex, qube).expect("sound")]).unwrap_or_default();
        texts.into_iter().map(|text| String::from_utf8(text).expect("text")).collect()
    }

    #[test]
    fn the_rarest_text_of_a_regex_is_found() {
        assert_eq!(texts(r"Sample (\d+)/(\d+)$|Rendering (\d+) / (\d+) samples$", false), ["Rendering ", "Sample "]);
        assert_eq!(texts(r"^Fra:(\d+) Mem:([\d.]+)M \(Peak ([\d.]+)M\)", false), ["M (Peak "]);
        assert_eq!(texts(r"^\s?Time: (\d+)", false), ["Time: "]);
        assert_eq!(texts(r"(?:^|\| )Saved: '(.*)'$", false), ["Saved: '"]);
        assert_eq!(texts(r"(\d+)%", false), ["%"]);
        assert_eq!(texts(r"(?:abc)+x?", false), ["abc"]);
        assert_eq!(texts(r"(error|fatal)s?", false), ["error", "fatal"]);
        assert_eq!(texts("error", true).len(), 8);
        assert_eq!(texts(r"\d+ \w", false), [" "]);
    }

    #[test]
    fn a_regex_without_a_text_has_none() {
        for regex in [r"^\d+$", r"(abc)?\d", r"a*", r"abc|\d+", r"[^x]+"] {
            assert!(texts(regex, false).is_empty(), "{regex}");
        }
    }
}
