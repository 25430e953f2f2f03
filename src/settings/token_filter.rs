//! The filter of `cache clear`.

use crate::cli::TargetArgs;
use crate::config::Config;
use crate::error::Error;
use crate::layer::Layer;
use crate::os::env::Env;
use crate::settings::inputs::{Inputs, with_examples};
use crate::target::{Region, TargetSpec};

/// A filter for cached tokens. A token matches if it has every part that is set.
pub(crate) struct TokenFilter {
    host: Option<String>,
    port: Option<String>,
    user: Option<String>,
    region: Option<String>,
}

impl TokenFilter {
    /// Builds the filter from TARGET and flags, and validates it as for a token. Ignores the environment. Errors name
    /// the part that is invalid (exit 2).
    pub(crate) fn new(env: &Env, args: &TargetArgs) -> Result<Self, Error> {
        let inputs = Inputs::of_target(env, Config::load(env)?, args, &Layer::default())?;
        Self::from_spec(inputs.merged.spec(), args.region.clone())
    }

    fn from_spec(spec: TargetSpec, region: Option<String>) -> Result<Self, Error> {
        let TargetSpec { host, port, user, engine, .. } = &spec;
        if [host, port, user, engine, &region].iter().all(|part| part.is_none()) {
            return Err(Error::usage(
                "cache: the arguments select no tokens; use TARGET, --host, --port, --user or --region",
            ));
        }
        let any_region = || Ok(Some(Region::of_flag("any")));
        let (target, _) = with_examples(spec.clone()).validate(region.as_deref().map(Region::of_flag), any_region)?;
        let has_port = spec.port.is_some() || spec.engine.is_some();
        Ok(Self {
            host: spec.host.map(|_| target.host),
            port: has_port.then(|| target.port.to_string()),
            user: spec.user,
            region,
        })
    }

    /// Whether a token for this user, endpoint and region matches.
    pub(crate) fn matches(&self, user: &str, host: &str, port: &str, region: &str) -> bool {
        let parts = [(&self.user, user), (&self.host, host), (&self.port, port), (&self.region, region)];
        parts.into_iter().all(|(filter, part)| filter.as_ref().is_none_or(|filter| filter == part))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_matches_if_it_has_every_part_of_the_filter() {
        for (target, region, expected) in [
            ("app@db.x:3306", None, true),
            ("DB.X", None, true),
            ("mysql://app@db.x", None, true),
            ("app@db.x:3306/other", Some("eu-west-1"), true),
            ("eve@db.x", None, false),
            ("app@db.y", None, false),
            ("postgres://app@db.x", None, false),
            ("app@db.x", Some("us-east-1"), false),
        ] {
            let filter = TokenFilter::from_spec(TargetSpec::parse(target).unwrap(), region.map(str::to_owned));
            assert_eq!(filter.unwrap().matches("app", "db.x", "3306", "eu-west-1"), expected, "{target} {region:?}");
        }
        let database = TargetSpec { database: Some("x".to_owned()), ..TargetSpec::default() };
        assert!(TokenFilter::from_spec(database, None).err().unwrap().message().contains("select no tokens"));
    }
}
