//! Policies as text: JSON, a CloudFormation template, Terraform.

use serde::Serialize;

use super::statement::Policy;
use crate::error::Error;

/// A format of policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// The policy document.
    Json,
    /// A template in YAML with a managed policy.
    Cloudformation,
    /// A resource `aws_iam_policy`.
    Terraform,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Document<'a> {
    version: &'a str,
    statement: [Statement<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Statement<'a> {
    effect: &'a str,
    action: &'a [&'a str],
    resource: &'a [String],
}

/// The version of the policy language. Older versions have no variables.
const VERSION: &str = "2012-10-17";

impl Policy {
    /// Returns the policy in a format, with a newline. Fails if the format can't express a user (exit 2).
    pub(crate) fn render(&self, format: Format) -> Result<String, Error> {
        Ok(match format {
            Format::Json => self.json(),
            Format::Cloudformation => self.cloudformation()?,
            Format::Terraform => self.terraform(),
        })
    }

    fn json(&self) -> String {
        let statement = Statement { effect: "Allow", action: &self.actions, resource: &self.resources };
        let document = Document { version: VERSION, statement: [statement] };
        serde_json::to_string_pretty(&document).unwrap_or_default() + "\n"
    }

    fn cloudformation(&self) -> Result<String, Error> {
        // CloudFormation replaces dynamic references in each string of a template, and has no escape for them.
        if let Some(arn) = self.resources.iter().find(|arn| arn.contains("{{resolve:")) {
            let user = arn.rsplit('/').next().unwrap_or_default();
            return Err(Error::usage(format!(
                "user: '{user}' contains '{{{{resolve:', which CloudFormation would replace; use --output json"
            )));
        }
        let quote = |text: &str| format!("'{}'", text.replace('\'', "''"));
        let items = |texts: &mut dyn Iterator<Item = &str>| -> String {
            texts.map(|text| format!("              - {}\n", quote(text))).collect()
        };
        Ok(format!(
            "AWSTemplateFormatVersion: '2010-09-09'\n\
             Resources:\n  \
               DatabaseLoginPolicy:\n    \
                 Type: AWS::IAM::ManagedPolicy\n    \
                 Properties:\n      \
                   PolicyDocument:\n        \
                     Version: '{VERSION}'\n        \
                     Statement:\n          \
                       - Effect: Allow\n            \
                         Action:\n{}            \
                         Resource:\n{}",
            items(&mut self.actions.iter().copied()),
            items(&mut self.resources.iter().map(String::as_str)),
        ))
    }

    fn terraform(&self) -> String {
        let items = |texts: &mut dyn Iterator<Item = &str>| -> String {
            texts.map(|text| format!("        {},\n", quote_hcl(text))).collect()
        };
        format!(
            "resource \"aws_iam_policy\" \"database_login\" {{\n  \
               name_prefix = \"database-login-\"\n  \
               policy = jsonencode({{\n    \
                 Version = \"{VERSION}\"\n    \
                 Statement = [{{\n      \
                   Effect = \"Allow\"\n      \
                   Action = [\n{}      ]\n      \
                   Resource = [\n{}      ]\n    \
                 }}]\n  \
               }})\n\
             }}\n",
            items(&mut self.actions.iter().copied()),
            items(&mut self.resources.iter().map(String::as_str)),
        )
    }
}

/// Quotes a string for HCL. Doubles the first character of `${` and `%{`, because they begin templates.
fn quote_hcl(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace("${", "$${").replace("%{", "%%{");
    format!("\"{escaped}\"")
}
