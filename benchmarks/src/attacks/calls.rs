//! Attacks by calls: results that nobody reads, arguments that are held, references, chains, definitions, ids.

use tokio::time::Instant;

use super::{
    maps::CHAIN,
    peer::{Door, Peer, Reading},
    service::{methods, number_of},
    stage::Stage,
    wire::{
        Base, Call, Frames, GET, Path, Policy, WHOLE, call_step, inline, list, message, messages, number,
        operand, operand_slot, program, reference, tuple,
    },
};
use crate::Failure;

/// Calls in flight: the limit of public servers, less one.
const IN_FLIGHT: u64 = 255;

/// Largest results of one message, of which nothing is read.
pub(super) async fn unread_results(stage: &mut Stage, method: &str) -> Result<(), Failure> {
    stage.begin().await?;
    let mut peer = Peer::meet(&Door { receive_bytes: Some(4 << 10), ..stage.door() }).await?;
    peer.reading = Reading::Nothing;
    let mut frames = Frames::default();
    for _ in 0..IN_FLIGHT {
        let length = peer.offer.payload - 16;
        frames.call(&Call::new(peer.next_id(), number_of(method), &[inline(&number(length))]));
    }
    peer.send_frames(&frames).await?;
    peer.stay(stage.hold()).await;
    Ok(())
}

/// Calls with the largest argument, of which one byte each is one element, and whose handlers wait.
pub(super) async fn parked_arguments(stage: &mut Stage, method: &str, each: u8) -> Result<(), Failure> {
    stage.begin().await?;
    let mut peer = stage.peer().await?;
    peer.reading = Reading::Frames;
    let value = list((peer.offer.payload - 32) as usize, each);
    let (calls, deadline) = (stage.much(peer.offer.calls), stage.deadline());
    for _ in 0..calls {
        let call = messages(&Call::new(peer.next_id(), number_of(method), &[inline(&value)]));
        if Instant::now() >= deadline {
            break;
        }
        // What was refused is taken again: one byte short of the limit now and then.
        peer.send(&call).await?;
    }
    stage.note(format!("{} of {calls} calls were refused: {}", peer.seen.returns, peer.seen.failure));
    peer.stay(stage.hold()).await;
    Ok(())
}

/// References to the last of a million elements.
pub(super) async fn far_references(stage: &mut Stage) -> Result<(), Failure> {
    const CONNECTIONS: usize = 20;
    stage.begin().await?;
    let mut peers = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut peer = stage.peer().await?;
        let count = peer.offer.payload / 8;
        let texts = peer.next_id();
        peer.call(&Call::new(texts, number_of("texts"), &[inline(&number(count))]).kept().unwanted()).await?;
        if !peer.read_returns(1, stage.deadline()).await {
            stage.note("a kept list was not there in time");
        }
        let last = reference(texts, &Path::index(count - 1));
        let mut frames = Frames::default();
        for _ in 0..200 {
            frames.call(&Call::new(peer.next_id(), number_of("length"), std::slice::from_ref(&last)));
        }
        let batch = message(&frames.0);
        peer.reading = Reading::Bytes;
        peer.send(&batch).await?;
        peers.push(peer);
    }
    let each = stage.hold() / CONNECTIONS as u32;
    for peer in &mut peers {
        peer.stay(each).await;
    }
    Ok(())
}

/// Kept lists of empty strings.
pub(super) async fn kept_texts(stage: &mut Stage) -> Result<(), Failure> {
    stage.begin().await?;
    let mut peer = stage.peer().await?;
    // Not so long that making them is what takes long.
    let count = peer.offer.payload / 32;
    let mut frames = Frames::default();
    for _ in 0..100 {
        frames.call(
            &Call::new(peer.next_id(), number_of("texts"), &[inline(&number(count))]).kept().unwanted(),
        );
    }
    peer.send_frames(&frames).await?;
    peer.read_returns(100, stage.deadline()).await;
    stage.note(format!("{} of 100 ran", peer.seen.ran));
    peer.stay(stage.hold()).await;
    Ok(())
}

/// A chain in which each call joins the result before to itself.
pub(super) async fn doubling(stage: &mut Stage) -> Result<(), Failure> {
    stage.begin().await?;
    let mut peer = stage.peer().await?;
    let mut frames = Frames::default();
    let mut last = peer.next_id();
    frames.call(&Call::new(last, number_of("texts"), &[inline(&number(64))]).kept().unwanted());
    for _ in 0..22 {
        let id = peer.next_id();
        let whole = reference(last, &WHOLE);
        frames.call(&Call::new(id, number_of("join"), &[whole.clone(), whole]).kept().unwanted());
        last = id;
    }
    peer.send_frames(&frames).await?;
    peer.read_returns(23, stage.deadline()).await;
    stage.note(format!("{} of 23 ran, then: {}", peer.seen.ran, peer.seen.failure));
    peer.stay(stage.hold()).await;
    Ok(())
}

