//! The messages of servers and clients after a failed login, with their causes.
//!
//! Source: the AWS documentation ("Troubleshooting for IAM DB authentication", "Troubleshooting for RDS Proxy"), the
//! error references of MySQL and PostgreSQL, and the sources of libpq and libmariadb. docs/access-denied.md contains the
//! same table.

/// Why a login failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoginError {
    /// The message, as the documentation shows it.
    pub message: &'static str,
    /// The forms of the message, each as the parts that must all occur, in lower case.
    parts: &'static [&'static [&'static str]],
    /// The usual cause.
    pub cause: &'static str,
    /// What to do. `TARGET` stands for the target.
    pub remedy: &'static str,
    /// The part of the login that failed.
    pub kind: Kind,
}

/// The part of a login that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The server rejects the token, and does not say why.
    Token,
    /// The database user.
    User,
    /// The database. The token was accepted.
    Database,
    /// The client.
    Client,
    /// The settings or the load of the server.
    Server,
    /// TLS.
    Tls,
    /// The network.
    Network,
}

/// The known messages. The first one that matches counts, so specific messages come first.
pub const LOGIN_ERRORS: [LoginError; 32] = [
    LoginError {
        message: "`This RDS proxy has no credentials for the role …`",
        parts: &[&["rds proxy has no credentials"]],
        cause: "the proxy has no secret for this user",
        remedy: "add the user's secret to the proxy: `aws rds modify-db-proxy --auth …`",
        kind: Kind::Server,
    },
    LoginError {
        message: "`IAM authentication failed for user …`",
        parts: &[&["iam authentication failed"]],
        cause: "the token is signed for the instance instead of the proxy, or the policy does not contain the proxy's \
                resource id (`prx-…`)",
        remedy: "use the proxy's endpoint as the host, and its resource id in the policy",
        kind: Kind::Token,
    },
    LoginError {
        message: "`IAM authentication is allowed only with SSL`",
        parts: &[&["iam authentication is allowed only with ssl"]],
        cause: "the client does not use TLS",
        remedy: "use `rds-token connect TARGET`, or the client's options for verified TLS (docs/clients.md)",
        kind: Kind::Tls,
    },
    LoginError {
        message: "`IAM authentication rate limit exceeded` (`ERROR 1040`)",
        parts: &[&["iam authentication rate limit"]],
        cause: "too many new connections per second",
        remedy: "reuse connections (docs/pools.md), or try again later",
        kind: Kind::Server,
    },
    LoginError {
        message: "`ERROR 9501`",
        parts: &[&["error 9501"]],
        cause: "the proxy timed out before it had a connection to the database; this is unrelated to IAM",
        remedy: "check that the database is available, and raise the proxy's connection borrow timeout",
        kind: Kind::Network,
    },
    LoginError {
        message: "a message with `X-Amz-Security-Token`",
        parts: &[&["x-amz-security-token"]],
        cause: "the token contains an empty session token",
        remedy: "unset AWS_SESSION_TOKEN, and sign again: `rds-token --refresh TARGET`",
        kind: Kind::Token,
    },
    // The client.
    LoginError {
        message: "`ERROR 2059: Authentication plugin 'mysql_clear_password' cannot be loaded`, \
                  `MYSQL_CLEAR_PASSWORD_NOT_ENABLED` (mysql2) or `mysql_cleartext_plugin disabled` (sqlx)",
        parts: &[&["mysql_clear_password"], &["mysql_cleartext_plugin"]],
        cause: "the client's plugin mysql_clear_password is disabled or not installed",
        remedy: "install the full client package (`apt install default-mysql-client`), remove plugin-dir from \
                 ~/.my.cnf, and use `rds-token connect TARGET`",
        kind: Kind::Client,
    },
    LoginError {
        message: "`ERROR 1251` or `ER_NOT_SUPPORTED_AUTH_MODE`",
        parts: &[&["error 1251"], &["er_not_supported_auth_mode"]],
        cause: "the driver does not support the plugin",
        remedy: "use a newer driver; in Node.js, use mysql2 instead of mysql",
        kind: Kind::Client,
    },
    LoginError {
        message: "`unknown option` or `unknown variable`",
        parts: &[&["unknown option"], &["unknown variable"]],
        cause: "the client does not know an option of its option files",
        remedy: "remove the option from ~/.my.cnf, or select another client with --client",
        kind: Kind::Client,
    },
    LoginError {
        message: "`ERROR 1524: Plugin 'AWSAuthenticationPlugin' is not loaded`",
        parts: &[&["awsauthenticationplugin", "not loaded"]],
        cause: "IAM authentication is off for this database",
        remedy: "`aws rds modify-db-instance --db-instance-identifier NAME --enable-iam-database-authentication \
                 --apply-immediately` (Aurora: `aws rds modify-db-cluster --db-cluster-identifier NAME …`)",
        kind: Kind::Server,
    },
    LoginError {
        message: "`ERROR 1129: Host '…' is blocked because of many connection errors`",
        parts: &[&["is blocked because of many connection errors"]],
        cause: "the server blocks this address after too many interrupted connections",
        remedy: "log in from another address, and run `TRUNCATE TABLE performance_schema.host_cache`",
        kind: Kind::Server,
    },
    LoginError {
        message: "`ERROR 1130: Host '…' is not allowed to connect`",
        parts: &[&["is not allowed to connect to this"]],
        cause: "no user of the server may log in from this address",
        remedy: "create the user for any host: `CREATE USER 'NAME'@'%' …` (docs/access-denied.md)",
        kind: Kind::User,
    },
    LoginError {
        message: "`ERROR 1040: Too many connections`, or `sorry, too many clients already`",
        parts: &[&["too many connections"], &["too many clients"], &["remaining connection slots"]],
        cause: "all connections of the server are in use",
        remedy: "close idle connections, or raise max_connections in the parameter group",
        kind: Kind::Server,
    },
    LoginError {
        message: "`the database system is starting up` or `shutting down`",
        parts: &[&["the database system is"]],
        cause: "the server is restarting",
        remedy: "try again in a minute",
        kind: Kind::Server,
    },
    LoginError {
        message: "`ERROR 3118: Account is locked`",
        parts: &[&["account is locked"]],
        cause: "the database user is locked",
        remedy: "`ALTER USER 'NAME'@'%' ACCOUNT UNLOCK`",
        kind: Kind::User,
    },
    LoginError {
        message: "`role \"…\" is not permitted to log in`",
        parts: &[&["is not permitted to log in"]],
        cause: "the role has no LOGIN attribute",
        remedy: "`ALTER ROLE \"NAME\" LOGIN`",
        kind: Kind::User,
    },
    // The token was accepted.
    LoginError {
        message: "`ERROR 1049: Unknown database`",
        parts: &[&["unknown database"]],
        cause: "the token was accepted, but the database does not exist",
        remedy: "use an existing database: TARGET/DATABASE or -D DATABASE",
        kind: Kind::Database,
    },
    LoginError {
        message: "`ERROR 1044: Access denied for user … to database …`",
        parts: &[&["access denied for user", "to database"]],
        cause: "the token was accepted, but the user has no privileges for the database",
        remedy: "`GRANT SELECT ON DATABASE.* TO 'NAME'@'%'`",
        kind: Kind::Database,
    },
    LoginError {
        message: "PostgreSQL: `database \"…\" does not exist`",
        parts: &[&["database \"", "does not exist"]],
        cause: "the token was accepted, but the database does not exist; without a database, psql opens one with the \
                name of the user",
        remedy: "use an existing database: TARGET/DATABASE or -D DATABASE, for example -D postgres",
        kind: Kind::Database,
    },
    LoginError {
        message: "`permission denied for database`",
        parts: &[&["permission denied for database"]],
        cause: "the token was accepted, but the user may not connect to the database",
        remedy: "`GRANT CONNECT ON DATABASE \"DATABASE\" TO \"NAME\"`",
        kind: Kind::Database,
    },
    // The token or the user.
    LoginError {
        message: "PostgreSQL: `FATAL: PAM authentication failed for user …`",
        parts: &[&["pam authentication failed"]],
        cause: "the server rejected the token: the permission rds-db:connect is missing, or the host, port or AWS \
                account is not that of the database",
        remedy: "allow rds-db:connect for this user in the policy of the AWS identity, with the database's resource \
                 id (docs/access-denied.md)",
        kind: Kind::Token,
    },
    LoginError {
        message: "PostgreSQL: `password authentication failed for user …`",
        parts: &[&["password authentication failed"]],
        cause: "the user does not exist, does not have the role rds_iam, or IAM authentication is off",
        remedy: "check the user's name and case, and run `GRANT rds_iam TO \"NAME\"` as the master user",
        kind: Kind::User,
    },
    LoginError {
        message: "PostgreSQL: `role \"…\" does not exist`",
        parts: &[&["role \"", "does not exist"]],
        cause: "the user does not exist",
        remedy: "run `CREATE USER \"NAME\"; GRANT rds_iam TO \"NAME\"` as the master user",
        kind: Kind::User,
    },
    LoginError {
        message: "PostgreSQL: `no pg_hba.conf entry …, no encryption` or `pg_hba.conf rejects … SSL off`",
        parts: &[&["pg_hba.conf", "no encryption"], &["pg_hba.conf", "ssl off"]],
        cause: "the client does not use TLS; if the message follows a PAM failure, the PAM failure is the cause, and \
                libpq only retried without TLS",
        remedy: "set sslmode=verify-full",
        kind: Kind::Tls,
    },
    LoginError {
        message: "PostgreSQL: `no pg_hba.conf entry …, SSL encryption`",
        parts: &[&["pg_hba.conf"]],
        cause: "the server has no rule for this user: it does not exist, or it does not have the role rds_iam",
        remedy: "check the user's name and case, and run `GRANT rds_iam TO \"NAME\"` as the master user",
        kind: Kind::User,
    },
    LoginError {
        message: "`ERROR 3159: Connections using insecure transport are prohibited`",
        parts: &[&["insecure transport"]],
        cause: "the client does not use TLS",
        remedy: "use `rds-token connect TARGET`, or the client's options for verified TLS (docs/clients.md)",
        kind: Kind::Tls,
    },
    LoginError {
        message: "MySQL, MariaDB: `ERROR 1045 (28000): Access denied for user …`",
        parts: &[&["access denied for user"]],
        cause: "the user does not exist or does not use AWSAuthenticationPlugin, or the server rejected the token: \
                the permission rds-db:connect is missing, or the host, port or AWS account is not that of the database",
        remedy: "check the user (`SELECT user, host, plugin FROM mysql.user`) and the policy (docs/access-denied.md)",
        kind: Kind::Token,
    },
    // TLS and the network.
    LoginError {
        message: "`self-signed certificate in certificate chain`, or `certificate verify failed`",
        parts: &[&["certificate"]],
        cause: "the client does not trust the server's certificate",
        remedy: "if the certificate is from a private CA, use --ca FILE; otherwise check that the host is the \
                 endpoint of the database",
        kind: Kind::Tls,
    },
    LoginError {
        message: "`TLS/SSL error` or `SSL connection error`",
        parts: &[&["ssl"]],
        cause: "TLS with the server failed",
        remedy: "check that the host is the endpoint of the database, and use --ca FILE for a private CA",
        kind: Kind::Tls,
    },
    LoginError {
        message: "`Unknown MySQL server host` or `could not translate host name`",
        parts: &[&["unknown ", "server host"], &["could not translate host name"]],
        cause: "the host name has no address",
        remedy: "check the host name, and the VPN or the DNS of the VPC",
        kind: Kind::Network,
    },
    LoginError {
        message: "`ERROR 2013: Lost connection`, or `server closed the connection unexpectedly`",
        parts: &[&["lost connection"], &["closed the connection unexpectedly"]],
        cause: "the server or a proxy closed the connection",
        remedy: "check that the port belongs to the database, and read the server's error log",
        kind: Kind::Network,
    },
    LoginError {
        message: "`ERROR 2002` or `2003: Can't connect`, `connection refused`, `timeout expired`",
        parts: &[&["connect"]],
        cause: "the server can't be reached",
        remedy: "check the host, the port, the security group and the VPN",
        kind: Kind::Network,
    },
];

