//! Attacks at the door, by slowness and by numbers: connections, handshakes, payloads that never end.

use std::{
    collections::VecDeque,
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use futures::future::join_all;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, sleep, sleep_until, timeout},
};

use super::{
    peer::{Door, MOVED, Peer, REQUEST, Reading},
    service::number_of,
    stage::Stage,
    wire::{Call, Frames, inline, number},
};
use crate::Failure;

/// Chunks of an argument that is not completed.
const PENDING_CHUNKS: usize = 60;
const CROWD: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 9));

/// Payloads are announced and then come in by single bytes.
pub(super) async fn slow_payloads(stage: &mut Stage) -> Result<(), Failure> {
    const LAST: Duration = Duration::from_secs(50);
    const AT_MOST: f64 = 40.0;
    stage.begin().await?;
    let mut peer = stage.peer().await?;
    let mut frames = Frames::default();
    for id in 1..=2 {
        frames.announce(id, number_of("park_bytes"), peer.offer.payload);
        frames.chunk(id, &[7]);
    }
    peer.send_frames(&frames).await?;
    let start = Instant::now();
    while start.elapsed() < LAST && !peer.is_closed && peer.seen.goodbye.is_none() {
        let next = Instant::now() + Duration::from_millis(4_500);
        let mut frames = Frames::default();
        frames.chunk(1, &[7]);
        frames.chunk(2, &[7]);
        if peer.send_frames(&frames).await.is_err() {
            break;
        }
        // A call that is refused for slowness has ended as well.
        while Instant::now() < next && !peer.is_closed && peer.seen.returns < 2 {
            if peer.read_until(next).await.is_err() {
                break;
            }
        }
        if peer.seen.returns >= 2 {
            break;
        }
    }
    if start.elapsed() >= LAST {
        stage.note("it was not ended at all");
    }
    stage.check("s until it was ended", start.elapsed().as_secs_f64(), AT_MOST);
    Ok(())
}

/// A request that takes nearly all of the time there is, and then no hello.
pub(super) async fn no_hello(stage: &mut Stage) -> Result<(), Failure> {
    stage.begin().await?;
    let start = Instant::now();
    let mut stream = stage.door().connect().await?;
    let slow = super::HELLO_TIMEOUT * 9 / 10;
    for part in REQUEST.chunks(REQUEST.len().div_ceil(9)) {
        sleep(slow / 9).await;
        stream.write_all(part).await?;
    }
    MOVED.add(REQUEST.len(), 0);
    let mut bytes = Vec::new();
    let ended = timeout(4 * super::HELLO_TIMEOUT, stream.read_to_end(&mut bytes)).await;
    if ended.is_err() {
        stage.note("it was not ended at all");
    }
    let at_most = (super::HELLO_TIMEOUT + Duration::from_secs(1)).as_secs_f64();
    stage.check("s until it was ended", start.elapsed().as_secs_f64(), at_most);
    Ok(())
}

/// As many sessions from one address as there can be; another address wants to come in.
pub(super) async fn one_address(stage: &mut Stage, connections: usize) -> Result<(), Failure> {
    const AT_ONCE: usize = 64;
    stage.begin().await?;
    let door = stage.door_from(CROWD);
    let deadline = Instant::now() + Duration::from_secs(if stage.is_quick { 6 } else { 18 });
    let crowd = async |count: usize| {
        let (mut peers, mut is_refused) = (Vec::new(), false);
        while peers.len() < count && !is_refused && Instant::now() < deadline {
            let greeting = Peer::greet(&door, Frames::hello(door.offer));
            match timeout(Duration::from_secs(2), greeting).await {
                Ok(Ok(peer)) => peers.push(peer),
                // There is no room, or none for this address.
                _ => is_refused = true,
            }
        }
        (peers, is_refused)
    };
    let crowds = join_all((0..AT_ONCE).map(|_| crowd(connections.div_ceil(AT_ONCE)))).await;
    let inside: usize = crowds.iter().map(|(peers, _)| peers.len()).sum();
    stage.note(format!("{inside} of {connections} sessions from one address"));
    // A crowd that found room to the end has not filled the place, and shows nothing.
    let is_refused = crowds.iter().any(|(_, is_refused)| *is_refused);
    let missing = if is_refused { 0 } else { connections.saturating_sub(inside) };
    stage.check("sessions for which the time was too short", missing as f64, 0.0);
    // More of them wait at the door.
    let waiting: Vec<_> =
        join_all((0..32).map(|_| timeout(Duration::from_millis(100), door.connect()))).await;
    let start = Instant::now();
    let call = async {
        let prey = stage.watch().await?;
        prey.echo(1, "from elsewhere").await?;
        Ok::<_, Failure>(())
    };
    if !matches!(timeout(Duration::from_secs(3), call).await, Ok(Ok(()))) {
        stage.note("another address was not served at all");
    }
    stage.check("ms for another address", start.elapsed().as_secs_f64() * 1e3, 250.0);
    drop((waiting, crowds));
    Ok(())
}

