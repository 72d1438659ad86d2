//! Which of an order's money at the provider is to go back: pure.

use std::collections::BTreeSet;

use audit::{Account, Holds, Intent, Law, Payment, Standing};
use order::Status;

/// An intent that is to be given back, all that is left of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Surplus<'a> {
    pub(super) intent: &'a Intent,
    pub(super) why: &'static str,
}

/// The laws that speak of the provider's money.
pub(super) const LAWS: [Law; 5] =
    [Law::ChargedOnce, Law::Known, Law::Cancelled, Law::Provider, Law::Delivered];

/// What no order is entitled to, where `broken` are the laws that are broken of the order; `Err` says why no money
/// can be moved. The intent that payment knows for an order that is not cancelled is never among it.
pub(super) fn surplus<'a>(
    account: &'a Account,
    broken: &BTreeSet<Law>,
) -> Result<Vec<Surplus<'a>>, &'static str> {
    let all = |why| intents(account, |_| true, why);
    let others = |own: &'a str| {
        intents(account, |it| it.id != own, "it is not the intent that payment knows for this order")
    };
    let cancelled = |it: &Standing| it.status == Status::Cancelled;
    match (&account.order, &account.payment) {
        (None, None) => Ok(all("no such order was ever placed")),
        (None, Some(_)) => Err("payment knows this order and the order service does not: no money is moved \
                                while it is not clear which of them has lost something"),
        (Some(_), Some(Payment { holds: Holds::Unsure, .. })) => {
            Err("payment itself is asking the provider about this order: look again when it has its answer")
        }
        (Some(order), Some(Payment { holds: Holds::Money, reference: Some(own) })) if cancelled(order) => {
            // Payment may be about to hear of the cancellation, unless the audit has ruled that out.
            match broken.contains(&Law::Cancelled) || broken.contains(&Law::Ends) {
                true => Ok(all("its order is cancelled")),
                false => Ok(others(own)),
            }
        }
        (Some(order), None) if cancelled(order) => Ok(all("its order is cancelled")),
        (Some(order), Some(Payment { holds: Holds::Nothing | Holds::NoMore, .. })) if cancelled(order) => {
            Ok(all("its order is cancelled, and payment holds nothing for it"))
        }
        (Some(_), Some(Payment { reference: Some(own), .. }))
            if account.intents.iter().any(|it| it.id == *own) =>
        {
            Ok(others(own))
        }
        _ => {
            Err("which of the intents is the order's own is not known: the one that payment knows is not in \
                  the provider's ledger")
        }
    }
}

fn intents<'a>(
    account: &'a Account,
    wanted: impl Fn(&Intent) -> bool,
    why: &'static str,
) -> Vec<Surplus<'a>> {
    let left = |it: &&Intent| it.net() > 0 || it.held() > 0;
    account
        .intents
        .iter()
        .filter(|it| wanted(it))
        .filter(left)
        .map(|intent| Surplus { intent, why })
        .collect()
}
