//! Settings in layers, which are merged by precedence: flags and TARGET, the table that TARGET names, the environment,
//! `[defaults]`.

use std::collections::BTreeMap;

use crate::error::{Error, ExitCode};
use crate::target::{Service, TargetSpec};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    CommandLine,
    Variable(String),
    /// A table of the configuration file, named by its header, such as `[target.prod]`.
    Table(String),
    /// A lookup of the database with RDS.
    Lookup,
}

impl Origin {
    /// The name in messages. `None` for the command line, because the user has just typed it.
    pub(crate) fn name(&self) -> Option<&str> {
        match self {
            Self::CommandLine => None,
            Self::Variable(name) | Self::Table(name) => Some(name),
            Self::Lookup => Some("RDS"),
        }
    }

    /// The position in the order of precedence. A lower number takes precedence.
    fn rank(&self) -> u8 {
        match self {
            Self::CommandLine => 0,
            Self::Table(header) if header != "[defaults]" => 1,
            Self::Variable(_) => 2,
            Self::Table(_) => 3,
            Self::Lookup => 4,
        }
    }
}

/// A value before validation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    pub(crate) text: String,
    pub(crate) origin: Origin,
}

impl Setting {
    /// Validates the value with `check`. Errors of the user's input name its origin.
    pub(crate) fn check<T>(&self, check: impl FnOnce(&str) -> Result<T, Error>) -> Result<T, Error> {
        check(&self.text).map_err(|error| match self.origin.name() {
            Some(origin) if error.exit == ExitCode::Usage => Error::usage(format!("{origin}: {}", error.message())),
            _ => error,
        })
    }
}

/// Settings, by their keys in the configuration file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layer(BTreeMap<&'static str, Setting>);

impl Layer {
    /// A layer of values with one origin. Skips values that are `None`.
    pub(crate) fn new<const N: usize>(origin: &Origin, values: [(&'static str, Option<String>); N]) -> Self {
        let setting = |text| Setting { text, origin: origin.clone() };
        Self(values.into_iter().filter_map(|(key, text)| Some((key, setting(text?)))).collect())
    }

    /// A layer with the parts of a target.
    pub(crate) fn from_spec(origin: &Origin, spec: TargetSpec) -> Self {
        let TargetSpec { host, port, user, database, engine } = spec;
        let values = [("host", host), ("port", port), ("user", user), ("database", database), ("engine", engine)];
        Self::new(origin, values)
    }

    pub(crate) fn insert(&mut self, key: &'static str, setting: Setting) {
        self.0.insert(key, setting);
    }

    pub(crate) fn remove(&mut self, key: &str) {
        self.0.remove(key);
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Setting> {
        self.0.get(key)
    }

    /// The value of a key.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.get(key).map(|setting| setting.text.as_str())
    }

    /// Fills missing settings from `lower`.
    #[must_use]
    pub(crate) fn or(mut self, lower: &Self) -> Self {
        for (key, setting) in &lower.0 {
            self.0.entry(key).or_insert_with(|| setting.clone());
        }
        self
    }

    /// Removes the settings in `keys` with a lower precedence than `origin`, and returns the rest.
    #[must_use]
    pub(crate) fn without_lower(mut self, origin: &Origin, keys: &[&str]) -> Self {
        self.0.retain(|key, setting| !keys.contains(key) || setting.origin.rank() <= origin.rank());
        self
    }

    /// Adds the default parts of a target, as [`TargetSpec::with_defaults`] does. The port of a database that is looked
    /// up comes from RDS.
    #[must_use]
    pub(crate) fn with_defaults(mut self) -> Self {
        if let Some(host) = self.get("host").filter(|host| Service::of(&host.text) == Service::Dsql) {
            let defaults = Self::from_spec(&host.origin, self.spec().with_defaults());
            return self.or(&defaults);
        }
        let has_lookup = self.get("id").is_some() && self.get("host").is_none();
        let has_port = has_lookup || self.get("port").is_some();
        let Some(engine) = self.get("engine").filter(|_| !has_port) else { return self };
        let origin = engine.origin.clone();
        if let Some(text) = self.spec().with_defaults().port {
            self.insert("port", Setting { text, origin });
        }
        self
    }

    pub(crate) fn spec(&self) -> TargetSpec {
        let text = |key| self.text(key).map(str::to_owned);
        TargetSpec {
            host: text("host"),
            port: text("port"),
            user: text("user"),
            database: text("database"),
            engine: text("engine"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer<const N: usize>(origin: Origin, values: [(&'static str, &str); N]) -> Layer {
        Layer::new(&origin, values.map(|(key, value)| (key, Some(value.to_owned()))))
    }

    #[test]
    fn a_higher_layer_overrides_a_lower_one() {
        let flags = layer(Origin::CommandLine, [("user", "a")]);
        let table = layer(Origin::Table("[target.x]".into()), [("user", "b"), ("host", "h")]);
        let merged = flags.or(&table);
        for (key, expected) in [("user", Some(("a", None))), ("host", Some(("h", Some("[target.x]")))), ("port", None)]
        {
            let setting = merged.get(key).map(|setting| (setting.text.as_str(), setting.origin.name()));
            assert_eq!(setting, expected, "{key}");
        }
    }

    #[test]
    fn the_engine_of_a_layer_decides_its_port() {
        let lower = layer(Origin::Variable("RDS_TOKEN_PORT".into()), [("port", "3306")]);
        for (upper, expected) in [
            (layer(Origin::CommandLine, [("engine", "postgres")]), "5432"),
            (layer(Origin::CommandLine, [("engine", "postgres"), ("port", "1")]), "1"),
            (layer(Origin::CommandLine, [("engine", "unknown")]), "3306"),
            (layer(Origin::CommandLine, []), "3306"),
        ] {
            assert_eq!(upper.clone().with_defaults().or(&lower).text("port"), Some(expected), "{upper:?}");
        }
    }

    #[test]
    fn a_host_of_dsql_decides_the_other_parts() {
        let lower = layer(
            Origin::Variable("V".into()),
            [("port", "3306"), ("engine", "mysql"), ("database", "ExampleDB"), ("user", "app")],
        );
        for (upper, expected) in [
            (layer(Origin::CommandLine, []), ["5432", "postgres", "postgres", "app"]),
            (layer(Origin::CommandLine, [("port", "1"), ("user", "admin")]), ["1", "postgres", "postgres", "admin"]),
            (layer(Origin::CommandLine, [("engine", "mysql"), ("database", "d")]), ["5432", "mysql", "d", "app"]),
        ] {
            let host = layer(Origin::CommandLine, [("host", "A.dsql.eu-west-1.on.aws")]);
            let merged = upper.clone().or(&host).with_defaults().or(&lower);
            assert_eq!(
                ["port", "engine", "database", "user"].map(|key| merged.text(key).unwrap()),
                expected,
                "{upper:?}"
            );
        }
    }

    #[test]
    fn errors_name_the_origin() {
        let refuse = |_: &str| Err::<(), _>(Error::usage("no"));
        for (origin, message) in [
            (Origin::CommandLine, "no"),
            (Origin::Variable("V".into()), "V: no"),
            (Origin::Table("[t]".into()), "[t]: no"),
        ] {
            let setting = Setting { text: String::new(), origin };
            assert_eq!(setting.check(refuse).unwrap_err().message(), message);
        }
    }
}
