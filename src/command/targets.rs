//! `rds-token targets`: the configured targets, one per line.

use crate::cli::CommonArgs;
use crate::config::Config;
use crate::error::Error;
use crate::layer::Layer;
use crate::lookup::DatabaseId;
use crate::os::env::Env;
use crate::output::{self, Report};
use crate::settings::inputs::{NamedTable, with_examples};
use crate::target::Region;

pub(super) fn run(env: &Env, args: CommonArgs) -> Result<(), Error> {
    let config = Config::load(env)?;
    if config.targets.is_empty()
        && let Some(path) = env.config_file()
    {
        let report = Report::new(env, args.quiet, args.verbose);
        report.warn(&format!("no targets are configured; add [target.NAME] to {}", path.display()));
    }
    let line = |(name, table): (&String, &Layer)| match args.verbose {
        true => describe(name, table, &config.defaults),
        false => format!("{name}\n"),
    };
    output::result(&config.targets.iter().map(line).collect::<String>())
}

/// Returns one line: name, USER@HOST:PORT and engine, separated by tabs, or name and error.
fn describe(name: &str, table: &Layer, defaults: &Layer) -> String {
    let any_region = || Ok(Some(Region::of_flag("any")));
    let checked = NamedTable::new(name, table).and_then(|table| {
        table.layer.get("id").map(|id| id.check(DatabaseId::parse)).transpose()?;
        with_examples(table.layer.spec()).validate(None, any_region).map(|_| table)
    });
    let layer = match checked {
        Ok(table) => table.layer.with_defaults(),
        Err(error) => return format!("{name}\tinvalid: {error}\n"),
    };
    let part = |key: &str| layer.text(key).or_else(|| defaults.text(key)).unwrap_or("-");
    let engine = layer.spec().engine().map_or("-", |engine| engine.name());
    match layer.text("id").filter(|_| layer.text("host").is_none()) {
        Some(id) => format!("{name}\t{}@{id} (id)\t{engine}\n", part("user")),
        None => format!("{name}\t{}@{}:{}\t{engine}\n", part("user"), part("host"), part("port")),
    }
}
