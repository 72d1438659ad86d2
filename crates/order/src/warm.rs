use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use events::OrderId;

use crate::order::Order;

/// Orders as this process's last transactions left them, so that the next ones need not fold their events anew.
///
/// Nothing rests on it: an order is taken from here only at the version that its locked row has. Events are never
/// changed, so that those up to a version fold to the same order wherever that is done. What another process has
/// written since has another version, and is read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Warm(Arc<Mutex<BTreeMap<OrderId, Order>>>);

/// How many are kept. Ids are UUIDv7: the oldest orders go first, of which least is to be expected.
const MOST: usize = 4_096;

impl Warm {
    /// Takes out the order, if it is here at that version.
    pub(crate) fn take(&self, id: OrderId, version: i64) -> Option<Order> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.remove(&id).filter(|it| it.version == version)
    }

    /// Keeps orders whose transaction has committed.
    pub(crate) fn keep(&self, orders: BTreeMap<OrderId, Order>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (id, order) in orders.into_iter().filter(|(_, order)| order.goes_on()) {
            // Another transaction of this process may have been here with a later one.
            if kept.get(&id).is_none_or(|it| it.version < order.version) {
                kept.insert(id, order);
            }
        }
        while kept.len() > MOST {
            kept.pop_first();
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::order::every::example;

    fn order(version: i64) -> Order {
        Order { version, ..Order::begin(example(2).0) }
    }

    #[test]
    fn an_order_is_taken_at_its_version_alone_and_once() {
        let (warm, id) = (Warm::default(), OrderId(Uuid::now_v7()));
        warm.keep(BTreeMap::from([(id, order(2))]));
        assert_eq!(warm.take(id, 2), Some(order(2)));
        assert_eq!(warm.take(id, 2), None, "who has it may fail to write what follows");
        for other in [1, 3] {
            warm.keep(BTreeMap::from([(id, order(2))]));
            assert_eq!(warm.take(id, other), None);
        }
    }

    #[test]
    fn the_oldest_make_room() {
        let warm = Warm::default();
        let ids: Vec<_> = (0..=MOST).map(|number| OrderId(Uuid::from_u128(number as u128))).collect();
        for id in ids.iter().rev() {
            warm.keep(BTreeMap::from([(*id, order(1))]));
        }
        assert_eq!((warm.take(ids[0], 1), warm.take(ids[1], 1)), (None, Some(order(1))));
    }
}
