use super::*;
use crate::{
    session::tests::pair::{ADD, BOTH, MAYBE, Pair, STRUCTURED, TestCall, encoded, value_of},
    value::{outcome::Outcome, returned::Returned},
    wire::{MethodNumber, Want, arguments::Slot},
};

/// Where `structured` has its list.
const LIST: &[PathStep] = &[PathStep::Field(2)];

fn part(base: Base, steps: &[PathStep]) -> Operand {
    Operand { base, path: crate::path::Path(steps.to_vec()) }
}

fn element() -> Slot<OperandSlot> {
    Slot::Reference(OperandSlot { operand: part(Base::Element, &[]), as_some: false })
}

fn call(method: u32, arguments: Vec<Slot<OperandSlot>>) -> Step {
    Step::Call { target: Target::Root, method: MethodNumber(method), arguments, objects: Vec::new() }
}

/// A program that returns what its last step does.
fn program(steps: Vec<Step>) -> Program {
    let base = match steps.len().checked_sub(1) {
        Some(last) => Base::Step(last as u32),
        None => Base::Element,
    };
    Program { policy: Policy::Fail, steps, result: part(base, &[]) }
}

fn bytes(program: &Program) -> Vec<u8> {
    let mut bytes = Vec::new();
    program.put(&mut bytes);
    bytes
}

fn one() -> Slot<OperandSlot> {
    Slot::Inline(encoded(&1_u64))
}

/// Maps the program over a part of what `structured(3)` returns.
fn mapped(pair: &mut Pair, steps: &[PathStep], program: &[u8], methods: &[u32]) -> TestCall {
    let source = pair.client.call(STRUCTURED, &[3.into()]);
    let map = pair.client.map(&source, steps, program, methods);
    pair.client.drop_promise(&source);
    pair.run();
    map
}

/// That the map is refused, and how, before anything of it starts.
#[track_caller]
fn check_refused(steps: &[PathStep], program: &[u8], methods: &[u32], expected: &str) {
    let limits = Limits { map_steps_max: 4, map_depth_max: 2, ..Limits::default() };
    let mut pair = Pair::with_limits(Limits::default(), limits);
    let map = mapped(&mut pair, steps, program, methods);
    let text = map.failure().to_string();
    assert!(text.contains(expected), "`{text}` does not say `{expected}`");
    assert_eq!(pair.server.log, ["structured(3)"]);
    pair.client.drop_promise(&map);
    pair.run();
    pair.advance(std::time::Duration::from_secs(1));
    pair.client.session.check_empty();
    pair.server.session.check_empty();
}

#[test]
fn a_program_that_fits_starts_once_its_source_is_here() {
    let mut pair = Pair::new();
    pair.server.automatic = false;
    let source = pair.client.call(STRUCTURED, &[3.into()]);
    let plan = bytes(&program(vec![call(ADD, vec![element(), one()])]));
    let map = pair.client.map(&source, LIST, &plan, &[ADD]);
    pair.run();
    assert_eq!(pair.server.maps.len(), 0);
    pair.server.finish_next();
    pair.run();
    let begun = pair.server.maps.remove(0);
    assert_eq!(begun.plan.returns, Layout::of::<Vec<u64>>());
    assert_eq!(*begun.source.bytes, [3, 0, 1, 2]);
    assert_eq!(begun.want, Want { value: true, keep: true });
    let step = &begun.plan.steps[0];
    assert_eq!((step.is_used, step.last_use), (true, 1));
    pair.server.finish_with(begun.answer, Outcome::Failed(Failure::Panicked));
    pair.run();
    assert_eq!(map.failure(), Failure::Panicked);
}

