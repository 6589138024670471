use super::{
    median, slope,
    source::{Edit, Framework, program},
    text_bytes,
};
use std::time::Duration;

#[test]
fn the_size_of_the_code_is_found_in_what_size_prints() {
    let said = "   text\t   data\t    bss\t    dec\t    hex\tfilename\n3209441\t 131648\t   3560\t3344649\t 330909\tp\n";
    assert_eq!(text_bytes(said), Some(3_209_441));
    assert_eq!(text_bytes("size: 'p': No such file\n"), None);
}

#[test]
fn a_median_is_the_one_in_the_middle_and_a_slope_is_for_one_more() {
    let times = [3, 1, 2].map(Duration::from_secs);
    assert!((median(times.into()) - 2.0).abs() < 1e-9);
    assert_eq!(slope(1_000, 10_000, 90), 100);
}

#[test]
fn an_edit_changes_one_line_of_the_server_or_two_of_the_signature() {
    for framework in Framework::ALL {
        let differing = |edit| {
            let (before, after) = (program(framework, 10, Edit::default()), program(framework, 10, edit));
            before.lines().zip(after.lines()).filter(|(before, after)| before != after).count()
        };
        assert_eq!(differing(Edit { body: true, signature: false }), 1);
        assert_eq!(differing(Edit { body: false, signature: true }), 2);
    }
}
