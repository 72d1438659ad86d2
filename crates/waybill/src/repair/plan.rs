//! From what an audit has found to what could be sent: pure.

use std::collections::{BTreeMap, BTreeSet};

use audit::{Account, Finding, Kind, Law, Report, Violation};
use order::Status;
use serde::Serialize;
use uuid::Uuid;

use super::{
    advice, hold, money,
    money::Surplus,
    proposal::{Proposal, Targets, cancel, give_back, redrive, refold},
};
use crate::dead_letters::Service;

/// What is wrong, and what can be done about it.
#[derive(Debug, Default, Serialize)]
pub(super) struct Plan {
    pub(super) proposals: Vec<Proposal>,
    /// What no command mends.
    pub(super) unmended: Vec<Unmended>,
}

#[derive(Debug, Serialize)]
pub(super) struct Unmended {
    pub(super) wrong: Vec<String>,
    /// What an operator can do.
    pub(super) advice: String,
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

/// What there is to go by.
pub(super) struct Given<'a> {
    pub(super) report: &'a Report,
    /// What was seen of the [`unclear`] orders.
    pub(super) accounts: &'a BTreeMap<Uuid, Account>,
    /// Whether money may go back of orders that no service knows.
    pub(super) unknown_orders: bool,
}

pub(super) fn plan(given: &Given<'_>, targets: &Targets<'_>) -> Plan {
    let report = given.report;
    let mut plan = Plan::default();
    let mut orders: BTreeMap<Uuid, Wrong<'_>> = BTreeMap::new();
    for violation in &report.violations {
        match violation.order_id {
            Some(id) => orders.entry(id).or_default().violations.push(violation),
            None => plan.give_up(vec![violation.to_string()], advice::of_law(violation.law)),
        }
    }
    for finding in &report.findings {
        match (overdue(finding), finding.kind) {
            (Some(id), _) => orders.entry(id).or_default().overdue = Some(finding),
            (None, Kind::Parked) => plan.parked(finding, targets),
            (None, kind) => plan.give_up(vec![finding.to_string()], advice::of_finding(kind)),
        }
    }
    for (id, wrong) in orders {
        plan.order(id, &wrong, given, targets);
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
        self.violations.iter().filter(|it| laws.contains(&it.law)).map(ToString::to_string).collect()
    }

    /// It stands still, or its time is over.
    fn stands(&self) -> Vec<String> {
        self.of(&[Law::Ends]).into_iter().chain(self.overdue.map(ToString::to_string)).collect()
    }
}

impl Plan {
    fn give_up(&mut self, wrong: Vec<String>, advice: impl Into<String>) {
        if !wrong.is_empty() {
            self.unmended.push(Unmended { wrong, advice: advice.into() });
        }
    }

    fn order(&mut self, id: Uuid, wrong: &Wrong<'_>, given: &Given<'_>, targets: &Targets<'_>) {
        let fold = wrong.of(&[Law::Fold]);
        let money = wrong.of(&money::LAWS);
        let standing = wrong.stands();
        let of_others = |it: &Law| ![Law::Fold, Law::Ends].contains(it) && !money::LAWS.contains(it);
        for law in Law::ALL.into_iter().filter(of_others) {
            self.give_up(wrong.of(&[law]), advice::of_law(law));
        }
        if !fold.is_empty() {
            // What its row says is not to be relied on.
            self.give_up(
                [money, standing].concat(),
                "first its row in the read model: look again after that",
            );
            return match given.report.stale_rows.contains(&id) {
                true => self.proposals.push(refold(id, fold, targets)),
                false => self.give_up(fold, advice::of_law(Law::Fold)),
            };
        }
        if let Some(account) = given.accounts.get(&id) {
            let laws = wrong.violations.iter().map(|it| it.law).collect();
            let surplus = match hold::why(id, given, account, &laws) {
                Some(why) => Err(why),
                None => money::surplus(account, &laws),
            };
            self.settle(id, (money, standing), (account, surplus), targets);
        }
    }

    /// What is wrong with the money of an order, and that it stands still.
    fn settle(
        &mut self,
        id: Uuid,
        (mut money, standing): (Vec<String>, Vec<String>),
        (account, surplus): (&Account, Result<Vec<Surplus<'_>>, &'static str>),
        targets: &Targets<'_>,
    ) {
        match account.order {
            _ if standing.is_empty() => {}
            Some(it) if matches!(it.status, Status::Placed | Status::Confirmed) && !it.cancelling => {
                self.proposals.push(cancel(id, standing, targets));
            }
            // What a cancelled order waits for is mostly money that nobody gives back.
            Some(it) if it.status == Status::Cancelled => money.extend(standing),
            _ => self.give_up(standing, advice::TOO_LATE),
        }
        if money.is_empty() {
            return;
        }
        match surplus {
            Ok(surplus) if surplus.is_empty() => self.give_up(money, advice::NOTHING_TO_MOVE),
            Ok(surplus) => {
                self.proposals.extend(surplus.iter().map(|it| give_back(id, it, money.clone(), targets)));
            }
            Err(why) => self.give_up(money, why),
        }
    }

    fn parked(&mut self, finding: &Finding, targets: &Targets<'_>) {
        let service = Service::ALL.into_iter().find(|it| it.name() == finding.service);
        // A key that is no text cannot be named: the replacement character stands for what it really is.
        let key = finding.key.as_ref().filter(|it| !it.contains('\u{fffd}'));
        let (Some(service), Some(key)) = (service, key) else {
            return self.give_up(vec![finding.to_string()], advice::UNNAMED_KEY);
        };
        self.proposals.push(redrive(service, key, vec![finding.to_string()], targets));
    }
}
