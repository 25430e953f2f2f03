//! The operating system: environment, clock, files, name lookup.

pub(crate) mod deadline;
pub(crate) mod dns;
pub(crate) mod env;
pub(crate) mod password_prompt;
pub(crate) mod private_file;
pub(crate) mod signal;
pub(crate) mod single_flight;
pub(crate) mod user_file;
