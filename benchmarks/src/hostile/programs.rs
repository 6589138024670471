//! Random programs and arguments that mostly fit: what does not fit is refused before anything runs.

use super::dice::Dice;
use crate::attacks::{
    service::number_of,
    wire::{
        Base, Path, Policy, WHOLE, call_step, inline, list, map_step, number, operand, operand_slot, program,
        reference,
    },
};

/// What a value is, as far as it matters for what can be done with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    Number,
    Text,
    /// `(u64, String)`
    Pair,
    /// `Option<u64>`
    Maybe,
    /// With its length, as far as that is known.
    List(Box<Self>, u64),
    /// Nothing is done with it.
    Other,
}

impl Kind {
    pub(crate) fn list(of: Self, length: u64) -> Self {
        Self::List(Box::new(of), length)
    }
}

/// A method: its name, what it takes and what it returns.
pub(crate) struct Shape {
    pub(crate) method: u32,
    pub(crate) takes: Vec<Kind>,
    pub(crate) returns: Kind,
}

/// Methods of values, which programs and calls use alike.
pub(crate) fn shapes() -> Vec<Shape> {
    let numbers = || Kind::list(Kind::Number, 0);
    let texts = || Kind::list(Kind::Text, 0);
    let shape = |name, takes, returns| Shape { method: number_of(name), takes, returns };
    vec![
        shape("same", vec![Kind::Number], Kind::Number),
        shape("same", vec![Kind::Number], Kind::Number),
        shape("pair", vec![Kind::Number], Kind::Pair),
        shape("echo", vec![Kind::Number, Kind::Text], Kind::Pair),
        shape("length", vec![Kind::Text], Kind::Number),
        shape("with_numbers", vec![Kind::Number, numbers()], Kind::Number),
        shape("maybe", vec![Kind::Maybe, Kind::Pair], Kind::Maybe),
        shape("join", vec![texts(), texts()], texts()),
        shape("fail", vec![Kind::Number], Kind::Number),
        shape("numbers", vec![Kind::Number], numbers()),
        shape("texts", vec![Kind::Number], texts()),
        shape("grid", vec![Kind::Number, Kind::Number], Kind::list(numbers(), 0)),
        shape("park", vec![Kind::Number], Kind::Number),
    ]
}

/// A value of the kind, encoded.
pub(crate) fn value(dice: &mut Dice, kind: &Kind, longest: u64) -> Option<Vec<u8>> {
    Some(match kind {
        Kind::Number => number(dice.below(40)),
        Kind::Text => list(dice.skewed(longest) as usize, b'x'),
        Kind::Pair => [number(dice.below(40)), list(dice.below(20) as usize, b'x')].concat(),
        Kind::Maybe if dice.once_in(2) => vec![0],
        Kind::Maybe => [vec![1], number(dice.below(40))].concat(),
        Kind::List(of, _) if matches!(**of, Kind::Number | Kind::Text) => {
            list(dice.skewed(longest) as usize, 0)
        }
        Kind::List(..) | Kind::Other => return None,
    })
}

/// A way from a value of one kind to a part of another.
pub(crate) fn path_to(dice: &mut Dice, from: &Kind, wanted: &Kind) -> Option<Path> {
    let whole = || Some(WHOLE);
    match (from, wanted) {
        (Kind::List(from, _), Kind::List(wanted, _)) if from == wanted => whole(),
        (from, wanted) if from == wanted => whole(),
        (Kind::Pair, Kind::Number) => Some(Path(vec![(0, 0)])),
        (Kind::Pair, Kind::Text) => Some(Path(vec![(0, 1)])),
        (Kind::Maybe, Kind::Number) => Some(Path(vec![(2, 0)])),
        (Kind::List(of, length), _) => {
            let mut rest = path_to(dice, of, wanted)?;
            rest.0.insert(0, (1, dice.below((*length).max(1))));
            Some(rest)
        }
        _ => None,
    }
}

/// A path that may lead anywhere.
pub(crate) fn any_path(dice: &mut Dice) -> Path {
    let steps = dice.skewed(32);
    Path((0..steps).map(|_| (dice.below(4) as u8, dice.skewed(1 << 20))).collect())
}

/// What may be named where a step of a program stands.
type Around = Vec<(Base, Kind)>;

/// How much a program may still have.
struct Left {
    steps: u64,
    depth: u64,
    parks: bool,
}

