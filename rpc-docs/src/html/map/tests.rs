use serde_json::{Value, json};

use super::{
    super::{
        Theme,
        tests::{chat, described, method, service},
    },
    *,
};
use crate::Description;

fn words(description: &Description) -> Vec<String> {
    let theme = Theme::default();
    let names = crate::names::Names::of(description);
    let atlas = Atlas::new(description, &theme, &names);
    plan(&atlas).curves.into_iter().map(|curve| curve.words).collect()
}

/// An API with this many services and methods of each, in which every result fits every argument.
fn dense(services: usize, methods: usize) -> Description {
    let ty = json!({ "ref": "Id" });
    let each = || {
        (0..services)
            .flat_map(|service| (0..methods).map(move |method| (format!("S{service}"), format!("m{method}"))))
    };
    let from: Value =
        each().map(|(service, method)| json!({ "service": service, "method": method })).collect();
    let into: Value = each()
        .map(|(service, method)| json!({ "argument": { "service": service, "method": method, "argument": "of" } }))
        .collect();
    let methods: Value = (0..methods).map(|at| method(&format!("m{at}"), ty.clone(), ty.clone())).collect();
    let services: Value = (0..services).map(|at| service(&format!("S{at}"), true, methods.clone())).collect();
    described(
        services,
        json!([{ "name": "Id", "shape": { "newtype": "u64" } }]),
        json!([{ "type": ty, "from": from, "into": into }]),
    )
}

#[test]
fn parts_of_results_lead_to_the_arguments_they_fit() {
    let words = words(&chat());
    assert!(words.contains(&"Chat.log_in() fits all methods of Member (Member)".to_owned()), "{words:#?}");
    let parts = "Chat.profile().id, Chat.profile().friends[…] fits Member.befriend(friend) (UserId)";
    assert!(words.contains(&parts.to_owned()), "{words:#?}");
}

#[test]
fn plain_types_are_counted_and_not_drawn() {
    let (chat, theme) = (chat(), Theme::default());
    let names = crate::names::Names::of(&chat);
    let map = plan(&Atlas::new(&chat, &theme, &names));
    assert_eq!(map.plain_flows, 1);
    assert!(map.curves.iter().all(|curve| !curve.words.contains("String")));
}

#[test]
fn a_large_api_is_drawn_by_service_and_says_what_is_left_out() {
    let (dense, theme) = (dense(30, 10), Theme::default());
    let names = crate::names::Names::of(&dense);
    let atlas = Atlas::new(&dense, &theme, &names);
    let map = plan(&atlas);
    assert!(!map.has_methods);
    assert_eq!((map.services.len(), map.services_left_out), (SERVICES_MAX, 30 - SERVICES_MAX));
    assert_eq!((map.curves.len(), map.curves_left_out), (SERVICE_CURVES_MAX, 30 * 30 - SERVICE_CURVES_MAX));
    let picture = render(&atlas).into_string();
    assert!(picture.contains("836 connections not drawn"), "{picture}");
    assert!(picture.len() < 60_000, "{}", picture.len());
}

#[test]
fn too_many_curves_between_few_methods_are_drawn_by_service_and_whole() {
    let (dense, theme) = (dense(4, 5), Theme::default());
    let names = crate::names::Names::of(&dense);
    let map = plan(&Atlas::new(&dense, &theme, &names));
    assert_eq!((map.has_methods, map.curves.len(), map.curves_left_out), (false, 16, 0));
}

#[test]
fn an_api_in_which_nothing_fits_has_no_map() {
    let (empty, theme) = (described(json!([]), json!([]), json!([])), Theme::default());
    assert_eq!(render(&Atlas::new(&empty, &theme, &crate::names::Names::of(&empty))).into_string(), "");
}
