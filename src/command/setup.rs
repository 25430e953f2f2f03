//! `rds-token setup`: the first steps with a database. It prints the policy and the SQL for a user, adds the target to
//! the configuration file, and checks the login.

mod config_file;
mod dialog;
mod pick;
mod plan;
mod question;

use crate::aws::api::{Database, DatabaseKind};
use crate::cli::SetupArgs;
use crate::command::{doctor, policy, sql};
use crate::config::Config;
use crate::error::Error;
use crate::os::env::Env;
use crate::output::{self, Report};
use crate::target::Via;
use dialog::{Answer, Dialog};
use plan::{Plan, SqlAction};

pub(super) fn run(env: &Env, args: &SetupArgs) -> Result<(), Error> {
    let report = Report::new(env, args.common.quiet, args.common.verbose);
    let mut dialog = env.terminal().filter(|_| !args.yes).map(Dialog::new);
    let plan = Plan::new(env, args, report, dialog.as_mut())?;
    // Each step has its own time limit, because the user may need longer than that for the answers.
    print_policy_and_sql(&env.restarted(), args, &plan, report)?;
    let action = apply(env, args, &plan, dialog.as_mut())?;
    let path = config_file::add_target(env, plan.name(), &plan.table(args))?;
    let next_steps = plan.next_steps(args, action);
    output::result(&format!("Added [target.{}] to {}.\n\n{next_steps}", plan.name(), path.display()))?;
    let runs_doctor = match dialog.as_mut() {
        Some(dialog) if !args.no_doctor => {
            dialog.show("\n")?;
            dialog.confirm("Check the login now, with rds-token doctor?", Answer::Yes)?
        }
        _ => !args.no_doctor,
    };
    if runs_doctor {
        output::result("\n")?;
        doctor::run(&env.restarted(), &plan.doctor_args(args))?;
    }
    Ok(())
}

/// Prints the policy and the SQL. Checks all values first. If one is invalid, prints and changes nothing (exit 2).
fn print_policy_and_sql(env: &Env, args: &SetupArgs, plan: &Plan, report: Report) -> Result<(), Error> {
    let Database { kind, id, has_iam_authentication, .. } = plan.database();
    if args.apply && *kind == DatabaseKind::Proxy {
        return Err(Error::usage(format!(
            "setup: {id} is a proxy, and --apply would change the user that the proxy logs in with; omit --apply"
        )));
    }
    let is_promptable = env.terminal().is_some() || args.password_fd.is_some();
    if args.apply && !is_promptable && !plan.sql_args(args, SqlAction::Apply).master_secret {
        return Err(Error::usage(format!(
            "setup: could not prompt for the password of {}: no terminal; use --password-fd 0, with the password on stdin",
            plan.master(args)
        )));
    }
    args.via.as_deref().map(Via::parse).transpose()?;
    config_file::check(env, plan.name(), &plan.table(args))?;
    let config = Config::load_existing(env)?;
    let sql = sql::render_statements(env, config.clone(), &plan.sql_args(args, SqlAction::Print))?;
    let policy = policy::render(env, config, &plan.policy_args(args))?;
    if !has_iam_authentication {
        let remedy = plan.database().remedy_without_iam(plan.region());
        report.warn(&format!("IAM authentication is off for the {} {id}, so no login works; {remedy}", kind.name()));
    }
    output::result(&format!("# IAM policy for {}\n{policy}\n{}\n{sql}\n", plan.login(), plan.about_sql()))
}

/// Runs the SQL if `--apply` or the user requests it. Returns the action that was taken.
fn apply(env: &Env, args: &SetupArgs, plan: &Plan, dialog: Option<&mut Dialog>) -> Result<SqlAction, Error> {
    let applies = match dialog {
        Some(dialog) if !args.apply && plan.database().kind != DatabaseKind::Proxy => {
            dialog.confirm(&format!("Run this SQL now, as {}?", plan.master(args)), Answer::No)?
        }
        _ => args.apply,
    };
    if !applies {
        return Ok(SqlAction::Print);
    }
    let env = &env.restarted();
    sql::apply(env, Config::load_existing(env)?, &plan.sql_args(args, SqlAction::Apply))?;
    Ok(SqlAction::Apply)
}
