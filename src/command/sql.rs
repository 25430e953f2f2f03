//! `rds-token sql [TARGET]`: the statements that create and grant the database user.
//!
//! Printing requires neither a host nor AWS credentials. `--apply` runs the statements as the master user.

use std::borrow::Cow;

use crate::aws::api::MasterSecret;
use crate::cli::{RequestArgs, SqlArgs};
use crate::client::dsql;
use crate::client::sql::{Access, DatabaseUser};
use crate::command::apply_sql::MasterClient;
use crate::command::master_password::{MasterPassword, managed_secret};
use crate::config::Config;
use crate::error::Error;
use crate::escape::escape_for_terminal;
use crate::layer::Layer;
use crate::os::env::Env;
use crate::output::{self, Report};
use crate::settings::inputs::Inputs;
use crate::settings::{Settings, check_role_arn, identity_flags, target_without_region};
use crate::target::endpoint::is_proxy;
use crate::target::{DSQL_ADMIN, Engine, Service, Target, TargetSpec};

pub(super) fn run(env: &Env, args: &SqlArgs) -> Result<(), Error> {
    let report = Report::new(env, args.common.quiet, args.common.verbose);
    let config = Config::load(env)?;
    if args.apply {
        return apply(env, config, args);
    }
    refuse_options_of_apply(args)?;
    let target = target_to_print(env, config.clone(), args, &report)?;
    if target.service() == Service::Dsql {
        return output::result(&dsql_statements(env, config, args, &target, &report)?);
    }
    let sql = render(&target, args)?;
    match is_proxy(&target.host) {
        true => warn_about_proxy(&target, &report),
        false => warn_about_password(&target, &report),
    }
    output::result(&sql)
}

/// Returns the statements, without warnings. Fails if a part of the target is missing or invalid (exit 2), or if the
/// lookup of an identifier fails.
pub(super) fn render_statements(env: &Env, config: Config, args: &SqlArgs) -> Result<String, Error> {
    let report = Report::new(env, true, false);
    render(&target_to_print(env, config, args, &report)?, args)
}

/// Runs the statements as the master user. Fails if a value is missing or invalid (exit 2), or the client fails (exit 1).
pub(super) fn apply(env: &Env, config: Config, args: &SqlArgs) -> Result<(), Error> {
    let settings = Settings::resolve_without_region(env, config, &request(args))?;
    let Target { user, host, port, .. } = &settings.target;
    let engine = require_engine(&settings.target)?;
    if settings.target.service() == Service::Dsql {
        return Err(Error::usage(format!(
            "sql: --apply is not available for Aurora DSQL, where admin logs in with a token; run the statements with \
             `rds-token sql {user}@{host} | rds-token connect admin@{host} -- -v ON_ERROR_STOP=1`",
            user = escape_for_terminal(user)
        )));
    }
    if is_proxy(host) {
        return Err(Error::usage(format!(
            "sql: '{host}' is a proxy, and --apply would change the user that the proxy logs in with; use --host or --id with \
             the database behind the proxy"
        )));
    }
    if let Some(cname) = settings.cname.as_ref().filter(|_| !args.master_secret) {
        return Err(Error::usage(format!(
            "sql: '{cname}' is a CNAME of {host}, and a forged DNS answer could send the master user's password to another \
             database; use --host {host} or --id"
        )));
    }
    let (args, password) = match args.master_secret {
        true => {
            let MasterSecret { username, password } = managed_secret(&settings.account(env), host)?;
            let args = SqlArgs { master_user: Some(username), ..args.clone() };
            (Cow::Owned(args), MasterPassword::ManagedSecret(password))
        }
        false => (Cow::Borrowed(args), args.password_fd.map_or(MasterPassword::Prompt, MasterPassword::Descriptor)),
    };
    let sql = render(&settings.target, &args)?;
    let master_user = resolve_master_user(engine, &args)?;
    let client = MasterClient { env, settings: &settings, engine, master_user, program: args.client.as_deref() };
    let sql = match engine {
        // A second run would otherwise print that the user is already a member of rds_iam.
        Engine::Postgres => format!("SET client_min_messages = warning;\n{sql}"),
        Engine::Mysql | Engine::Mariadb => sql,
    };
    client.apply(&sql, password)?;
    warn_about_password(&settings.target, &settings.report);
    let user = escape_for_terminal(user);
    output::result(&format!("The user '{user}' can log in to {host}:{port} with IAM tokens.\n"))
}

fn request(SqlArgs { target, identity, common, .. }: &SqlArgs) -> RequestArgs {
    let (target, identity) = (target.clone(), identity.clone());
    RequestArgs { target, identity, common: *common, ..RequestArgs::default() }
}

