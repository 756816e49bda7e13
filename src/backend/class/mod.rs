//! Back-end classes: Qube's own seam, run as it is.
//!
//! A job whose backend is `my_backend.py:MyBackEnd` is *driven*: a helper interpreter imports the class on base classes of
//! ours and goes Qube's way through the job (`jobSetup`, `executeWork`, `jobTeardown`). What it decides it asks the
//! engine to do, over a socket of their own, the [`bridge`].
//!
//! What must stay true: the helper is no part of the child's family, and dies with the engine all the same; nothing that
//! it says is believed before it is journalled; it is bounded in what it says and prints.

pub mod bridge;
mod helper;
pub mod job;
mod package;
mod result;

pub use helper::{ChildLaunch, helper, marker};
pub use result::{named, result_package};

use crate::job::is_identifier;
use std::path::Path;

/// Settings of driven jobs, whatever their recipe: the recipe that says how the application is to be treated, and the
/// interpreter that runs the class.
pub const SETTINGS: [&str; 2] = ["recipe", "back_end_python"];

/// The recipe of driven jobs that name none.
pub const RECIPE: &str = "class";

/// A file and a class in it, if that is what a backend's name says: `my_backend.py:MyBackEnd`.
pub fn parts(backend: &str) -> Option<(&Path, &str)> {
    let (file, class) = backend.rsplit_once(':')?;
    let file = Path::new(file);
    let python = file.extension().is_some_and(|extension| extension == "py");
    (python && !class.contains('/')).then_some((file, class))
}

/// Whether a class can be called that.
pub fn is_class_name(name: &str) -> bool {
    is_identifier(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_and_a_class_are_told_from_recipes() {
        assert_eq!(parts("a/my:back.py:My"), Some((Path::new("a/my:back.py"), "My")));
        assert_eq!(parts("x.py:"), Some((Path::new("x.py"), "")));
        for other in ["python", "x.py", "x.toml:My", "x.py:a/b", ":", ""] {
            assert_eq!(parts(other), None, "{other}");
        }
    }
}
