//! The databases of tests, on the server of tests.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    str::FromStr,
};

use sqlx::{Connection, PgConnection, Row, postgres::PgConnectOptions};
use testkit::TestDatabase;

/// How many databases and roles of that name there are.
async fn traces(name: &str) -> i64 {
    let url = std::env::var("TEST_POSTGRES_URL").expect("TEST_POSTGRES_URL is set");
    let mut server = PgConnection::connect(&url).await.expect("the server of tests");
    let sql = "select (select count(*) from pg_database where datname = $1)
                    + (select count(*) from pg_roles where rolname = $1)";
    sqlx::query(sql).bind(name).fetch_one(&mut server).await.expect(sql).get(0)
}

#[tokio::test]
async fn a_database_goes_on_close_with_connections_open() {
    let database = TestDatabase::create().await;
    let name = database.name().to_owned();
    let _pool = database.pool().await;
    assert_eq!(traces(&name).await, 1);

    database.close().await;

    assert_eq!(traces(&name).await, 0);
}

#[tokio::test]
async fn an_owner_may_do_everything_in_its_own_database_and_enters_no_other() {
    let (mine, other) = (TestDatabase::create_owned().await, TestDatabase::create_owned().await);
    let pool = mine.pool().await;
    sqlx::query("create schema engine").execute(&pool).await.unwrap();
    sqlx::query("create table public.note (note_id int)").execute(&pool).await.unwrap();

    let elsewhere = PgConnectOptions::from_str(mine.url()).unwrap().database(other.name());
    let refused = PgConnection::connect_with(&elsewhere).await.unwrap_err();

    assert_eq!(
        refused.as_database_error().and_then(|error| error.code()).as_deref(),
        Some("42501"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_database_and_its_owner_go_when_the_test_panics() {
    let database = TestDatabase::create_owned().await;
    let name = database.name().to_owned();
    let _pool = database.pool().await;
    assert_eq!(traces(&name).await, 2);

    let panicked = catch_unwind(AssertUnwindSafe(move || {
        let _database = database;
        panic!("the test fails");
    }));

    assert!(panicked.is_err());
    assert_eq!(traces(&name).await, 0);
}
