//! One moto for all tests: a fake of RDS, IAM, STS, CloudWatch Logs and Secrets Manager (`lab/aws_services.py`).
//!
//! Tests share its data. A test that lists databases uses a region that no other test uses.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{LazyLock, Mutex};

use serde::Deserialize;
use serde_json::Value;

use crate::harness::{PROGRAM, Run, Sandbox, includes_ignored, skip};
use crate::servers::{Lab, Server};

pub(crate) struct Moto {
    /// The endpoint of all services, for `AWS_ENDPOINT_URL`.
    pub(crate) url: String,
    process: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
}

/// The answer to seed code.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Answer {
    Result(Value),
    Error(String),
}

static MOTO: LazyLock<Option<Moto>> = LazyLock::new(Moto::start);

/// Returns moto. `None` if it is not installed; the test is then skipped.
pub(crate) fn moto(test: &str) -> Option<&'static Moto> {
    assert!(includes_ignored(), "{test} starts moto; mark it #[ignore = \"needs moto\"]");
    if MOTO.is_none() {
        skip(test, "moto did not start; run `make setup`");
    }
    MOTO.as_ref()
}

impl Moto {
    /// Starts moto. It stops when its stdin is closed, at the latest when this process exits.
    fn start() -> Option<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut command = Command::new("/usr/bin/python3");
        command.arg(root.join("tests/lab/aws_services.py")).env("PYTHONPATH", root.join("target/moto"));
        let mut child: Child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().ok()?;
        let (stdin, mut stdout) = (child.stdin.take()?, BufReader::new(child.stdout.take()?));
        let mut url = String::new();
        stdout.read_line(&mut url).ok()?;
        let url = url.strip_suffix('\n')?.to_owned();
        Some(Self { url, process: Mutex::new((stdin, stdout)) })
    }

    /// Runs Python code in moto's process. The code can use `client(service, region="eu-west-1")`, a client of boto3,
    /// and `backend(service, region="eu-west-1")`, moto's own data. Returns the value of its variable `result`.
    #[track_caller]
    pub(crate) fn seed(&self, python: &str) -> Value {
        let mut process = self.process.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (stdin, stdout) = &mut *process;
        writeln!(stdin, "{}", serde_json::to_string(python).unwrap()).unwrap();
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        drop(process);
        match serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}")) {
            Answer::Result(result) => result,
            Answer::Error(traceback) => panic!("{python}\n{traceback}"),
        }
    }

    /// Creates an instance, a cluster with an instance, and a proxy in a region that no other test uses. Returns their
    /// resource IDs and host names.
    pub(crate) fn seed_databases(&self, region: &str) -> Value {
        self.seed(&format!(
        "c = client('rds', '{region}')\n\
             common = dict(MasterUsername='boss', MasterUserPassword='secret-99')\n\
             c.create_db_instance(DBInstanceIdentifier='orders', Engine='postgres', DBInstanceClass='db.t3.micro',\n\
             \x20   AllocatedStorage=20, DBName='shop', EnableIAMDatabaseAuthentication=True, **common)\n\
             c.create_db_instance(DBInstanceIdentifier='old', Engine='oracle-se2', DBInstanceClass='db.t3.micro',\n\
             \x20   AllocatedStorage=20, **common)\n\
             c.create_db_cluster(DBClusterIdentifier='main', Engine='aurora-mysql', **common)\n\
             c.create_db_instance(DBInstanceIdentifier='main-1', Engine='aurora-mysql', DBInstanceClass='db.t3.medium',\n\
             \x20   DBClusterIdentifier='main')\n\
             subnet = client('ec2', '{region}').describe_subnets()['Subnets'][0]['SubnetId']\n\
             secret = 'arn:aws:secretsmanager:{region}:123456789012:secret:x'\n\
             c.create_db_proxy(DBProxyName='pool', EngineFamily='MYSQL', VpcSubnetIds=[subnet],\n\
             \x20   Auth=[dict(AuthScheme='SECRETS', SecretArn=secret, IAMAuth='REQUIRED')],\n\
             \x20   RoleArn='arn:aws:iam::123456789012:role/pool')\n\
             b = backend('rds', '{region}')\n\
             orders, main, pool = b.databases['orders'], b.clusters['main'], b.db_proxies['pool']\n\
             result = dict(orders=orders.dbi_resource_id, main=main.db_cluster_resource_id, pool=pool.unique_id,\n\
             \x20   hosts=[orders.address, b.databases['main-1'].address, main.endpoint, main.reader_endpoint, pool.endpoint])"
        ))
    }

    /// Prepares a run of rds-token with access keys, in the region eu-west-1, that calls moto instead of AWS.
    pub(crate) fn rds_token<'a>(&self, sandbox: &Sandbox, args: impl IntoIterator<Item = &'a str>) -> Run {
        sandbox.rds_token(args).env("AWS_ENDPOINT_URL", &self.url).env("AWS_REGION", "eu-west-1")
    }
}

