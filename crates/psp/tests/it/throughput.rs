//! A measurement, for release builds: the provider must not be what limits a run of the suite.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{KEY, config, journal_file};

const CONNECTIONS: usize = 16;
const REQUESTS: usize = 2_000;
/// Requests a second.
const FLOOR: f64 = 5_000.0;

#[tokio::test]
#[ignore = "a measurement: run it alone, in release"]
async fn five_thousand_requests_a_second_on_one_core_shared_with_the_clients() {
    let running = psp::start(config(Some(journal_file("throughput")))).await.expect("a provider");
    let addr = Arc::new(running.addr.to_string());
    let started = Instant::now();
    let clients = tokio::task::JoinSet::from_iter((0..CONNECTIONS).map(|client| {
        let addr = Arc::clone(&addr);
        async move {
            let mut stream = TcpStream::connect(addr.as_str()).await.expect("a connection");
            for number in 0..REQUESTS {
                authorize(&mut stream, &format!("{client}-{number}")).await;
            }
        }
    }));
    tokio::time::timeout(Duration::from_secs(60), clients.join_all()).await.expect("an end");
    let rate = (CONNECTIONS * REQUESTS) as f64 / started.elapsed().as_secs_f64();
    eprintln!("{rate:.0} requests/s");
    assert!(rate > FLOOR, "{rate:.0} requests/s");
}

/// By hand, so that the client costs next to nothing.
async fn authorize(stream: &mut TcpStream, order: &str) {
    let body = format!(
        "amount=1000&currency=usd&payment_method=pm_card_visa&capture_method=manual&confirm=true&metadata[order_id]={order}"
    );
    let request = format!(
        "POST /v1/payment_intents HTTP/1.1\r\nhost: psp\r\nauthorization: Bearer {KEY}\r\nidempotency-key: {order}\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.expect("a request");
    let (mut answer, mut length) = ([0; 4096], 0);
    while !answer[..length].ends_with(b"\"requires_capture\"}") {
        let read = stream.read(&mut answer[length..]).await.expect("an answer");
        assert!(read > 0, "no more answer after {}", String::from_utf8_lossy(&answer[..length]));
        length += read;
    }
}
