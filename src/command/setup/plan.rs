//! The plan of `setup`: the answers of the user, and the arguments of the commands that it runs.

use super::dialog::Dialog;
use super::pick::{Choice, pick};
use super::question;
use crate::aws::api::{Database, DatabaseKind};
use crate::cli::{DoctorArgs, PolicyArgs, RequestArgs, SetupArgs, SqlArgs, TargetArgs};
use crate::client::sql::Access;
use crate::config::Config;
use crate::error::Error;
use crate::lookup::{DatabaseId, engine_of, find_by_id};
use crate::os::env::Env;
use crate::output::Report;
use crate::settings::inputs::Inputs;
use crate::settings::{AccountSettings, identity_flags};

/// The answers of the user.
pub(super) struct Plan {
    choice: Choice,
    /// The database user.
    user: String,
    /// The database of the grants.
    grants_in: Option<String>,
    /// The name of the target.
    name: String,
}

/// The use of the SQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SqlAction {
    Print,
    Apply,
}

impl Plan {
    /// Collects the answers from the flags, and prompts for the missing ones. Without a dialog, fails if one is missing
    /// (exit 2).
    pub(super) fn new(
        env: &Env,
        args: &SetupArgs,
        report: Report,
        mut dialog: Option<&mut Dialog>,
    ) -> Result<Self, Error> {
        let config = Config::load_existing(env)?;
        let target = TargetArgs { region: args.region.clone(), user: args.user.clone(), ..TargetArgs::default() };
        let inputs = Inputs::of_request(env, config.clone(), &target, &identity_flags(&args.identity))?;
        let settings = AccountSettings::new(env, &inputs, &args.identity, report)?;
        let region = settings.region(env, &inputs)?.map(|region| region.name);
        let user = inputs.merged.text("user");
        if dialog.is_none() {
            refuse_missing(args, region.as_deref(), user)?;
        }
        let account = settings.account(env);
        let choice = match (&args.id, region, dialog.as_deref_mut()) {
            (Some(id), Some(region), _) => {
                let database = find_by_id(&account.api(&region)?, &DatabaseId::parse(id)?)?;
                Choice { database, region }
            }
            (id, region, Some(dialog)) => pick(&account, region, id.as_deref(), dialog)?,
            (_, _, None) => return Err(Error::usage("setup: the database is missing; use --id and --region")),
        };
        refuse_engine(&choice.database)?;
        let user = match (&args.user, dialog.as_deref_mut()) {
            (None, Some(dialog)) => question::prompt_for_user(dialog, &choice.database, user)?,
            _ => user.unwrap_or_default().to_owned(),
        };
        let access = if args.read_only { Access::ReadOnly } else { Access::ReadWrite };
        let grants_in = match (&args.database, dialog.as_deref_mut()) {
            (None, Some(dialog)) => question::prompt_for_database(dialog, &choice.database, access)?,
            (None, None) => choice.database.initial_database.clone(),
            (database, _) => database.clone(),
        };
        let name = match (&args.name, dialog) {
            (Some(name), _) => name.clone(),
            (None, Some(dialog)) => question::prompt_for_name(dialog, &choice.database.id, &user, &config)?,
            (None, None) => choice.database.id.clone(),
        };
        Ok(Self { choice, user, grants_in, name })
    }

    pub(super) fn database(&self) -> &Database {
        &self.choice.database
    }

