use super::{Axis, BarChart, LineChart, Scale, Series, short, write_bars, write_lines};

fn check_marks(scale: Scale, values: &[f64], expected: &[f64]) {
    let marks = scale.marks(values);
    let is_close = |(mark, expected): (&f64, &f64)| (mark - expected).abs() <= expected.abs() * 1e-9;
    assert!(
        marks.len() == expected.len() && marks.iter().zip(expected).all(is_close),
        "{marks:?} instead of {expected:?}"
    );
}

#[test]
fn marks_are_round_and_enclose_the_values() {
    check_marks(Scale::Linear, &[3.0, 9.1], &[0.0, 2.0, 4.0, 6.0, 8.0, 10.0]);
    check_marks(Scale::Log, &[30.0, 450.0], &[20.0, 50.0, 100.0, 200.0, 500.0]);
    check_marks(Scale::Log, &[3.0, 45_000.0], &[1.0, 10.0, 100.0, 1e3, 1e4, 1e5]);
}

#[test]
fn one_value_and_none_still_make_an_axis() {
    for scale in [Scale::Linear, Scale::Log] {
        assert!(scale.marks(&[5.0]).len() > 1);
        assert!(scale.marks(&[]).len() > 1);
        assert!(scale.marks(&[0.0, 0.0]).len() > 1);
    }
}

#[test]
fn measured_marks_keep_apart() {
    let powers: Vec<f64> = (0..=10).map(|power| f64::from(1 << power)).collect();
    assert_eq!(Scale::Log.measured_marks(&powers), powers);
    assert_eq!(Scale::Linear.measured_marks(&[1.0, 2.0, 16.0, 512.0, 1_024.0]), [1.0, 512.0, 1_024.0]);
}

#[test]
fn figures_are_short() {
    let pairs =
        [(0.0, "0"), (0.046, "0.05"), (7.5, "7.5"), (12.34, "12.3"), (100.0, "100"), (9_990.0, "9990")];
    let large = [(10_000.0, "10 k"), (838_158.0, "838 k"), (1_143_296.0, "1.14 M"), (48_848_663.0, "48.8 M")];
    for (value, expected) in pairs.into_iter().chain(large) {
        assert_eq!(short(value), expected);
    }
}

#[test]
fn pictures_hold_titles_names_and_figures() {
    let folder = std::env::temp_dir().join(format!("plots-{}", std::process::id()));
    let axis = |title: &str| Axis { title: title.into(), scale: Scale::Log };
    let series = Series { name: "ours".into(), points: vec![(1.0, 10.0), (1_024.0, 0.0), (2_048.0, 90.0)] };
    let chart = LineChart { title: "panel".into(), x: axis("across"), y: axis("up"), series: vec![series] };
    write_lines(&folder.join("lines.svg"), "the picture", &[chart]).expect("a writable folder");
    let bars =
        BarChart { title: "bars, us".into(), bars: vec![("ours".into(), 12.0), ("theirs".into(), 34.0)] };
    write_bars(&folder.join("bars.svg"), "the bars", &[bars]).expect("a writable folder");
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).expect("just written");
    for expected in ["the picture", "panel", "across", "up", "ours", "2048"] {
        assert!(read("lines.svg").contains(expected), "{expected}");
    }
    for expected in ["the bars", "bars, us", "ours", "theirs", "34"] {
        assert!(read("bars.svg").contains(expected), "{expected}");
    }
    std::fs::remove_dir_all(folder).expect("ours");
}
