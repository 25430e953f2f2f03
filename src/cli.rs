//! The command line, as clap's structs.
//!
//! Structs of arguments have ordinary comments, because a doc comment would replace the help text of the command. They
//! are not groups (`skip`), and no argument has a `default_value`, because both slow down every run.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};

use crate::aws::is_code;
use crate::cache::CacheKind;
use crate::client::option_file::Flavor;
use crate::client::shell::Shell;
use crate::similar::nearest;
use crate::token::MAX_DSQL_LIFETIME;

/// The name of the program in its help.
pub(crate) const NAME: &str = "rds-token";

const ABOUT: &str = "Print an IAM authentication token for Amazon RDS or Aurora; cached until it expires";
const EXAMPLES: &str = "\
Examples:
  rds-token connect mysql://app@HOST/ExampleDB     start mysql or mariadb, logged in
  rds-token connect prod mysqldump ExampleDB       run any program; prod is a configured target
  mysql --defaults-file=\"$(rds-token cnf prod)\"

Exit codes:
  0 success, 1 other failure, 2 usage or configuration, 3 no AWS credentials, 4 network or timeout
  connect: that of the program; 126 cannot be run, 127 not found, 128+N killed by signal N";

/// The description of each command, and its examples, in the order of `Command`. They are not doc comments there,
/// because clap would copy them on each run.
const COMMANDS: &str = r#"connect: Run the engine's client, or any program, logged in
  rds-token connect mysql://app@HOST/ExampleDB   the engine's client
  rds-token connect prod -- -e 'SELECT 1'        arguments for it (psql: -c)
  rds-token connect prod mysqldump ExampleDB     another program
  rds-token connect eve@prod/OtherDB ./test.sh   other user, other database

cnf: Write an option file for MySQL and MariaDB clients; prints its path
  mysql --defaults-file="$(rds-token cnf mysql://app@HOST/ExampleDB)"
  mysqldump --defaults-file="$(rds-token cnf prod)" ExampleDB
  mysql --defaults-file=<(rds-token cnf prod --stdout)

pgpass: Write a passfile for PostgreSQL clients; prints its path
  export PGSSLMODE=verify-full PGGSSENCMODE=disable
  export PGSSLROOTCERT="$(rds-token ca)"
  PGPASSFILE="$(rds-token pgpass postgres://app@HOST)" psql -h HOST -U app
  PGPASSFILE="$(rds-token pgpass pg)" pg_dump -h HOST -U app ExampleDB

env: Print export lines that log in the programs of the shell
  rds-env postgres://app@HOST/ExampleDB && psql    rds-env is defined by init
  vars=$(rds-token env prod --no-secret) && eval "$vars"
  eval "$(rds-token env --unset)"

sql: Print the SQL that creates the database user; --apply runs it
  rds-token sql mysql://app@HOST/ExampleDB
  rds-token sql postgres://app@HOST/ExampleDB --read-only
  rds-token sql prod --apply                     prompts for the master user's password
  rds-token sql prod --apply --password-fd 0 < FILE

doctor: Find the cause of a failed login; checks each part, and logs in
  rds-token doctor mysql://app@HOST/ExampleDB
  rds-token doctor prod --client mariadb
  rds-token doctor prod --output json

setup: Set up the login of a database user, step by step; prints the policy and the SQL
  rds-token setup
  rds-token setup --region eu-west-1 --id mydb --user app --name prod
  rds-token setup --id mydb --user app --apply --yes

targets: List the configured targets; -v adds endpoint, user and engine
  rds-token targets
  rds-token targets -v

inspect: Show the fields of a token, and why a server rejects it; never shows its secrets
  rds-token prod | rds-token inspect
  printf %s "$PGPASSWORD" | rds-token inspect --output json
  rds-token inspect < token.txt

policy: Print the IAM policy that allows users to log in to a database, and nothing else
  rds-token policy prod
  rds-token policy prod -u app -u eve --output terraform
  rds-token policy prod --account 123456789012 --resource-id db-ABCDEFGHIJKLMNOPQRSTUVWXYZ
  aws iam create-policy --policy-name app-login --policy-document "$(rds-token policy …)"

cache: List or clear the cached tokens
  rds-token cache list
  rds-token cache clear mysql://app@HOST
  rds-token cache clear prod

init: Print the shell integration; it defines rds, rds-env, rds-ttl and completion
  eval "$(rds-token init bash)"                 in ~/.bashrc; zsh: in ~/.zshrc
  rds-token init fish | source                  in ~/.config/fish/config.fish
  rds-token init powershell | Out-String | Invoke-Expression    in $PROFILE

token: Print a token (the default command)
  rds-token token mysql://app@HOST
  rds-token token prod --output json
  rds-token generate-db-auth-token --hostname HOST --port 3306 --username app

ca: Print the path of the RDS CA bundle
  psql "host=HOST sslmode=verify-full sslrootcert=$(rds-token ca)"
  mysql -h HOST --ssl-mode=VERIFY_IDENTITY --ssl-ca="$(rds-token ca)"