#[test]
fn what_a_map_returns_is_known_when_it_starts() {
    let returns = |program: &Program, steps: &[PathStep]| {
        let mut pair = Pair::new();
        let map = mapped(&mut pair, steps, &bytes(program), &[STRUCTURED, MAYBE]);
        assert_eq!(map.outcome(), None);
        pair.server.maps.remove(0).plan.returns
    };
    let structured = || call(STRUCTURED, vec![element()]);
    let list = Program { result: part(Base::Step(0), LIST), ..program(vec![structured()]) };
    assert_eq!(returns(&list, LIST), Layout::of::<Vec<Vec<u64>>>());
    assert_eq!(returns(&list, &[PathStep::Field(1)]), Layout::of::<Option<Vec<u64>>>());
    let nested = Step::Map {
        source: part(Base::Step(0), LIST),
        captures: vec![],
        program: program(vec![call(
            MAYBE,
            vec![Slot::Reference(OperandSlot { operand: part(Base::Element, &[]), as_some: true })],
        )]),
    };
    let nested = program(vec![structured(), nested]);
    assert_eq!(returns(&nested, LIST), Layout::of::<Vec<Vec<u64>>>());
    let collected = Program { policy: Policy::Collect, ..program(vec![structured()]) };
    type Collected = Vec<Result<(u64, Option<u64>, Vec<u64>), crate::error::ElementError<String>>>;
    assert_eq!(returns(&collected, LIST), Layout::of::<Collected>());
}

#[test]
fn programs_that_cannot_run_are_refused() {
    let add = |arguments| bytes(&program(vec![call(ADD, arguments)]));
    check_refused(LIST, &[9], &[], "an unknown policy");
    check_refused(LIST, &add(vec![element(), one()]), &[], "was not defined");
    check_refused(LIST, &bytes(&program(vec![call(0, vec![element()])])), &[], "was not defined");
    check_refused(LIST, &bytes(&program(vec![call(1, vec![element()])])), &[], "was not defined");
    check_refused(LIST, &add(vec![element()]), &[ADD], "takes 2 arguments");
    check_refused(&[], &add(vec![element(), one()]), &[ADD], "runs over a sequence");
    check_refused(&[PathStep::Field(0)], &add(vec![element(), one()]), &[ADD], "runs over a sequence");
    let misfit = |operand, as_some| add(vec![Slot::Reference(OperandSlot { operand, as_some }), one()]);
    check_refused(LIST, &misfit(part(Base::Element, &[PathStep::Some]), false), &[ADD], "has no part at ?");
    check_refused(LIST, &misfit(part(Base::Element, &[]), true), &[ADD], "nothing of the kind");
    let both = |steps: &[PathStep]| {
        let first = Slot::Reference(OperandSlot { operand: part(Base::Step(0), steps), as_some: false });
        let steps =
            vec![call(STRUCTURED, vec![element()]), call(BOTH, vec![Slot::Tuple(vec![first, element()])])];
        bytes(&program(steps))
    };
    check_refused(LIST, &both(&[]), &[STRUCTURED, BOTH], "but u64 is due");
    check_refused(LIST, &both(LIST), &[STRUCTURED, BOTH], "but u64 is due");
    let wide = Slot::Tuple(vec![one(), one(), element()]);
    check_refused(LIST, &bytes(&program(vec![call(BOTH, vec![wide])])), &[BOTH], "nothing of the kind");
    let of_a_number =
        Step::Map { source: part(Base::Element, &[]), captures: vec![], program: program(vec![]) };
    check_refused(LIST, &bytes(&program(vec![of_a_number])), &[], "runs over a sequence");
}

#[test]
fn programs_beyond_the_limits_are_refused() {
    let calls = |count| (0..count).map(|_| call(ADD, vec![element(), one()])).collect();
    check_refused(LIST, &bytes(&program(calls(5))), &[ADD], "map_steps_max");
    let over_list = |program| {
        let source = part(Base::Step(0), LIST);
        self::program(vec![
            call(STRUCTURED, vec![element()]),
            Step::Map { source, captures: vec![], program },
        ])
    };
    let deep = over_list(over_list(program(vec![])));
    check_refused(LIST, &bytes(&deep), &[STRUCTURED], "map_depth_max");
    let long = over_list(program(calls(3)));
    check_refused(LIST, &bytes(&long), &[STRUCTURED, ADD], "map_steps_max");
}

