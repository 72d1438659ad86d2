//! From what an audit has found to what could be sent: pure.

use std::collections::{BTreeMap, BTreeSet};

use audit::{Account, Finding, Intent, Kind, Law, REPAIR_KEY, Report, Violation};
use order::Status;
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{advice, money, money::Surplus};
use crate::{
    client::BaseUrl,
    dead_letters::{Desks, Service},
};

/// What is wrong, and what can be done about it.
#[derive(Debug, Default, Serialize)]
pub(super) struct Plan {
    pub(super) proposals: Vec<Proposal>,
    /// What no command mends.
    pub(super) unmended: Vec<Unmended>,
}

/// A command that could be sent.
#[derive(Debug, Serialize)]
pub(super) struct Proposal {
    pub(super) wrong: Vec<String>,
    #[serde(flatten)]
    pub(super) command: Command,
    /// What it will do.
    pub(super) does: String,
    pub(super) safe_to_send_twice: bool,
    /// Why it is, or is not.
    pub(super) twice: &'static str,
}

/// A `POST`.
#[derive(Debug, Serialize)]
pub(super) struct Command {
    pub(super) what: What,
    pub(super) method: &'static str,
    #[serde(serialize_with = "text")]
    pub(super) base: BaseUrl,
    pub(super) path: String,
    /// JSON, or for the provider the members of a form.
    pub(super) body: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) idempotency_key: Option<String>,
}

/// In the order in which they are sent: what mends by itself first, what moves money last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum What {
    Refold,
    Redrive(Service),
    CancelOrder,
    CancelIntent,
    Refund,
}

#[derive(Debug, Serialize)]
pub(super) struct Unmended {
    pub(super) wrong: Vec<String>,
    /// What an operator can do.
    pub(super) advice: String,
}

/// Where commands are sent to.
pub(super) struct Targets<'a> {
    pub(super) order: &'a BaseUrl,
    pub(super) desks: &'a Desks,
    pub(super) provider: &'a BaseUrl,
}

fn text<S: serde::Serializer>(base: &BaseUrl, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(base)
}

/// The orders that have to be looked at before anything is proposed for them.
pub(super) fn unclear(report: &Report) -> BTreeSet<Uuid> {
    let needs = |it: &&Violation| it.law == Law::Ends || money::LAWS.contains(&it.law);
    let violated = report.violations.iter().filter(needs).filter_map(|it| it.order_id);
    violated.chain(report.findings.iter().filter_map(overdue)).collect()
}

/// The order that is not cancelled though its time is over.
fn overdue(finding: &Finding) -> Option<Uuid> {
    let is_order = finding.kind == Kind::Overdue && finding.service == Service::Order.name();
    is_order.then(|| finding.key.as_ref()?.parse().ok())?
}

/// What to propose, where `accounts` has what was seen of the [`unclear`] orders.
pub(super) fn plan(report: &Report, accounts: &BTreeMap<Uuid, Account>, targets: &Targets<'_>) -> Plan {
    let mut plan = Plan::default();
    let mut orders: BTreeMap<Uuid, Wrong<'_>> = BTreeMap::new();
    for violation in &report.violations {
        match violation.order_id {
            Some(id) => orders.entry(id).or_default().violations.push(violation),
            None => plan.give_up(vec![of(violation)], advice::of_law(violation.law)),
        }
    }
    for finding in &report.findings {
        match (overdue(finding), finding.kind) {
            (Some(id), _) => orders.entry(id).or_default().overdue = Some(finding),
            (None, Kind::Parked) => plan.parked(finding, targets),
            (None, kind) => plan.give_up(vec![found(finding)], advice::of_finding(kind)),
        }
    }
    for (id, wrong) in orders {
        plan.order(id, &wrong, report.stale_rows.contains(&id), accounts.get(&id), targets);
    }
    plan.proposals.sort_by_key(|it| it.command.what);
    plan
}

/// All that is wrong with one order.
#[derive(Default)]
struct Wrong<'a> {
    violations: Vec<&'a Violation>,
    overdue: Option<&'a Finding>,
}

impl Wrong<'_> {
    fn of(&self, laws: &[Law]) -> Vec<String> {
        self.violations.iter().filter(|it| laws.contains(&it.law)).map(|it| of(it)).collect()
    }

    /// It stands still, or its time is over.
    fn stands(&self) -> Vec<String> {
        self.of(&[Law::Ends]).into_iter().chain(self.overdue.map(found)).collect()
    }
}

impl Plan {
    fn give_up(&mut self, wrong: Vec<String>, advice: impl Into<String>) {
        if !wrong.is_empty() {
            self.unmended.push(Unmended { wrong, advice: advice.into() });
        }
    }

