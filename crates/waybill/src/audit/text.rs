//! A report for eyes.

use audit::{MOST, Report};

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
        let subject =
            it.order_id.map(|id| format!(" order {id}")).or(it.sku.as_ref().map(|it| format!(" {it}")));
        say!("\nviolated: {}{}: {}", it.law.name(), subject.unwrap_or_default(), it.text);
        it.events.iter().for_each(|event| say!("  {event}"));
    }
    if report.laws.iter().any(|it| it.violations > MOST as u64) {
        say!("\nof a law that is violated more often than {MOST} times the first {MOST} are shown");
    }
    for it in &report.findings {
        let key = it.key.as_ref().map(|it| format!(" {it}")).unwrap_or_default();
        say!("\nfound: {:?} at {}{key}: {}", it.kind, it.service, it.text);
    }
    say!("\n{}", summary(report));
}

fn summary(report: &Report) -> String {
    let orders: Vec<String> =
        report.orders.iter().map(|(status, count)| format!("{count} {status}")).collect();
    let orders = if orders.is_empty() { "no orders".to_owned() } else { orders.join(", ") };
    let mut text = format!("{orders}; {} in flight; {} ms", report.in_flight, report.took_ms);
    if report.ignored_records > 0 {
        text.push_str(&format!("; {} records of others", report.ignored_records));
    }
    if report.forgotten > 0 {
        text.push_str(&format!("; {} keys that the topics hold no more", report.forgotten));
    }
    if report.awaiting_person > 0 {
        text.push_str(&format!("; {} parcels wait for a person", report.awaiting_person));
    }
    let clean = if report.is_clean() { "clean" } else { "not clean" };
    format!("{clean}: {text}")
}
