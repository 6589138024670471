//! Draws the sequence of a call: the call, its result, the items of streams, and later calls of objects.
//!
//! Clients are on the left and servers on the right, even if the server calls. A call to the server that only returns a
//! value has no picture.

use maud::{Markup, html};

use super::{
    atlas::{At, Atlas},
    markdown::shortened,
    phrases::type_name,
};
use crate::description::{Method, Service, Side, Type};

const WIDTH: usize = 440;
const LEFT: usize = 56;
const RIGHT: usize = 384;
const TOP: usize = 52;
const STEP: usize = 42;
/// The number of characters that fit between the lanes.
const LABEL_MAX: usize = 38;
/// The maximum number of streams and objects that are drawn; the others are counted.
const CARRIED_MAX: usize = 6;

/// The side that an arrow starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum From {
    Caller,
    Callee,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Call,
    Return,
    /// The items of a stream.
    Items,
    /// A later call on an object that was passed.
    Later,
}

/// An arrow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) from: From,
    pub(super) kind: Kind,
    pub(super) label: String,
}

/// The arrows of a method, in order, and the number of streams and objects without an arrow.
pub(super) fn steps(atlas: &Atlas<'_>, service: &Service, method: &Method) -> (Vec<Step>, usize) {
    let given: Vec<&Type> =
        method.arguments.iter().flat_map(|argument| atlas.carried(&argument.value.ty)).collect();
    let returned = atlas.carried(&method.result.ty);
    if given.is_empty() && returned.is_empty() && service.implemented_by == Side::Server {
        return (Vec::new(), 0);
    }
    let mut steps = vec![Step { from: From::Caller, kind: Kind::Call, label: call_label(method) }];
    let left_out = (given.len() + returned.len()).saturating_sub(CARRIED_MAX);
    let given = given.into_iter().map(|ty| (ty, From::Caller));
    let returned = returned.into_iter().map(|ty| (ty, From::Callee));
    let mut later = Vec::new();
    for (ty, holder) in given.chain(returned).take(CARRIED_MAX) {
        later.push(carried_step(atlas, ty, holder));
    }
    if !method.oneway {
        let label = match &method.result.ty {
            Type::Unit => "done".to_owned(),
            ty => type_name(atlas, ty),
        };
        let answer = Step { from: From::Callee, kind: Kind::Return, label };
        // Objects and streams in arguments can be used before the method returns, those in results only afterwards.
        let first_of_result = later.iter().position(|step| match step.kind {
            Kind::Items => step.from == From::Callee,
            _ => step.from == From::Caller,
        });
        later.insert(first_of_result.unwrap_or(later.len()), answer);
    }
    steps.extend(later);
    (steps, left_out)
}

/// The arrow of a passed stream or object: items flow from the side that has the stream; the receiver of an object calls it.
fn carried_step(atlas: &Atlas<'_>, ty: &Type, holder: From) -> Step {
    let other = if holder == From::Caller { From::Callee } else { From::Caller };
    match ty {
        Type::Stream { item, .. } => {
            let item = type_name(atlas, item);
            Step { from: holder, kind: Kind::Items, label: format!("{item}, {item}, …") }
        }
        ty => Step { from: other, kind: Kind::Later, label: object_label(atlas, ty) },
    }
}

fn object_label(atlas: &Atlas<'_>, ty: &Type) -> String {
    let name = type_name(atlas, ty);
    let methods = match ty {
        Type::Object(service) => atlas.service(service).map_or(&[][..], |(_, service)| &service.methods),
        _ => &[],
    };
    match methods {
        [] => name,
        [only] => format!("{name}.{}(…)", only.trait_name()),
        [first, ..] => format!("{name}.{}(…), …", first.trait_name()),
    }
}

fn call_label(method: &Method) -> String {
    let names: Vec<&str> = method.arguments.iter().map(|argument| argument.name.as_str()).collect();
    format!("{}({})", method.trait_name(), names.join(", "))
}

