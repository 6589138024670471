//! Charts as SVG: lines over a number, and bars for one figure of each of several subjects.
//!
//! A picture holds one chart or several that share a legend and its colours. It knows nothing of workloads; who measured
//! says what the axes are. Axes hold only marks that are asked for (`Scale::Log`: powers of ten and, over a short range,
//! twos and fives), because plotters' own marks of logarithmic axes run into each other.
#![allow(clippy::cast_possible_truncation, reason = "pixels, and marks of an axis, are few")]

use std::{ops::Range, path::Path};

use plotters::{
    chart::ChartBuilder,
    coord::{
        Shift,
        ranged1d::{DefaultFormatting, KeyPointHint, Ranged},
    },
    element::{Circle, PathElement, Rectangle, Text},
    prelude::{DrawingArea, IntoDrawingArea, IntoTextStyle, LineSeries, SVGBackend},
    style::{
        BLACK, Color, RGBColor, ShapeStyle, TextStyle, WHITE,
        text_anchor::{HPos, Pos, VPos},
    },
};

use crate::drive::Failure;

/// How a number becomes a length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scale {
    Linear,
    /// Only what is above zero has a place on it; other points are left out.
    Log,
}

/// What runs along one side of a chart.
#[derive(Debug, Clone)]
pub(crate) struct Axis {
    /// What is counted, and its unit.
    pub(crate) title: String,
    pub(crate) scale: Scale,
}

