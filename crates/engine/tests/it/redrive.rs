//! Dead letters that are run again: in order, once, whatever happens meanwhile.

use bus::Record;
use engine::{AutoRedrive, Bytes, RedriveError, Redriven, Which};
use expect_test::expect;
use std::time::Duration;
use testkit::eventually;
use uuid::Uuid;

use crate::{
    account::{Order, Twist},
    laws,
    rig::{Rig, SOON, book, event, twisted},
};

/// Takes the cause of every overdraft away.
const CURE: &str = "alter table account drop constraint account_covered";

/// Overdrawn at first, then `behind` plain bookings that wait.
pub(crate) async fn parked(rig: &Rig, account: &str, behind: i64) -> Vec<Uuid> {
    let waiting = (1..=behind).map(|it| book(account, it));
    let orders: Vec<Order> =
        [twisted(account, -1_000_000, Twist::Overdraw)].into_iter().chain(waiting).collect();
    rig.send(&orders).await
}

pub(crate) async fn cure(rig: &Rig) {
    sqlx::raw_sql(CURE).execute(&rig.pool).await.unwrap();
}

/// The causes of an account's journal, in its order.
async fn causes(rig: &Rig, account: &str) -> Vec<Uuid> {
    rig.journal().await.into_iter().filter(|it| it.account == account).map(|it| it.cause_id).collect()
}

async fn actions(rig: &Rig) -> String {
    let sql = "select string_agg(outcome || ' by ' || actor || ': ' || reason || '; ' || error, chr(10)
        order by dead_letter_action_id) from engine.dead_letter_action";
    let all: Option<String> = sqlx::query_scalar(sql).fetch_one(&rig.pool).await.unwrap();
    let short = |line: &str| line.split(" row for").next().unwrap().to_owned() + "\n";
    all.unwrap_or_default().lines().filter(|it| it.contains(" by ")).map(short).collect()
}

