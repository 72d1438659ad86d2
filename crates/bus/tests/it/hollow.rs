//! A broker that knows of none, as one does that has just been fenced.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bus::{Bus, Error, Record};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{Instant, timeout},
};

use crate::log::SOON;

/// So many topics keep a client at work on the metadata without a broker until it has noticed that it has none left,
/// which is when it gets lost.
const TOPICS: usize = 10_000;
const METADATA: i16 = 3;
const FIND_COORDINATOR: i16 = 10;
const API_VERSIONS: i16 = 18;
const INIT_PRODUCER_ID: i16 = 22;
const UNSUPPORTED_VERSION: i16 = 35;

/// Asked for the metadata it answers with itself, and the next time with none, by turns. If it hangs up after that, a
/// client comes back and asks again.
async fn hollow_broker(hangs_up: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let turns = Arc::new(AtomicUsize::new(0));
        loop {
            let (client, _) = listener.accept().await.unwrap();
            let turns = turns.clone();
            tokio::spawn(async move {
                let itself =
                    || turns.fetch_add(1, Ordering::Relaxed).is_multiple_of(2).then_some(address.port());
                let _ = serve(client, hangs_up, itself).await;
            });
        }
    });
    address.to_string()
}

/// Each request and each answer is its length, and then: API, version, correlation id, ..; correlation id, ..
async fn serve(mut client: TcpStream, hangs_up: bool, itself: impl Fn() -> Option<u16>) -> io::Result<()> {
    loop {
        let mut request = vec![0; client.read_i32().await? as usize];
        client.read_exact(&mut request).await?;
        let number = |at: usize| i16::from_be_bytes([request[at], request[at + 1]]);
        let (api, version) = (number(0), number(2));
        let mut answer = request[4..8].to_vec();
        match api {
            API_VERSIONS => api_versions(&mut answer, version),
            METADATA => metadata(&mut answer, itself()),
            _ => return Ok(()),
        }
        client.write_all(&[&(answer.len() as i32).to_be_bytes(), &*answer].concat()).await?;
        if hangs_up && api == METADATA {
            return Ok(());
        }
    }
}

/// Version 0: an error, and the least and the highest version of each API. Members of groups and idempotent producers
/// make do with nothing less.
fn api_versions(answer: &mut Vec<u8>, version: i16) {
    let error = if version == 0 { 0 } else { UNSUPPORTED_VERSION };
    answer.extend(error.to_be_bytes());
    answer.extend(4_i32.to_be_bytes());
    for (api, version) in [(METADATA, 1), (FIND_COORDINATOR, 0), (API_VERSIONS, 0), (INIT_PRODUCER_ID, 0)] {
        [api, version, version].iter().for_each(|it| answer.extend(it.to_be_bytes()));
    }
}

/// Version 1: the brokers (id, host, port, no rack), which one is the controller, and the topics (no error, name, not
/// internal, no partitions).
fn metadata(answer: &mut Vec<u8>, broker: Option<u16>) {
    let text = |answer: &mut Vec<u8>, text: &str| {
        answer.extend((text.len() as i16).to_be_bytes());
        answer.extend(text.as_bytes());
    };
    answer.extend((broker.iter().len() as i32).to_be_bytes());
    if let Some(port) = broker {
        answer.extend(1_i32.to_be_bytes());
        text(answer, "127.0.0.1");
        answer.extend(i32::from(port).to_be_bytes());
        answer.extend((-1_i16).to_be_bytes());
    }
    answer.extend((-1_i32).to_be_bytes());
    let topics = if broker.is_none() { TOPICS } else { 0 };
    answer.extend((topics as i32).to_be_bytes());
    for topic in 0..topics {
        answer.extend(0_i16.to_be_bytes());
        text(answer, &format!("{topic:0>200}"));
        answer.push(0);
        answer.extend(0_i32.to_be_bytes());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_whose_client_has_lost_its_brokers_fails_for_good() {
    let bus = Bus::kafka(&hollow_broker(true).await).unwrap();
    let mut member = bus.consumer("any", &["any".to_owned()], None).unwrap();

    let begun = Instant::now();
    let failed = loop {
        assert!(begun.elapsed() < SOON, "it goes on");
        if let Ok(Err(error)) = timeout(Duration::from_secs(1), member.poll(1, Duration::ZERO)).await {
            break error;
        }
    };

    assert!(matches!(&failed, Error::Fatal(why) if why.contains("no broker left")), "{failed}");
    member.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_producer_whose_client_has_lost_its_brokers_gives_up_what_it_has_taken() {
    let producer = Bus::kafka(&hollow_broker(true).await).unwrap().producer().unwrap();
    let record = || Record { topic: "any".into(), key: None, headers: Vec::new(), payload: None };

    let failed = timeout(SOON, producer.enqueue([record()]).acknowledged()).await.unwrap().unwrap_err();
    let later = timeout(SOON, producer.enqueue([record()]).acknowledged()).await.unwrap().unwrap_err();

    for error in [failed, later] {
        assert!(!error.refused && error.reason.contains("no broker left"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_a_broker_is_answered_again_after_the_client_has_lost_it() {
    let bus = Bus::kafka(&hollow_broker(false).await).unwrap();
    let ask = async || bus.missing_topics(&[], Duration::from_secs(1)).await;

    let begun = Instant::now();
    while ask().await.is_ok() {
        assert!(begun.elapsed() < SOON, "it is not lost");
    }
    while ask().await.is_err() {
        assert!(begun.elapsed() < SOON, "it stays lost");
    }
}
