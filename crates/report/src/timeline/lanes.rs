//! Where the bars of spans and their labels go, so that none covers another.

use crate::{
    frame::{FONT, Frame},
    scale::Scale,
    text::{shortened, width},
    timeline::Span,
};

const ROW: f64 = 18.0;
/// Between lanes.
const GAP: f64 = 6.0;
/// Between what stands side by side.
const SPACE: f64 = 6.0;
/// The longest label, in characters; the rest is told to whoever points at it.
const LABEL: usize = 60;

pub(super) struct Lanes<'a> {
    /// Each with the place of its first row.
    pub(super) names: Vec<(&'a str, f64)>,
    pub(super) bars: Vec<Bar<'a>>,
    rows: usize,
}

pub(super) struct Bar<'a> {
    pub(super) span: &'a Span,
    pub(super) label: String,
    /// Where the bar is.
    pub(super) from: f64,
    pub(super) to: f64,
    /// Where the label begins; or ends, where it is `before` the bar.
    pub(super) text_at: f64,
    pub(super) before: bool,
    /// The place of its row below that of the lanes.
    pub(super) top: f64,
}

impl<'a> Lanes<'a> {
    /// Lanes in the order of their first span; in each, a span goes to the first row that has room for it.
    pub(super) fn of(spans: &'a [Span], frame: &Frame, x: &Scale) -> Self {
        let mut sorted: Vec<&Span> = spans.iter().collect();
        sorted.sort_by(|a, b| a.from.total_cmp(&b.from));
        let mut lanes = Self { names: Vec::new(), bars: Vec::new(), rows: 0 };
        let mut names: Vec<&str> = Vec::new();
        for span in &sorted {
            if !names.contains(&span.lane.as_str()) {
                names.push(&span.lane);
            }
        }
        for name in names {
            let first = lanes.top();
            lanes.names.push((name, first));
            // How far each row is taken.
            let mut rows: Vec<f64> = Vec::new();
            for span in sorted.iter().filter(|it| it.lane == name) {
                let mut bar = Bar::of(span, frame, x);
                let (from, to) = bar.extent();
                let row = rows.iter().position(|taken| from >= taken + SPACE).unwrap_or(rows.len());
                if row == rows.len() {
                    rows.push(to);
                }
                rows[row] = to;
                bar.top = first + row as f64 * ROW;
                lanes.bars.push(bar);
            }
            lanes.rows += rows.len();
        }
        lanes
    }

    /// Below all rows that there are.
    fn top(&self) -> f64 {
        self.rows as f64 * ROW + self.names.len() as f64 * GAP
    }

    pub(super) fn height(&self) -> f64 {
        self.top()
    }
}

impl<'a> Bar<'a> {
    /// The label is in the bar if there is room, else after it, else before it.
    fn of(span: &'a Span, frame: &Frame, x: &Scale) -> Self {
        let label = shortened(&span.label, LABEL);
        let (from, to) = (frame.x(x, span.from), frame.x(x, span.to.max(span.from)));
        let (wide, end) = (width(&label, FONT), to.max(from + 3.0));
        let (text_at, before) = match () {
            () if end - from >= wide + 8.0 => (from + 4.0, false),
            () if end + 4.0 + wide <= frame.right() => (end + 4.0, false),
            () if from - 4.0 - wide >= frame.left => (from - 4.0, true),
            // As wide as all of it: over the bar.
            () => (frame.left, false),
        };
        Self { span, label, from, to: end, text_at, before, top: 0.0 }
    }

    /// What it takes of its row, with the label.
    fn extent(&self) -> (f64, f64) {
        let wide = width(&self.label, FONT);
        let text = if self.before { self.text_at - wide } else { self.text_at };
        (self.from.min(text), self.to.max(text + wide))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scale::Axis;

    #[test]
    fn no_label_covers_a_bar_or_another_label() {
        let frame = Frame { left: 80.0, top: 0.0, width: 1_000.0, height: 100.0 };
        for seed in 0..200 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let x = Scale::of(Axis::Seconds, [300.0].into_iter());
            let span = |rng: &mut fastrand::Rng| {
                let from = rng.f64() * 300.0;
                let to = (from + [0.0, 2.0, 60.0][rng.usize(0..3)]).min(300.0);
                let label = "kill -9 of somebody's relay in the middle of a batch";
                let label = label.chars().take(rng.usize(1..60)).collect();
                Span { from, to, lane: rng.u8(0..5).to_string(), label, kind: "kill".into() }
            };
            let spans: Vec<Span> = (0..60).map(|_| span(&mut rng)).collect();

            let lanes = Lanes::of(&spans, &frame, &x);

            assert_eq!((lanes.bars.len(), lanes.names.len()), (60, 5), "seed {seed}");
            for (index, one) in lanes.bars.iter().enumerate() {
                let (from, to) = one.extent();
                assert!(from >= frame.left && to <= frame.right() + 3.0, "seed {seed}: {from} to {to}");
                assert!(one.top + ROW <= lanes.height(), "seed {seed}");
                for other in &lanes.bars[..index] {
                    let apart = one.extent().0 >= other.extent().1 || other.extent().0 >= one.extent().1;
                    assert!(apart || one.top != other.top, "seed {seed}: {} on {}", one.label, other.label);
                }
            }
        }
    }
}
