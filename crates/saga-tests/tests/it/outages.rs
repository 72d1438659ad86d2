//! What the suite depends on goes away under load, and comes back.

use std::time::{Duration, Instant};

use bus::Bus;
use clap::Parser as _;
use load::{Load, PLAIN, Pace};
use local::Proxy;
use saga_tests::{
    Processes,
    processes::{PROVIDER, Setup},
};
use sqlx::{ConnectOptions as _, Connection as _, PgConnection, PgPool};
use testkit::{TestDatabase, eventually};
use tokio::{net::TcpStream, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::{PATIENCE, all_have_ended, setting};

/// The provider is killed: the circuit breaker opens, orders wait, and once it is back all of them are paid, each
/// once. `OUTAGE_SECS=60` for longer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_wait_for_the_provider_and_are_charged_once() {
    let mut suite = Processes::start().await;
    PLAIN.stock(&suite.target(), 0).await.expect("stock");
    let outage = Duration::from_secs(setting("OUTAGE_SECS", 4) as u64);

    let load = Load::begin(&suite.target(), PLAIN, Pace::PerSecond(setting("RATE", 20) as u32), usize::MAX)
        .expect("a load");
    eventually(PATIENCE, "orders come in", async || match load.accepted() {
        0..50 => Err("fewer than 50"),
        _ => Ok(()),
    })
    .await;
    suite.kill(PROVIDER).await;
    let away = Instant::now();
    let before = load.accepted();
    let rejected =
        async || suite.metric("payment", "waybill_effects_total", r#"outcome="breaker-open""#).await;
    eventually(PATIENCE, "the breaker opens", async || match rejected().await {
        0.0 => Err("no call was held back"),
        _ => Ok(()),
    })
    .await;
    let opened = away.elapsed();
    sleep(outage.saturating_sub(away.elapsed())).await;
    let (meanwhile, held_back) = (load.accepted() - before, rejected().await);
    let waiting = suite.count("payment", "engine.effect").await;
    suite.restart(PROVIDER);
    let back = Instant::now();
    let tally = load.stop().await;
    all_have_ended(&suite, &tally, 4 * PATIENCE).await;

    eprintln!(
        "provider away for {:.1?}: breaker open after {opened:.1?}, {held_back} calls held back, {meanwhile} orders \
         accepted meanwhile, {waiting} calls waiting, all ended {:.1?} after it was back; {tally}",
        back - away,
        back.elapsed()
    );
    assert!(tally.failed.is_empty(), "{:?}", tally.failed);
    assert!(waiting >= meanwhile as i64 / 2, "{meanwhile} accepted and {waiting} calls waiting");
    let delivered = suite.count("order", "order_view where status = 'delivered'").await;
    assert_eq!(delivered, tally.accepted.len() as i64, "nobody is turned away for the provider's sake");
    suite.finish().await;
}

/// More than any process may grow by in an outage, in kB: of what is accepted nothing stays in memory.
const GROWTH: u64 = 128 * 1024;

/// The broker is killed: orders are accepted all the same, in bounded memory, and complete once it is back.
/// `OUTAGE_SECS=120` for longer, `RATE=50` for as many orders a second.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_are_accepted_without_the_broker_and_complete_afterwards() {
    let mut suite = Processes::start_with(Setup { own_kafka: true, ..Setup::default() }).await;
    PLAIN.stock(&suite.target(), 0).await.expect("stock");
    let outage = Duration::from_secs(setting("OUTAGE_SECS", 5) as u64);
    let mut kafka = suite.kafka.take().expect("a broker of its own");

    let load = Load::begin(&suite.target(), PLAIN, Pace::PerSecond(setting("RATE", 20) as u32), usize::MAX)
        .expect("a load");
    eventually(PATIENCE, "orders come in", async || match load.accepted() {
        0..100 => Err("fewer than 100"),
        _ => Ok(()),
    })
    .await;
    let memory = suite.watch_memory();
    kafka.kill().await.expect("kill -9");
    let (away, usual) = (Instant::now(), memory.now());
    let before = load.accepted();
    while away.elapsed() < outage {
        let taken = TcpStream::connect(("127.0.0.1", kafka.port())).await;
        assert!(taken.is_err(), "somebody listens in the broker's place");
        sleep(Duration::from_millis(200)).await;
    }
    let (back, meanwhile) = (Instant::now(), load.accepted() - before);
    let waiting = suite.count("order", "engine.outbox").await;
    let during = memory.highest();
    kafka.restart().await.expect("the broker is back");
    let serves = back.elapsed();
    let tally = load.stop().await;
    all_have_ended(&suite, &tally, 4 * PATIENCE).await;
    let (ended, catching_up, after) = (back.elapsed(), memory.highest(), memory.now());

    eprintln!(
        "Kafka away for {:.1?}: {meanwhile} orders accepted meanwhile, POST {}; {waiting} events waiting; it served \
         {serves:.1?} after its start, all ended {ended:.1?} after that start; {tally}",
        back - away,
        tally.latency(away, back)
    );
    for (name, usual) in &usual {
        let [during, catching_up, after] = [&during, &catching_up, &after].map(|it| it[name]);
        eprintln!(
            "  {name}: {usual} kB before, at most {during} kB without Kafka, {catching_up} kB catching up, {after} kB after"
        );
        assert!(during.max(catching_up) < usual + GROWTH, "{name} grows");
    }
    assert!(tally.failed.is_empty(), "{:?}", tally.failed);
    assert!(waiting >= meanwhile as i64, "{meanwhile} accepted, and {waiting} in the outbox");
    assert!(meanwhile > 0, "orders are accepted without the broker");
    // What the clients have gone through meanwhile must not have to be gone through again: a client that has lost its
    // broker for good stood for more than two minutes.
    assert!(ended - serves < outage + 2 * PATIENCE, "catching up takes {:.1?}", ended - serves);
    suite.finish().await;
    kafka.stop().await.expect("the broker stops");
}

