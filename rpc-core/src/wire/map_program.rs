//! Maps on the wire: the program that runs once for each element, and the failure of an element.
//!
//! The formats are in the tables of `wire.rs`. A program refers to nothing outside itself: values from outside are captures,
//! which the starter of the map passes. So a nested map is read, checked and run like the map of a call.

use super::{
    MethodNumber,
    arguments::{SLOTS_MAX, Slot},
    read::FrameReader,
    varint::put_varint,
    write::{put_bytes, put_failure, put_path},
};
use crate::{
    buffer::small_bytes::SmallBytes,
    error::Violation,
    path::{Path, Step as PathStep},
    wire::Failure,
};

/// The program that runs for each element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Program {
    pub(crate) policy: Policy,
    pub(crate) steps: Vec<Step>,
    /// The result of the program for the element.
    pub(crate) result: Operand,
}

/// The effect of an element's failure on the map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Policy {
    /// The map fails with the element.
    Fail,
    /// The error takes the element's place in the result.
    Collect,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Call {
        target: Target,
        method: MethodNumber,
        arguments: Vec<Slot<OperandSlot>>,
        /// The objects that inline arguments name, as places in the table of the map's call.
        objects: Vec<u32>,
    },
    Map {
        source: Operand,
        captures: Vec<Operand>,
        program: Program,
    },
}

/// The target of a call in a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// The services at the root.
    Root,
    /// An object in the element, an earlier result or a capture.
    Object(Operand),
    /// An object in the table of the map's call.
    Passed(u32),
}

/// A reference among the arguments of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OperandSlot {
    pub(crate) operand: Operand,
    pub(crate) as_some: bool,
}

/// A value that a step uses: a part of the element, of an earlier result or of a capture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Operand {
    pub(crate) base: Base,
    pub(crate) path: Path,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Base {
    Element,
    /// The result of an earlier step.
    Step(u32),
    Capture(u32),
}

/// The first element of a map that failed, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ElementFailure {
    /// The element and its step that failed, from the outermost map inwards. The number after the last step stands for the
    /// program's result.
    pub(crate) trail: Vec<(u64, u32)>,
    pub(crate) cause: ElementCause,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ElementCause {
    /// The call returned its method's own error.
    Error(SmallBytes),
    /// The operand has nothing at its path.
    Missed(Operand),
    Failed(Failure),
}

/// Why a received program may not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ProgramError {
    Malformed(Violation),
    /// The program has more steps than allowed.
    Steps,
    /// Maps are nested deeper than allowed.
    Depth,
}

impl From<Violation> for ProgramError {
    fn from(violation: Violation) -> Self {
        Self::Malformed(violation)
    }
}

/// The most arguments of all steps together: a slot in memory is many times larger than on the wire.
const PROGRAM_SLOTS_MAX: usize = 1_024;
/// A bit in a step's target: objects follow the arguments.
const OBJECTS_NAMED: u8 = 0x10;
/// The deepest nesting of maps that a failure can come from.
const TRAIL_MAX: usize = 64;

// ---- writing ----

impl Program {
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        out.push(match self.policy {
            Policy::Fail => 0,
            Policy::Collect => 1,
        });
        put_varint(out, self.steps.len() as u64);
        self.steps.iter().for_each(|step| step.put(out));
        self.result.put(out);
    }
}

impl Program {
    /// Makes room for `by` objects in front of the program's own in the table of the map's call.
    pub(crate) fn shift_passed(&mut self, by: u32) {
        for step in &mut self.steps {
            match step {
                Step::Call { target, objects, .. } => {
                    if let Target::Passed(place) = target {
                        *place += by;
                    }
                    objects.iter_mut().for_each(|place| *place += by);
                }
                Step::Map { program, .. } => program.shift_passed(by),
            }
        }
    }
}

