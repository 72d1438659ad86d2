//! The relay: how fast it drains, and how late it is at a steady rate.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use bus::topics;
use engine::Cause;
use tokio::time::{Instant, MissedTickBehavior, interval};
use uuid::Uuid;

use crate::{
    account::{Input, Order, PUBLISHES, Twist},
    machine::Machine,
};

const ROWS: i32 = 500_000;
const RATE: u64 = 1_000;
const SECONDS: u64 = 15;

/// Empties an outbox of 500,000 rows of about 400 B, over 50,000 keys.
pub(crate) async fn drain(machine: &Machine) {
    let service = machine.service("drained").await;
    sqlx::query(
        "insert into engine.outbox (event_id, aggregate_type, aggregate_id, type, sequence, occurred_at,
             correlation_id, causation_id, actor, payload)
         select uuidv7(), 'payment', 'account-' || n % 50000, 'waybill.account.changed.v1', n / 50000 + 1,
             clock_timestamp(), uuidv7(), uuidv7(), 'service:account',
             convert_to(json_build_object('account', n % 50000, 'text', repeat(md5(n::text), 8))::text, 'UTF8')
         from generate_series(0, $1 - 1) n",
    )
    .bind(ROWS)
    .execute(&service.pool)
    .await
    .unwrap();
    for settle in ["vacuum analyze engine.outbox", "checkpoint"] {
        sqlx::raw_sql(settle).execute(&service.pool).await.unwrap();
    }
    let (begun, cpu) = (Instant::now(), machine.cpu());
    let engine = service.run(|it| it == "relay");
    // The identity is asked for the lowest row left, which costs the same however many there are.
    service
        .until("select coalesce((select 1 from engine.outbox order by outbox_id limit 1), 0)::bigint", 0)
        .await;
    let (elapsed, cpu) = (begun.elapsed(), machine.cpu() - cpu);
    println!(
        "relay, drain        {:>9.0} rows/s      {:>7.1} CPU-ms per 1,000 (target: 60,000 rows/s)",
        f64::from(ROWS) / elapsed.as_secs_f64(),
        cpu.as_secs_f64() * 1e6 / f64::from(ROWS),
    );
    engine.stop().await;
}

/// Commands at a steady rate: from the reply, which comes after the commit, to a reader of the topic.
pub(crate) async fn steady(machine: &Machine) {
    let service = machine.service("steady").await;
    let engine = service.run(|_| true);
    let topic = topics::name("steady", PUBLISHES.name());
    let mut reader = machine.bus.consumer("steady-reader", &[topic], None).unwrap();
    let committed: Arc<Mutex<HashMap<String, Instant>>> = Arc::default();
    let mut read: HashMap<String, Instant> = HashMap::new();
    let mut ticks = interval(Duration::from_millis(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let total = (RATE * SECONDS) as usize;
    let mut sent = 0;
    let cpu = machine.cpu();
    let begun = Instant::now();
    while read.len() < total {
        tokio::select! {
            _ = ticks.tick(), if sent < total => {
                let account = format!("account-{sent}");
                sent += 1;
                let (commands, committed) = (engine.commands.clone(), committed.clone());
                tokio::spawn(async move {
                    let order = Order { account: account.clone(), amount: 1, twist: Twist::Plain };
                    let (id, actor) = (Uuid::now_v7(), "bench".into());
                    let cause = Cause { id, correlation_id: id, actor, trace: bus::Trace::default() };
                    commands.submit(Input::Command(order), cause, None).await.unwrap();
                    committed.lock().unwrap().insert(account, Instant::now());
                });
            }
            records = reader.poll(1_000, Duration::ZERO) => {
                let now = Instant::now();
                for record in records.unwrap() {
                    read.insert(String::from_utf8(record.key.unwrap()).unwrap(), now);
                }
            }
        }
    }
    let (elapsed, cpu) = (begun.elapsed(), machine.cpu() - cpu);
    let committed = std::mem::take(&mut *committed.lock().unwrap());
    // An event may be read before its command's reply.
    let after_commit = |(account, at): (&String, &Instant)| {
        committed.get(account).map_or(Duration::ZERO, |it| at.saturating_duration_since(*it))
    };
    let mut late: Vec<Duration> = read.iter().map(after_commit).collect();
    late.sort_unstable();
    let at = |share: f64| late[(late.len() as f64 * share) as usize].as_secs_f64() * 1e3;
    println!(
        "relay, steady       {:>9.0} commands/s  {:>7.1} CPU-ms per 1,000; commit to reader p50 {:.1} ms, p99 {:.1} ms",
        total as f64 / elapsed.as_secs_f64(),
        cpu.as_secs_f64() * 1e6 / total as f64,
        at(0.5),
        at(0.99),
    );
    reader.close().await;
    engine.stop().await;
}
