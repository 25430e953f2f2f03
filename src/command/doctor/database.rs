//! The checks of the database as RDS describes it: its endpoint, its port, and whether IAM authentication is on.

use super::check::Check;
use crate::aws::api::{Api, ApiError, Database, DatabaseKind, Filter};
use crate::lookup::{engine_of, find_by_host};
use crate::settings::Settings;
use crate::target::endpoint::{Endpoint, classify};
use crate::target::{Engine, Service, Target};

/// The regions to search for a database: those that are enabled in every account.
///
/// Source: "AWS Regions" in the account management guide.
const REGIONS: [&str; 17] = [
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "eu-central-1",
    "eu-north-1",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ca-central-1",
    "sa-east-1",
];

/// Checks the database of the target. Also returns the database if it was found.
pub(super) fn check(api: &Api, settings: &Settings, account: &str) -> (Vec<Check>, Option<Database>) {
    let target = &settings.target;
    if target.service() == Service::Dsql {
        let database = Check::skip("database", "not looked up, because Aurora DSQL is not a part of RDS");
        return (vec![database, Check::skip("iam", "not needed, because Aurora DSQL accepts only IAM tokens")], None);
    }
    if !matches!(classify(&target.host), Endpoint::Rds(_)) {
        return (vec![search(api, target)], None);
    }
    match find_by_host(api, &target.host) {
        Ok(Some(database)) => (vec![compare(&database, target), check_iam(&database, target)], Some(database)),
        Ok(None) => (vec![warn_not_found(target, account)], None),
        Err(error) => (vec![skip_after_error("database", &error)], None),
    }
}

/// Returns the skipped check `name`, because a call to AWS failed.
pub(super) fn skip_after_error(name: &'static str, error: &ApiError) -> Check {
    let ApiError { action, code, message, .. } = error;
    if error.is_denied() {
        let remedy = format!("allow {action} in the caller's policy, for this check");
        return Check::skip(name, format!("unknown, because the caller does not have the permission {action}"))
            .remedy(remedy);
    }
    let code = code.as_ref().map(|code| format!("{code}: ")).unwrap_or_default();
    Check::skip(name, format!("unknown, because {action} failed: {code}{message}"))
}

fn warn_not_found(target: &Target, account: &str) -> Check {
    let Target { host, region, .. } = target;
    let finding = format!("account {account} has no database with the endpoint {host} in {region}");
    let remedy = format!(
        "use credentials of the database's account (--profile, --role-arn), or the current endpoint: `aws rds \
         describe-db-instances --region {region} --query 'DBInstances[].Endpoint'`"
    );
    Check::warn("database", finding, remedy)
}

/// Compares the target with the database.
fn compare(database: &Database, target: &Target) -> Check {
    let Database { kind, id, engine, status, host, port, .. } = database;
    let name = format!("the {} {id} ({engine})", kind.name());
    let real_engine = engine_of(engine).unwrap_or(Engine::Mysql);
    let port = port.unwrap_or_else(|| real_engine.default_port());
    let is_other_endpoint = *kind == DatabaseKind::Instance && host.as_ref().is_some_and(|host| *host != target.host);
    if let Some(host) = host.as_ref().filter(|_| is_other_endpoint) {
        return Check::fail("database", format!("the endpoint of {name} is {host}"), format!("use --host {host}"));
    }
    let is_postgres = |engine| engine == Engine::Postgres;
    if target.engine.is_some_and(|engine| is_postgres(engine) != is_postgres(real_engine)) {
        let finding = format!("{name} has another engine than the target");
        return Check::fail("database", finding, format!("use --engine {}", real_engine.name()));
    }
    if port != target.port {
        let finding = format!("{name} listens on port {port}, so it rejects a token for port {}", target.port);
        let remedy = format!("use --port {port}, and --via HOST:{} for a tunnel on another port", target.port);
        return Check::fail("database", finding, remedy);
    }
    if status != "available" {
        let remedy = match status.as_str() {
            "stopped" => format!("start it: `aws rds start-db-{kind} --db-{kind}-identifier {id}`", kind = kind.name()),
            _ => "wait until its status is 'available'".to_owned(),
        };
        return Check::warn("database", format!("the status of {name} is '{status}'"), remedy);
    }
    Check::ok("database", format!("{name}, {}, has this endpoint and port", database.resource_id))
}

fn check_iam(database: &Database, target: &Target) -> Check {
    let name = format!("{} {}", database.kind.name(), database.id);
    if database.has_iam_authentication {
        return Check::ok("iam", format!("IAM authentication is on for the {name}"));
    }
    let finding = format!("IAM authentication is off for the {name}");
    Check::fail("iam", finding, database.remedy_without_iam(&target.region))
}

