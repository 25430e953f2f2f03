//! The command line, as clap's structs, one for each command.
//!
//! Structs of arguments have ordinary comments, because a doc comment would replace the help text of the command. They
//! are not groups (`skip`), and no argument has a `default_value`, because both slow down every run.

mod request;
mod texts;
mod values;

use std::ffi::OsString;

use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};

use crate::cache::CacheKind;
use crate::client::shell::Shell;
use crate::similar::nearest;
pub(crate) use request::{ADVANCED, CommonArgs, IdentityArgs, RequestArgs, TargetArgs};
use texts::{ABOUT, COMMANDS, EXAMPLES};
use values::{CACHES, FLAVORS, SCRIPT_SHELLS, SHELLS, one_of};
pub(crate) use values::{FlavorArg, duration, lifetime, min_ttl};

/// The name of the program in its help.
pub(crate) const NAME: &str = "rds-token";

/// Display order of the commands that `-h` omits.
pub(crate) const RARE: usize = 100;

// The command line. Its help is in `command`.
#[derive(Debug, Parser)]
#[command(
    name = NAME,
    version,
    override_usage = "rds-token [COMMAND] [TARGET] [OPTIONS]",
    args_conflicts_with_subcommands = true,
    subcommand_precedence_over_arg = true
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) token: TokenArgs,
}

// The commands, in the order of the help. With `defer`, clap defines the arguments of a command only when it parses or
// builds that command. Defining all of them would take a fifth of the time of a cache hit.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub(crate) enum Command {
    #[command(visible_alias = "exec", aliases = ["login", "run"])]
    Connect(ConnectArgs),
    Cnf(CnfArgs),
    Pgpass(RequestArgs),
    Env(EnvArgs),
    #[command(display_order = RARE)]
    Sql(SqlArgs),
    Doctor(DoctorArgs),
    Setup(SetupArgs),
    #[command(display_order = RARE)]
    Targets(CommonArgs),
    #[command(display_order = RARE)]
    Inspect(InspectArgs),
    #[command(display_order = RARE)]
    Policy(PolicyArgs),
    #[command(display_order = RARE)]
    Cache {
        #[command(subcommand)]
        command: CacheCommand,
    },
    Init(ScriptArgs),
    #[command(alias = "generate-db-auth-token", display_order = RARE)]
    Token(TokenArgs),
    #[command(display_order = RARE)]
    Ca,
    #[command(display_order = RARE)]
    Completions(ScriptArgs),
    #[command(display_order = RARE)]
    Man,
}

/// The name and aliases of `connect`.
pub(crate) const CONNECT_NAMES: [&str; 4] = ["connect", "exec", "login", "run"];

/// Whether a first argument is a command, not a TARGET.
pub(crate) fn is_command(name: &str) -> bool {
    // `has_subcommand` ignores aliases.
    matches!(name, "help" | "generate-db-auth-token") || CONNECT_NAMES.contains(&name) || Command::has_subcommand(name)
}

/// Returns clap's description of the command line, with all texts, as help, manual page and completion show it.
pub(crate) fn command() -> clap::Command {
    let mut command = Cli::command().about(ABOUT).after_long_help(EXAMPLES);
    for (text, inner) in COMMANDS.split("\n\n").zip(command.get_subcommands_mut()) {
        let (head, examples) = text.split_once('\n').expect("a line with the description");
        let (name, about) = head.split_once(": ").expect("a name");
        assert_eq!(name, inner.get_name(), "the texts are in the order of the commands");
        *inner = std::mem::take(inner).about(about).after_help(format!("Examples:\n{examples}"));
    }
    command.build();
    let targets = command.find_subcommand_mut("targets").expect("a command");
    adjust(targets, "verbose", |option| option.help("Add endpoint, user and engine"));
    // `inspect` has no verbose output.
    adjust(command.find_subcommand_mut("inspect").expect("a command"), "verbose", |option| option.hide(true));
    // `cache clear` selects tokens. These options do not change a token, so it refuses them.
    let clear = command.find_subcommand_mut("cache").and_then(|cache| cache.find_subcommand_mut("clear"));
    let clear = clear.expect("a command");
    ["database", "via", "ca"].into_iter().for_each(|option| adjust(clear, option, |option| option.hide(true)));
    // Only clients of MySQL and MariaDB read option files.
    let cnf = command.find_subcommand_mut("cnf").expect("a command");
    adjust(cnf, "expires_in", |option| option.hide(true));
    // `sql` uses no token.
    let sql = command.find_subcommand_mut("sql").expect("a command");
    adjust(sql, "database", |option| {
        option.help("Database of the grants [default: no grants] [env: RDS_TOKEN_DATABASE]")
    });
    adjust(sql, "verbose", |option| option.help("Print the client, the endpoint and the CA"));
    command
}

