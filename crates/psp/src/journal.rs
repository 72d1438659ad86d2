//! The append-only file that everything is rebuilt from: one JSON record a line.
//!
//! A record is handed to the kernel before its effect can be seen, so a killed process loses nothing that it answered.
//! Nothing is synced to the disk: this is a stand-in for development, a power failure may cost the last records.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{BufRead, BufReader, Seek, SeekFrom, Write},
    path::Path,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    intent::{Change, Refusal, Terms},
    token::Decline,
};

/// How long a new process takes at the most to let go of what it has inherited.
const BECOMING: Duration = Duration::from_secs(1);

/// One request that was carried out or refused, with what is needed to answer it again.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) at: OffsetDateTime,
    pub(crate) idempotency_key: Option<Arc<str>>,
    /// Tells a repeated request from another one under the same key.
    pub(crate) fingerprint: Uuid,
    pub(crate) payment_intent: Arc<str>,
    pub(crate) outcome: Outcome,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    Opened { terms: Terms, declined: Option<Decline> },
    Changed(Change),
    Refused(Refusal),
}

/// Where records go: a file, or nowhere.
pub(crate) struct Journal {
    file: Option<File>,
    /// How far the file holds whole records.
    length: u64,
    broken: bool,
}

impl Journal {
    pub(crate) fn in_memory() -> Self {
        Self { file: None, length: 0, broken: false }
    }

    /// Hands every record of the file to `apply`, cuts off a torn last line, and is ready to append.
    ///
    /// A process that was killed in mid-write leaves at most a last line without its end; anything else that does not
    /// parse is damage that must not be guessed over.
    pub(crate) fn open(
        path: &Path,
        mut apply: impl FnMut(Record) -> anyhow::Result<()>,
    ) -> anyhow::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(path)
            .with_context(|| format!("LEDGER_FILE {} cannot be opened", path.display()))?;
        // An owner that has ended may have been starting another process: that one holds the lock too, until it has
        // become the program that it is to be.
        let begun = Instant::now();
        while let Err(held) = file.try_lock() {
            match held {
                TryLockError::Error(error) => return Err(error).context("locking LEDGER_FILE"),
                TryLockError::WouldBlock if begun.elapsed() > BECOMING => {
                    bail!("LEDGER_FILE {} is in use by another process", path.display())
                }
                TryLockError::WouldBlock => thread::sleep(Duration::from_millis(10)),
            }
        }
        let length = replay(&file, &mut apply)
            .with_context(|| format!("LEDGER_FILE {} cannot be read back", path.display()))?;
        let mut journal = Self { file: Some(file), length, broken: false };
        journal.cut_tail().context("cutting the torn last line of LEDGER_FILE")?;
        Ok(journal)
    }

    /// Returns once the record would survive a kill of this process. After an error the record is not in the file.
    pub(crate) fn append(&mut self, record: &Record) -> anyhow::Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        if self.broken {
            bail!("the journal holds half a record since an earlier error");
        }
        let mut line = serde_json::to_vec(record).context("writing a record as JSON")?;
        line.push(b'\n');
        if let Err(error) = file.write_all(&line) {
            // Half a line in mid-file would make the whole file unreadable.
            self.broken = self.cut_tail().is_err();
            return Err(error).context("appending to the journal");
        }
        self.length += line.len() as u64;
        Ok(())
    }

    /// Whether payments can still be written down.
    pub(crate) fn is_sound(&self) -> bool {
        !self.broken
    }

    fn cut_tail(&mut self) -> std::io::Result<()> {
        match &mut self.file {
            Some(file) if file.metadata()?.len() != self.length => {
                tracing::warn!(journal.bytes = self.length, "cut the journal back to its last whole record");
                file.set_len(self.length)
            }
            _ => Ok(()),
        }
    }
}

/// The length in bytes of all whole lines.
fn replay(file: &File, apply: &mut impl FnMut(Record) -> anyhow::Result<()>) -> anyhow::Result<u64> {
    let mut reader = BufReader::new(file);
    reader.seek(SeekFrom::Start(0))?;
    let (mut length, mut line, mut number) = (0, Vec::new(), 0u64);
    while reader.read_until(b'\n', &mut line)? > 0 {
        number += 1;
        if line.last() != Some(&b'\n') {
            break;
        }
        let record =
            serde_json::from_slice(&line).with_context(|| format!("line {number} is not a record"))?;
        apply(record).with_context(|| format!("line {number}"))?;
        length += line.len() as u64;
        line.clear();
    }
    Ok(length)
}
