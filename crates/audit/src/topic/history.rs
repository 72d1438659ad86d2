use std::{fmt, hash::Hash};

use events::Aggregate;
use uuid::Uuid;

use crate::seen::Print;

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

/// An event's place and id, and what it says.
type Event = (i64, Uuid, Print);

/// The first occurrences of one key's events on its topic.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// By number, so that one is found among any number of them. They come in this order, but for faults.
    events: Vec<Event>,
    /// The number of the one that came last.
    last: i64,
}

impl History {
    /// Takes the next record, and says what is wrong with its place: first occurrences have to be 1, 2, 3, ..; every
    /// other occurrence repeats one of them under its id, to the letter of its `content`. With `cut`, the log does not
    /// hold all that it was given: the first may be any, and where the log is compacted (`holes`) any may be missing.
    pub fn note(
        &mut self,
        (sequence, id): (i64, Uuid),
        content: &impl Hash,
        cut: bool,
        holes: bool,
    ) -> Result<(), String> {
        let content = Print::of(content);
        let at = match self.place(sequence) {
            Ok(at) if self.events[at].1 == id && self.events[at].2 == content => return Ok(()),
            Ok(at) if self.events[at].1 == id => {
                return Err(format!("{sequence}, {id}, comes again and says something else"));
            }
            Ok(at) => return Err(format!("{sequence} is both {} and {id}", self.events[at].1)),
            Err(at) => at,
        };
        let last = (!self.events.is_empty()).then_some(self.last);
        self.events.insert(at, (sequence, id, content));
        self.last = sequence;
        let in_order = match last {
            _ if sequence < 1 => false,
            None => cut || sequence == 1,
            Some(last) => last.checked_add(1) == Some(sequence) || holes && sequence > last,
        };
        if in_order { Ok(()) } else { Err(format!("{sequence} comes after {}", last.unwrap_or(0))) }
    }

    /// Where a number is, or would be.
    fn place(&self, sequence: i64) -> Result<usize, usize> {
        self.events.binary_search_by_key(&sequence, |it| it.0)
    }

    /// The event that bears a number.
    pub(crate) fn id_of(&self, sequence: i64) -> Option<Uuid> {
        self.place(sequence).ok().map(|at| self.events[at].1)
    }

    /// In ascending order.
    pub(crate) fn numbered(&self) -> impl Iterator<Item = Numbered> {
        self.events.iter().map(|it| (it.0, it.1))
    }

    /// In ascending order.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = i64> {
        self.events.iter().map(|it| it.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disorder(cut: bool, holes: bool, events: &[(i64, u128)]) -> Option<String> {
        let mut history = History::default();
        events.iter().find_map(|(at, id)| history.note((*at, Uuid::from_u128(*id)), &(), cut, holes).err())
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
        check(&[(1, 1), (i64::MAX, 2)], Some("9223372036854775807 comes after 1"));
        let (one, nine) = (Uuid::from_u128(1), Uuid::from_u128(9));
        check(&[(1, 1), (1, 9)], Some(&format!("1 is both {one} and {nine}")));
    }

    #[test]
    fn no_number_is_too_high_to_be_followed() {
        let (mut history, id) = (History::default(), Uuid::from_u128);
        history.note((i64::MAX, id(1)), &(), true, true).unwrap();
        let disorder = history.note((8, id(2)), &(), true, true);
        assert_eq!(disorder.unwrap_err(), "8 comes after 9223372036854775807");
        assert_eq!(history.numbers().collect::<Vec<_>>(), [8, i64::MAX]);
        assert_eq!((history.id_of(8), history.id_of(i64::MAX)), (Some(id(2)), Some(id(1))));
    }

    #[test]
    fn what_comes_again_says_the_same() {
        let (mut history, id) = (History::default(), Uuid::from_u128(1));
        let mut note = |content: &str| history.note((1, id), &content, false, false);
        assert_eq!((note("paid"), note("paid")), (Ok(()), Ok(())));
        assert_eq!(note("repaid"), Err(format!("1, {id}, comes again and says something else")));
    }

    #[test]
    fn what_the_log_has_dropped_is_not_missed() {
        assert_eq!(disorder(true, false, &[(3, 3), (4, 4)]), None);
        assert_eq!(disorder(true, false, &[(3, 3), (5, 5)]).as_deref(), Some("5 comes after 3"));
        assert_eq!(disorder(true, true, &[(3, 3), (5, 5)]), None);
        assert_eq!(disorder(true, true, &[(3, 3), (2, 2)]).as_deref(), Some("2 comes after 3"));
    }
}
