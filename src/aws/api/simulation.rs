//! The evaluation of a principal's policies (`iam:SimulatePrincipalPolicy`).

use serde::Deserialize;

use super::client::Api;
use super::error::ApiError;
use super::service::IAM;

/// The decision on an action and one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    Allowed,
    /// A statement denies it.
    ExplicitlyDenied,
    /// No statement allows it.
    NotAllowed,
}

#[derive(Deserialize)]
struct Response {
    #[serde(rename = "SimulatePrincipalPolicyResult")]
    result: ResultRecord,
}

#[derive(Deserialize)]
struct ResultRecord {
    #[serde(rename = "EvaluationResults", default)]
    results: Members,
}

#[derive(Default, Deserialize)]
struct Members {
    #[serde(rename = "member", default)]
    members: Vec<EvaluationRecord>,
}

#[derive(Deserialize)]
struct EvaluationRecord {
    #[serde(rename = "EvalDecision")]
    decision: String,
    #[serde(rename = "EvalResourceName", default)]
    resource: String,
}

impl Api<'_> {
    /// Returns the decision on `action` for each of `resources`. IAM evaluates the policies of the user or role
    /// `principal`.
    pub(crate) fn simulate(
        &self,
        principal: &str,
        action: &str,
        resources: &[&str],
    ) -> Result<Vec<(String, Decision)>, ApiError> {
        let names: Vec<String> = (1..=resources.len()).map(|number| format!("ResourceArns.member.{number}")).collect();
        let mut parameters = vec![("PolicySourceArn", principal), ("ActionNames.member.1", action)];
        parameters.extend(names.iter().map(String::as_str).zip(resources.iter().copied()));
        let Response { result } = self.query(&IAM, "SimulatePrincipalPolicy", &parameters)?;
        Ok(result
            .results
            .members
            .into_iter()
            .map(|record| (record.resource, parse_decision(&record.decision)))
            .collect())
    }
}

fn parse_decision(text: &str) -> Decision {
    match text {
        "allowed" => Decision::Allowed,
        "explicitDeny" => Decision::ExplicitlyDenied,
        _ => Decision::NotAllowed,
    }
}
