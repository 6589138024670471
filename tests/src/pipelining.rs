//! Promises passed into later calls, through generated code.

use rpc_core::CallError;

use crate::support::{PeopleError, UserId, people};

#[tokio::test]
async fn a_call_is_answered() {
    let people = people();
    assert_eq!(people.add(1, 2).await.unwrap(), 3);
    let ann = people.find("ann").await.unwrap();
    assert_eq!((ann.id, ann.name.as_str()), (UserId(0), "ann"));
}

#[tokio::test]
async fn fields_of_a_promise_are_promises() {
    let people = people();
    let dan = people.find("dan");
    let boss = people.profile(dan.boss().some());
    let first_friend = people.profile(dan.friends().index(0));
    let city = boss.home().city();
    let distance = people.distance(boss.home().position());
    assert_eq!(city.await.unwrap(), "cemville");
    assert_eq!(distance.await.unwrap(), 4);
    let (dan, boss, friend) = rpc_core::try_join!(dan, boss, first_friend).unwrap();
    assert_eq!((dan.name.as_str(), boss.name.as_str(), friend.name.as_str()), ("dan", "cem", "ann"));
}

#[tokio::test]
async fn a_failed_promise_gives_its_typed_error_to_its_dependents() {
    let people = people();
    let nobody = people.find("zoe");
    let friend = people.profile(nobody.friends().index(0));
    let sum = people.add(nobody.id()._0(), 1);
    drop(nobody);
    let error = friend.await.unwrap_err();
    let CallError::Upstream(upstream) = &error else { panic!("{error}") };
    assert_eq!(upstream.failed().to_string(), "People.find");
    assert_eq!(upstream.downcast::<PeopleError>(), Some(&PeopleError::Nobody("zoe".into())));
    assert!(
        matches!(sum.await.unwrap_err(), CallError::Upstream(upstream) if upstream.failed().method == "find")
    );
}
