//! Wholes beside each other, and what they are made of.

use std::fmt::Write;

use crate::{
    frame::{COLOURS, FONT, Frame, RIGHT, WIDTH, image, legend, text},
    scale::{Axis, Scale},
    text::{Escaped, number, shortened, width},
};

/// A bar for each whole, of its parts one after the other; a part has the same colour in all bars. Parts that are no
/// numbers, or not above zero, are left out.
#[derive(Debug, Clone, PartialEq)]
pub struct Bars {
    pub title: String,
    pub unit: String,
    /// From top to bottom, with the name and value of each part.
    pub bars: Vec<(String, Vec<(String, f64)>)>,
}

/// Names are bold.
const BOLD: f64 = FONT * 1.12;
const ROW: f64 = 30.0;
const BAR: f64 = 20.0;
/// The longest name of a bar, in characters.
const NAME: usize = 28;

impl Bars {
    pub(crate) fn to_svg(&self) -> String {
        let names = self.names();
        let sum =
            |parts: &[(String, f64)]| parts.iter().map(|it| it.1).filter(|it| is_drawn(*it)).sum::<f64>();
        let x = Scale::of(Axis::Linear, self.bars.iter().map(|it| sum(&it.1)));
        let left =
            self.bars.iter().map(|it| width(&shortened(&it.0, NAME), BOLD)).fold(40.0, f64::max) + 16.0;
        let mut svg = String::new();
        let swatches = names.iter().enumerate().map(|(index, it)| (fill("swatch", index), (*it).to_owned()));
        let top = legend(&mut svg, (left, WIDTH - RIGHT), 0.0, swatches) + 4.0;
        let height = ROW * self.bars.len().max(1) as f64;
        let frame = Frame { left, top, width: WIDTH - RIGHT - left, height };
        frame.rules(&mut svg, &x);
        for (index, (name, parts)) in self.bars.iter().enumerate() {
            let y = top + ROW * index as f64;
            text(&mut svg, "lane end", left - 8.0, y + 18.0, &shortened(name, NAME));
            let end = draw(&mut svg, &frame, &x, (y + (ROW - BAR) / 2.0, parts), &names);
            let told = number(sum(parts), decimals(sum(parts)));
            let wide = width(&told, FONT);
            // The longest bar ends near the edge.
            text(&mut svg, "", (end + 6.0).min(WIDTH - wide), y + 18.0, &told);
        }
        frame.x_axis(&mut svg, &x, &self.unit);
        image(&self.title, WIDTH, frame.bottom() + 38.0, &svg)
    }

    /// Of all parts, in the order in which they occur.
    fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for (name, _) in self.bars.iter().flat_map(|it| &it.1) {
            if !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
        names
    }
}

fn is_drawn(value: f64) -> bool {
    value.is_finite() && value > 0.0
}

fn fill(class: &str, index: usize) -> String {
    format!("{class} f{}", index % COLOURS)
}

fn decimals(value: f64) -> usize {
    match value {
        it if it >= 100.0 => 0,
        it if it >= 10.0 => 1,
        _ => 2,
    }
}

/// Returns where the bar ends.
fn draw(
    svg: &mut String,
    frame: &Frame,
    x: &Scale,
    (top, parts): (f64, &[(String, f64)]),
    names: &[&str],
) -> f64 {
    let mut sum = 0.0;
    for (name, value) in parts.iter().filter(|it| is_drawn(it.1)) {
        let (from, to) = (frame.x(x, sum), frame.x(x, sum + value));
        sum += value;
        let index = names.iter().position(|it| it == name).unwrap_or_default();
        let (class, wide) = (fill("part", index), to - from);
        let told = number(*value, decimals(*value));
        let _ = writeln!(
            svg,
            "<g><title>{} {told}</title><rect class=\"{class}\" x=\"{from:.1}\" y=\"{top:.1}\" width=\"{wide:.1}\" \
             height=\"{BAR}\"/>",
            Escaped(name)
        );
        if width(&told, FONT) + 6.0 <= wide {
            text(svg, "inside mid", from + wide / 2.0, top + 14.0, &told);
        }
        svg.push_str("</g>\n");
    }
    frame.x(x, sum)
}
