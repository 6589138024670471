//! Sorting by number, compiled once: `sort` has several kilobytes of code for each type of element.

/// The items in the order of their numbers; items of one number stay in their order.
pub(crate) fn in_order<T>(items: Vec<T>, number: impl Fn(&T) -> u64) -> Vec<T> {
    if items.is_sorted_by_key(&number) {
        return items;
    }
    let mut order: Vec<(u64, usize)> =
        items.iter().enumerate().map(|(place, item)| (number(item), place)).collect();
    sort(&mut order);
    let mut items: Vec<Option<T>> = items.into_iter().map(Some).collect();
    order.into_iter().filter_map(|(_, place)| items[place].take()).collect()
}

#[inline(never)]
fn sort(order: &mut [(u64, usize)]) {
    order.sort_unstable();
}

#[cfg(test)]
mod tests;
