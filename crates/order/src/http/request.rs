//! What is asked for: parsed, then checked as a whole, so that all that is wrong is said at once.

use std::collections::HashSet;

use events::{Address, Currency, Customer, CustomerId, OrderId, Sku};
use serde::{Deserialize, Serialize};
use service::{FieldError, Problem};
use utoipa::ToSchema;

use crate::decider::PlaceOrder;

/// An order to be placed. Prices are the shop's, so there are none in it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewOrder {
    customer: NewCustomer,
    /// ISO 4217; the products must be sold in it.
    #[schema(value_type = String, example = "USD")]
    currency: Currency,
    /// 1 to 100 lines, each of another product.
    lines: Vec<NewLine>,
    ship_to: NewAddress,
    /// The provider's token for the means of payment, `pm_..`; never card data.
    #[schema(example = "pm_card_visa")]
    payment_method: String,
}

#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewCustomer {
    #[schema(value_type = String, example = "c-1")]
    id: CustomerId,
    #[schema(example = "Ada Lovelace")]
    name: String,
    #[schema(example = "ada@example.com")]
    email: String,
}

#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewLine {
    #[schema(value_type = String, example = "MUG-01")]
    sku: Sku,
    /// 1 to 10,000.
    #[schema(minimum = 1, maximum = 10000, example = 2)]
    quantity: i64,
}

#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewAddress {
    #[schema(example = "Ada Lovelace")]
    name: String,
    #[schema(example = "12 Analytical St")]
    line1: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    line2: Option<String>,
    #[schema(example = "London")]
    city: String,
    #[schema(example = "N1")]
    postal_code: String,
    /// ISO 3166-1 alpha-2.
    #[schema(example = "GB")]
    country: String,
}

/// Why an order is to be cancelled, for those who read its history.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CancelOrder {
    /// In the customer's or the operator's words.
    #[schema(min_length = 1, max_length = 500, example = "ordered twice by mistake")]
    reason: Option<String>,
}

impl CancelOrder {
    /// The reason, if it is one.
    pub(super) fn validated(self) -> Result<Option<String>, Problem> {
        let mut findings = Findings::default();
        if let Some(reason) = &self.reason {
            findings.text("/reason", reason, 500);
        }
        if findings.0.is_empty() { Ok(self.reason) } else { Err(Problem::invalid(findings.0)) }
    }
}

const MAX_LINES: usize = 100;
const MAX_QUANTITY: i64 = 10_000;

/// Collects what is wrong, with JSON pointers (RFC 6901) to where.
#[derive(Default)]
struct Findings(Vec<FieldError>);

impl Findings {
    fn add(&mut self, pointer: impl Into<String>, detail: impl Into<String>) {
        self.0.push(FieldError { pointer: pointer.into(), detail: detail.into() });
    }

    /// Text for people: not empty, not endless, and nothing that a label printer or Postgres chokes on.
    fn text(&mut self, pointer: &str, value: &str, max: usize) {
        if value.trim().is_empty() {
            self.add(pointer, "must not be empty");
        } else if value.chars().count() > max {
            self.add(pointer, format!("must not be longer than {max} characters"));
        } else if value.chars().any(char::is_control) {
            self.add(pointer, "must not contain control characters");
        }
    }
}

impl NewOrder {
    /// The order, if nothing is wrong with it; otherwise all that is.
    pub(super) fn validated(self, order_id: OrderId) -> Result<PlaceOrder, Problem> {
        let mut findings = Findings::default();
        self.check(&mut findings);
        if !findings.0.is_empty() {
            return Err(Problem::invalid(findings.0));
        }
        let NewOrder { customer, currency, lines, ship_to, payment_method } = self;
        Ok(PlaceOrder {
            order_id,
            customer: Customer { id: customer.id, name: customer.name, email: customer.email },
            currency,
            // Between 1 and 10,000, as checked.
            lines: lines.into_iter().map(|it| (it.sku, it.quantity as u32)).collect(),
            ship_to: Address {
                name: ship_to.name,
                line1: ship_to.line1,
                line2: ship_to.line2,
                city: ship_to.city,
                postal_code: ship_to.postal_code,
                country: ship_to.country,
            },
            payment_method,
        })
    }

    fn check(&self, findings: &mut Findings) {
        findings.text("/customer/name", &self.customer.name, 200);
        findings.text("/customer/email", &self.customer.email, 254);
        if !self.customer.email.is_empty() && !self.customer.email.contains('@') {
            findings.add("/customer/email", "must be an e-mail address");
        }
        self.check_lines(findings);
        let to = &self.ship_to;
        for (field, value, max) in [
            ("name", &to.name, 200),
            ("line1", &to.line1, 200),
            ("city", &to.city, 100),
            ("postal_code", &to.postal_code, 20),
        ] {
            findings.text(&format!("/ship_to/{field}"), value, max);
        }
        if let Some(line2) = &to.line2 {
            findings.text("/ship_to/line2", line2, 200);
        }
        if to.country.len() != 2 || !to.country.bytes().all(|it| it.is_ascii_uppercase()) {
            findings.add("/ship_to/country", "must be an ISO 3166-1 alpha-2 code, such as US");
        }
        if !is_token(&self.payment_method) {
            findings.add("/payment_method", "must be a token of the payment provider, such as pm_card_visa");
        }
    }

    fn check_lines(&self, findings: &mut Findings) {
        if !(1..=MAX_LINES).contains(&self.lines.len()) {
            findings.add("/lines", format!("must have 1 to {MAX_LINES} entries"));
        }
        let mut seen = HashSet::new();
        for (index, line) in self.lines.iter().enumerate() {
            if !(1..=MAX_QUANTITY).contains(&line.quantity) {
                findings.add(format!("/lines/{index}/quantity"), format!("must be from 1 to {MAX_QUANTITY}"));
            }
            if !seen.insert(&line.sku) {
                findings.add(
                    format!("/lines/{index}/sku"),
                    "is in an earlier line already: add up the quantities",
                );
            }
        }
    }
}

/// Whether this may be a provider's token. Card numbers, which have 12 digits at the least, are kept out, whoever
/// pastes them here: what is accepted gets into events.
fn is_token(text: &str) -> bool {
    let token = text.strip_prefix("pm_").unwrap_or_default();
    (1..=100).contains(&token.len())
        && token.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'_')
        && token.split(|it: char| !it.is_ascii_digit()).all(|digits| digits.len() < 12)
}