/// The labels of the left and the right lane, and whether the caller is on the left.
pub(super) fn lanes(service: &Service) -> (&'static str, &'static str, bool) {
    match service.implemented_by {
        Side::Server => ("Client", "Server", true),
        Side::Client => ("Client", "Server", false),
        Side::Both => ("Caller", "Callee", true),
    }
}

/// Renders the picture; empty for a method without streams and objects.
pub(super) fn render(atlas: &Atlas<'_>, at: At) -> Markup {
    let (service, method) = atlas.method(at);
    let (steps, left_out) = steps(atlas, service, method);
    if steps.is_empty() {
        return html! {};
    }
    let (left, right, caller_is_left) = lanes(service);
    let height = TOP + steps.len() * STEP + 6;
    let words = in_words(&steps, left, right, caller_is_left);
    html! {
        figure class="sequence" {
            svg viewBox={ "0 0 " (WIDTH) " " (height) } width=(WIDTH) height=(height) role="img" aria-label=(words) {
                (lane(LEFT, left, height))
                (lane(RIGHT, right, height))
                @for (at, step) in steps.iter().enumerate() {
                    (arrow(step, TOP + at * STEP + 20, (step.from == From::Caller) == caller_is_left))
                }
            }
            figcaption {
                (caption(&steps, service.implemented_by))
                @if left_out > 0 { " " (left_out) " more streams and objects are not drawn." }
            }
        }
    }
}

fn in_words(steps: &[Step], left: &str, right: &str, caller_is_left: bool) -> String {
    let sentence = |step: &Step| {
        let (from, to) =
            if (step.from == From::Caller) == caller_is_left { (left, right) } else { (right, left) };
        let what = match step.kind {
            Kind::Call => "calls",
            Kind::Return => "returns",
            Kind::Items => "streams",
            Kind::Later => "may then call",
        };
        format!("{from} to {to}: {what} {}", step.label)
    };
    steps.iter().map(sentence).collect::<Vec<_>>().join("; ")
}

fn caption(steps: &[Step], side: Side) -> &'static str {
    let has = |kind: Kind| steps.iter().any(|step| step.kind == kind);
    match (has(Kind::Items), has(Kind::Later)) {
        (true, true) => {
            "Items flow as fast as their reader takes them; objects can be called until they are dropped."
        }
        (true, false) => "Items flow as fast as their reader takes them, until one side ends the stream.",
        (false, false) if side == Side::Client => "The server calls, and your client runs the method.",
        (false, false) => "Either side may call; the other runs the method.",
        (false, true) => {
            "The object can be called until its last client is dropped; calls can be made before it is here."
        }
    }
}

fn lane(x: usize, name: &str, height: usize) -> Markup {
    html! {
        line class="lane" x1=(x) y1="32" x2=(x) y2=(height) {}
        rect class="lane-head" x=(x - 44) y="6" width="88" height="26" rx="7" {}
        text class="lane-name" x=(x) y="23" text-anchor="middle" { (name) }
    }
}

fn arrow(step: &Step, y: usize, is_rightward: bool) -> Markup {
    let class = match step.kind {
        Kind::Call => "call",
        Kind::Return => "return",
        Kind::Items => "items",
        Kind::Later => "later",
    };
    let (start, end) = if is_rightward { (LEFT + 5, RIGHT - 7) } else { (RIGHT - 5, LEFT + 7) };
    let back = if is_rightward { end - 8 } else { end + 8 };
    html! {
        g class={ "step " (class) } {
            text x=(WIDTH / 2) y=(y - 7) text-anchor="middle" { (shortened(&step.label, LABEL_MAX)) }
            line x1=(start) y1=(y) x2=(end) y2=(y) {}
            polygon points={ (end) "," (y) " " (back) "," (y - 4) " " (back) "," (y + 4) } {}
            @if step.kind == Kind::Items {
                @for dot in 1..4 { circle cx=(LEFT + (RIGHT - LEFT) * dot / 4) cy=(y) r="3.5" {} }
            }
            @if step.kind == Kind::Later {
                rect x=(if is_rightward { LEFT - 5 } else { RIGHT - 5 }) y=(y - 5) width="10" height="10" rx="2" {}
            }
        }
    }
}

#[cfg(test)]
mod tests;
