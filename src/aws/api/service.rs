//! The AWS services, and the protocols of their calls.
//!
//! Source: "AWS Query protocol" and "AWS JSON 1.1 protocol", Smithy 2.0 specification.

/// The protocol of a service, and how a call names its operation.
pub(super) enum Protocol {
    /// A form with the parameter `Action`; the response is XML.
    Query { version: &'static str },
    /// A JSON document; the operation is in the header `X-Amz-Target`.
    Json { target: &'static str },
}

pub(super) struct Service {
    /// Its name in host names, in the signature's scope and in permissions.
    pub(super) name: &'static str,
    /// Its name in endpoint settings.
    pub(super) setting: &'static str,
    pub(super) protocol: Protocol,
}

pub(super) const RDS: Service =
    Service { name: "rds", setting: "rds", protocol: Protocol::Query { version: "2014-10-31" } };
pub(super) const STS: Service =
    Service { name: "sts", setting: "sts", protocol: Protocol::Query { version: "2011-06-15" } };
pub(super) const IAM: Service =
    Service { name: "iam", setting: "iam", protocol: Protocol::Query { version: "2010-05-08" } };
pub(super) const LOGS: Service =
    Service { name: "logs", setting: "cloudwatch_logs", protocol: Protocol::Json { target: "Logs_20140328" } };
pub(super) const SECRETS: Service = Service {
    name: "secretsmanager",
    setting: "secrets_manager",
    protocol: Protocol::Json { target: "secretsmanager" },
};
