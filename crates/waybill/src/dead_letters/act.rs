//! `waybill dead-letters redrive` and `discard`.

use std::io::IsTerminal;

use anyhow::{Context, ensure};
use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Desks, Service};
use crate::{
    client::{BaseUrl, Client, send},
    output::{agreed, say, say_json},
};

/// Run dead letters again, each key's in their order, until none is left or one is poison still.
///
/// Always whole keys, from their first letter on. Doing it again, or while somebody else does,
/// applies nothing twice. Exit code 1 when something is poison still.
#[derive(Args)]
pub(crate) struct Redrive {
    #[command(flatten)]
    which: Redriven,
    /// Only this service's; without it all four's.
    #[arg(long, value_enum)]
    service: Option<Service>,
    /// Why, for the record.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    who: Who,
    #[command(flatten)]
    desks: Desks,
}

#[derive(Args)]
#[group(id = "letters", required = true, multiple = false)]
struct Redriven {
    /// The key of this letter, as the list shows it. Needs --service.
    #[arg(requires = "service")]
    id: Option<i64>,
    /// This key.
    #[arg(long)]
    key: Option<String>,
    /// Every key whose first letter is of this type: order.placed, or in full waybill.order.placed.v2.
    #[arg(long = "type", value_name = "TYPE")]
    of_type: Option<String>,
    /// Every key.
    #[arg(long)]
    all: bool,
}

/// Throw away the poison letter that holds up a key, and run those that wait behind it.
///
/// At a terminal, discarding by key or type asks once more. Exit code 1 when one that waited has become poison.
#[derive(Args)]
pub(crate) struct Discard {
    #[command(flatten)]
    which: Discarded,
    /// Whose they are.
    #[arg(long, value_enum)]
    service: Service,
    /// Why, for the record.
    #[arg(long, value_name = "TEXT", value_parser = not_blank)]
    reason: String,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    who: Who,
    #[command(flatten)]
    desks: Desks,
}

#[derive(Args)]
#[group(id = "letters", required = true, multiple = false)]
struct Discarded {
    /// This letter, as the list shows it: the first of its key.
    id: Option<i64>,
    /// The poison letter of this key.
    #[arg(long)]
    key: Option<String>,
    /// The poison letter of every key whose first letter is of this type: order.placed, or in full waybill.order.placed.v2.
    #[arg(long = "type", value_name = "TYPE")]
    of_type: Option<String>,
}

#[derive(Args)]
struct Who {
    /// Who does it, for the record.
    #[arg(long, env = "USER", value_name = "NAME", value_parser = actor)]
    actor: Option<String>,
    /// One line of JSON per service.
    #[arg(long)]
    json: bool,
}

fn not_blank(text: &str) -> Result<String, String> {
    if text.trim().is_empty() { Err("it must say why".into()) } else { Ok(text.to_owned()) }
}

/// As it goes into a header. Empty is nobody in particular.
pub(crate) fn actor(name: &str) -> Result<String, String> {
    if name.len() > 64 || !name.bytes().all(|it| it.is_ascii_graphic()) {
        return Err("expected up to 64 visible ASCII characters".into());
    }
    Ok(name.to_owned())
}

pub(super) async fn redrive(client: &Client, redrive: Redrive) -> anyhow::Result<()> {
    let Redriven { id, key, of_type, all } = redrive.which;
    let mut order = json!({"id": id, "key": key, "type": of_type, "all": all.then_some(true)});
    order["reason"] = redrive.reason.into();
    let mut failed = 0;
    let asked = redrive.desks.ask(redrive.service, async |service, url| {
        let asked = Act { client, url, path: "/dead-letters/redrive", who: &redrive.who, service };
        failed += asked.run(order.clone()).await?.failed;
        Ok(())
    });
    asked.await?;
    none_failed(failed)
}

