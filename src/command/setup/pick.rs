//! The choice of a database from the account's list.

use super::dialog::Dialog;
use crate::account::Account;
use crate::aws::api::{Api, Database, DatabaseKind, Filter};
use crate::error::Error;
use crate::lookup::engine_of;
use crate::target::endpoint::is_region;

/// A database and its region.
pub(super) struct Choice {
    pub(super) database: Database,
    pub(super) region: String,
}

enum Answer {
    Database(usize),
    Region(String),
}

/// Lists the databases of a region, and prompts for one of them or for another region. Prompts for a region first if
/// `region` is `None`.
pub(super) fn pick(account: &Account<'_>, region: Option<String>, dialog: &mut Dialog) -> Result<Choice, Error> {
    let mut region = match region {
        Some(region) => region,
        None => dialog.prompt("AWS region, such as eu-west-1", None, parse_region)?,
    };
    loop {
        let databases = list(&account.api(&region)?)?;
        dialog.show(&format!("Databases in {region} that support IAM authentication:\n{}", table(&databases)))?;
        let (question, default) = match databases.len() {
            0 => ("Another region", None),
            1 => ("Number of the database, or another region", Some("1")),
            _ => ("Number of the database, or another region", None),
        };
        match dialog.prompt(question, default, |answer| parse(answer, databases.len()))? {
            Answer::Database(index) => {
                return Ok(Choice { database: databases[index].clone(), region });
            }
            Answer::Region(other) => region = other,
        }
    }
}

/// Returns the databases whose engine supports IAM authentication. An instance of a cluster is left out, because
/// clients use the endpoints of the cluster. A kind that the caller must not list is left out too, unless it is the
/// only one.
fn list(api: &Api<'_>) -> Result<Vec<Database>, Error> {
    let mut databases = Vec::new();
    let mut denied = None;
    for kind in DatabaseKind::ALL {
        match api.databases(kind, Filter::All) {
            Ok(found) => databases.extend(found),
            Err(error) if error.is_denied() => denied = Some(error),
            Err(error) => return Err(error.into()),
        }
    }
    databases.retain(|database| database.cluster.is_none() && engine_of(&database.engine).is_some());
    match denied {
        Some(error) if databases.is_empty() => Err(error.into()),
        _ => Ok(databases),
    }
}

fn table(databases: &[Database]) -> String {
    if databases.is_empty() {
        return "  none\n".to_owned();
    }
    let width = databases.iter().map(|database| database.id.len()).max().unwrap_or_default();
    let line = |(index, database): (usize, &Database)| {
        let Database { kind, id, engine, status, .. } = database;
        let iam = if database.has_iam_authentication { "on" } else { "off" };
        format!("{:>3}  {id:width$}  {:8}  {engine}, {status}, IAM authentication {iam}\n", index + 1, kind.name())
    };
    databases.iter().enumerate().map(line).collect()
}

fn parse(answer: &str, count: usize) -> Result<Answer, String> {
    match answer.parse::<usize>() {
        Ok(number) if (1..=count).contains(&number) => Ok(Answer::Database(number - 1)),
        Ok(_) => Err(format!("Enter a number from 1 to {count}, or a region.")),
        Err(_) => parse_region(answer).map(Answer::Region),
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
            let parsed = parse(answer, 3).map_err(|_| ()).map(|answer| match answer {
                Answer::Database(index) => Some(index),
                Answer::Region(_) => None,
            });
            assert_eq!(parsed, expected, "{answer}");
        }
    }
}
