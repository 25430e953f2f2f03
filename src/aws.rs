//! AWS credentials: whose they are, and how they are fetched.
//!
//! [`Identity::find`] selects the identity of a request from the environment and the profile files, without network.
//! [`fetch`] fetches its credentials.

mod ca_certificates;
mod client;
mod container;
mod credentials_json;
mod endpoints;
mod environment;
mod fetch;
mod http;
mod identity;
mod imds;
mod ini;
mod keys;
mod login;
mod mfa;
mod process;
mod profile_chain;
mod profile_files;
mod redact;
mod request;
mod sdk_error;
mod session_cache;
mod source;
mod sso;
mod sts;

pub(crate) use fetch::{Fetched, fetch};
pub(crate) use identity::is_chosen_by_environment;
pub use identity::{Choice, Identity};
pub use keys::AccessKeys;
pub(crate) use mfa::is_code;
pub use profile_files::ProfileFiles;
pub use profile_files::Profiles;
pub(crate) use request::{CredentialRequest, Locks, SessionStorage};
pub(crate) use session_cache::SessionCache;
