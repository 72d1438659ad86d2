//! What a suite's processes show of themselves.

use std::{fs, time::Duration};

use serde_json::Value;

use super::Suite;

impl Suite {
    /// What a process has written to its log.
    pub(crate) async fn log(&self, name: &str) -> anyhow::Result<String> {
        let file = self.lock().await.get(name)?.launch.log();
        Ok(String::from_utf8_lossy(&fs::read(file).unwrap_or_default()).into_owned())
    }

    /// A sample of a process's metrics by name, over all labels that contain `labels`.
    pub(crate) async fn metric(&self, name: &str, metric: &str, labels: &str) -> anyhow::Result<f64> {
        let url = self.url(name, "/metrics").await?;
        let text = self.http.get(url).timeout(Duration::from_secs(3)).send().await?.text().await?;
        Ok(sum_of(&text, metric, labels))
    }

    /// What an HTTP request is answered with, as JSON.
    pub(crate) async fn json(&self, request: reqwest::RequestBuilder) -> anyhow::Result<(u16, Value)> {
        let answer = request.send().await?;
        let (status, body) = (answer.status().as_u16(), answer.bytes().await?);
        Ok((status, serde_json::from_slice(&body).unwrap_or_default()))
    }
}

/// The sum of the samples of `metric` whose labels contain `labels`.
pub(crate) fn sum_of(text: &str, metric: &str, labels: &str) -> f64 {
    let samples = text.lines().filter(|it| {
        it.strip_prefix(metric).is_some_and(|rest| rest.starts_with(['{', ' '])) && it.contains(labels)
    });
    samples.filter_map(|it| it.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

/// Whether a process is in a state of `/proc/<pid>/stat` now: `T` is stopped.
pub(crate) fn is_in_state(pid: u32, state: char) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with(state))
}
