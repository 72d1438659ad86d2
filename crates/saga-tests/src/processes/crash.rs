//! Processes that die by themselves, between two steps of theirs.

use std::{fs, os::unix::process::ExitStatusExt};

use bus::crash::Crash;
use nix::sys::signal::Signal;
use testkit::eventually;

use super::Processes;
use crate::suite::PATIENCE;

const VARIABLE: &str = "WAYBILL_CRASH_AT";

impl Processes {
    /// Starts a service anew, which is to die when it passes a point for the `pass`-th time.
    pub async fn arm(&mut self, name: &'static str, at: Crash, pass: u32) {
        self.terminate(name).await;
        self.set(name, format!("{}:{pass}", at.name()));
        self.restart(name);
    }

    /// Waits until it has died there, of SIGABRT, and starts it again as it was before.
    pub async fn died_and_revived(&mut self, name: &'static str, at: Crash) {
        let process = self.running.remove(name).expect("it runs");
        let status = eventually(PATIENCE, &format!("{name} dies at {at:?}"), async || {
            process.status().ok_or("it runs (is it built with --features engine/chaos?)")
        })
        .await;
        let log = fs::read_to_string(self.launches.0[name].log()).expect("a log");
        assert_eq!(status.signal(), Some(Signal::SIGABRT as i32), "{name} ended with {status}");
        assert!(log.contains(&format!("crash point {} reached: aborting\n", at.name())), "{log}");
        self.set(name, String::new());
        self.restart(name);
        self.ready(name).await;
    }

    fn set(&mut self, name: &str, value: String) {
        let env = &mut self.launches.0.get_mut(name).expect("a process").env;
        env.retain(|(variable, _)| variable != VARIABLE);
        env.push((VARIABLE.to_owned(), value));
    }
}
