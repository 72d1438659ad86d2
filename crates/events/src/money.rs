//! Money in minor units, with checked arithmetic.

use std::{borrow::Cow, fmt, str::FromStr, sync::LazyLock};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::Malformed;

/// An ISO 4217 currency that has minor units.
///
/// Codes without them (gold, the testing code) are refused: an amount in minor units would mean nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "&'static str")]
pub struct Currency(iso_currency::Currency);

impl Currency {
    /// The currency that prices were in before they said so: see `OrderPlacedV1`.
    pub const USD: Self = Self(iso_currency::Currency::USD);

    /// The three-letter code.
    pub fn code(self) -> &'static str {
        self.0.code()
    }

    /// How many decimal digits the minor unit stands for: 2 for USD, 0 for JPY.
    pub fn exponent(self) -> u32 {
        self.0.exponent().map_or(0, u32::from)
    }

    /// Every code that parses. The table behind offers no list, so all 17,576 candidates are asked, once.
    fn codes() -> &'static [&'static str] {
        static CODES: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
            let letters = || b'A'..=b'Z';
            letters()
                .flat_map(move |a| letters().flat_map(move |b| letters().map(move |c| [a, b, c])))
                .filter_map(|code| Some(str::from_utf8(&code).ok()?.parse::<Currency>().ok()?.code()))
                .collect()
        });
        &CODES
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.code())
    }
}

impl FromStr for Currency {
    type Err = Malformed;

    fn from_str(code: &str) -> Result<Self, Malformed> {
        iso_currency::Currency::from_code(code)
            .filter(|currency| currency.exponent().is_some())
            .map(Self)
            .ok_or(Malformed::Currency)
    }
}

impl TryFrom<String> for Currency {
    type Error = Malformed;

    fn try_from(code: String) -> Result<Self, Malformed> {
        code.parse()
    }
}

impl From<Currency> for &'static str {
    fn from(currency: Currency) -> Self {
        currency.code()
    }
}

impl JsonSchema for Currency {
    fn schema_name() -> Cow<'static, str> {
        "Currency".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "The code of an ISO 4217 currency that has minor units.",
            "type": "string",
            "enum": Self::codes(),
        })
    }
}

/// An amount of money in minor units (cents), together with its currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Money {
    /// In minor units of the currency: 1999 is 19.99 USD.
    pub amount: i64,
    /// What the amount is counted in.
    pub currency: Currency,
}

/// Why an amount could not be computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    #[error("the amount does not fit into 64 bits of minor units")]
    Overflow,
    #[error("amounts in two currencies have no sum")]
    CurrencyMismatch,
}

impl Money {
    /// Nothing, in this currency: where a sum begins.
    pub fn zero(currency: Currency) -> Self {
        Self { amount: 0, currency }
    }

    /// The sum, within one currency.
    pub fn checked_add(self, other: Self) -> Result<Self, MoneyError> {
        if self.currency != other.currency {
            return Err(MoneyError::CurrencyMismatch);
        }
        let amount = self.amount.checked_add(other.amount).ok_or(MoneyError::Overflow)?;
        Ok(Self { amount, ..self })
    }

    /// The price of a quantity.
    pub fn checked_mul(self, quantity: u32) -> Result<Self, MoneyError> {
        let amount = self.amount.checked_mul(i64::from(quantity)).ok_or(MoneyError::Overflow)?;
        Ok(Self { amount, ..self })
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.amount < 0 { "-" } else { "" };
        let exponent = self.currency.exponent();
        let unit = 10_u64.pow(exponent);
        let (major, minor) = (self.amount.unsigned_abs() / unit, self.amount.unsigned_abs() % unit);
        match exponent {
            0 => write!(f, "{sign}{major} {}", self.currency),
            digits => write!(f, "{sign}{major}.{minor:0width$} {}", self.currency, width = digits as usize),
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn money(amount: i64, code: &str) -> Money {
        Money { amount, currency: code.parse().unwrap() }
    }

    #[track_caller]
    fn check(money: Money, expected: Expect) {
        expected.assert_eq(&format!("{money} {}", serde_json::to_string(&money).unwrap()));
    }

    #[test]
    fn reads_like_a_price_and_travels_as_minor_units() {
        check(money(1999, "USD"), expect![[r#"19.99 USD {"amount":1999,"currency":"USD"}"#]]);
        check(money(-5, "USD"), expect![[r#"-0.05 USD {"amount":-5,"currency":"USD"}"#]]);
        check(money(500, "JPY"), expect![[r#"500 JPY {"amount":500,"currency":"JPY"}"#]]);
        check(money(1001, "KWD"), expect![[r#"1.001 KWD {"amount":1001,"currency":"KWD"}"#]]);
        check(money(12, "CLF"), expect![[r#"0.0012 CLF {"amount":12,"currency":"CLF"}"#]]);
        check(
            money(i64::MIN, "EUR"),
            expect![[r#"-92233720368547758.08 EUR {"amount":-9223372036854775808,"currency":"EUR"}"#]],
        );
    }

    #[test]
    fn arithmetic_is_checked() {
        assert_eq!(money(1999, "USD").checked_mul(3), Ok(money(5997, "USD")));
        assert_eq!(money(1, "USD").checked_add(money(2, "USD")), Ok(money(3, "USD")));
        assert_eq!(money(1, "USD").checked_add(money(2, "EUR")), Err(MoneyError::CurrencyMismatch));
        assert_eq!(money(i64::MAX, "USD").checked_add(money(1, "USD")), Err(MoneyError::Overflow));
        assert_eq!(money(i64::MIN, "USD").checked_mul(2), Err(MoneyError::Overflow));
        assert_eq!(Money::zero(Currency::USD), money(0, "USD"));
    }

    #[test]
    fn a_currency_has_minor_units() {
        for refused in ["", "usd", "US", "USDX", "XAU", "XXX", "XTS", "ZZZ"] {
            assert_eq!(refused.parse::<Currency>(), Err(Malformed::Currency), "{refused:?}");
        }
        assert!(Currency::codes().contains(&"USD"));
        assert!(
            Currency::codes().iter().all(|code| code.parse().is_ok_and(|it: Currency| it.code() == *code))
        );
    }
}