impl Step {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Step::Call { target, method, arguments, objects } => {
                let named = if objects.is_empty() { 0 } else { OBJECTS_NAMED };
                match target {
                    Target::Root => out.extend_from_slice(&[0, named]),
                    Target::Object(operand) => {
                        out.extend_from_slice(&[0, 1 | named]);
                        operand.put(out);
                    }
                    Target::Passed(place) => {
                        out.extend_from_slice(&[0, 2 | named]);
                        put_varint(out, u64::from(*place));
                    }
                }
                put_varint(out, u64::from(method.0));
                put_varint(out, arguments.len() as u64);
                arguments.iter().for_each(|slot| slot.put(out));
                if !objects.is_empty() {
                    put_varint(out, objects.len() as u64);
                    objects.iter().for_each(|place| put_varint(out, u64::from(*place)));
                }
            }
            Step::Map { source, captures, program } => {
                out.push(1);
                source.put(out);
                put_varint(out, captures.len() as u64);
                captures.iter().for_each(|capture| capture.put(out));
                program.put(out);
            }
        }
    }
}

impl Slot<OperandSlot> {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Slot::Inline(bytes) => {
                out.push(0);
                put_bytes(out, bytes);
            }
            Slot::Reference(OperandSlot { operand, as_some }) => {
                out.push(if *as_some { 2 } else { 1 });
                operand.put(out);
            }
            Slot::Tuple(parts) => {
                out.push(3);
                put_varint(out, parts.len() as u64);
                parts.iter().for_each(|part| part.put(out));
            }
        }
    }
}

impl Operand {
    fn put(&self, out: &mut Vec<u8>) {
        let (tag, number) = match self.base {
            Base::Element => (0, None),
            Base::Step(step) => (1, Some(step)),
            Base::Capture(capture) => (2, Some(capture)),
        };
        out.push(tag);
        if let Some(number) = number {
            put_varint(out, u64::from(number));
        }
        put_path(out, &self.path);
    }
}

impl ElementFailure {
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        put_varint(out, self.trail.len() as u64);
        for (index, step) in &self.trail {
            put_varint(out, *index);
            put_varint(out, u64::from(*step));
        }
        match &self.cause {
            ElementCause::Error(bytes) => {
                out.push(0);
                put_bytes(out, bytes);
            }
            ElementCause::Missed(operand) => {
                out.push(1);
                operand.put(out);
            }
            ElementCause::Failed(failure) => {
                out.push(2);
                put_failure(out, failure);
            }
        }
    }
}

// ---- reading ----

impl Program {
    /// Reads a program and checks everything that does not depend on types: it has at most `steps_max` steps, those of nested
    /// maps included; maps nest at most `depth_max` deep; steps refer only to earlier steps, and to captures and passed
    /// objects that exist.
    pub(crate) fn parse(
        bytes: &SmallBytes,
        captures: usize,
        passed: usize,
        steps_max: usize,
        depth_max: usize,
    ) -> Result<Self, ProgramError> {
        let mut reader = FrameReader::new(bytes.clone());
        let mut left = Left { steps: steps_max, slots: PROGRAM_SLOTS_MAX, passed };
        let program = reader.program(captures, &mut left, depth_max)?;
        if reader.at != reader.message.len() {
            return Err(reader.malformed("bytes after the program").into());
        }
        Ok(program)
    }
}

impl ElementFailure {
    pub(crate) fn parse(bytes: SmallBytes) -> Result<Self, Violation> {
        let mut reader = FrameReader::new(bytes);
        let count = reader.length()?;
        if count == 0 || count > TRAIL_MAX {
            return Err(reader.malformed("an element in too many maps"));
        }
        let trail =
            (0..count).map(|_| Ok((reader.varint()?, reader.u32()?))).collect::<Result<_, Violation>>()?;
        let cause = match reader.byte()? {
            0 => ElementCause::Error(reader.bytes()?),
            1 => ElementCause::Missed(reader.operand()?),
            2 => ElementCause::Failed(reader.failure()?),
            _ => return Err(reader.malformed("an unknown cause of failure")),
        };
        if reader.at != reader.message.len() {
            return Err(reader.malformed("bytes after the failure"));
        }
        Ok(Self { trail, cause })
    }
}

/// The limits that are left for the rest of the program.
struct Left {
    steps: usize,
    slots: usize,
    /// Objects in the table of the map's call.
    passed: usize,
}

/// The earlier steps and the captures that an operand may refer to.
#[derive(Clone, Copy)]
struct Surroundings {
    steps: usize,
    captures: usize,
}

