use std::time::Duration;

use super::now;

#[test]
fn time_goes_on_in_a_runtime_whose_clock_is_behind_that_of_another() {
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime")
    };
    let hour = Duration::from_secs(3600);
    let elapsed = async {
        let start = now();
        tokio::time::advance(hour).await;
        start.until(now())
    };
    // The first look at the clock is one hour ahead of all clocks that begin after it.
    runtime().block_on(async {
        tokio::time::advance(hour).await;
        now()
    });
    assert_eq!(runtime().block_on(elapsed), hour);
}
