//! What hands may have written into a row and no service does. It is told of that row, and the look goes on: one row
//! must not hide what is wrong elsewhere.

use events::{Aggregate, Currency, Item, Money};
use uuid::Uuid;

use crate::{
    law::Law,
    report::{Subject, Verdicts},
    seen::Print,
    words::number,
};

/// The reading of a service's row of one order.
pub(super) struct Reading<'v> {
    pub(super) aggregate: Aggregate,
    pub(super) id: Uuid,
    pub(super) verdicts: &'v mut Verdicts,
}

impl Reading<'_> {
    /// How many events it has counted: none, if that is no count.
    pub(super) fn count(&mut self, counted: i64) -> u32 {
        u32::try_from(counted).unwrap_or_else(|_| {
            let text = format!("{} {} has counted {}", self.aggregate, self.id, number(counted, "event"));
            self.tell(Law::Published, text);
            0
        })
    }

    /// `None`: nobody knows the word, so that nothing can be said of what it stands for.
    pub(super) fn status<T>(&mut self, word: &str, parse: fn(&str) -> anyhow::Result<T>) -> Option<T> {
        let known = parse(word).ok();
        if known.is_none() {
            let (law, row) = self.row();
            self.tell(law, format!("its {row} is {word:?}, which is no status of one"));
        }
        known
    }

    /// `None`: it is not known yet, or means nothing.
    pub(super) fn money(&mut self, amount: Option<i64>, currency: Option<&str>) -> Option<Money> {
        let (amount, code) = amount.zip(currency)?;
        let currency = code.parse::<Currency>().ok();
        if currency.is_none() {
            let (law, row) = self.row();
            self.tell(law, format!("its {row} is of {amount} {code:?}, which is no currency"));
        }
        currency.map(|currency| Money { amount, currency })
    }

    /// `None`: there are none, or it is no list of them.
    pub(super) fn items(&mut self, json: &str) -> Option<Print> {
        let items: Vec<Item> = serde_json::from_str(json).unwrap_or_else(|error| {
            let (law, row) = self.row();
            self.tell(law, format!("its {row} is of {json}, which are no items: {error}"));
            vec![]
        });
        let items = items.iter().map(|it| (it.sku.as_str(), it.quantity));
        (items.len() > 0).then(|| Print::of_items(items))
    }

    /// The law that rests on this service's row of an order, and what the row is called.
    fn row(&self) -> (Law, &'static str) {
        match self.aggregate {
            Aggregate::Order => (Law::Fold, "row"),
            Aggregate::Inventory | Aggregate::Product => (Law::Stock, "reservation"),
            Aggregate::Payment => (Law::Amounts, "payment"),
            Aggregate::Shipping => (Law::Caused, "shipment"),
        }
    }

    fn tell(&mut self, law: Law, text: String) {
        self.verdicts.violate(law, Subject::Order(self.id), vec![], text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seen::{Moving, Paying};

    /// What is told of an order's row in which `read` finds what it does.
    #[track_caller]
    fn check<T: PartialEq + std::fmt::Debug>(
        aggregate: Aggregate,
        read: impl FnOnce(&mut Reading<'_>) -> T,
        expected: T,
        told: &[(Law, &str)],
    ) {
        let (id, mut verdicts) = (Uuid::now_v7(), Verdicts::default());
        assert_eq!(read(&mut Reading { aggregate, id, verdicts: &mut verdicts }), expected);
        assert!(verdicts.violations.iter().all(|it| it.order_id == Some(id)), "{:#?}", verdicts.violations);
        let texts = verdicts.violations.iter().map(|it| (it.law, it.text.replace(&id.to_string(), "it")));
        let texts: Vec<_> = texts.collect();
        assert_eq!(texts.iter().map(|it| (it.0, it.1.as_str())).collect::<Vec<_>>(), told);
    }

    #[test]
    fn what_is_no_count_of_events_is_told_of_the_order_and_counts_as_none() {
        let count = |counted| move |it: &mut Reading<'_>| it.count(counted);
        check(Aggregate::Payment, count(3), 3, &[]);
        let told = "payment it has counted -1 events";
        check(Aggregate::Payment, count(-1), 0, &[(Law::Published, told)]);
        let told = "shipping it has counted 5000000000 events";
        check(Aggregate::Shipping, count(5_000_000_000), 0, &[(Law::Published, told)]);
    }

    #[test]
    fn what_is_no_currency_is_told_of_the_order() {
        let money = |amount, code| move |it: &mut Reading<'_>| it.money(amount, code).map(|it| it.amount);
        check(Aggregate::Payment, money(Some(5), Some("USD")), Some(5), &[]);
        check(Aggregate::Payment, money(None, None), None, &[]);
        check(Aggregate::Payment, money(None, Some("USD")), None, &[]);
        let told = "its payment is of 5 \"XXQ\", which is no currency";
        check(Aggregate::Payment, money(Some(5), Some("XXQ")), None, &[(Law::Amounts, told)]);
    }

    #[test]
    fn what_are_no_items_is_told_of_the_order() {
        let items = |json| move |it: &mut Reading<'_>| it.items(json);
        let mugs = Some(Print::of_items([("MUG-01", 2)]));
        check(Aggregate::Inventory, items(r#"[{"sku": "MUG-01", "quantity": 2}]"#), mugs, &[]);
        check(Aggregate::Inventory, items("[]"), None, &[]);
        let told = "its reservation is of [7], which are no items: invalid type: integer `7`, expected struct Item at \
                    line 1 column 2";
        check(Aggregate::Inventory, items("[7]"), None, &[(Law::Stock, told)]);
    }

    #[test]
    fn what_is_no_status_is_told_of_the_order() {
        let paying = |it: &mut Reading<'_>| it.status("captured", Paying::parse);
        check(Aggregate::Payment, paying, Some(Paying::Captured), &[]);
        let moving = |it: &mut Reading<'_>| it.status("lost", Moving::parse);
        let told = "its shipment is \"lost\", which is no status of one";
        check(Aggregate::Shipping, moving, None, &[(Law::Caused, told)]);
    }
}
