//! What each service says of one order, in a few bytes.

use std::{
    collections::BTreeMap,
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    num::NonZeroU32,
};

use anyhow::bail;
use events::{Currency, Money};
use order::{Return, Status};

/// An enum that is a word in a database.
macro_rules! words {
    ($(#[doc = $doc:literal])+ $name:ident { $($variant:ident = $word:literal),+ $(,)? }) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum $name { $($variant),+ }

        impl $name {
            /// A word that is not known here is a hand's, or of another version of the service: it cannot be judged.
            pub(crate) fn parse(word: &str) -> anyhow::Result<Self> {
                match word {
                    $($word => Ok(Self::$variant),)+
                    other => bail!("no {} is called {other:?}", stringify!($name)),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$variant => $word),+ })
            }
        }
    };
}

words! {
    /// Where a payment stands.
    Paying {
        Awaiting = "awaiting", Authorizing = "authorizing", Authorized = "authorized", Capturing = "capturing",
        Captured = "captured", Voiding = "voiding", Voided = "voided", Refunding = "refunding",
        Refunded = "refunded", Declined = "declined", Cancelled = "cancelled",
    }
}

words! {
    /// Where a reservation stands.
    Holding {
        Reserved = "reserved", Kept = "kept", Rejected = "rejected", Released = "released", Expired = "expired",
        Deducted = "deducted", Cancelled = "cancelled",
    }
}

words! {
    /// Where a shipment stands.
    Moving {
        Captured = "captured", Kept = "kept", Scheduled = "scheduled", Dispatched = "dispatched",
        Delivered = "delivered", Cancelled = "cancelled", Barred = "barred",
    }
}

words! {
    /// What a carrier does; also the kind of its deadline.
    Leg { Dispatch = "dispatch", Deliver = "deliver" }
}

/// What is known of one order. Kept for all of them at once, so it is small.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Seen {
    pub(crate) order: Option<Ordered>,
    pub(crate) shipment: Option<Shipped>,
    pub(crate) payment: Option<Paid>,
    pub(crate) stock: Option<Held>,
    pub(crate) books: Books,
}

/// The order itself: the fold of its events.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Ordered {
    pub(crate) total: Money,
    pub(crate) items: Print,
    /// Of its parcel; once it is shipped.
    pub(crate) tracking: Option<Print>,
    pub(crate) version: u32,
    pub(crate) sequence: u32,
    /// The published events that are stored, by number and id.
    pub(crate) events: Prints,
    pub(crate) status: Status,
    pub(crate) paid: bool,
    /// It has been confirmed, whatever came of it.
    pub(crate) confirmed: bool,
    pub(crate) stock_back: Option<Return>,
    pub(crate) money_back: Option<Return>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Shipped {
    pub(crate) sequence: u32,
    pub(crate) status: Moving,
    pub(crate) captured: bool,
    pub(crate) kept: bool,
    pub(crate) awaits_stock: bool,
    pub(crate) tracking: Option<Print>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Paid {
    pub(crate) amount: Option<Money>,
    pub(crate) authorized: i64,
    pub(crate) captured: i64,
    pub(crate) refunded: i64,
    pub(crate) sequence: u32,
    pub(crate) status: Paying,
    pub(crate) reserved: bool,
    pub(crate) confirmed: bool,
    pub(crate) cancelled: bool,
    /// The provider's payment intent, once it has authorised one.
    pub(crate) intent: Option<Print>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Held {
    pub(crate) sequence: u32,
    /// What it is of; nothing if it was refused.
    pub(crate) items: Option<Print>,
    pub(crate) status: Holding,
}

/// The provider's ledger of one order.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Books {
    pub(crate) authorized: i64,
    pub(crate) captured: i64,
    pub(crate) refunded: i64,
    /// Of what was authorised, let go.
    pub(crate) cancelled: i64,
    pub(crate) authorizations: u16,
    pub(crate) captures: u16,
    pub(crate) coin: Coin,
    /// The payment intent that was authorised, the first if there are several.
    pub(crate) intent: Option<Print>,
}

/// Stands for what is only ever compared, and would take more room: different ones look alike once in four billion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Print(NonZeroU32);

impl Print {
    pub(crate) fn of(what: &impl Hash) -> Self {
        let mut hasher = DefaultHasher::new();
        what.hash(&mut hasher);
        Self(NonZeroU32::new(hasher.finish() as u32).unwrap_or(NonZeroU32::MAX))
    }

    /// Of SKUs and quantities, in whichever order and however often each is named.
    pub(crate) fn of_items<'a>(items: impl IntoIterator<Item = (&'a str, u32)>) -> Self {
        let mut sums: BTreeMap<&str, u64> = BTreeMap::new();
        for (sku, quantity) in items {
            *sums.entry(sku).or_default() += u64::from(quantity);
        }
        Self::of(&sums)
    }
}

