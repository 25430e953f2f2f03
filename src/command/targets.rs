//! `rds-token targets`: the configured targets, one a line.

use std::time::Duration;

use crate::aws::ProfileFiles;
use crate::cli::{CompletionValues, TargetsArgs};
use crate::config::{Config, Table};
use crate::error::Error;
use crate::os::env::Env;
use crate::output::{self, Report};
use crate::settings::target_inputs::{TargetTable, with_examples};
use crate::target::Region;

/// Time limit for reading the AWS profile files, which may be pipes.
const TIMEOUT: Duration = Duration::from_secs(2);

pub(super) fn run(env: &Env, args: &TargetsArgs) -> Result<(), Error> {
    let config = Config::load(env)?;
    if let Some(kind) = args.names {
        return list_completion_values(env, &config, kind);
    }
    if config.targets.is_empty()
        && let Some(path) = env.config_file()
    {
        let path = path.display();
        Report::new(env, args.common.quiet, args.common.verbose)
            .warn(&format!("no targets are configured; add [target.NAME] to {path}"));
    }
    let line = |(name, table): (&String, &Table)| match args.common.verbose {
        true => describe(name, table, &config.defaults),
        false => format!("{name}\n"),
    };
    output::result(&config.targets.iter().map(line).collect::<String>())
}

/// Returns one line: name, USER@HOST:PORT and engine, separated by tabs, or name and error.
fn describe(name: &str, table: &Table, defaults: &Table) -> String {
    let any_region = || Ok(Some(Region::of_flag("any")));
    let table = TargetTable::new(name, table);
    let checked = table.and_then(|table| with_examples(&table.parts).validate(None, any_region).map(|_| table));
    let parts = match checked {
        Ok(table) => table.parts.with_default_port(),
        Err(error) => return format!("{name}\tinvalid: {error}\n"),
    };
    let part = |part: &str| parts.get(part).map(str::to_owned).or_else(|| defaults.get(part)).unwrap_or("-".to_owned());
    let engine = parts.engine().map_or("-", |engine| engine.name());
    format!("{name}\t{}@{}:{}\t{engine}\n", part("user"), part("host"), part("port"))
}

/// Prints the completion values for a flag.
fn list_completion_values(env: &Env, config: &Config, kind: CompletionValues) -> Result<(), Error> {
    let files = ProfileFiles::new(env.deadline(TIMEOUT));
    let mut names: Vec<String> = match kind {
        CompletionValues::Profiles => files.get(env)?.names().into_iter().map(str::to_owned).collect(),
        CompletionValues::Via => config.targets.values().filter_map(|table| table.get("via")).collect(),
    };
    names.sort();
    names.dedup();
    output::result(&names.iter().map(|name| format!("{name}\n")).collect::<String>())
}