/// Searches for a database with the first label of a host that is not an RDS endpoint, in the target's region and in
/// the others.
fn search(api: &Api, target: &Target) -> Check {
    let name = target.host.split('.').next().unwrap_or_default();
    let unknown = || Check::skip("database", format!("unknown, because '{}' is not an RDS endpoint", target.host));
    let is_id = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if name.is_empty() || !name.bytes().all(is_id) || target.host.parse::<std::net::IpAddr>().is_ok() {
        return unknown();
    }
    match find_by_name(api, name) {
        Err(error) => return skip_after_error("database", &error),
        Ok(found) => {
            if let Some(host) = found.and_then(|database| database.host) {
                return report_endpoint(name, target, &target.region, &host);
            }
        }
    }
    let found = std::thread::scope(|scope| {
        let others = REGIONS.iter().filter(|region| **region != target.region);
        let search = |region: &'static str| {
            let database = find_by_name(&api.in_region(region).ok()?, name).ok()??;
            Some((region, database.host?))
        };
        let threads: Vec<_> = others.map(|region| scope.spawn(move || search(region))).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()?).next()
    });
    found.map_or_else(unknown, |(region, host)| report_endpoint(name, target, region, &host))
}

/// Returns the instance or cluster with this identifier.
fn find_by_name(api: &Api, id: &str) -> Result<Option<Database>, ApiError> {
    let instance = api.databases(DatabaseKind::Instance, Filter::Id(id))?.into_iter().next();
    match instance {
        Some(instance) => Ok(Some(instance)),
        None => Ok(api.databases(DatabaseKind::Cluster, Filter::Id(id))?.into_iter().next()),
    }
}

/// Returns the failed check for a host in place of which a database has the endpoint `host`.
fn report_endpoint(name: &str, target: &Target, region: &str, host: &str) -> Check {
    let place = match region == target.region {
        true => String::new(),
        false => format!(" in {region}, not in {}", target.region),
    };
    let finding = format!(
        "a database named {name} exists{place}, with the endpoint {host}; no server accepts a token for '{}'",
        target.host
    );
    let remedy = format!("use --host {host} --via {}:{}", target.host, target.port);
    Check::fail("database", finding, remedy)
}

#[cfg(test)]
mod tests {
    use super::super::check::Status;
    use super::*;

    fn target() -> Target {
        Target {
            host: "db.abc123.eu-west-1.rds.amazonaws.com".to_owned(),
            port: 3306,
            user: "app".to_owned(),
            database: None,
            engine: Some(Engine::Mysql),
            region: "eu-west-1".to_owned(),
        }
    }

    fn database() -> Database {
        Database {
            kind: DatabaseKind::Instance,
            id: "db".to_owned(),
            resource_id: "db-ABC".to_owned(),
            engine: "mysql".to_owned(),
            status: "available".to_owned(),
            host: Some(target().host),
            port: Some(3306),
            reader_host: None,
            has_iam_authentication: true,
            ca: None,
            cluster: None,
            log_exports: Vec::new(),
            master_user: None,
            master_secret: None,
            initial_database: None,
        }
    }

    #[test]
    fn the_endpoint_and_the_port_are_those_of_rds() {
        let new_host = "db.new.eu-west-1.rds.amazonaws.com";
        let stopped = "the status of the instance db (mysql) is 'stopped'";
        for (database, status, finding) in [
            (database(), Status::Ok, "the instance db (mysql), db-ABC, has this endpoint and port"),
            (
                Database { engine: "aurora-postgresql".to_owned(), ..database() },
                Status::Fail,
                "the instance db (aurora-postgresql) has another engine",
            ),
            (Database { port: Some(3307), ..database() }, Status::Fail, "the instance db (mysql) listens on port 3307"),
            (
                Database { host: Some(new_host.to_owned()), ..database() },
                Status::Fail,
                "the endpoint of the instance db",
            ),
            (Database { status: "stopped".to_owned(), ..database() }, Status::Warn, stopped),
            (Database { kind: DatabaseKind::Proxy, port: None, host: None, ..database() }, Status::Ok, "the proxy db"),
        ] {
            let check = compare(&database, &target());
            assert!(check.status == status && check.finding.starts_with(finding), "{check:?}");
        }
    }

    #[test]
    fn iam_authentication_must_be_on() {
        assert_eq!(check_iam(&database(), &target()).status, Status::Ok);
        let off = check_iam(&Database { has_iam_authentication: false, ..database() }, &target());
        assert!(off.is_failed() && off.remedy.contains("--enable-iam-database-authentication"), "{off:?}");
    }
}
