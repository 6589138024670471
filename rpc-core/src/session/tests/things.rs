//! Objects for the protocol tests: a service whose methods take and return them, and a count of what is dropped.

use std::sync::{Arc, Mutex, Weak};

use futures::FutureExt;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned};

use super::pair::TestPeer;
use crate::{
    caller::{
        passing,
        stub::{Kind, Remote, RemoteTarget, Stub},
    },
    codec::DecodeBudget,
    error::DecodeError,
    handler::{
        dispatch::Service,
        incoming::{Incoming, Reply},
    },
    limits::Limits,
    schema::descriptor::{MethodAttributes, MethodDescriptor, ObjectsCache, ServiceDescriptor},
    session::events::{Begin, BeginTarget},
    value::{
        encoded::{Capability, Passing},
        object::LocalObject,
    },
    wire::{Failure, ObjectId},
};

/// Offered at the root, and what most objects are.
pub(crate) static THING: ServiceDescriptor = ServiceDescriptor {
    name: "Thing",
    rust_name: "Thing",
    docs: "",
    ordered: false,
    methods: &THING_METHODS,
    objects: ObjectsCache::new(),
};
static THING_METHODS: [MethodDescriptor; 5] = [
    method!("work", ["pad": String, "items": Vec<Item>] -> Gift, Trouble, MethodAttributes::NONE),
    method!("one", ["item": Item] -> Item, Trouble, MethodAttributes::NONE),
    method!("count", ["upto": u64] -> u64, Trouble, MethodAttributes::NONE),
    method!("note", ["items": Vec<Item>] -> (), Trouble, MethodAttributes { oneway: true, ..MethodAttributes::NONE }),
    method!("other", [] -> OtherItem, Trouble, MethodAttributes::NONE),
];
/// What some objects are.
pub(crate) static OTHER: ServiceDescriptor = ServiceDescriptor {
    name: "Other",
    rust_name: "Other",
    docs: "",
    ordered: false,
    methods: &OTHER_METHODS,
    objects: ObjectsCache::new(),
};
static OTHER_METHODS: [MethodDescriptor; 1] =
    [method!("ping", ["number": u64] -> u64, Trouble, MethodAttributes::NONE)];

/// A client of a `Thing`.
#[derive(Clone, Debug)]
pub(crate) struct Item(pub(crate) Stub);

impl Serialize for Item {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        passing::serialize(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        passing::deserialize(&THING, deserializer).map(Self)
    }
}

/// A client of an `Other`.
#[derive(Clone, Debug)]
pub(crate) struct OtherItem(pub(crate) Stub);

impl Serialize for OtherItem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        passing::serialize(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for OtherItem {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        passing::deserialize(&OTHER, deserializer).map(Self)
    }
}

/// What `work` returns.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct Gift {
    pub(crate) tag: u64,
    pub(crate) item: Item,
    pub(crate) list: Vec<Item>,
    pub(crate) maybe: Option<Item>,
    pub(crate) pad: String,
}

/// How every method fails.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct Trouble {
    pub(crate) items: Vec<Item>,
    pub(crate) pad: String,
}

/// The implementation behind an object; nobody dispatches to it.
struct Thing {
    serial: usize,
    ledger: Arc<Mutex<Vec<usize>>>,
    service: &'static ServiceDescriptor,
}

impl Service for Thing {
    fn descriptor(&self) -> &'static ServiceDescriptor {
        self.service
    }

    fn dispatch(&self, _: u32, _: Incoming) -> Reply {
        Reply::failed(Failure::Unavailable)
    }
}

impl Drop for Thing {
    fn drop(&mut self) {
        self.ledger.lock().expect("nothing panics while it is locked")[self.serial] += 1;
    }
}

/// All objects of a test, by their serial numbers: whether they were dropped, and which one is which.
#[derive(Default)]
pub(crate) struct Things {
    ledger: Arc<Mutex<Vec<usize>>>,
    /// A weak reference keeps the address from being used again.
    known: Vec<Weak<LocalObject>>,
}

