//! The messages of servers and clients after a failed login, with causes and remedies.
//!
//! Source: the AWS documentation ("Troubleshooting for IAM DB authentication", "Troubleshooting for RDS Proxy"), the
//! error references of MySQL and PostgreSQL, and the sources of libpq and libmariadb. docs/access-denied.md contains the
//! same table.

/// A known error of a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoginError {
    /// The message, as the documentation shows it.
    pub message: &'static str,
    /// Patterns of the message, in lower case. A pattern matches a text that contains all its parts.
    patterns: &'static [&'static [&'static str]],
    /// The usual cause.
    pub cause: &'static str,
    /// What to do. `TARGET` stands for the target.
    pub remedy: &'static str,
    /// The part of the login that failed.
    pub part: FailedPart,
}

/// The part of a login that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailedPart {
    /// The token. The server does not name the reason.
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

/// The known errors. The first match is used, so specific messages come first.
pub const LOGIN_ERRORS: [LoginError; 36] = [
    LoginError {
        message: "`This RDS proxy has no credentials for the role …`",
        patterns: &[&["rds proxy has no credentials"]],
        cause: "the proxy has no secret for this user",
        remedy: "add the user's secret to the proxy: `aws rds modify-db-proxy --auth …`",
        part: FailedPart::Server,
    },
    LoginError {
        message: "`IAM authentication failed for user …`",
        patterns: &[&["iam authentication failed"]],
        cause: "the token is signed for the instance instead of the proxy, or the policy does not contain the proxy's \
                resource id (`prx-…`)",
        remedy: "use the proxy's endpoint as the host, and its resource id in the policy",
        part: FailedPart::Token,
    },
    LoginError {
        message: "`IAM authentication is allowed only with SSL`",
        patterns: &[&["iam authentication is allowed only with ssl"]],
        cause: "the client does not use TLS",
        remedy: "use `rds-token connect TARGET`, or the client's options for verified TLS (docs/clients.md)",
        part: FailedPart::Tls,
    },
    LoginError {
        message: "`IAM authentication rate limit exceeded` (`ERROR 1040`)",
        patterns: &[&["iam authentication rate limit"]],
        cause: "too many new connections per second",
        remedy: "reuse connections (docs/pools.md), or try again later",
        part: FailedPart::Server,
    },
    LoginError {
        message: "`ERROR 9501`",
        patterns: &[&["error 9501"]],
        cause: "the proxy timed out before it had a connection to the database; this is unrelated to IAM",
        remedy: "check that the database is available, and raise the proxy's connection borrow timeout",
        part: FailedPart::Network,
    },
    LoginError {
        message: "a message with `X-Amz-Security-Token`",
        patterns: &[&["x-amz-security-token"]],
        cause: "the token contains an empty session token",
        remedy: "unset AWS_SESSION_TOKEN, and sign again: `rds-token --refresh TARGET`",
        part: FailedPart::Token,
    },
    // Aurora DSQL.
    LoginError {
        message: "`unable to accept connection, access denied` with `Signature expired`",
        patterns: &[&["access denied", "signature expired"]],
        cause: "the token has expired",
        remedy: "get a new token: `rds-token --refresh TARGET`",
        part: FailedPart::Token,
    },
    LoginError {
        message: "`unable to accept connection, access denied` with `Wrong user to action mapping`",
        patterns: &[&["access denied", "wrong user to action mapping"]],
        cause: "the token is for admin and the user is another one, or the reverse",
        remedy: "use the same user for the token and for the connection, as `rds-token connect TARGET` does",
        part: FailedPart::Token,
    },
    LoginError {
        message: "`unable to accept connection, access denied`",
        patterns: &[&["unable to accept connection", "access denied"]],
        cause: "the permission dsql:DbConnect (for admin: dsql:DbConnectAdmin) is missing, the user does not exist, or \
                it is not granted to the AWS identity",
        remedy: "compare the policy with `rds-token policy TARGET`, and run the statements of `rds-token sql TARGET` as \
                 admin",
        part: FailedPart::Token,
    },
    LoginError {
        message: "`unable to accept connection, sni was not received` or `unrecognized SSL error code: 6`",
        patterns: &[&["sni was not received"], &["ssl error code: 6"]],
        cause: "the client does not send the name of the server (SNI), which Aurora DSQL requires",
        remedy: "use psql 14 or later",
        part: FailedPart::Client,
    },
    // The client.
    LoginError {
        message: "`ERROR 2059: Authentication plugin 'mysql_clear_password' cannot be loaded`, \
                  `MYSQL_CLEAR_PASSWORD_NOT_ENABLED` (mysql2) or `mysql_cleartext_plugin disabled` (sqlx)",
        patterns: &[&["mysql_clear_password"], &["mysql_cleartext_plugin"]],
        cause: "the client's plugin mysql_clear_password is disabled or not installed",
        remedy: "install the full client package (`apt install default-mysql-client`), remove plugin-dir from \
                 ~/.my.cnf, and use `rds-token connect TARGET`",
        part: FailedPart::Client,
    },
    LoginError {
        message: "`ERROR 1251` or `ER_NOT_SUPPORTED_AUTH_MODE`",
        patterns: &[&["error 1251"], &["er_not_supported_auth_mode"]],
        cause: "the driver does not support the plugin",
        remedy: "use a newer driver; in Node.js, use mysql2 instead of mysql",
        part: FailedPart::Client,
    },
    LoginError {
        message: "`unknown option` or `unknown variable`",
        patterns: &[&["unknown option"], &["unknown variable"]],
        cause: "the client does not know an option of its option files",
        remedy: "remove the option from ~/.my.cnf, or select another client with --client",
        part: FailedPart::Client,
    },
    LoginError {
        message: "`ERROR 1524: Plugin 'AWSAuthenticationPlugin' is not loaded`",
        patterns: &[&["awsauthenticationplugin", "not loaded"]],
        cause: "IAM authentication is off for this database",
        remedy: "`aws rds modify-db-instance --db-instance-identifier NAME --enable-iam-database-authentication \
                 --apply-immediately` (Aurora: `aws rds modify-db-cluster --db-cluster-identifier NAME …`)",
        part: FailedPart::Server,
    },
    LoginError {
        message: "`ERROR 1129: Host '…' is blocked because of many connection errors`",
        patterns: &[&["is blocked because of many connection errors"]],
        cause: "the server blocks this address after too many interrupted connections",
        remedy: "log in from another address, and run `TRUNCATE TABLE performance_schema.host_cache`",
        part: FailedPart::Server,
    },
    LoginError {
        message: "`ERROR 1130: Host '…' is not allowed to connect`",
        patterns: &[&["is not allowed to connect to this"]],
        cause: "the server has no user that may log in from this address",
        remedy: "create the user for any host: `CREATE USER 'NAME'@'%' …` (docs/access-denied.md)",
        part: FailedPart::User,
    },
    LoginError {
        message: "`ERROR 1040: Too many connections`, or `sorry, too many clients already`",
        patterns: &[&["too many connections"], &["too many clients"], &["remaining connection slots"]],
        cause: "all connections of the server are in use",
        remedy: "close idle connections, or raise max_connections in the parameter group",
        part: FailedPart::Server,
    },
    LoginError {
        message: "`the database system is starting up` or `shutting down`",
        patterns: &[&["the database system is"]],
        cause: "the server is restarting",
        remedy: "try again in a minute",
        part: FailedPart::Server,
    },
    LoginError {
        message: "`ERROR 3118: Account is locked`",
        patterns: &[&["account is locked"]],
        cause: "the database user is locked",
        remedy: "`ALTER USER 'NAME'@'%' ACCOUNT UNLOCK`",
        part: FailedPart::User,
    },
    LoginError {
        message: "`role \"…\" is not permitted to log in`",
        patterns: &[&["is not permitted to log in"]],
        cause: "the role has no LOGIN attribute",
        remedy: "`ALTER ROLE \"NAME\" LOGIN`",
        part: FailedPart::User,
    },
    // The token was accepted.
    LoginError {
        message: "`ERROR 1049: Unknown database`",
        patterns: &[&["unknown database"]],
        cause: "the token was accepted, but the database does not exist",
        remedy: "use an existing database: TARGET/DATABASE or -D DATABASE",
        part: FailedPart::Database,
    },
    LoginError {
        message: "`ERROR 1044: Access denied for user … to database …`",
        patterns: &[&["access denied for user", "to database"]],
        cause: "the token was accepted, but the user has no privileges for the database",
        remedy: "`GRANT SELECT ON DATABASE.* TO 'NAME'@'%'`",
        part: FailedPart::Database,
    },
    LoginError {
        message: "PostgreSQL: `database \"…\" does not exist`",
        patterns: &[&["database \"", "does not exist"]],
        cause: "the token was accepted, but the database does not exist; without a database, psql opens one with the \
                name of the user",
        remedy: "use an existing database: TARGET/DATABASE or -D DATABASE, for example -D postgres",
        part: FailedPart::Database,
    },
    LoginError {
        message: "`permission denied for database`",
        patterns: &[&["permission denied for database"]],
        cause: "the token was accepted, but the user may not connect to the database",
        remedy: "`GRANT CONNECT ON DATABASE \"DATABASE\" TO \"NAME\"`",
        part: FailedPart::Database,
    },
    // The token or the user.
    LoginError {
        message: "PostgreSQL: `FATAL: PAM authentication failed for user …`",
        patterns: &[&["pam authentication failed"]],
        cause: "the server rejected the token: the permission rds-db:connect is missing, or the host, port or AWS \
                account is not that of the database",
        remedy: "allow rds-db:connect for this user in the policy of the AWS identity, with the database's resource \
                 id (docs/access-denied.md)",
        part: FailedPart::Token,
    },
    LoginError {
        message: "PostgreSQL: `password authentication failed for user …`",
        patterns: &[&["password authentication failed"]],
        cause: "the user does not exist, does not have the role rds_iam, or IAM authentication is off",
        remedy: "check the user's name and case, and run `GRANT rds_iam TO \"NAME\"` as the master user",
        part: FailedPart::User,
    },
    LoginError {
        message: "PostgreSQL: `role \"…\" does not exist`",
        patterns: &[&["role \"", "does not exist"]],
        cause: "the user does not exist",
        remedy: "run `CREATE USER \"NAME\"; GRANT rds_iam TO \"NAME\"` as the master user",
        part: FailedPart::User,
    },
    LoginError {
        message: "PostgreSQL: `no pg_hba.conf entry …, no encryption` or `pg_hba.conf rejects … SSL off`",
        patterns: &[&["pg_hba.conf", "no encryption"], &["pg_hba.conf", "ssl off"]],
        cause: "the client does not use TLS; if the message follows a PAM failure, the PAM failure is the cause, and \
                libpq only retried without TLS",
        remedy: "set sslmode=verify-full",
        part: FailedPart::Tls,
    },
    LoginError {
        message: "PostgreSQL: `no pg_hba.conf entry …, SSL encryption`",
        patterns: &[&["pg_hba.conf"]],
        cause: "the server has no rule for this user: it does not exist, or it does not have the role rds_iam",
        remedy: "check the user's name and case, and run `GRANT rds_iam TO \"NAME\"` as the master user",
        part: FailedPart::User,
    },
    LoginError {
        message: "`ERROR 3159: Connections using insecure transport are prohibited`",
        patterns: &[&["insecure transport"]],
        cause: "the client does not use TLS",
        remedy: "use `rds-token connect TARGET`, or the client's options for verified TLS (docs/clients.md)",
        part: FailedPart::Tls,
    },
    LoginError {
        message: "MySQL, MariaDB: `ERROR 1045 (28000): Access denied for user …`",
        patterns: &[&["access denied for user"]],
        cause: "the user does not exist or does not use AWSAuthenticationPlugin, or the server rejected the token: \
                the permission rds-db:connect is missing, or the host, port or AWS account is not that of the database",
        remedy: "check the user (`SELECT user, host, plugin FROM mysql.user`) and the policy (docs/access-denied.md)",
        part: FailedPart::Token,
    },
    // TLS and the network.
    LoginError {
        message: "`self-signed certificate in certificate chain`, or `certificate verify failed`",
        patterns: &[&["certificate"]],
        cause: "the client does not trust the server's certificate",
        remedy: "if the certificate is from a private CA, use --ca FILE; otherwise check that the host is the \
                 endpoint of the database",
        part: FailedPart::Tls,
    },
    LoginError {
        message: "`TLS/SSL error` or `SSL connection error`",
        patterns: &[&["ssl"]],
        cause: "TLS with the server failed",
        remedy: "check that the host is the endpoint of the database, and use --ca FILE for a private CA",
        part: FailedPart::Tls,
    },
    LoginError {
        message: "`Unknown MySQL server host` or `could not translate host name`",
        patterns: &[&["unknown ", "server host"], &["could not translate host name"]],
        cause: "the host name has no address",
        remedy: "check the host name, and the VPN or the DNS of the VPC",
        part: FailedPart::Network,
    },
    LoginError {
        message: "`ERROR 2013: Lost connection`, or `server closed the connection unexpectedly`",
        patterns: &[&["lost connection"], &["closed the connection unexpectedly"]],
        cause: "the server or a proxy closed the connection",
        remedy: "check that the port belongs to the database, and read the server's error log",
        part: FailedPart::Network,
    },
    LoginError {
        message: "`ERROR 2002` or `2003: Can't connect`, `connection refused`, `timeout expired`",
        patterns: &[&["connect"]],
        cause: "the server can't be reached",
        remedy: "check the host, the port, the security group and the VPN",
        part: FailedPart::Network,
    },
];

