//! The parts of `rds-token`, as a library for its own tests and benches.
//!
//! No API is promised: the program and its command line are the interface.

pub mod ca;
pub mod cache;
pub mod cli;
pub mod client;
pub mod command;
pub mod config;
pub mod credentials;
pub mod deadline;
pub mod dns;
pub mod endpoint;
pub mod error;
pub mod fingerprint;
pub mod flight;
pub mod host;
pub mod percent;
pub mod private_file;
pub mod report;
pub mod rfc3339;
pub mod secret;
pub mod sink;
pub mod target;
pub mod token;
pub mod user_option_file;
