//! A load on services that misbehave as the real ones must not: what it counts, and that it goes on. Loads on the real
//! suite are in `saga-tests`.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::post,
};
use load::{Load, Mix, PLAIN, Pace, Tally, Target};
use serde_json::json;
use tokio::{net::TcpListener, sync::Semaphore, time::sleep};
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_millis(300);

/// Serves `POST /orders` by `answer`, and returns where.
async fn serve<F: Future<Output = Response> + Send>(
    answer: impl Fn() -> F + Clone + Send + Sync + 'static,
) -> Target {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let orders = Router::new().route("/orders", post(async move || answer().await));
    tokio::spawn(async move { axum::serve(listener, orders).await });
    target(url)
}

fn target(url: String) -> Target {
    // The clients' TLS provider; set before by another test of this process.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Target { order_url: url.clone(), inventory_url: url, key: "test".into(), patience: PATIENCE }
}

fn placed() -> Response {
    (StatusCode::CREATED, Json(json!({"order_id": Uuid::now_v7()}))).into_response()
}

async fn place(target: &Target, mix: Mix, pace: Pace, orders: usize) -> Tally {
    Load::begin(target, mix, pace, orders).expect("a load").done().await
}

#[tokio::test]
async fn orders_that_are_placed_twice_under_one_key_are_named() {
    let target = serve(async || placed()).await;

    let tally = place(&target, Mix { repeats: 1_000, ..PLAIN }, Pace::Clients(4), 20).await;

    assert_eq!((tally.accepted.len(), tally.repeated), (20, 0));
    assert!(tally.others.len() >= 20, "{:?}", tally.others);
    for other in &tally.others {
        assert!(tally.accepted.iter().any(|it| it.id == other.first) && other.first != other.then);
        assert!(other.key.starts_with("test-"), "{}", other.key);
    }
}

#[tokio::test]
async fn a_suite_that_is_away_is_asked_until_patience_is_at_its_end() {
    // An address that was free a moment ago.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = target(format!("http://{}", listener.local_addr().unwrap()));
    drop(listener);
    for pace in [Pace::Clients(2), Pace::PerSecond(100)] {
        let begun = Instant::now();
        let tally = place(&nobody, PLAIN, pace, 4).await;

        let counts = tally.counts();
        assert_eq!((counts.sent, counts.accepted, counts.failed, counts.given_up), (4, 0, 0, 4));
        assert!(counts.refused >= 8, "asked again: {counts:?}");
        assert!(begun.elapsed() >= PATIENCE);
    }
}

