//! The requests that change products: parsed, then checked as a whole, so that all that is wrong is said at once.

use events::{Currency, Money};
use serde::{Deserialize, Serialize};
use service::{FieldError, Problem};
use utoipa::ToSchema;

/// What a product is called and what it costs.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewProduct {
    /// 1 to 200 characters.
    #[schema(min_length = 1, max_length = 200, example = "Mug, blue")]
    name: String,
    price: NewPrice,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewPrice {
    /// In minor units: 1999 USD is 19.99 dollars.
    #[schema(minimum = 0, maximum = 1_000_000_000, example = 1999)]
    amount: i64,
    /// ISO 4217.
    #[schema(value_type = String, example = "USD")]
    currency: Currency,
}

/// A change of a stock level.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewAdjustment {
    /// How many more there are, or fewer; not 0.
    #[schema(example = 100)]
    delta: i32,
    /// Why: 1 to 200 characters.
    #[schema(min_length = 1, max_length = 200, example = "goods received")]
    reason: String,
}

const MAX_PRICE: i64 = 1_000_000_000;
const MAX_TEXT: usize = 200;

impl NewProduct {
    /// Name and price, if nothing is wrong with them; otherwise all that is.
    pub(super) fn validated(self) -> Result<(String, Money), Problem> {
        let mut faults = Vec::from_iter(text_fault("/name", &self.name));
        if !(0..=MAX_PRICE).contains(&self.price.amount) {
            faults.push(fault("/price/amount", format!("must be from 0 to {MAX_PRICE}")));
        }
        let NewPrice { amount, currency } = self.price;
        faultless(faults).map(|()| (self.name, Money { amount, currency }))
    }
}

impl NewAdjustment {
    /// By how many and why, if nothing is wrong with it; otherwise all that is.
    pub(super) fn validated(self) -> Result<(i32, String), Problem> {
        let mut faults = Vec::from_iter(text_fault("/reason", &self.reason));
        if self.delta == 0 {
            faults.insert(0, fault("/delta", "must not be 0"));
        }
        faultless(faults).map(|()| (self.delta, self.reason))
    }
}

fn faultless(faults: Vec<FieldError>) -> Result<(), Problem> {
    if faults.is_empty() { Ok(()) } else { Err(Problem::invalid(faults)) }
}

fn fault(pointer: &str, detail: impl Into<String>) -> FieldError {
    FieldError { pointer: pointer.into(), detail: detail.into() }
}

/// Text for people: not empty, not endless, and nothing that a label printer or Postgres chokes on.
fn text_fault(pointer: &str, value: &str) -> Option<FieldError> {
    if value.trim().is_empty() {
        Some(fault(pointer, "must not be empty"))
    } else if value.chars().count() > MAX_TEXT {
        Some(fault(pointer, format!("must not be longer than {MAX_TEXT} characters")))
    } else if value.chars().any(char::is_control) {
        Some(fault(pointer, "must not contain control characters"))
    } else {
        None
    }
}