impl FrameReader {
    fn program(
        &mut self,
        captures: usize,
        left: &mut Left,
        depth_left: usize,
    ) -> Result<Program, ProgramError> {
        let depth_left = depth_left.checked_sub(1).ok_or(ProgramError::Depth)?;
        let policy = match self.byte()? {
            0 => Policy::Fail,
            1 => Policy::Collect,
            _ => return Err(self.malformed("an unknown policy").into()),
        };
        let count = self.length()?;
        left.steps = left.steps.checked_sub(count).ok_or(ProgramError::Steps)?;
        let mut steps = Vec::new();
        for number in 0..count {
            let around = Surroundings { steps: number, captures };
            steps.push(self.step(around, left, depth_left)?);
        }
        let result = self.checked_operand(Surroundings { steps: count, captures })?;
        Ok(Program { policy, steps, result })
    }

    fn step(
        &mut self,
        around: Surroundings,
        left: &mut Left,
        depth_left: usize,
    ) -> Result<Step, ProgramError> {
        Ok(match self.byte()? {
            0 => {
                let tag = self.byte()?;
                let target = match tag & !OBJECTS_NAMED {
                    0 => Target::Root,
                    1 => Target::Object(self.checked_operand(around)?),
                    2 => Target::Passed(self.passed(left)?),
                    _ => return Err(self.malformed("an unknown target").into()),
                };
                let method = MethodNumber(self.u32()?);
                let count = self.length()?;
                if count > SLOTS_MAX {
                    return Err(self.malformed("too many arguments").into());
                }
                let arguments =
                    (0..count).map(|_| self.program_slot(around, left)).collect::<Result<_, Violation>>()?;
                let objects = if tag & OBJECTS_NAMED == 0 { Vec::new() } else { self.passed_objects(left)? };
                Step::Call { target, method, arguments, objects }
            }
            1 => {
                let source = self.checked_operand(around)?;
                let count = self.length()?;
                if count > SLOTS_MAX {
                    return Err(self.malformed("too many captures").into());
                }
                let captures = (0..count)
                    .map(|_| self.checked_operand(around))
                    .collect::<Result<Vec<_>, Violation>>()?;
                Step::Map { source, program: self.program(captures.len(), left, depth_left)?, captures }
            }
            _ => return Err(self.malformed("an unknown step").into()),
        })
    }

    fn passed(&mut self, left: &Left) -> Result<u32, Violation> {
        let place = self.u32()?;
        if (place as usize) < left.passed {
            Ok(place)
        } else {
            Err(self.malformed("an object that is not there"))
        }
    }

    fn passed_objects(&mut self, left: &mut Left) -> Result<Vec<u32>, Violation> {
        let count = self.length()?;
        // Each object counts as an argument.
        let Some(slots) = left.slots.checked_sub(count).filter(|_| count > 0) else {
            return Err(self.malformed("too many arguments in a program"));
        };
        left.slots = slots;
        (0..count).map(|_| self.passed(left)).collect()
    }

    fn program_slot(
        &mut self,
        around: Surroundings,
        left: &mut Left,
    ) -> Result<Slot<OperandSlot>, Violation> {
        let slot = self.slot(true, &mut |reader, as_some| {
            Ok(OperandSlot { operand: reader.checked_operand(around)?, as_some })
        })?;
        match left.slots.checked_sub(slot.count()) {
            Some(slots) => left.slots = slots,
            None => return Err(self.malformed("too many arguments in a program")),
        }
        Ok(slot)
    }

    fn checked_operand(&mut self, around: Surroundings) -> Result<Operand, Violation> {
        let operand = self.operand()?;
        let there = match operand.base {
            Base::Element => true,
            Base::Step(step) => (step as usize) < around.steps,
            Base::Capture(capture) => (capture as usize) < around.captures,
        };
        if there { Ok(operand) } else { Err(self.malformed("a part of what is not there")) }
    }

    fn operand(&mut self) -> Result<Operand, Violation> {
        let base = match self.byte()? {
            0 => Base::Element,
            1 => Base::Step(self.u32()?),
            2 => Base::Capture(self.u32()?),
            _ => return Err(self.malformed("an unknown operand")),
        };
        Ok(Operand { base, path: self.path()? })
    }
}

impl Operand {
    pub(crate) fn steps(&self) -> &[PathStep] {
        self.path.steps()
    }
}

#[cfg(test)]
mod tests; // wire/map_program/tests.rs: editing tests does not rebuild the library
