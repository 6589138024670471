//! Attacks by streams: a peer that takes any number of them, and reads none or little.

use super::{
    peer::{Door, Peer},
    service::number_of,
    stage::Stage,
    wire::{Call, Frames, Offer},
};
use crate::Failure;

/// Opens as many streams as it can, as a peer that offers to take any number.
pub(super) async fn any_number(stage: &mut Stage, method: &str, credit: u64) -> Result<(), Failure> {
    stage.begin().await?;
    let offer = Offer { streams: 1 << 40, window: 1 << 40, credit, ..Offer::GENEROUS };
    let mut peer = Peer::meet(&Door { offer, ..stage.door() }).await?;
    let (wanted, deadline) = (stage.much(600_000), stage.deadline());
    let mut sent = 0;
    while sent < wanted {
        let mut frames = Frames::default();
        for _ in 0..120 {
            frames.call(&Call::new(peer.next_id(), number_of(method), &[]));
        }
        peer.send_frames(&frames).await?;
        sent += 120;
        // Two messages are under way.
        if sent > 120 && !peer.read_returns(sent - 120, deadline).await {
            break;
        }
        peer.seen.streams.clear();
    }
    stage.note(format!("{} of {sent} calls ran", peer.seen.ran));
    if !peer.seen.failure.is_empty() {
        stage.note(format!("last refusal: {}", peer.seen.failure));
    }
    peer.stay(stage.hold() / 2).await;
    Ok(())
}
