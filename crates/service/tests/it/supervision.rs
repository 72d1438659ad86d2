use std::sync::{Arc, Mutex};
use std::time::Duration;

use service::Tasks;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

/// Runs `end` beside a loop that only ends when told; the failure that results.
async fn failure_of<F>(end: F) -> String
where
    F: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    let shutdown = CancellationToken::new();
    let mut tasks = Tasks::new(shutdown.clone());
    tasks.spawn("steady", async move |stop| {
        stop.cancelled().await;
        Ok(())
    });
    tasks.spawn("relay", |_| end);
    let outcome = timeout(Duration::from_secs(5), tasks.wait()).await.expect("the others are stopped");
    assert!(shutdown.is_cancelled());
    format!("{:#}", outcome.unwrap_err())
}

#[tokio::test]
async fn a_task_that_ends_early_stops_the_process_and_is_named() {
    assert_eq!(failure_of(async { Ok(()) }).await, "the task relay ended before the stop");
    assert_eq!(failure_of(async { anyhow::bail!("no lock") }).await, "the task relay failed: no lock");
    assert_eq!(failure_of(async { panic!("ouch") }).await, "the task relay failed: panicked: ouch");
}

#[tokio::test]
async fn the_intake_has_ended_before_the_loops_are_told() {
    let shutdown = CancellationToken::new();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = Tasks::new(shutdown.clone());
    let log = |line: &'static str| {
        let seen = Arc::clone(&seen);
        move || seen.lock().unwrap().push(line)
    };
    let (intake_ended, consumer_told) = (log("intake ended"), log("consumer told"));
    tasks.spawn("consumer", async move |stop| {
        stop.cancelled().await;
        consumer_told();
        Ok(())
    });
    tasks.spawn_intake("http", async move |stop| {
        stop.cancelled().await;
        sleep(Duration::from_millis(100)).await;
        intake_ended();
        Ok(())
    });

    shutdown.cancel();
    tasks.wait().await.unwrap();
    assert_eq!(*seen.lock().unwrap(), ["intake ended", "consumer told"]);
}

#[tokio::test]
async fn a_failure_during_the_stop_is_a_failure() {
    let shutdown = CancellationToken::new();
    let mut tasks = Tasks::new(shutdown.clone());
    tasks.spawn("relay", async move |stop| {
        stop.cancelled().await;
        anyhow::bail!("could not flush")
    });
    shutdown.cancel();
    let error = tasks.wait().await.unwrap_err();
    assert_eq!(format!("{error:#}"), "the task relay failed: could not flush");
}

#[tokio::test]
async fn what_does_not_stop_is_cut_off_and_named() {
    let shutdown = CancellationToken::new();
    let mut tasks = Tasks::new(shutdown.clone()).stop_within(Duration::from_millis(50));
    tasks.spawn("deaf", async move |_| std::future::pending().await);
    shutdown.cancel();
    assert_eq!(tasks.wait().await.unwrap_err().to_string(), "did not stop in time: deaf");
}
