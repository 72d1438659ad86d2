use std::collections::BTreeMap;

use crate::{figures::number, output::Table, suite::Suite};

/// What services have asked their databases so far: in all, and by statement.
#[derive(Debug, Default)]
pub(super) struct Statements {
    pub(super) by_service: BTreeMap<String, Counts>,
    by_statement: BTreeMap<(String, String), i64>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub(super) struct Counts {
    pub(super) statements: i64,
    /// Ended, one way or the other; a statement on its own is one.
    pub(super) transactions: i64,
}

/// Rows of the table of statements.
const MOST: usize = 15;
/// So much of a statement is told.
const LONG: usize = 100;

impl Statements {
    pub(super) async fn now(suite: &Suite) -> anyhow::Result<Self> {
        let prefix = format!("{}_", suite.prefix);
        let service = |database: &str| database.strip_prefix(&prefix).map(str::to_owned);
        let mut it = Self::default();
        let statements: Vec<(String, String, i64)> = sqlx::query_as(
            "select datname::text, query, sum(calls)::bigint
             from pg_stat_statements s join pg_database d on d.oid = s.dbid
             group by datname, query",
        )
        .fetch_all(&suite.ground.admin)
        .await?;
        for (database, query, calls) in statements {
            let Some(service) = service(&database) else { continue };
            it.by_service.entry(service.clone()).or_default().statements += calls;
            *it.by_statement.entry((service, query)).or_default() += calls;
        }
        let transactions: Vec<(Option<String>, i64)> =
            sqlx::query_as("select datname::text, xact_commit + xact_rollback from pg_stat_database")
                .fetch_all(&suite.ground.admin)
                .await?;
        for (database, count) in transactions {
            if let Some(service) = database.as_deref().and_then(service) {
                it.by_service.entry(service).or_default().transactions = count;
            }
        }
        Ok(it)
    }

    pub(super) fn since(&self, earlier: &Self) -> Self {
        let before = |service: &String| earlier.by_service.get(service).copied().unwrap_or_default();
        let service = |(service, now): (&String, &Counts)| {
            let Counts { statements, transactions } = before(service);
            let statements = now.statements - statements;
            (service.clone(), Counts { statements, transactions: now.transactions - transactions })
        };
        let statement = |(it, now): (&(String, String), &i64)| {
            (it.clone(), now - earlier.by_statement.get(it).copied().unwrap_or_default())
        };
        Self {
            by_service: self.by_service.iter().map(service).collect(),
            by_statement: self.by_statement.iter().map(statement).collect(),
        }
    }

    /// What was asked most often.
    pub(super) fn table(&self, seconds: f64) -> Table {
        let mut all: Vec<_> = self.by_statement.iter().filter(|it| *it.1 > 0).collect();
        all.sort_by_key(|it| std::cmp::Reverse(it.1));
        let row = |((service, query), calls): (&(String, String), &i64)| {
            let query = query.split_whitespace().collect::<Vec<_>>().join(" ");
            vec![service.clone(), number(*calls as f64 / seconds), query.chars().take(LONG).collect()]
        };
        let heading = ["service", "/s", "statement"].map(str::to_owned).to_vec();
        let rows = [heading].into_iter().chain(all.into_iter().take(MOST).map(row)).collect();
        Table { title: "What is asked most often".to_owned(), rows }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_asked_since_is_told() {
        let of = |all: &[(&str, i64)]| {
            let mut it = Statements::default();
            for (query, calls) in all {
                it.by_statement.insert(("order".into(), (*query).into()), *calls);
                let counts = it.by_service.entry("order".into()).or_default();
                *counts = Counts { statements: counts.statements + calls, transactions: 1 };
            }
            it
        };
        let since = of(&[("select 1", 30), ("select  2", 90), ("select 3", 5)])
            .since(&of(&[("select 1", 10), ("select 3", 5)]));
        assert_eq!(since.by_service["order"], Counts { statements: 110, transactions: 0 });
        let rows: Vec<String> = since.table(10.0).rows.iter().map(|it| it.join(" ")).collect();
        assert_eq!(rows, ["service /s statement", "order 9.00 select 2", "order 2.00 select 1"]);
    }
}
