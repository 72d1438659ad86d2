//! What can happen next, as data: a schedule is a list of these, whoever has chosen them.

use shipping::Leg;

use super::log::{Log, SKUS, Unread};

/// The token of a card that is good for everything.
pub(super) const VISA: &str = "pm_card_visa";

/// One thing that happens. One that cannot happen when its turn comes is left out, so that a schedule still means
/// something when steps before it are gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Place {
        order: u8,
        quantities: [u32; SKUS.len()],
        token: &'static str,
    },
    Cancel(u8),
    Describe {
        sku: usize,
        currency: &'static str,
    },
    Adjust {
        sku: usize,
        delta: i32,
    },
    /// Without `delete` the relay has crashed in between: it will publish the row again.
    Publish {
        service: usize,
        delete: bool,
    },
    /// Without `store` the service has crashed between its transaction and the offset.
    Take {
        from: Unread,
        store: bool,
    },
    /// A rebalance or an operator puts a service back to the beginning of a key.
    Rewind(Unread),
    Due {
        order: u8,
        kind: &'static str,
    },
    /// The provider does what it was asked; without `answered` nobody hears of it.
    Ask {
        order: u8,
        answered: bool,
    },
    /// Somebody captures at the provider's own desk.
    Desk(u8),
    /// Somebody says what a carrier has done.
    Hand(u8, Leg),
}

impl Step {
    /// The order that may be another one after it.
    pub(super) fn order(self) -> Option<u8> {
        match self {
            Self::Take { from: (_, stream), .. } => Log::order(stream),
            Self::Place { order, .. }
            | Self::Cancel(order)
            | Self::Due { order, .. }
            | Self::Ask { order, .. }
            | Self::Desk(order)
            | Self::Hand(order, _) => Some(order),
            Self::Describe { .. } | Self::Adjust { .. } | Self::Publish { .. } | Self::Rewind(_) => None,
        }
    }

    /// Whether inventory's shelves may be others after it.
    pub(super) fn moves_stock(self) -> bool {
        matches!(self, Self::Take { from: (1, _), .. } | Self::Due { .. } | Self::Adjust { .. })
    }

    /// The same without what is out of the ordinary, one thing at a time.
    pub(super) fn simpler(self) -> Vec<Self> {
        match self {
            Self::Place { order, quantities, token } => {
                let first = quantities.iter().position(|it| *it > 0).unwrap_or(0);
                let one = std::array::from_fn(|index| u32::from(index == first));
                vec![
                    Self::Place { order, quantities: one, token: VISA },
                    Self::Place { order, quantities, token: VISA },
                    Self::Place { order, quantities: one, token },
                ]
            }
            Self::Publish { service, delete: false } => vec![Self::Publish { service, delete: true }],
            Self::Take { from, store: false } => vec![Self::Take { from, store: true }],
            Self::Ask { order, answered: false } => vec![Self::Ask { order, answered: true }],
            _ => vec![],
        }
    }

    /// How much of it is out of the ordinary.
    pub(super) fn oddity(self) -> u32 {
        match self {
            Self::Place { quantities, token, .. } => {
                quantities.iter().sum::<u32>() + u32::from(token != VISA)
            }
            Self::Publish { delete: false, .. }
            | Self::Take { store: false, .. }
            | Self::Ask { answered: false, .. } => 1,
            _ => 0,
        }
    }
}
