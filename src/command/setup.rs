//! `rds-token setup`: the first steps with a database. It prints the policy and the SQL for a user, adds the target to
//! the configuration file, and checks the login.

mod config_file;
mod dialog;
mod pick;

use crate::aws::api::Database;
use crate::cli::{DoctorArgs, PolicyArgs, RequestArgs, SetupArgs, SqlArgs, TargetArgs};
use crate::command::{doctor, policy, sql};
use crate::config::Config;
use crate::error::Error;
use crate::lookup::{DatabaseId, find_by_id};
use crate::os::env::Env;
use crate::output::{self, Report};
use crate::settings::inputs::Inputs;
use crate::settings::{AccountSettings, identity_flags};
use dialog::Dialog;
use pick::{Choice, pick};

/// The answers of the user.
struct Plan {
    choice: Choice,
    user: String,
    /// The database of the grants.
    database: Option<String>,
    /// The name of the target.
    name: String,
}

pub(super) fn run(env: &Env, args: &SetupArgs) -> Result<(), Error> {
    let report = Report::new(env, args.common.quiet, args.common.verbose);
    let mut dialog = env.terminal().filter(|_| !args.yes).map(Dialog::new);
    let plan = Plan::new(env, args, report, dialog.as_mut())?;
    if !plan.choice.database.has_iam_authentication {
        let Choice { database, region } = &plan.choice;
        let (kind, id) = (database.kind.name(), &database.id);
        report.warn(&format!("IAM authentication is off for the {kind} {id}; {}", database.remedy_without_iam(region)));
    }
    output::result("# The IAM policy that allows the login:\n")?;
    policy::run(env, &plan.policy_args(args))?;
    output::result("\n-- The SQL that creates the database user:\n")?;
    sql::run(env, &plan.sql_args(args, false))?;
    let applies = match dialog.as_mut() {
        Some(dialog) if !args.apply => dialog.confirm("Run this SQL now, as the master user?")?,
        _ => args.apply,
    };
    if applies {
        sql::run(env, &plan.sql_args(args, true))?;
    }
    let path = config_file::add_target(env, &plan.name, &plan.table(args))?;
    let name = &plan.name;
    output::result(&format!(
        "\nAdded [target.{name}] to {}. Connect with: rds-token connect {name}\n",
        path.display()
    ))?;
    let checks = match dialog.as_mut() {
        Some(dialog) if !args.no_doctor => {
            dialog.show("Attach the policy to the caller before the check, for example in the IAM console.")?;
            dialog.confirm("Check the login now?")?
        }
        _ => !args.no_doctor,
    };
    if !checks {
        return output::result(&format!("Check the login with: rds-token doctor {name}\n"));
    }
    doctor::run(env, &plan.doctor_args(args))
}

impl Plan {
    /// Collects the answers from the flags, and prompts for the missing ones. Without a dialog, fails if one is missing
    /// (exit 2).
    fn new(env: &Env, args: &SetupArgs, report: Report, mut dialog: Option<&mut Dialog>) -> Result<Self, Error> {
        let choice = choose_database(env, args, report, dialog.as_deref_mut())?;
        let missing = |flag: &str, what: &str| {
            Error::usage(format!("setup: {what} is missing, and there is no terminal to prompt on; use {flag}"))
        };
        let user = match (&args.user, dialog.as_deref_mut()) {
            (Some(user), _) => user.clone(),
            (None, Some(dialog)) => dialog.prompt("Database user", Some("app"), not_empty)?,
            (None, None) => return Err(missing("--user", "the database user")),
        };
        let default = choice.database.database.clone();
        let database = match (&args.database, dialog.as_deref_mut()) {
            (Some(database), _) => Some(database.clone()),
            (None, Some(dialog)) => {
                let question = "Database that the user can read and write, or - for none";
                let answer = dialog.prompt(question, default.as_deref().or(Some("-")), not_empty)?;
                Some(answer).filter(|answer| answer != "-")
            }
            (None, None) => default,
        };
        let default = choice.database.id.clone();
        let name = match (&args.name, dialog) {
            (Some(name), _) => name.clone(),
            (None, Some(dialog)) => dialog.prompt("Name of the target", Some(&default), not_empty)?,
            (None, None) => default,
        };
        config_file::check_name(env, &name)?;
        Ok(Self { choice, user, database, name })
    }