pub(super) async fn discard(client: &Client, discard: Discard) -> anyhow::Result<()> {
    let Discarded { id, key, of_type } = discard.which;
    let (service, url) = (discard.service, discard.desks.of(discard.service));
    let by = [("key", key.as_deref()), ("type", of_type.as_deref())];
    let by = by.into_iter().find_map(|(name, value)| Some((name, value?)));
    if let Some((name, value)) = by.filter(|_| !discard.yes && std::io::stdin().is_terminal()) {
        let letters = how_many(client, url, name, value).await.context(service.name())?;
        let question = format!("discard {letters} of {}, {name} {value:?}?", service.name());
        ensure!(agreed(&question)?, "nothing was discarded");
    }
    let order = json!({"id": id, "key": key, "type": of_type, "reason": discard.reason});
    let act = Act { client, url, path: "/dead-letters/discard", who: &discard.who, service };
    let done = act.run(order).await.context(service.name())?;
    none_failed(done.failed)
}

fn none_failed(failed: u64) -> anyhow::Result<()> {
    ensure!(failed == 0, "{failed} poison still: see `waybill dead-letters list --status poison`");
    Ok(())
}

/// The number of poison letters that are meant, in words.
async fn how_many(client: &Client, url: &BaseUrl, name: &str, value: &str) -> anyhow::Result<String> {
    #[derive(Deserialize)]
    struct Page {
        dead_letters: Vec<serde::de::IgnoredAny>,
        next_cursor: Option<i64>,
    }
    let query = [("status", "poison"), ("limit", "100"), (name, value)];
    let page: Page = send(client.get(url, "/dead-letters").query(&query)).await?.json()?;
    let more = if page.next_cursor.is_some() { " or more" } else { "" };
    Ok(format!("{}{more} poison", page.dead_letters.len()))
}

/// What became of the letters.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Outcome {
    applied: u64,
    duplicates: u64,
    skipped: u64,
    discarded: u64,
    /// Poison still.
    pub(crate) failed: u64,
    #[serde(skip_serializing)]
    cursor: Option<String>,
}

impl Outcome {
    fn add(&mut self, it: &Outcome) {
        self.applied += it.applied;
        self.duplicates += it.duplicates;
        self.skipped += it.skipped;
        self.discarded += it.discarded;
        self.failed += it.failed;
    }

    pub(crate) fn in_words(&self) -> String {
        let counts = [
            (self.discarded, "discarded"),
            (self.applied, "applied"),
            (self.duplicates, "had been applied before"),
            (self.skipped, "skipped, as nobody here handles their type"),
            (self.failed, "poison still"),
        ];
        let said = counts.into_iter().filter(|(count, _)| *count > 0);
        let said: Vec<_> = said.map(|(count, what)| format!("{count} {what}")).collect();
        if said.is_empty() { "nothing to do".to_owned() } else { said.join(", ") }
    }
}

/// Something to be done by one service.
struct Act<'a> {
    client: &'a Client,
    url: &'a BaseUrl,
    path: &'a str,
    who: &'a Who,
    service: Service,
}

impl Act<'_> {
    /// Asks until there is no more to do, and says what became of it, also when it was cut short.
    async fn run(&self, order: Value) -> anyhow::Result<Outcome> {
        let mut total = Outcome::default();
        let (actor, name) = (self.who.actor.as_deref().filter(|it| !it.is_empty()), self.service.name());
        let post = || self.client.post(self.url, self.path);
        let done = go_on(post, actor, name, order, &mut total).await;
        if done.is_ok() || total.in_words() != Outcome::default().in_words() {
            self.tell(&total)?;
        }
        done.map(|()| total)
    }

    fn tell(&self, total: &Outcome) -> anyhow::Result<()> {
        if !self.who.json {
            say!("{:<9}  {}", self.service.name(), total.in_words());
            return Ok(());
        }
        let mut line = serde_json::to_value(total)?;
        line["service"] = self.service.name().into();
        say_json(&line)
    }
}

/// Asks until there is no more to do, and adds up what became of the letters.
pub(crate) async fn go_on(
    post: impl Fn() -> reqwest::RequestBuilder,
    actor: Option<&str>,
    service: &str,
    mut order: Value,
    total: &mut Outcome,
) -> anyhow::Result<()> {
    loop {
        let mut request = post();
        if let Some(actor) = actor {
            request = request.header("X-Actor", actor);
        }
        let done: Outcome = send(request.json(&order)).await?.json()?;
        total.add(&done);
        let Some(cursor) = done.cursor else { return Ok(()) };
        eprintln!("{service}: {} so far", total.in_words());
        order["cursor"] = cursor.into();
    }
}
