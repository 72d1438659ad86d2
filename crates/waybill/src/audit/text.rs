//! A report for eyes.

use audit::{MOST, Report, number};

use crate::output::{say, table};

pub(super) fn show(report: &Report) {
    let mut rows = vec![["LAW", "CHECKED", "VIOLATED", ""].map(String::from).to_vec()];
    for law in &report.laws {
        let counts = [law.checked, law.violations].map(|it| it.to_string());
        rows.push(
            [law.law.name().to_owned()].into_iter().chain(counts).chain([law.statement.to_owned()]).collect(),
        );
    }
    table(&rows);
    for it in &report.violations {
        say!("\nviolated: {it}");
        it.events.iter().for_each(|event| say!("  {event}"));
    }
    if report.laws.iter().any(|it| it.violations > MOST as u64) {
        say!("\nof a law that is violated more often than {MOST} times the first {MOST} are shown");
    }
    for it in &report.findings {
        say!("\nfound: {it}");
    }
    say!("\n{}", summary(report));
}

fn summary(report: &Report) -> String {
    let orders: Vec<String> =
        report.orders.iter().map(|(status, count)| format!("{count} {status}")).collect();
    let orders = if orders.is_empty() { "no orders".to_owned() } else { orders.join(", ") };
    let mut text = format!("{orders}; {} cannot be judged yet; {} ms", report.in_flight, report.took_ms);
    if report.ignored_records > 0 {
        text.push_str(&format!("; {} of others", number(report.ignored_records, "record")));
    }
    if report.forgotten > 0 {
        text.push_str(&format!("; {} that the topics hold no more", number(report.forgotten, "key")));
    }
    if report.awaiting_person > 0 {
        text.push_str(&format!("; waiting for a person: {}", number(report.awaiting_person, "parcel")));
    }
    let clean = if report.is_clean() { "clean" } else { "not clean" };
    format!("{clean}: {text}")
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use events::Timestamp;

    use super::*;

    #[test]
    fn what_has_not_come_to_its_end_is_told_as_not_judged() {
        let mut report = Report {
            as_of: Timestamp::UNIX_EPOCH,
            took_ms: 7,
            orders: BTreeMap::from([("confirmed".to_owned(), 28), ("shipped".to_owned(), 9)]),
            in_flight: 3,
            ignored_records: 1,
            forgotten: 0,
            awaiting_person: 1,
            laws: vec![],
            violations: vec![],
            findings: vec![],
            stale_rows: BTreeSet::new(),
            unsettled: BTreeSet::new(),
        };
        let told = "clean: 28 confirmed, 9 shipped; 3 cannot be judged yet; 7 ms; 1 record of others; waiting \
             for a person: 1 parcel";
        assert_eq!(summary(&report), told);
        (report.ignored_records, report.forgotten, report.awaiting_person) = (2, 1, 0);
        let told = "clean: 28 confirmed, 9 shipped; 3 cannot be judged yet; 7 ms; 2 records of others; 1 key \
             that the topics hold no more";
        assert_eq!(summary(&report), told);
    }
}
