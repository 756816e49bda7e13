//! Tests of the window as a whole: keys in, until it is idle, look.

mod fake;
mod harness;
mod keys;
mod looks;
mod output;
mod properties;
mod real;
mod sampled;
mod steer;
mod used;
