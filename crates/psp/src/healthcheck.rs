use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use anyhow::{Context, ensure};

const PATIENCE: Duration = Duration::from_secs(3);

/// Asks the provider on `http_addr` whether it serves, for a container that has no curl. An unspecified address
/// (`0.0.0.0`) is asked over loopback.
pub fn healthcheck(http_addr: &str) -> anyhow::Result<()> {
    let target = http_addr.replacen("0.0.0.0", "127.0.0.1", 1);
    let mut stream = TcpStream::connect(&target).with_context(|| format!("connecting to {target}"))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET /readyz HTTP/1.1\r\nHost: {target}\r\nConnection: close\r\n\r\n")?;
    let mut status = [0; 13];
    stream.read_exact(&mut status).with_context(|| format!("asking {target}"))?;
    ensure!(status == *b"HTTP/1.1 200 ", "not ready");
    Ok(())
}
