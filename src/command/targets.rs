//! `rds-token targets`: the configured targets, one a line.

use std::time::Duration;

use crate::aws::ProfileFiles;
use crate::cli::{CompletionValues, TargetsArgs};
use crate::config::Config;
use crate::error::Error;
use crate::layer::Layer;
use crate::os::env::Env;
use crate::output::{self, Report};
use crate::settings::inputs::{NamedTable, with_examples};
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
    let line = |(name, table): (&String, &Layer)| match args.common.verbose {
        true => describe(name, table, &config.defaults),
        false => format!("{name}\n"),
    };
    output::result(&config.targets.iter().map(line).collect::<String>())
}

/// Returns one line: name, USER@HOST:PORT and engine, separated by tabs, or name and error.
fn describe(name: &str, table: &Layer, defaults: &Layer) -> String {
    let any_region = || Ok(Some(Region::of_flag("any")));
    let table = NamedTable::new(name, table);
    let checked = table.and_then(|table| with_examples(table.layer.spec()).validate(None, any_region).map(|_| table));
    let layer = match checked {
        Ok(table) => table.layer.with_default_port(),
        Err(error) => return format!("{name}\tinvalid: {error}\n"),
    };
    let part = |key: &str| layer.text(key).or_else(|| defaults.text(key)).unwrap_or("-");
    let engine = layer.spec().engine().map_or("-", |engine| engine.name());
    format!("{name}\t{}@{}:{}\t{engine}\n", part("user"), part("host"), part("port"))
}

/// Prints the completion values for a flag.
fn list_completion_values(env: &Env, config: &Config, kind: CompletionValues) -> Result<(), Error> {
    let files = ProfileFiles::new(env.deadline(TIMEOUT));
    let mut names: Vec<String> = match kind {
        CompletionValues::Profiles => files.get(env)?.names().into_iter().map(str::to_owned).collect(),
        CompletionValues::Via => {
            config.targets.values().filter_map(|table| table.text("via").map(str::to_owned)).collect()
        }
    };
    names.sort();
    names.dedup();
    output::result(&names.iter().map(|name| format!("{name}\n")).collect::<String>())
}
