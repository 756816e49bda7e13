//! x
pub struct Matcher; pub struct Tap;