fn adjust(command: &mut clap::Command, option: &str, change: fn(clap::Arg) -> clap::Arg) {
    let change = |argument: clap::Arg| if argument.get_id() == option { change(argument) } else { argument };
    *command = std::mem::take(command).mut_args(change);
}

/// Returns the command that `name` may be a misspelling of.
pub(crate) fn nearest_command(name: &str) -> Option<String> {
    nearest(name, Cli::command().get_subcommands().map(clap::Command::get_name)).map(str::to_owned)
}

#[derive(Debug, Subcommand)]
pub(crate) enum CacheCommand {
    /// Print the directory of the cache
    Path(CachedArgs),
    /// List the cached tokens: host, user, region and expiry
    List(CachedArgs),
    /// Remove the cached tokens, all or one TARGET's
    Clear {
        #[command(flatten)]
        target: Box<TargetArgs>,
        #[command(flatten)]
        cached: CachedArgs,
    },
}

#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct CachedArgs {
    /// keyring includes the tokens in the keyring, file excludes them [default: as configured]
    #[arg(long, value_parser = one_of(CACHES), value_name = "KIND")]
    pub(crate) cache: Option<CacheKind>,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

// Its `Default` equals the result of parsing a line without arguments.
#[derive(Debug, Default, Args)]
#[group(skip)]
pub(crate) struct TokenArgs {
    #[command(flatten)]
    pub(crate) request: RequestArgs,
    /// Output format [default: text]
    #[arg(long, value_enum, value_name = "FORMAT", hide_short_help = true)]
    pub(crate) output: Option<Output>,
    /// Print no newline after the token
    #[arg(short = 'n', long, hide_short_help = true)]
    pub(crate) no_newline: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CnfArgs {
    #[command(flatten)]
    pub(crate) request: RequestArgs,
    /// Option-file flavor; auto detects the mysql or mariadb on PATH [default: auto]
    #[arg(long, value_parser = one_of(FLAVORS), value_name = "FLAVOR")]
    pub(crate) flavor: Option<FlavorArg>,
    /// Print the file instead of its path, for <(…)
    #[arg(long)]
    pub(crate) stdout: bool,
}

#[derive(Debug, Args)]
pub(crate) struct EnvArgs {
    #[command(flatten)]
    pub(crate) request: RequestArgs,
    /// Output syntax [default: from $SHELL, else sh]
    #[arg(long, value_parser = one_of(SHELLS), value_name = "SHELL")]
    pub(crate) shell: Option<Shell>,
    /// Print lines that unset the variables, or restore those that rds-env saved
    #[arg(long)]
    pub(crate) unset: bool,
    /// Write the token to private files, and print variables with their paths
    #[arg(long)]
    pub(crate) no_secret: bool,
}

#[derive(Debug, Args)]
#[command(override_usage = "rds-token connect [OPTIONS] [TARGET] [[--] COMMAND [ARGUMENTS]...]")]
pub(crate) struct ConnectArgs {
    #[command(flatten)]
    pub(crate) request: RequestArgs,
    /// Client to run [default: by engine] [env: RDS_TOKEN_CLIENT]
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) client: Option<OsString>,
    /// Pass COMMAND an option file of this flavor [default: auto, none for other programs]
    #[arg(long, value_parser = one_of(FLAVORS), value_name = "FLAVOR", help_heading = ADVANCED)]
    pub(crate) client_flavor: Option<FlavorArg>,
    /// Program to run instead of the engine's client, with its arguments; or -- and arguments for that client
    #[arg(last = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}

#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    #[arg(
        value_name = "TOKEN",
        help = "The token; other users can see arguments, so prefer stdin (-)",
        long_help = "A token, or a connection URL that contains one; other users of the machine can see it\n\
            - or no argument, to read the token from stdin"
    )]
    pub(crate) token: Option<OsString>,
    /// Output format [default: text]
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub(crate) output: Option<ReportOutput>,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportOutput {
    /// Readable lines
    Text,
    /// One line of JSON
    Json,
}

