use super::*;
use crate::{seeded::Seeded, wire::arguments::Slot};

/// Written by hand from the table in `wire.rs`.
const GOLDEN: &[u8] = &[
    0x00, // an element that fails fails the map
    0x04, // steps
    0x00, 0x00, 0x07, 0x04, // a call at the root, method 7, four arguments
    0x00, 0x02, 0xaa, 0xbb, // two bytes inline
    0x01, 0x00, 0x01, 0x00, 0x03, // field 3 of the element
    0x02, 0x02, 0x01, 0x00, // capture 1, as some
    0x03, 0x02, 0x01, 0x00, 0x00, 0x00, 0x00, // a tuple: the element and nothing
    0x00, 0x11, 0x00, 0x01, 0x02, 0x08, 0x00, 0x01,
    0x01, // method 8 of the object in the element, given object 1
    0x00, 0x02, 0x00, 0x09, 0x00, // method 9 of object 0
    0x01, 0x01, 0x00, 0x01, 0x01, 0x05, // a map over index 5 of the first result
    0x01, 0x00, 0x00, // one capture: the element
    0x01, 0x00, 0x02, 0x00, 0x00, // which collects errors, has no steps, and returns its capture
    0x01, 0x01, 0x00, // the second result
];

fn part(base: Base, steps: &[PathStep]) -> Operand {
    Operand { base, path: Path(steps.to_vec()) }
}

fn golden() -> Program {
    let operand =
        |base, steps: &[_], as_some| Slot::Reference(OperandSlot { operand: part(base, steps), as_some });
    Program {
        policy: Policy::Fail,
        steps: vec![
            Step::Call {
                target: Target::Root,
                method: MethodNumber(7),
                arguments: vec![
                    Slot::Inline(vec![0xaa, 0xbb].into()),
                    operand(Base::Element, &[PathStep::Field(3)], false),
                    operand(Base::Capture(1), &[], true),
                    Slot::Tuple(vec![operand(Base::Element, &[], false), Slot::Inline(vec![].into())]),
                ],
                objects: Vec::new(),
            },
            Step::Call {
                target: Target::Object(part(Base::Element, &[PathStep::Some])),
                method: MethodNumber(8),
                arguments: Vec::new(),
                objects: vec![1],
            },
            Step::Call {
                target: Target::Passed(0),
                method: MethodNumber(9),
                arguments: Vec::new(),
                objects: Vec::new(),
            },
            Step::Map {
                source: part(Base::Step(0), &[PathStep::Index(5)]),
                captures: vec![part(Base::Element, &[])],
                program: Program {
                    policy: Policy::Collect,
                    steps: Vec::new(),
                    result: part(Base::Capture(0), &[]),
                },
            },
        ],
        result: part(Base::Step(1), &[]),
    }
}

fn parse(bytes: &[u8]) -> Result<Program, ProgramError> {
    Program::parse(&bytes.to_vec().into(), 2, 2, 8, 3)
}

#[track_caller]
fn check_malformed(bytes: &[u8], expected: &str) {
    match parse(bytes) {
        Err(ProgramError::Malformed(Violation::Malformed { what, .. })) => assert_eq!(what, expected),
        other => panic!("expected `{expected}` but {other:?}"),
    }
}

#[test]
fn a_program_has_these_bytes() {
    let mut bytes = Vec::new();
    golden().put(&mut bytes);
    assert_eq!(bytes, GOLDEN);
    assert_eq!(parse(GOLDEN), Ok(golden()));
}

#[test]
fn how_an_element_failed_has_these_bytes() {
    let trail = vec![(300, 1), (0, 2)];
    for (cause, end) in [
        (ElementCause::Error(vec![9].into()), &[0x00, 0x01, 0x09][..]),
        (ElementCause::Missed(part(Base::Step(4), &[PathStep::Some])), &[0x01, 0x01, 0x04, 0x01, 0x02]),
        (ElementCause::Failed(Failure::Panicked), &[0x02, 0x0c]),
    ] {
        let failure = ElementFailure { trail: trail.clone(), cause };
        let mut bytes = Vec::new();
        failure.put(&mut bytes);
        assert_eq!(bytes, [&[0x02, 0xac, 0x02, 0x01, 0x00, 0x02], end].concat());
        assert_eq!(ElementFailure::parse(bytes.into()), Ok(failure));
    }
}

#[test]
fn what_is_no_program_is_refused() {
    let end = "the message ends inside a frame";
    check_malformed(&[], end);
    (0..GOLDEN.len()).for_each(|length| assert!(parse(&GOLDEN[..length]).is_err(), "{length} bytes"));
    check_malformed(&[2, 0, 0, 0], "an unknown policy");
    check_malformed(&[0, 0, 3, 0], "an unknown operand");
    check_malformed(&[0, 0, 1, 0, 0], "a part of what is not there");
    check_malformed(&[0, 0, 2, 2, 0], "a part of what is not there");
    check_malformed(&[0, 0, 0, 0, 0], "bytes after the program");
    check_malformed(&[0, 1, 2], "an unknown step");
    check_malformed(&[0, 1, 0, 3], "an unknown target");
    check_malformed(&[0, 1, 0, 0x20], "an unknown target");
    check_malformed(&[0, 1, 0, 1, 1, 0, 0], "a part of what is not there");
    check_malformed(&[0, 1, 0, 2, 2], "an object that is not there");
    check_malformed(&[0, 1, 0, 0x10, 7, 0, 1, 2], "an object that is not there");
    check_malformed(&[0, 1, 0, 0x10, 7, 0, 0], "too many arguments in a program");
    check_malformed(&[0, 1, 0, 0, 7, 65], "too many arguments");
    check_malformed(&[0, 1, 0, 0, 7, 1, 4], "an unknown argument slot");
    check_malformed(&[0, 1, 0, 0, 7, 1, 3, 1, 3], "an unknown argument slot");
    check_malformed(&[0, 1, 0, 0, 7, 1, 3, 65], "too many slots in a tuple");
    check_malformed(&[0, 1, 0, 0, 7, 1, 1, 1, 0, 0], "a part of what is not there");
    check_malformed(&[0, 1, 1, 0, 0, 65], "too many captures");
}

#[test]
fn steps_depth_and_slots_are_counted_before_they_are_read() {
    assert_eq!(parse(&[0, 9]), Err(ProgramError::Steps));
    let huge = [0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    assert_eq!(parse(&huge), Err(ProgramError::Steps));
    let nested: Vec<u8> = [0, 1, 1, 0, 0, 0].repeat(4);
    assert_eq!(parse(&nested), Err(ProgramError::Depth));
    let tuples =
        [0, 1, 0, 0, 7, 64].into_iter().chain([3, 64].into_iter().chain([0; 128]).cycle().take(130 * 64));
    check_malformed(&tuples.collect::<Vec<u8>>(), "too many arguments in a program");
}

#[test]
fn no_bytes_make_it_panic() {
    let mut seeded = Seeded::new(21);
    for _ in 0..20_000 {
        let mut bytes = GOLDEN.to_vec();
        for _ in 0..seeded.below(4) {
            let at = seeded.below(bytes.len());
            bytes[at] = *seeded.pick(&[0, 1, 2, 3, 4, 64, 0x7f, 0x80, 0xff]);
        }
        bytes.truncate(seeded.below(bytes.len() + 1));
        if let Ok(program) = parse(&bytes) {
            let mut again = Vec::new();
            program.put(&mut again);
            assert_eq!(parse(&again), Ok(program));
        }
        let _ = ElementFailure::parse(bytes.into());
    }
}