#[test]
fn a_map_takes_a_reference_and_a_program() {
    for payload in [vec![0], vec![1, 0, 0], vec![2, 0, 0, 0, 0], vec![2, 0, 0, 1, 1, 0]] {
        let mut pair = Pair::new();
        let map = pair.client.call_raw(crate::wire::METHOD_MAP, payload, vec![], None);
        pair.run();
        assert!(map.failure().to_string().contains("a map takes a reference"), "{:?}", map.failure());
    }
}

#[test]
fn a_call_made_on_a_map_that_does_not_fit_is_refused_when_the_map_ends() {
    let mut pair = Pair::new();
    let source = pair.client.call(STRUCTURED, &[3.into()]);
    let map = pair.client.map(&source, LIST, &bytes(&program(vec![])), &[]);
    let whole = pair.client.get(&map, &[]);
    let misfit = pair.client.call(ADD, &[(&map).into(), 1.into()]);
    let nowhere = pair.client.get(&map, &[PathStep::Field(1)]);
    pair.run();
    let begun = pair.server.maps.remove(0);
    pair.server.finish_with(begun.answer, value_of(begun.want, vec![0_u64, 1, 2]));
    pair.run();
    assert!(misfit.failure().to_string().contains("but u64 is due"));
    assert!(nowhere.failure().to_string().contains("has no part"));
    assert_eq!(whole.outcome(), Some(Returned::Value(encoded(&vec![0_u64, 1, 2]).into())));
}

/// Maps of which each runs over what the one before returned, and how the last fails, if one does.
fn chained(pair: &mut Pair, program: &[u8], most: usize) -> (Vec<TestCall>, Option<String>) {
    let source = pair.client.call(STRUCTURED, &[3.into()]);
    let mut maps = vec![pair.client.map(&source, LIST, program, &[])];
    pair.client.drop_promise(&source);
    loop {
        pair.run();
        let last = &maps[maps.len() - 1];
        if let Some(Returned::Failed(failure)) = last.outcome() {
            return (maps, Some(failure.to_string()));
        }
        if maps.len() == most {
            return (maps, None);
        }
        // What it returns is not looked at here: the next one only asks what type it has.
        let begun = pair.server.maps.remove(0);
        let outcome = value_of(begun.want, vec![1_u64, 2]);
        pair.server.finish_with(begun.answer, outcome);
        let next = pair.client.map(last, &[], program, &[]);
        maps.push(next);
    }
}

#[test]
fn maps_over_maps_take_no_more_memory_than_their_types() {
    let mut pair = Pair::new();
    // Each returns its elements as they are.
    let (maps, failure) = chained(&mut pair, &bytes(&program(Vec::new())), 300);
    assert_eq!(failure, None, "the type stays the same");
    let held = pair.server.session.stats().held_bytes;
    assert!(held < 300 * 1_024, "{held} bytes for {} maps", maps.len());
}

#[test]
fn layouts_that_maps_make_grow_are_charged_and_end() {
    let limits = Limits { held_bytes_max: 1 << 20, ..Limits::default() };
    let mut pair = Pair::with_limits(Limits::default(), limits);
    // Each wraps its elements into a `Result`.
    let collecting = Program { policy: Policy::Collect, ..program(Vec::new()) };
    let (maps, failure) = chained(&mut pair, &bytes(&collecting), 3_000);
    let failure = failure.expect("the layouts grow");
    assert!(failure.contains("held_bytes_max"), "{failure}");
    assert!(pair.server.session.stats().held_bytes <= 1 << 20);
    for map in &maps {
        pair.client.drop_promise(map);
    }
    pair.run();
    pair.advance(std::time::Duration::from_secs(1));
    assert_eq!(pair.server.session.stats().held_bytes, 0, "all of it is given back");
}

#[test]
fn a_type_that_grows_without_end_is_refused() {
    let limits = Limits { held_bytes_max: usize::MAX, ..Limits::default() };
    let mut pair = Pair::with_limits(Limits::default(), limits);
    let collecting = Program { policy: Policy::Collect, ..program(Vec::new()) };
    let (maps, failure) = chained(&mut pair, &bytes(&collecting), 3_000);
    let failure = failure.expect("the layouts grow");
    assert!(failure.contains("too many maps"), "{failure} after {} maps", maps.len());
}
