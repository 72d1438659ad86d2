//! One coordinate system on its own.

use crate::{
    frame::{FONT, Frame, RIGHT, Series, WIDTH, image, legend, text},
    scale::{Axis, Scale},
    text::width,
    timeline::legend_of,
};

/// Lines over any axis: what a change does to a figure, or a latency by its percentiles.
#[derive(Debug, Clone)]
pub struct Plot {
    pub title: String,
    /// How the horizontal axis is laid out, and what it is of.
    pub x: (Axis, String),
    pub y: (Axis, String),
    pub series: Vec<Series>,
}

impl Plot {
    /// A latency by its percentiles: points are quantiles (0 to 1) and values of `unit`, both axes stretched so that
    /// the tail is seen.
    pub fn percentiles(title: impl Into<String>, unit: impl Into<String>, series: Vec<Series>) -> Self {
        let x = (Axis::Quantile, "percentile".to_owned());
        Self { title: title.into(), x, y: (Axis::Log, unit.into()), series }
    }

    pub(crate) fn to_svg(&self) -> String {
        let points = || self.series.iter().flat_map(|it| &it.points);
        let x = Scale::of(self.x.0, points().map(|it| it.0));
        let y = Scale::of(self.y.0, points().map(|it| it.1));
        let mut svg = String::new();
        let ticks = y.ticks(7);
        let left = ticks.iter().map(|it| width(&it.1, FONT)).fold(40.0, f64::max) + 16.0;
        text(&mut svg, "unit", left, 12.0, &self.y.1);
        let beside = left + width(&self.y.1, FONT) + 28.0;
        let top = legend(&mut svg, (beside, WIDTH - RIGHT), 0.0, legend_of(&self.series));
        let frame = Frame { left, top, width: WIDTH - RIGHT - left, height: 280.0 };
        frame.grid(&mut svg, &x, &y);
        frame.draw(&mut svg, &x, &y, &self.series);
        frame.x_axis(&mut svg, &x, &self.x.1);
        image(&self.title, WIDTH, frame.bottom() + 38.0, &svg)
    }
}
