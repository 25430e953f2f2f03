//! The settings of a request, in order of precedence: flags, TARGET, the table of the configuration file that TARGET
//! names, the environment, `[defaults]`.

mod account;
mod endpoint;
pub(crate) mod inputs;
mod lifetime;

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::account::Account;
use crate::cache::CacheKind;
use crate::cli::RequestArgs;
use crate::config::Config;
use crate::error::Error;
use crate::layer::{Layer, Origin};
use crate::lookup::StoredLookups;
use crate::os::deadline::Deadline;
use crate::os::env::Env;
use crate::output::Report;
use crate::settings::inputs::Inputs;
use crate::target::{Engine, Region, Target, TargetSpec, Via};

use account::duration_text;
pub(crate) use account::{AccountSettings, check_role_arn, explicit_region, identity_flags};
pub(crate) use endpoint::resolve_endpoint;
use lifetime::{resolve_lifetime, resolve_min_ttl};

/// The settings of a request for a token, and of the files for clients.
pub(crate) struct Settings {
    pub(crate) target: Target,
    /// Where the target's region is configured, such as `--region` or `the host name`.
    pub(crate) region_origin: String,
    /// The header of the table that TARGET names, such as `[target.prod]`.
    pub(crate) table: Option<String>,
    /// The address that clients connect to instead of the endpoint.
    pub(crate) via: Option<Via>,
    /// The host name in the settings, if it is a CNAME of the target's host.
    pub(crate) cname: Option<String>,
    /// The CA file for clients. `None` for the built-in bundle.
    pub(crate) ca: Option<PathBuf>,
    account_settings: AccountSettings,
    pub(crate) cache: CacheKind,
    pub(crate) refresh: bool,
    /// Lifetime of a new token.
    pub(crate) lifetime: Duration,
    pub(crate) min_ttl: Duration,
    pub(crate) deadline: Deadline,
    pub(crate) report: Report,
}

impl Settings {
    /// Merges the layers and validates the result. Errors name the setting that is missing or invalid (exit 2).
    pub(crate) fn resolve(env: &Env, args: &RequestArgs) -> Result<Self, Error> {
        Self::resolve_for(env, Config::load(env)?, args, RegionUse::Required)
    }

    /// Merges and checks the settings of a command that needs no token, and therefore no region. Errors name the setting
    /// that is missing or invalid (exit 2).
    pub(crate) fn resolve_without_region(env: &Env, config: Config, args: &RequestArgs) -> Result<Self, Error> {
        Self::resolve_for(env, config, args, RegionUse::None)
    }

    fn resolve_for(env: &Env, config: Config, args: &RequestArgs, region_use: RegionUse) -> Result<Self, Error> {
        let mut inputs = Inputs::of_request(env, config, &args.target, &request_flags(args))?;
        let report = Report::new(env, args.common.quiet, args.common.verbose);
        inputs.warning.iter().for_each(|warning| report.warn(warning));
        let account_settings = AccountSettings::new(env, &inputs, &args.identity, report)?;
        let account = account_settings.account(env);
        let region = |inputs: &Inputs| account_settings.region(env, inputs);
        let stored_lookups = if args.cache.refresh { StoredLookups::Replace } else { StoredLookups::Use };
        let cname = resolve_endpoint(&mut inputs, &account, stored_lookups, region)?;
        let (target, region_origin) = match region_use {
            RegionUse::Required => resolve_target(env, &inputs, &account_settings)
                .inspect(|(target, origin)| report.note(&format!("region: {}, from {origin}", target.region)))?,
            RegionUse::None => target_without_region(&inputs, inputs.merged.spec())?,
        };
        let lifetime = resolve_lifetime(&inputs, target.service())?;
        let min_ttl = resolve_min_ttl(&inputs, account_settings.min_ttl, lifetime)?;
        let via = inputs.on_command_line("via").or_else(|| inputs.table_setting("via"));
        Ok(Self {
            via: via.map(|via| via.check(Via::parse)).transpose()?,
            target,
            region_origin,
            ca: resolve_ca(env, &inputs, args.target.ca.as_deref())?,
            cname,
            table: inputs.named.map(|named| named.header),
            refresh: args.cache.refresh,
            cache: account_settings.cache,
            lifetime,
            min_ttl,
            deadline: account_settings.deadline.clone(),
            report,
            account_settings,
        })
    }

    /// Returns the engine. Fails if neither the settings nor the port determine it (exit 2).
    pub(crate) fn engine(&self) -> Result<Engine, Error> {
        let Settings { target: Target { engine, port, .. }, table, .. } = self;
        engine.ok_or_else(|| {
            let remedy = match table {
                Some(table) => format!("add engine = \"mysql\", \"mariadb\" or \"postgres\" to {table}"),
                None => format!("use a URL, such as mysql://USER@HOST:{port}, or --engine mysql, mariadb or postgres"),
            };
            Error::usage(format!("target: port {port} does not determine the engine; {remedy}"))
        })
    }

