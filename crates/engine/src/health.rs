use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// How long a task may show no progress before the service counts as not ready.
const STALE: Duration = Duration::from_secs(15);

/// Progress of the engine's tasks: not that they exist, but that they get on.
#[derive(Debug, Clone)]
pub struct Health {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    start: Instant,
    database: Beat,
    broker: Beat,
    relay: Beat,
    consumers: Vec<Beat>,
}

/// When something last got on, in milliseconds since the start plus one; 0 is never.
#[derive(Debug, Default)]
struct Beat(AtomicU64);

/// What can be asked about.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Part {
    Database,
    Broker,
    Relay,
    Consumer(usize),
}

impl Health {
    pub(crate) fn new(workers: usize) -> Self {
        let consumers = (0..workers).map(|_| Beat::default()).collect();
        let beat = Beat::default;
        let start = Instant::now();
        Self { inner: Arc::new(Inner { start, database: beat(), broker: beat(), relay: beat(), consumers }) }
    }

    fn beat(&self, part: Part) -> Option<&Beat> {
        match part {
            Part::Database => Some(&self.inner.database),
            Part::Broker => Some(&self.inner.broker),
            Part::Relay => Some(&self.inner.relay),
            Part::Consumer(index) => self.inner.consumers.get(index),
        }
    }

    pub(crate) fn progress(&self, part: Part) {
        if let Some(beat) = self.beat(part) {
            beat.0.store(self.inner.start.elapsed().as_millis() as u64 + 1, Ordering::Relaxed);
        }
    }

    fn check(&self, beat: &Beat, stale: Duration) -> Result<(), String> {
        let last = beat.0.load(Ordering::Relaxed);
        if last == 0 {
            return Err("waiting to begin".into());
        }
        let age = self.inner.start.elapsed().saturating_sub(Duration::from_millis(last - 1));
        if age < stale { Ok(()) } else { Err(format!("no progress for {} s", age.as_secs())) }
    }

    /// Whether the database has answered lately.
    pub fn database(&self) -> Result<(), String> {
        self.check(&self.inner.database, Duration::from_secs(5))
    }

    /// Whether the broker has answered lately.
    pub fn broker(&self) -> Result<(), String> {
        self.check(&self.inner.broker, STALE)
    }

    /// Whether the relay publishes what there is, or stands by for the one that does.
    pub fn relay(&self) -> Result<(), String> {
        self.check(&self.inner.relay, STALE)
    }

    /// Whether every consumer gets on with what it has read.
    pub fn consumers(&self) -> Result<(), String> {
        self.inner.consumers.iter().try_for_each(|it| self.check(it, STALE))
    }
}