completions: Print the completion script of a shell, for packagers
  rds-token completions bash > /usr/share/bash-completion/completions/rds-token
  rds-token completions zsh > /usr/share/zsh/site-functions/_rds-token
  rds-token completions fish > ~/.config/fish/completions/rds-token.fish

man: Print the manual page, for packagers
  rds-token man > /usr/share/man/man1/rds-token.1
  rds-token man | man -l -"#;

/// Heading of the rarely used options. The help of `-h` omits them.
pub(crate) const ADVANCED: &str = "Advanced";

/// Display order of the commands that `-h` omits.
pub(crate) const RARE: usize = 100;
/// Display order of the options that every command has. They come last.
const LAST: usize = 900;

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

/// A value of `--flavor`. `None` detects the flavor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FlavorArg(pub(crate) Option<Flavor>);

const FLAVORS: [(FlavorArg, &str, &str); 4] = [
    (FlavorArg(None), "auto", "The flavor of the mysql or mariadb on PATH (cnf), or of the program that connect runs"),
    (FlavorArg(Some(Flavor::Mysql)), "mysql", "MySQL clients"),
    (FlavorArg(Some(Flavor::Mariadb)), "mariadb", "MariaDB clients"),
    (
        FlavorArg(Some(Flavor::Library)),
        "library",
        "Drivers on libmariadb, PyMySQL 1.2 or later, mysql-connector-python; not libmysqlclient, which does not read \
         TLS verification from a file",
    ),
];

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

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// The token
    Text,
    /// One line of JSON; every value is a string
    Json,
    /// A connection URL for libpq that contains the token; PostgreSQL only
    Url,
}

// The values of arguments, their names and their meanings.

const CACHES: [(CacheKind, &str, &str); 3] = [
    (CacheKind::File, CacheKind::File.name(), "Private files"),
    (CacheKind::Keyring, CacheKind::Keyring.name(), "The keyring of the system"),
    (CacheKind::Off, CacheKind::Off.name(), "No cache"),
];

const SHELLS: [(Shell, &str, &str); 10] = [
    (Shell::Sh, "sh", "POSIX shells"),
    (Shell::Bash, "bash", "bash"),
    (Shell::Zsh, "zsh", "zsh"),
    (Shell::Fish, "fish", "fish"),
    (Shell::Powershell, "powershell", "PowerShell"),
    (Shell::Nushell, "nushell", "Nushell"),
    (Shell::Cmd, "cmd", "cmd.exe, in a batch file"),
    (Shell::Dotenv, "dotenv", "NAME=value lines, for docker --env-file, systemd and dotenv"),
    (Shell::Github, "github", "GitHub Actions, appended to the file in GITHUB_ENV"),
    (Shell::Gitlab, "gitlab", "GitLab CI, as a dotenv report"),
];
const SCRIPT_SHELLS: [(Shell, &str, &str); 4] = [SHELLS[1], SHELLS[2], SHELLS[3], SHELLS[4]];

/// Returns a parser that accepts one of these names.
fn one_of<T, const N: usize>(values: [(T, &'static str, &'static str); N]) -> impl TypedValueParser<Value = T>
where
    T: Copy + Send + Sync + 'static,
{
    let names = values.map(|(_, name, meaning)| PossibleValue::new(name).help(meaning));
    let find = move |name: String| values.iter().find(|(_, known, _)| *known == name).map(|(value, ..)| *value);
    PossibleValuesParser::new(names).try_map(move |name| find(name).ok_or("not one of the values"))
}

fn mfa_code(text: &str) -> Result<String, String> {
    if is_code(text) { Ok(text.to_owned()) } else { Err("a code has 6 digits".to_owned()) }
}

/// Seconds, or a number with a unit: `25`, `25s`, `1m 30s`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let duration = parse_duration(text)?;
    let day = Duration::from_secs(86_400);
    if duration.is_zero() || duration > day {
        return Err("it must be longer than 0s and at most 24h".to_owned());
    }
    Ok(duration)
}

/// The lifetime of a token of Aurora DSQL, in whole seconds.
pub(crate) fn lifetime(text: &str) -> Result<Duration, String> {
    let lifetime = parse_duration(text)?;
    if lifetime.is_zero() || lifetime > MAX_DSQL_LIFETIME || lifetime.subsec_nanos() != 0 {
        return Err("it must be from 1s to 7d (604800s), in whole seconds".to_owned());
    }
    Ok(lifetime)
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    match text.parse::<u32>() {
        Ok(seconds) => Ok(Duration::from_secs(seconds.into())),
        Err(_) => humantime::parse_duration(text).map_err(|_| "write it as 90s, 2m or 1m30s".to_owned()),
    }
}

pub(crate) fn min_ttl(text: &str) -> Result<Duration, String> {
    let duration = duration(text)?;
    if !(30..=14 * 60).contains(&duration.as_secs()) {
        return Err("it must be from 30s to 14m, because a token is valid for 15 minutes".to_owned());
    }
    Ok(duration)
}