/// Returns the known error in the output of a client. `None` if the text contains no known message.
pub(crate) fn explain(text: &str) -> Option<&'static LoginError> {
    let text = text.to_lowercase();
    LOGIN_ERRORS.iter().find(|error| error.parts.iter().any(|form| form.iter().all(|part| text.contains(part))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_explained_by_their_most_specific_cause() {
        for (text, expected) in [
            ("ERROR 1045 (28000): Access denied for user 'app'@'10.0.0.1' (using password: YES)", Some(Kind::Token)),
            ("ERROR 1044 (42000): Access denied for user 'app'@'%' to database 'x'", Some(Kind::Database)),
            ("ERROR 1524 (HY000): Plugin 'AWSAuthenticationPlugin' is not loaded", Some(Kind::Server)),
            (
                "ERROR 2059 (HY000): Authentication plugin 'mysql_clear_password' cannot be loaded: plugin not enabled",
                Some(Kind::Client),
            ),
            ("ERROR 1040 (HY000): Too many connections", Some(Kind::Server)),
            ("ERROR 1040 (HY000): IAM authentication rate limit exceeded", Some(Kind::Server)),
            ("mariadb: unknown variable 'x=1'", Some(Kind::Client)),
            (
                "psql: error: connection to server at \"h\" (10.0.0.1), port 5432 failed: FATAL:  PAM authentication \
                 failed for user \"app\"\nconnection to server at \"h\" (10.0.0.1), port 5432 failed: FATAL:  \
                 pg_hba.conf rejects connection for host \"10.0.0.2\", user \"app\", database \"x\", SSL off",
                Some(Kind::Token),
            ),
            ("FATAL:  password authentication failed for user \"App\"", Some(Kind::User)),
            ("FATAL:  database \"app\" does not exist", Some(Kind::Database)),
            ("FATAL:  role \"app\" does not exist", Some(Kind::User)),
            ("psql: error: could not translate host name \"x\" to address", Some(Kind::Network)),
            ("ERROR 2026 (HY000): TLS/SSL error: self-signed certificate in certificate chain", Some(Kind::Tls)),
            ("ERROR 2026 (HY000): SSL connection error: unexpected eof", Some(Kind::Tls)),
            ("ERROR 2005 (HY000): Unknown MySQL server host 'x' (-2)", Some(Kind::Network)),
            ("ERROR 2002 (HY000): Can't connect to server on 'x' (115)", Some(Kind::Network)),
            ("ERROR 1064 (42000): You have an error in your SQL syntax", None),
        ] {
            assert_eq!(explain(text).map(|error| error.kind), expected, "{text}");
        }
    }
}
