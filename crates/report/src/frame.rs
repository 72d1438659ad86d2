//! One coordinate system and the lines in it, as SVG.

use std::{collections::BTreeMap, fmt::Write};

use crate::{
    scale::Scale,
    text::{Escaped, width},
};

/// Colours that can be told apart; the style sheet has as many of each.
pub(crate) const COLOURS: usize = 10;
/// As wide as text columns of the page are.
pub(crate) const WIDTH: f64 = 1_160.0;
/// What is left free at the right edge.
pub(crate) const RIGHT: f64 = 16.0;
/// The size of all text in a plot.
pub(crate) const FONT: f64 = 11.0;

/// How a series gets from one point to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Shape {
    /// Straight: for what changes all the time.
    #[default]
    Line,
    /// It stays what it was until the next point: for what is counted or switched.
    Step,
}

/// Values of one thing. Where one is no number the line is broken.
#[derive(Debug, Clone, Default)]
pub struct Series {
    /// What the legend says.
    pub name: String,
    /// From left to right.
    pub points: Vec<(f64, f64)>,
    pub shape: Shape,
}

impl Series {
    /// A series of straight lines.
    pub fn line(name: impl Into<String>, points: Vec<(f64, f64)>) -> Self {
        Self { name: name.into(), points, shape: Shape::Line }
    }

    /// A series of steps.
    pub fn step(name: impl Into<String>, points: Vec<(f64, f64)>) -> Self {
        Self { name: name.into(), points, shape: Shape::Step }
    }
}

/// Where things are drawn, in pixels.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame {
    pub(crate) left: f64,
    pub(crate) top: f64,
    pub(crate) width: f64,
    pub(crate) height: f64,
}

impl Frame {
    pub(crate) fn right(&self) -> f64 {
        self.left + self.width
    }

    pub(crate) fn bottom(&self) -> f64 {
        self.top + self.height
    }

    /// How many pixels right of the image's edge.
    pub(crate) fn x(&self, scale: &Scale, value: f64) -> f64 {
        self.left + scale.at(value) * self.width
    }

    fn y(&self, scale: &Scale, value: f64) -> f64 {
        self.bottom() - scale.at(value) * self.height
    }

    /// The lines of the grid and what is written at the left edge.
    pub(crate) fn grid(&self, svg: &mut String, x: &Scale, y: &Scale) {
        self.rules(svg, x);
        for (at, label) in y.ticks((self.height / 30.0).round().max(2.0) as usize) {
            let y = self.bottom() - at * self.height;
            line(svg, "grid", (self.left, y), (self.right(), y));
            text(svg, "tick end", self.left - 6.0, y + 4.0, &label);
        }
        line(svg, "axis", (self.left, self.bottom()), (self.right(), self.bottom()));
    }

    /// The lines of the grid that go up.
    pub(crate) fn rules(&self, svg: &mut String, x: &Scale) {
        for (at, _) in x.ticks(self.x_ticks()) {
            let x = self.left + at * self.width;
            line(svg, "grid", (x, self.top), (x, self.bottom()));
        }
    }

    /// What is written below the lower edge: ticks, and further down the label.
    pub(crate) fn x_axis(&self, svg: &mut String, x: &Scale, label: &str) {
        // Ticks that would touch the one before are left out.
        let mut end = f64::NEG_INFINITY;
        for (at, tick) in x.ticks(self.x_ticks()) {
            let (x, half) = (self.left + at * self.width, width(&tick, FONT) / 2.0);
            if x - half > end {
                // The last one may not get over the edge of the image.
                let x = x.min(self.right() + RIGHT - half);
                text(svg, "tick mid", x, self.bottom() + 15.0, &tick);
                end = x + half + 4.0;
            }
        }
        text(svg, "tick mid", self.left + self.width / 2.0, self.bottom() + 31.0, label);
    }

    fn x_ticks(&self) -> usize {
        (self.width / 90.0).round().max(2.0) as usize
    }

    pub(crate) fn draw(&self, svg: &mut String, x: &Scale, y: &Scale, series: &[Series]) {
        // The first is the one that matters most, and is on top.
        for (index, it) in series.iter().enumerate().rev() {
            let path = self.path(x, y, it);
            if !path.is_empty() {
                let colour = index % COLOURS;
                let _ = writeln!(svg, "<path class=\"line s{colour}\" d=\"{path}\"/>");
            }
        }
    }

