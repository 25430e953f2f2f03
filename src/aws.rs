//! AWS credentials: the identity of a request, and its credentials.
//!
//! [`Identity::find`] selects the identity from the environment and the profile files, without network access.
//! [`fetch()`] fetches its credentials.

pub(crate) mod api;
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
mod precedence;
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
pub use identity::Identity;
pub use keys::AccessKeys;
pub(crate) use mfa::is_code;
pub use precedence::Choice;
pub(crate) use precedence::is_chosen_by_environment;
pub use profile_files::{ProfileFiles, Profiles};
pub(crate) use request::{CredentialRequest, Locks, SessionStorage};
pub(crate) use session_cache::SessionCache;
