//! What is set aside for an order: pure, from events to state and from state to the next event.

use std::collections::BTreeMap;

use events::{Item, Shortage, Sku, Timestamp};

/// Inventory's part of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reservation {
    /// How many of its events were published.
    pub sequence: i64,
    pub state: State,
}

/// Where a reservation stands. The first two are live: their items are counted as reserved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Set aside; for good, or until it expires.
    Reserved { items: Vec<Item>, expires_at: Option<Timestamp> },
    /// The order is confirmed: set aside until the parcel leaves.
    Kept { items: Vec<Item> },
    /// There was too little.
    Rejected,
    /// The order was cancelled.
    Released { items: Vec<Item> },
    /// The order was not confirmed in time.
    Expired { items: Vec<Item> },
    /// Left with the parcel.
    Deducted { items: Vec<Item> },
    /// A tombstone: the order was cancelled before it was placed here.
    Cancelled,
}

/// A fact about a reservation. `Cancelled` concerns nobody else and is not published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReservationEvent {
    Reserved {
        items: Vec<Item>,
        expires_at: Option<Timestamp>,
    },
    Rejected {
        shortages: Vec<Shortage>,
    },
    /// Published if it had a time, because shipping waits for it then.
    Kept {
        had_time: bool,
    },
    Released,
    Expired,
    Deducted,
    Cancelled,
}

/// What is said cannot be, whenever it is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Impossible(pub(crate) String);

/// What follows: at most one event.
pub(crate) type Followed = Result<Option<ReservationEvent>, Impossible>;

use ReservationEvent as E;
use State as S;

fn state(known: Option<&Reservation>) -> Option<&State> {
    known.map(|it| &it.state)
}

// Forward.

/// Sets aside all that the order asks for, or nothing.
pub(crate) fn reserve(
    known: Option<&Reservation>,
    demand: &[Item],
    available: impl Fn(&Sku) -> i64,
    expires_at: Option<Timestamp>,
) -> Followed {
    if known.is_some() {
        return Ok(None);
    }
    let items = summed(demand)?;
    let short =
        |it: &Item| Shortage { sku: it.sku.clone(), requested: it.quantity, available: available(&it.sku) };
    let shortages: Vec<Shortage> =
        items.iter().map(short).filter(|it| it.available < i64::from(it.requested)).collect();
    Ok(Some(match shortages.is_empty() {
        true => E::Reserved { items, expires_at },
        false => E::Rejected { shortages },
    }))
}

/// Each SKU once, in their order.
fn summed(demand: &[Item]) -> Result<Vec<Item>, Impossible> {
    let mut sums: BTreeMap<&Sku, u32> = BTreeMap::new();
    for item in demand {
        if item.quantity == 0 {
            return Err(Impossible(format!("the order asks for none of {}", item.sku)));
        }
        let sum = sums.entry(&item.sku).or_default();
        let more = sum.checked_add(item.quantity);
        *sum = more.ok_or_else(|| Impossible(format!("the order asks for too many of {}", item.sku)))?;
    }
    if sums.is_empty() {
        return Err(Impossible("the order asks for nothing".into()));
    }
    Ok(sums.into_iter().map(|(sku, quantity)| Item { sku: sku.clone(), quantity }).collect())
}

/// The order is confirmed: its reservation expires no more.
pub(crate) fn keep(known: Option<&Reservation>) -> Followed {
    match state(known) {
        Some(S::Reserved { expires_at, .. }) => Ok(Some(E::Kept { had_time: expires_at.is_some() })),
        // Expired: the order hears of it, and is cancelled. Deducted: shipping was faster.
        Some(_) => Ok(None),
        None => Err(Impossible("an order is confirmed that was never placed here".into())),
    }
}

