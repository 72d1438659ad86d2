//! What happened when: panels over one time axis, with spans above them.

mod lanes;

use std::fmt::Write;

use self::lanes::{Bar, Lanes};
use crate::{
    frame::{COLOURS, FONT, Frame, RIGHT, Series, WIDTH, image, legend, line, text},
    scale::{Axis, Scale},
    text::{Escaped, shortened, width},
};

/// Plots that share a time axis, and the spans of what was done meanwhile.
#[derive(Debug, Clone, Default)]
pub struct Timeline {
    pub title: String,
    /// Where the axis ends; later points and spans widen it.
    pub seconds: f64,
    /// From top to bottom.
    pub panels: Vec<Panel>,
    pub spans: Vec<Span>,
}

/// Series of one unit in a [`Timeline`].
#[derive(Debug, Clone, Default)]
pub struct Panel {
    pub title: String,
    pub unit: String,
    pub series: Vec<Series>,
}

/// Something that was so for a while, or, where `from` is `to`, that happened.
#[derive(Debug, Clone, Default)]
pub struct Span {
    /// Seconds since the start.
    pub from: f64,
    pub to: f64,
    /// What it happened to: spans of a lane are drawn side by side.
    pub lane: String,
    pub label: String,
    /// What kind of thing it is: its colour.
    pub kind: String,
}

const PANEL: f64 = 120.0;
/// The size of titles in a plot, and some more as they are bold.
const BOLD: f64 = 13.0 * 1.12;
/// The longest name of a lane, in characters.
const LANE_NAME: usize = 18;

impl Timeline {
    pub(crate) fn to_svg(&self) -> String {
        let times = self.panels.iter().flat_map(|it| &it.series).flat_map(|it| &it.points).map(|it| it.0);
        let times = times.chain(self.spans.iter().map(|it| it.to)).chain([self.seconds]);
        let x = Scale::of(Axis::Seconds, times);
        let names = self.spans.iter().map(|it| width(&shortened(&it.lane, LANE_NAME), FONT));
        let left = names.fold(56.0, f64::max) + 16.0;
        let mut frame = Frame { left, top: 0.0, width: WIDTH - RIGHT - left, height: PANEL };

        let mut svg = String::new();
        let kinds = self.kinds();
        if !self.spans.is_empty() {
            let entries = kinds.iter().enumerate().map(|(index, it)| (bar_class(index), (*it).to_owned()));
            frame.top = legend(&mut svg, (left, frame.right()), 0.0, entries) + 6.0;
            frame.top = self.draw_lanes(&mut svg, &frame, &x, &kinds) + 8.0;
        }
        for panel in &self.panels {
            frame.top = panel.draw(&mut svg, frame, &x, |svg, frame| self.shade(svg, frame, &x, &kinds));
        }
        // The last panel is above, with room for the next one's title.
        let last = Frame { top: frame.top - PANEL - BETWEEN, ..frame };
        last.x_axis(&mut svg, &x, "time since the start");
        image(&self.title, WIDTH, last.bottom() + 38.0, &svg)
    }

    /// In the order in which they occur in time.
    fn kinds(&self) -> Vec<&str> {
        let mut spans: Vec<&Span> = self.spans.iter().collect();
        spans.sort_by(|a, b| a.from.total_cmp(&b.from));
        let mut kinds = Vec::new();
        for span in spans {
            if !kinds.contains(&span.kind.as_str()) {
                kinds.push(span.kind.as_str());
            }
        }
        kinds
    }

    /// Returns the place below the lanes.
    fn draw_lanes(&self, svg: &mut String, frame: &Frame, x: &Scale, kinds: &[&str]) -> f64 {
        let lanes = Lanes::of(&self.spans, frame, x);
        let height = lanes.height();
        let _ = writeln!(
            svg,
            "<rect class=\"lanes\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{height:.1}\"/>",
            frame.left, frame.top, frame.width
        );
        let below = Frame { height, ..*frame };
        below.rules(svg, x);
        for (name, top) in &lanes.names {
            let y = frame.top + top - 2.0;
            line(svg, "grid", (frame.left, y), (frame.right(), y));
            text(svg, "lane end", frame.left - 8.0, frame.top + top + 13.0, &shortened(name, LANE_NAME));
        }
        for Bar { span, label, from, to, text_at, before, top } in &lanes.bars {
            let class = bar_class(kinds.iter().position(|it| *it == span.kind).unwrap_or_default());
            let (y, wide) = (frame.top + top, to - from);
            let _ = writeln!(
                svg,
                "<g><title>{}</title><rect class=\"{class}\" x=\"{from:.1}\" y=\"{:.1}\" width=\"{wide:.1}\" \
                 height=\"14\" rx=\"2\"/>",
                Escaped(span.told()),
                y + 2.0
            );
            text(svg, if *before { "end" } else { "" }, *text_at, y + 13.0, label);
            svg.push_str("</g>\n");
        }
        frame.top + height
    }

    /// Lets the spans shine through a panel, so that one sees what coincides.
    fn shade(&self, svg: &mut String, frame: &Frame, x: &Scale, kinds: &[&str]) {
        for span in &self.spans {
            let colour = kinds.iter().position(|it| *it == span.kind).unwrap_or_default() % COLOURS;
            let (from, to) = (frame.x(x, span.from), frame.x(x, span.to));
            if to - from < 1.0 {
                line(svg, &format!("moment k{colour}"), (from, frame.top), (from, frame.bottom()));
                continue;
            }
            let _ = writeln!(
                svg,
                "<rect class=\"shade k{colour}\" x=\"{from:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\"/>",
                frame.top,
                to - from,
                frame.height
            );
        }
    }
}

/// Below a panel, before the next one's title.
const BETWEEN: f64 = 10.0;

impl Panel {
    /// Draws it below `frame.top`, its title first; returns the place below it.
    fn draw(
        &self,
        svg: &mut String,
        mut frame: Frame,
        x: &Scale,
        behind: impl Fn(&mut String, &Frame),
    ) -> f64 {
        let (title, unit) = (Escaped(&self.title), Escaped(&self.unit));
        let _ = writeln!(
            svg,
            "<text class=\"panel\" x=\"{:.1}\" y=\"{:.1}\">{title} <tspan class=\"unit\">{unit}</tspan></text>",
            frame.left,
            frame.top + 12.0
        );
        let beside = frame.left + width(&self.title, BOLD) + width(&self.unit, FONT) + 28.0;
        frame.top = legend(svg, (beside, frame.right()), frame.top, legend_of(&self.series));
        let y = Scale::of(Axis::Linear, self.series.iter().flat_map(|it| &it.points).map(|it| it.1));
        behind(svg, &frame);
        frame.grid(svg, x, &y);
        frame.draw(svg, x, &y, &self.series);
        frame.bottom() + BETWEEN
    }
}

/// Classes and names.
pub(crate) fn legend_of(series: &[Series]) -> impl Iterator<Item = (String, String)> {
    series.iter().enumerate().map(|(index, it)| (format!("swatch f{}", index % COLOURS), it.name.clone()))
}

fn bar_class(index: usize) -> String {
    format!("bar k{}", index % COLOURS)
}

impl Span {
    /// All of it, for whoever points at it.
    fn told(&self) -> String {
        let Self { from, to, lane, label, kind } = self;
        match to > from {
            true => format!("{label} ({kind}), {lane}, {from:.1} to {to:.1} s: {:.1} s", to - from),
            false => format!("{label} ({kind}), {lane}, at {from:.1} s"),
        }
    }
}