/// Calls that wait, each of which came in a message that is as long as a message may be. Behind `naps` calls that hold the
/// thread, they wait to start; of a method that never returns, they wait with their arguments.
pub(super) async fn long_messages(
    stage: &mut Stage,
    sessions: usize,
    method: &str,
    naps: u64,
) -> Result<(), Failure> {
    stage.begin().await?;
    let mut peers = Vec::new();
    for _ in 0..sessions {
        peers.push(stage.peer().await?);
    }
    // Long enough to be a part of the message and no copy.
    let argument = inline(&list(100, 7));
    for peer in &mut peers {
        let mut frames = Frames::default();
        for _ in 0..naps {
            frames.call(&Call::new(peer.next_id(), number_of("nap"), &[inline(&[0])]));
        }
        peer.send_frames(&frames).await?;
    }
    for _ in naps..peers[0].offer.calls {
        for peer in &mut peers {
            let mut frames = Frames::default();
            frames.call(&Call::new(peer.next_id(), number_of(method), std::slice::from_ref(&argument)));
            frames.padding(127 << 10);
            peer.send_frames(&frames).await?;
        }
    }
    for peer in &mut peers {
        peer.stay(stage.hold() / sessions as u32).await;
    }
    Ok(())
}

/// A method defined thousands of times, each time otherwise, and calls of all of these.
pub(super) async fn definitions(stage: &mut Stage) -> Result<(), Failure> {
    const DEFINITIONS: u32 = 4_000;
    stage.begin().await?;
    let mut peer = stage.peer().await?;
    let method = methods().iter().find(|method| method.name == "wide").ok_or("there is such a method")?;
    let numbers = 1_000..1_000 + DEFINITIONS;
    let mut frames = Frames::default();
    for number in numbers.clone() {
        frames.define(number, method.service, method.name, u64::from(number));
        if frames.0.len() > 100_000 {
            peer.send_frames(&std::mem::take(&mut frames)).await?;
        }
    }
    peer.send_frames(&frames).await?;
    let deadline = stage.deadline();
    let numbers: Vec<_> = numbers.collect();
    for numbers in numbers.chunks(200) {
        let (mut frames, returned) = (Frames::default(), peer.seen.returns);
        for number in numbers {
            frames.call(&Call::new(peer.next_id(), *number, &[]));
        }
        peer.send_frames(&frames).await?;
        if !peer.read_returns(returned + numbers.len() as u64, deadline).await {
            break;
        }
    }
    stage.note(format!("{} calls were answered", peer.seen.returns));
    stage.check("bytes of a refusal", peer.seen.text_max as f64, 4_096.0);
    peer.stay(stage.hold() / 2).await;
    Ok(())
}

/// How ids follow each other.
#[derive(Clone, Copy)]
enum Ids {
    Stride(u64),
    /// At random, with this mean distance.
    Random(u64),
}

/// Ids that are chosen to meet in tables, against ids at random.
pub(super) async fn ids(stage: &mut Stage) -> Result<(), Failure> {
    let rounds = stage.much(40);
    stage.begin().await?;
    let mut worst: f64 = 0.0;
    for stride in [1 << 20, 1 << 32, 1 << 38] {
        let (mut strided, mut random) = (f64::MAX, f64::MAX);
        // The least of several: other programs make some of them longer, and none shorter.
        for _ in 0..10 {
            strided = strided.min(time_of(stage, Ids::Stride(stride), rounds).await?);
            random = random.min(time_of(stage, Ids::Random(stride), rounds).await?);
        }
        worst = worst.max(strided / random);
    }
    stage.check("time / time of random ids", worst, 1.5);
    Ok(())
}

/// Seconds that some thousand calls take, which refer to kept ones.
async fn time_of(stage: &Stage, ids: Ids, rounds: u64) -> Result<f64, Failure> {
    let mut peer = stage.peer().await?;
    let (mut last, mut state) = (0, 0x9e37_79b9_7f4a_7c15_u64);
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        last += match ids {
            Ids::Stride(stride) => stride,
            Ids::Random(mean) => 1 + (state >> 20) % (2 * mean),
        };
        last
    };
    let kept: Vec<u64> = (0..400).map(|_| next()).collect();
    for kept in kept.chunks(200) {
        let (mut frames, returned) = (Frames::default(), peer.seen.returns);
        for id in kept {
            frames.call(&Call::new(*id, number_of("same"), &[inline(&[7])]).kept().unwanted());
        }
        peer.send_frames(&frames).await?;
        peer.read_returns(returned + kept.len() as u64, stage.deadline()).await;
    }
    let batches: Vec<Vec<u8>> = (0..rounds)
        .map(|_| {
            let mut frames = Frames::default();
            for index in 0..200 {
                let slot = reference(kept[index * 2], &WHOLE);
                frames.call(&Call::new(next(), number_of("same"), &[slot]));
            }
            message(&frames.0)
        })
        .collect();
    let start = Instant::now();
    for batch in &batches {
        let returned = peer.seen.returns;
        peer.send(batch).await?;
        if !peer.read_returns(returned + 200, stage.deadline()).await {
            return Err("calls with odd ids are not answered".into());
        }
    }
    Ok(start.elapsed().as_secs_f64())
}