/// Of any number of different things, in whichever order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Prints(u32);

impl Prints {
    pub(crate) fn add(&mut self, what: &impl Hash) {
        self.0 ^= Print::of(what).0.get();
    }
}

/// What the entries of an order's books are in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Coin {
    /// There are no entries.
    #[default]
    Nothing,
    One(Currency),
    /// In more than one, or in none that is known: their sums mean nothing.
    Mixed,
}

impl Coin {
    /// Takes in what the next entry is in, as the provider writes it.
    pub(crate) fn enter(&mut self, code: &str) {
        *self = match (*self, code.to_uppercase().parse()) {
            (Self::Nothing, Ok(first)) => Self::One(first),
            (Self::One(first), Ok(next)) if first == next => Self::One(first),
            _ => Self::Mixed,
        };
    }
}

impl fmt::Display for Coin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => Ok(()),
            Self::One(currency) => write!(f, " {currency}"),
            Self::Mixed => f.write_str(" of several currencies"),
        }
    }
}

impl Books {
    /// Whether its amounts can be compared with those in `currency`.
    pub(crate) fn is_in(&self, currency: Currency) -> bool {
        matches!(self.coin, Coin::Nothing) || self.coin == Coin::One(currency)
    }

    pub(crate) fn net(&self) -> i64 {
        less(self.captured, &[self.refunded])
    }

    pub(crate) fn held(&self) -> i64 {
        less(self.authorized, &[self.captured, self.cancelled])
    }
}

/// What is left of an amount; more than any amount can be is told as the most. What a ledger says may be anything.
fn less(amount: i64, parts: &[i64]) -> i64 {
    let left = parts.iter().fold(i128::from(amount), |left, part| left - i128::from(*part));
    left.clamp(i64::MIN.into(), i64::MAX.into()) as i64
}

impl Ordered {
    /// Nothing follows in this service: the order is where it ends, and whatever it waited for is told.
    pub(crate) fn is_settled(&self) -> bool {
        match self.status {
            Status::Delivered => self.paid,
            Status::Cancelled => ![self.stock_back, self.money_back].contains(&Some(Return::Pending)),
            Status::Placed | Status::Confirmed | Status::Shipped => false,
        }
    }
}

impl Shipped {
    pub(crate) fn has_left(&self) -> bool {
        matches!(self.status, Moving::Dispatched | Moving::Delivered)
    }

    /// What follows as soon as a person says so, or a carrier's deadline is due.
    pub(crate) fn awaits(&self) -> Option<Leg> {
        match self.status {
            Moving::Scheduled if self.captured && !self.awaits_stock => Some(Leg::Dispatch),
            Moving::Dispatched => Some(Leg::Deliver),
            _ => None,
        }
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.order {
            Some(it) => write!(f, "order {:?}, {}", it.status, if it.paid { "paid" } else { "not paid" })?,
            None => f.write_str("no order")?,
        }
        match &self.stock {
            Some(it) => write!(f, "; reservation {}", it.status)?,
            None => f.write_str("; no reservation")?,
        }
        match &self.payment {
            Some(it) => write!(
                f,
                "; payment {}: authorised {}, captured {}, refunded {}",
                it.status, it.authorized, it.captured, it.refunded
            )?,
            None => f.write_str("; no payment")?,
        }
        match &self.shipment {
            Some(it) => write!(f, "; shipment {}", it.status)?,
            None => f.write_str("; no shipment")?,
        }
        let Books { authorized, captured, refunded, cancelled, coin, .. } = self.books;
        write!(
            f,
            "; ledger{coin}: authorised {authorized}, captured {captured}, refunded {refunded}, let go {cancelled}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All orders are kept at once: what is added here is paid for by each of them.
    #[test]
    fn an_order_takes_few_bytes() {
        assert_eq!(size_of::<Seen>(), 176);
    }

    #[test]
    fn no_amount_in_the_books_is_too_much() {
        let books = |authorized, captured, refunded, cancelled| {
            let books = Books { authorized, captured, refunded, cancelled, ..Books::default() };
            (books.net(), books.held())
        };
        assert_eq!(books(9, 5, 2, 1), (3, 3));
        assert_eq!(books(0, i64::MIN, 1, 0), (i64::MIN, i64::MAX));
        assert_eq!(books(i64::MAX, -1, 0, 1), (-1, i64::MAX));
    }
}
