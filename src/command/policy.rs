//! `rds-token policy [TARGET]`: prints the least-privilege IAM policy for logins.

mod lookup;

use crate::cli::{PolicyArgs, PolicyOutput, TargetArgs};
use crate::config::Config;
use crate::error::Error;
use crate::layer::{Layer, Origin};
use crate::lookup::StoredLookups;
use crate::os::env::Env;
use crate::output::{self, Report};
use crate::policy::{AccountId, Format, Policy, PolicyDatabase, ResourceId};
use crate::settings::inputs::{Inputs, with_examples};
use crate::settings::{AccountSettings, explicit_region, identity_flags, resolve_endpoint};
use crate::target::{Region, TargetSpec, endpoint};

/// The values in a policy.
struct Request {
    region: String,
    account: AccountId,
    database: PolicyDatabase,
    users: Vec<String>,
}

pub(super) fn run(env: &Env, args: &PolicyArgs) -> Result<(), Error> {
    output::result(&render(env, Config::load(env)?, args)?)
}

/// Returns the text of the policy. Fails if a value is missing or invalid (exit 2), or AWS can't be called.
pub(super) fn render(env: &Env, config: Config, args: &PolicyArgs) -> Result<String, Error> {
    let report = Report::new(env, args.common.quiet, args.common.verbose);
    let Request { region, account, database, users } = resolve(env, config, args, &report)?;
    let policy = Policy::new(&region, &account, &database, &users)?;
    let text = policy.render(match args.output {
        None | Some(PolicyOutput::Json) => Format::Json,
        Some(PolicyOutput::Cloudformation) => Format::Cloudformation,
        Some(PolicyOutput::Terraform) => Format::Terraform,
    })?;
    if args.any_database {
        report.warn(
            "policy: this policy allows logins to all databases of the account and the region that have this user",
        );
    }
    Ok(text)
}

/// Merges the flags, TARGET and the configuration. Looks up the account and the resource ID if they are missing. Fails
/// if a value is missing or invalid (exit 2), or AWS can't be called.
fn resolve(env: &Env, config: Config, args: &PolicyArgs, report: &Report) -> Result<Request, Error> {
    let target = TargetArgs {
        target: args.target.clone(),
        host: args.host.clone(),
        id: args.id.clone(),
        user: args.user.first().cloned(),
        region: args.region.clone(),
        ..TargetArgs::default()
    };
    let flags = identity_flags(&args.identity);
    let mut inputs = Inputs::of_request(env, config, &target, &flags)?;
    inputs.warning.iter().for_each(|warning| report.warn(warning));
    let users = resolve_users(args, &inputs)?;
    // A policy does not contain the port, so a lookup must not fail without one.
    let port = [("port", Some("3306".to_owned()))];
    inputs.merged = std::mem::take(&mut inputs.merged).or(&Layer::new(&Origin::Lookup, port));
    let account = args.account.as_deref().map(AccountId::parse).transpose()?;
    let settings = AccountSettings::new(env, &inputs, &args.identity, *report)?;
    let caller = settings.account(env);
    resolve_endpoint(&mut inputs, &caller, StoredLookups::Use, |inputs| settings.region(env, inputs))?;
    let host = inputs.merged.text("host").map(str::to_ascii_lowercase);
    let region = resolve_region(env, &inputs, host.as_deref(), &settings)?;
    let database = given_database(args, host.as_deref())?;
    if let (Some(account), Some(database)) = (&account, &database) {
        return Ok(Request { region, account: account.clone(), database: database.clone(), users });
    }
    let api = caller.api(&region)?;
    let (caller, database) = match database {
        Some(database) => (api.caller()?.account, database),
        None => {
            let host = host.ok_or_else(no_database)?;
            let found = lookup::find(&api, &host)?;
            lookup::warn_about_caller(&api, &found, &users[0], report);
            let id = ResourceId::parse(&found.resource_id)?;
            (found.caller.account, PolicyDatabase::Rds(Some(id)))
        }
    };
    let account = account.map_or_else(|| AccountId::parse(&caller), Ok)?;
    Ok(Request { region, account, database, users })
}

fn no_database() -> Error {
    Error::usage(
        "policy: the database is missing; use TARGET, --id or --host; or --resource-id with db-ABC…, for Aurora \
         cluster-ABC…, for a proxy prx-0ab…; or --any-database",
    )
}

/// Returns the database users in `--user`, which default to the user of the target. Fails if none is set (exit 2).
fn resolve_users(args: &PolicyArgs, inputs: &Inputs) -> Result<Vec<String>, Error> {
    let of_target = inputs.merged.text("user").map(str::to_owned);
    let users = if args.user.is_empty() { of_target.into_iter().collect() } else { args.user.clone() };
    if users.is_empty() {
        return Err(Error::usage("policy: the database user is missing; use USER@HOST or --user"));
    }
    let engine = inputs.merged.text("engine");
    let check = |user: &String| {
        let spec = TargetSpec { user: Some(user.clone()), engine: engine.map(str::to_owned), ..TargetSpec::default() };
        with_examples(spec).validate(Some(Region::of_flag("any")), || Ok(None)).map(|_| ())
    };
    users.iter().try_for_each(check)?;
    Ok(users)
}

/// Returns the region by the rules for a token: the region in the host name, else in the settings.
fn resolve_region(env: &Env, inputs: &Inputs, host: Option<&str>, account: &AccountSettings) -> Result<String, Error> {
    let explicit = explicit_region(inputs);
    let default = || account.default_region(env, inputs);
    if let Some(host) = host {
        let spec = TargetSpec { host: Some(host.to_owned()), ..TargetSpec::default() };
        let (target, _) = with_examples(spec).validate(explicit, default).map_err(|error| inputs.add_origin(error))?;
        return Ok(target.region);
    }
    let missing = || Error::usage("policy: the region is missing; use --region");
    let Region { name, origin } = explicit.map_or_else(default, |region| Ok(Some(region)))?.ok_or_else(missing)?;
    match endpoint::is_region(&name) {
        true => Ok(name),
        false => Err(Error::usage(format!("policy: '{name}' from {origin} is not a region, such as eu-west-1"))),
    }
}

/// Returns the database that the arguments state: the cluster of a DSQL host, all databases, or the database with the
/// resource ID. `None` if it must be looked up.
fn given_database(args: &PolicyArgs, host: Option<&str>) -> Result<Option<PolicyDatabase>, Error> {
    if let Some((id, _)) = host.and_then(endpoint::dsql) {
        let remedy = "remove --resource-id, because the ID is in the host name";
        return match &args.resource_id {
            Some(_) => Err(Error::usage(format!("resource id: a cluster of Aurora DSQL does not have one; {remedy}"))),
            None => Ok(Some(PolicyDatabase::Dsql((!args.any_database).then(|| id.to_owned())))),
        };
    }
    if args.any_database {
        return Ok(Some(PolicyDatabase::Rds(None)));
    }
    let Some(id) = &args.resource_id else { return Ok(None) };
    let id = ResourceId::parse(id)?;
    host.map_or(Ok(()), |host| id.check_host(host))?;
    Ok(Some(PolicyDatabase::Rds(Some(id))))
}
