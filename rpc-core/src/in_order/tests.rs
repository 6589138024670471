use super::in_order;

#[test]
fn items_are_sorted_by_number_and_otherwise_stay_in_order() {
    let items = vec![(3, "a"), (1, "b"), (3, "c"), (2, "d"), (1, "e")];
    let sorted = [(1, "b"), (1, "e"), (2, "d"), (3, "a"), (3, "c")];
    assert_eq!(in_order(items, |(number, _)| *number), sorted);
    assert_eq!(in_order(Vec::<u64>::new(), |number| *number), []);
}