/// A program over elements of this kind, and what it makes of a list of so many of them.
pub(crate) fn random_program(
    dice: &mut Dice,
    element: &Kind,
    captures: &[Kind],
    length: u64,
) -> (Vec<u8>, Kind) {
    let mut left = Left { steps: 1 + dice.skewed(24), depth: dice.below(4), parks: dice.once_in(8) };
    let mut around: Around = vec![(Base::Element, element.clone())];
    around.extend((0..).zip(captures).map(|(capture, kind)| (Base::Capture(capture), kind.clone())));
    let (program, each) = random_part(dice, around, &mut left);
    (program, Kind::list(each, length))
}

fn random_part(dice: &mut Dice, mut around: Around, left: &mut Left) -> (Vec<u8>, Kind) {
    let shapes = shapes();
    let collects = dice.once_in(2);
    let policy = if collects { Policy::Collect } else { Policy::Fail };
    let count = 1 + dice.below(left.steps.clamp(1, 6));
    left.steps = left.steps.saturating_sub(count);
    let mut steps: Vec<Vec<u8>> = Vec::new();
    for _ in 0..count {
        let place = Base::Step(steps.len() as u64);
        let lists: Vec<_> = around
            .iter()
            .filter_map(|(base, kind)| match kind {
                Kind::List(of, length) => Some((*base, (**of).clone(), *length)),
                _ => None,
            })
            .collect();
        if left.depth > 0 && dice.once_in(3) && !lists.is_empty() {
            let (base, of, length) = lists[dice.index(lists.len())].clone();
            left.depth -= 1;
            // Everything around comes in as a capture.
            let captures: Around = around.iter().take(dice.index(around.len() + 1)).cloned().collect();
            let given: Vec<_> = captures.iter().map(|(base, _)| operand(*base, &WHOLE)).collect();
            let mut inner: Around = vec![(Base::Element, of)];
            inner.extend((0..).zip(captures).map(|(capture, (_, kind))| (Base::Capture(capture), kind)));
            let (program, each) = random_part(dice, inner, left);
            steps.push(map_step(&operand(base, &WHOLE), &given, &program));
            around.push((place, Kind::list(each, length)));
            continue;
        }
        let shape = &shapes[dice.index(shapes.len())];
        if shape.method == number_of("park") && !left.parks {
            continue;
        }
        let makes_many = shape.method == number_of("numbers") || shape.method == number_of("texts");
        let Some(slots) = slots_within(dice, shape, &around) else { continue };
        steps.push(call_step(shape.method, &slots));
        let returns = match &shape.returns {
            // As many as the number said, which is small.
            Kind::List(of, _) if makes_many => Kind::list((**of).clone(), 4),
            returns => returns.clone(),
        };
        around.push((place, returns));
    }
    let (base, kind) = around[dice.index(around.len())].clone();
    let result = operand(base, &WHOLE);
    let each = if collects { Kind::Other } else { kind };
    (program(policy, &steps, &result), each)
}

/// Arguments of a step: parts of what is around, or values.
fn slots_within(dice: &mut Dice, shape: &Shape, around: &Around) -> Option<Vec<Vec<u8>>> {
    let makes_lists = matches!(shape.returns, Kind::List(..));
    shape
        .takes
        .iter()
        .map(|wanted| {
            let (base, kind) = around[dice.index(around.len())].clone();
            // How many are made is not left to values: few maps would get through.
            match path_to(dice, &kind, wanted).filter(|_| !(makes_lists && *wanted == Kind::Number)) {
                Some(path) => Some(operand_slot(base, &path)),
                None => Some(inline(&value(dice, wanted, 200)?)),
            }
        })
        .collect()
}

/// Arguments of a call: parts of results that are kept, or values of at most so many bytes.
pub(crate) fn slots_of_call(
    dice: &mut Dice,
    shape: &Shape,
    kept: &[(u64, Kind)],
    longest: u64,
) -> Option<Vec<Vec<u8>>> {
    let of_argument = |wanted: &Kind| {
        for _ in 0..3 {
            let Some((id, kind)) = dice.choose(kept).cloned() else { break };
            if let Some(path) = path_to(dice, &kind, wanted) {
                return Some(reference(id, &path));
            }
        }
        Some(inline(&value(dice, wanted, longest)?))
    };
    shape.takes.iter().map(of_argument).collect()
}
