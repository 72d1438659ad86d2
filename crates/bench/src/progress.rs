//! What whoever follows a run is told: lines, and on a terminal a bar.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// Whoever follows a run is told a line at a time.
pub type Tell<'a> = &'a (dyn Fn(&str) + Sync);

pub(crate) struct Progress<'a> {
    tell: Tell<'a>,
    /// On standard error; of itself it draws nothing where that is no terminal.
    bar: ProgressBar,
}

impl<'a> Progress<'a> {
    pub(crate) fn new(tell: Tell<'a>) -> Self {
        let bar = ProgressBar::new(0);
        if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos} of {len} {prefix}  {msg}") {
            bar.set_style(style);
        }
        bar.finish_and_clear();
        Self { tell, bar }
    }

    pub(crate) fn tell(&self, line: &str) {
        self.bar.suspend(|| (self.tell)(line));
    }

    /// Something begins that takes so long.
    pub(crate) fn begin(&self, lasts: Duration) {
        self.begin_counting(lasts.as_secs(), "s");
    }

    /// Something begins of so many.
    pub(crate) fn begin_counting(&self, length: u64, unit: &'static str) {
        self.bar.reset();
        self.bar.set_prefix(unit);
        self.bar.set_message("");
        self.bar.set_length(length);
    }

    /// So many are done.
    pub(crate) fn counted(&self, count: u64) {
        self.bar.set_position(count);
    }

    pub(crate) fn one_more(&self) {
        self.bar.inc(1);
    }

    /// How far it is, and how it goes.
    pub(crate) fn at(&self, at: Duration, how: &str) {
        self.bar.set_message(how.to_owned());
        self.bar.set_position(at.as_secs());
    }

    pub(crate) fn end(&self) {
        self.bar.finish_and_clear();
    }
}