/// The parcel has left. That may be heard before the confirmation, which is on another topic.
pub(crate) fn deduct(known: Option<&Reservation>) -> Followed {
    match state(known) {
        Some(S::Reserved { .. } | S::Kept { .. }) => Ok(Some(E::Deducted)),
        Some(S::Deducted { .. }) => Ok(None),
        // Goods have left that were not, or no more, this order's. Nobody here can put that right: a person has to.
        None | Some(S::Rejected | S::Released { .. } | S::Expired { .. } | S::Cancelled) => {
            Err(Impossible("a parcel has left for an order that no stock is reserved for".into()))
        }
    }
}

// Compensation.

/// The order is cancelled, if need be before it was placed here.
pub(crate) fn release(known: Option<&Reservation>) -> Followed {
    Ok(match state(known) {
        None => Some(E::Cancelled),
        Some(S::Reserved { .. } | S::Kept { .. }) => Some(E::Released),
        Some(_) => None,
    })
}

// Time.

/// The time is over; for a reservation that has one.
pub(crate) fn expire(known: Option<&Reservation>) -> Followed {
    Ok(match state(known) {
        Some(S::Reserved { expires_at: Some(_), .. }) => Some(E::Expired),
        _ => None,
    })
}

impl Reservation {
    /// The reservation after an event; one that does not fit changes nothing.
    pub(crate) fn evolve(before: Option<Self>, event: &ReservationEvent) -> Option<Self> {
        let Some(Self { sequence, state }) = before else { return Self::begin(event) };
        let state = match (state, event) {
            (S::Reserved { items, .. }, E::Kept { .. }) => S::Kept { items },
            (S::Reserved { items, .. } | S::Kept { items }, E::Released) => S::Released { items },
            (S::Reserved { items, .. }, E::Expired) => S::Expired { items },
            (S::Reserved { items, .. } | S::Kept { items }, E::Deducted) => S::Deducted { items },
            (unchanged, _) => return Some(Self { sequence, state: unchanged }),
        };
        Some(Self { sequence: sequence + i64::from(event.is_published()), state })
    }

    fn begin(event: &ReservationEvent) -> Option<Self> {
        let state = match event {
            E::Reserved { items, expires_at } => {
                S::Reserved { items: items.clone(), expires_at: *expires_at }
            }
            E::Rejected { .. } => S::Rejected,
            E::Cancelled => S::Cancelled,
            E::Kept { .. } | E::Released | E::Expired | E::Deducted => return None,
        };
        Some(Self { sequence: i64::from(event.is_published()), state })
    }

    /// What is, or was, set aside.
    pub fn items(&self) -> &[Item] {
        match &self.state {
            S::Reserved { items, .. }
            | S::Kept { items }
            | S::Released { items }
            | S::Expired { items }
            | S::Deducted { items } => items,
            S::Rejected | S::Cancelled => &[],
        }
    }

    /// Whether its items are counted as reserved.
    pub fn is_live(&self) -> bool {
        matches!(self.state, S::Reserved { .. } | S::Kept { .. })
    }

    /// When it runs out, if it does.
    pub(crate) fn expires_at(&self) -> Option<Timestamp> {
        match self.state {
            S::Reserved { expires_at, .. } => expires_at,
            _ => None,
        }
    }
}

impl ReservationEvent {
    /// Whether others hear of it.
    pub fn is_published(&self) -> bool {
        match self {
            E::Kept { had_time } => *had_time,
            E::Cancelled => false,
            E::Reserved { .. } | E::Rejected { .. } | E::Released | E::Expired | E::Deducted => true,
        }
    }

    /// Whether the products among the reservation's items change with it.
    pub(crate) fn moves_stock(&self) -> bool {
        matches!(self, E::Reserved { .. } | E::Released | E::Expired | E::Deducted)
    }

    /// Whether it is the first event of a reservation.
    pub(crate) fn is_first(&self) -> bool {
        matches!(self, E::Reserved { .. } | E::Rejected { .. } | E::Cancelled)
    }
}

#[cfg(test)]
pub(crate) mod tests;
