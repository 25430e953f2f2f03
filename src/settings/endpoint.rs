//! The endpoint of a request: a database identifier (`--id`) or a CNAME is replaced with the endpoint behind it.

use super::inputs::{Inputs, with_examples};
use crate::account::Account;
use crate::error::Error;
use crate::layer::{Layer, Origin, Setting};
use crate::lookup::{DatabaseId, EndpointRole, StoredLookups, find_cname, find_database, may_be_cname};
use crate::target::{Region, TargetSpec};

/// Replaces the `id` in `inputs` with the host, port and engine of the database. Then replaces a host that is a CNAME
/// of an endpoint with that endpoint, and returns the CNAME. `None` if the host is not a CNAME.
pub(crate) fn resolve_endpoint(
    inputs: &mut Inputs,
    account: &Account<'_>,
    stored_lookups: StoredLookups,
    region: impl FnOnce(&Inputs) -> Result<Option<Region>, Error>,
) -> Result<Option<String>, Error> {
    resolve_id(inputs, account, stored_lookups, region)?;
    if inputs.flag("no_resolve") {
        return Ok(None);
    }
    let Some(Setting { text, origin }) = inputs.merged.get("host").cloned() else { return Ok(None) };
    let host = text.to_ascii_lowercase();
    if !may_be_cname(&host) {
        return Ok(None);
    }
    check_parts(inputs, inputs.merged.spec())?;
    let Some(endpoint) = find_cname(account, &host, stored_lookups) else { return Ok(None) };
    account.report.note(&format!("host: {host} is a CNAME of {endpoint}; the token is signed for {endpoint}"));
    let setting = Setting { text: endpoint, origin };
    if let Some(table) = inputs.named.as_mut().filter(|table| table.layer.text("host") == Some(text.as_str())) {
        table.layer.insert("host", setting.clone());
    }
    inputs.merged.insert("host", setting);
    Ok(Some(host))
}

/// Looks up the database that `id` names, unless a setting of higher precedence names a host. Fails if both have the
/// same precedence (exit 2), or the lookup fails.
fn resolve_id(
    inputs: &mut Inputs,
    account: &Account<'_>,
    stored_lookups: StoredLookups,
    region: impl FnOnce(&Inputs) -> Result<Option<Region>, Error>,
) -> Result<(), Error> {
    let Some(id) = inputs.merged.get("id").cloned() else {
        return match inputs.flag("reader") {
            true => Err(Error::usage("reader: --reader requires the identifier of a cluster; add --id CLUSTER")),
            false => Ok(()),
        };
    };
    let merged = std::mem::take(&mut inputs.merged).without_lower(&id.origin, &["host", "port", "engine"]);
    inputs.merged = merged;
    if let Some(host) = inputs.merged.get("host") {
        if host.origin != id.origin {
            inputs.merged.remove("id");
            return Ok(());
        }
        let location = host.origin.name().map(|name| format!(" in {name}")).unwrap_or_default();
        return Err(Error::usage(format!("target: both a host and an id are set{location}; remove one of them")));
    }
    let database = id.check(DatabaseId::parse)?;
    let role = if inputs.flag("reader") { EndpointRole::Reader } else { EndpointRole::Writer };
    let spec = inputs.merged.spec();
    check_parts(inputs, TargetSpec { user: spec.user.clone(), ..with_examples(spec) })?;
    let Region { name: region, .. } = region(inputs)?
        .ok_or_else(|| Error::usage("id: the region of the database is unknown; use --region, or set AWS_REGION"))?
        .check()?;
    let found = id.check(|_| find_database(account, &database, role, &region, stored_lookups))?;
    let values =
        [("host", Some(found.host)), ("port", found.port.map(|port| port.to_string())), ("engine", found.engine)];
    inputs.merged = std::mem::take(&mut inputs.merged).or(&Layer::new(&Origin::Lookup, values));
    Ok(())
}

/// Validates the parts in `spec` except the region. A request that would fail anyway must not cause a lookup.
fn check_parts(inputs: &Inputs, spec: TargetSpec) -> Result<(), Error> {
    let any_region = || Ok(Some(Region::of_flag("any")));
    spec.validate(None, any_region).map(drop).map_err(|error| inputs.add_origin(error))
}
