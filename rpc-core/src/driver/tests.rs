use std::{future::poll_fn, time::Duration};

use super::{Running, SessionConfig, Side, start};
use crate::{
    CallError, Retry, SessionHandle,
    caller::stub::Stub,
    memory::{self, MemoryTransport},
    session::tests::pair::{TEST, encoded},
    transport::{MessageRef, Transport},
    wire::{
        CODEC_BINCODE, Call, Exhausted, Failure, Frame, Offer, Payload, Reached, Return, Status,
        WIRE_VERSION, Welcome, read::FrameReader, write,
    },
};

/// A server that answers each call with the next of these, and tells the ids of the calls.
async fn answering(mut transport: MemoryTransport, answers: Vec<Status>) -> Vec<i64> {
    let mut ids = Vec::new();
    let mut answers = answers.into_iter();
    while let Some(Ok(message)) = poll_fn(|cx| transport.poll_receive(cx)).await {
        let mut out = crate::buffer::message::Message::default();
        let mut frames = FrameReader::new(message);
        while let Some(frame) = frames.next_frame().unwrap() {
            let answer = match frame {
                Frame::Hello(_) => Frame::Welcome(Welcome {
                    version: WIRE_VERSION,
                    features: 0,
                    codec: CODEC_BINCODE,
                    attach: None,
                    offer: Offer {
                        calls_max: 10,
                        payload_bytes_max: 1 << 20,
                        window_bytes: 1 << 20,
                        streams_max: 10,
                        stream_window_bytes: 1 << 20,
                    },
                }),
                Frame::Call(Call { id, .. }) => {
                    ids.push(id.0);
                    let Some(status) = answers.next() else { return ids };
                    Frame::Return(Return { id, objects: Vec::new(), status })
                }
                Frame::Goodbye { .. } => return ids,
                _ => continue,
            };
            match answer {
                Frame::Welcome(_) => {
                    let mut head = Vec::new();
                    write::put_frame_of_socket(&mut head, &answer);
                    transport.send(MessageRef::new(&head, None)).unwrap();
                }
                answer => write::put_frame(&mut out, &answer),
            }
        }
        if !out.is_empty() {
            transport.send(MessageRef::from(&out)).unwrap();
        }
    }
    ids
}

fn busy(retry_after_ms: u64) -> Status {
    let exhausted = Exhausted { retry_after_ms, ..Reached::at("work_per_second", 0).into() };
    Status::Failed(Failure::ResourceExhausted(Box::new(exhausted)))
}

fn client() -> (SessionHandle, Running, MemoryTransport) {
    let (near, far) = memory::pipe();
    let (handle, running) = start(near, Side::Client, SessionConfig::default());
    (handle, running, far)
}

fn patient(session: &SessionHandle) -> Stub {
    Stub::root(std::sync::Arc::clone(&session.handle), &TEST)
        .with_retry(Retry { attempts: 3, ..Retry::default() })
}

async fn add(stub: &Stub) -> Result<u64, CallError<String>> {
    let session = stub.session();
    let mut call = stub.begin(&session, 0);
    call.argument(1_u64);
    call.argument(2_u64);
    call.send::<u64, String>().await
}

#[tokio::test(start_paused = true)]
async fn a_refused_call_is_made_again_by_another_id_and_its_caller_sees_one_value() {
    let (session, running, far) = client();
    tokio::spawn(running);
    let value = Status::Value(Payload::Inline(encoded(&3_u64)));
    let server = tokio::spawn(answering(far, vec![busy(500), busy(700), value]));
    let stub = patient(&session);
    let begun = tokio::time::Instant::now();
    assert_eq!(add(&stub).await.unwrap(), 3);
    assert!(begun.elapsed() >= Duration::from_millis(1_200));
    drop((stub, session));
    assert_eq!(server.await.unwrap(), [1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_resting_call_ends_with_its_session() {
    let (session, running, far) = client();
    tokio::spawn(running);
    let server = tokio::spawn(answering(far, vec![busy(3_600_000)]));
    let stub = patient(&session);
    let (outcome, ()) = tokio::join!(add(&stub), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let _ = session.close().await;
    });
    assert!(matches!(outcome, Err(CallError::Disconnected { .. })), "{outcome:?}");
    assert_eq!(server.await.unwrap(), [1]);
}