fn refuse_options_of_apply(args: &SqlArgs) -> Result<(), Error> {
    let option = match (&args.client, args.password_fd, args.master_secret) {
        (Some(_), ..) => "--client",
        (_, Some(_), _) => "--password-fd",
        (.., true) => "--master-secret",
        (None, None, false) => return Ok(()),
    };
    Err(Error::usage(format!("sql: {option} requires --apply; add --apply to run the statements")))
}

/// Returns the target of the statements. Its host and region are examples if they are not configured. A database
/// identifier is looked up only if the engine is unknown. Fails if the user is missing or a part is invalid (exit 2).
fn target_to_print(env: &Env, config: Config, args: &SqlArgs, report: &Report) -> Result<Target, Error> {
    let inputs = Inputs::of_request(env, config.clone(), &args.target, &Layer::default())?;
    let spec = inputs.merged.spec();
    if inputs.merged.get("id").is_some() && spec.engine().is_none() {
        return Ok(Settings::resolve_without_region(env, config, &request(args))?.target);
    }
    inputs.warning.iter().for_each(|warning| report.warn(warning));
    let host = spec.host.or_else(|| Some("host".to_owned()));
    target_without_region(&inputs, TargetSpec { host, ..spec }).map(|(target, _)| target)
}

fn require_engine(target: &Target) -> Result<Engine, Error> {
    target.engine.ok_or_else(|| {
        Error::usage(format!(
            "sql: port {} does not determine the engine; use --engine mysql, mariadb or postgres",
            target.port
        ))
    })
}

/// Returns the name of the master user. Fails if it is empty or has control characters (exit 2).
fn resolve_master_user(engine: Engine, args: &SqlArgs) -> Result<&str, Error> {
    let default = match engine {
        Engine::Mysql | Engine::Mariadb => "admin",
        Engine::Postgres => "postgres",
    };
    let name = args.master_user.as_deref().unwrap_or(default);
    if name.is_empty() || name.contains(char::is_control) {
        return Err(Error::usage(format!(
            "sql: --master-user '{name}' is not a user name; use a name without control characters"
        )));
    }
    Ok(name)
}

/// Returns the statements. Fails if the user is the master user, because its password would no longer work (exit 2).
fn render(target: &Target, args: &SqlArgs) -> Result<String, Error> {
    let engine = require_engine(target)?;
    let master_user = resolve_master_user(engine, args)?;
    if target.user == master_user {
        return Err(Error::usage(format!(
            "sql: '{master_user}' is the master user, whose password would no longer work; use another user, or set \
             --master-user if the master user has another name"
        )));
    }
    let access = if args.read_only { Access::ReadOnly } else { Access::ReadWrite };
    DatabaseUser { name: &target.user, database: target.database.as_deref(), access }.render(engine)
}

/// Returns the statements for a user of Aurora DSQL. They grant the user to the role of the request, if it has one. Fails
/// for the user `admin`, which exists in each cluster (exit 2).
fn dsql_statements(
    env: &Env,
    config: Config,
    args: &SqlArgs,
    target: &Target,
    report: &Report,
) -> Result<String, Error> {
    if target.user == DSQL_ADMIN {
        return Err(Error::usage(
            "sql: 'admin' exists in each cluster of Aurora DSQL, and needs no statements; use another user, or \
             `rds-token policy` for the policy of admin",
        ));
    }
    let inputs = Inputs::of_request(env, config, &args.target, &identity_flags(&args.identity))?;
    let role = inputs.merged.get("role_arn");
    role.map(|role| role.check(check_role_arn)).transpose()?;
    if role.is_none() {
        report.warn(
            "sql: replace ACCOUNT and NAME in the statements with those of the AWS identity that logs in, or use \
             --role-arn with its role",
        );
    }
    let access = if args.read_only { Access::ReadOnly } else { Access::ReadWrite };
    Ok(dsql::render(&target.user, role.map(|role| role.text.as_str()), access))
}

fn warn_about_proxy(Target { user, host, .. }: &Target, report: &Report) {
    report.warn(&format!(
        "sql: '{host}' is a proxy: run the statements in the database behind it, and only if the proxy logs in there \
         with IAM too; otherwise, '{user}' needs a password there, which the proxy reads from Secrets Manager"
    ));
}

fn warn_about_password(Target { user, engine, .. }: &Target, report: &Report) {
    let cause = match engine {
        Some(Engine::Postgres) => "a member of rds_iam can't use a password",
        _ => "ALTER USER replaces its password",
    };
    report.warn(&format!("sql: '{user}' can then log in only with a token, because {cause}"));
}
