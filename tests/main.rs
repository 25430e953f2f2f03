//! Integration tests with real processes, files, servers and clients.

#![expect(clippy::disallowed_methods, reason = "tests read their own process")]

mod architecture;
mod ca;
mod cache;
mod canaries;
mod client_traps;
mod clients;
mod cname;
mod command_line;
mod command_line_forms;
mod completion;
mod credentials;
mod docs;
mod doctor;
mod drivers;
mod dsql;
mod fail_closed;
mod faults;
mod fuzzed;

mod harness;
mod helper_programs;
mod hit;
mod hostile;
mod inspect;
mod kerberos;
#[cfg(target_os = "linux")]
mod keyring;
mod login;
mod lookup;
mod moto;
mod mysql_home;
mod name_lookup;
mod other_users;
mod platform;
mod policy;
mod profile_files;
mod project;
mod properties;
mod recipes;
mod rogue;
mod security;
mod servers;
mod sessions;
mod setup;
mod shells;
mod signing;
mod single_flight;
mod snapshots;
mod sql;
mod static_program;
