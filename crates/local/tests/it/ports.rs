use std::net::TcpListener;

use local::{Kafka, Postgres, Scratch};

use crate::assert_no_process;

#[tokio::test]
async fn a_taken_port_is_one_line_that_names_the_variable() {
    let scratch = Scratch::new().unwrap();
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = holder.local_addr().unwrap().port();

    let postgres = Postgres::start(scratch.path(), Some(port)).await.unwrap_err();
    let kafka = Kafka::start(scratch.path(), Some(port)).await.unwrap_err();

    for (said, variable) in [(postgres, "POSTGRES_PORT"), (kafka, "KAFKA_PORT")] {
        let said = format!("{said:#}");
        assert!(said.contains(&port.to_string()) && said.contains(variable), "{said}");
        assert_eq!(said.lines().count(), 1);
    }
    assert_no_process(scratch.path());
}
