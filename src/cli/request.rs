//! The arguments that commands share: target, identity, cache, and the options of every command.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::values::{CACHES, duration, lifetime, mfa_code, min_ttl, one_of};
use crate::cache::CacheKind;

/// Heading of the rarely used options. The help of `-h` omits them.
pub(crate) const ADVANCED: &str = "Advanced";

/// Display order of the options that every command has. They come last.
pub(super) const LAST: usize = 900;

// The arguments of every command that needs a token.
#[derive(Debug, Default, Args)]
#[group(skip)]
pub(crate) struct RequestArgs {
    #[command(flatten)]
    pub(crate) target: TargetArgs,
    #[command(flatten)]
    pub(crate) identity: IdentityArgs,
    #[command(flatten)]
    pub(crate) cache: CacheArgs,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
#[group(skip)]
pub(crate) struct TargetArgs {
    #[arg(
        value_name = "TARGET",
        help = "mysql://USER@HOST/DATABASE, USER@HOST:PORT, or a configured target",
        long_help = "mysql://USER@HOST/DATABASE, also mariadb:// and postgres://\nUSER@HOST:PORT/DATABASE\n\
            NAME of a target in ~/.config/rds-token/config.toml, also USER@NAME and NAME/DATABASE"
    )]
    pub(crate) target: Option<String>,
    /// RDS endpoint; also -h HOST [env: RDS_TOKEN_HOST]
    #[arg(long, visible_alias = "hostname")]
    pub(crate) host: Option<String>,
    /// Port [default: the engine's] [env: RDS_TOKEN_PORT]
    #[arg(short = 'P', long)]
    pub(crate) port: Option<String>,
    /// Database user [env: RDS_TOKEN_USER]
    #[arg(short, visible_short_alias = 'U', long, visible_alias = "username")]
    pub(crate) user: Option<String>,
    /// Database that clients open [env: RDS_TOKEN_DATABASE]
    #[arg(short = 'D', visible_short_alias = 'd', long, visible_alias = "dbname", value_name = "NAME")]
    pub(crate) database: Option<String>,
    /// mysql, mariadb or postgres [default: by URL or port] [env: RDS_TOKEN_ENGINE]
    #[arg(long, hide_short_help = true)]
    pub(crate) engine: Option<String>,
    /// AWS region [default: from host name, AWS_REGION or profile]
    #[arg(long, hide_short_help = true)]
    pub(crate) region: Option<String>,
    /// Database identifier instead of a host; also KIND:ID
    #[arg(long, value_name = "ID", conflicts_with = "host", hide_short_help = true)]
    pub(crate) id: Option<String>,
    /// With --id, connect to the reader endpoint of a cluster
    #[arg(long, help_heading = ADVANCED)]
    pub(crate) reader: bool,
    /// Do not look up whether the host is a CNAME of an RDS endpoint
    #[arg(long, help_heading = ADVANCED)]
    pub(crate) no_resolve: bool,
    /// Address that clients connect to instead of --host, such as a tunnel
    #[arg(long, value_name = "HOST:PORT", help_heading = ADVANCED)]
    pub(crate) via: Option<String>,
    /// CA file for clients [default: the RDS bundle] [env: RDS_TOKEN_CA]
    #[arg(long, value_name = "FILE", help_heading = ADVANCED)]
    pub(crate) ca: Option<PathBuf>,
}

#[derive(Clone, Debug, Default, Args)]
#[group(skip)]
pub(crate) struct IdentityArgs {
    /// AWS profile; unlike AWS_PROFILE, it overrides access keys in the environment
    #[arg(long, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// Role to assume [default: the profile's role_arn]
    #[arg(long, value_name = "ARN", help_heading = ADVANCED)]
    pub(crate) role_arn: Option<String>,
    /// MFA device, by serial number or ARN [default: the profile's mfa_serial]
    #[arg(long, value_name = "SERIAL", help_heading = ADVANCED)]
    pub(crate) mfa_serial: Option<String>,
    /// MFA code [default: from the profile's mfa_process, else a prompt]
    #[arg(long, value_name = "CODE", value_parser = mfa_code, help_heading = ADVANCED)]
    pub(crate) mfa_code: Option<String>,
    /// Time limit of the whole run, without MFA prompts [default: 25s]
    #[arg(long, value_name = "DURATION", value_parser = duration, help_heading = ADVANCED)]
    pub(crate) timeout: Option<Duration>,
}

#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = ADVANCED)]
#[group(skip)]
pub(crate) struct CacheArgs {
    /// Token cache [default: file] [env: RDS_TOKEN_CACHE]
    #[arg(long, value_parser = one_of(CACHES), value_name = "KIND")]
    pub(crate) cache: Option<CacheKind>,
    /// Do not use the cache; the same as --cache off
    #[arg(long, conflicts_with_all = ["cache", "refresh"])]
    pub(crate) no_cache: bool,
    /// Sign a new token and cache it
    #[arg(long)]
    pub(crate) refresh: bool,
    /// Minimum remaining lifetime of the token, 30s to 14m [default: 5m]
    #[arg(long, value_name = "DURATION", value_parser = min_ttl)]
    pub(crate) min_ttl: Option<Duration>,
    /// Aurora DSQL: lifetime of a new token, at most 7d [default: 15m]
    #[arg(long, value_name = "DURATION", value_parser = lifetime)]
    pub(crate) expires_in: Option<Duration>,
}

// The options of every command.
#[derive(Clone, Copy, Debug, Default, Args)]
#[command(next_help_heading = None)]
#[group(skip)]
pub(crate) struct CommonArgs {
    /// Print no warnings
    #[arg(short, long, display_order = LAST, hide_short_help = true)]
    pub(crate) quiet: bool,
    /// Print where the region, credentials and token come from; never a secret
    #[arg(short, long, conflicts_with = "quiet", display_order = LAST)]
    pub(crate) verbose: bool,
}
