//! Form-encoded parameters, as Stripe's clients send them, into requests.
//!
//! Names that Stripe knows and that change nothing here are accepted and left alone, so that a client written for
//! Stripe needs no other code for the stand-in; any other name is refused, as Stripe does.

use std::{collections::BTreeMap, sync::Arc};

use uuid::Uuid;

use crate::{
    answer::Problem,
    books::{Metadata, Request},
    intent::{CancelReason, Command},
    token::Token,
};

/// Parameters of Stripe's without a meaning here; a nested one (`shipping[name]`) goes by its first part.
const IGNORED: &[&str] = &[
    "automatic_payment_methods",
    "customer",
    "description",
    "error_on_requires_action",
    "expand",
    "metadata",
    "off_session",
    "payment_method_types",
    "reason",
    "receipt_email",
    "return_url",
    "shipping",
    "statement_descriptor",
    "statement_descriptor_suffix",
];

const METADATA_KEYS: usize = 50;
const METADATA_KEY_LENGTH: usize = 40;
const METADATA_VALUE_LENGTH: usize = 500;

/// The parameters of one request, by name.
pub(crate) struct Form(BTreeMap<String, String>);

impl Form {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, Problem> {
        let pairs: Vec<(String, String)> = serde_urlencoded::from_bytes(body)
            .map_err(|error| Problem::invalid(format!("The body is not form-encoded: {error}")))?;
        let mut params = BTreeMap::new();
        for (name, value) in pairs {
            if let Some(name) =
                params.insert(name.clone(), value).and((!name.ends_with("[]")).then_some(name))
            {
                return Err(Problem::invalid(format!("The parameter {name} is given twice")).param(&name));
            }
        }
        Ok(Self(params))
    }

    /// Equal for requests that ask for the same, in whatever order the parameters came.
    pub(crate) fn fingerprint(&self, path: &str) -> Uuid {
        let mut text = path.to_owned();
        for part in self.0.iter().flat_map(|(name, value)| [name, value]) {
            // The length keeps `a=b` + `c=d` apart from one value that contains the others' text.
            text.push_str(&format!("\n{} {part}", part.len()));
        }
        Uuid::new_v5(&Uuid::NAMESPACE_OID, text.as_bytes())
    }

    pub(crate) fn create(mut self) -> Result<Request, Problem> {
        let amount = self.amount("amount")?.ok_or_else(|| Problem::missing("amount"))?;
        let currency = self.currency()?;
        let payment_method = self.required("payment_method")?;
        let payment_method = Token::parse(&payment_method).ok_or_else(|| {
            Problem::no_such("payment_method", &format!("No such PaymentMethod: '{payment_method}'"))
        })?;
        self.only("capture_method", "manual")?;
        self.only("confirm", "true")?;
        let metadata = self.metadata()?;
        self.finish()?;
        Ok(Request::Create { amount, currency, payment_method, metadata })
    }

    pub(crate) fn capture(mut self, payment_intent: String) -> Result<Request, Problem> {
        let amount = self.amount("amount_to_capture")?;
        self.finish()?;
        Ok(Request::Change { payment_intent: payment_intent.into(), command: Command::Capture { amount } })
    }

    pub(crate) fn cancel(mut self, payment_intent: String) -> Result<Request, Problem> {
        let reason = match self.0.remove("cancellation_reason").as_deref() {
            None => None,
            Some("abandoned") => Some(CancelReason::Abandoned),
            Some("duplicate") => Some(CancelReason::Duplicate),
            Some("fraudulent") => Some(CancelReason::Fraudulent),
            Some("requested_by_customer") => Some(CancelReason::RequestedByCustomer),
            Some(_) => {
                return Err(Problem::invalid("Invalid cancellation_reason: must be one of abandoned, duplicate, fraudulent, or requested_by_customer")
                    .param("cancellation_reason"));
            }
        };
        self.finish()?;
        Ok(Request::Change { payment_intent: payment_intent.into(), command: Command::Cancel { reason } })
    }

    pub(crate) fn refund(mut self) -> Result<Request, Problem> {
        let payment_intent = self.required("payment_intent")?.into();
        let amount = self.amount("amount")?;
        self.finish()?;
        Ok(Request::Change { payment_intent, command: Command::Refund { amount } })
    }

