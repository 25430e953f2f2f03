//! `rds-token targets`: the configured targets, one a line.

use std::time::Duration;

use crate::cli::{CompletionValues, TargetsArgs};
use crate::command::target_sources::TargetTable;
use crate::config::{Config, Table};
use crate::credentials::ProfileFiles;
use crate::error::Error;
use crate::host::Host;
use crate::report;

/// Time limit for reading the AWS profile files, which may be pipes.
const TIMEOUT: Duration = Duration::from_secs(2);

pub(super) fn run(host: &Host, args: &TargetsArgs) -> Result<(), Error> {
    let config = Config::load(host)?;
    if let Some(kind) = args.names {
        return list_completion_values(host, &config, kind);
    }
    if config.targets.is_empty()
        && let Some(path) = host.config_file()
    {
        let path = path.display();
        super::report(host, args.common).warn(&format!("no targets are configured; add [target.NAME] to {path}"));
    }
    let line = |(name, table): (&String, &Table)| match args.common.verbose {
        true => describe(name, table, &config.defaults),
        false => Ok(format!("{name}\n")),
    };
    report::result(&config.targets.iter().map(line).collect::<Result<String, Error>>()?)
}

/// Returns one line: name, USER@HOST:PORT and engine, separated by tabs.
fn describe(name: &str, table: &Table, defaults: &Table) -> Result<String, Error> {
    let parts = TargetTable::new(name, table)?.parts.with_default_port();
    let part = |part: &str| parts.get(part).map(str::to_owned).or_else(|| defaults.get(part)).unwrap_or("-".to_owned());
    let engine = parts.engine().map_or("-", |engine| engine.name());
    Ok(format!("{name}\t{}@{}:{}\t{engine}\n", part("user"), part("host"), part("port")))
}

/// Prints the completion values for a flag.
fn list_completion_values(host: &Host, config: &Config, kind: CompletionValues) -> Result<(), Error> {
    let files = ProfileFiles::new(host.deadline(TIMEOUT));
    let mut names: Vec<String> = match kind {
        CompletionValues::Profiles => files.get(host)?.names().into_iter().map(str::to_owned).collect(),
        CompletionValues::Via => config.targets.values().filter_map(|table| table.get("via")).collect(),
    };
    names.sort();
    names.dedup();
    report::result(&names.iter().map(|name| format!("{name}\n")).collect::<String>())
}
