use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, bail};

const PATIENCE: Duration = Duration::from_secs(3);
/// More than any readiness report; what is beyond is not ours.
const LONGEST_REPORT: u64 = 64 * 1024;

/// Asks the service on `addr` whether it is ready, for a container that has no curl.
///
/// The address is the one that the service listens on: an unspecified one (`0.0.0.0`) is asked over loopback.
pub fn healthcheck(addr: SocketAddr) -> anyhow::Result<()> {
    let target = SocketAddr::new(reachable(addr.ip()), addr.port());
    let mut stream =
        TcpStream::connect_timeout(&target, PATIENCE).with_context(|| format!("connecting to {target}"))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(stream, "GET /readyz HTTP/1.1\r\nHost: {target}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(LONGEST_REPORT).read_to_string(&mut answer).with_context(|| format!("asking {target}"))?;
    if answer.starts_with("HTTP/1.1 200 ") {
        return Ok(());
    }
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    bail!("not ready: {body}");
}

fn reachable(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    }
}
