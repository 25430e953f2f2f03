//! The questions about the user, the grants and the target.

use super::config_file::check_name;
use super::dialog::Dialog;
use crate::aws::api::{Database, DatabaseKind};
use crate::client::sql::Access;
use crate::config::Config;
use crate::error::Error;

/// The answer that selects no database.
const NONE: &str = "-";

/// Prompts for the database user. `default` is the user of the environment or of `[defaults]`.
pub(super) fn prompt_for_user(
    dialog: &mut Dialog,
    database: &Database,
    default: Option<&str>,
) -> Result<String, Error> {
    let effect = match database.kind {
        DatabaseKind::Proxy => "It is a user of the database behind the proxy.",
        _ => "If it exists already, it can then log in only with tokens.",
    };
    dialog.show(&format!("\nThe user that programs log in as. {effect}"))?;
    dialog.prompt("Database user", Some(default.unwrap_or("app")), |answer| match &database.master_user {
        _ if answer.is_empty() => Err("Enter the name of a user.".to_owned()),
        Some(master) if master == answer => {
            Err(format!("'{master}' is the master user, whose password would no longer work. Enter another user."))
        }
        _ => Ok(answer.to_owned()),
    })
}

/// Prompts for the database of the grants. `None` if the user gets no privileges.
pub(super) fn prompt_for_database(
    dialog: &mut Dialog,
    database: &Database,
    access: Access,
) -> Result<Option<String>, Error> {
    let access = match access {
        Access::ReadOnly => "read",
        Access::ReadWrite => "read and change",
    };
    let question = format!("Database that this user can {access}, or {NONE} for none");
    let answer =
        dialog.prompt(
            &question,
            Some(database.initial_database.as_deref().unwrap_or(NONE)),
            |answer| match answer {
                "" => Err(format!("Enter the name of a database, or {NONE}.")),
                name => Ok(name.to_owned()),
            },
        )?;
    Ok(Some(answer).filter(|answer| answer != NONE))
}

/// Prompts for the name of the target.
pub(super) fn prompt_for_name(dialog: &mut Dialog, id: &str, user: &str, config: &Config) -> Result<String, Error> {
    let with_user = format!("{id}-{user}");
    let default = [id, &with_user].into_iter().find(|name| check_name(name, config).is_none());
    dialog.show("\nA short name for this login, as in: rds-token connect NAME")?;
    dialog.prompt("Name", default, |answer| match check_name(answer, config) {
        Some(why) => Err(format!("{why}. Enter another name.")),
        None => Ok(answer.to_owned()),
    })
}
