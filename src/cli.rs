//! The command line, as clap has it. No logic here.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};

use crate::aws::is_code;
use crate::cache::CacheKind;
use crate::client::environment::Shell;

const EXAMPLES: &str = "\
Examples:
  rds-token connect mysql://app@HOST/ExampleDB         start mysql or mariadb, logged in
  rds-token connect prod -- -e 'SELECT 1'              arguments for the engine's client
  rds-token connect prod mysqldump ExampleDB           any program; prod is a configured target
  mysql --defaults-file=\"$(rds-token cnf prod)\"
  rds-env postgres://app@HOST/ExampleDB && psql        rds-env comes with the shell integration (init)
  rds-token generate-db-auth-token --hostname HOST --port 5432 --username app

HOST is an RDS endpoint, such as db.abc123.eu-west-1.rds.amazonaws.com.

Files and variables:
  ~/.config/rds-token/config.toml, or RDS_TOKEN_CONFIG    configured targets and defaults
  RDS_TOKEN_CACHE_DIR, RDS_TOKEN_KEYRING                  where tokens are cached
  ~/.aws/config, ~/.aws/credentials, ~/.aws/cli/cache     profiles, and sessions shared with the AWS CLI

Exit codes:
  0 success   1 other failure   2 usage, configuration or target
  3 no usable AWS credentials   4 network or timeout
  connect: the command's own; 126 if it can't be run, 127 if it is not found, 128+N after signal N";

const CONNECT_USAGE: &str = "rds-token connect [OPTIONS] [TARGET] [[--] COMMAND [ARGUMENTS]...]";

const CONNECT_EXAMPLES: &str = "\
Examples:
  rds-token connect prod                           the engine's client
  rds-token connect prod -- -e 'SELECT 1'          with arguments (psql: -c)
  rds-token connect prod mysqldump ExampleDB       another program
  rds-token connect eve@prod/OtherDB ./migrate.sh  as another user, in another database";

/// Print an AWS RDS or Aurora IAM token, which is used as a database password. It is cached until it expires.
#[derive(Debug, Parser)]
#[command(
    name = "rds-token",
    version,
    after_help = EXAMPLES,
    args_conflicts_with_subcommands = true,
    subcommand_precedence_over_arg = true
)]
pub(crate) struct Cli {
    /// The command; `token` by default.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// The arguments of `token`.
    #[command(flatten)]
    pub(crate) token: TokenArgs,
}

/// The command line without a command, apart: clap builds every argument of every command before it
/// reads the first, and a cache hit shouldn't wait for those of others.
#[derive(Debug, Parser)]
#[command(name = "rds-token", disable_help_flag = true)]
pub(crate) struct Bare {
    /// The token to print.
    #[command(flatten)]
    pub(crate) token: TokenArgs,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Print a token (the default command)
    #[command(alias = "generate-db-auth-token")]
    Token(TokenArgs),
    /// Write a private option file for MySQL's and MariaDB's clients, and print its path
    Cnf(CnfArgs),
    /// Write a private passfile for PostgreSQL's clients, and print its path. It does not set TLS options: see env --no-secret
    Pgpass(RequestArgs),
    /// Print export lines that log in the programs of the shell
    Env(EnvArgs),
    /// Run the engine's client, or any program, logged in
    #[command(visible_alias = "exec", aliases = ["login", "run"], override_usage = CONNECT_USAGE, after_help = CONNECT_EXAMPLES)]
    Connect(ConnectArgs),
    /// Print the path of the RDS CA bundle
    Ca,
    /// List the configured targets; with -v, also their endpoint, user and engine
    Targets(TargetsArgs),
    /// Print the shell integration, for eval in an rc file: rds, rds-env, rds-ttl and completion
    Init(ScriptArgs),
    /// Print the completions for a shell, for packagers
    Completions(ScriptArgs),
    /// Print the manual page, for packagers
    Man,
    /// Show or clear the cache
    Cache {
        /// The command.
        #[command(subcommand)]
        command: CacheCommand,
    },
}

/// The name and aliases of `connect`.
pub(crate) const CONNECT_NAMES: [&str; 4] = ["connect", "exec", "login", "run"];

/// Whether a first argument is a command, not a TARGET.
pub(crate) fn is_command(name: &str) -> bool {
    // `has_subcommand` does not know aliases.
    matches!(name, "help" | "generate-db-auth-token") || CONNECT_NAMES.contains(&name) || Command::has_subcommand(name)
}

/// The names of all commands.
pub(crate) fn commands() -> Vec<String> {
    Cli::command().get_subcommands().map(|command| command.get_name().to_owned()).collect()
}

/// The commands of `cache`.
#[derive(Debug, Subcommand)]
pub(crate) enum CacheCommand {
    /// Print the cache's directory
    Path(CachedArgs),
    /// List the cached tokens: host, user, region and expiry
    List(CachedArgs),
    /// Remove the cached tokens, all or one TARGET's
    Clear {
        /// Remove only the tokens of this target.
        #[command(flatten)]
        target: Box<TargetArgs>,
        /// The caches to clear.
        #[command(flatten)]
        cached: CachedArgs,
    },
}

