//! Without its database the service says so, and holds nothing up.

use clap::Parser as _;
use events::OrderId;
use testkit::eventually;
use tokio_util::sync::CancellationToken;

use crate::rig::SOON;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_refused_while_the_database_is_away() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let address = testkit::free_addr();
    // Nothing listens there.
    let nowhere = format!("postgres://shipping:secret@{}/x", testkit::free_addr());
    let args = ["shipping", "--database-url", &nowhere, "--http-addr", &address.to_string()];
    let (config, shutdown) = (shipping::Config::parse_from(args), CancellationToken::new());
    let service = tokio::spawn(shipping::run_on(bus::Bus::memory(), config, shutdown.clone()));
    let (http, base) = (reqwest::Client::new(), format!("http://{address}"));
    eventually(SOON, "the service listens", async || {
        http.get(format!("{base}/livez")).send().await.map_err(|error| error.to_string())
    })
    .await;

    let shipment = format!("{base}/shipments/{}", OrderId::new());
    let read = http.get(&shipment).send().await.unwrap();
    let changed = http.post(format!("{shipment}/dispatch")).send().await.unwrap();

    for answer in [read, changed] {
        assert_eq!(answer.status(), 503);
        assert_eq!(answer.headers()["retry-after"], "2");
        assert!(!answer.text().await.unwrap().contains("secret"));
    }
    shutdown.cancel();
    service.await.unwrap().expect("a clean stop");
}
