//! Deadlines: due by the database's clock, cleared in time or not, and never both.

use std::{collections::HashMap, time::Duration};

use testkit::eventually;

use crate::{
    account::Twist,
    laws,
    rig::{Rig, SOON, book, twisted},
};

const HOUR: u64 = 3_600_000;

impl Rig {
    /// Waits until so many connections of the engine wait for a lock.
    #[track_caller]
    fn waiting(&self, count: i64) -> impl Future<Output = ()> {
        eventually(SOON, "the engine's transactions wait for the lock", async move || {
            let sql = "select count(*) from pg_stat_activity where datname = current_database()
                and application_name = 'engine' and wait_event_type = 'Lock'";
            match self.count(sql).await {
                waiting if waiting == count => Ok(()),
                waiting => Err(format!("{waiting} of {count}")),
            }
        })
    }

    /// Waits until the first `count` of the deadlines are settled, this way or that.
    async fn settled(&self, count: i64) {
        eventually(SOON, "deadlines are settled", async || {
            match self.count("select count(*) from journal where kind in ('Expired', 'Disarmed')").await {
                settled if settled >= count => Ok(()),
                settled => Err(format!("{settled} of {count}")),
            }
        })
        .await
    }

    /// How often each kind of event is in the journal.
    async fn kinds(&self) -> HashMap<String, usize> {
        let mut kinds = HashMap::new();
        for entry in self.journal().await {
            *kinds.entry(entry.kind).or_default() += 1;
        }
        kinds
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_due_comes_once_and_what_was_cleared_does_not_come() {
    let rig = Rig::new().await;
    let engines = [rig.start(), rig.start()];
    for it in 0..40 {
        engines[it % 2].command(twisted(format!("due-{it}"), 1, Twist::Arm(1 + it as u64))).await.unwrap();
    }
    for it in 0..10 {
        engines[it % 2].command(twisted(format!("cleared-{it}"), 1, Twist::Arm(HOUR))).await.unwrap();
        engines[(it + 1) % 2].command(twisted(format!("cleared-{it}"), 0, Twist::Disarm)).await.unwrap();
    }

    rig.journal_of(100).await;

    // Two processes looked for them all the while: had one been taken twice, it would be in the journal twice.
    let kinds = rig.kinds().await;
    assert_eq!((kinds["Armed"], kinds["Expired"], kinds["Disarmed"]), (50, 40, 10), "{kinds:?}");
    assert_eq!(rig.count("select count(*) from engine.deadline").await, 0);
    rig.drained().await;
    laws::hold(&rig, &[]).await.unwrap();
    for engine in engines {
        engine.stop().await;
    }
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadline_and_the_event_that_clears_it_have_one_winner() {
    let rig = Rig::new().await;
    let engines = [rig.start(), rig.start()];
    let count: usize = 300;
    // Due while the clearing events arrive, so that either may be first. (Each order of the two has a test below.)
    let armed = (0..count).map(|it| twisted(format!("a-{it}"), 1, Twist::Arm(300 + it as u64)));
    rig.send(&armed.collect::<Vec<_>>()).await;
    rig.journal_of(count).await;
    for chunk in 0..30 {
        let orders = (0..10).map(|it| twisted(format!("a-{}", chunk * 10 + it), 0, Twist::Disarm));
        rig.send(&orders.collect::<Vec<_>>()).await;
        // At about the pace at which the deadlines come.
        rig.settled(chunk * 10).await;
    }

    rig.journal_of(2 * count).await;
    rig.at_rest().await;

    let kinds = rig.kinds().await;
    let of = |kind| kinds.get(kind).copied().unwrap_or(0);
    assert_eq!(of("Expired") + of("Disarmed"), count, "{kinds:?}");
    assert_eq!(rig.count("select count(*) from engine.deadline").await, 0);
    assert_eq!(rig.letters().await.len(), 0);
    rig.drained().await;
    laws::hold(&rig, &[]).await.unwrap();
    for engine in engines {
        engine.stop().await;
    }
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadline_survives_its_process() {
    let rig = Rig::new().await;
    let engine = rig.start();
    engine.command(twisted("a", 1, Twist::Arm(700))).await.unwrap();
    engine.crash().await;
    assert_eq!(rig.journal().await.len(), 1);
    eventually(SOON, "it is due while nobody runs", async || {
        match rig.count("select count(*) from engine.deadline where due_at < clock_timestamp()").await {
            1 => Ok(()),
            _ => Err("not yet"),
        }
    })
    .await;

    let engine = rig.start();

    assert_eq!(rig.journal_of(2).await[1].kind, "Expired");
    engine.stop().await;
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadline_that_cannot_be_applied_is_kept_and_holds_nobody_up() {
    let rig = Rig::new().await;
    let engine = rig.start();
    // What violates a constraint now is a matter of the database, and may be mended there.
    sqlx::raw_sql(
        "alter table journal add constraint stuck check (account_id <> 'stuck' or kind <> 'Expired')",
    )
    .execute(&rig.pool)
    .await
    .unwrap();
    engine.command(twisted("stuck", 1, Twist::Arm(1))).await.unwrap();
    engine.command(twisted("a", 1, Twist::Arm(30))).await.unwrap();

    rig.journal_of(3).await;
    assert_eq!(rig.count("select count(*) from engine.deadline where key = 'stuck'").await, 1);
    sqlx::raw_sql("alter table journal drop constraint stuck").execute(&rig.pool).await.unwrap();

    rig.journal_of(4).await;
    let kinds = rig.kinds().await;
    assert_eq!(kinds["Expired"], 2, "{kinds:?}");
    engine.stop().await;
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_set_by_an_event_goes_off_without_new_traffic() {
    let rig = Rig::new().await;
    let engine = rig.start();
    let begun = std::time::Instant::now();
    rig.send(&[book("a", 1), twisted("a", 1, Twist::Arm(200))]).await;

    rig.journal_of(3).await;

    assert!(begun.elapsed() >= Duration::from_millis(200));
    engine.stop().await;
    rig.close().await;
}

/// The account's lock is held while both ask for it; Postgres gives it to them in the order in which they asked.
async fn race(event_first: bool) -> Vec<String> {
    let rig = Rig::new().await;
    let engine = rig.start();
    engine.command(twisted("a", 1, Twist::Arm(HOUR))).await.unwrap();
    let held = rig.hold("select from account where account_id = 'a' for update").await;
    for (waiting, is_event) in [(1, event_first), (2, !event_first)] {
        if is_event {
            rig.send(&[twisted("a", 0, Twist::Disarm)]).await;
        } else {
            let come = "update engine.deadline set due_at = clock_timestamp()";
            sqlx::query(come).execute(&rig.pool).await.unwrap();
        }
        rig.waiting(waiting).await;
    }
    held.rollback().await.unwrap();

    rig.at_rest().await;
    rig.journal_of(2).await;
    // Commands are carried out one after the other, so that whatever the deadline does is done by then.
    engine.command(book("a", 1)).await.unwrap();
    let kinds = rig.journal().await.into_iter().map(|it| it.kind).collect();
    assert_eq!(rig.count("select count(*) from engine.deadline").await, 0);
    engine.stop().await;
    rig.close().await;
    kinds
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_an_event_and_a_deadline_at_the_same_time_the_event_wins_if_it_has_the_lock_first() {
    assert_eq!(race(true).await, ["Armed", "Disarmed", "Booked"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_an_event_and_a_deadline_at_the_same_time_the_deadline_wins_if_it_has_the_lock_first() {
    assert_eq!(race(false).await, ["Armed", "Expired", "Booked"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_is_cleared_never_comes_and_one_that_is_set_again_moves() {
    let rig = Rig::new().await;
    let engine = rig.start();
    engine.command(twisted("cleared", 1, Twist::Arm(400))).await.unwrap();
    engine.command(twisted("sooner", 1, Twist::Arm(HOUR))).await.unwrap();
    engine.command(twisted("later", 1, Twist::Arm(400))).await.unwrap();
    engine.command(twisted("cleared", 0, Twist::Disarm)).await.unwrap();
    engine.command(twisted("later", 1, Twist::Arm(HOUR))).await.unwrap();
    engine.command(twisted("sooner", 1, Twist::Arm(800))).await.unwrap();

    rig.settled(2).await;

    // When the last one came the times that do not hold any more had passed.
    let came: Vec<String> =
        rig.journal().await.into_iter().filter(|it| it.kind == "Expired").map(|it| it.account).collect();
    assert_eq!(came, ["sooner"]);
    let left =
        "select count(*) from engine.deadline where key = 'later' and due_at > clock_timestamp() + '50 min'";
    assert_eq!(rig.count(left).await, 1);
    assert_eq!(rig.count("select count(*) from engine.deadline").await, 1);
    engine.stop().await;
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neither_unknown_kinds_nor_those_that_cannot_be_taken_keep_the_others_waiting() {
    let rig = Rig::new().await;
    // More than a page of each, and all of them due for long.
    let old = "insert into engine.deadline (key, kind, due_at, correlation_id)
        select 'unknown-' || n, 'foreign', clock_timestamp() - interval '2 days', uuidv7() from generate_series(1, 1200) n
        union all
        select 'stuck-' || n, 'expiry', clock_timestamp() - interval '1 day', uuidv7() from generate_series(1, 600) n;
        insert into account select 'stuck-' || n, 0, 0, true from generate_series(1, 600) n;
        alter table journal add constraint stuck check (account_id not like 'stuck%')";
    sqlx::raw_sql(old).execute(&rig.pool).await.unwrap();
    let engine = rig.start();
    engine.command(twisted("a", 1, Twist::Arm(50))).await.unwrap();

    rig.settled(1).await;

    assert_eq!(rig.count("select count(*) from engine.deadline").await, 1_800);
    sqlx::raw_sql("alter table journal drop constraint stuck").execute(&rig.pool).await.unwrap();
    rig.settled(601).await;
    assert_eq!(rig.count("select count(*) from engine.deadline where kind = 'foreign'").await, 1_200);
    engine.stop().await;
    rig.close().await;
}