/// The arguments of every command of `cache`.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct CachedArgs {
    /// Include the keyring's tokens [default: only if RDS_TOKEN_CACHE or the configuration selects keyring]
    #[arg(long, value_enum, value_name = "KIND")]
    pub(crate) cache: Option<CacheKind>,
    /// The flags of every command.
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

/// The arguments of the default command. Its `Default` is what clap parses from a line without arguments.
#[derive(Debug, Default, Args)]
pub(crate) struct TokenArgs {
    /// The target of the token.
    #[command(flatten)]
    pub(crate) request: RequestArgs,
    /// How the token is printed
    #[arg(long, value_enum, default_value = "text", value_name = "FORM", help_heading = "Output")]
    pub(crate) output: Output,
    /// Print no newline after the token
    #[arg(short = 'n', long, help_heading = "Output")]
    pub(crate) no_newline: bool,
}

/// The arguments of `cnf`.
#[derive(Debug, Args)]
pub(crate) struct CnfArgs {
    /// The target of the token.
    #[command(flatten)]
    pub(crate) request: RequestArgs,
    /// Option-file flavor; auto detects the mysql or mariadb on PATH
    #[arg(long, value_enum, default_value = "auto", value_name = "FLAVOR", help_heading = "Output")]
    pub(crate) flavor: FlavorArg,
    /// Print the file itself instead, for <(…)
    #[arg(long, help_heading = "Output")]
    pub(crate) stdout: bool,
}

/// The flavor of an option file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FlavorArg {
    /// Detect it: cnf from the mysql or mariadb on PATH, connect from the program that it runs
    Auto,
    /// Oracle's clients
    Mysql,
    /// MariaDB's clients
    Mariadb,
    /// Drivers on libmariadb, PyMySQL 1.2 or later, mysql-connector-python; not libmysqlclient, which takes no TLS
    /// verification from a file
    Library,
}

/// The arguments of `env`.
#[derive(Debug, Args)]
pub(crate) struct EnvArgs {
    /// The target of the token.
    #[command(flatten)]
    pub(crate) request: RequestArgs,
    /// Output syntax [default: from $SHELL, else sh]
    #[arg(long, value_enum, value_name = "SHELL", help_heading = "Output")]
    pub(crate) shell: Option<Shell>,
    /// Print lines that unset the variables, or restore the values that rds-env saved
    #[arg(long, help_heading = "Output")]
    pub(crate) unset: bool,
    /// Write the token to private files, and print variables with their paths
    #[arg(long, help_heading = "Output")]
    pub(crate) no_secret: bool,
}

/// The arguments of `connect`.
#[derive(Debug, Args)]
pub(crate) struct ConnectArgs {
    /// The target of the token.
    #[command(flatten)]
    pub(crate) request: RequestArgs,
    /// Client to run [default: the engine's] [env: RDS_TOKEN_CLIENT]
    #[arg(long, value_name = "PROGRAM", help_heading = "Client")]
    pub(crate) client: Option<OsString>,
    /// Option-file flavor of the program, which then gets --defaults-file first [default: auto for the clients of
    /// MySQL and MariaDB, none for other programs]
    #[arg(long, value_enum, value_name = "FLAVOR", help_heading = "Client")]
    pub(crate) client_flavor: Option<FlavorArg>,
    /// Command to run instead of the engine's client, with its arguments. If the first word after -- begins with -, all
    /// words are arguments for the engine's client
    #[arg(last = true, value_name = "COMMAND", help_heading = "Client")]
    pub(crate) command: Vec<OsString>,
}

/// The arguments of `targets`.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct TargetsArgs {
    /// List the completion values for a flag
    #[arg(long, value_enum, hide = true)]
    pub(crate) names: Option<CompletionValues>,
    /// The flags of every command.
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

/// Values that shell completion can list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CompletionValues {
    /// Names of AWS profiles
    Profiles,
    /// The addresses in `via` of the configured targets
    Via,
}

/// The arguments of `init` and `completions`.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct ScriptArgs {
    /// The shell that reads the script
    #[arg(value_enum, value_name = "SHELL")]
    pub(crate) shell: ScriptShell,
}

/// The shells that there are scripts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ScriptShell {
    /// bash
    Bash,
    /// zsh
    Zsh,
    /// fish
    Fish,
    /// PowerShell
    Powershell,
}