/// A line through its points, which are in the order of x.
#[derive(Debug, Clone)]
pub(crate) struct Series {
    /// Series of one name have one colour in all charts of a picture, and one line in its legend.
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

/// Lines over a number. The marks of x are the values that were measured, apart from those that have no room.
#[derive(Debug, Clone)]
pub(crate) struct LineChart {
    pub(crate) title: String,
    pub(crate) x: Axis,
    pub(crate) y: Axis,
    pub(crate) series: Vec<Series>,
}

/// One figure each of several subjects, on a logarithmic scale: how far apart they are counts, not where zero is.
#[derive(Debug, Clone)]
pub(crate) struct BarChart {
    /// With the unit.
    pub(crate) title: String,
    pub(crate) bars: Vec<(String, f64)>,
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

const LINE_CHART: (u32, u32) = (520, 380);
const BAR_WIDTH: u32 = 410;
const BAR_HEIGHT: u32 = 19;
/// Of the names before bars.
const NAME_WIDTH: i32 = 80;
/// Of the figures behind bars.
const FIGURE_WIDTH: i32 = 62;
const TITLE_HEIGHT: u32 = 44;
const LEGEND_WIDTH: u32 = 150;
const FONT: &str = "sans-serif";
const GREY: RGBColor = RGBColor(110, 110, 110);
const FAINT: RGBColor = RGBColor(226, 226, 226);
/// Colours that people who see few of them tell apart too (Paul Tol's "muted" and "bright"); the first is for what the
/// picture is about.
const COLOURS: [RGBColor; 10] = [
    RGBColor(204, 51, 17),
    RGBColor(68, 119, 170),
    RGBColor(102, 204, 238),
    RGBColor(34, 136, 51),
    RGBColor(238, 170, 51),
    RGBColor(136, 34, 85),
    RGBColor(153, 153, 51),
    RGBColor(51, 34, 136),
    RGBColor(17, 153, 153),
    RGBColor(120, 120, 120),
];

/// Writes line charts, two beside each other, with one legend.
pub(crate) fn write_lines(path: &Path, title: &str, charts: &[LineChart]) -> Result<(), Failure> {
    let mut names: Vec<&str> = Vec::new();
    for series in charts.iter().flat_map(|chart| &chart.series) {
        if !names.contains(&series.name.as_str()) {
            names.push(&series.name);
        }
    }
    let columns = charts.len().clamp(1, 2);
    let rows = charts.len().div_ceil(columns);
    let size = (columns as u32 * LINE_CHART.0 + LEGEND_WIDTH, rows as u32 * LINE_CHART.1 + TITLE_HEIGHT);
    picture(path, title, size, |body| {
        let (charts_area, legend) = body.split_horizontally(size.0 - LEGEND_WIDTH);
        for (chart, area) in charts.iter().zip(charts_area.split_evenly((rows, columns))) {
            draw_lines(&area, chart, &names)?;
        }
        draw_legend(&legend, &names)
    })
}

/// Writes bar charts, three beside each other.
pub(crate) fn write_bars(path: &Path, title: &str, charts: &[BarChart]) -> Result<(), Failure> {
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in charts.iter().flat_map(|chart| &chart.bars) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    let columns = charts.len().clamp(1, 3);
    let rows = charts.len().div_ceil(columns);
    let bars_max = charts.iter().map(|chart| chart.bars.len()).max().unwrap_or(0);
    let height = (bars_max as u32) * BAR_HEIGHT + 44;
    let size = (columns as u32 * BAR_WIDTH, rows as u32 * height + TITLE_HEIGHT);
    picture(path, title, size, |body| {
        for (chart, area) in charts.iter().zip(body.split_evenly((rows, columns))) {
            draw_bars(&area, chart, &names)?;
        }
        Ok(())
    })
}

/// White, with a title above what `draw` fills.
fn picture(
    path: &Path,
    title: &str,
    size: (u32, u32),
    draw: impl FnOnce(&Area<'_>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        root.fill(&WHITE)?;
        root.draw(&Text::new(title, (18, 14), text(20, BLACK, HPos::Left, VPos::Top)))?;
        draw(&root.split_vertically(TITLE_HEIGHT).1)?;
        root.present()?;
    }
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    Ok(std::fs::write(path, svg)?)
}

fn draw_lines(area: &Area<'_>, chart: &LineChart, names: &[&str]) -> Result<(), Failure> {
    let has_place =
        |(x, y): &(f64, f64)| chart.x.scale.place(*x).is_some() && chart.y.scale.place(*y).is_some();
    let series: Vec<(&str, Vec<(f64, f64)>)> = chart
        .series
        .iter()
        .map(|series| (series.name.as_str(), series.points.iter().copied().filter(has_place).collect()))
        .collect();
    let values = |of: fn(&(f64, f64)) -> f64| series.iter().flat_map(|(_, points)| points).map(of).collect();
    let (xs, ys): (Vec<f64>, Vec<f64>) = (values(|point| point.0), values(|point| point.1));
    let x_marks = chart.x.scale.measured_marks(&xs);
    let y_marks = chart.y.scale.marks(&ys);
    let (x_places, y_places) = (chart.x.scale.places(&x_marks), chart.y.scale.places(&y_marks));
    // The last marks are not the ends of the axes, so that lines and points do not touch the frame.
    let x_range = widened(&chart.x.scale.places(&xs), &x_places);
    let y_range = widened(&chart.y.scale.places(&ys), &y_places);

    let mut builder = ChartBuilder::on(area);
    builder.margin(14).x_label_area_size(46).y_label_area_size(64);
    builder.caption(&chart.title, text(15, BLACK, HPos::Left, VPos::Top));
    let mut context = builder.build_cartesian_2d(
        Marked { range: x_range, marks: x_places },
        Marked { range: y_range, marks: y_places },
    )?;
    context
        .configure_mesh()
        .bold_line_style(FAINT)
        .light_line_style(WHITE)
        .axis_style(GREY)
        .x_desc(&chart.x.title)
        .y_desc(&chart.y.title)
        .x_label_formatter(&|place| short(chart.x.scale.value(*place)))
        .y_label_formatter(&|place| short(chart.y.scale.value(*place)))
        .label_style(text(12, GREY, HPos::Left, VPos::Top))
        .axis_desc_style(text(13, BLACK, HPos::Left, VPos::Top))
        .draw()?;
    // From the last to the first, which lies above the others.
    for (name, points) in series.iter().rev() {
        let style = style_of(names, name);
        let places =
            points.iter().filter_map(|(x, y)| Some((chart.x.scale.place(*x)?, chart.y.scale.place(*y)?)));
        let places: Vec<(f64, f64)> = places.collect();
        context.draw_series(LineSeries::new(places.iter().copied(), style))?;
        context.draw_series(places.iter().map(|place| Circle::new(*place, 3, style.filled())))?;
    }
    Ok(())
}

fn draw_legend(area: &Area<'_>, names: &[&str]) -> Result<(), Failure> {
    for (index, name) in names.iter().enumerate() {
        let y = 34 + 21 * index as i32;
        let style = style_of(names, name);
        area.draw(&PathElement::new([(4, y), (26, y)], style))?;
        area.draw(&Circle::new((15, y), 3, style.filled()))?;
        area.draw(&Text::new(*name, (33, y), text(13, BLACK, HPos::Left, VPos::Center)))?;
    }
    Ok(())
}

fn draw_bars(area: &Area<'_>, chart: &BarChart, names: &[&str]) -> Result<(), Failure> {
    let values: Vec<f64> = chart.bars.iter().map(|(_, value)| *value).collect();
    let places = Scale::Log.places(&values);
    let (low, high) = ends(&places);
    // The shortest bar is a fifth of a decade long, or a twelfth of what lies between it and the longest.
    let low = low - ((high - low) / 12.0).max(0.2);
    let room = f64::from(BAR_WIDTH as i32 - NAME_WIDTH - FIGURE_WIDTH - 24);
    area.draw(&Text::new(chart.title.as_str(), (18, 4), text(14, BLACK, HPos::Left, VPos::Top)))?;
    for (index, (name, value)) in chart.bars.iter().enumerate() {
        let top = 28 + BAR_HEIGHT as i32 * index as i32;
        let middle = top + (BAR_HEIGHT as i32 - 4) / 2;
        let name_end = 18 + NAME_WIDTH - 8;
        area.draw(&Text::new(name.as_str(), (name_end, middle), text(12, BLACK, HPos::Right, VPos::Center)))?;
        let Some(place) = Scale::Log.place(*value) else { continue };
        let end = 18 + NAME_WIDTH + ((place - low) / (high - low) * room).round() as i32;
        let style = style_of(names, name).color.filled();
        area.draw(&Rectangle::new([(18 + NAME_WIDTH, top), (end, top + BAR_HEIGHT as i32 - 4)], style))?;
        area.draw(&Text::new(short(*value), (end + 5, middle), text(12, GREY, HPos::Left, VPos::Center)))?;
    }
    Ok(())
}

/// An axis with these marks and no others.
struct Marked {
    range: Range<f64>,
    marks: Vec<f64>,
}

impl Ranged for Marked {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, place: &f64, (first, last): (i32, i32)) -> i32 {
        let share = (place - self.range.start) / (self.range.end - self.range.start);
        first + (share * f64::from(last - first)).round() as i32
    }

