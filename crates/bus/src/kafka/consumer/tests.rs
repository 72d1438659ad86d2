use std::time::Instant;

use super::*;
use crate::kafka::config;

/// Longer than a client waits before it says for the second time how it is.
const SOON: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_does_not_become_a_member_is_given_up() {
    let mut member = KafkaConsumer::new(config("127.0.0.1:1"), "any", &["any".to_owned()], None).unwrap();
    member.stuck = Duration::from_secs(1);

    let begun = Instant::now();
    let failed = loop {
        assert!(begun.elapsed() < SOON, "it goes on");
        if let Ok(Err(error)) = tokio::time::timeout(member.stuck, member.poll(1, Duration::ZERO)).await {
            break error;
        }
    };

    assert!(matches!(&failed, Error::Fatal(why) if why.contains("no settled member")), "{failed}");
    member.close().await;
}