    /// Whose refunds are to be listed, and how many of them.
    pub(crate) fn refunds(mut self) -> Result<(String, usize), Problem> {
        let payment_intent = self.required("payment_intent")?;
        let limit = match self.amount("limit")?.map(usize::try_from) {
            None => 10,
            Some(Ok(limit @ 1..=100)) => limit,
            Some(_) => return Err(Problem::invalid("The limit is between 1 and 100").param("limit")),
        };
        self.finish()?;
        Ok((payment_intent, limit))
    }

    fn required(&mut self, name: &'static str) -> Result<String, Problem> {
        self.0.remove(name).filter(|value| !value.is_empty()).ok_or_else(|| Problem::missing(name))
    }

    fn amount(&mut self, name: &'static str) -> Result<Option<i64>, Problem> {
        let Some(text) = self.0.remove(name) else { return Ok(None) };
        match text.parse::<i64>() {
            Ok(amount) if amount > 0 => Ok(Some(amount)),
            Ok(_) => Err(Problem::invalid("Invalid positive integer")
                .code("parameter_invalid_integer")
                .param(name)),
            Err(_) => Err(Problem::invalid(format!("Invalid integer: {text}"))
                .code("parameter_invalid_integer")
                .param(name)),
        }
    }

    fn currency(&mut self) -> Result<Arc<str>, Problem> {
        let currency = self.required("currency")?;
        match currency.len() == 3 && currency.bytes().all(|byte| byte.is_ascii_lowercase()) {
            true => Ok(currency.into()),
            false => Err(Problem::invalid(format!(
                "Invalid currency: {currency}: a three-letter ISO code in lower case is expected"
            ))
            .param("currency")),
        }
    }

    /// This stand-in serves one flow: confirmed at once, captured later.
    fn only(&mut self, name: &'static str, value: &str) -> Result<(), Problem> {
        match self.required(name)? == value {
            true => Ok(()),
            false => Err(Problem::invalid(format!("This provider serves only {name}={value}")).param(name)),
        }
    }

    fn metadata(&mut self) -> Result<Metadata, Problem> {
        let named = |name: &str| Some(name.strip_prefix("metadata[")?.strip_suffix(']')?.to_owned());
        let metadata: Metadata =
            self.0.iter().filter_map(|(name, value)| Some((named(name)?, value.clone()))).collect();
        if metadata.len() > METADATA_KEYS {
            return Err(Problem::invalid("Metadata can have up to 50 keys").param("metadata"));
        }
        for (key, value) in &metadata {
            if key.is_empty()
                || key.chars().count() > METADATA_KEY_LENGTH
                || value.chars().count() > METADATA_VALUE_LENGTH
            {
                return Err(Problem::invalid(
                    "Metadata keys have 1 to 40 characters and values up to 500 characters",
                )
                .param("metadata"));
            }
        }
        Ok(metadata)
    }

    /// Refuses what nobody has taken, so that a misspelt parameter is not silently lost.
    fn finish(self) -> Result<(), Problem> {
        match self.0.keys().find(|name| !is_ignored(name)) {
            None => Ok(()),
            Some(name) => Err(Problem::invalid(format!("Received unknown parameter: {name}"))
                .code("parameter_unknown")
                .param(name)),
        }
    }
}

fn is_ignored(name: &str) -> bool {
    let top = name.split_once('[').map_or(name, |(top, _)| top);
    IGNORED.contains(&top)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fingerprint(path: &str, body: &str) -> Uuid {
        Form::parse(body.as_bytes()).expect("a form").fingerprint(path)
    }

    #[test]
    fn a_fingerprint_depends_on_path_names_and_values_and_not_on_their_order() {
        assert_eq!(fingerprint("/a", "x=1&y=2"), fingerprint("/a", "y=2&x=1"));
        assert_ne!(fingerprint("/a", "x=1&y=2"), fingerprint("/b", "x=1&y=2"));
        assert_ne!(fingerprint("/a", "x=1&y=2"), fingerprint("/a", "x=2&y=1"));
        assert_ne!(fingerprint("/a", "x=1&y=2"), fingerprint("/a", "x=1%0A1%20y%0A1%202"));
    }
}