impl Things {
    /// A client of a new local object, and its serial number.
    pub(crate) fn make(&mut self, service: &'static ServiceDescriptor) -> (usize, Stub) {
        let serial = self.known.len();
        self.ledger.lock().expect("nothing panics while it is locked").push(0);
        let thing = Arc::new(Thing { serial, ledger: Arc::clone(&self.ledger), service });
        let object = LocalObject::of_service(thing, None);
        self.known.push(Arc::downgrade(&object));
        (serial, Stub::local(object, service))
    }

    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }

    /// How often it was dropped.
    pub(crate) fn drops(&self, serial: usize) -> usize {
        self.ledger.lock().expect("nothing panics while it is locked")[serial]
    }

    /// How many are alive.
    pub(crate) fn alive(&self) -> usize {
        let ledger = self.ledger.lock().expect("nothing panics while it is locked");
        ledger.iter().filter(|drops| **drops == 0).count()
    }

    pub(crate) fn is(&self, serial: usize, object: &Arc<LocalObject>) -> bool {
        std::ptr::eq(self.known[serial].as_ptr(), Arc::as_ptr(object))
    }

    /// Whether no session has it among its exports.
    pub(crate) fn is_released(&self, serial: usize) -> bool {
        self.known[serial].upgrade().is_none_or(|object| object.released().now_or_never().is_some())
    }

    /// That a stub, found at `here`, leads to this object: itself, or the export of that id of the side over there.
    #[track_caller]
    pub(crate) fn check_identity(&self, serial: usize, stub: &Stub, there: &TestPeer) {
        assert_eq!(self.drops(serial), 0, "object {serial} was dropped while it was held");
        match stub.kind() {
            Kind::Local(object) => assert!(self.is(serial, object), "it is another object than {serial}"),
            Kind::Remote(Remote { target: RemoteTarget::Import(import), .. }) => {
                self.check_export(serial, import.id, there);
            }
            Kind::Remote(_) => panic!("object {serial} is only promised"),
        }
    }

    #[track_caller]
    fn check_export(&self, serial: usize, id: ObjectId, there: &TestPeer) {
        let object = there.session.outgoing.objects.exported(id);
        let object = object.unwrap_or_else(|| panic!("object {serial} is not exported as {}", id.0));
        assert!(self.is(serial, object), "export {} is another object than {serial}", id.0);
    }

    /// The same for the target of a call.
    #[track_caller]
    pub(crate) fn check_target(&self, serial: Option<usize>, target: &BeginTarget, there: &TestPeer) {
        match (serial, target) {
            (None, BeginTarget::Root(_)) => {}
            (Some(serial), BeginTarget::Object(object)) => {
                assert_eq!(self.drops(serial), 0, "object {serial} was dropped while it was called");
                match object.behaviour::<Remote>() {
                    Some(Remote { target: RemoteTarget::Import(import), .. }) => {
                        self.check_export(serial, import.id, there);
                    }
                    _ => assert!(self.is(serial, object), "another object than {serial} is called"),
                }
            }
            (expected, found) => panic!("{expected:?} was called and is {found:?}"),
        }
    }
}

/// What stands for promised and settled objects in a list of them: their places in the table beside it.
pub(crate) fn places(objects: &mut Vec<Passing>, list: impl IntoIterator<Item = Passing>) -> Vec<u32> {
    let place = |passing| {
        objects.push(passing);
        u32::try_from(objects.len() - 1).expect("few objects")
    };
    list.into_iter().map(place).collect()
}

/// One argument of a call that began.
pub(crate) fn argument<T: DeserializeOwned>(
    peer: &TestPeer,
    begin: &Begin,
    index: usize,
) -> Result<T, DecodeError> {
    let budget = DecodeBudget::from(&Limits::default());
    let objects = begin.arguments.capabilities(index);
    passing::decode(&begin.arguments.values()[index], objects, &peer.home.handle, budget)
}

impl TestPeer {
    /// How a stub is passed in a call.
    pub(crate) fn passing(&self, stub: &Stub) -> Passing {
        Passing::Settled(Capability::of(stub, &self.home.handle.link))
    }
}