/// Thousands of connections a second that say nothing, from one address, while slow clients come in from others.
pub(super) async fn bare_connects(stage: &mut Stage) -> Result<(), Failure> {
    const A_SECOND: u32 = 4_000;
    const HONEST: u8 = 15;
    /// Held at once; older ones are given up, if the server has not.
    const HELD: usize = 6_000;
    stage.begin().await?;
    // Of an address of its own in each run: ports that were used a moment ago are not free.
    let from = Ipv4Addr::new(127, 0, 3, 1 + (std::process::id() % 250) as u8);
    let (door, stage_door) = (stage.door_from(from.into()), stage.door());
    let time = Duration::from_secs(4);
    let flood = async {
        let (start, mut opened) = (Instant::now(), 0);
        let mut held = VecDeque::new();
        while start.elapsed() < time {
            for stream in join_all((0..40).map(|_| door.connect())).await.into_iter().flatten() {
                opened += 1;
                held.push_back(stream);
            }
            while held.len() > HELD {
                held.pop_front();
            }
            sleep_until(start + Duration::from_secs(1) * opened / A_SECOND).await;
        }
        opened
    };
    let honest = async |index: u8| {
        // They arrive while the flood is on.
        sleep(Duration::from_millis(300 + 80 * u64::from(index))).await;
        let door = Door { from: Ipv4Addr::new(127, 0, 1, index + 1).into(), ..stage_door };
        let mut stream = door.connect().await?;
        let (first, rest) = REQUEST.split_at(REQUEST.len() / 2);
        stream.write_all(first).await?;
        sleep(Duration::from_secs(2)).await;
        stream.write_all(rest).await?;
        let mut head = [0; 12];
        timeout(Duration::from_secs(3), stream.read_exact(&mut head)).await??;
        Ok::<_, Failure>(head.ends_with(b" 101"))
    };
    let (opened, came) = tokio::join!(flood, join_all((0..HONEST).map(honest)));
    let came = came.into_iter().filter(|came| matches!(came, Ok(true))).count();
    stage.note(format!(
        "{:.0} connects/s, {came} of {HONEST} came in",
        f64::from(opened) / time.as_secs_f64()
    ));
    stage.check("honest clients kept out", (usize::from(HONEST) - came) as f64, 0.0);
    Ok(())
}

/// Sessions that each fill one of their budgets, as they may.
pub(super) async fn many_sessions(stage: &mut Stage) -> Result<(), Failure> {
    let sessions = if stage.is_quick { 150 } else { 2_000 };
    stage.begin().await?;
    let mut peers = Vec::new();
    for index in 0..sessions {
        let from = Ipv4Addr::new(127, 0, 2 + (index / 200) as u8, 1 + (index % 200) as u8);
        let door = Door { from: from.into(), receive_bytes: Some(8 << 10), ..stage.door() };
        let Ok(mut peer) = Peer::meet(&door).await else {
            stage.note(format!("{index} sessions came in"));
            break;
        };
        peer.reading = Reading::Nothing;
        let length = peer.offer.payload - 16;
        let mut frames = Frames::default();
        for _ in 0..2 {
            // Kept results, or results that are not read.
            let argument = [inline(&number(length))];
            frames.call(&match index % 2 {
                0 => Call::new(peer.next_id(), number_of("fresh"), &argument).kept().unwanted(),
                _ => Call::new(peer.next_id(), number_of("bytes"), &argument),
            });
        }
        if index % 3 == 2 {
            // Arguments that are not complete.
            frames = Frames::default();
            for _ in 0..2 {
                frames.announce(peer.next_id(), number_of("park_bytes"), length);
            }
            for part in [60 << 10; PENDING_CHUNKS] {
                frames.chunk(1, &vec![7; part]);
                if peer.send_frames(&std::mem::take(&mut frames)).await.is_err() {
                    break;
                }
            }
        }
        if peer.send_frames(&frames).await.is_ok() {
            peers.push(peer);
        }
    }
    stage.note(format!("{} sessions", peers.len()));
    sleep(stage.hold()).await;
    Ok(())
}
