//! The way between a client and a server, and what can become of it.

use std::{
    io::ErrorKind,
    time::{Duration, Instant},
};

use local::Proxy;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

/// A server that says what it hears, behind a proxy.
async fn echo() -> Proxy {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = client.split();
                tokio::io::copy(&mut from, &mut to).await
            });
        }
    });
    Proxy::start(port).await.unwrap()
}

async fn connect(proxy: &Proxy) -> TcpStream {
    TcpStream::connect(("127.0.0.1", proxy.port())).await.unwrap()
}

/// Says something, and how long it takes until it is heard back.
async fn said(stream: &mut TcpStream) -> std::io::Result<Duration> {
    let begun = Instant::now();
    stream.write_all(b"hello").await?;
    stream.read_exact(&mut [0; 5]).await?;
    Ok(begun.elapsed())
}

const SILENT: Duration = Duration::from_millis(500);

#[tokio::test]
async fn everything_passes_and_a_delay_is_added_on_both_ways() {
    let proxy = echo().await;
    let mut stream = connect(&proxy).await;
    let mut large = vec![7; 3 << 20];

    said(&mut stream).await.unwrap();
    proxy.delay(Duration::from_millis(100));
    let delayed = said(&mut stream).await.unwrap();
    proxy.heal();
    let (mut from, mut to) = stream.split();
    let (sent, heard) = (large.clone(), from.read_exact(&mut large));
    tokio::try_join!(to.write_all(&sent), heard).unwrap();

    assert!(delayed >= Duration::from_millis(200), "{delayed:?}");
    assert!(large == sent && proxy.delayed() >= 2 && proxy.opened() == 1);
}

#[tokio::test]
async fn a_cut_resets_what_is_open_and_nothing_else() {
    let proxy = echo().await;
    let (mut before, mut idle) = (connect(&proxy).await, connect(&proxy).await);
    said(&mut before).await.unwrap();
    said(&mut idle).await.unwrap();

    assert_eq!(proxy.cut(), 2);
    for stream in [&mut before, &mut idle] {
        let cut = stream.read(&mut [0; 1]).await;
        assert!(cut.is_err_and(|it| it.kind() == ErrorKind::ConnectionReset));
    }
    said(&mut connect(&proxy).await).await.unwrap();
}

#[tokio::test]
async fn what_falls_silent_stays_open_and_silent_and_new_connections_are_served_once_healed() {
    let proxy = echo().await;
    let mut before = connect(&proxy).await;
    said(&mut before).await.unwrap();

    assert_eq!(proxy.silence(), 1);
    let mut meanwhile = connect(&proxy).await;
    timeout(SILENT, said(&mut before)).await.unwrap_err();
    timeout(SILENT, said(&mut meanwhile)).await.unwrap_err();
    proxy.heal();

    assert_eq!(proxy.swallowed(), 10);
    timeout(SILENT, said(&mut before)).await.unwrap_err();
    timeout(SILENT, said(&mut meanwhile)).await.unwrap_err();
    said(&mut connect(&proxy).await).await.unwrap();
}

#[tokio::test]
async fn where_nobody_listens_a_client_is_turned_away() {
    let proxy = Proxy::start(local::free_port().unwrap()).await.unwrap();
    said(&mut connect(&proxy).await).await.unwrap_err();
}
