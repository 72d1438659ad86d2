//! What others have written, for a terminal.

use std::fmt::Write as _;

use events::Timestamp;
use serde::de::IgnoredAny;

/// Text in which whatever steers a terminal, ends a line, turns the direction of reading or has no width is spelt out.
pub(crate) fn tame(text: &str) -> String {
    let steers = |it: char| {
        it.is_control()
            || matches!(it, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    let mut tamed = String::with_capacity(text.len());
    for it in text.chars() {
        if steers(it) { tamed.extend(it.escape_default()) } else { tamed.push(it) }
    }
    tamed
}

/// The beginning of a text, tame.
pub(super) fn short(text: &str, limit: usize) -> String {
    let tamed = tame(text);
    match tamed.char_indices().nth(limit) {
        Some((at, _)) => format!("{}…", &tamed[..at]),
        None => tamed,
    }
}

/// How long ago something was, in its largest unit.
pub(super) fn age(at: Timestamp, now: Timestamp) -> String {
    let seconds = (now - at).whole_seconds().max(0);
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// A text in lines: JSON indented, anything else as it is, and all of it tame.
pub(super) fn lines(text: &str) -> Vec<String> {
    let json = serde_json::from_str::<IgnoredAny>(text).is_ok();
    let text = if json { indented(text) } else { text.to_owned() };
    text.lines().map(tame).collect()
}

/// Valid JSON over several lines. Only white space changes: order and digits stay as they came.
fn indented(json: &str) -> String {
    let (mut out, mut depth, mut in_string, mut escaped) = (String::new(), 0_usize, false, false);
    let line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n("  ", depth));
    };
    for it in json.chars() {
        if in_string {
            out.push(it);
            (in_string, escaped) = (escaped || it != '"', !escaped && it == '\\');
            continue;
        }
        match it {
            '{' | '[' => {
                out.push(it);
                depth += 1;
                line(&mut out, depth);
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                let filled = out.trim_end().len();
                if out[..filled].ends_with(['{', '[']) {
                    out.truncate(filled)
                } else {
                    line(&mut out, depth)
                }
                out.push(it);
            }
            ',' => {
                out.push(it);
                line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            _ if it.is_ascii_whitespace() => {}
            _ => {
                in_string = it == '"';
                out.push(it);
            }
        }
    }
    out
}

/// Bytes as programmers read them, 16 to a line.
pub(super) fn dump(bytes: &[u8]) -> Vec<String> {
    let line = |(index, chunk): (usize, &[u8])| {
        let mut hex = String::new();
        for byte in chunk {
            let _ = write!(hex, "{byte:02x} ");
        }
        let shown =
            |byte: &u8| if byte.is_ascii_graphic() || *byte == b' ' { char::from(*byte) } else { '.' };
        format!("{:08x}  {hex:<48} |{}|", index * 16, chunk.iter().map(shown).collect::<String>())
    };
    bytes.chunks(16).enumerate().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_steers_the_terminal() {
        assert_eq!(tame("a\u{1b}[2J\r\nb\u{202e}c\u{9b}\u{61c}é"), r"a\u{1b}[2J\r\nb\u{202e}c\u{9b}\u{61c}é");
        assert_eq!(short("ab\u{7}cd", 6), r"ab\u{7…");
        assert_eq!(short("abc", 3), "abc");
        assert_eq!(lines("no json\n\u{1b}[0m"), ["no json", r"\u{1b}[0m"]);
        assert_eq!(lines("\"\u{9b}31m\""), ["\"\\u{9b}31m\""]);
    }

    #[test]
    fn json_is_indented_and_otherwise_left_alone() {
        let json = r#"{"z": 12345678901234567890.10, "a":[1,{}, [ ]],"s":"a,{\"b\": \\"}"#;
        let expected = "{\n  \"z\": 12345678901234567890.10,\n  \"a\": [\n    1,\n    {},\n    []\n  ],\n  \"s\": \"a,{\\\"b\\\": \\\\\"\n}";
        assert_eq!(lines(json).join("\n"), expected);
        assert_eq!(lines("7"), ["7"]);
    }

    #[test]
    fn bytes_are_dumped_in_lines_of_16() {
        let bytes: Vec<u8> = (0x1a..0x2c).collect();
        assert_eq!(
            dump(&bytes),
            [
                "00000000  1a 1b 1c 1d 1e 1f 20 21 22 23 24 25 26 27 28 29  |...... !\"#$%&'()|",
                "00000010  2a 2b                                            |*+|"
            ]
        );
    }

    #[test]
    fn an_age_has_one_unit() {
        let at = Timestamp::UNIX_EPOCH;
        let after = |seconds: u64| age(at, at + std::time::Duration::from_secs(seconds));
        assert_eq!([0, 119, 120, 7_200, 172_800].map(after), ["0 s", "119 s", "2 min", "2 h", "2 d"]);
        assert_eq!(age(at + std::time::Duration::from_secs(5), at), "0 s");
    }
}
