//! The objects of a session: exports, which the peer may call, and imports from the peer.
//!
//! Each time an object is sent, it is *introduced* once more. The receiver releases the object by giving back the number of
//! its introductions; so the exporter's count stays above zero while a release and a new introduction cross on the wire.
//! Several handles on this side share one entry, whose introductions are given back together when the last handle is gone.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::due::{RELEASES_MAX, Releases};
use crate::{
    error::Violation,
    id_map::IdMap,
    limits::Limits,
    schema::descriptor::ServiceDescriptor,
    time::Time,
    value::{
        encoded::Capability,
        object::{Home, Import, LocalObject, Origin},
    },
    wire::{Frame, ObjectId, varint::ID_MAX},
};

pub(crate) struct Objects {
    limits: Arc<Limits>,
    home: Arc<dyn Home>,
    exports: FxHashMap<ObjectId, Export>,
    /// The ids of exports by address: an object that is passed again keeps its id while the peer has it.
    ids: FxHashMap<usize, ObjectId>,
    next: ObjectId,
    /// Services of objects that were exported, until they are taken.
    new_services: Vec<&'static ServiceDescriptor>,
    imports: IdMap<ObjectId, Imported>,
    /// Imports to be released and their introductions; told with the next batch.
    releases: Releases<(ObjectId, u64)>,
}

struct Export {
    object: Arc<LocalObject>,
    introductions: u64,
}

#[derive(Default)]
struct Imported {
    introductions: u64,
    handles: usize,
}

impl Objects {
    pub(crate) fn new(limits: Arc<Limits>, home: Arc<dyn Home>) -> Self {
        Self {
            limits,
            home,
            exports: FxHashMap::default(),
            ids: FxHashMap::default(),
            next: ObjectId(1),
            new_services: Vec::new(),
            imports: IdMap::default(),
            releases: Releases::default(),
        }
    }

    pub(crate) fn exports_max(&self) -> usize {
        self.limits.exports_max
    }

    pub(crate) fn imports_max(&self) -> usize {
        self.limits.imports_max
    }

    /// Whether this session imported the object, and not the one before it.
    pub(crate) fn has_import(&self, import: &Import) -> bool {
        import.is_of(&self.home)
    }

    // ---- exports ----

    /// Whether `exports_max` has room for these objects. Objects that the peer has already, or that are its own, take no room.
    pub(crate) fn has_room_for<'a>(&self, objects: impl Iterator<Item = &'a Capability>) -> bool {
        let is_new = |object: &&Capability| match object {
            Capability::Local(object) => !self.ids.contains_key(&address(object)),
            Capability::Import(_) | Capability::Stream(_) => false,
        };
        self.exports.len().saturating_add(objects.filter(is_new).count()) <= self.limits.exports_max
    }

    /// Introduces an object to the peer, once more if the peer has it already.
    pub(crate) fn export(&mut self, object: &Arc<LocalObject>) -> ObjectId {
        let id = *self.ids.entry(address(object)).or_insert_with(|| {
            let id = self.next;
            self.next = ObjectId((id.0 + 1).min(ID_MAX));
            object.was_exported();
            self.new_services.extend(object.descriptor());
            self.exports.insert(id, Export { object: Arc::clone(object), introductions: 0 });
            id
        });
        if let Some(export) = self.exports.get_mut(&id) {
            export.introductions += 1;
        }
        id
    }

    /// Adds services whose objects the peer may come to call.
    pub(crate) fn learn(&mut self, services: impl Iterator<Item = &'static ServiceDescriptor>) {
        self.new_services.extend(services);
    }

    /// Takes the services of objects that were exported since the last time.
    pub(crate) fn take_new_services(&mut self) -> Vec<&'static ServiceDescriptor> {
        std::mem::take(&mut self.new_services)
    }

    /// This side's object with that id, if the peer has it.
    pub(crate) fn exported(&self, id: ObjectId) -> Option<&Arc<LocalObject>> {
        self.exports.get(&id).map(|export| &export.object)
    }

    /// Takes back introductions that the peer releases. With the last one the object is dropped.
    pub(crate) fn release(&mut self, id: ObjectId, introductions: u64) -> Result<(), Violation> {
        let export = self.exports.get_mut(&id).ok_or(Violation::UnknownObject(id.0))?;
        export.introductions = export
            .introductions
            .checked_sub(introductions)
            .filter(|_| introductions > 0)
            .ok_or(Violation::UnknownObject(id.0))?;
        if export.introductions == 0
            && let Some(export) = self.exports.remove(&id)
        {
            self.ids.remove(&address(&export.object));
            export.object.was_released();
        }
        Ok(())
    }

    // ---- imports ----

    /// Takes an object that the peer introduced. `None` if this side has too many; then the introduction is given back.
    pub(crate) fn introduced(&mut self, id: ObjectId, origin: Option<&Origin>) -> Option<Arc<Import>> {
        let is_full = self.imports.len() >= self.limits.imports_max;
        let imported = match self.imports.get_mut(&id) {
            Some(imported) => imported,
            None if is_full => {
                self.releases.push((id, 1));
                return None;
            }
            None => self.imports.entry(id).or_default(),
        };
        imported.introductions += 1;
        imported.handles += 1;
        Some(Arc::new(Import::new(id, origin.cloned(), Arc::clone(&self.home))))
    }

    /// Drops one handle of this side; the last one releases the import.
    pub(crate) fn import_dropped(&mut self, id: ObjectId) {
        let Some(imported) = self.imports.get_mut(&id) else { return };
        imported.handles -= 1;
        if imported.handles == 0
            && let Some(imported) = self.imports.remove(&id)
        {
            self.releases.push((id, imported.introductions));
        }
    }

    // ---- releases ----

    /// The frames that tell the peer which objects it may release, if a message leaves anyway or they have waited for long
    /// enough.
    pub(crate) fn take_releases(&mut self, now: Time, message_leaves: bool) -> Vec<Frame> {
        let releases = self.releases.take(now, message_leaves);
        releases.chunks(RELEASES_MAX).map(|part| Frame::ReleaseObjects(part.to_vec())).collect()
    }

    /// Whether releases leave when a message is asked for, or their time begins.
    pub(crate) fn releases_need_a_look(&self, now: Time) -> bool {
        self.releases.needs_a_look(now)
    }

    pub(crate) fn releases_are_overdue(&self, now: Time) -> bool {
        self.releases.is_overdue(now)
    }

    pub(crate) fn timeout(&self) -> Option<Time> {
        self.releases.timeout()
    }

    // ---- figures and the end ----

    pub(crate) fn exports(&self) -> usize {
        self.exports.len()
    }

    pub(crate) fn imports(&self) -> usize {
        self.imports.len()
    }

    /// Drops all exports when the session is over: nobody can call them any more.
    pub(crate) fn abandon(&mut self) {
        self.ids.clear();
        for (_, export) in self.exports.drain() {
            export.object.was_released();
        }
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.exports.is_empty() && self.imports.is_empty() && self.ids.is_empty() && self.releases.is_empty()
    }
}

fn address(object: &Arc<LocalObject>) -> usize {
    Arc::as_ptr(object).addr()
}