async fn all_free(rig: &Rig) {
    let left = "select (select count(*) from engine.dead_letter) + (select count(*) from engine.parked_key)";
    assert_eq!(rig.count(left).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn once_the_cause_is_gone_a_redrive_applies_the_key_in_order_and_a_second_one_does_nothing() {
    let rig = Rig::new().await;
    let engine = rig.start();
    let sent = parked(&rig, "ill", 20).await;
    let well = rig.send(&(0..20).map(|it| book(format!("well-{it}"), 1)).collect::<Vec<_>>()).await;
    rig.letters_of(21).await;
    rig.journal_of(20).await;

    let in_vain = engine.redrive(Which::Key("ill".into())).await.unwrap();
    cure(&rig).await;
    let redriven = engine.redrive(Which::All).await.unwrap();
    let again = engine.redrive(Which::Key("ill".into())).await.unwrap();

    assert_eq!(in_vain, Redriven { failed: 1, ..Redriven::default() });
    assert_eq!(redriven, Redriven { applied: 21, ..Redriven::default() });
    assert_eq!(again, Redriven::default());
    assert_eq!(causes(&rig, "ill").await, sent);
    all_free(&rig).await;
    let actions = actions(&rig).await;
    assert_eq!(actions.lines().count(), 22);
    expect![[r#"
        failed by operator:jane: the cause is gone; error returned from database: new
        applied by operator:jane: the cause is gone; error returned from database: new
        applied by operator:jane: the cause is gone; an earlier message of this key is a dead letter
    "#]]
    .assert_eq(&actions.lines().take(3).map(|it| format!("{it}\n")).collect::<String>());
    rig.drained().await;
    laws::hold(&rig, &[sent, well].concat()).await.unwrap();
    engine.stop().await;
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn live_messages_of_the_key_come_after_what_is_redriven() {
    let rig = Rig::new().await;
    let engine = rig.engine("engine").with(|it| it.batch_size = 10).run(|_| true);
    let mut sent = parked(&rig, "ill", 100).await;
    rig.letters_of(101).await;
    cure(&rig).await;

    let live = async {
        let mut sent = Vec::new();
        for _ in 0..40 {
            sent.extend(rig.send(&[book("ill", 1), book("ill", 2)]).await);
        }
        sent
    };
    let (redriven, live) = tokio::join!(engine.redrive(Which::Key("ill".into())), live);
    sent.extend(live);
    rig.journal_of(181).await;

    assert!(redriven.unwrap().applied >= 101);
    assert_eq!(causes(&rig, "ill").await, sent);
    eventually(SOON, "the key is free", async || {
        match rig.count("select count(*) from engine.parked_key").await {
            0 => Ok(()),
            _ => Err("it is parked"),
        }
    })
    .await;
    all_free(&rig).await;
    rig.drained().await;
    laws::hold(&rig, &sent).await.unwrap();
    engine.stop().await;
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_operators_at_once_apply_each_letter_once() {
    let rig = Rig::new().await;
    let (one, other) = (rig.start(), rig.engine("other").run(|it| it == "redrive"));
    let mut sent = Vec::new();
    for account in 0..20 {
        sent.extend(parked(&rig, &format!("ill-{account}"), 5).await);
    }
    rig.letters_of(120).await;
    cure(&rig).await;

    let (first, second) = tokio::join!(one.redrive(Which::All), other.redrive(Which::All));

    assert_eq!(first.unwrap().applied + second.unwrap().applied, 120);
    all_free(&rig).await;
    for account in 0..20 {
        let account = format!("ill-{account}");
        assert_eq!(causes(&rig, &account).await.len(), 6, "{account}");
    }
    rig.drained().await;
    laws::hold(&rig, &sent).await.unwrap();
    one.stop().await;
    other.stop().await;
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redrive_that_dies_half_way_is_completed_by_whoever_is_alive() {
    let rig = Rig::new().await;
    let victim = rig.engine("victim").with(|it| it.batch_size = 10).run(|_| true);
    let sent = parked(&rig, "ill", 50).await;
    rig.letters_of(51).await;
    cure(&rig).await;
    // The redrive is stopped at the thirtieth letter.
    let held = "create function slow() returns trigger language plpgsql as $$
            begin if new.amount = 30 then perform pg_advisory_xact_lock(7); end if; return new; end $$;
        create trigger slow before insert on journal for each row execute function slow()";
    sqlx::raw_sql(held).execute(&rig.pool).await.unwrap();
    let lock = rig.hold("select pg_advisory_xact_lock(7)").await;
    let letters = victim.dead_letters.clone();
    let redrive = tokio::spawn(async move {
        let by = engine::By { actor: "operator:joe".into(), reason: "dies".into() };
        letters.redrive(Which::All, by, None).await
    });
    rig.blocked("victim").await;
    let half_way = rig.journal().await.len();
    victim.crash().await;
    assert_eq!(redrive.await.unwrap(), Err(RedriveError::Unavailable));
    lock.rollback().await.unwrap();
    assert!((10..=30).contains(&half_way), "{half_way}");

    let engine = rig.start();
    rig.journal_of(51).await;

    assert_eq!(causes(&rig, "ill").await, sent);
    all_free(&rig).await;
    assert!(actions(&rig).await.contains("applied by service:account: nothing holds the key up"));
    rig.drained().await;
    laws::hold(&rig, &sent).await.unwrap();
    engine.stop().await;
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_never_be_read_is_discarded_and_what_waited_is_applied() {
    let rig = Rig::new().await;
    let engine = rig.start();
    let garbage = event(Uuid::now_v7(), &book("ill", 1)).into_record(rig.reads().into(), "ill".into());
    rig.produce([Record { payload: Some(vec![0xff, 0x00, 0x1b].into()), ..garbage }]).await;
    let sent = rig.send(&[book("ill", 1), book("ill", 2)]).await;
    rig.letters_of(3).await;
    let letters =
        engine.dead_letters.list(&engine::Wanted { limit: 10, ..Default::default() }).await.unwrap();
    let shown = engine.dead_letters.show(letters[0].dead_letter_id).await.unwrap().unwrap();

    let waiting = engine.discard(Which::Id(letters[1].dead_letter_id)).await;
    let discarded = engine.discard(Which::Id(letters[0].dead_letter_id)).await;
    let again = engine.discard(Which::Id(letters[0].dead_letter_id)).await;
    // What goes on with a key that was too long for one call asks by the same id, which is gone by then.
    let by = engine::By { actor: "operator:jane".into(), reason: "goes on".into() };
    let gone = Which::Id(letters[0].dead_letter_id);
    let goes_on = engine.dead_letters.discard(gone, by, Some(b"ill".to_vec())).await;

    assert_eq!(shown.payload, Some(Bytes::Binary { base64: "/wAb".into() }));
    assert_eq!(shown.headers.unwrap()[0].0, "ce_specversion");
    assert_eq!(waiting, Err(RedriveError::NotFirst));
    assert_eq!(discarded, Ok(Redriven { discarded: 1, applied: 2, ..Redriven::default() }));
    assert_eq!(again, Err(RedriveError::Unknown));
    assert_eq!(goes_on, Ok(Redriven::default()));
    assert_eq!(causes(&rig, "ill").await, sent);
    assert!(
        actions(&rig).await.starts_with("discarded by operator:jane: the cause is gone; unreadable data")
    );
    all_free(&rig).await;
    engine.stop().await;
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_letter_that_can_be_read_at_last_is_applied_once_under_its_own_id() {
    let rig = Rig::new().await;
    let engine = rig.start();
    let (id, order) = (Uuid::now_v7(), book("ill", 7));
    let record = event(id, &order).into_record(rig.reads().into(), "ill".into());
    let broken = || Record { payload: Some(b"{".to_vec().into()), ..record.clone() };
    // The relay of some older version has published it twice.
    rig.produce([broken(), broken()]).await;
    rig.letters_of(2).await;
    let mended = serde_json::to_vec(&order).unwrap();
    sqlx::query("update engine.dead_letter set payload = $1").bind(&mended).execute(&rig.pool).await.unwrap();

    let redriven = engine.redrive(Which::Key("ill".into())).await.unwrap();
    rig.send_as(&[(id, order)]).await;
    rig.at_rest().await;

    assert_eq!(redriven, Redriven { applied: 1, duplicates: 1, ..Redriven::default() });
    assert_eq!(causes(&rig, "ill").await, [id]);
    all_free(&rig).await;
    engine.stop().await;
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unread_letter_that_waits_keeps_its_claim_until_its_turn() {
    let rig = Rig::new().await;
    let engine = rig.start();
    let (id, order) = (Uuid::now_v7(), book("ill", 7));
    rig.send(&[twisted("ill", -1_000_000, Twist::Overdraw)]).await;
    let record = event(id, &order).into_record(rig.reads().into(), "ill".into());
    rig.produce([Record { payload: Some(b"{".to_vec().into()), ..record }]).await;
    rig.letters_of(2).await;
    let mended = serde_json::to_vec(&order).unwrap();
    sqlx::query("update engine.dead_letter set payload = $1 where status = 'waiting'")
        .bind(&mended)
        .execute(&rig.pool)
        .await
        .unwrap();

    let in_vain = engine.redrive(Which::All).await.unwrap();
    cure(&rig).await;
    let redriven = engine.redrive(Which::All).await.unwrap();

    assert_eq!(in_vain, Redriven { failed: 1, ..Redriven::default() });
    assert_eq!(redriven, Redriven { applied: 2, ..Redriven::default() });
    assert_eq!(causes(&rig, "ill").await[1], id);
    engine.stop().await;
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redrive_by_type_leaves_other_keys_alone() {
    let rig = Rig::new().await;
    let engine = rig.start();
    parked(&rig, "ill", 1).await;
    let mut odd = event(Uuid::now_v7(), &book("odd", 1)).into_record(rig.reads().into(), "odd".into());
    odd.headers.retain(|(name, _)| name != "ce_type");
    odd.headers.push(("ce_type".into(), Some(b"waybill.account.ordered.v9".to_vec().into())));
    rig.produce([odd]).await;
    rig.letters_of(3).await;
    cure(&rig).await;

    let other = engine.redrive(Which::Type("waybill.account.ordered.v9".into())).await.unwrap();
    let none = engine.redrive(Which::Type("account.order".into())).await.unwrap();
    let by_name = engine.redrive(Which::Type("account.ordered".into())).await.unwrap();

    assert_eq!(other, Redriven { failed: 1, ..Redriven::default() });
    assert_eq!(none, Redriven::default());
    assert_eq!(by_name, Redriven { failed: 1, applied: 2, ..Redriven::default() });
    assert_eq!(rig.letters().await.len(), 1);
    engine.stop().await;
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fails_is_tried_again_by_itself_up_to_its_ceiling_when_that_is_wanted() {
    let rig = Rig::new().await;
    let auto = AutoRedrive { attempts: 2, after: Duration::from_millis(100) };
    let engine = rig.engine("engine").with(|it| it.auto_redrive = Some(auto)).run(|_| true);
    let sent = parked(&rig, "ill", 1).await;
    let tried = |sql: &'static str| {
        let rig = &rig;
        eventually(SOON, "it was tried", async move || match rig.count(sql).await {
            3 => Ok(()),
            attempt => Err(attempt),
        })
    };
    rig.letters_of(2).await;
    tried("select max(attempt)::bigint from engine.dead_letter").await;
    // Given up: while another one has all of its attempts, this one has no further.
    parked(&rig, "later", 0).await;
    rig.letters_of(3).await;
    tried("select coalesce(max(attempt), 0)::bigint from engine.dead_letter where key = 'later'").await;
    // The cause goes, and only an operator can tell.
    cure(&rig).await;
    let ceiling = rig.count("select count(*) from engine.dead_letter where attempt > 3").await;
    let redriven =
        engine.redrive(Which::Id(rig.count("select min(dead_letter_id) from engine.dead_letter").await));

    assert_eq!(redriven.await.unwrap().applied, 2);
    assert_eq!(ceiling, 0);
    assert_eq!(causes(&rig, "ill").await, sent);
    engine.stop().await;
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_who_discard_one_letter_neither_takes_the_next_one_with_it() {
    let rig = Rig::new().await;
    let (one, other) = (rig.start(), rig.engine("other").run(|it| it == "redrive"));
    for round in 0..10 {
        let key = format!("ill-{round}");
        // The second is poison as well, once it is its turn.
        rig.send(&[twisted(&key, 1, Twist::Impossible), twisted(&key, 1, Twist::Impossible)]).await;
        let letters = rig.letters_of(round + 2).await;
        assert_eq!(letters.len(), round + 2);
        let first = "select max(d.dead_letter_id) from engine.dead_letter d
            where status = 'poison' and exists (select from engine.dead_letter e where e.key = d.key and e.status = 'waiting')";
        let id = rig.count(first).await;

        let (a, b) = tokio::join!(one.discard(Which::Id(id)), other.discard(Which::Id(id)));

        let done = [&a, &b].into_iter().flatten().map(|it| it.discarded).sum::<u64>();
        assert_eq!(done, 1, "{a:?} {b:?}");
        assert_eq!(rig.letters().await.len(), round + 1, "the second letter is there still");
    }
    one.stop().await;
    other.stop().await;
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_discard_that_comes_too_late_spares_the_letter_that_is_the_first_by_then() {
    let rig = Rig::new().await;
    let engine = rig.start();
    rig.send(&[twisted("ill", 1, Twist::Impossible), twisted("ill", 1, Twist::Impossible)]).await;
    rig.letters_of(2).await;
    let first = rig.count("select min(dead_letter_id) from engine.dead_letter").await;
    // It has found its letter at the head of the key, and does not get to read the key before another operator
    // has thrown that letter away and the next one has failed.
    let mut other = rig.hold("lock table engine.parked_key in access exclusive mode").await;
    let late = engine.discard(Which::Id(first));
    let meanwhile = async {
        rig.blocked("engine").await;
        let discarded = "delete from engine.dead_letter where status = 'poison';
            update engine.dead_letter set status = 'poison', cause = 'impossible'";
        sqlx::raw_sql(discarded).execute(&mut *other).await.unwrap();
        other.commit().await.unwrap();
    };
    let (late, ()) = tokio::join!(late, meanwhile);

    assert_eq!(late, Err(RedriveError::Unknown));
    assert_eq!(rig.letters().await.len(), 1);
    assert!(!actions(&rig).await.contains("discarded"));
    engine.stop().await;
    rig.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_waits_for_any_more_is_not_done() {
    let rig = Rig::new().await;
    let engine = rig.start();
    for key in ["a", "b"] {
        rig.send(&[twisted(key, 1, Twist::Impossible), twisted(key, 1, Twist::Impossible)]).await;
    }
    rig.letters_of(4).await;
    let held = rig.hold("select from engine.parked_key where key = 'a' for update").await;

    // The first one is at work and waits for the lock; the second one's sender has given up before its turn.
    let letters = engine.dead_letters.clone();
    let by = || engine::By { actor: "operator:joe".into(), reason: "impatient".into() };
    let (first, second) = (letters.discard(Which::Key("a".into()), by(), None), async {
        rig.blocked("engine").await;
        let short = Duration::from_millis(50);
        tokio::time::timeout(short, letters.discard(Which::Key("b".into()), by(), None)).await.unwrap_err();
        held.rollback().await.unwrap();
    });
    let (first, ()) = tokio::join!(first, second);
    let third = engine.redrive(Which::Key("b".into())).await.unwrap();

    assert_eq!(first.unwrap().discarded, 1);
    assert_eq!(third, Redriven { failed: 1, ..Redriven::default() });
    assert_eq!(rig.count("select count(*) from engine.dead_letter where key = 'b'").await, 2);
    engine.stop().await;
    rig.close().await;
}
