//! The auditor on a suite of processes under load: clean, and not blind.

mod in_flight;

use std::collections::{BTreeSet, HashSet};

use ::load::{EVERYTHING, Load, PLAIN, Pace};
use audit::{Law, Options, Report, Sources, Violation};
use bus::{CloudEvent, Trace, topics};
use saga_tests::{Processes, processes::PROVIDER, suite::SERVICES};
use serde_json::Value;
use sqlx::{ConnectOptions, Connection, PgConnection, Row};
use testkit::eventually;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{PATIENCE, all_have_ended, setting};

async fn look(sources: &Sources) -> Report {
    audit::audit(sources, &Options { patience: PATIENCE }).await.expect("everything can be looked at")
}

/// Suite, load and time enough that orders are in every state.
async fn under_load() -> (Processes, Load) {
    let suite = Processes::start().await;
    PLAIN.stock(&suite.target(), 0).await.expect("stock");
    let load = Load::begin(&suite.target(), PLAIN, Pace::Clients(16), usize::MAX).expect("a load");
    eventually(PATIENCE, "orders are delivered", async || {
        match suite.count("order", "order_view where status = 'delivered'").await {
            0..100 => Err("fewer than 100"),
            _ => Ok(()),
        }
    })
    .await;
    (suite, load)
}

/// Whether there were orders that had not come to an end.
fn under_way(report: &Report) -> bool {
    ["placed", "confirmed", "shipped"].iter().any(|it| report.orders.contains_key(*it))
}

async fn delivered(suite: &Processes) -> Uuid {
    let query = "select order_id from order_view where status = 'delivered' and paid limit 1";
    sqlx::query_scalar(query).fetch_one(&suite.pools["order"]).await.expect("an order")
}

