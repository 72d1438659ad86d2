//! Ports on 127.0.0.1.

use std::{
    io::ErrorKind,
    net::{Ipv4Addr, TcpListener},
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixDatagram},
    },
    sync::Mutex,
};

use anyhow::{Context, bail};
use uuid::Uuid;

/// The port asked for, or one that is free; the error of a taken one names `variable`, which moves it.
pub fn claim(asked: Option<u16>, variable: &str) -> anyhow::Result<u16> {
    match asked {
        None => free(),
        Some(port) => match listen(port) {
            Ok(_) => Ok(port),
            Err(error) if error.kind() == ErrorKind::AddrInUse => {
                bail!(
                    "port {port} on 127.0.0.1 is taken: stop what listens there, or set {variable} to another port"
                )
            }
            Err(error) => {
                Err(error).with_context(|| format!("cannot listen on 127.0.0.1:{port} ({variable})"))
            }
        },
    }
}

/// A free port, given to nobody else while this process lives, below the range that the kernel gives to outgoing
/// connections.
///
/// Between the choice and the moment at which a server listens the port is free for all to see. So it is marked as
/// given, by an abstract Unix socket of its name, which goes with the process.
///
/// Inside the kernel's range a client that keeps trying a server which is down may end up connected to itself,
/// and hold the port that the server wants back.
pub fn free() -> anyhow::Result<u16> {
    for _ in 0..200 {
        let (_, random, _, _) = Uuid::new_v4().as_fields();
        let port = 16_384 + random % 16_384;
        if take(port) && listen(port).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free port between 16384 and 32767 on 127.0.0.1")
}

/// False if it has been given out before, by this process or by another.
fn take(port: u16) -> bool {
    static TAKEN: Mutex<Vec<UnixDatagram>> = Mutex::new(Vec::new());
    let mark = SocketAddr::from_abstract_name(format!("waybill-port-{port}"))
        .and_then(|name| UnixDatagram::bind_addr(&name));
    mark.map(|mark| TAKEN.lock().expect("nobody panics here").push(mark)).is_ok()
}

fn listen(port: u16) -> std::io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_port_is_given_twice() {
        let port = free().unwrap();

        assert!(listen(port).is_ok(), "it is free");
        assert!(!take(port));
    }

    #[test]
    fn a_taken_port_names_itself_and_the_variable() {
        let port = free().unwrap();
        let _holder = listen(port).unwrap();

        let error = claim(Some(port), "KAFKA_PORT").unwrap_err().to_string();

        assert!(error.contains(&port.to_string()) && error.contains("KAFKA_PORT"), "{error}");
    }
}