// The arguments of `sql`. It does not use the token cache. With `--id`, it uses credentials.
#[derive(Clone, Debug, Args)]
pub(crate) struct SqlArgs {
    #[command(flatten)]
    pub(crate) target: TargetArgs,
    #[command(flatten)]
    pub(crate) identity: IdentityArgs,
    /// Grant only the privileges that reading requires
    #[arg(long)]
    pub(crate) read_only: bool,
    /// Run the statements with the engine's client, as the master user
    #[arg(long)]
    pub(crate) apply: bool,
    /// Master user [default: admin, or postgres for PostgreSQL]
    #[arg(long, value_name = "NAME")]
    pub(crate) master_user: Option<String>,
    /// File descriptor to read the master user's password from, 0 for stdin [default: a prompt]
    #[arg(long, value_name = "N")]
    pub(crate) password_fd: Option<u32>,
    /// Use the master user's name and password that RDS manages in Secrets Manager
    #[arg(long, conflicts_with_all = ["password_fd", "master_user"])]
    pub(crate) master_secret: bool,
    /// Client that runs the statements [default: by engine]
    #[arg(long, value_name = "PROGRAM", help_heading = ADVANCED)]
    pub(crate) client: Option<OsString>,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

// The arguments of `setup`.
#[derive(Debug, Args)]
pub(crate) struct SetupArgs {
    /// Database identifier: instance, cluster or proxy; also KIND:ID [default: a prompt with a list]
    #[arg(long, value_name = "ID")]
    pub(crate) id: Option<String>,
    /// Database user [default: a prompt]
    #[arg(short, visible_short_alias = 'U', long, visible_alias = "username")]
    pub(crate) user: Option<String>,
    /// Database that the user can read and write [default: a prompt, else the one created with it]
    #[arg(short = 'D', visible_short_alias = 'd', long, visible_alias = "dbname", value_name = "NAME")]
    pub(crate) database: Option<String>,
    /// Name of the target in the configuration file [default: a prompt, else the identifier]
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// AWS region [default: AWS_REGION or the profile's]
    #[arg(long)]
    pub(crate) region: Option<String>,
    /// Grant only the privileges that reading requires
    #[arg(long)]
    pub(crate) read_only: bool,
    /// Run the SQL as the master user, with the secret that RDS manages or a password
    #[arg(long)]
    pub(crate) apply: bool,
    /// Master user [default: from RDS]
    #[arg(long, value_name = "NAME", requires = "apply")]
    pub(crate) master_user: Option<String>,
    /// File descriptor to read the master user's password from, 0 for stdin [default: a prompt]
    #[arg(long, value_name = "N", requires = "apply")]
    pub(crate) password_fd: Option<u32>,
    /// Do not check the login at the end
    #[arg(long)]
    pub(crate) no_doctor: bool,
    /// Use the defaults instead of prompts
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// Address that clients connect to instead of the endpoint, such as a tunnel
    #[arg(long, value_name = "HOST:PORT", help_heading = ADVANCED)]
    pub(crate) via: Option<String>,
    #[command(flatten)]
    pub(crate) identity: IdentityArgs,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    pub(crate) request: RequestArgs,
    /// Client to log in with [default: by engine] [env: RDS_TOKEN_CLIENT]
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) client: Option<OsString>,
    /// Output format [default: text]
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub(crate) output: Option<ReportOutput>,
}

#[derive(Debug, Default, Args)]
pub(crate) struct PolicyArgs {
    /// The database and its user: USER@HOST, a URL, or a configured target
    #[arg(value_name = "TARGET")]
    pub(crate) target: Option<String>,
    /// RDS endpoint; also -h HOST [env: RDS_TOKEN_HOST]
    #[arg(long, visible_alias = "hostname")]
    pub(crate) host: Option<String>,
    /// Database identifier instead of a host: instance, cluster or proxy; also KIND:ID
    #[arg(long, value_name = "ID", conflicts_with = "host")]
    pub(crate) id: Option<String>,
    /// Database user; may be repeated [env: RDS_TOKEN_USER]
    #[arg(short, visible_short_alias = 'U', long, visible_alias = "username")]
    pub(crate) user: Vec<String>,
    /// AWS region [default: from host name or AWS_REGION]
    #[arg(long)]
    pub(crate) region: Option<String>,
    /// ID of the AWS account [default: the caller's]
    #[arg(long, value_name = "ID")]
    pub(crate) account: Option<String>,
    /// Resource ID of the database: db-…, for Aurora cluster-…, for a proxy prx-… [default: from RDS]
    #[arg(long, value_name = "ID")]
    pub(crate) resource_id: Option<String>,
    /// Allow logins to all databases of the account in the region
    #[arg(long, conflicts_with = "resource_id")]
    pub(crate) any_database: bool,
    /// Output format [default: json]
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub(crate) output: Option<PolicyOutput>,
    #[command(flatten)]
    pub(crate) identity: IdentityArgs,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PolicyOutput {
    /// The policy document
    Json,
    /// A CloudFormation template in YAML
    Cloudformation,
    /// A Terraform resource
    Terraform,
}

// The arguments of `init` and `completions`.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct ScriptArgs {
    /// The shell that reads the script
    #[arg(value_parser = one_of(SCRIPT_SHELLS), value_name = "SHELL")]
    pub(crate) shell: Shell,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// The token
    Text,
    /// One line of JSON; every value is a string
    Json,
    /// A connection URL for libpq that contains the token; PostgreSQL only
    Url,
}
