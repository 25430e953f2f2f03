//! The settings of an AWS account: identity, cache and time limit.

use std::time::Duration;

use super::inputs::Inputs;
use crate::account::{Account, Resolved};
use crate::aws::{Choice, ProfileFiles, Profiles, is_chosen_by_environment};
use crate::cache::CacheKind;
use crate::cli::{IdentityArgs, duration, min_ttl};
use crate::error::Error;
use crate::layer::{Layer, Origin, Setting};
use crate::os::deadline::Deadline;
use crate::os::env::Env;
use crate::output::Report;
use crate::target::Region;

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(25);
const DEFAULT_MIN_TTL: Duration = Duration::from_secs(5 * 60);

/// The settings of an AWS account, which a request with or without a target uses.
pub(crate) struct AccountSettings {
    /// The profile, role and MFA device that flags and configuration select.
    pub(super) identity: Layer,
    pub(super) mfa_code: Option<String>,
    pub(super) profiles: ProfileFiles,
    pub(super) cache: CacheKind,
    pub(super) min_ttl: Duration,
    pub(super) deadline: Deadline,
    pub(super) report: Report,
    /// The parts of the account that are resolved, for example by a lookup.
    pub(super) resolved: Resolved,
}

impl AccountSettings {
    /// Reads and checks the settings in `inputs`. Errors name the setting that is invalid (exit 2).
    pub(crate) fn new(env: &Env, inputs: &Inputs, args: &IdentityArgs, report: Report) -> Result<Self, Error> {
        let deadline = env.deadline(check_duration(inputs, "timeout", duration)?.unwrap_or(DEFAULT_TIMEOUT));
        Ok(Self {
            identity: identity_layer(env, inputs, &report)?,
            mfa_code: args.mfa_code.clone(),
            profiles: ProfileFiles::new(deadline.clone()),
            cache: inputs.merged.get("cache").map_or(Ok(CacheKind::File), |setting| setting.check(check_cache))?,
            min_ttl: check_duration(inputs, "min_ttl", min_ttl)?.unwrap_or(DEFAULT_MIN_TTL),
            deadline,
            report,
            resolved: Resolved::default(),
        })
    }

    /// Returns the account.
    pub(crate) fn account<'a>(&'a self, env: &'a Env) -> Account<'a> {
        let Self { identity, profiles, mfa_code, min_ttl, deadline, report, cache, resolved } = self;
        Account {
            env,
            choice: choice(identity),
            profiles,
            mfa_code: mfa_code.as_deref(),
            min_ttl: *min_ttl,
            deadline,
            report,
            cache: *cache,
            resolved,
        }
    }

    /// Returns the region of `--region` or of the target, else the default region. `None` if no region is configured.
    pub(crate) fn region(&self, env: &Env, inputs: &Inputs) -> Result<Option<Region>, Error> {
        match explicit_region(inputs) {
            Some(region) => Ok(Some(region)),
            None => self.default_region(env, inputs),
        }
    }

    /// Returns the region for a host name without one. `None` if no region is configured.
    pub(crate) fn default_region(&self, env: &Env, inputs: &Inputs) -> Result<Option<Region>, Error> {
        default_region(env, &inputs.config.defaults, &self.profiles, self.identity.text("profile"))
    }
}

/// Returns the identity that `layer` selects.
fn choice(layer: &Layer) -> Choice<'_> {
    Choice {
        profile: layer.text("profile"),
        profile_table: layer.get("profile").and_then(|profile| profile.origin.name()),
        role_arn: layer.text("role_arn"),
        mfa_serial: layer.text("mfa_serial"),
    }
}

/// Returns the flags that select an identity.
pub(crate) fn identity_flags(identity: &IdentityArgs) -> Layer {
    Layer::new(
        &Origin::CommandLine,
        [
            ("profile", identity.profile.clone()),
            ("role_arn", identity.role_arn.clone()),
            ("mfa_serial", identity.mfa_serial.clone()),
            ("timeout", duration_text(identity.timeout)),
        ],
    )
}

pub(super) fn duration_text(duration: Option<Duration>) -> Option<String> {
    Some(humantime::format_duration(duration?).to_string())
}

/// Returns the region of `--region` or of the table that TARGET names.
pub(crate) fn explicit_region(inputs: &Inputs) -> Option<Region> {
    let in_table = || {
        let Setting { text, origin } = inputs.table_setting("region")?;
        Some(Region { name: text.clone(), origin: format!("region in {}", origin.name()?) })
    };
    inputs.on_command_line("region").map(|region| Region::of_flag(&region.text)).or_else(in_table)
}

/// Returns the region for a host name without one. `None` if no region is configured.
fn default_region(
    env: &Env,
    defaults: &Layer,
    profiles: &ProfileFiles,
    profile: Option<&str>,
) -> Result<Option<Region>, Error> {
    let region = |name: &str, origin: &str| Region { name: name.to_owned(), origin: origin.to_owned() };
    let variable = |variable: &str| Some(region(&env.var(variable)?, variable));
    let in_defaults = || Some(region(defaults.text("region")?, "region in [defaults]"));
    let found = variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION")).or_else(in_defaults);
    if found.is_some() {
        return Ok(found);
    }
    let profile = profile.map_or_else(|| Profiles::selected(env).0, str::to_owned);
    let in_profile = profiles.get(env)?.value(&profile, "region");
    Ok(in_profile.map(|name| region(name, &format!("profile '{profile}'"))))
}

