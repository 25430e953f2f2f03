//! Database clients: the programs, and the files, variables and URLs that they read.

pub(crate) mod ca;
pub(crate) mod dsql;
pub(crate) mod environment;
pub(crate) mod heading;
pub(crate) mod json;
pub(crate) mod login_errors;
pub(crate) mod option_file;
pub(crate) mod passfile;
pub(crate) mod program;
pub(crate) mod saved;
pub(crate) mod shell;
pub(crate) mod sql;
pub(crate) mod url;
pub(crate) mod user_option_file;