/// The arguments of every command that needs a token.
#[derive(Debug, Default, Args)]
pub(crate) struct RequestArgs {
    /// Database endpoint and user.
    #[command(flatten)]
    pub(crate) target: TargetArgs,
    /// AWS identity.
    #[command(flatten)]
    pub(crate) identity: IdentityArgs,
    /// The use of the cache.
    #[command(flatten)]
    pub(crate) cache: CacheArgs,
    /// The flags of every command.
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

/// Database endpoint and user.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Target")]
pub(crate) struct TargetArgs {
    // No doc comment: rustdoc would take the brackets for links.
    #[arg(
        value_name = "TARGET",
        help = "[USER@]HOST[:PORT][/DATABASE], a URL such as mysql://USER@HOST/DATABASE, or a configured target"
    )]
    pub(crate) target: Option<String>,
    /// RDS endpoint that the token is signed for; also -h HOST [env: RDS_TOKEN_HOST]
    #[arg(long, visible_alias = "hostname")]
    pub(crate) host: Option<String>,
    /// Port [default: the engine's] [env: RDS_TOKEN_PORT]
    #[arg(short = 'P', long)]
    pub(crate) port: Option<String>,
    /// Database user [env: RDS_TOKEN_USER]
    #[arg(short, visible_short_alias = 'U', long, visible_alias = "username")]
    pub(crate) user: Option<String>,
    /// Database that clients use; it is not part of a token [env: RDS_TOKEN_DATABASE]
    #[arg(short = 'D', visible_short_alias = 'd', long, visible_alias = "dbname")]
    pub(crate) database: Option<String>,
    /// mysql, mariadb or postgres [default: from the URL or the port] [env: RDS_TOKEN_ENGINE]
    #[arg(long)]
    pub engine: Option<String>,
    /// AWS region [default: from the host name, AWS_REGION, AWS_DEFAULT_REGION or the profile]
    #[arg(long)]
    pub(crate) region: Option<String>,
    /// Address that clients connect to, such as a tunnel; PORT alone means localhost. The token stays signed for --host
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) via: Option<String>,
    /// CA file for clients [env: RDS_TOKEN_CA]
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
}

impl TargetArgs {
    /// Whether nothing was given.
    pub(crate) fn is_empty(&self) -> bool {
        let Self { target, host, port, user, database, engine, region, via, ca } = self;
        [target, host, port, user, database, engine, region, via].iter().all(|part| part.is_none()) && ca.is_none()
    }
}

/// AWS identity.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "AWS credentials")]
pub(crate) struct IdentityArgs {
    /// The AWS profile. Unlike AWS_PROFILE, it overrides access keys in the environment
    #[arg(long, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// Assume this role with the credentials found
    #[arg(long, value_name = "ARN")]
    pub(crate) role_arn: Option<String>,
    /// The MFA device of the user or of the role, by serial number or ARN [default: the profile's mfa_serial]
    #[arg(long, value_name = "SERIAL")]
    pub(crate) mfa_serial: Option<String>,
    /// A code of the MFA device [default: the profile's mfa_process, else a prompt on the terminal]
    #[arg(long, value_name = "CODE", value_parser = mfa_code)]
    pub(crate) mfa_code: Option<String>,
    /// Overall time limit, not counting MFA prompts [default: 25s]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) timeout: Option<Duration>,
}

/// The use of the cache.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Cache")]
pub(crate) struct CacheArgs {
    /// Where tokens are cached: files in RDS_TOKEN_CACHE_DIR or a private directory of yours, the system's keyring, or
    /// nowhere [default: file] [env: RDS_TOKEN_CACHE]
    #[arg(long, value_enum, value_name = "KIND")]
    pub(crate) cache: Option<CacheKind>,
    /// Neither read nor write the cache, as with --cache off
    #[arg(long, conflicts_with_all = ["cache", "refresh"])]
    pub(crate) no_cache: bool,
    /// Sign a new token and cache it
    #[arg(long)]
    pub(crate) refresh: bool,
    /// Minimum remaining lifetime of the token, 30s to 14m [default: 5m]
    #[arg(long, value_name = "DURATION", value_parser = min_ttl)]
    pub(crate) min_ttl: Option<Duration>,
}

/// The flags of every command.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(crate) struct CommonArgs {
    /// Print no warnings
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// Show where region, credentials and token come from, and which credentials are ignored; never a secret
    #[arg(short, long, conflicts_with = "quiet")]
    pub(crate) verbose: bool,
}

/// The forms of output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// The token
    #[default]
    Text,
    /// One line of JSON, every value a string
    Json,
    /// A connection URL for libpq, with the token in it; PostgreSQL only
    Url,
}

/// Seconds, or a number with a unit: `25`, `25s`, `1m 30s`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let duration = match text.parse::<u32>() {
        Ok(seconds) => Duration::from_secs(seconds.into()),
        Err(_) => humantime::parse_duration(text).map_err(|_| "write it as 90s, 2m or 1m30s".to_owned())?,
    };
    let day = Duration::from_secs(86_400);
    if duration.is_zero() || duration > day {
        return Err("it must be more than nothing and at most a day".to_owned());
    }
    Ok(duration)
}

fn mfa_code(text: &str) -> Result<String, String> {
    if is_code(text) { Ok(text.to_owned()) } else { Err("a code has 6 digits".to_owned()) }
}

pub(crate) fn min_ttl(text: &str) -> Result<Duration, String> {
    let duration = duration(text)?;
    if !(30..=14 * 60).contains(&duration.as_secs()) {
        return Err("it must be from 30s to 14m: a token lives for 15 minutes".to_owned());
    }
    Ok(duration)
}