/// The instance `db` in moto, whose endpoint is a server of the lab. Tests that hold the lab share it.
pub(crate) struct LabDatabase<'a> {
    pub(crate) moto: &'a Moto,
    pub(crate) lab: &'a Lab,
    /// mysql, mariadb or postgres.
    pub(crate) engine: &'static str,
}

impl LabDatabase<'_> {
    pub(crate) fn server(&self) -> &Server {
        match self.engine {
            "mysql" => &self.lab.mysql,
            "mariadb" => &self.lab.mariadb,
            _ => &self.lab.postgres,
        }
    }

    /// Creates the instance. With `has_secret`, RDS manages the password of its master user. Returns the ARN of the
    /// secret.
    pub(crate) fn seed(&self, has_secret: bool) -> Value {
        let Self { moto, lab, engine } = self;
        let (master, port) = (&self.server().master, self.server().port);
        let password = serde_json::to_string(&lab.master_password).unwrap();
        let kind = if has_secret { "ManageMasterUserPassword=True" } else { "MasterUserPassword='secret-99'" };
        moto.seed(&format!(
            "import json\n\
             backend('rds').databases.pop('db', None), backend('rds').database_snapshots.clear()\n\
             client('rds').create_db_instance(DBInstanceIdentifier='db', Engine='mysql', AllocatedStorage=20,\n\
             \x20   DBInstanceClass='db.t3.micro', MasterUsername='{master}', DBName='{}',\n\
             \x20   EnableIAMDatabaseAuthentication=True, {kind})\n\
             db = backend('rds').databases['db']\n\
             db.engine, db.host, db.port = '{engine}', '{}', {port}\n\
             if {}:\n\
             \x20   result = db.master_user_secret.secret_arn\n\
             \x20   text = json.dumps(dict(username='{master}', password={password}))\n\
             \x20   client('secretsmanager').put_secret_value(SecretId=result, SecretString=text)\n",
            lab.database,
            lab.host,
            if has_secret { "True" } else { "False" },
        ))
    }

    /// Prepares a run of rds-token with keys of the lab, in a namespace where the names of the lab are in `/etc/hosts`.
    pub(crate) fn in_namespace(&self, sandbox: &Sandbox, args: &[&str]) -> Command {
        let Self { moto, lab, .. } = self;
        let mut command = sandbox.command("/usr/bin/unshare");
        let script = "/bin/mount --bind \"$0\" /etc/hosts && exec \"$@\"";
        command.args(["--mount", "/bin/sh", "-c", script, &lab.hosts_file]).arg(PROGRAM).args(args);
        let key = lab.key("static");
        command.env("AWS_ACCESS_KEY_ID", key.access_key_id).env("AWS_SECRET_ACCESS_KEY", key.secret_access_key);
        command.env("AWS_ENDPOINT_URL", &moto.url).env("AWS_REGION", "eu-west-1").env("RDS_TOKEN_CA", &lab.ca);
        let path = std::env::var_os("PATH").unwrap();
        let directories = self.server().bin.clone().into_iter().chain(std::env::split_paths(&path));
        command.env("PATH", std::env::join_paths(directories).unwrap()).env("LC_ALL", "C.UTF-8");
        command
    }
}

#[test]
#[ignore = "needs moto"]
fn seed_code_runs_in_moto() {
    let Some(moto) = moto("seed_code_runs_in_moto") else { return };
    assert_eq!(moto.seed("result = client('sts').get_caller_identity()['Account']"), "123456789012");
    assert!(std::panic::catch_unwind(|| moto.seed("client('rds').no_such_call()")).is_err());
    assert_eq!(moto.seed("result = len(backend('rds', 'eu-north-1').databases)"), 0);
}
