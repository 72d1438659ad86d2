//! What follows from the looks.

use std::collections::BTreeSet;

use anyhow::Context;
use sqlx::Row;
use uuid::Uuid;

use crate::{
    Sources,
    answer::answered,
    carrier, judge,
    law::Law,
    ledger,
    look::{Look, Priced},
    report::{Subject, Verdicts},
    seen::{Leg, Ordered, Seen, Shipped},
};

/// What is wrong whatever is in flight.
pub(crate) fn at_once(look: &Look, verdicts: &mut Verdicts) {
    for (id, seen) in &look.orders {
        for broken in judge::at_any_time(seen) {
            verdicts.contradict(broken, *id, seen);
        }
    }
    let orders = look.orders.len() as u64;
    let known = look.orders.values().filter(|it| it.order.is_some()).count() as u64;
    let booked = look.orders.values().filter(|it| it.books.authorizations > 0).count() as u64;
    let paid = look.orders.values().filter(|it| it.payment.is_some()).count() as u64;
    let ended = |law| look.orders.values().filter(|it| judge::end_of(it) == Some(law)).count() as u64;
    let (delivered, cancelled) = (ended(Law::Delivered), ended(Law::Cancelled));
    for (law, times) in [
        (Law::Amounts, paid),
        (Law::Provider, paid),
        (Law::ChargedOnce, booked),
        (Law::Caused, known),
        (Law::Compensated, cancelled),
        (Law::Known, orders),
        (Law::Prices, look.products.len() as u64),
        (Law::Delivered, delivered),
        (Law::Cancelled, cancelled),
        (Law::Ends, known),
    ] {
        verdicts.check(law, times);
    }
}

/// Looks again at what may have been in flight at the first look. `passed`: what was committed by then is read by
/// all. Returns how many orders cannot be judged yet; `unsettled` is given all that something is under way for.
pub(crate) async fn again(
    sources: &Sources,
    first: &Look,
    passed: bool,
    verdicts: &mut Verdicts,
    unsettled: &mut BTreeSet<Uuid>,
) -> anyhow::Result<u64> {
    let suspect =
        |seen: &Seen| !seen.order.is_some_and(|it| it.is_settled()) || judge::at_the_end(seen).is_some();
    let suspects: Vec<Uuid> = first.orders.iter().filter(|it| suspect(it.1)).map(|it| *it.0).collect();
    let second = Look::take(sources, Some(&suspects), verdicts).await?;
    prices(first, &second, passed, verdicts);
    let (mut in_flight, mut waiting) = (0, Vec::new());
    for id in suspects {
        let (Some(before), Some(now)) = (first.orders.get(&id), second.orders.get(&id)) else { continue };
        for broken in judge::at_any_time(now) {
            verdicts.contradict(broken, id, now);
        }
        let judged = order(id, before, now, &second, passed);
        let has_work = second.work.open.contains(&id) || second.work.parked.contains(&id);
        if has_work || matches!(judged, Judged::InFlight) {
            unsettled.insert(id);
        }
        match judged {
            Judged::Fine => {}
            Judged::InFlight => in_flight += u64::from(!verdicts.is_violated(id)),
            Judged::Awaits(leg) => {
                in_flight += u64::from(!verdicts.is_violated(id));
                waiting.push((id, leg));
            }
            Judged::Broken(law, what) => verdicts.contradict((law, what), id, now),
        }
    }
    verdicts.carried.extend(first.legs.union(&second.legs));
    carrier::judge(&waiting, verdicts);
    Ok(in_flight)
}

#[derive(Debug, PartialEq)]
enum Judged {
    /// Or told of otherwise.
    Fine,
    InFlight,
    /// A person, or a carrier that has forgotten it.
    Awaits(Leg),
    Broken(Law, &'static str),
}

fn order(id: Uuid, before: &Seen, now: &Seen, second: &Look, passed: bool) -> Judged {
    // Placing an order comes before all that follows from it.
    let Some(order) = now.order else {
        return Judged::Broken(Law::Known, "nobody has placed it");
    };
    if second.work.parked.contains(&id) {
        return Judged::Fine;
    }
    if !order.is_settled()
        && !second.work.asked.contains(&id)
        && let Some((law, what)) = judge::moved_by_others(before, now)
    {
        return Judged::Broken(law, what);
    }
    let had_settled = before.order.is_some_and(|it| it.is_settled());
    match judge::at_the_end(now) {
        None if order.is_settled() => return Judged::Fine,
        // What the first look saw settled was told before the marks; a call may still be open.
        Some((law, what)) if passed && had_settled && !second.work.open.contains(&id) => {
            return Judged::Broken(law, what);
        }
        _ => {}
    }
    if passed && stands(id, &order, before, now, second) {
        return match now.shipment.as_ref().and_then(Shipped::awaits) {
            Some(leg) => match judge::while_waiting(now, leg) {
                Some((law, what)) => Judged::Broken(law, what),
                None => Judged::Awaits(leg),
            },
            None => Judged::Broken(Law::Ends, "nothing is under way for it"),
        };
    }
    Judged::InFlight
}

/// Whether nothing will ever follow, unless somebody moves its parcel.
fn stands(id: Uuid, order: &Ordered, before: &Seen, now: &Seen, second: &Look) -> bool {
    !order.is_settled() && before == now && !second.work.open.contains(&id)
}

/// A price that is another than inventory's is on its way, unless it was so before the marks.
fn prices(first: &Look, second: &Look, passed: bool, verdicts: &mut Verdicts) {
    for sku in second.prices.keys().filter(|it| !second.products.contains_key(*it)) {
        let text = "the order service has a price for it, and inventory has no such product".to_owned();
        verdicts.violate(Law::Prices, Subject::Sku(sku.clone()), vec![], text);
    }
    for (sku, (product, sequence)) in &second.products {
        let price = second.prices.get(sku);
        let same_before = first.products.get(sku).is_some_and(|it| it.1 == *sequence);
        if !passed || !same_before || price == Some(product) {
            continue;
        }
        let told = |it: &Priced| format!("{} at {} {}", it.name, it.price.amount, it.price.currency);
        let (there, here) = (price.map_or("nothing of it".to_owned(), told), told(product));
        let text = format!("the order service knows {there}, and inventory {here}");
        verdicts.violate(Law::Prices, Subject::Sku(sku.clone()), vec![], text);
    }
}

/// Adds to each violation of an order what has happened to it.
pub(crate) async fn name_events(sources: &Sources, verdicts: &mut Verdicts) -> anyhow::Result<()> {
    let query = "select version, type, event_id from order_event where order_id = $1 order by version";
    let pool = sources.database("order")?;
    for violation in &mut verdicts.violations {
        let Some(id) = violation.order_id else { continue };
        if !violation.events.is_empty() {
            continue;
        }
        let rows = answered(pool, sqlx::query(query).bind(id).fetch_all(pool)).await;
        for row in rows.context("looking at the order service's events")? {
            let (version, name, event): (i64, &str, Uuid) =
                (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            violation.events.push(format!("order_event {version} {name} {event}"));
        }
        if matches!(
            violation.law,
            Law::Amounts
                | Law::Caused
                | Law::ChargedOnce
                | Law::Compensated
                | Law::Provider
                | Law::Delivered
                | Law::Cancelled
                | Law::Known
        ) {
            violation.events.extend(ledger::told(sources, id).await?);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
