//! Why no money is moved for an order, whatever is left of it: pure.

use std::collections::BTreeSet;

use audit::{Account, Kind, Law, MOST, Parcel, Report};
use order::Status;
use uuid::Uuid;

use super::{money, plan::Given};

const BEHIND: &str = "no money is moved while a service or its relay does not get on: what is wrong may only be late, and the \
     service will give the money back itself. Get it going, and look again";
const UNDER_WAY: &str =
    "no money is moved while something is under way for this order, or parked: look again when that is over";
const LEFT: &str = "its parcel has left, and the order does not say so: whether the customer keeps it, or the money goes back, is a \
     person's to decide. Compare the order's history with `GET /shipments/{order_id}`";
const MANY: &str = "more than 5 orders with money at the provider are unknown to the order service: it is more likely that this is the \
     wrong database, or an older backup of it, than that nobody placed them. See ORDER_DATABASE_URL; no money is moved";
const KNOWN: &str = "no order of this id is there, and somebody knows it: its rows are lost, or this is the wrong database. Find them \
     before money is moved: see what inventory, shipping and the topics have of it";
const NOBODYS: &str = "no service has ever heard of this order: it may be another suite's, that shares the provider's account. If this \
     suite alone uses it, `--unknown-orders` gives the money back";

/// So many orders may have been placed by nobody before the database is doubted.
const FEW: usize = 5;

/// Why nothing is given back of this order's money; `None`: something may be. `broken` are the laws that are broken of
/// the order.
pub(super) fn why(
    id: Uuid,
    given: &Given<'_>,
    account: &Account,
    broken: &BTreeSet<Law>,
) -> Option<&'static str> {
    let Given { report, accounts, unknown_orders } = *given;
    let key = id.to_string();
    let named = report.findings.iter().any(|it| it.key.as_ref() == Some(&key));
    let shipped = |status| matches!(status, Status::Shipped | Status::Delivered);
    match &account.order {
        _ if report.findings.iter().any(|it| matches!(it.kind, Kind::Relay | Kind::Consumer)) => Some(BEHIND),
        None if accounts.values().filter(|it| it.order.is_none()).count() > FEW => Some(MANY),
        None if account.payment.is_none() && (is_known(report, account, broken) || named) => Some(KNOWN),
        _ if named || report.unsettled.contains(&id) => Some(UNDER_WAY),
        Some(order) if account.parcel == Some(Parcel::Left) && !shipped(order.status) => Some(LEFT),
        None if account.payment.is_none() && !unknown_orders => Some(NOBODYS),
        _ => None,
    }
}

/// Whether there is a trace of an order beside what the order service and payment say. Where more is wrong than was
/// told one by one, there may be.
fn is_known(report: &Report, account: &Account, broken: &BTreeSet<Law>) -> bool {
    let others = |it: &Law| !money::LAWS.contains(it);
    let untold = report.laws.iter().any(|it| others(&it.law) && it.violations > MOST as u64);
    let traced = account.reserved || account.parcel.is_some();
    traced || untold || !broken.contains(&Law::Known) || broken.iter().any(others)
}
