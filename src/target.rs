//! Targets: the database and the user that a token is for.

mod check;
pub(crate) mod endpoint;
mod engine;
mod parse;
mod spec;
#[cfg(test)]
mod tests;
pub(crate) mod url;
mod validate;
mod via;

pub use engine::Engine;
pub use spec::{Region, TargetSpec};
pub use validate::Target;
pub use via::Via;
