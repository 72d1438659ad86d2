//! Topics on the Kafka that tests share.

use bus::{Bus, topics};

use crate::waybill::{done, waybill};

const SERVICES: [&str; 4] = ["order", "inventory", "payment", "shipping"];

#[tokio::test]
async fn topics_are_created_once_and_listed() {
    let (servers, prefix) = (testkit::bootstrap_servers(), testkit::topic_prefix());
    let topics = |args: &[&str]| {
        let place = ["--bootstrap-servers", &servers, "--topic-prefix", &prefix];
        done(&mut waybill(&[&["topics"], args, &place].concat()))
    };

    let (first, second) = (topics(&["create"]), topics(&["create"]));
    let (list, json, lag) = (topics(&["list"]), topics(&["list", "--json"]), topics(&["lag"]));

    let names: Vec<String> = topics::plan(&prefix, &SERVICES).into_iter().map(|it| it.name).collect();
    let bus = Bus::kafka(&servers).unwrap();
    bus.delete_topics(&names.iter().map(String::as_str).collect::<Vec<_>>()).await.unwrap();
    for name in &names {
        assert!(first.contains(&format!("created    {name}\n")), "{first}");
        assert!(second.contains(&format!("was there  {name}\n")), "{second}");
        assert!(list.contains(name.as_str()), "{list}");
    }
    assert!(list.contains("0..0 0..0 0..0 0..0 0..0 0..0"), "{list}");
    let order = format!(r#"{{"topic":"{prefix}.order","partitions":{{"0":[0,0],"1":[0,0],"#);
    assert!(json.lines().count() == names.len() && json.contains(&order), "{json}");
    assert_eq!(lag.lines().count(), 1, "nobody reads: {lag}");
}
