//! Local objects and the runtimes that call them.

use std::sync::OnceLock;

use rpc_core::{CallError, Refusal};
use tokio::runtime::{Builder, Runtime};

use crate::support::{PeopleClient, Village};

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// As programs and tests hold one: for as long as the process lives.
fn static_people() -> &'static PeopleClient {
    static PEOPLE: OnceLock<PeopleClient> = OnceLock::new();
    PEOPLE.get_or_init(|| PeopleClient::local(Village::default()))
}

#[test]
fn a_local_object_outlives_the_runtimes_that_call_it() {
    for number in 0..3 {
        let runtime = runtime();
        assert_eq!(runtime.block_on(async { static_people().add(number, 1).await }).unwrap(), number + 1);
        // The call that nobody answers any more says so.
        let promise = runtime.block_on(async { static_people().wait() });
        drop(runtime);
        let error = futures::executor::block_on(async { promise.await.unwrap_err() });
        assert!(matches!(error, CallError::Disconnected { .. }), "{error:?}");
    }
}

/// Nobody drives the first, so that a call through its session would wait for ever.
#[test]
fn each_runtime_that_calls_a_local_object_drives_its_own_calls() {
    let people = PeopleClient::local(Village::default());
    let (first, second) = (runtime(), runtime());
    for number in 0..3 {
        for runtime in [&first, &second] {
            assert_eq!(runtime.block_on(async { people.add(number, 1).await }).unwrap(), number + 1);
        }
    }
    // What one of them promised is known there.
    let sum = first.block_on(async { people.add(1, 2) });
    let error = second.block_on(async { people.add(&sum, 1).await.unwrap_err() });
    assert!(matches!(error, CallError::Refused { refusal: Refusal::Misuse { .. }, .. }), "{error:?}");
    assert_eq!(first.block_on(async { people.add(&sum, 1).await }).unwrap(), 4);
    // The second goes on when the first is gone.
    drop(first);
    assert_eq!(second.block_on(async { people.add(1, 1).await }).unwrap(), 2);
}

#[test]
fn a_local_object_is_called_from_several_threads_of_one_runtime() {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let people = PeopleClient::local(Village::default());
    runtime.block_on(async {
        let calls = (0..20).map(|number| {
            let people = people.clone();
            tokio::spawn(async move { people.add(number, 1).await.unwrap() })
        });
        for (number, call) in calls.collect::<Vec<_>>().into_iter().enumerate() {
            assert_eq!(call.await.unwrap(), number as u64 + 1);
        }
    });
    // Outside of all runtimes the session of one that is there is used; another thread drives it.
    assert_eq!(futures::executor::block_on(async { people.add(1, 1).await }).unwrap(), 2);
    drop(runtime);
    let error = futures::executor::block_on(async { people.add(1, 1).await }).unwrap_err();
    assert!(matches!(error, CallError::Refused { refusal: Refusal::Misuse { .. }, .. }), "{error:?}");
}