    pub(super) fn region(&self) -> &str {
        &self.choice.region
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Describes the user and the database.
    pub(super) fn login(&self) -> String {
        let Database { kind, id, .. } = self.database();
        format!("the database user '{}' at the {} {id}", self.user, kind.name())
    }

    /// Describes the master user and the source of its password.
    pub(super) fn master(&self, args: &SetupArgs) -> String {
        let sql = self.sql_args(args, SqlAction::Apply);
        let user = sql.master_user.as_deref().or(self.database().master_user.as_deref());
        let user = user.map_or_else(|| "the master user".to_owned(), |user| format!("the master user '{user}'"));
        match sql.master_secret {
            true => format!("{user} with the password that RDS manages"),
            false => user,
        }
    }

    /// Returns the comment above the SQL.
    pub(super) fn about_sql(&self) -> String {
        match self.database().kind {
            DatabaseKind::Proxy => format!(
                "-- SQL for {}. A proxy has no users, so run it in the database behind\n-- the proxy, and only if \
                 the proxy logs in there with IAM too. Otherwise, the user has a password there,\n-- and the proxy reads \
                 it from a secret in Secrets Manager.",
                self.login()
            ),
            _ => format!("-- SQL for {}", self.login()),
        }
    }

    /// Returns the steps that remain for the user.
    pub(super) fn next_steps(&self, args: &SetupArgs, action: SqlAction) -> String {
        let name = &self.name;
        let read_only = if args.read_only { " --read-only" } else { "" };
        let run_sql = match (action, self.database().kind, &self.database().master_secret) {
            (SqlAction::Apply, ..) => String::new(),
            (_, DatabaseKind::Proxy, _) => {
                "Create the user:    in the database behind the proxy, see above\n".to_owned()
            }
            (_, _, Some(_)) => format!("Create the user:    rds-token sql {name}{read_only} --apply --master-secret\n"),
            (_, _, None) => format!("Create the user:    rds-token sql {name}{read_only} --apply\n"),
        };
        format!(
            "Next steps:\n{run_sql}Allow the login:    aws iam put-role-policy --role-name ROLE --policy-name {name} \\\n\
             \x20                       --policy-document \"$(rds-token policy {name})\"\n\
             Check the login:    rds-token doctor {name}\n\
             Log in:             rds-token connect {name}\n"
        )
    }

    fn target_args(&self, args: &SetupArgs) -> TargetArgs {
        TargetArgs {
            id: Some(self.id()),
            user: Some(self.user.clone()),
            database: self.grants_in.clone(),
            // The engine of the database must override RDS_TOKEN_ENGINE.
            engine: engine_of(&self.database().engine).map(|engine| engine.name().to_owned()),
            region: Some(self.choice.region.clone()),
            via: args.via.clone(),
            ..TargetArgs::default()
        }
    }

    /// Returns the identifier with its kind, so that it is unambiguous.
    fn id(&self) -> String {
        let Database { kind, id, .. } = self.database();
        format!("{}:{id}", kind.name())
    }

    pub(super) fn policy_args(&self, args: &SetupArgs) -> PolicyArgs {
        PolicyArgs {
            id: Some(self.id()),
            user: vec![self.user.clone()],
            region: Some(self.choice.region.clone()),
            identity: args.identity.clone(),
            common: args.common,
            ..PolicyArgs::default()
        }
    }

    /// Returns the arguments of `sql`. To apply the SQL, the password defaults to the secret that RDS manages.
    pub(super) fn sql_args(&self, args: &SetupArgs, action: SqlAction) -> SqlArgs {
        let apply = action == SqlAction::Apply;
        let has_secret = self.database().master_secret.is_some();
        let master_user = args.master_user.clone().or_else(|| self.database().master_user.clone());
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

    pub(super) fn doctor_args(&self, args: &SetupArgs) -> DoctorArgs {
        let target = TargetArgs { target: Some(self.name.clone()), ..TargetArgs::default() };
        let request =
            RequestArgs { target, identity: args.identity.clone(), common: args.common, ..RequestArgs::default() };
        DoctorArgs { request, client: None, output: None }
    }

    /// Returns the settings for the target's table.
    pub(super) fn table(&self, args: &SetupArgs) -> Vec<(&'static str, String)> {
        let identity = &args.identity;
        let settings = [
            ("id", Some(self.id())),
            ("region", Some(self.choice.region.clone())),
            ("user", Some(self.user.clone())),
            ("database", self.grants_in.clone()),
            ("profile", identity.profile.clone()),
            ("role_arn", identity.role_arn.clone()),
            ("mfa_serial", identity.mfa_serial.clone()),
            ("via", args.via.clone()),
        ];
        settings.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
    }
}

/// Fails if the engine does not support IAM authentication (exit 2). Only `--id` can name such a database.
fn refuse_engine(Database { kind, id, engine, .. }: &Database) -> Result<(), Error> {
    match engine_of(engine) {
        Some(_) => Ok(()),
        None => Err(Error::usage(format!(
            "setup: the {} {id} is {engine}, which does not support IAM authentication; use a database of MySQL, MariaDB \
             or PostgreSQL",
            kind.name()
        ))),
    }
}

/// Fails if a required value is missing (exit 2).
fn refuse_missing(args: &SetupArgs, region: Option<&str>, user: Option<&str>) -> Result<(), Error> {
    let required = [("--id", args.id.as_deref()), ("--user", user), ("--region", region)];
    let missing: Vec<&str> = required.into_iter().filter(|(_, value)| value.is_none()).map(|(flag, _)| flag).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let why = if args.yes { "--yes turns prompts off" } else { "no terminal" };
    Err(Error::usage(format!("setup: could not prompt for missing values: {why}; add {}", missing.join(", "))))
}
