use std::fmt;

use events::Aggregate;
use uuid::Uuid;

/// What an aggregate's events are kept in order by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Key {
    Order(Uuid),
    Sku(Box<str>),
}

impl Key {
    /// `None`: no key that a service gives to this aggregate.
    pub(crate) fn parse(aggregate: Aggregate, text: &str) -> Option<Self> {
        match aggregate {
            Aggregate::Product => Some(Self::Sku(text.into())),
            _ => text.parse().ok().map(Self::Order),
        }
    }

    pub(crate) fn order(&self) -> Option<Uuid> {
        match self {
            Self::Order(id) => Some(*id),
            Self::Sku(_) => None,
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Order(id) => id.fmt(f),
            Self::Sku(sku) => sku.fmt(f),
        }
    }
}

/// An event's sequence number and id.
pub(crate) type Numbered = (i64, Uuid);

/// The first occurrences of one key's events on its topic.
#[derive(Debug, Clone, Default)]
pub struct History(Vec<Numbered>);

impl History {
    /// Takes the next record, and says what is wrong with its place: first occurrences have to be 1, 2, 3, ..; every
    /// other occurrence repeats one of them under its id. With `cut`, the log does not hold all that it was given:
    /// the first may be any, and where the log is compacted (`holes`) any may be missing.
    pub fn note(&mut self, sequence: i64, id: Uuid, cut: bool, holes: bool) -> Result<(), String> {
        if let Some(known) = self.id_of(sequence) {
            return if known == id { Ok(()) } else { Err(format!("{sequence} is both {known} and {id}")) };
        }
        let last = self.0.last().map(|it| it.0);
        self.0.push((sequence, id));
        let in_order = match last {
            _ if sequence < 1 => false,
            None => cut || sequence == 1,
            Some(last) => sequence == last + 1 || holes && sequence > last,
        };
        if in_order { Ok(()) } else { Err(format!("{sequence} comes after {}", last.unwrap_or(0))) }
    }

    /// The event that bears a number; mostly one of the last.
    pub(crate) fn id_of(&self, sequence: i64) -> Option<Uuid> {
        self.0.iter().rev().find(|it| it.0 == sequence).map(|it| it.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disorder(cut: bool, holes: bool, events: &[(i64, u128)]) -> Option<String> {
        let mut history = History::default();
        events.iter().find_map(|(at, id)| history.note(*at, Uuid::from_u128(*id), cut, holes).err())
    }

    #[track_caller]
    fn check(events: &[(i64, u128)], expected: Option<&str>) {
        assert_eq!(disorder(false, false, events).as_deref(), expected);
    }

    #[test]
    fn disorder_is_seen() {
        check(&[], None);
        check(&[(1, 1), (2, 2), (3, 3)], None);
        // A relay has begun again.
        check(&[(1, 1), (2, 2), (1, 1), (2, 2), (3, 3)], None);
        check(&[(2, 2), (1, 1)], Some("2 comes after 0"));
        check(&[(1, 1), (3, 3)], Some("3 comes after 1"));
        check(&[(0, 1)], Some("0 comes after 0"));
        let (one, nine) = (Uuid::from_u128(1), Uuid::from_u128(9));
        check(&[(1, 1), (1, 9)], Some(&format!("1 is both {one} and {nine}")));
    }

    #[test]
    fn what_the_log_has_dropped_is_not_missed() {
        assert_eq!(disorder(true, false, &[(3, 3), (4, 4)]), None);
        assert_eq!(disorder(true, false, &[(3, 3), (5, 5)]).as_deref(), Some("5 comes after 3"));
        assert_eq!(disorder(true, true, &[(3, 3), (5, 5)]), None);
        assert_eq!(disorder(true, true, &[(3, 3), (2, 2)]).as_deref(), Some("2 comes after 3"));
    }
}
