use local::Scratch;
use tokio::time::sleep;

use super::*;

/// A process that a shell makes of `script`, which has got as far as to say that it is up.
async fn a_process(scratch: &Scratch, script: &str) -> Instance {
    let args = ["-c".into(), script.into()].to_vec();
    let launch = Launch { args, ..Launch::new("order-2", scratch.path(), "/bin/sh") };
    let process = launch.start().unwrap();
    let it = Instance::new(launch, process, (String::new(), String::new()));
    let begun = Instant::now();
    while it.launch.last_words().lines().all(|line| line != "up") {
        assert!(begun.elapsed() < Duration::from_secs(20), "{}", it.launch.last_words());
        sleep(Duration::from_millis(5)).await;
    }
    it
}

async fn ended(it: &mut Instance) {
    while it.process.is_running() {
        sleep(Duration::from_millis(5)).await;
    }
}

fn statuses(instances: &mut Instances) -> Vec<String> {
    instances.exits().into_iter().map(|it| it.status).collect()
}

#[tokio::test]
async fn an_end_that_nobody_asked_for_is_kept_when_its_process_is_removed() {
    let scratch = Scratch::new().unwrap();
    let mut instances = Instances::default();
    let mut it = a_process(&scratch, "echo up; sleep 0.2; exit 3").await;
    ended(&mut it).await;
    instances.by_name.insert("order-2".into(), it);

    // Nobody has looked since it ended.
    instances.remove("order-2");

    assert_eq!(statuses(&mut instances), ["exit status: 3"]);
}

#[tokio::test]
async fn an_end_is_noted_once_and_a_process_that_ends_again_at_once_is_noted_again() {
    let scratch = Scratch::new().unwrap();
    let mut instances = Instances::default();
    let it = a_process(&scratch, "echo up; sleep 0.2; exit 3").await;
    instances.by_name.insert("order-2".into(), it);
    let begun = Instant::now();

    while statuses(&mut instances).len() < 2 {
        assert!(begun.elapsed() < Duration::from_secs(20));
        sleep(Duration::from_millis(20)).await;
    }

    assert!(begun.elapsed() > PAUSE);
}

#[tokio::test]
async fn a_process_that_was_dead_already_is_neither_killed_nor_stopped() {
    let scratch = Scratch::new().unwrap();
    let mut it = a_process(&scratch, "echo up; sleep 0.2").await;
    ended(&mut it).await;

    let (killed, stopped) = (it.kill().await.unwrap_err(), it.terminate().await.unwrap_err());

    let said = "order-2 had ended by itself before";
    assert_eq!((killed.to_string(), stopped.to_string()), (said.to_owned(), said.to_owned()));
    assert_eq!(it.exit().map(|it| it.status).as_deref(), Some("exit status: 0"));
}

#[tokio::test]
async fn a_stop_has_to_be_an_orderly_one() {
    let scratch = Scratch::new().unwrap();
    let mut orderly = a_process(&scratch, "trap 'exit 0' TERM; echo up; while :; do sleep 0.01; done").await;
    orderly.terminate().await.unwrap();
    drop(orderly);
    std::fs::remove_file(scratch.path().join("order-2.log")).unwrap();

    let mut failing = a_process(&scratch, "trap 'exit 7' TERM; echo up; while :; do sleep 0.01; done").await;
    let error = failing.terminate().await.unwrap_err().to_string();

    assert_eq!(error, "order-2 was asked to stop, and ended by exit status: 7");
    assert!(failing.exit().is_none(), "it was asked to");
    failing.heal().unwrap();
    assert!(failing.process.is_running() && failing.wanted);
    assert_eq!(failing.kill().await.unwrap(), failing.process.pid());
}
