use std::io::{self, Read as _, Write as _};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::{self, get, read_answer};

#[tokio::test]
async fn a_request_in_flight_finishes_and_no_new_one_is_let_in() {
    let it = harness::default().await;
    let mut stream = TcpStream::connect(it.addr).await.unwrap();
    stream.write_all(b"GET /slow/700 HTTP/1.1\r\nhost: it\r\n\r\n").await.unwrap();
    // The handler is at work when the stop begins: another request, sent later, has been answered.
    assert_eq!(get(it.addr, "/pages").await.status, 200);

    it.shutdown.cancel();
    let answer = read_answer(stream).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, r#""done""#));
    assert_eq!(answer.header("connection"), Some("close"));
    it.stopped.await.unwrap().unwrap();
    assert!(TcpStream::connect(it.addr).await.is_err());
}

/// The runtime has one thread, and nothing is awaited: the server cannot have taken these when the stop begins.
#[tokio::test]
async fn connections_that_wait_to_be_taken_are_served() {
    let it = harness::default().await;
    let waiting: Vec<_> = (0..20).map(|_| std::net::TcpStream::connect(it.addr).unwrap()).collect();
    it.shutdown.cancel();
    for mut stream in waiting {
        std::io::Write::write_all(&mut stream, b"GET /pages HTTP/1.1\r\nhost: it\r\n\r\n").unwrap();
        stream.set_nonblocking(true).unwrap();
        let answer = read_answer(TcpStream::from_std(stream).unwrap()).await;
        assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    }
    it.stopped.await.unwrap().unwrap();
}

#[tokio::test]
async fn who_has_connected_before_the_stop_may_still_ask() {
    let it = harness::default().await;
    let mut stream = TcpStream::connect(it.addr).await.unwrap();
    // Taken by now: a later one has been answered.
    assert_eq!(get(it.addr, "/pages").await.status, 200);
    it.shutdown.cancel();
    tokio::time::sleep(Duration::from_millis(200)).await;
    stream.write_all(b"GET /pages HTTP/1.1\r\nhost: it\r\n\r\n").await.unwrap();
    let answer = read_answer(stream).await;
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    it.stopped.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_request_on_its_way_over_a_kept_connection_is_answered() {
    let it = harness::default().await;
    let mut stream = TcpStream::connect(it.addr).await.unwrap();
    let request = b"GET /pages HTTP/1.1\r\nhost: it\r\n\r\n";
    stream.write_all(request).await.unwrap();
    assert_ne!(stream.read(&mut [0; 1024]).await.unwrap(), 0);
    it.shutdown.cancel();
    // The server is at its stop before it reads.
    assert_eq!(stream.try_write(request).unwrap(), request.len());
    let answer = read_answer(stream).await;
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    it.stopped.await.unwrap().unwrap();
}

/// A busy machine keeps a process waiting: time has passed when it goes on, and so have the requests come.
#[tokio::test]
async fn who_asked_while_the_process_stood_still_is_answered() {
    let it = harness::default().await;
    let mut streams = Vec::new();
    for _ in 0..16 {
        streams.push(TcpStream::connect(it.addr).await.unwrap());
    }
    assert_eq!(get(it.addr, "/pages").await.status, 200);
    it.shutdown.cancel();
    tokio::time::sleep(Duration::from_millis(700)).await;
    for stream in &streams {
        let request = b"GET /pages HTTP/1.1\r\nhost: it\r\n\r\n";
        assert_eq!(stream.try_write(request).unwrap(), request.len());
    }
    // The runtime's only thread.
    std::thread::sleep(Duration::from_secs(2));
    for stream in streams {
        assert_eq!(read_answer(stream).await.status, 200);
    }
    it.stopped.await.unwrap().unwrap();
}

/// Whoever comes during the stop is served or refused, but never let in and then cut off. More often by `ROUNDS=200`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_let_in_and_left_alone() {
    for _ in 0..std::env::var("ROUNDS").map_or(5, |it| it.parse::<u32>().unwrap()) {
        let it = harness::default().await;
        let customers: Vec<_> =
            (0..4).map(|_| std::thread::spawn(move || ask_until_refused(it.addr))).collect();
        tokio::time::sleep(Duration::from_millis(30)).await;
        it.shutdown.cancel();
        it.stopped.await.unwrap().unwrap();
        for customer in customers {
            let (answered, then) = customer.join().unwrap();
            assert!(answered > 0);
            assert_eq!(
                then.kind(),
                std::io::ErrorKind::ConnectionRefused,
                "after {answered} answers: {then}"
            );
        }
    }
}

/// How often there was an answer, each over a connection of its own, and what the last attempt came to.
fn ask_until_refused(addr: SocketAddr) -> (usize, io::Error) {
    let ask = || -> io::Result<()> {
        let mut stream = std::net::TcpStream::connect(addr)?;
        stream.write_all(b"GET /pages HTTP/1.1\r\nhost: it\r\nconnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        Ok(())
    };
    (0..)
        .map(|answered| (answered, ask()))
        .find_map(|(answered, it)| Some((answered, it.err()?)))
        .expect("a stop")
}

#[tokio::test]
async fn an_idle_connection_does_not_hold_the_stop() {
    let it = harness::default().await;
    let mut stream = TcpStream::connect(it.addr).await.unwrap();
    stream.write_all(b"GET /pages HTTP/1.1\r\nhost: it\r\n\r\n").await.unwrap();
    assert_ne!(stream.read(&mut [0; 1024]).await.unwrap(), 0);
    let begun = Instant::now();
    it.shutdown.cancel();
    it.stopped.await.unwrap().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn who_never_ends_its_headers_is_cut_off_at_the_deadline() {
    let it = harness::default().await;
    let mut stream = TcpStream::connect(it.addr).await.unwrap();
    stream.write_all(b"GET /pages HTTP/1.1\r\nx-half: o").await.unwrap();
    assert_eq!(get(it.addr, "/pages").await.status, 200);
    let begun = Instant::now();
    it.shutdown.cancel();
    it.stopped.await.unwrap().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(7), "{:?}", begun.elapsed());
    assert!(matches!(stream.read(&mut [0; 1024]).await, Ok(0) | Err(_)));
}
