//! One command after the other. One that is refused, or gets no answer, keeps none of the others from being sent.

use serde::{Deserialize, Serialize};

use super::proposal::{Command, What};
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
    what: What,
    path: String,
    done: bool,
    pub(super) answer: String,
}

impl Command {
    pub(super) fn is_of_the_provider(&self) -> bool {
        matches!(self.what, What::CancelIntent | What::Refund)
    }
}

impl Desk<'_> {
    pub(super) async fn send(&self, command: &Command) -> Sent {
        let (done, answer) = match self.ask(command).await {
            Ok((done, answer)) => (done, answer),
            Err(error) => (false, format!("{error:#}")),
        };
        Sent { what: command.what, path: command.path.clone(), done, answer }
    }

    /// Whether it was done, and the answer in words.
    async fn ask(&self, command: &Command) -> anyhow::Result<(bool, String)> {
        let Command { what, base, path, body, idempotency_key, .. } = command;
        let mut request = self.client.post(base, path).header("X-Actor", self.actor);
        if let Some(key) = idempotency_key {
            request = request.header("Idempotency-Key", key);
        }
        match what {
            What::Redrive(_) => self.redrive(command).await,
            What::Refold => Ok((true, order(&send(request).await?)?)),
            What::CancelOrder => Ok((true, order(&send(request.json(body)).await?)?)),
            What::CancelIntent | What::Refund => {
                let request = request.bearer_auth(self.key.unwrap_or_default()).form(body);
                let answer: Standing = send(request).await?.json()?;
                // A refund may be pending at the bank, or fail there: that is not done.
                let done = ["succeeded", "canceled"].contains(&answer.status.as_str());
                Ok((done, format!("the provider says: {}", answer.status)))
            }
        }
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