    fn order(
        &mut self,
        id: Uuid,
        wrong: &Wrong<'_>,
        is_stale: bool,
        account: Option<&Account>,
        targets: &Targets<'_>,
    ) {
        let fold = wrong.of(&[Law::Fold]);
        let money = wrong.of(&money::LAWS);
        let standing = wrong.stands();
        for law in Law::ALL
            .into_iter()
            .filter(|it| ![Law::Fold, Law::Ends].contains(it) && !money::LAWS.contains(it))
        {
            self.give_up(wrong.of(&[law]), advice::of_law(law));
        }
        if !fold.is_empty() {
            // What its row says is not to be relied on.
            self.give_up(
                [money, standing].concat(),
                "first its row in the read model: look again after that",
            );
            return match is_stale {
                true => self.proposals.push(refold(id, fold, targets)),
                false => self.give_up(fold, advice::of_law(Law::Fold)),
            };
        }
        let Some(account) = account else { return };
        let laws: BTreeSet<Law> = wrong.violations.iter().map(|it| it.law).collect();
        let mut of_money = money;
        match account.order {
            _ if standing.is_empty() => {}
            Some(it) if matches!(it.status, Status::Placed | Status::Confirmed) && !it.cancelling => {
                self.proposals.push(cancel(id, standing, targets));
            }
            // What a cancelled order waits for is mostly money that nobody gives back.
            Some(it) if it.status == Status::Cancelled => of_money.extend(standing),
            _ => self.give_up(standing, advice::TOO_LATE),
        }
        if of_money.is_empty() {
            return;
        }
        match money::surplus(account, &laws) {
            Ok(surplus) if surplus.is_empty() => self.give_up(of_money, advice::NOTHING_TO_MOVE),
            Ok(surplus) => {
                self.proposals.extend(surplus.iter().map(|it| give_back(id, it, of_money.clone(), targets)));
            }
            Err(why) => self.give_up(of_money, why),
        }
    }

    fn parked(&mut self, finding: &Finding, targets: &Targets<'_>) {
        let service = Service::ALL.into_iter().find(|it| it.name() == finding.service);
        // A key that is no text cannot be named: the replacement character stands for what it really is.
        let key = finding.key.as_ref().filter(|it| !it.contains('\u{fffd}'));
        let (Some(service), Some(key)) = (service, key) else {
            return self.give_up(vec![found(finding)], advice::UNNAMED_KEY);
        };
        self.proposals.push(Proposal {
            wrong: vec![found(finding)],
            command: Command {
                what: What::Redrive(service),
                method: "POST",
                base: targets.desks.of(service).clone(),
                path: "/dead-letters/redrive".into(),
                body: json!({"key": key, "reason": REASON}),
                idempotency_key: None,
            },
            does: "runs the dead letters of this key again, in their order, up to the first that is poison still; \
                   nothing is thrown away"
                .into(),
            safe_to_send_twice: true,
            twice: "the inbox knows what was applied",
        });
    }
}

const REASON: &str = "waybill repair";

fn of(violation: &Violation) -> String {
    let order = violation.order_id.map(|it| format!(" order {it}"));
    let subject = order.or_else(|| violation.sku.as_ref().map(|it| format!(" {it}"))).unwrap_or_default();
    format!("{}{subject}: {}", violation.law.name(), violation.text)
}

fn found(finding: &Finding) -> String {
    let key = finding.key.as_ref().map(|it| format!(" {it}")).unwrap_or_default();
    format!("{:?} at {}{key}: {}", finding.kind, finding.service, finding.text)
}

fn refold(id: Uuid, wrong: Vec<String>, targets: &Targets<'_>) -> Proposal {
    Proposal {
        wrong,
        command: Command {
            what: What::Refold,
            method: "POST",
            base: targets.desks.of(Service::Order).clone(),
            path: format!("/orders/{id}/refold"),
            body: Value::Null,
            idempotency_key: None,
        },
        does: "writes the order's row in the read model anew from its events, under its lock; nothing happens to the \
               order"
            .into(),
        safe_to_send_twice: true,
        twice: "the same events fold to the same row",
    }
}

fn cancel(id: Uuid, wrong: Vec<String>, targets: &Targets<'_>) -> Proposal {
    Proposal {
        wrong,
        command: Command {
            what: What::CancelOrder,
            method: "POST",
            base: targets.order.clone(),
            path: format!("/orders/{id}/cancel"),
            body: json!({"reason": "stands still (waybill repair)"}),
            idempotency_key: None,
        },
        does: "cancels the order, and whoever holds something for it gives it back; a confirmed one once shipping has \
               stopped its parcel, and one that has been shipped is refused (409)"
            .into(),
        safe_to_send_twice: true,
        twice: "an order is cancelled once",
    }
}

fn give_back(id: Uuid, surplus: &Surplus<'_>, wrong: Vec<String>, targets: &Targets<'_>) -> Proposal {
    let Surplus { intent, why } = surplus;
    let Intent { id: reference, currency, .. } = intent;
    let (what, path, amount, body, verb) = match intent.held() {
        0 => {
            let net = intent.net();
            let body = json!({"payment_intent": reference, "amount": net.to_string(),
                "metadata[order_id]": id.to_string()});
            (What::Refund, "/v1/refunds".to_owned(), net, body, "refunds")
        }
        held => {
            let path = format!("/v1/payment_intents/{reference}/cancel");
            (What::CancelIntent, path, held, json!({}), "lets go of the authorised")
        }
    };
    let purpose = if what == What::Refund { "refund" } else { "cancel" };
    Proposal {
        wrong,
        command: Command {
            what,
            method: "POST",
            base: targets.provider.clone(),
            path,
            body,
            idempotency_key: Some(format!("{REPAIR_KEY}{purpose}-{reference}-{amount}")),
        },
        does: format!("{verb} {amount} {currency} (minor units) of {reference}, of order {id}: {why}"),
        safe_to_send_twice: true,
        twice: "the idempotency key is that of the intent, the purpose and the amount, and the provider gives back no \
                more than it has",
    }
}
