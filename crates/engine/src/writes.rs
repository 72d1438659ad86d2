//! What a transaction writes at its end, in one round trip.

use std::fmt::Write;

use sqlx::{
    Arguments, AssertSqlSafe, Encode, PgConnection, Postgres, Type, error::BoxDynError, postgres::PgArguments,
};

/// Inserts, updates and deletes that are sent as one statement.
///
/// Each sees the database as it was before all of them, and Postgres runs them in an order of its own. So no two may
/// write the same row; and what has to be there before, as the lock of an aggregate before its rows in the outbox, is
/// done by an earlier statement.
#[derive(Default)]
pub struct Writes {
    parts: Vec<String>,
    arguments: PgArguments,
    failed: Option<BoxDynError>,
}

impl Writes {
    /// Adds one, which counts its parameters from `$1`; they are to be bound in their order.
    pub fn add(&mut self, sql: &'static str) -> Parameters<'_> {
        debug_assert!(self.failed.is_some() || self.is_bound(), "parameters of {:?}", self.parts.last());
        self.parts.push(behind(self.arguments.len(), sql));
        Parameters(self)
    }

    /// Whether the last one has got as many parameters as it names.
    fn is_bound(&self) -> bool {
        let Some(last) = self.parts.last() else { return true };
        let numbers = last.split('$').skip(1).map(|it| {
            let digits = it.find(|it: char| !it.is_ascii_digit()).unwrap_or(it.len());
            it[..digits].parse::<usize>().unwrap_or(usize::MAX)
        });
        numbers.max().is_none_or(|it| it == self.arguments.len())
    }

    /// Carries out all that was added. A single one is sent as it is.
    pub async fn send(self, tx: &mut PgConnection) -> sqlx::Result<()> {
        debug_assert!(self.failed.is_some() || self.is_bound(), "parameters of {:?}", self.parts.last());
        if let Some(error) = self.failed {
            return Err(sqlx::Error::Encode(error));
        }
        if self.parts.is_empty() {
            return Ok(());
        }
        // Of what is static above, and numbers.
        sqlx::query_with(AssertSqlSafe(joined(self.parts)), self.arguments).execute(tx).await?;
        Ok(())
    }
}

/// The parameters of what was added last.
pub struct Parameters<'w>(&'w mut Writes);

impl Parameters<'_> {
    #[expect(clippy::return_self_not_must_use, reason = "the last parameter ends the statement")]
    pub fn bind<'t, T: Encode<'t, Postgres> + Type<Postgres>>(self, value: T) -> Self {
        if let Err(error) = self.0.arguments.add(value) {
            self.0.failed.get_or_insert(error);
        }
        self
    }
}

/// The text with its parameters behind so many others.
fn behind(others: usize, sql: &str) -> String {
    let mut pieces = sql.split('$');
    let mut all = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let rest = piece.trim_start_matches(|it: char| it.is_ascii_digit());
        let number: usize = piece[..piece.len() - rest.len()].parse().unwrap_or_default();
        let _ = write!(all, "${}{rest}", others + number);
    }
    all
}

fn joined(mut parts: Vec<String>) -> String {
    if parts.len() == 1 {
        return parts.swap_remove(0);
    }
    let mut all = String::new();
    for (index, part) in parts.iter().enumerate() {
        let with = if index == 0 { "with" } else { "," };
        let _ = write!(all, "{with} write_{index} as ({part})");
    }
    all + " select 1"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_parameters_of_its_own() {
        let mut writes = Writes::default();
        writes.add("insert into a select unnest($1::int[]), $2").bind(vec![1]).bind("one");
        writes.add("delete from b where id = $1").bind(2_i64);
        assert_eq!(
            joined(writes.parts),
            "with write_0 as (insert into a select unnest($1::int[]), $2), \
             write_1 as (delete from b where id = $3) select 1"
        );
        assert_eq!(writes.arguments.len(), 3);
    }

    #[test]
    fn a_single_one_is_sent_as_it_is() {
        let mut writes = Writes::default();
        writes.add("delete from b where id = $1").bind(2_i64);
        assert_eq!(joined(writes.parts), "delete from b where id = $1");
    }
}