#[tokio::test]
async fn an_answer_that_the_request_is_wrong_is_not_asked_for_again() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let target = serve(move || {
        count.fetch_add(1, Ordering::Relaxed);
        async { (StatusCode::UNPROCESSABLE_ENTITY, Json(json!({"detail": "no"}))).into_response() }
    })
    .await;

    let tally = place(&target, PLAIN, Pace::Clients(1), 3).await;

    assert_eq!(asked.load(Ordering::Relaxed), 3);
    assert_eq!(tally.given_up.len(), 3);
    assert_eq!(
        tally.failed.into_iter().collect::<Vec<_>>(),
        [(r#"POST /orders: 422 {"detail":"no"}"#.to_owned(), 3)]
    );
}

#[tokio::test]
async fn a_service_that_is_busy_or_answers_nonsense_is_asked_again() {
    let asked = Arc::new(AtomicUsize::new(0));
    let target = serve(move || {
        let answer = match asked.fetch_add(1, Ordering::Relaxed) {
            0 => StatusCode::SERVICE_UNAVAILABLE.into_response(),
            1 => (StatusCode::CREATED, "not JSON").into_response(),
            _ => placed(),
        };
        async { answer }
    })
    .await;

    let tally = place(&target, PLAIN, Pace::Clients(1), 1).await;

    assert_eq!((tally.accepted.len(), tally.counts().failed), (1, 2), "{tally}");
    assert!(tally.accepted[0].waited > tally.accepted[0].answered, "attempts in vain count too");
}

#[tokio::test]
async fn answers_that_no_service_gives_on_purpose_are_counted_apart_with_what_the_first_one_said() {
    let asked = Arc::new(AtomicUsize::new(0));
    let target = serve(move || {
        let problem =
            |status: StatusCode, detail: &str| (status, Json(json!({"detail": detail}))).into_response();
        let answer = match asked.fetch_add(1, Ordering::Relaxed) {
            0 => problem(StatusCode::SERVICE_UNAVAILABLE, "the database is not available"),
            1 => StatusCode::GATEWAY_TIMEOUT.into_response(),
            2 => problem(StatusCode::INTERNAL_SERVER_ERROR, "the service failed on this request"),
            3 => problem(StatusCode::INTERNAL_SERVER_ERROR, "again"),
            4 => StatusCode::BAD_GATEWAY.into_response(),
            _ => placed(),
        };
        async { answer }
    })
    .await;
    let target = Target { patience: Duration::from_secs(10), ..target };

    let tally = place(&target, PLAIN, Pace::Clients(1), 1).await;

    let defects: Vec<_> =
        tally.defects.iter().map(|(status, it)| (*status, it.count, it.first.as_str())).collect();
    assert_eq!(
        defects,
        [(500, 2, "POST /orders: the service failed on this request"), (502, 1, "POST /orders: null")]
    );
    assert_eq!((tally.accepted.len(), tally.counts().failed), (1, 5), "{tally}");
}

/// An open loop on a service that stands still for a while: few orders are under way, and all have waited since they
/// were due.
#[tokio::test]
async fn an_open_loop_is_bounded_and_counts_from_when_orders_were_due() {
    let gate = Arc::new(Semaphore::new(0));
    let inside = Arc::new(AtomicUsize::new(0));
    let (closed, count) = (gate.clone(), inside.clone());
    let target = serve(move || {
        let (gate, inside) = (closed.clone(), count.clone());
        async move {
            inside.fetch_add(1, Ordering::SeqCst);
            let _open = gate.acquire().await;
            placed()
        }
    })
    .await;
    let (rate, orders) = (4_000, 2_000);

    let begun = Instant::now();
    let load = Load::begin(&target, PLAIN, Pace::PerSecond(rate), orders).unwrap();
    // All are due by then, each of those that wait for their turn for long.
    sleep(Duration::from_millis(1_500)).await;
    let (within, counts) = (inside.load(Ordering::SeqCst), load.counts());
    gate.add_permits(orders);
    let tally = load.done().await;

    assert!((400..=512).contains(&within), "{within} are under way at once");
    assert_eq!((counts.sent, counts.accepted), (512, 0));
    assert_eq!((tally.accepted.len(), tally.unsent), (orders, 0));
    let last_due = begun + Duration::from_secs(orders as u64) / rate;
    for it in &tally.accepted {
        assert!(it.waited > Duration::from_millis(900), "{:?} since it was due, by {last_due:?}", it.waited);
    }
}

#[tokio::test]
async fn what_an_open_loop_could_not_keep_up_with_is_counted_when_it_is_stopped() {
    let gate = Arc::new(Semaphore::new(0));
    let closed = gate.clone();
    let target = serve(move || {
        let gate = closed.clone();
        async move {
            let _open = gate.acquire().await;
            placed()
        }
    })
    .await;

    let load = Load::begin(&target, PLAIN, Pace::PerSecond(2_000), usize::MAX).unwrap();
    let meter = load.meter();
    sleep(Duration::from_secs(1)).await;
    let stopping = tokio::spawn(load.stop());
    sleep(Duration::from_millis(100)).await;
    gate.add_permits(2_000);
    let tally = stopping.await.unwrap();

    assert_eq!(tally.accepted.len(), 512);
    // Whoever watches goes on seeing it when the load is over.
    assert_eq!(meter.counts(), tally.counts());
    assert!((1_400..2_500).contains(&tally.unsent), "{} were due and not sent", tally.unsent);
}

#[tokio::test]
async fn a_pace_or_a_mix_of_nothing_is_refused() {
    let target = target("http://127.0.0.1:9".into());
    for pace in [Pace::Clients(0), Pace::PerSecond(0), Pace::PerSecond(u32::MAX)] {
        assert!(Load::begin(&target, PLAIN, pace, 1).is_err(), "{pace:?}");
    }
    for tokens in [&[][..], &[("pm_card_visa", 0)]] {
        assert!(Load::begin(&target, Mix { tokens, ..PLAIN }, Pace::Clients(1), 1).is_err());
    }
}
