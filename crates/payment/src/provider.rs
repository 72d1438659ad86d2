//! Calls to the provider: Stripe's PaymentIntents, as far as a card that is authorised first and captured later
//! needs them (<https://docs.stripe.com/api/payment_intents>).
//!
//! The effect's id is the idempotency key, so that a call whose answer was lost is made again and has its effect
//! once. Whatever is not a definite answer is no answer. What the provider keeps under that key may be a failure:
//! then a look at the payment says whether the call is to be made under another one, never the failure itself.

mod answer;
mod request;

use std::time::Duration;

use anyhow::Context as _;
use engine::{Mutant, Outside, Unanswered};
use reqwest::{
    Client, RequestBuilder, Response, StatusCode, Url,
    header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue},
    redirect,
};
use uuid::Uuid;

use self::answer::{Found, Said, Verdict};
use crate::{
    Config,
    decider::Input,
    payment::{Answer, Call},
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// From the connection to the last byte of the answer.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// Shorter than servers keep theirs, so that a call rarely meets a connection that is being closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// An answer is a few kB; what is longer is not one.
const ANSWER_LIMIT: usize = 256 * 1024;
/// The version of the API that the answers are read as, whatever the account's default is.
const API_VERSION: HeaderValue = HeaderValue::from_static("2024-06-20");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// The provider, as the engine's effects reach it.
pub(crate) struct Provider {
    client: Client,
    /// Without a slash at its end.
    base: String,
}

impl Provider {
    pub(crate) fn new(config: &Config) -> anyhow::Result<Self> {
        // One for the process; another service in it, or a test, may have been first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, config.authorization()?);
        headers.insert("stripe-version", API_VERSION);
        let client = Client::builder()
            .default_headers(headers)
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(CALL_TIMEOUT)
            .pool_idle_timeout(IDLE_TIMEOUT)
            // A call is answered where it is made, or not at all.
            .redirect(redirect::Policy::none())
            .build()
            .context("preparing the provider's HTTP client")?;
        Ok(Self { client, base: trimmed(&config.provider_url) })
    }

    /// Makes a call, at most four requests. They take less time than the engine's lease on the call.
    async fn ask(&self, id: Uuid, call: &Call) -> Result<Answer, Unanswered> {
        let id = if Mutant::NoIdempotencyKey.is_on() { Uuid::now_v7() } else { id };
        let said = self.post(&id.to_string(), call).await?;
        let (reference, why) = match answer::read(call, &said) {
            Verdict::Is(answer) => return Ok(answer),
            Verdict::Unclear(why) => return Err(said.unclear(why)),
            Verdict::Look { reference, why } => (reference, why),
        };
        let standing = self.look(call, &reference).await?;
        let key = match (answer::found(call, standing.status, &standing.body), said.replayed) {
            (Found::Is(answer), _) => return Ok(answer),
            (Found::Unclear(why), _) => return Err(standing.unclear(why)),
            (Found::Undone(Some(end)), _) => format!("{id}-{end}"),
            (Found::Undone(None), true) => format!("{id}-{}", Uuid::now_v7()),
            // Said for the first time. If it is kept under the key, that shows when the call is made again.
            (Found::Undone(None), false) => return Err(said.unclear(why)),
        };
        let said = self.post(&key, call).await?;
        match answer::read(call, &said) {
            Verdict::Is(answer) => Ok(answer),
            Verdict::Unclear(why) | Verdict::Look { why, .. } => Err(said.unclear(why)),
        }
    }

    async fn post(&self, key: &str, call: &Call) -> Result<Said, Unanswered> {
        let (path, form) = request::of(call);
        let post = self.client.post(format!("{}{path}", self.base)).form(&form);
        receive(post.header(IDEMPOTENCY_KEY, key)).await
    }

    /// Asks how the payment stands, which tells what became of the call.
    async fn look(&self, call: &Call, reference: &str) -> Result<Said, Unanswered> {
        receive(self.client.get(format!("{}{}", self.base, request::standing(call, reference)))).await
    }
}

impl Outside for Provider {
    type Input = Input;

    async fn perform(&self, id: Uuid, request: &str) -> Result<Input, Unanswered> {
        let call: Call = serde_json::from_str(request)
            .map_err(|_| Unanswered::NotYet("the stored request is not a call to the provider".into()))?;
        match self.ask(id, &call).await {
            Ok(answer) => Ok(Input::Answered(call.order_id(), answer)),
            Err(Unanswered::Down(why)) => Err(Unanswered::Down(format!("{}: {why}", call.name()))),
            Err(Unanswered::NotYet(why)) => Err(Unanswered::NotYet(format!("{}: {why}", call.name()))),
        }
    }
}

fn trimmed(url: &Url) -> String {
    url.as_str().trim_end_matches('/').to_owned()
}

impl Said {
    /// Not a definite answer. One that is kept under its key says nothing of how the provider is now.
    fn unclear(&self, why: String) -> Unanswered {
        let failing = self.status.is_server_error() || self.status == StatusCode::TOO_MANY_REQUESTS;
        match failing && !self.replayed {
            true => Unanswered::Down(why),
            false => Unanswered::NotYet(why),
        }
    }
}

async fn receive(request: RequestBuilder) -> Result<Said, Unanswered> {
    let response = request.send().await.map_err(|error| lost(&error))?;
    let status = response.status();
    let replayed = response.headers().get(REPLAYED).is_some_and(|it| it == "true");
    Ok(Said { status, replayed, body: read(response).await? })
}

async fn read(mut response: Response) -> Result<Vec<u8>, Unanswered> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| lost(&error))? {
        body.extend_from_slice(&chunk);
        if body.len() > ANSWER_LIMIT {
            return Err(Unanswered::Down(format!("the answer is longer than {ANSWER_LIMIT} bytes")));
        }
    }
    Ok(body)
}

/// Says what happened to the connection, in our own words: the library's may hold the address.
fn lost(error: &reqwest::Error) -> Unanswered {
    let said = match error {
        it if it.is_timeout() && it.is_connect() => "no connection in time",
        it if it.is_timeout() => "no answer in time",
        it if it.is_connect() => "no connection",
        _ => "the connection was lost before the answer",
    };
    Unanswered::Down(said.to_owned())
}
