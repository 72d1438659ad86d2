//! One command after the other. One that is refused, or gets no answer, keeps none of the others from being sent.

use serde::{Deserialize, Serialize};

use super::{
    advice,
    plan::Plan,
    proposal::{Command, What},
};
use crate::{
    client::{Answer, Client, send},
    dead_letters::{Outcome, go_on},
};

/// Who sends.
pub(super) struct Desk<'a> {
    pub(super) client: &'a Client,
    pub(super) actor: &'a str,
    /// Of the provider.
    pub(super) key: Option<&'a str>,
}

/// What was sent, and what came of it.
#[derive(Debug, Serialize)]
pub(super) struct Sent {
    pub(super) what: What,
    pub(super) path: String,
    pub(super) sent: bool,
    pub(super) done: bool,
    pub(super) answer: String,
    /// What is left to a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) advice: Option<&'static str>,
}

impl Command {
    pub(super) fn is_of_the_provider(&self) -> bool {
        matches!(self.what, What::CancelIntent | What::Refund)
    }

    /// It cannot be taken back: what it was planned on has to be so still.
    fn is_final(&self) -> bool {
        self.is_of_the_provider() || self.what == What::CancelOrder
    }

    fn kept(&self, why: String) -> Sent {
        Sent { what: self.what, path: self.path.clone(), sent: false, done: false, answer: why, advice: None }
    }
}

/// Sends a command; a final one only if a fresh plan proposes the very same, as any time may have passed since it was
/// planned.
pub(super) async fn unless_mended(
    command: &Command,
    again: impl AsyncFnOnce() -> anyhow::Result<Plan>,
    send: impl AsyncFnOnce(&Command) -> Sent,
) -> Sent {
    if command.is_final() {
        match again().await {
            Ok(fresh) if fresh.proposals.iter().any(|it| it.command == *command) => {}
            Ok(_) => return command.kept("not sent: it is not proposed any more".into()),
            Err(error) => return command.kept(format!("not sent: {error:#}")),
        }
    }
    send(command).await
}

/// Whether a status of the provider's says that it is done, and else what is left to a person.
pub(super) fn concluded(what: What, status: &str) -> (bool, Option<&'static str>) {
    match (what, status) {
        (What::Refund, "succeeded") | (What::CancelIntent, "canceled") => (true, None),
        // The answer is kept under the idempotency key.
        (What::Refund, "failed" | "canceled") => (false, Some(advice::FAILED_REFUND)),
        // It may be pending at the bank: a later look tells.
        _ => (false, None),
    }
}

impl Desk<'_> {
    pub(super) async fn send(&self, command: &Command) -> Sent {
        let asked = match command.is_of_the_provider() {
            true => self.provider(command).await,
            false => self.service(command).await.map(|(done, answer)| (done, answer, None)),
        };
        let (done, answer, advice) = asked.unwrap_or_else(|error| (false, format!("{error:#}"), None));
        Sent { what: command.what, path: command.path.clone(), sent: true, done, answer, advice }
    }

    /// Whether it was done, and the answer in words.
    async fn service(&self, command: &Command) -> anyhow::Result<(bool, String)> {
        let Command { what, base, path, body, .. } = command;
        let request = self.client.post(base, path).header("X-Actor", self.actor);
        match what {
            What::Redrive(_) => self.redrive(command).await,
            What::Refold => Ok((true, order(&send(request).await?)?)),
            _ => Ok((true, order(&send(request.json(body)).await?)?)),
        }
    }

    /// Whether it was done, the answer in words, and what is left to a person.
    async fn provider(&self, command: &Command) -> anyhow::Result<(bool, String, Option<&'static str>)> {
        let Command { what, base, path, body, idempotency_key, .. } = command;
        let mut request = self.client.post(base, path).header("X-Actor", self.actor);
        if let Some(key) = idempotency_key {
            request = request.header("Idempotency-Key", key);
        }
        let request = request.bearer_auth(self.key.unwrap_or_default()).form(body);
        let answer: Standing = send(request).await?.json()?;
        let (done, advice) = concluded(*what, &answer.status);
        Ok((done, format!("the provider says: {}", answer.status), advice))
    }

    async fn redrive(&self, command: &Command) -> anyhow::Result<(bool, String)> {
        let Command { what: What::Redrive(service), base, path, body, .. } = command else {
            anyhow::bail!("this is no redrive");
        };
        let mut total = Outcome::default();
        let post = || self.client.post(base, path);
        go_on(post, Some(self.actor), service.name(), body.clone(), &mut total).await?;
        let mut answer = total.in_words();
        if total.failed > 0 {
            answer.push_str(&format!(
                ": see why with `waybill dead-letters list --service {0} --key {1}`; what can never be applied is thrown \
                 away with `waybill dead-letters discard --service {0} --key {1} --reason ..`",
                service.name(),
                body["key"].as_str().unwrap_or_default()
            ));
        }
        Ok((total.failed == 0, answer))
    }
}

/// How an order, an intent or a refund stands now.
#[derive(Deserialize)]
struct Standing {
    status: String,
    #[serde(default)]
    cancelling: bool,
}

fn order(answer: &Answer) -> anyhow::Result<String> {
    let order: Standing = answer.json()?;
    let asked = if order.cancelling { "; shipping has been asked to stop the parcel" } else { "" };
    Ok(format!("{}: the order is {}{asked}", answer.status.as_u16(), order.status))
}