/// Refusals in words, of everything that has words.
pub(super) async fn texts(stage: &mut Stage) -> Result<(), Failure> {
    stage.begin().await?;
    let mut peer = stage.peer().await?;
    let long = "x".repeat(4_000);
    let mut frames = Frames::default();
    frames.define(1_000, &long, "method", 7);
    frames.define(1_001, "Prey", &long, 7);
    methods().iter().zip(1_100..).for_each(|(method, number)| {
        frames.define(number, method.service, method.name, 7);
    });
    peer.send_frames(&frames).await?;
    let mut calls: Vec<Call> = Vec::new();
    let (pair, grid) = (peer.next_id(), peer.next_id());
    calls.push(Call::new(pair, number_of("pair"), &[inline(&[7])]).kept().unwanted());
    calls.push(Call::new(grid, number_of("grid"), &[inline(&[9]), inline(&[9])]).kept().unwanted());
    let unknown = [1_000, 1_001].into_iter().chain(1_100..1_100 + methods().len() as u32);
    calls.extend(unknown.map(|method| Call::new(peer.next_id(), method, &[])));
    // Paths that lead nowhere, as long as paths may be, with the longest numbers.
    for tag in 0..4 {
        let path = Path(vec![(tag, u32::MAX.into()); 32]);
        for source in [pair, grid] {
            calls.push(Call::new(peer.next_id(), GET, &[reference(source, &path)]));
            calls.push(Call::new(peer.next_id(), number_of("same"), &[reference(source, &path)]));
            let nested = tuple(&vec![reference(source, &path); 64]);
            calls.push(Call::new(peer.next_id(), number_of("maybe"), &[nested.clone(), nested]));
        }
        let program = program(Policy::Fail, &[], &operand(Base::Element, &path));
        calls.push(Call::map(peer.next_id(), grid, &program, &[]));
    }
    // Arguments that are none.
    // Not of methods that wait, or that would make as much as the argument says.
    let is_left_out = |name: &str| {
        let names = ["park", "nap", "bytes", "later", "fresh", "numbers", "texts", "grid"];
        names.iter().any(|left_out| name.starts_with(left_out))
    };
    for method in methods().iter().filter(|method| !is_left_out(method.name)) {
        for argument in [&[0xff; 60_000][..], &[0xfc, 0xff, 0xff, 0xff, 0x7f], &[]] {
            let slots = vec![inline(argument); 2];
            calls.push(Call::new(peer.next_id(), method.number, &slots));
            calls.push(Call::new(peer.next_id(), method.number, &slots[..1]));
        }
    }
    // Elements whose arguments are none: how each failed is told, in maps within maps.
    let step = call_step(number_of("length"), &[inline(&[0xff; 50_000])]);
    let mut nested = program(Policy::Collect, &[step], &operand(Base::Step(0), &WHOLE));
    let inner = map_step_over_elements(&nested);
    nested = program(Policy::Fail, &[inner], &operand(Base::Step(0), &WHOLE));
    calls.push(Call::map(peer.next_id(), grid, &nested, &[]));
    let step = call_step(number_of("fail"), &[operand_slot(Base::Element, &WHOLE)]);
    let failing = program(Policy::Fail, &[step], &operand(Base::Step(0), &WHOLE));
    calls.push(Call::map(peer.next_id(), grid, &failing, &[]));
    // A chain that fails at its start.
    let mut last = peer.next_id();
    calls.push(Call::new(last, number_of("fail"), &[inline(&[1])]).kept().unwanted());
    for _ in 0..CHAIN + 10 {
        let id = peer.next_id();
        calls.push(Call::new(id, number_of("same"), &[reference(last, &WHOLE)]).kept());
        last = id;
    }
    let deadline = stage.deadline();
    for call in &calls {
        // One at a time: whose text is the longest is to be told.
        let (returned, longest) = (peer.seen.returns, peer.seen.text_max);
        peer.call(call).await?;
        let is_parked = !peer.read_returns(returned + 1, Instant::now() + super::PARKED).await;
        if peer.seen.text_max > longest.max(4_096) {
            let failure: String = peer.seen.failure.chars().take(60).collect();
            stage.note(format!("{} bytes: {failure}", peer.seen.text_max));
        }
        if (is_parked && peer.is_closed) || Instant::now() >= deadline {
            break;
        }
    }
    stage.note(format!("{} of {} calls returned", peer.seen.returns, calls.len()));
    stage.check("bytes of a refusal", peer.seen.text_max as f64, 4_096.0);
    Ok(())
}

/// A step that maps over the element.
fn map_step_over_elements(program: &[u8]) -> Vec<u8> {
    super::wire::map_step(&operand(Base::Element, &WHOLE), &[], program)
}