/// Returns the profile, the role and the MFA device. If a flag, the target or the environment selects an identity other
/// than the profile of `[defaults]`, that profile is ignored, and so are the role and the device of `[defaults]`, which
/// belong to it.
fn identity_layer(env: &Env, inputs: &Inputs, report: &Report) -> Result<Layer, Error> {
    let is_default = |setting: &Setting| setting.origin.name() == Some("[defaults]");
    let is_overridden = |default: &&str| match inputs.merged.get("profile").filter(|profile| !is_default(profile)) {
        Some(profile) => profile.text != **default,
        None => {
            // Access keys take precedence over a profile.
            let (profile, is_explicit) = Profiles::selected(env);
            let is_selected = is_explicit && profile == **default && env.var("AWS_ACCESS_KEY_ID").is_none();
            is_chosen_by_environment(env) && !is_selected
        }
    };
    let ignored = inputs.config.defaults.text("profile").filter(is_overridden);
    if let Some(name) = ignored {
        report.note(&format!("profile '{name}' of [defaults] is ignored because another identity is selected"));
    }
    let mut layer = Layer::default();
    for key in ["profile", "role_arn", "mfa_serial"] {
        if let Some(setting) = inputs.merged.get(key).filter(|setting| ignored.is_none() || !is_default(setting)) {
            layer.insert(key, setting.clone());
        }
    }
    layer.get("role_arn").map(|role| role.check(check_role_arn)).transpose()?;
    Ok(layer)
}

/// Checks the form of the ARN of a role. Fails if it has another form (exit 2).
pub(crate) fn check_role_arn(arn: &str) -> Result<(), Error> {
    if arn.starts_with("arn:") && arn.contains(":role/") && arn.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(());
    }
    Err(Error::usage(format!("role: '{arn}' is not the ARN of a role, such as arn:aws:iam::123456789012:role/NAME")))
}

pub(super) fn check_duration(
    inputs: &Inputs,
    key: &str,
    parse: fn(&str) -> Result<Duration, String>,
) -> Result<Option<Duration>, Error> {
    let check = |text: &str| parse(text).map_err(|why| Error::usage(format!("{key} '{text}': {why}")));
    inputs.merged.get(key).map(|setting| setting.check(check)).transpose()
}

fn check_cache(name: &str) -> Result<CacheKind, Error> {
    let remedy = "set cache or RDS_TOKEN_CACHE to file, keyring or off";
    CacheKind::from_name(name).ok_or_else(|| Error::usage(format!("cache: '{name}' is unknown; {remedy}")))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::cli::TargetArgs;
    use crate::config::Config;

    const ROLE: &str = "arn:aws:iam::123456789012:role/x";

    fn env(variables: &[(&str, &str)]) -> Env {
        Env::with_vars(variables.iter().map(|(name, value)| (name.into(), value.into())).collect())
    }

    #[test]
    fn a_selected_identity_overrides_the_default_profile_and_its_role() {
        let config = format!("[defaults]\nprofile = 'd'\nrole_arn = '{ROLE}'\n[target.other]\nprofile = 'o'\n");
        let no_profile = format!("[defaults]\nrole_arn = '{ROLE}'\n");
        let keys = ("AWS_ACCESS_KEY_ID", "AKIDX");
        for (config, target, variables, expected) in [
            (&config, "db.x", &[][..], (Some("d"), true)),
            (&config, "other", &[], (Some("o"), false)),
            (&config, "db.x", &[keys], (None, false)),
            (&config, "db.x", &[("AWS_PROFILE", "d")], (Some("d"), true)),
            (&config, "db.x", &[("AWS_PROFILE", "e")], (None, false)),
            (&config, "db.x", &[("AWS_PROFILE", "d"), keys], (None, false)),
            (&no_profile, "db.x", &[keys], (None, true)),
        ] {
            let env = env(variables);
            let args = TargetArgs { target: Some(target.to_owned()), ..TargetArgs::default() };
            let config = Config::parse(Path::new("/c.toml"), config).unwrap();
            let inputs = Inputs::of_request(&env, config, &args, &Layer::default()).unwrap();
            let layer = identity_layer(&env, &inputs, &Report::new(&env, true, false)).unwrap();
            let identity = (layer.text("profile"), layer.text("role_arn").is_some());
            assert_eq!(identity, expected, "{target} {variables:?}");
        }
    }

    #[test]
    fn the_default_region_comes_from_the_environment_first() {
        let mut defaults = Layer::default();
        defaults.insert("region", Setting { text: "eu-west-3".to_owned(), origin: Origin::Table("[defaults]".into()) });
        for (variables, expected) in [
            (&[("AWS_DEFAULT_REGION", "eu-west-2"), ("AWS_REGION", "eu-west-1")][..], "eu-west-1 from AWS_REGION"),
            (&[("AWS_DEFAULT_REGION", "eu-west-2")], "eu-west-2 from AWS_DEFAULT_REGION"),
            (&[], "eu-west-3 from region in [defaults]"),
        ] {
            let env = env(variables);
            let profiles = ProfileFiles::new(env.deadline(DEFAULT_TIMEOUT));
            let region = default_region(&env, &defaults, &profiles, None).unwrap().unwrap();
            assert_eq!(format!("{} from {}", region.name, region.origin), expected);
        }
    }

    #[test]
    fn only_the_arn_of_a_role_is_valid() {
        for (arn, is_valid) in [
            (ROLE, true),
            ("arn:aws-cn:iam::123456789012:role/path/x", true),
            ("arn:aws:iam::123456789012:user/x", false),
            ("arn:aws:iam::123456789012:role/x y", false),
            ("x", false),
        ] {
            assert_eq!(check_role_arn(arn).is_ok(), is_valid, "{arn}");
        }
    }
}
