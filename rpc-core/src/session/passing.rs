//! Objects and streams in the frames that carry them: introduced on the way out, looked up on the way in.

use std::sync::Arc;

use super::outgoing::Outgoing;
use crate::{
    error::Violation,
    value::{
        encoded::{self, Capabilities, Capability, Passing, STREAM_TAKEN},
        object::Origin,
    },
    wire::{Failure, OBJECTS_BYTES_MAX, ObjectId, PassedObject, Reached},
};

/// The most bytes of an entry of a table of objects, and of each step of its path.
const OBJECT_BYTES_MAX: usize = 10;
const STEP_BYTES_MAX: usize = 6;

/// The most bytes that a table of these objects takes in its frame.
pub(super) fn objects_bytes_max(objects: &[Passing]) -> usize {
    let bytes_max = |object: &Passing| match object {
        Passing::Settled(_) => OBJECT_BYTES_MAX,
        Passing::Result(_, path) => OBJECT_BYTES_MAX + STEP_BYTES_MAX * path.steps().len(),
    };
    objects.iter().map(bytes_max).sum()
}

/// A table of objects as it was read: its objects, or the failure if this side does not take them. Refused objects are given
/// back at once.
type Taken<T> = Result<Result<T, Failure>, Violation>;

impl Outgoing {
    /// Introduces the objects that a call passes, and opens its streams; all of them or none.
    pub(super) fn pass(&mut self, objects: &[Passing]) -> Result<Vec<PassedObject>, Failure> {
        if objects_bytes_max(objects) > OBJECTS_BYTES_MAX {
            return Err(too_many_objects("(arguments)"));
        }
        let settled = objects.iter().filter_map(|object| match object {
            Passing::Settled(capability) => Some(capability),
            Passing::Result(..) => None,
        });
        let opened_in = self.position();
        let mut settled = self.introduce(settled, opened_in, "(arguments)")?.into_iter();
        let pass = |object: &Passing| match object {
            Passing::Settled(_) => settled.next(),
            Passing::Result(base, path) => Some(PassedObject::Result(*base, path.clone())),
        };
        Ok(objects.iter().filter_map(pass).collect())
    }

    /// Introduces the objects of a result, and opens its streams; all of them or none.
    pub(super) fn pass_result(&mut self, objects: &[Capability]) -> Result<Vec<PassedObject>, Failure> {
        self.pass_settled(objects, self.position())
    }

    /// Introduces the objects of an item of a stream, and opens its streams, in the message of that number; all of them or none.
    pub(super) fn pass_settled(
        &mut self,
        objects: &[Capability],
        opened_in: usize,
    ) -> Result<Vec<PassedObject>, Failure> {
        if objects.is_empty() {
            return Ok(Vec::new());
        }
        if objects.len() * OBJECT_BYTES_MAX > OBJECTS_BYTES_MAX {
            return Err(too_many_objects("(result)"));
        }
        self.introduce(objects.iter(), opened_in, "(result)")
    }

    fn introduce<'a>(
        &mut self,
        objects: impl Iterator<Item = &'a Capability> + Clone,
        opened_in: usize,
        place: &str,
    ) -> Result<Vec<PassedObject>, Failure> {
        let is_stale = |object: &Capability| matches!(object, Capability::Import(import) if !self.objects.has_import(import));
        if objects.clone().any(is_stale) {
            return Err(Failure::invalid_reference(place, "the session that knew the object is over"));
        }
        if !self.objects.has_room_for(objects.clone()) {
            return Err(Reached::at("exports_max", self.objects.exports_max()).into());
        }
        let streams = objects.clone().filter(|object| matches!(object, Capability::Stream(_))).count();
        if streams > 0 && !self.streams.has_room_for(streams) {
            return Err(Reached::at("streams_max", self.streams.streams_max()).into());
        }
        // Each stream is taken before anything is introduced.
        let claimed: Vec<Capability> = objects
            .map(Capability::claimed)
            .collect::<Option<_>>()
            .ok_or_else(|| Failure::invalid_reference(place, STREAM_TAKEN))?;
        let one = |capability| match capability {
            Capability::Import(import) => PassedObject::Receivers(import.id),
            Capability::Local(object) => PassedObject::Senders(self.objects.export(&object)),
            Capability::Stream(slot) => {
                let flow = slot.flow();
                PassedObject::Stream(self.streams.open(slot, flow, opened_in), flow)
            }
        };
        Ok(claimed.into_iter().map(one).collect())
    }

    /// Takes the objects that came with a call. An object that the peer does not hold fails the call: the peer may have
    /// released it while another call was on its way.
    pub(super) fn take_objects(&mut self, objects: Vec<PassedObject>) -> Taken<Vec<Passing>> {
        let mut failure = None;
        let mut taken = Vec::with_capacity(objects.len());
        for object in objects {
            let one = match object {
                PassedObject::Result(base, path) => Ok(Passing::Result(base, path)),
                object => {
                    let not_held = |_| Ok(Failure::no_such_object("(arguments)"));
                    self.take_settled(&object, None, not_held)?.map(Passing::Settled)
                }
            };
            one.map_or_else(|refused| failure = Some(refused), |one| taken.push(one));
        }
        Ok(failure.map_or(Ok(taken), Err))
    }

    /// Takes the objects that came with a result or an item of a stream. `origin` is the place of the one object in a result whose
    /// call can be made again.
    pub(super) fn take_returned(
        &mut self,
        objects: &[PassedObject],
        origin: Option<&Origin>,
    ) -> Taken<Capabilities> {
        let mut failure = None;
        let mut taken = Vec::with_capacity(objects.len());
        for object in objects {
            let not_held = |id: ObjectId| Err(Violation::UnknownObject(id.0));
            match self.take_settled(object, origin, not_held)? {
                Ok(one) => taken.push(one),
                Err(refused) => failure = Some(refused),
            }
        }
        Ok(failure.map_or_else(|| Ok(encoded::capabilities(taken)), Err))
    }

    fn take_settled(
        &mut self,
        object: &PassedObject,
        origin: Option<&Origin>,
        not_held: impl FnOnce(ObjectId) -> Result<Failure, Violation>,
    ) -> Taken<Capability> {
        Ok(match object {
            PassedObject::Senders(id) => {
                let import = self.objects.introduced(*id, origin);
                import
                    .map(Capability::Import)
                    .ok_or_else(|| Reached::at("imports_max", self.objects.imports_max()).into())
            }
            PassedObject::Receivers(id) => match self.objects.exported(*id) {
                Some(object) => Ok(Capability::Local(Arc::clone(object))),
                None => Err(not_held(*id)?),
            },
            PassedObject::Stream(id, flow) => self.streams.receive(*id, *flow)?,
            // `wire` reads such an entry only in a Call.
            PassedObject::Result(base, _) => return Err(Violation::UnknownCall(base.0)),
        })
    }
}

fn too_many_objects(place: &str) -> Failure {
    let reason = format!("more than {} object references at once", OBJECTS_BYTES_MAX / OBJECT_BYTES_MAX);
    Failure::invalid_argument(place, reason)
}
