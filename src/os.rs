//! What the program needs of the operating system.

pub(crate) mod deadline;
pub(crate) mod dns;
pub(crate) mod env;
pub(crate) mod private_file;
pub(crate) mod single_flight;
