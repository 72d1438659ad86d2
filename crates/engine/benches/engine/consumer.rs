//! Consuming with inbox, state and outbox: in batches of 500 and one by one, by turns.

use std::time::Duration;

use bus::{CloudEvent, Producer, Trace, topics};
use tokio::time::Instant;
use uuid::Uuid;

use crate::{
    account::{ORDERED_TYPE, Order, READS, Twist},
    machine::{Machine, Running, Service},
};

const KEYS: usize = 2_000;
const ROUNDS: usize = 4;

struct Variant {
    service: Service,
    engine: Running,
    /// Messages a round: so that both take a few seconds.
    count: usize,
    sent: usize,
    best: f64,
    spent: Duration,
}

impl Variant {
    async fn new(machine: &Machine, name: &str, batch_size: usize, count: usize) -> Self {
        let mut service = machine.service(name).await;
        service.settings.batch_size = batch_size;
        // The relay would share the cores, and has a benchmark of its own.
        let engine = service.run(|it| it != "relay");
        Self { service, engine, count, sent: 0, best: 0.0, spent: Duration::ZERO }
    }

    /// Sends a round's messages and waits until they are committed.
    async fn round(&mut self, machine: &Machine, producer: &Producer, measured: bool) {
        let (begun, cpu) = (Instant::now(), machine.cpu());
        for chunk in 0..self.count.div_ceil(5_000) {
            let from = self.sent + chunk * 5_000;
            send(&self.service, producer, from..(from + 5_000).min(self.sent + self.count)).await;
        }
        self.sent += self.count;
        self.service.until("select coalesce(sum(sequence), 0)::bigint from account", self.sent as i64).await;
        if measured {
            self.best = self.best.max(self.count as f64 / begun.elapsed().as_secs_f64());
            self.spent += machine.cpu() - cpu;
        }
    }

    fn tell(&self, name: &str) {
        let cpu = self.spent.as_secs_f64() * 1e6 / (self.count * ROUNDS) as f64;
        println!("consumer, {name:<9} {:>9.0} messages/s  {cpu:>7.1} CPU-ms per 1,000", self.best);
    }
}

async fn send(service: &Service, producer: &Producer, range: std::ops::Range<usize>) {
    let topic = topics::name(&service.settings.topic_prefix, READS[0].name());
    let record = |it: usize| {
        let order = Order { account: format!("account-{}", it % KEYS), amount: 1, twist: Twist::Plain };
        let event = CloudEvent {
            id: Uuid::now_v7(),
            source: "/waybill/bench".into(),
            r#type: ORDERED_TYPE.into(),
            subject: Some(order.account.clone().into()),
            time: None,
            sequence: None,
            correlation_id: Some(Uuid::now_v7()),
            causation_id: None,
            actor: None,
            trace: Trace::default(),
            data: serde_json::to_vec(&order).unwrap().into(),
        };
        event.into_record(topic.as_str().into(), order.account.into())
    };
    producer.enqueue(range.map(record)).acknowledged().await.unwrap();
}

pub(crate) async fn run(machine: &Machine) {
    let mut batched = Variant::new(machine, "batched", 500, 60_000).await;
    let mut single = Variant::new(machine, "single", 1, 2_000).await;
    let producer = machine.bus.producer().unwrap();
    for round in 0..=ROUNDS {
        // The first round warms up.
        batched.round(machine, &producer, round > 0).await;
        single.round(machine, &producer, round > 0).await;
    }
    batched.tell("batch 500");
    single.tell("batch 1");
    println!("consumer, ratio     {:>9.1} x (target: 10)", batched.best / single.best);
    batched.engine.stop().await;
    single.engine.stop().await;
}
