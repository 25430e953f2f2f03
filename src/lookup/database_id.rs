//! Database identifiers (`--id`).

use crate::aws::api::{DatabaseKind, Filter};
use crate::error::Error;
use crate::target::Service;

/// Maximum length of an identifier in RDS, in characters. Resource IDs are shorter.
const MAX_LENGTH: usize = 63;

/// The identifier of a database: `ID`, or `KIND:ID`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DatabaseId {
    /// `None` to search all kinds.
    pub(crate) kind: Option<DatabaseKind>,
    /// An identifier or a resource ID.
    pub(crate) id: String,
}

impl DatabaseId {
    /// Parses `[KIND:]ID`. Fails if the text has another form (exit 2).
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let invalid = |why: &str| {
            let forms = "use ID, instance:ID, cluster:ID or proxy:ID";
            Error::usage(format!("id: '{text}' {why}; {forms}")).about("id")
        };
        if Service::of(text) == Service::Dsql {
            return Err(Error::usage(format!(
                "id: '{text}' is the host name of a cluster of Aurora DSQL, which RDS does not know; use it as TARGET or \
                 --host, as in `rds-token connect USER@{text}`"
            ))
            .about("id"));
        }
        let (kind, id) = match text.split_once(':') {
            None => (None, text),
            Some((name, id)) => {
                let kind = DatabaseKind::ALL.into_iter().find(|kind| kind.name() == name);
                (Some(kind.ok_or_else(|| invalid("has an unknown kind before ':'"))?), id)
            }
        };
        if id.is_empty() {
            return Err(invalid("is empty"));
        }
        if id.len() > MAX_LENGTH || !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            return Err(invalid("is not an identifier, which has at most 63 letters, digits and hyphens"));
        }
        Ok(Self { kind, id: id.to_owned() })
    }

    /// Returns the searches to make, in order: by resource ID if the text has the form of one, then by the identifier of
    /// an instance, the identifier of a cluster, and the name of a proxy.
    pub(crate) fn candidates(&self) -> Vec<(DatabaseKind, Filter<'_>)> {
        let kinds = DatabaseKind::ALL.into_iter().filter(|kind| self.kind.is_none_or(|expected| expected == *kind));
        let by_resource_id = DatabaseKind::of_resource_id(&self.id).map(|kind| (kind, Filter::ResourceId(&self.id)));
        let by_resource_id = by_resource_id.filter(|(kind, _)| self.kind.is_none_or(|expected| expected == *kind));
        by_resource_id.into_iter().chain(kinds.map(|kind| (kind, Filter::Id(&self.id)))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_may_have_a_kind() {
        use DatabaseKind::{Cluster, Instance, Proxy};
        let (instance, cluster, proxy) =
            ("db-ABCDEFGHIJKLMNOPQRSTUVWXYZ", "cluster-ABCDEFGHIJKLMNOPQRSTUVWXYZ", "prx-0123456789abcdef0");
        for (text, expected) in [
            ("prod", vec![(Instance, "prod", false), (Cluster, "prod", false), (Proxy, "prod", false)]),
            ("cluster:prod", vec![(Cluster, "prod", false)]),
            ("proxy:db-1", vec![(Proxy, "db-1", false)]),
            (
                instance,
                vec![
                    (Instance, instance, true),
                    (Instance, instance, false),
                    (Cluster, instance, false),
                    (Proxy, instance, false),
                ],
            ),
            ("cluster:cluster-ABCDEFGHIJKLMNOPQRSTUVWXYZ", vec![(Cluster, cluster, true), (Cluster, cluster, false)]),
            ("proxy:prx-0123456789abcdef0", vec![(Proxy, proxy, true), (Proxy, proxy, false)]),
            ("instance:prx-0123456789abcdef0", vec![(Instance, proxy, false)]),
            ("instance:db-production-1", vec![(Instance, "db-production-1", false)]),
        ] {
            let id = DatabaseId::parse(text).unwrap();
            let candidates = id.candidates().into_iter().map(|(kind, filter)| match filter {
                Filter::Id(id) => (kind, id, false),
                Filter::ResourceId(id) => (kind, id, true),
                Filter::All => panic!("{text}"),
            });
            assert_eq!(candidates.collect::<Vec<_>>(), expected, "{text}");
        }
        for text in ["", "cluster:", "db:prod", "a b", "a.b", "a/b", "é", &"x".repeat(64), "cluster:x:y"] {
            let error = DatabaseId::parse(text).unwrap_err();
            assert!(error.message().contains("; use ID, instance:ID, cluster:ID or proxy:ID"), "{error}");
        }
    }
}