/// Clean before the fault, and after it these laws are broken and no others, each of this order or SKU.
async fn finds(fault: impl AsyncFnOnce(&Processes) -> String, laws: &[Law]) -> Vec<Violation> {
    let (suite, load) = under_load().await;
    let before = look(&suite.sources()).await;
    let accepted = load.accepted();
    let subject = fault(&suite).await;
    let after = look(&suite.sources()).await;
    assert!(load.accepted() > accepted, "no order was placed meanwhile");
    load.stop().await;
    suite.clear().await;

    assert!(before.is_clean() && under_way(&before), "{before:#?}");
    let broken: BTreeSet<Law> = after.violations.iter().map(|it| it.law).collect();
    assert_eq!(broken, laws.iter().copied().collect(), "{:#?}", after.violations);
    for violation in &after.violations {
        let told = violation.order_id.map(|it| it.to_string()).or(violation.sku.clone());
        assert_eq!(told.as_ref(), Some(&subject), "{violation:#?}");
        assert!(violation.law == Law::Stock || !violation.events.is_empty(), "{violation:#?}");
    }
    after.violations
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stock_row_changed_by_hand_is_found() {
    let change = async |suite: &Processes| {
        let update = sqlx::query("update product set on_hand = on_hand + 1 where sku = 'LOAD-MUG'");
        update.execute(&suite.pools["inventory"]).await.expect("an update");
        "LOAD-MUG".to_owned()
    };
    finds(change, &[Law::Stock]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_model_row_changed_by_hand_is_found() {
    let change = async |suite: &Processes| {
        let id = delivered(suite).await;
        let update = sqlx::query("update order_view set total_amount = total_amount + 1 where order_id = $1");
        update.bind(id).execute(&suite.pools["order"]).await.expect("an update");
        id.to_string()
    };
    let found = finds(change, &[Law::Fold]).await;
    assert!(found[0].text.contains("total_amount"), "{found:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_captured_twice_at_the_provider_is_found() {
    let charge = async |suite: &Processes| {
        let id = delivered(suite).await;
        let post = async |path: &str, form: &[(&str, &str)]| -> Value {
            let post = suite.http.post(suite.url(PROVIDER, path)).bearer_auth("sk_test_waybill").form(form);
            post.send().await.expect("the provider").json().await.expect("JSON")
        };
        let order_id = id.to_string();
        let form = [
            ("amount", "1999"),
            ("currency", "usd"),
            ("payment_method", "pm_card_visa"),
            ("payment_method_types[]", "card"),
            ("capture_method", "manual"),
            ("confirm", "true"),
            ("metadata[order_id]", &order_id),
        ];
        let intent = post("/v1/payment_intents", &form).await;
        let reference = intent["id"].as_str().unwrap_or_else(|| panic!("{intent}"));
        let captured = post(&format!("/v1/payment_intents/{reference}/capture"), &[]).await;
        assert_eq!(captured["status"], "succeeded", "{captured}");
        order_id
    };
    let found = finds(charge, &[Law::ChargedOnce, Law::Provider, Law::Delivered]).await;
    let captures = |it: &Violation| it.events.iter().filter(|it| it.starts_with("ledger capture")).count();
    assert!(found.iter().all(|it| captures(it) == 2), "{found:#?}");
}

/// "Waybill" and a number: what the active relay holds.
const RELAY: i64 = 0x5741_5942_494c_4c01;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outbox_row_deleted_by_hand_is_found() {
    let delete = async |suite: &Processes| {
        let pool = &suite.pools["shipping"];
        // Nobody publishes while this connection holds the relay's lock: it waits for it as the first.
        let mut holder = PgConnection::connect_with(&pool.connect_options()).await.expect("a connection");
        let waiting = tokio::spawn(async move {
            let lock = sqlx::query("select pg_advisory_lock($1)").bind(RELAY).execute(&mut holder).await;
            lock.expect("the lock");
            holder
        });
        eventually(PATIENCE, "the lock is waited for", async || {
            let end = "select count(pg_terminate_backend(pid)) from pg_locks where locktype = 'advisory' and granted
                and database = (select oid from pg_database where datname = current_database())
                and exists (select from pg_locks where locktype = 'advisory' and not granted
                    and database = (select oid from pg_database where datname = current_database()))";
            match sqlx::query_scalar(end).fetch_one(pool).await {
                Ok(0_i64) => Err("nobody waits".to_owned()),
                other => other.map_err(|error| error.to_string()),
            }
        })
        .await;
        let holder = waiting.await.expect("the lock");
        let row = eventually(PATIENCE, "a row waits to be published", async || {
            let delete = "delete from engine.outbox where outbox_id =
                (select max(outbox_id) from engine.outbox where type like '%delivered%') returning aggregate_id";
            sqlx::query(delete).fetch_optional(pool).await.expect("a delete").ok_or("none")
        })
        .await;
        holder.close().await.expect("the lock is given back");
        let id: String = row.get(0);
        // All that others have to say of it is said: nothing will ever follow.
        for (service, rest) in [
            ("order", "order_view where status = 'shipped' and paid"),
            ("inventory", "reservation where status = 'deducted'"),
        ] {
            eventually(PATIENCE, "the order has come as far as it can", async || {
                match suite.count(service, &format!("{rest} and order_id = '{id}'")).await {
                    1 => Ok(()),
                    _ => Err(service),
                }
            })
            .await;
        }
        id
    };
    let found = finds(delete, &[Law::Published, Law::Ends]).await;
    assert!(found[0].events[0].contains(".shipping sequence 3"), "{found:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gap_in_a_sequence_on_the_topic_is_found() {
    let forge = async |suite: &Processes| {
        let id = delivered(suite).await;
        let event = CloudEvent {
            id: Uuid::now_v7(),
            source: "/waybill/order".into(),
            // Nobody reads it, so that nothing but the topic is disturbed.
            r#type: "waybill.order.praised.v1".into(),
            subject: Some(id.to_string().into()),
            time: None,
            sequence: Some(9),
            correlation_id: None,
            causation_id: None,
            actor: None,
            trace: Trace::default(),
            data: b"{}"[..].into(),
        };
        let record = event.into_record(topics::name(&suite.prefix, "order").into(), id.to_string().into());
        let producer = suite.bus.producer().expect("a producer");
        producer.enqueue([record]).acknowledged().await.expect("it is written");
        id.to_string()
    };
    let found = finds(forge, &[Law::Sequence]).await;
    assert!(found[0].events[0].contains("@") && found[0].events[0].contains("praised"), "{found:#?}");
}

/// Orders to every end, a process killed meanwhile: nothing is broken at any moment, and in the end all is judged.
/// More by `ORDERS=20000`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sound_suite_breaks_no_law_at_any_moment() {
    let mut suite = Processes::start().await;
    let orders = setting("ORDERS", 1_000);
    EVERYTHING.stock(&suite.target(), orders).await.expect("stock");
    let (sources, enough) = (suite.sources(), CancellationToken::new());
    let looking = tokio::spawn({
        let enough = enough.clone();
        async move {
            let mut looks = Vec::new();
            while !enough.is_cancelled() {
                looks.push(look(&sources).await);
            }
            looks
        }
    });

    let load = Load::begin(&suite.target(), EVERYTHING, Pace::Clients(32), orders).expect("a load");
    eventually(10 * PATIENCE, "orders come in", async || match load.accepted() {
        count if count >= orders / 2 => Ok(()),
        count => Err(format!("{count} accepted")),
    })
    .await;
    suite.kill("payment").await;
    suite.restart("payment");
    let tally = load.done().await;
    all_have_ended(&suite, &tally, 10 * PATIENCE).await;
    enough.cancel();
    let looks = looking.await.expect("an auditor that can look");
    let read = topics_read(&suite).await;
    suite.finish().await;

    assert!(looks.iter().any(under_way), "{looks:#?}");
    for report in &looks {
        eprintln!(
            "{} ms, {:?}, {} in flight, {:?}",
            report.took_ms, report.orders, report.in_flight, report.findings
        );
        assert!(report.violations.is_empty(), "{:#?}", report.violations);
    }
    for (service, topics) in read {
        let expected = audit::reads(service).iter().map(|it| it.name().to_owned()).collect();
        assert_eq!(topics, expected, "what {service} reads is what its marks wait for");
    }
}

/// The topics in which each service has committed offsets.
async fn topics_read(suite: &Processes) -> Vec<(&'static str, HashSet<String>)> {
    let prefix = topics::name(&suite.prefix, "");
    let names: Vec<String> = topics::plan(&suite.prefix, &SERVICES).into_iter().map(|it| it.name).collect();
    let mut read = Vec::new();
    for service in SERVICES {
        let progress = suite.bus.progress(&format!("{prefix}{service}"), &names).await.expect("progress");
        let committed = progress.iter().filter(|it| it.committed.is_some());
        read.push((service, committed.map(|it| it.topic.replace(&prefix, "")).collect()));
    }
    read
}

/// Runs `waybill audit` on a suite; its exit code, and what it says on standard output.
async fn command(suite: &Processes, provider: &str) -> (Option<i32>, String) {
    let this = std::env::current_exe().expect("this test");
    let program = this.parent().and_then(|deps| deps.parent()).expect("the target").join("waybill");
    let mut command = tokio::process::Command::new(program);
    command.args(["audit", "--json", "--patience", "60s", "--psp-url", provider]);
    command.args(["--bootstrap-servers", &testkit::bootstrap_servers(), "--topic-prefix", &suite.prefix]);
    for (service, pool) in &suite.pools {
        let url = pool.connect_options().to_url_lossy().to_string();
        command.env(format!("{}_DATABASE_URL", service.to_uppercase()), url);
    }
    let output = command.output().await.expect("the command runs");
    (output.status.code(), String::from_utf8(output.stdout).expect("UTF-8"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_says_by_its_exit_code_what_it_has_seen() {
    let suite = Processes::start().await;
    PLAIN.stock(&suite.target(), 0).await.expect("stock");
    let provider = suite.url(PROVIDER, "");

    let clean = command(&suite, &provider).await;
    let unseen = command(&suite, &format!("http://{}", testkit::free_addr())).await;
    let update = sqlx::query("update product set on_hand = on_hand - 1 where sku = 'LOAD-MUG'");
    update.execute(&suite.pools["inventory"]).await.expect("an update");
    let violated = command(&suite, &provider).await;
    suite.clear().await;

    assert_eq!((clean.0, violated.0), (Some(0), Some(1)), "{clean:?}, {violated:?}");
    let report: Value = serde_json::from_str(&violated.1).expect("JSON");
    let violation = &report["violations"][0];
    assert_eq!((&violation["law"], &violation["sku"]), (&"stock".into(), &"LOAD-MUG".into()), "{report}");
    assert_eq!(unseen, (Some(2), String::new()));
}
