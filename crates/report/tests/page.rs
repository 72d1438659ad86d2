//! What whole pages are made of.

use report::{Axis, Bars, Page, Panel, Plot, Series, Span, Timeline};

const HOSTILE: &str = "<script>alert('\"&')</script>";

/// A page on which every text is `text`.
fn page_of(text: &str) -> String {
    let series = || vec![Series::line(text, vec![(0.0, 1.0), (1.0, 2.0)])];
    let span = |from, to| Span { from, to, lane: text.into(), label: text.into(), kind: text.into() };
    let panel = Panel { title: text.into(), unit: text.into(), series: series() };
    let timeline = Timeline {
        title: text.into(),
        seconds: 9.0,
        panels: vec![panel],
        spans: vec![span(0.0, 9.0), span(5.0, 5.0)],
    };
    let axis = || (Axis::Linear, text.to_owned());
    Page::new(text)
        .text(text)
        .verdict(text, false, [text])
        .section(text)
        .table(&[text], [[text]])
        .timeline(&timeline)
        .bars(&Bars {
            title: text.into(),
            unit: text.into(),
            bars: vec![(text.into(), vec![(text.into(), 1.0)])],
        })
        .plot(&Plot { title: text.into(), x: axis(), y: axis(), series: series() })
        .plot(&Plot::percentiles(text, text, series()))
        .to_html()
}

#[test]
fn no_text_becomes_markup() {
    let (plain, hostile) = (page_of("x"), page_of(HOSTILE));

    assert!(!hostile.contains("<script"));
    let tags = |html: &str| html.matches('<').count();
    assert_eq!(tags(&hostile), tags(&plain), "as many tags as without it");
    let quotes = |html: &str| html.matches('"').count();
    assert_eq!(quotes(&hostile), quotes(&plain), "no attribute ends early");
    // Labels are cut, so that it is not everywhere whole.
    assert!(hostile.matches("&lt;script&gt;alert(&#39;&quot;&amp;&#39;)&lt;/script&gt;").count() > 10);
}

#[test]
fn a_page_loads_nothing() {
    let html = page_of("x");
    for reference in ["http", "src=", "href", "url(", "@import", "<script", "<link"] {
        assert!(!html.contains(reference), "{reference}");
    }
}

#[test]
fn columns_of_numbers_are_aligned() {
    let html =
        Page::new("x").table(&["law", "count", "took"], [["a", "1,204", "3 ms"], ["2 b", "", "-"]]).to_html();

    assert!(html.contains("<th>law</th><th class=\"number\">count</th><th>took</th>"), "{html}");
    assert!(html.contains("<td>2 b</td><td class=\"number\"></td><td>-</td></tr></table>"), "{html}");
}

#[test]
fn a_verdict_says_whether_and_why() {
    let passed = Page::new("x").verdict("Passed", true, ["all is well"]).to_html();
    assert!(
        passed.contains("<div class=\"verdict passed\"><strong>Passed</strong><ul><li>all is well</li></ul>")
    );
    let failed = Page::new("x").verdict("Failed", false, [] as [&str; 0]).to_html();
    assert!(failed.contains("<div class=\"verdict failed\"><strong>Failed</strong></div>"));
}

#[test]
fn what_has_no_data_is_an_empty_plot() {
    let plot = Plot::percentiles("nothing", "ms", vec![Series::line("none", vec![(f64::NAN, f64::NAN)])]);
    let bars = Bars { title: String::new(), unit: String::new(), bars: vec![] };
    let html = Page::new("x").timeline(&Timeline::default()).plot(&plot).bars(&bars).to_html();
    assert_eq!(html.matches("<svg").count(), 3);
    assert!(!html.contains("NaN") && !html.contains("inf"), "{html}");
}

#[test]
fn a_part_has_its_colour_and_its_share_in_every_bar() {
    let part = |name: &str, value| (name.to_owned(), value);
    let bars = vec![
        ("one".to_owned(), vec![part("a", 30.0), part("b", 10.0)]),
        ("two".to_owned(), vec![part("b", 20.0), part("none", 0.0), part("odd", f64::NAN)]),
    ];
    let html = Page::new("x").bars(&Bars { title: "t".into(), unit: "ms".into(), bars }).to_html();
    let widths = |class: &str| -> Vec<f64> {
        let rects = html.split("<rect class=\"").filter_map(|it| it.strip_prefix(class));
        let widths = rects.filter_map(|it| it.split("width=\"").nth(1)?.split('"').next()?.parse().ok());
        widths.collect()
    };
    let (a, b) = (widths("part f0\""), widths("part f1\""));
    assert_eq!((a.len(), b.len()), (1, 2), "{html}");
    assert!((a[0] - 3.0 * b[0]).abs() < 0.5 && (b[1] - 2.0 * b[0]).abs() < 0.5, "{a:?} {b:?}");
    assert_eq!(html.matches("class=\"part").count(), 3, "what is nothing is not drawn");
    assert!(!html.contains("NaN"), "{html}");
}

#[test]
fn a_timeline_is_as_long_as_the_last_of_what_it_shows() {
    let span = Span { from: 10.0, to: 50.0, lane: "order".into(), ..Span::default() };
    let panel = Panel { series: vec![Series::line("a", vec![(0.0, 1.0), (40.0, 1.0)])], ..Panel::default() };
    let timeline = Timeline { seconds: 30.0, panels: vec![panel], spans: vec![span], ..Timeline::default() };
    let html = Page::new("x").timeline(&timeline).to_html();
    assert!(html.contains(">50 s</text>") && !html.contains(">60 s</text>"), "{html}");
}
