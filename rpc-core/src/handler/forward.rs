//! Forwards calls of an object that belongs to another session, or is only promised by the peer.
//!
//! Arguments and results stay encoded; the objects inside them are passed as objects of this side, which forward calls
//! in their turn. An object that is passed back to the session it came from becomes the original object again.

use std::{future::Future, pin::Pin, sync::Arc};

use crate::{
    caller::{
        outcomes::refusal,
        passing::onto,
        stub::{Remote, Stub},
    },
    error::{Refusal, Side},
    handler::incoming::{Incoming, ReplyInner},
    link::{
        Handle, Link,
        cell::{CallCell, Returned},
    },
    value::{
        encoded::{Capabilities, Capability, Passing},
        outcome::Outcome,
        returned::OriginCause,
    },
    wire::{Exhausted, Failure},
};

/// Forwards a call: starts a call of the same method at the object that `remote` stands for.
pub(crate) fn start(remote: &Remote, method: u32, incoming: Incoming) -> ReplyInner {
    let Incoming { service, arguments, want, metadata, scope, .. } = incoming;
    let (beside, selected) = arguments.objects();
    if !selected.is_empty() {
        let reason = "objects out of a promised result cannot be passed on; await the result first";
        return refuse(Failure::InvalidReference { argument: "(arguments)".into(), reason: reason.into() });
    }
    let home = &scope.session.handle;
    let stub = Stub::remote(remote.clone(), service).with_metadata(metadata);
    let objects = onto_table(beside, home, &remote.handle.link);
    let session = stub.session();
    let call =
        stub.begin(&session, method).pass_on(&arguments.values(), objects.into_iter().map(Passing::Settled));
    let home = Arc::clone(home);
    let handler: Pin<Box<dyn Future<Output = Outcome> + Send>> = Box::pin(async move {
        let mut call = call;
        let returned = (&mut call).await;
        let cell = call.cell();
        match returned {
            Returned::Value(value) => {
                let objects = onto_table(&value.capabilities, &cell.handle, &home.link);
                let payload = (want.value || want.keep).then_some(value.bytes);
                Outcome::Value { payload, objects }
            }
            Returned::Error(error) => {
                let objects = onto_table(&error.capabilities, &cell.handle, &home.link);
                Outcome::Error(error.bytes, objects)
            }
            failed => Outcome::Failed(failure(failed, cell)),
        }
    });
    ReplyInner::Running { handler, cancelled: None }
}

fn onto_table(table: &Capabilities, home: &Arc<Handle>, link: &Arc<Link>) -> Vec<Capability> {
    onto(table.as_deref().unwrap_or_default(), Some(home), link)
}

fn refuse(failure: Failure) -> ReplyInner {
    ReplyInner::Done(Outcome::Failed(failure))
}

/// The failure of a forwarded call, as its caller is told of it.
fn failure(returned: Returned, cell: &CallCell) -> Failure {
    let unreachable = |reason: String| Failure::Unreachable { reason };
    match returned {
        Returned::Failed(
            failure @ (Failure::DeadlineExceeded
            | Failure::Cancelled
            | Failure::Panicked
            | Failure::InvalidArgument { .. }
            | Failure::Unauthenticated
            | Failure::PermissionDenied
            | Failure::Unavailable),
        ) => failure,
        // To the caller, a third party's limit is one of this side.
        Returned::Failed(Failure::ResourceExhausted(exhausted)) => {
            Failure::ResourceExhausted(Box::new(Exhausted { side: Side::Local, ..*exhausted }))
        }
        Returned::Failed(failure) => unreachable(refusal(failure, cell.name(), cell.method).to_string()),
        Returned::Misuse(reason) => unreachable(Refusal::Misuse { reason }.to_string()),
        Returned::Disconnected { reason, .. } => unreachable(reason.to_string()),
        Returned::Upstream { origin, cause: OriginCause::Failed(failed) } => {
            let (_, text) = (origin.decode_error)(&failed, &origin);
            unreachable(format!("`{}`, which promised it, failed: {text}", origin.method.name))
        }
        Returned::Upstream { origin, cause: OriginCause::Missed(path) } => {
            let words = origin.method.words_of(&path);
            unreachable(format!("`{}`, which promised it, has nothing at {words}", origin.method.name))
        }
        Returned::Done | Returned::Value(_) | Returned::Error(_) | Returned::Element(_) => {
            unreachable(format!("`{}` returned what it does not return", cell.method.name))
        }
    }
}