    fn target_args(&self, args: &SetupArgs) -> TargetArgs {
        TargetArgs {
            id: Some(self.id()),
            user: Some(self.user.clone()),
            database: self.database.clone(),
            region: Some(self.choice.region.clone()),
            via: args.via.clone(),
            ..TargetArgs::default()
        }
    }

    /// The identifier with its kind, so that it is unambiguous.
    fn id(&self) -> String {
        let Database { kind, id, .. } = &self.choice.database;
        format!("{}:{id}", kind.name())
    }

    fn policy_args(&self, args: &SetupArgs) -> PolicyArgs {
        PolicyArgs {
            id: Some(self.id()),
            user: vec![self.user.clone()],
            region: Some(self.choice.region.clone()),
            identity: args.identity.clone(),
            common: args.common,
            ..PolicyArgs::default()
        }
    }

    fn sql_args(&self, args: &SetupArgs, apply: bool) -> SqlArgs {
        let has_secret = self.choice.database.master_secret.is_some();
        let master_user = args.master_user.clone().or_else(|| self.choice.database.master_user.clone());
        let master_secret = apply && has_secret && args.master_user.is_none() && args.password_fd.is_none();
        SqlArgs {
            target: self.target_args(args),
            identity: args.identity.clone(),
            read_only: args.read_only,
            apply,
            master_user: master_user.filter(|_| !master_secret),
            password_fd: args.password_fd.filter(|_| apply),
            master_secret,
            client: None,
            common: args.common,
        }
    }

    fn doctor_args(&self, args: &SetupArgs) -> DoctorArgs {
        let target = TargetArgs { target: Some(self.name.clone()), ..TargetArgs::default() };
        let request =
            RequestArgs { target, identity: args.identity.clone(), common: args.common, ..RequestArgs::default() };
        DoctorArgs { request, client: None, output: None }
    }

    /// The settings of the target's table.
    fn table(&self, args: &SetupArgs) -> Vec<(&'static str, String)> {
        let identity = &args.identity;
        let settings = [
            ("id", Some(self.id())),
            ("region", Some(self.choice.region.clone())),
            ("user", Some(self.user.clone())),
            ("database", self.database.clone()),
            ("profile", identity.profile.clone()),
            ("role_arn", identity.role_arn.clone()),
            ("mfa_serial", identity.mfa_serial.clone()),
            ("via", args.via.clone()),
        ];
        settings.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
    }
}

fn not_empty(answer: &str) -> Result<String, String> {
    match answer.is_empty() {
        true => Err("Enter a name.".to_owned()),
        false => Ok(answer.to_owned()),
    }
}

/// Returns the database of `--id`, else the one that the user picks. Without a dialog, `--id` and a region are needed
/// (exit 2).
fn choose_database(env: &Env, args: &SetupArgs, report: Report, dialog: Option<&mut Dialog>) -> Result<Choice, Error> {
    let target = TargetArgs { region: args.region.clone(), ..TargetArgs::default() };
    let inputs = Inputs::of_request(env, Config::load_existing(env)?, &target, &identity_flags(&args.identity))?;
    let settings = AccountSettings::new(env, &inputs, &args.identity, report)?;
    let account = settings.account(env);
    let region = settings.region(env, &inputs)?.map(|region| region.name);
    match (&args.id, region, dialog) {
        (Some(id), Some(region), _) => {
            let database = find_by_id(&account.api(&region)?, &DatabaseId::parse(id)?)?;
            Ok(Choice { database, region })
        }
        (None, region, Some(dialog)) => pick(&account, region, dialog),
        (Some(_), None, _) => {
            Err(Error::usage("setup: the region of --id is unknown; use --region, or set AWS_REGION"))
        }
        (None, _, None) => Err(Error::usage(
            "setup: the database is missing, and there is no terminal to prompt on; use --id, --user and --name",
        )),
    }
}
