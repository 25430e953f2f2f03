//! The choice of a database from the account's list.

use super::dialog::Dialog;
use crate::account::Account;
use crate::aws::api::{Api, Database, DatabaseKind, Filter};
use crate::error::{Error, ExitCode};
use crate::lookup::{DatabaseId, engine_of, find_by_id};
use crate::target::endpoint::is_region;

/// A database and its region.
pub(super) struct Choice {
    pub(super) database: Database,
    pub(super) region: String,
}

/// The databases of a region that support IAM authentication.
struct List {
    databases: Vec<Database>,
    /// The kinds of databases that the caller may not list.
    denied: Vec<DatabaseKind>,
}

/// The answer to the list.
enum Selection {
    Database(usize),
    Region(String),
}

/// Prompts for a region if `region` is `None`. Returns the database with the identifier, else lists the databases of the
/// region, and prompts for one of them or for another region.
pub(super) fn pick(
    account: &Account<'_>,
    region: Option<String>,
    id: Option<&str>,
    dialog: &mut Dialog,
) -> Result<Choice, Error> {
    let mut region = match region {
        Some(region) => region,
        None => prompt_for_region(account, dialog)?,
    };
    if let Some(id) = id {
        let database = find_by_id(&account.api(&region)?, &DatabaseId::parse(id)?)?;
        return Ok(Choice { database, region });
    }
    loop {
        let databases = match list_databases(&account.api(&region)?) {
            // A region that does not exist has no endpoint.
            Err(error) if error.exit == ExitCode::Network => {
                dialog.show(&format!("{}.", error.message()))?;
                region = prompt_for_region(account, dialog)?;
                continue;
            }
            list => {
                let list = list?;
                dialog.show(&describe(&list, &region))?;
                list.databases
            }
        };
        match prompt_for_selection(account, &databases, dialog)? {
            Selection::Database(index) => {
                return Ok(Choice { database: databases[index].clone(), region });
            }
            Selection::Region(other) => region = other,
        }
    }
}

fn prompt_for_selection(
    account: &Account<'_>,
    databases: &[Database],
    dialog: &mut Dialog,
) -> Result<Selection, Error> {
    let (question, default) = match databases.len() {
        0 => ("Another region, such as eu-west-1", None),
        1 => ("Number of the database, or another region", Some("1")),
        _ => ("Number of the database, or another region", None),
    };
    // The time at a prompt does not count toward the time limit.
    let _pause = account.deadline.pause();
    dialog.prompt(question, default, |answer| parse_selection(answer, databases.len()))
}

fn prompt_for_region(account: &Account<'_>, dialog: &mut Dialog) -> Result<String, Error> {
    let _pause = account.deadline.pause();
    dialog.prompt("AWS region of the database, such as eu-west-1", None, parse_region)
}

/// Returns the databases whose engine supports IAM authentication. An instance of a cluster is left out, because
/// clients use the endpoints of the cluster. Fails if all kinds are denied, or if a call fails for another reason.
fn list_databases(api: &Api<'_>) -> Result<List, Error> {
    let (mut databases, mut denied, mut last) = (Vec::new(), Vec::new(), None);
    for kind in DatabaseKind::ALL {
        match api.databases(kind, Filter::All) {
            Ok(found) => databases.extend(found),
            Err(error) if error.is_denied() => {
                denied.push(kind);
                last = Some(error);
            }
            Err(error) => return Err(error.into()),
        }
    }
    databases.retain(|database| database.cluster.is_none() && engine_of(&database.engine).is_some());
    match last {
        Some(error) if denied.len() == DatabaseKind::ALL.len() => Err(error.into()),
        _ => Ok(List { databases, denied }),
    }
}

fn describe(List { databases, denied }: &List, region: &str) -> String {
    let denied = denied.iter().map(|kind| {
        let kind = kind.name();
        format!("The list contains no {kind}, because your AWS policies do not allow the call that lists them.\n")
    });
    let denied: String = denied.collect();
    let heading = match databases.len() {
        0 => format!("No database in {region} supports IAM authentication.\n"),
        _ => format!("Databases in {region}:\n"),
    };
    format!("{heading}{}{denied}", render_table(databases))
}

fn render_table(databases: &[Database]) -> String {
    let width = databases.iter().map(|database| database.id.len()).max().unwrap_or_default();
    let line = |(index, database): (usize, &Database)| {
        let Database { kind, id, engine, status, .. } = database;
        let iam = if database.has_iam_authentication { "on" } else { "off" };
        format!("{:>3}  {id:width$}  {:8}  {engine}, {status}, IAM authentication {iam}\n", index + 1, kind.name())
    };
    databases.iter().enumerate().map(line).collect()
}

fn parse_selection(answer: &str, count: usize) -> Result<Selection, String> {
    match answer.parse::<usize>() {
        Ok(number) if (1..=count).contains(&number) => Ok(Selection::Database(number - 1)),
        Ok(_) if count > 0 => Err(format!("Enter a number from 1 to {count}, or a region such as eu-west-1.")),
        _ => parse_region(answer).map(Selection::Region),
    }
}

fn parse_region(answer: &str) -> Result<String, String> {
    match is_region(answer) {
        true => Ok(answer.to_owned()),
        false => Err("Enter a region, such as eu-west-1.".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_a_number_or_a_region() {
        for (answer, expected) in [
            ("1", Ok(Some(0))),
            ("3", Ok(Some(2))),
            ("eu-west-1", Ok(None)),
            ("0", Err(())),
            ("4", Err(())),
            ("x", Err(())),
        ] {
            let parsed = parse_selection(answer, 3).map_err(|_| ()).map(|answer| match answer {
                Selection::Database(index) => Some(index),
                Selection::Region(_) => None,
            });
            assert_eq!(parsed, expected, "{answer}");
        }
    }
}
