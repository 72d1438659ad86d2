//! Text on its way into a page.

use std::fmt::{self, Display, Write};

/// Text in HTML, whoever wrote it: nothing in it is markup, nor ends an attribute.
pub(crate) struct Escaped<T>(pub(crate) T);

impl<T: Display> Display for Escaped<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaping(f), "{}", self.0)
    }
}

struct Escaping<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for char in text.chars() {
            match char {
                '&' => self.0.write_str("&amp;")?,
                '<' => self.0.write_str("&lt;")?,
                '>' => self.0.write_str("&gt;")?,
                '"' => self.0.write_str("&quot;")?,
                '\'' => self.0.write_str("&#39;")?,
                // No parser takes these as they are, and terminals act on them when the source is shown.
                it if it.is_control() && !matches!(it, '\n' | '\t') => self.0.write_char('\u{fffd}')?,
                it => self.0.write_char(it)?,
            }
        }
        Ok(())
    }
}

/// About how wide a text is in a proportional font of this size: as wide as in the widest of the usual ones, so that
/// labels do not touch.
pub(crate) fn width(text: &str, size: f64) -> f64 {
    let em = |char: char| match char {
        'i' | 'j' | 'l' | 'f' | 't' | 'r' | 'I' | ' ' | '.' | ',' | ':' | ';' | '!' | '|' | '(' | ')'
        | '\'' => 0.41,
        'm' | 'w' | 'M' | 'W' | '@' | '%' => 0.97,
        'A'..='Z' => 0.74,
        it if it.is_ascii() => 0.63,
        _ => 1.0,
    };
    text.chars().map(em).sum::<f64>() * size
}

/// The beginning of a text that is longer than `most` characters.
pub(crate) fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some(_) => text.chars().take(most.saturating_sub(1)).chain(['…']).collect(),
    }
}

/// With commas between the thousands: `12,345.6`.
pub(crate) fn number(value: f64, decimals: usize) -> String {
    let text = format!("{:.decimals$}", value.abs());
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let negative = value < 0.0 && text.bytes().any(|it| (b'1'..=b'9').contains(&it));
    let mut grouped = String::from(if negative { "-" } else { "" });
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_text() {
        let hostile = "<script>alert(\"x\")</script> & 'y'\u{0}\u{1b}[2J";
        assert_eq!(
            Escaped(hostile).to_string(),
            "&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt; &amp; &#39;y&#39;\u{fffd}\u{fffd}[2J"
        );
    }

    #[test]
    fn thousands_are_grouped() {
        let check = |value, decimals, expected: &str| assert_eq!(number(value, decimals), expected);
        check(0.0, 0, "0");
        check(-0.001, 1, "0.0");
        check(999.5, 1, "999.5");
        check(1_000.0, 0, "1,000");
        check(-1_234_567.25, 2, "-1,234,567.25");
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        assert_eq!(shortened("kürzer", 6), "kürzer");
        assert_eq!(shortened("länger als das", 6), "länge…");
    }
}