/// Returns the known error in the output of a client. `None` if the text contains no known message.
pub(crate) fn explain(text: &str) -> Option<&'static LoginError> {
    let text = text.to_lowercase();
    LOGIN_ERRORS
        .iter()
        .find(|error| error.patterns.iter().any(|pattern| pattern.iter().all(|part| text.contains(part))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_explained_by_their_most_specific_cause() {
        for (text, expected) in [
            (
                "ERROR 1045 (28000): Access denied for user 'app'@'10.0.0.1' (using password: YES)",
                Some(FailedPart::Token),
            ),
            ("ERROR 1044 (42000): Access denied for user 'app'@'%' to database 'x'", Some(FailedPart::Database)),
            ("ERROR 1524 (HY000): Plugin 'AWSAuthenticationPlugin' is not loaded", Some(FailedPart::Server)),
            (
                "ERROR 2059 (HY000): Authentication plugin 'mysql_clear_password' cannot be loaded: plugin not enabled",
                Some(FailedPart::Client),
            ),
            ("ERROR 1040 (HY000): Too many connections", Some(FailedPart::Server)),
            ("ERROR 1040 (HY000): IAM authentication rate limit exceeded", Some(FailedPart::Server)),
            ("mariadb: unknown variable 'x=1'", Some(FailedPart::Client)),
            (
                "psql: error: connection to server at \"h\" (10.0.0.1), port 5432 failed: FATAL:  PAM authentication \
                 failed for user \"app\"\nconnection to server at \"h\" (10.0.0.1), port 5432 failed: FATAL:  \
                 pg_hba.conf rejects connection for host \"10.0.0.2\", user \"app\", database \"x\", SSL off",
                Some(FailedPart::Token),
            ),
            ("FATAL:  password authentication failed for user \"App\"", Some(FailedPart::User)),
            ("FATAL:  database \"app\" does not exist", Some(FailedPart::Database)),
            ("FATAL:  role \"app\" does not exist", Some(FailedPart::User)),
            ("psql: error: could not translate host name \"x\" to address", Some(FailedPart::Network)),
            ("ERROR 2026 (HY000): TLS/SSL error: self-signed certificate in certificate chain", Some(FailedPart::Tls)),
            ("ERROR 2026 (HY000): SSL connection error: unexpected eof", Some(FailedPart::Tls)),
            ("ERROR 2005 (HY000): Unknown MySQL server host 'x' (-2)", Some(FailedPart::Network)),
            ("ERROR 2002 (HY000): Can't connect to server on 'x' (115)", Some(FailedPart::Network)),
            ("ERROR 1064 (42000): You have an error in your SQL syntax", None),
        ] {
            assert_eq!(explain(text).map(|error| error.part), expected, "{text}");
        }
    }
}
