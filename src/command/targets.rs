//! `rds-token targets`: the configured targets, one a line.

use std::time::Duration;

use crate::cli::{NameKind, TargetsArgs};
use crate::command::given::Named;
use crate::config::{Config, Table};
use crate::credentials::ProfileFiles;
use crate::error::Error;
use crate::host::Host;
use crate::report;

/// Limits the reading of the AWS profile files, which may be pipes.
const TIMEOUT: Duration = Duration::from_secs(2);

pub(super) fn run(host: &Host, args: &TargetsArgs) -> Result<(), Error> {
    let config = Config::load(host)?;
    if let Some(kind) = args.names {
        return complete(host, &config, kind);
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

/// Name, endpoint and engine, separated by tabs.
fn describe(name: &str, table: &Table, defaults: &Table) -> Result<String, Error> {
    let parts = Named::new(name, table)?.parts.with_default_port();
    let part = |part: &str| parts.get(part).map(str::to_owned).or_else(|| defaults.get(part)).unwrap_or("-".to_owned());
    let engine = parts.engine().map_or("-", |engine| engine.name());
    Ok(format!("{name}\t{}@{}:{}\t{engine}\n", part("user"), part("host"), part("port")))
}

/// The names that completion offers for a flag.
fn complete(host: &Host, config: &Config, kind: NameKind) -> Result<(), Error> {
    let files = ProfileFiles::new(host.deadline(TIMEOUT));
    let mut names: Vec<String> = match kind {
        NameKind::Profiles => files.get(host)?.names().into_iter().map(str::to_owned).collect(),
        NameKind::Via => config.targets.values().filter_map(|table| table.get("via")).collect(),
    };
    names.sort();
    names.dedup();
    report::result(&names.iter().map(|name| format!("{name}\n")).collect::<String>())
}
