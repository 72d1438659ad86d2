//! `waybill-local`: real servers for one command, see [`USAGE`].

use std::{env, process::ExitCode};

mod run;

const USAGE: &str = "\
waybill-local run -- COMMAND...  runs a command against a Kafka and a Postgres of its own, whose addresses are in
                                 TEST_KAFKA_BOOTSTRAP_SERVERS and TEST_POSTGRES_URL; they and their data go with it
waybill-local fetch              downloads both servers, if they are not here yet";

#[tokio::main]
async fn main() -> ExitCode {
    let args: Vec<_> = env::args().skip(1).collect();
    let words: Vec<_> = args.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["fetch"] => local::fetch().await.map(|()| ExitCode::SUCCESS),
        ["run", "--", command, args @ ..] => run::run(command, args).await,
        _ => Err(anyhow::anyhow!("usage:\n{USAGE}")),
    };
    done.unwrap_or_else(|error| {
        eprintln!("waybill-local: {error:#}");
        ExitCode::FAILURE
    })
}
