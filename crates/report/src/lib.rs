//! Pages of text, tables and plots: what a run or a measurement has come to, to be read in any browser and to be kept.
//!
//! A [`Page`] is one file: style and plots are in it, it loads nothing and runs nothing, and is light or dark as its
//! reader likes. Plots are SVG of our own, so that the style sheet colours them and labels know of each other.
//!
//! Invariants:
//! - All text is text, whoever wrote it: a label may come out of a message or of an error.
//! - A plot has a bounded size, however many points it is of; peaks stay.
//!
//! Absent on purpose: what the figures mean. Faults, orders and benchmarks are words of those who use this.

mod bars;
mod frame;
mod plot;
mod scale;
mod text;
mod timeline;

use std::fmt::{Display, Write};

use self::text::Escaped;
pub use self::{
    bars::Bars,
    frame::{Series, Shape},
    plot::Plot,
    scale::Axis,
    timeline::{Panel, Span, Timeline},
};

/// A page, from top to bottom.
#[derive(Debug, Clone)]
pub struct Page {
    title: String,
    body: String,
}

impl Page {
    /// A page that begins with its title.
    pub fn new(title: impl Into<String>) -> Self {
        let title = title.into();
        let body = format!("<h1>{}</h1>\n", Escaped(&title));
        Self { title, body }
    }

    /// A paragraph; lines stay lines.
    pub fn text(self, text: impl Display) -> Self {
        self.with(format_args!("<p>{}</p>\n", Escaped(text)))
    }

    /// A heading.
    pub fn section(self, title: impl Display) -> Self {
        self.with(format_args!("<h2>{}</h2>\n", Escaped(title)))
    }

    /// What it all comes to, in a word, whether that is good, and why.
    pub fn verdict<T: Display>(
        self,
        word: impl Display,
        good: bool,
        reasons: impl IntoIterator<Item = T>,
    ) -> Self {
        let (class, word) = (if good { "passed" } else { "failed" }, Escaped(word));
        let items = reasons.into_iter().map(|it| format!("<li>{}</li>", Escaped(it)));
        let list = items.collect::<String>();
        let list = if list.is_empty() { list } else { format!("<ul>{list}</ul>") };
        self.with(format_args!("<div class=\"verdict {class}\"><strong>{word}</strong>{list}</div>\n"))
    }

    /// A table; columns of numbers are aligned to the right.
    pub fn table<T: Display>(
        mut self,
        headers: &[&str],
        rows: impl IntoIterator<Item = impl IntoIterator<Item = T>>,
    ) -> Self {
        let cells = |row: &mut dyn Iterator<Item = T>| row.map(|it| it.to_string()).collect::<Vec<_>>();
        let rows: Vec<Vec<String>> = rows.into_iter().map(|row| cells(&mut row.into_iter())).collect();
        let numeric = |column: usize| {
            let mut column =
                rows.iter().filter_map(|row| row.get(column)).filter(|it| !it.is_empty()).peekable();
            column.peek().is_some() && column.all(|it| is_number(it))
        };
        let class: Vec<&str> =
            (0..headers.len()).map(|it| if numeric(it) { " class=\"number\"" } else { "" }).collect();
        let class = |column: usize| class.get(column).copied().unwrap_or_default();
        self.body.push_str("<div class=\"scroll\"><table><tr>");
        for (column, header) in headers.iter().enumerate() {
            self = self.with(format_args!("<th{}>{}</th>", class(column), Escaped(header)));
        }
        for row in &rows {
            self.body.push_str("</tr>\n<tr>");
            for (column, cell) in row.iter().enumerate() {
                self = self.with(format_args!("<td{}>{}</td>", class(column), Escaped(cell)));
            }
        }
        self.with(format_args!("</tr></table></div>\n"))
    }

    /// A timeline under its title.
    pub fn timeline(self, timeline: &Timeline) -> Self {
        self.figure(&timeline.title, &timeline.to_svg())
    }

    /// Bars under their title.
    pub fn bars(self, bars: &Bars) -> Self {
        self.figure(&bars.title, &bars.to_svg())
    }

    /// A plot under its title.
    pub fn plot(self, plot: &Plot) -> Self {
        self.figure(&plot.title, &plot.to_svg())
    }

    fn figure(self, title: &str, svg: &str) -> Self {
        self.with(format_args!("<figure><figcaption>{}</figcaption>\n{svg}</figure>\n", Escaped(title)))
    }

    fn with(mut self, html: std::fmt::Arguments<'_>) -> Self {
        let written = self.body.write_fmt(html);
        debug_assert!(written.is_ok(), "a string takes all that is written to it");
        self
    }

    /// The file's content.
    pub fn to_html(&self) -> String {
        let (title, style, body) = (Escaped(&self.title), include_str!("style.css"), &self.body);
        format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n\
             <style>\n{style}</style>\n</head>\n<body>\n{body}</body>\n</html>\n"
        )
    }
}

/// Whether a cell begins with a digit, after a sign: also with its unit, `12.5 ms` and `-3 %`.
fn is_number(cell: &str) -> bool {
    let digits = cell.trim_start_matches(['-', '+', '−', '<', '≤', '~', ' ']);
    let words = cell.split(' ').count();
    digits.starts_with(|it: char| it.is_ascii_digit()) && words <= 2
}
