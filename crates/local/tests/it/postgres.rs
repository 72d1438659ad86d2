use std::fs;

use local::{Postgres, Scratch};
use nix::{sys::signal, unistd::Pid};
use sqlx::{Connection, Executor, PgConnection, Row};

use crate::{assert_no_process, runs};

async fn connect(postgres: &Postgres) -> PgConnection {
    PgConnection::connect(&postgres.url("postgres"))
        .await
        .expect("a server that has started takes connections")
}

async fn show(connection: &mut PgConnection, setting: &'static str) -> String {
    let row = sqlx::query("select current_setting($1)").bind(setting).fetch_one(connection).await;
    row.expect(setting).get(0)
}

#[tokio::test]
async fn a_killed_postgres_comes_back_with_what_was_committed_and_stops_without_a_trace() {
    let scratch = Scratch::new().unwrap();
    let mut postgres = Postgres::start(scratch.path(), None).await.unwrap();
    let (url, killed) = (postgres.url("postgres"), postgres.pid());
    let mut connection = connect(&postgres).await;
    connection.execute("create table kept (n int); insert into kept values (7)").await.unwrap();

    postgres.kill().await.unwrap();
    assert!(!runs(killed));
    assert_no_process(scratch.path());
    assert!(connection.execute("select 1").await.is_err());
    postgres.restart().await.unwrap();

    assert_ne!(postgres.pid(), killed);
    assert_eq!(postgres.url("postgres"), url);
    let mut connection = connect(&postgres).await;
    let kept: i32 = sqlx::query("select n from kept").fetch_one(&mut connection).await.unwrap().get(0);
    assert_eq!(kept, 7);

    postgres.stop().await.unwrap();
    assert_no_process(scratch.path());
}

#[tokio::test]
async fn a_postmaster_killed_from_outside_restarts_though_its_children_linger() {
    let scratch = Scratch::new().unwrap();
    let mut postgres = Postgres::start(scratch.path(), None).await.unwrap();
    let mut busy = connect(&postgres).await;
    let statement = tokio::spawn(async move { busy.execute("select pg_sleep(60)").await.map(|_| ()) });

    signal::kill(Pid::from_raw(postgres.pid().cast_signed()), signal::Signal::SIGKILL).unwrap();
    postgres.restart().await.unwrap();

    assert!(statement.await.unwrap().is_err());
    connect(&postgres).await.execute("select 1").await.unwrap();
}

/// The postmaster stays, and so does its pid.
#[tokio::test]
async fn a_crash_of_one_backend_is_noticed() {
    let scratch = Scratch::new().unwrap();
    let postgres = Postgres::start(scratch.path(), None).await.unwrap();
    let mut connection = connect(&postgres).await;
    let backend = sqlx::query("select pg_backend_pid()").fetch_one(&mut connection).await.unwrap().get(0);
    postgres.check().unwrap();

    signal::kill(Pid::from_raw(backend), signal::Signal::SIGKILL).unwrap();
    assert!(connection.execute("select pg_sleep(60)").await.is_err());
    // It tells of it once it has reaped it, which may be after the client has seen the end.
    let told = tokio::time::timeout(std::time::Duration::from_secs(20), async {
        loop {
            match postgres.check() {
                Ok(()) => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
                Err(told) => return told.to_string(),
            }
        }
    });
    let told = told.await.expect("it is told");
    assert!(told.contains("terminated by signal 9") && postgres.is_running(), "{told}");
}

#[tokio::test]
async fn commits_are_durable_and_strangers_stay_out() {
    let scratch = Scratch::new().unwrap();
    let postgres = Postgres::start(scratch.path(), None).await.unwrap();
    let mut connection = connect(&postgres).await;

    assert_eq!(show(&mut connection, "fsync").await, "on");
    assert_eq!(show(&mut connection, "synchronous_commit").await, "on");
    assert_eq!(show(&mut connection, "listen_addresses").await, "127.0.0.1");
    assert!(show(&mut connection, "server_version").await.starts_with("18.6"));
    let guess = format!("postgres://postgres:postgres@127.0.0.1:{}/postgres", postgres.port());
    let refused = PgConnection::connect(&guess).await.unwrap_err();
    assert_eq!(refused.as_database_error().and_then(|error| error.code()).as_deref(), Some("28P01"));
}

#[tokio::test]
async fn two_side_by_side_do_not_meet_and_a_second_one_in_the_same_place_is_refused() {
    let (here, there) = (Scratch::new().unwrap(), Scratch::new().unwrap());
    let (one, other) =
        tokio::try_join!(Postgres::start(here.path(), None), Postgres::start(there.path(), None)).unwrap();
    connect(&one).await.execute("create database only_here").await.unwrap();

    assert!(PgConnection::connect(&one.url("only_here")).await.is_ok());
    assert!(PgConnection::connect(&other.url("only_here")).await.is_err());
    let refused = Postgres::start(here.path(), None).await.unwrap_err().to_string();
    assert!(refused.contains("already runs") && refused.contains(&one.pid().to_string()), "{refused}");
}

#[tokio::test]
async fn an_interrupted_first_start_is_made_good_by_the_next() {
    let scratch = Scratch::new().unwrap();
    fs::create_dir(scratch.path().join("data.part")).unwrap();
    fs::write(scratch.path().join("data.part/half"), "written").unwrap();
    fs::write(scratch.path().join("postgres.pid"), "").unwrap();

    let postgres = Postgres::start(scratch.path(), None).await.unwrap();

    connect(&postgres).await.execute("select 1").await.unwrap();
}

#[tokio::test]
async fn a_detached_postgres_stays_until_it_is_found_and_stopped() {
    let scratch = Scratch::new().unwrap();
    let postgres = Postgres::start_detached(scratch.path(), None).await.unwrap();
    let (url, pid) = (postgres.url("postgres"), postgres.pid());
    drop(postgres);

    let found = Postgres::find(scratch.path()).await.unwrap().expect("it runs");
    assert_eq!((found.url("postgres"), found.pid()), (url, pid));
    connect(&found).await.execute("select 1").await.unwrap();

    found.stop().await.unwrap();
    assert!(Postgres::find(scratch.path()).await.unwrap().is_none());
    assert_no_process(scratch.path());
}
