//! What goes to standard output. A reader that has gone (`waybill topics list | head`) ends nothing but itself.

use std::{
    fs,
    io::{BufRead, ErrorKind, Write, stderr, stdout},
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::Context;
use serde::Serialize;

use crate::exit::Misused;

/// `println!`, but a closed pipe is no panic.
macro_rules! say {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stdout(), $($text)*);
    }};
}
pub(crate) use say;

/// Asks on standard error, so that it is seen whatever becomes of the output.
pub(crate) fn agreed(question: &str) -> anyhow::Result<bool> {
    eprint!("{question} [y/N] ");
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// One line of JSON.
pub(crate) fn say_json(value: &impl Serialize) -> anyhow::Result<()> {
    say!("{}", serde_json::to_string(value)?);
    Ok(())
}

/// An error with its causes, each once: there are libraries that put the cause's text into their own.
pub(crate) fn told(error: &anyhow::Error) -> String {
    let mut told: Vec<String> = Vec::new();
    for text in error.chain().map(ToString::to_string) {
        if told.last().is_none_or(|it| !it.ends_with(&text)) {
            told.push(text);
        }
    }
    told.join(": ")
}

/// Before long work: that its reports can be written is known at once, and not after all is done.
pub(crate) fn writable(json: Option<&Path>, html: Option<&Path>) -> Result<(), Misused> {
    if let (Some(json), Some(html)) = (json, html)
        && location(json).is_some_and(|it| location(html) == Some(it))
    {
        let text = "--json and --html need a file each, and the second report would overwrite the first";
        return Err(Misused(format!("{text}: {}", html.display())));
    }
    if html.is_some_and(is_stdout) {
        return Err(Misused("--html cannot go to standard output: name a file".to_owned()));
    }
    for file in [json, html].into_iter().flatten().filter(|it| !is_stdout(it)) {
        // A report that is there stays until there is another, and where none is, none is left if there is none to come.
        let is_there = file.exists();
        let opened = fs::OpenOptions::new().create(true).append(true).open(file);
        // Of a link to nothing what it leads to is removed, and the link stays.
        let remove = || fs::remove_file(fs::canonicalize(file)?);
        let removed = opened.and_then(|_| if is_there { Ok(()) } else { remove() });
        removed.map_err(|error| Misused(format!("writing {}: {error}", file.display())))?;
    }
    Ok(())
}

/// `-`, as a report's file.
pub(crate) fn is_stdout(file: &Path) -> bool {
    file.as_os_str() == bench::output::STDOUT
}

/// Where a file is, or will be, however it is spelt; `None` where none can be.
fn location(file: &Path) -> Option<PathBuf> {
    fs::canonicalize(file).ok().or_else(|| {
        let dir = std::path::absolute(file).ok()?.parent()?.canonicalize().ok()?;
        Some(dir.join(file.file_name()?))
    })
}

/// A report, where one is wanted.
pub(crate) fn write(
    file: Option<&Path>,
    content: impl FnOnce() -> anyhow::Result<String>,
) -> anyhow::Result<()> {
    let Some(file) = file else { return Ok(()) };
    if is_stdout(file) {
        return match writeln!(stdout(), "{}", content()?) {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                Err(error).context("writing to standard output")
            }
            _ => Ok(()),
        };
    }
    fs::write(file, content()?).with_context(|| format!("writing {}", file.display()))
}

/// Lines about what has been done so far, each with the time since the beginning.
pub(crate) struct Steps {
    begun: Instant,
    /// On standard error: a report goes to standard output.
    aside: bool,
}

impl Steps {
    pub(crate) fn begin() -> Self {
        Self { begun: Instant::now(), aside: false }
    }

    /// On standard error, if standard output is where a report goes.
    pub(crate) fn beside(report: Option<&Path>) -> Self {
        Self { aside: report.is_some_and(is_stdout), ..Self::begin() }
    }

    pub(crate) fn done(&self, name: &str, what: impl std::fmt::Display) {
        let line = format!("{:>6.1} s  {name:<10} {what}", self.seconds());
        if self.aside {
            // As `say!`: a reader that has gone is no panic.
            let _ = writeln!(stderr(), "{line}");
        } else {
            say!("{line}");
        }
    }

    pub(crate) fn seconds(&self) -> f64 {
        self.begun.elapsed().as_secs_f64()
    }
}

/// Rows as aligned columns; the first row is the heading. The last column is not padded.
pub(crate) fn table(rows: &[Vec<String>]) {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|it: &String| it.chars().count()).max()
    };
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        say!("{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Error, ErrorKind};

    use super::*;

    #[test]
    fn a_cause_is_told_once() {
        let refused = || sqlx::Error::Io(Error::from(ErrorKind::ConnectionRefused));
        let error = anyhow::Error::new(refused()).context("looking").context("auditing");
        assert!(format!("{error:#}").matches("connection refused").count() == 2, "there is nothing to mend");
        assert_eq!(told(&error), "auditing: looking: error communicating with database: connection refused");
    }
}
