use local::{Kafka, Scratch};

use crate::{
    assert_no_process, runs,
    wire::{create_topic, has_topic},
};

#[tokio::test]
async fn a_killed_kafka_comes_back_with_its_topics_on_its_port_and_stops_without_a_trace() {
    let scratch = Scratch::new().unwrap();
    let mut kafka = Kafka::start(scratch.path(), None).await.unwrap();
    let (broker, killed) = (kafka.bootstrap_servers(), kafka.pid());
    assert_eq!(create_topic(&broker, "kept").await.unwrap(), 0);

    kafka.kill().await.unwrap();
    assert!(!runs(killed));
    assert!(has_topic(&broker, "kept").await.is_err());
    kafka.restart().await.unwrap();

    assert_ne!(kafka.pid(), killed);
    assert_eq!(kafka.bootstrap_servers(), broker);
    assert!(has_topic(&broker, "kept").await.unwrap());
    assert_eq!(create_topic(&broker, "more").await.unwrap(), 0);
    assert!(!has_topic(&broker, "never-created").await.unwrap());

    kafka.stop().await.unwrap();
    assert_no_process(scratch.path());
}

#[tokio::test]
async fn a_detached_kafka_stays_until_it_is_found_and_stopped() {
    let scratch = Scratch::new().unwrap();
    let kafka = Kafka::start_detached(scratch.path(), None).await.unwrap();
    let (broker, pid) = (kafka.bootstrap_servers(), kafka.pid());
    drop(kafka);

    let mut found = Kafka::find(scratch.path()).await.unwrap().expect("it runs");
    assert_eq!((found.bootstrap_servers(), found.pid()), (broker.clone(), pid));
    found.restart().await.unwrap();
    assert!(!runs(pid));
    assert_eq!(create_topic(&broker, "again").await.unwrap(), 0);
    drop(found);

    let found = Kafka::find(scratch.path()).await.unwrap().expect("it runs again");
    found.stop().await.unwrap();
    assert!(Kafka::find(scratch.path()).await.unwrap().is_none());
    assert_no_process(scratch.path());
}