/// Each answer of the database takes so long that several of them, which a connection takes, are more than a reader
/// waits for. Whoever gave up then would begin anew, and never be done.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_begins_though_a_connection_takes_long() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let database = TestDatabase::create_owned().await;
    let pool = PgPool::connect(database.url()).await.expect("a database");
    let options = pool.connect_options();
    let proxy = Proxy::start(options.get_port()).await.expect("a proxy");
    let url = options.as_ref().clone().port(proxy.port()).to_url_lossy().to_string();
    proxy.delay(Duration::from_millis(400));
    let connecting = Instant::now();
    PgConnection::connect(&url).await.expect("a connection").close().await.expect("closed");
    assert!(connecting.elapsed() > Duration::from_secs(2), "only {:?}", connecting.elapsed());

    let (http, stop) = (testkit::free_addr().to_string(), CancellationToken::new());
    let args = ["shipping", "--database-url", &url, "--http-addr", &http];
    let service =
        tokio::spawn(shipping::run_on(Bus::memory(), shipping::Config::parse_from(args), stop.clone()));
    eventually(PATIENCE, "its tables are begun", async || {
        let migrating = "select count(*) from pg_locks where locktype = 'advisory' and granted
            and database = (select oid from pg_database where datname = current_database())";
        match sqlx::query_scalar(migrating).fetch_one(&pool).await {
            Ok(0_i64) => Err("nobody migrates".to_owned()),
            begun => begun.map_err(|error| error.to_string()),
        }
    })
    .await;
    proxy.heal();
    eventually(PATIENCE, "its tables are there", async || {
        sqlx::query("select from shipment").execute(&pool).await.map_err(|error| error.to_string())
    })
    .await;

    stop.cancel();
    service.await.expect("no panic").expect("a clean stop");
    pool.close().await;
    database.close().await;
}
