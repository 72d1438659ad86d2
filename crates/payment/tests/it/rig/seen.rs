//! What is to be seen of a rig from outside.

use std::collections::BTreeMap;

use bus::{cloud_event::Envelope, topics};
use serde_json::Value;
use testkit::eventually;
use uuid::Uuid;

use super::{KEY, Rig, SOON};
use crate::order::Order;

impl Rig {
    pub(crate) async fn get(&self, order: &Order) -> Option<Value> {
        let answer = self.client.get(format!("{}/payments/{}", self.base, order.id)).send().await.unwrap();
        (answer.status() == 200).then_some(answer.json().await.unwrap())
    }

    /// Waits until a payment has `status`, and returns it.
    #[track_caller]
    pub(crate) fn reaches(&self, order: &Order, status: &str) -> impl Future<Output = Value> {
        let what = format!("the payment with {} is {status}", order.payment_method);
        async move {
            let probe = async || match self.get(order).await {
                Some(payment) if payment["status"] == status => Ok(payment),
                other => Err(format!("{other:?}")),
            };
            eventually(SOON, &what, probe).await
        }
    }

    /// The provider's own books on an order: `authorize 3998 usd`, in order.
    pub(crate) async fn ledger(&self, order: &Order) -> Vec<String> {
        let entries = self.entries(&format!("?order_id={}", order.id)).await;
        let text = |entry: &Value, name: &str| entry[name].as_str().unwrap().to_owned();
        entries
            .iter()
            .map(|it| format!("{} {} {}", text(it, "kind"), it["amount"], text(it, "currency")))
            .collect()
    }

    /// Waits until the provider has done `count` things for an order.
    pub(crate) async fn ledger_of(&self, order: &Order, count: usize) {
        eventually(SOON, "the provider has done its work", async || {
            let ledger = self.ledger(order).await;
            if ledger.len() == count { Ok(()) } else { Err(format!("{ledger:?}")) }
        })
        .await;
    }

    /// What somebody does at the provider's own desk.
    pub(crate) async fn at_the_desk(&self, payment: &Value, what: &str) {
        let reference = payment["provider_reference"].as_str().expect("a reference");
        let url = format!("{}/v1/payment_intents/{reference}/{what}", self.provider_url);
        let done = self.client.post(url).bearer_auth(KEY).send().await.unwrap();
        assert_eq!(done.status(), 200);
    }

    pub(crate) async fn refund_at_the_desk(&self, order: &Order, amount: i64) {
        let payment = self.get(order).await.unwrap();
        let reference = payment["provider_reference"].as_str().expect("a reference").to_owned();
        let form = [("payment_intent", reference), ("amount", amount.to_string())];
        let url = format!("{}/v1/refunds", self.provider_url);
        let done = self.client.post(url).bearer_auth(KEY).form(&form).send().await.unwrap();
        assert_eq!(done.status(), 200);
    }

    pub(crate) async fn at_the_provider(&self, path: &str) -> Value {
        let get = self.client.get(format!("{}{path}", self.provider_url));
        get.bearer_auth(KEY).send().await.unwrap().json().await.unwrap()
    }

    /// What was published of an order: `1 payment.authorized`, in order.
    pub(crate) async fn published(&self, order: &Order) -> Vec<String> {
        self.all_published().await.remove(&order.id.to_string()).unwrap_or_default()
    }

    /// The same of all orders.
    pub(crate) async fn all_published(&self) -> BTreeMap<String, Vec<String>> {
        self.drained().await;
        let mut published: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for record in self.topic("payment").await {
            let sequence = record.header("ce_sequence").map(|it| String::from_utf8_lossy(it).into_owned());
            let envelope = Envelope::open(&record).unwrap();
            let name = envelope.event_type().unwrap().trim_start_matches("waybill.");
            let name = name.rsplit_once(".v").unwrap().0;
            let key = String::from_utf8(record.key.clone().unwrap().to_vec()).unwrap();
            published.entry(key).or_default().push(format!("{} {name}", sequence.unwrap()));
        }
        published
    }

    /// The provider's own books.
    pub(crate) async fn entries(&self, query: &str) -> Vec<Value> {
        let ledger = self.at_the_provider(&format!("/ledger{query}")).await;
        ledger["entries"].as_array().unwrap().clone()
    }

    async fn topic(&self, aggregate: &str) -> Vec<bus::Received> {
        let name = topics::name(&self.prefix, aggregate);
        let infos = self.bus.topics(&name).await.unwrap();
        let count: i64 = infos.iter().flat_map(|it| &it.partitions).map(|it| it.high).sum();
        let mut reader = self.bus.consumer(&Uuid::now_v7().to_string(), &[name], None).unwrap();
        let (mut records, count) = (Vec::new(), usize::try_from(count).unwrap());
        while records.len() < count {
            records.extend(reader.poll(count - records.len(), SOON).await.unwrap());
        }
        records
    }

    pub(crate) async fn drained(&self) {
        eventually(SOON, "nothing is left to publish", async || {
            match self.count("select count(*) from engine.outbox").await {
                0 => Ok(()),
                left => Err(format!("{left} rows left")),
            }
        })
        .await;
    }

    pub(crate) async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&self.pool).await.unwrap()
    }

    /// Waits until a call was made in vain, and returns what is said of it.
    pub(crate) async fn unanswered(&self, order: &Order) -> String {
        eventually(SOON, "a call is known to be unanswered", async || {
            let sql = "select error from engine.effect where key = $1 and error is not null";
            let error: Option<String> =
                sqlx::query_scalar(sql).bind(order.id.to_string()).fetch_optional(&self.pool).await.unwrap();
            error.ok_or("no error yet")
        })
        .await
    }

    /// Waits until the payment is beyond `status`.
    pub(crate) async fn leaves(&self, order: &Order, status: &str) {
        eventually(SOON, "the payment goes on", async || match self.get(order).await {
            Some(payment) if payment["status"] != status => Ok(()),
            other => Err(format!("{other:?}")),
        })
        .await;
    }

    /// Has every open call made again, as if the process that makes it were gone.
    pub(crate) async fn forget_leases(&self) {
        sqlx::query("update engine.effect set due_at = clock_timestamp()").execute(&self.pool).await.unwrap();
    }

    /// Notes from now on why calls came to nothing, and which answers found their call answered before.
    pub(crate) async fn watch_calls(&self) {
        sqlx::raw_sql(
            "create table unanswered (key text, error text);
             create table answered_before (at timestamptz);
             create function note_error() returns trigger language plpgsql as $$ begin
                 insert into unanswered values (new.key, new.error); return null; end $$;
             create trigger unanswered after update of error on engine.effect for each row
                 when (new.error is not null) execute function note_error();
             create function note_answer() returns trigger language plpgsql as $$ begin
                 if not exists (select from gone) then
                     insert into answered_before values (clock_timestamp());
                 end if; return null; end $$;
             create trigger answered_before after delete on engine.effect
                 referencing old table as gone for each statement execute function note_answer();",
        )
        .execute(&self.pool)
        .await
        .unwrap();
    }

    /// What was noted of an order's calls, each reason once, the first one first.
    pub(crate) async fn reasons(&self, order: &Order) -> Vec<String> {
        let sql = "select error from unanswered where key = $1";
        let mut reasons: Vec<String> =
            sqlx::query_scalar(sql).bind(order.id.to_string()).fetch_all(&self.pool).await.unwrap();
        reasons.dedup();
        reasons
    }
}
