//! What somebody should look at, though nothing is lost.

use anyhow::Context;
use sqlx::{PgPool, Row};

use crate::{
    SERVICES, Sources,
    answer::answered,
    law::Law,
    report::{Finding, Kind, MOST, Subject, Verdicts},
    words::number,
};

/// A deadline is late after this time, by the database's clock.
const GRACE_SECS: f64 = 10.0;
/// A call is late after this time: longer than one may take that somebody else has begun.
const CALL_GRACE_SECS: f64 = 30.0;
/// No call is put off for longer: the longest pause, and the longest time that it is left to one worker, are half a minute.
const CALL_AHEAD_SECS: f64 = 120.0;
/// No deadline is expected to be further ahead: 30 days.
const DEADLINE_AHEAD_SECS: f64 = 30.0 * 86_400.0;
/// What is asked so often in vain is told; as the metric `waybill_effects_failing` counts it.
const IN_VAIN: i32 = 5;

pub(crate) async fn find(sources: &Sources, verdicts: &mut Verdicts) -> anyhow::Result<()> {
    for service in SERVICES {
        let pool = sources.database(service)?;
        let found = async {
            overdue(pool, service, verdicts).await?;
            failing(pool, service, verdicts).await?;
            unasked(pool, service, verdicts).await?;
            put_off(pool, service, verdicts).await?;
            parked(pool, service, verdicts).await?;
            redriven(pool, service, verdicts).await
        };
        answered(pool, found).await.with_context(|| format!("looking at the engine of {service}"))?;
    }
    Ok(())
}

fn add(verdicts: &mut Verdicts, kind: Kind, service: &str, key: String, text: String) {
    verdicts.findings.push(Finding { kind, service: service.to_owned(), key: Some(key), text });
}

async fn overdue(pool: &PgPool, service: &str, verdicts: &mut Verdicts) -> sqlx::Result<()> {
    let query =
        "select key, kind, (extract(epoch from clock_timestamp()) - extract(epoch from due_at))::float8
        from engine.deadline
        where due_at < clock_timestamp() - make_interval(secs => $1) order by due_at limit $2";
    for row in sqlx::query(query).bind(GRACE_SECS).bind(MOST as i64).fetch_all(pool).await? {
        let kind: &str = row.try_get(1)?;
        let text = format!("its {kind} was due {:.0} s ago", row.try_get::<f64, _>(2)?);
        add(verdicts, Kind::Overdue, service, row.try_get(0)?, text);
    }
    Ok(())
}

async fn failing(pool: &PgPool, service: &str, verdicts: &mut Verdicts) -> sqlx::Result<()> {
    let query = "select key, attempt, coalesce(error, 'no answer') from engine.effect
        where attempt >= $1 order by created_at limit $2";
    for row in sqlx::query(query).bind(IN_VAIN).bind(MOST as i64).fetch_all(pool).await? {
        let (attempt, error): (i32, &str) = (row.try_get(1)?, row.try_get(2)?);
        let text = format!("asked {attempt} times in vain: {error}");
        add(verdicts, Kind::Failing, service, row.try_get(0)?, text);
    }
    Ok(())
}

/// Calls that are due and that nobody makes: who was to make them stands still.
async fn unasked(pool: &PgPool, service: &str, verdicts: &mut Verdicts) -> sqlx::Result<()> {
    let query = "select key, (extract(epoch from clock_timestamp()) - extract(epoch from due_at))::float8
        from engine.effect
        where due_at < clock_timestamp() - make_interval(secs => $1) and attempt < $2 order by due_at limit $3";
    let late = sqlx::query(query).bind(CALL_GRACE_SECS).bind(IN_VAIN).bind(MOST as i64);
    for row in late.fetch_all(pool).await? {
        let late: f64 = row.try_get(1)?;
        let text = format!("its call to the outside was due {late:.0} s ago, and is not made");
        add(verdicts, Kind::Overdue, service, row.try_get(0)?, text);
    }
    Ok(())
}

/// What would wait for so long that nobody would ever miss it.
async fn put_off(pool: &PgPool, service: &str, verdicts: &mut Verdicts) -> sqlx::Result<()> {
    let query =
        "select key, 'call to the outside', to_char(due_at, 'YYYY-MM-DD HH24:MI:SS') from engine.effect
            where due_at > clock_timestamp() + make_interval(secs => $1)
        union all select key, kind, to_char(due_at, 'YYYY-MM-DD HH24:MI:SS') from engine.deadline
            where due_at > clock_timestamp() + make_interval(secs => $2)
        limit $3";
    let ahead = sqlx::query(query).bind(CALL_AHEAD_SECS).bind(DEADLINE_AHEAD_SECS).bind(MOST as i64);
    for row in ahead.fetch_all(pool).await? {
        let (what, due): (&str, Option<&str>) = (row.try_get(1)?, row.try_get(2)?);
        let text = format!(
            "its {what} is put off {}",
            due.map_or("for ever".to_owned(), |it| format!("until {it}"))
        );
        add(verdicts, Kind::PutOff, service, row.try_get(0)?, text);
    }
    Ok(())
}

async fn parked(pool: &PgPool, service: &str, verdicts: &mut Verdicts) -> sqlx::Result<()> {
    let query = "select key, count(*), (array_agg(cause || ': ' || error order by dead_letter_id))[1]
        from engine.dead_letter group by consumer, key order by min(dead_letter_id) limit $1";
    for row in sqlx::query(query).bind(MOST as i64).fetch_all(pool).await? {
        let (letters, first): (i64, &str) = (row.try_get(1)?, row.try_get(2)?);
        let key = String::from_utf8_lossy(row.try_get::<&[u8], _>(0)?).into_owned();
        add(
            verdicts,
            Kind::Parked,
            service,
            key,
            format!("{}, the first: {first}", number(letters, "dead letter")),
        );
    }
    Ok(())
}

/// Of each key, letters were applied in the order in which they were parked.
async fn redriven(pool: &PgPool, service: &str, verdicts: &mut Verdicts) -> sqlx::Result<()> {
    let query = "select key, dead_letter_id, before, event_id
        from (select *, lag(dead_letter_id) over of_key as before from engine.dead_letter_action
              where outcome = 'applied'
              window of_key as (partition by consumer, key order by dead_letter_action_id)) it
        where before > dead_letter_id limit $1";
    let applied = "select count(*) from engine.dead_letter_action where outcome = 'applied'";
    let applied: i64 = sqlx::query_scalar(applied).fetch_one(pool).await?;
    verdicts.check(Law::Redriven, applied.unsigned_abs());
    for row in sqlx::query(query).bind(MOST as i64).fetch_all(pool).await? {
        let key = String::from_utf8_lossy(row.try_get::<&[u8], _>(0)?).into_owned();
        let (letter, before): (i64, i64) = (row.try_get(1)?, row.try_get(2)?);
        let event = format!("dead letter {letter} {}", row.try_get::<uuid::Uuid, _>(3)?);
        let text = format!("{service} has applied letter {letter} after letter {before}");
        let subject = key.parse().map_or(Subject::Other(key), Subject::Order);
        verdicts.violate(Law::Redriven, subject, vec![event], text);
    }
    Ok(())
}