    /// Returns the AWS account of the request.
    pub(crate) fn account<'a>(&'a self, env: &'a Env) -> Account<'a> {
        self.account_settings.account(env)
    }
}

/// Whether a request needs the region of its target.
#[derive(Clone, Copy)]
enum RegionUse {
    Required,
    None,
}

/// Returns a target. Its region is an example if the host name does not contain one. `spec` contains the parts of `inputs`.
pub(crate) fn target_without_region(inputs: &Inputs, spec: TargetSpec) -> Result<(Target, String), Error> {
    let any_region = || Ok(Some(Region::of_flag("any")));
    spec.validate(None, any_region).map_err(|error| inputs.add_origin(error))
}

/// Returns the flags of a request that are not part of its target.
fn request_flags(RequestArgs { identity, cache, .. }: &RequestArgs) -> Layer {
    let kind = if cache.no_cache { Some("off") } else { cache.cache.map(|kind| kind.name()) };
    let cache = [
        ("min_ttl", duration_text(cache.min_ttl)),
        ("expires_in", duration_text(cache.expires_in)),
        ("cache", kind.map(str::to_owned)),
    ];
    identity_flags(identity).or(&Layer::new(&Origin::CommandLine, cache))
}

/// Returns the target, and where its region is configured.
fn resolve_target(env: &Env, inputs: &Inputs, account: &AccountSettings) -> Result<(Target, String), Error> {
    let (explicit, default) = (explicit_region(inputs), || account.default_region(env, inputs));
    inputs.merged.spec().validate(explicit, default).map_err(|error| inputs.add_origin(error))
}

/// Returns the path of the CA file. `None` for the built-in bundle. The path in `flag` is relative to the current
/// directory. A path from another layer may begin with `~/`.
fn resolve_ca(env: &Env, inputs: &Inputs, flag: Option<&Path>) -> Result<Option<PathBuf>, Error> {
    if let Some(path) = flag {
        return check_ca(std::path::absolute(path).unwrap_or_else(|_| path.to_owned())).map(Some);
    }
    inputs.merged.get("ca").map(|setting| setting.check(|path| check_ca(env.expand_home(path)))).transpose()
}

/// Checks that the CA file exists, so that the error does not come from the client.
fn check_ca(path: PathBuf) -> Result<PathBuf, Error> {
    let problem = if !path.is_absolute() {
        "is not absolute; use an absolute path"
    } else if !path.is_file() {
        "is not a file; use a file of CA certificates in PEM format"
    } else {
        return Ok(path);
    };
    Err(Error::usage(format!("ca: {} {problem}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{IdentityArgs, TargetArgs};

    fn env(variables: &[(&str, &str)]) -> Env {
        Env::with_vars(variables.iter().map(|(name, value)| (name.into(), value.into())).collect())
    }

    #[test]
    fn an_invalid_region_names_its_origin() {
        let config = "[defaults]\nregion = 'de fau'\n[target.prod]\nhost = 'db.x'\nregion = 'ta ble'\n";
        for (target, host, region, variables, expected) in [
            ("u@prod:1", None, None, &[][..], "'ta ble' from region in [target.prod] is"),
            ("u@prod:1", None, Some("fl ag"), &[], "'fl ag' from --region is"),
            // The region of a table does not apply to another host.
            ("u@prod:1", Some("db.y"), None, &[], "'de fau' from region in [defaults] is"),
            ("u@prod:1", Some("db.y"), None, &[("AWS_REGION", "va r")], "'va r' from AWS_REGION is"),
            ("u@db.y:1", None, None, &[("AWS_REGION", "va r")], "'va r' from AWS_REGION is"),
        ] {
            let env = env(variables);
            let [host, region] = [host, region].map(|text: Option<&str>| text.map(str::to_owned));
            let args = TargetArgs { target: Some(target.to_owned()), host, region, ..TargetArgs::default() };
            let config = Config::parse(Path::new("/c.toml"), config).unwrap();
            let inputs = Inputs::of_request(&env, config, &args, &Layer::default()).unwrap();
            let report = Report::new(&env, true, false);
            let settings = AccountSettings::new(&env, &inputs, &IdentityArgs::default(), report).unwrap();
            let error = resolve_target(&env, &inputs, &settings).unwrap_err();
            assert!(error.message().starts_with(&format!("target: region {expected}")), "{error}");
        }
    }
}