    fn key_points<H: KeyPointHint>(&self, _: H) -> Vec<f64> {
        self.marks.clone()
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

impl Scale {
    /// Where a value is, if it has a place.
    fn place(self, value: f64) -> Option<f64> {
        let place = match self {
            Self::Linear => value,
            Self::Log => value.log10(),
        };
        place.is_finite().then_some(place)
    }

    fn places(self, values: &[f64]) -> Vec<f64> {
        values.iter().filter_map(|value| self.place(*value)).collect()
    }

    fn value(self, place: f64) -> f64 {
        match self {
            Self::Linear => place,
            Self::Log => 10_f64.powf(place),
        }
    }

    /// Round values from just below the least of these to just above the greatest; from zero on a linear scale.
    fn marks(self, values: &[f64]) -> Vec<f64> {
        let (low, high) = ends(&self.places(values));
        match self {
            Self::Linear => {
                let step = round_step((high - low.min(0.0)) / 5.0);
                let first = (low.min(0.0) / step).floor() as i64;
                let last = (high / step).ceil() as i64;
                (first..=last).map(|count| count as f64 * step).collect()
            }
            Self::Log => {
                let multiples: &[f64] = if high - low <= 2.0 { &[1.0, 2.0, 5.0] } else { &[1.0] };
                let decades = low.floor() as i32..=high.ceil() as i32;
                let marks =
                    decades.flat_map(|decade| multiples.iter().map(move |by| by * 10_f64.powi(decade)));
                let marks: Vec<f64> = marks.collect();
                let (low, high) = (self.value(low), self.value(high));
                let first = marks.iter().rposition(|mark| *mark <= low).unwrap_or(0);
                let last = marks.iter().position(|mark| *mark >= high).unwrap_or(marks.len() - 1);
                marks[first..=last].to_vec()
            }
        }
    }

    /// These values, without those that would stand in each other's way.
    fn measured_marks(self, values: &[f64]) -> Vec<f64> {
        let mut values = values.to_vec();
        values.sort_by(f64::total_cmp);
        let (low, high) = ends(&self.places(&values));
        let apart = (high - low) / 14.0;
        let mut marks: Vec<f64> = Vec::new();
        for value in values {
            let Some(place) = self.place(value) else { continue };
            if marks.last().and_then(|last| self.place(*last)).is_none_or(|last| place - last > apart) {
                marks.push(value);
            }
        }
        marks
    }
}

/// The next of 1, 2, 5, 10, 20, … that is not below `step`.
fn round_step(step: f64) -> f64 {
    let decade = 10_f64.powf(step.max(f64::MIN_POSITIVE).log10().floor());
    let multiple = [1.0, 2.0, 5.0].into_iter().find(|multiple| multiple * decade >= step * 0.999);
    multiple.unwrap_or(10.0) * decade
}

/// The least and the greatest; apart from each other, so that they make a range.
fn ends(places: &[f64]) -> (f64, f64) {
    let low = places.iter().copied().reduce(f64::min).unwrap_or(0.0);
    let high = places.iter().copied().reduce(f64::max).unwrap_or(1.0);
    if high - low > f64::EPSILON { (low, high) } else { (low - 0.5, low + 0.5) }
}

fn widened(values: &[f64], marks: &[f64]) -> Range<f64> {
    let (low, high) = ends(&[values, marks].concat());
    let by = (high - low) * 0.03;
    low - by..high + by
}

fn style_of(names: &[&str], name: &str) -> ShapeStyle {
    let index = names.iter().position(|known| *known == name).unwrap_or(0);
    let width = if index == 0 { 3 } else { 2 };
    ShapeStyle { color: COLOURS[index % COLOURS.len()].to_rgba(), filled: false, stroke_width: width }
}

fn text(size: u32, colour: RGBColor, horizontal: HPos, vertical: VPos) -> TextStyle<'static> {
    (FONT, size)
        .with_color(colour)
        .with_anchor::<RGBColor>(Pos::new(horizontal, vertical))
        .into_text_style(&(0, 0))
}

/// Three digits and a letter: 1.53 M, 12.3 k, 0.05.
pub(crate) fn short(value: f64) -> String {
    let (scaled, unit) = match value.abs() {
        large if large >= 999_500.0 => (value / 1e6, " M"),
        large if large >= 9_995.0 => (value / 1e3, " k"),
        _ => (value, ""),
    };
    let digits = match scaled.abs() {
        large if large >= 99.95 => 0,
        middle if middle >= 9.995 => 1,
        _ => 2,
    };
    let text = format!("{scaled:.digits$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text}{unit}")
}

#[cfg(test)]
mod tests;
