//! Attacks by maps: types that grow, programs with long arguments, elements that wait.

use std::time::Duration;

use super::{
    peer::{Door, Peer, Reading},
    service::number_of,
    stage::Stage,
    wire::{
        Base, Call, Frames, Offer, Policy, WHOLE, call_step, inline, list, map_step, number, operand,
        operand_slot, program, reference,
    },
};
use crate::Failure;

/// Calls that wait on each other in a row: the limit of public servers, less some.
pub(super) const CHAIN: u64 = 30;
/// Results that a session keeps: the limit of public servers, less some.
const KEPT: u64 = 480;

/// A program that wraps what it makes of an element, itself a list, in so many more types.
fn wrapping(levels: u64) -> Vec<u8> {
    let each = program(Policy::Collect, &[], &operand(Base::Element, &WHOLE));
    let base = |step: u64| step.checked_sub(1).map_or(Base::Element, Base::Step);
    let steps: Vec<_> = (0..levels).map(|step| map_step(&operand(base(step), &WHOLE), &[], &each)).collect();
    program(Policy::Fail, &steps, &operand(base(levels), &WHOLE))
}

/// What becomes of the results that a grown one was made of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Earlier {
    Kept,
    /// But for the last ones.
    Released,
}

/// Results that are kept where the earlier ones are not.
const LAST: u64 = 12;

/// Makes results whose types grow, each by a map over the one before; the call with the last.
async fn grow(
    stage: &mut Stage,
    peer: &mut Peer,
    rows: u64,
    kept: u64,
    levels: u64,
    earlier: Earlier,
) -> Result<u64, Failure> {
    let first = peer.next_id();
    let grid = [inline(&number(rows)), inline(&number(rows))];
    peer.call(&Call::new(first, number_of("grid"), &grid).kept().unwanted()).await?;
    let deadline = stage.deadline();
    let program = wrapping(levels);
    // The grid returns as well.
    if !peer.read_returns(peer.seen.returns + 1, deadline).await {
        return Err("a small result is not there in time".into());
    }
    let (mut source, mut made, mut all_ran) = (first, 0, 0);
    while made < kept {
        let (ran, returned) = (peer.seen.ran, peer.seen.returns);
        let count = CHAIN.min(kept - made);
        let mut frames = Frames::default();
        for index in 0..count {
            let id = peer.next_id();
            frames.call(&Call::map(id, source, &program, &[]).kept().unwanted());
            let is_early = made + index + LAST < kept;
            if earlier == Earlier::Released && source != first && is_early {
                frames.release(source);
            }
            source = id;
        }
        peer.send_frames(&frames).await?;
        made += count;
        if !peer.read_returns(returned + count, deadline).await {
            stage.note(format!("{} of {made} maps had returned in time", peer.seen.returns));
            break;
        }
        let grown = peer.seen.ran - ran;
        all_ran += grown;
        if grown < count {
            // The last that ran is too large, or there is no room for more: from the start.
            stage.note(format!("refused: {}", peer.seen.failure.chars().take(60).collect::<String>()));
            if grown == 0 {
                break;
            }
            source = first;
        }
    }
    stage.note(format!("{all_ran} of {made} maps over maps ran"));
    Ok(source)
}

/// Each map over the kept result of the map before; each adds so many levels to the type.
pub(super) async fn of_maps(stage: &mut Stage, levels: u64) -> Result<(), Failure> {
    stage.begin().await?;
    let mut peer = stage.peer().await?;
    let kept = stage.much(KEPT);
    grow(stage, &mut peer, 1, kept, levels, Earlier::Kept).await?;
    peer.stay(stage.hold()).await;
    Ok(())
}

/// Types that grew over empty lists, and calls that they do not fit.
pub(super) async fn misfits(stage: &mut Stage) -> Result<(), Failure> {
    let mut peers = Vec::new();
    // Types are as large as they may become.
    let kept = 456;
    for _ in 0..2 {
        let mut peer = stage.peer().await?;
        let grown = grow(stage, &mut peer, 0, kept, 1, Earlier::Released).await?;
        peers.push((peer, grown));
    }
    stage.begin().await?;
    for (peer, grown) in &mut peers {
        let mut frames = Frames::default();
        for before in 0..LAST {
            let id = peer.next_id();
            frames.call(&Call::new(id, number_of("same"), &[reference(*grown - before, &WHOLE)]));
        }
        peer.send_frames(&frames).await?;
    }
    for (peer, _) in &mut peers {
        let (returned, deadline) = (peer.seen.returns, stage.deadline());
        if !peer.read_returns(returned + LAST, deadline).await {
            stage.note("calls that do not fit had not returned in time");
        }
    }
    let longest = peers.iter().map(|(peer, _)| peer.seen.text_max).max().unwrap_or(0);
    stage.check("bytes of a refusal", longest as f64, 4_096.0);
    Ok(())
}

