//! What must hold when all is at rest, as the auditor sees it.

use std::collections::BTreeMap;

use audit::{Kind, Options, Report, Sources};
use sqlx::Row;
use testkit::eventually;

use crate::suite::PATIENCE;

/// Waits until no service has anything to publish or to ask; returns the dead letters of each.
pub async fn quiet(sources: &Sources) -> BTreeMap<&'static str, i64> {
    eventually(PATIENCE, "outboxes and effects are empty", async || {
        let mut letters = BTreeMap::new();
        for (service, pool) in &sources.databases {
            let row = sqlx::query(
                "select (select count(*) from engine.outbox), (select count(*) from engine.effect),
                     (select count(*) from engine.dead_letter)",
            )
            .fetch_one(pool)
            .await
            .map_err(|error| error.to_string())?;
            let (outbox, effects): (i64, i64) = (row.get(0), row.get(1));
            if outbox + effects > 0 {
                return Err(format!("{service}: {outbox} to publish, {effects} to ask"));
            }
            letters.insert(*service, row.get(2));
        }
        Ok(letters)
    })
    .await
}

/// Asserts the laws, and waits until every order that no dead letter holds up has come to its end. A law that is
/// broken once is broken: nothing that is under way excuses it.
pub async fn hold(sources: &Sources) -> Report {
    eventually(PATIENCE, "every order comes to its end", async || {
        let report =
            audit::audit(sources, &Options::default()).await.map_err(|error| format!("{error:#}"))?;
        assert!(report.violations.is_empty(), "{:#?}", report.violations);
        let parked = |it: &audit::Finding| it.kind == Kind::Parked;
        match (report.in_flight, report.findings.iter().find(|it| !parked(it))) {
            (0, None) => Ok(report),
            (left, found) => Err(format!("{left} in flight, {found:?}")),
        }
    })
    .await
}
