//! What HTTP answers.

use events::OrderId;
use serde_json::Value;

/// An answer over HTTP, read to its end.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    pub(crate) location: Option<String>,
    pub(crate) etag: Option<String>,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) async fn of(request: reqwest::RequestBuilder) -> Self {
        let answer = request.send().await.unwrap();
        let header = |name| answer.headers().get(name).map(|it| it.to_str().unwrap().to_owned());
        Self {
            status: answer.status().as_u16(),
            content_type: header("content-type").unwrap_or_default(),
            location: header("location"),
            etag: header("etag"),
            body: answer.json().await.unwrap(),
        }
    }

    pub(crate) fn order_id(&self) -> OrderId {
        self.body["order_id"].as_str().unwrap().parse().unwrap()
    }
}
