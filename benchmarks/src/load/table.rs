//! Figures as text: aligned columns, times with the unit that fits.

/// Rows under a head. The first column is of names, the others are of figures.
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(head: &[&str]) -> Self {
        Self { rows: vec![head.iter().map(|name| (*name).to_owned()).collect()] }
    }

    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    pub(crate) fn print(&self) {
        println!("{}", self.text());
    }

    fn text(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            self.rows
                .iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let line = |row: &Vec<String>| {
            let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| match column {
                0 => format!("{cell:<width$}"),
                _ => format!("{cell:>width$}"),
            });
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
        };
        self.rows.iter().map(line).collect()
    }
}

/// A time given in microseconds, with three digits.
pub(crate) fn time(us: f64) -> String {
    match us {
        us if us.is_nan() => "-".into(),
        us if us >= 1e6 => format!("{} s", three_digits(us / 1e6)),
        us if us >= 1e3 => format!("{} ms", three_digits(us / 1e3)),
        us => format!("{} us", three_digits(us)),
    }
}

/// A count with commas, or a small number with three digits.
pub(crate) fn number(value: f64) -> String {
    if !value.is_finite() {
        return "-".into();
    }
    if value.abs() < 1_000.0 {
        return three_digits(value);
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn three_digits(value: f64) -> String {
    match value.abs() {
        large if large >= 99.95 => format!("{value:.0}"),
        middle if middle >= 9.995 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// The one in the middle.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// A target, what was reached, and whether that meets it.
pub(crate) struct Target {
    pub(crate) what: String,
    pub(crate) reached: f64,
    pub(crate) bound: f64,
    pub(crate) is_at_most: bool,
}

impl Target {
    pub(crate) fn is_met(&self) -> bool {
        if self.is_at_most { self.reached <= self.bound } else { self.reached >= self.bound }
    }

    pub(crate) fn print(&self) {
        let Self { what, reached, bound, is_at_most } = self;
        let sign = if *is_at_most { "<=" } else { ">=" };
        let verdict = if self.is_met() { "met" } else { "missed" };
        println!("target: {what}: {reached:.2} {sign} {bound}, {verdict}");
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::json!({ "what": self.what, "reached": self.reached, "bound": self.bound, "met": self.is_met() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_of_figures_end_together() {
        let mut table = Table::new(&["who", "calls/s"]);
        table.row(vec!["alone".into(), "7".into()]);
        assert_eq!(table.text(), "who    calls/s\nalone        7\n");
    }

    #[test]
    fn figures_have_three_digits_and_thousands_commas() {
        assert_eq!(number(1_234_567.0), "1,234,567");
        assert_eq!(number(0.456), "0.46");
        assert_eq!(time(1_500.0), "1.50 ms");
        assert_eq!(time(f64::NAN), "-");
    }

    #[test]
    fn a_median_is_not_moved_by_one_bad_round() {
        assert_eq!(median(vec![900.0, 1.0, 2.0]), 2.0);
    }

    #[test]
    fn what_is_not_known_meets_no_target() {
        let target = |reached| Target { what: String::new(), reached, bound: 3.0, is_at_most: true }.is_met();
        assert!(target(3.0));
        assert!(!target(f64::NAN));
    }
}
