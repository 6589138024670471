use super::*;

const MIB: usize = 1 << 20;

#[test]
fn a_small_session_takes_nothing_of_the_budget() {
    let budget = MemoryBudget::new(MIB);
    let mut account = Account::new(MIB, budget.clone());
    assert_eq!(account.settle(FREE_BYTES), Ok(()));
    assert_eq!(budget.used(), 0);
}

#[test]
fn what_is_kept_is_taken_in_blocks_and_given_back() {
    let budget = MemoryBudget::new(MIB);
    let mut account = Account::new(MIB, budget.clone());
    assert_eq!(account.cover(FREE_BYTES + 1), Ok(()));
    assert_eq!(budget.used(), BLOCK_BYTES);
    assert_eq!(account.cover(FREE_BYTES + BLOCK_BYTES), Ok(()));
    assert_eq!(budget.used(), BLOCK_BYTES);
    assert_eq!(account.cover(FREE_BYTES + 5 * BLOCK_BYTES), Ok(()));
    assert_eq!(budget.used(), 5 * BLOCK_BYTES);
    assert_eq!(account.settle(FREE_BYTES + 4 * BLOCK_BYTES), Ok(()));
    assert_eq!(budget.used(), 5 * BLOCK_BYTES, "one block more is kept");
    assert_eq!(account.settle(FREE_BYTES + BLOCK_BYTES), Ok(()));
    assert_eq!(budget.used(), BLOCK_BYTES);
    assert_eq!(account.settle(0), Ok(()));
    assert_eq!(budget.used(), 0, "an idle session has nothing");
}

#[test]
fn the_session_and_the_budget_have_limits_of_their_own() {
    let budget = MemoryBudget::new(MIB);
    let mut large = Account::new(8 * MIB, budget.clone());
    let mut small = Account::new(MIB / 2, budget.clone());
    assert_eq!(small.cover(MIB / 2 + 1), Err("session_bytes_max"));
    assert_eq!(large.cover(MIB), Ok(()));
    assert_eq!(small.cover(MIB / 4), Err("memory_budget"));
    assert_eq!((small.left(0), budget.left()), ((FREE_BYTES, "memory_budget"), 0));
    drop(large);
    assert_eq!(budget.used(), 0);
    assert_eq!(small.left(0), (MIB / 2, "session_bytes_max"));
    assert_eq!(small.cover(MIB / 4), Ok(()));
}

#[test]
fn others_see_what_a_session_has_though_it_is_too_much() {
    let budget = MemoryBudget::new(MIB);
    let mut account = Account::new(8 * MIB, budget.clone());
    assert_eq!(account.settle(2 * MIB), Err("memory_budget"));
    assert!(budget.used() > MIB && budget.left() == 0);
    assert_eq!(account.settle(2 * MIB), Ok(()), "it is covered now");
    assert_eq!(account.cover(3 * MIB), Err("memory_budget"));
    assert_eq!(account.settle(0), Ok(()));
    assert_eq!(budget.used(), 0);
}

#[test]
fn charges_of_tasks_end_with_them() {
    let elsewhere = Elsewhere::default();
    let mut charge = elsewhere.charge(10);
    assert!(charge.add(20, 30));
    assert!(!charge.add(1, 30));
    assert_eq!(elsewhere.kept(), 31);
    drop(charge);
    assert_eq!(elsewhere.kept(), 0);
}
