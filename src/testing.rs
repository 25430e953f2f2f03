//! The items that `tests/` and `fuzz/` use directly. They are not an API.

pub use crate::aws::{AccessKeys, Choice, Identity, ProfileFiles, Profiles};
pub use crate::cache::{CacheDirectory, Entry, Key};
pub use crate::client::ca::Roots;
pub use crate::client::heading::read_heading;
pub use crate::client::json::render as render_json;
pub use crate::client::login_errors::{LOGIN_ERRORS, LoginError};
pub use crate::client::option_file::{Flavor, OptionFile, PasswordIn, PasswordKind};
pub use crate::client::passfile::render as render_passfile;
pub use crate::client::shell::Shell;
pub use crate::client::sql::{Access, DatabaseUser};
pub use crate::client::url::Url;
pub use crate::config::Config;
pub use crate::error::Error;
pub use crate::layer::Layer;
pub use crate::os::deadline::Deadline;
pub use crate::os::env::{Env, Timestamp};
pub use crate::percent::encode;
pub use crate::secret::Secret;
pub use crate::target::{Engine, Region, Target, TargetSpec, Via};
pub use crate::token::{LIFETIME, Login, TokenFields, TokenSource, sign};
