//! Ports on 127.0.0.1.

use std::{
    io::ErrorKind,
    net::{Ipv4Addr, TcpListener},
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

/// A free port below the range that the kernel gives to outgoing connections.
///
/// Inside that range a client that keeps trying a server which is down may end up connected to itself,
/// and hold the port that the server wants back.
pub fn free() -> anyhow::Result<u16> {
    for _ in 0..200 {
        let (_, random, _, _) = Uuid::new_v4().as_fields();
        let port = 16_384 + random % 16_384;
        if listen(port).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free port between 16384 and 32767 on 127.0.0.1")
}

fn listen(port: u16) -> std::io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_names_itself_and_the_variable() {
        let port = free().unwrap();
        let _holder = listen(port).unwrap();

        let error = claim(Some(port), "KAFKA_PORT").unwrap_err().to_string();

        assert!(error.contains(&port.to_string()) && error.contains("KAFKA_PORT"), "{error}");
    }
}
