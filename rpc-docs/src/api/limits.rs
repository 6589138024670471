//! The limits of a server that callers can reach, in words.

use rpc_core::Limits;

use crate::description::CallerLimit;

/// The limits for callers, the likeliest to be reached first.
pub(super) fn of_callers(limits: &Limits) -> Vec<CallerLimit> {
    let refused = "is refused with `ResourceExhausted`";
    let limit =
        |name: &str, value: String, meaning: String| CallerLimit { name: name.into(), value, meaning };
    vec![
        limit(
            "payload_bytes_max",
            bytes(limits.payload_bytes_max),
            format!("The largest argument list or result; a larger one {refused}."),
        ),
        limit(
            "calls_max",
            count(limits.calls_max, "calls"),
            format!("Calls of one session that may be unfinished at once; one more {refused}."),
        ),
        limit(
            "pending_bytes_max",
            bytes(limits.pending_bytes_max),
            format!(
                "Arguments of one session that wait for their calls to start; a call above it {refused}."
            ),
        ),
        limit(
            "session_bytes_max",
            bytes(limits.session_bytes_max),
            format!(
                "What the server keeps for one session in all: arguments until their calls are done, kept results, what \
                 waits to be sent; a call above it {refused}."
            ),
        ),
        limit(
            "work_per_second",
            duration(limits.work_per_second),
            format!(
                "Processor time for one session that its few bytes do not pay for, such as searching long results and \
                 running maps; a call above it {refused}, which says when to try again."
            ),
        ),
        limit(
            "held_answers_max",
            count(limits.held_answers_max, "results"),
            format!(
                "Results that are kept because a promise of them may be passed on; a call for one more {refused}."
            ),
        ),
        limit(
            "held_bytes_max",
            bytes(limits.held_bytes_max),
            format!("The size of those results together; a call that exceeds it {refused}."),
        ),
        limit(
            "chain_depth_max",
            count(limits.chain_depth_max, "calls"),
            format!("How many calls may wait on each other in a row; a longer chain {refused}."),
        ),
        limit(
            "map_calls_max",
            count(limits.map_calls_max, "calls"),
            format!("Calls that one `map` may make; one that would make more {refused}."),
        ),
        limit(
            "streams_max",
            count(limits.streams_max, "streams"),
            format!("Streams of one session that may be open at once; a call that opens one more {refused}."),
        ),
        limit(
            "stream_stall",
            duration(limits.stream_stall),
            "How long items of a stream may wait for a reader that takes none; then it ends with `ResourceExhausted`.".into(),
        ),
        limit(
            "imports_max",
            count(limits.imports_max, "objects"),
            format!(
                "Objects of a client that the server holds at once; a call that brings one more {refused}."
            ),
        ),
        limit(
            "exports_max",
            count(limits.exports_max, "objects"),
            format!("Objects of the server that one session holds at once; a call for one more {refused}."),
        ),
        limit(
            "decode_depth_max",
            count(limits.decode_depth_max, "levels"),
            "How deep values may nest; a deeper one fails to be decoded.".into(),
        ),
        limit(
            "deadline_max",
            duration(limits.deadline_max),
            "The longest deadline that counts; a longer one is taken for this.".into(),
        ),
    ]
}

fn bytes(bytes: usize) -> String {
    match bytes {
        usize::MAX => "no limit".into(),
        _ if bytes > 0 && bytes.is_multiple_of(1 << 20) => format!("{} MiB", bytes >> 20),
        _ if bytes > 0 && bytes.is_multiple_of(1 << 10) => format!("{} KiB", bytes >> 10),
        _ => format!("{bytes} bytes"),
    }
}

fn count(count: usize, noun: &str) -> String {
    match count {
        usize::MAX => "no limit".into(),
        _ => format!("{count} {noun}"),
    }
}

fn duration(duration: std::time::Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        _ if duration == std::time::Duration::MAX => "no limit".into(),
        _ if seconds > 0 && seconds.is_multiple_of(3600) => format!("{} h", seconds / 3600),
        _ => format!("{duration:?}"),
    }
}