/// Maps that make of each element a long result that they were given: some bytes ask for many.
pub(super) async fn long_captures(stage: &mut Stage) -> Result<(), Failure> {
    stage.begin().await?;
    let mut peer = stage.peer().await?;
    let (source, long) = (peer.next_id(), peer.next_id());
    let length = peer.offer.payload / 128;
    let mut frames = Frames::default();
    frames.call(&Call::new(source, number_of("numbers"), &[inline(&number(100))]).kept().unwanted());
    frames.call(&Call::new(long, number_of("fresh"), &[inline(&number(length))]).kept().unwanted());
    peer.send_frames(&frames).await?;
    let program = program(Policy::Fail, &[], &operand(Base::Capture(0), &WHOLE));
    let deadline = stage.deadline();
    for _ in 0..stage.much(20) {
        let (mut frames, returned) = (Frames::default(), peer.seen.returns);
        for _ in 0..200 {
            let map = Call::map(peer.next_id(), source, &program, &[reference(long, &WHOLE)]);
            frames.call(&map.unwanted());
        }
        peer.send_frames(&frames).await?;
        if !peer.read_returns(returned + 200, deadline).await {
            break;
        }
    }
    stage.note(format!("{} of {} calls ran; {}", peer.seen.ran, peer.seen.returns, peer.seen.failure));
    Ok(())
}

/// A long argument in a program, which each element has anew.
pub(super) async fn long_argument(stage: &mut Stage) -> Result<(), Failure> {
    stage.begin().await?;
    let mut peers = Vec::new();
    for _ in 0..2 {
        let mut peer = stage.peer().await?;
        let length = (peer.offer.payload / 2).min(4 << 20) as usize;
        let numbers = list(length, 7);
        let slots = [operand_slot(Base::Element, &WHOLE), inline(&numbers)];
        let step = call_step(number_of("with_numbers"), &slots);
        let program = program(Policy::Fail, &[step], &operand(Base::Step(0), &WHOLE));
        let source = peer.next_id();
        peer.call(&Call::new(source, number_of("numbers"), &[inline(&number(999))]).kept().unwanted())
            .await?;
        let id = peer.next_id();
        peer.call(&Call::map(id, source, &program, &[])).await?;
        peers.push(peer);
    }
    for peer in &mut peers {
        peer.stay(Duration::from_millis(500)).await;
    }
    Ok(())
}

/// Maps over streams return at once; what their elements call does not count as calls, and waits.
pub(super) async fn over_streams(stage: &mut Stage) -> Result<(), Failure> {
    stage.begin().await?;
    let watch = stage.watch().await?;
    let offer = Offer { streams: 1 << 40, ..Offer::GENEROUS };
    let mut peer = Peer::meet(&Door { offer, ..stage.door() }).await?;
    let step = call_step(number_of("park"), &[operand_slot(Base::Element, &WHOLE)]);
    let program = program(Policy::Fail, &[step], &operand(Base::Step(0), &WHOLE));
    let (maps, deadline) = (stage.much(2_000), stage.deadline());
    let mut sent = 0;
    while sent < maps {
        let mut frames = Frames::default();
        for _ in 0..50 {
            let (source, map) = (peer.next_id(), peer.next_id());
            frames.call(&Call::new(source, number_of("items"), &[]).kept().unwanted());
            frames.call(&Call::map(map, source, &program, &[]));
            frames.release(source);
        }
        let returned = peer.seen.returns;
        peer.send_frames(&frames).await?;
        sent += 50;
        if !peer.read_returns(returned + 100, deadline).await {
            break;
        }
    }
    peer.stay(stage.hold()).await;
    let (_, most) = watch.parked().await?;
    stage.note(format!("{} of {} calls ran", peer.seen.ran, 2 * sent));
    stage.check("handlers at work", most as f64, peer.offer.calls as f64);
    drop(watch);
    peer.reading = Reading::Nothing;
    Ok(())
}
