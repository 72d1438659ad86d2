use std::collections::BTreeMap;

use audit::SERVICES;

use super::Suite;
use crate::figures::Figures;

impl Suite {
    /// Memory of all components, and tables with their indexes.
    pub(crate) async fn sizes(&self) -> anyhow::Result<Figures> {
        let (mut figures, mib) = (Figures::default(), f64::from(1 << 20));
        figures.put_memory(&self.components().memory()?);
        let mut tables: BTreeMap<String, f64> = BTreeMap::new();
        for service in SERVICES {
            let query = "select relname::text, pg_total_relation_size(relid) from pg_stat_user_tables";
            let rows: Vec<(String, i64)> = sqlx::query_as(query).fetch_all(&self.pools[service]).await?;
            tables.extend(
                rows.into_iter().map(|(table, bytes)| (format!("{service} {table}"), bytes as f64 / mib)),
            );
        }
        // What does not fill a megabyte says nothing of bloat.
        for (table, size) in tables.into_iter().filter(|it| it.1 >= 1.0) {
            figures.put(format!("table {table}"), size, "MiB");
        }
        Ok(figures)
    }
}