    /// At most four points a column of pixels: where the line enters and leaves it, and how far it gets up and down.
    fn path(&self, x: &Scale, y: &Scale, series: &Series) -> String {
        let mut path = String::new();
        let broken = series.points.split(|(x, y)| !(x.is_finite() && y.is_finite()));
        for points in broken.filter(|it| !it.is_empty()) {
            let mut columns: BTreeMap<i64, Vec<(f64, f64)>> = BTreeMap::new();
            for (at, value) in points {
                let (x, y) = (self.x(x, *at), self.y(y, *value));
                columns.entry(x.floor() as i64).or_default().push((x, y));
            }
            let mut last = None;
            for (x, y) in columns.into_values().flat_map(outline) {
                let _ = match (last, series.shape) {
                    (None, _) => write!(path, "M{x:.1} {y:.1}"),
                    (Some(_), Shape::Line) => write!(path, "L{x:.1} {y:.1}"),
                    (Some(_), Shape::Step) => write!(path, "H{x:.1}V{y:.1}"),
                };
                last = Some((x, y));
            }
            // A point alone is a dot: the ends of lines are round.
            if let (Some((x, _)), 1) = (last, points.len()) {
                let _ = write!(path, "H{x:.1}");
            }
        }
        path
    }
}

/// The first, the highest, the lowest and the last of these points, in their order.
fn outline(points: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    if points.len() <= 4 {
        return points;
    }
    let by_height = |a: &usize, b: &usize| points[*a].1.total_cmp(&points[*b].1);
    let all = || 0..points.len();
    let extremes = [all().min_by(by_height), all().max_by(by_height)].into_iter().flatten();
    let mut kept: Vec<usize> = extremes.chain([0, points.len() - 1]).collect();
    kept.sort_unstable();
    kept.dedup();
    kept.into_iter().map(|index| points[index]).collect()
}

/// Swatches with names from `left` on, in as many rows as it takes; returns the place below them.
pub(crate) fn legend(
    svg: &mut String,
    (left, right): (f64, f64),
    mut top: f64,
    names: impl Iterator<Item = (String, String)>,
) -> f64 {
    let mut x = left;
    for (class, name) in names {
        let wide = 22.0 + width(&name, FONT) + 14.0;
        if x + wide > right && x > left {
            (x, top) = (left, top + 16.0);
        }
        let _ = writeln!(
            svg,
            "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{:.1}\" width=\"16\" height=\"8\" rx=\"2\"/>",
            top + 3.0
        );
        text(svg, "name", x + 22.0, top + 11.0, &name);
        x += wide;
    }
    top + 18.0
}

pub(crate) fn line(svg: &mut String, class: &str, from: (f64, f64), to: (f64, f64)) {
    let ((x1, y1), (x2, y2)) = (from, to);
    let _ = writeln!(
        svg,
        "<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>"
    );
}

pub(crate) fn text(svg: &mut String, class: &str, x: f64, y: f64, text: &str) {
    let _ = writeln!(svg, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{}</text>", Escaped(text));
}

/// The image around what was drawn.
pub(crate) fn image(title: &str, width: f64, height: f64, drawn: &str) -> String {
    let title = Escaped(title);
    format!(
        "<svg viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\" aria-label=\"{title}\">\n{drawn}</svg>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scale::Axis;

    const FRAME: Frame = Frame { left: 0.0, top: 0.0, width: 100.0, height: 100.0 };

    #[track_caller]
    fn check(series: &Series, expected: &str) {
        let x = Scale::of(Axis::Seconds, [10.0].into_iter());
        let y = Scale::of(Axis::Linear, [0.0, 100.0 / 1.06].into_iter());
        assert_eq!(FRAME.path(&x, &y, series), expected);
    }

    #[test]
    fn lines_are_broken_where_there_is_no_number() {
        let points = vec![(0.0, 0.0), (1.0, 50.0), (2.0, f64::NAN), (3.0, 10.0), (4.0, 20.0)];
        check(&Series::line("", points.clone()), "M0.0 100.0L10.0 50.0M30.0 90.0L40.0 80.0");
        check(&Series::step("", points), "M0.0 100.0H10.0V50.0M30.0 90.0H40.0V80.0");
        check(&Series::line("", vec![(5.0, 50.0)]), "M50.0 50.0H50.0");
        check(&Series::line("", vec![]), "");
    }

    #[test]
    fn of_many_points_the_peaks_are_kept() {
        let mut points: Vec<(f64, f64)> = (0..100_000).map(|it| (f64::from(it) / 1e4, 1.0)).collect();
        points[54_321].1 = 90.0;
        points[54_322].1 = 0.0;
        let x = Scale::of(Axis::Seconds, [10.0].into_iter());
        let y = Scale::of(Axis::Linear, [100.0 / 1.06].into_iter());

        let path = FRAME.path(&x, &y, &Series::line("", points));

        assert!(path.len() < 10_000, "{} characters", path.len());
        assert!(path.contains("L54.3 10.0L54.3 100.0"), "{path}");
    }
}
