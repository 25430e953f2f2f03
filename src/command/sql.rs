//! `rds-token sql [TARGET]`: the statements that create and grant the database user.
//!
//! Printing them needs neither a host nor AWS credentials.

use crate::cli::SqlArgs;
use crate::client::sql::{Access, DatabaseUser};
use crate::config::Config;
use crate::error::Error;
use crate::layer::Layer;
use crate::os::env::Env;
use crate::output::{self, Report};
use crate::settings::inputs::Inputs;
use crate::target::{Engine, Region, Target, TargetSpec};

pub(super) fn run(env: &Env, args: &SqlArgs) -> Result<(), Error> {
    let report = Report::new(env, args.common.quiet, args.common.verbose);
    let target = resolve_target(env, args, &report)?;
    let engine = engine(&target)?;
    let sql = render(&target, engine, args)?;
    warn_about_password(&target, engine, &report);
    output::result(&sql)
}

/// Returns the user, the database and the engine, in a target whose other parts may be examples. Fails if there is no
/// user, or if a part is invalid (exit 2).
fn resolve_target(env: &Env, args: &SqlArgs, report: &Report) -> Result<Target, Error> {
    let inputs = Inputs::of_request(env, Config::load(env)?, &args.target, &Layer::default())?;
    inputs.warning.iter().for_each(|warning| report.warn(warning));
    let TargetSpec { host, .. } = inputs.merged.spec();
    let spec = TargetSpec { host: host.or_else(|| Some("host".to_owned())), ..inputs.merged.spec() };
    let any_region = || Ok(Some(Region::of_flag("any")));
    let (target, _) = spec.validate(None, any_region).map_err(|error| inputs.add_origin(error))?;
    Ok(target)
}

fn engine(target: &Target) -> Result<Engine, Error> {
    target.engine.ok_or_else(|| {
        Error::usage(format!(
            "sql: port {} does not determine the engine; use --engine mysql, mariadb or postgres",
            target.port
        ))
    })
}

fn render(target: &Target, engine: Engine, args: &SqlArgs) -> Result<String, Error> {
    let access = if args.read_only { Access::ReadOnly } else { Access::ReadWrite };
    DatabaseUser { name: &target.user, database: target.database.as_deref(), access }.render(engine)
}

fn warn_about_password(Target { user, .. }: &Target, engine: Engine, report: &Report) {
    let cause = match engine {
        Engine::Mysql | Engine::Mariadb => "ALTER USER replaces its password",
        Engine::Postgres => "membership in rds_iam disables its password",
    };
    report.warn(&format!("sql: if the user '{user}' exists, it can then log in only with a token, because {cause}"));
}
