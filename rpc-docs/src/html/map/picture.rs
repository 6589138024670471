//! Draws the map as an SVG, with a legend and a table of the same flows.

use std::{collections::BTreeSet, fmt::Write as _};

use maud::{Markup, html};

use super::{
    super::{
        atlas::{At, Atlas},
        markdown::shortened,
        phrases::{counted, sinks, sources, type_markup},
    },
    Curve, End, Map, plan,
};
use crate::description::Side;

const CARD_WIDTH: usize = 200;
const COLUMN_GAP: usize = 136;
const CARD_GAP: usize = 22;
const MARGIN: usize = 72;
const HEAD: usize = 38;
const ROW: usize = 25;
/// The maximum number of cards in a column; further cards of the same depth make another column.
const CARDS_IN_COLUMN_MAX: usize = 8;
/// The number of characters that fit into a row, and into a card's head.
const ROW_LETTERS: usize = 23;
const HEAD_LETTERS: usize = 20;
/// The number of colours; curves of further types are dashed.
const HUES: usize = 8;
/// The distance between lanes, below the cards and beside them.
const LANE_BELOW: usize = 9;
const LANE_ASIDE: usize = 5;
/// The room below the last lane, and the radius of its corners.
const LANES_FOOT: usize = 14;
const CORNER: usize = 8;
/// The maximum number of types in the table.
const TABLE_ROWS_MAX: usize = 150;

/// The position of a card.
struct Card {
    service: usize,
    x: usize,
    y: usize,
    height: usize,
}

struct Layout {
    cards: Vec<Card>,
    /// The colours that have a lane below the cards, the innermost first.
    lanes: Vec<usize>,
    width: usize,
    height: usize,
}

/// The CSS classes of a type's colour and line style.
fn hue(flow: usize) -> String {
    let dashes = ["", " hue-dashed", " hue-dotted"];
    format!("hue-{}{}", flow % HUES, dashes[flow / HUES % dashes.len()])
}

/// Renders the map's section of the overview; empty for an API without flows.
pub(in super::super) fn render(atlas: &Atlas<'_>) -> Markup {
    let map = plan(atlas);
    if map.flows.is_empty() {
        return html! {};
    }
    html! {
        section id="map" aria-labelledby="map-title" {
            h2 id="map-title" { a class="anchor" href="#map" { "What fits into one round trip" } }
            p class="lead" {
                "A result, or a part of one, can be passed on before it is there. Each curve leads from a result to an argument "
                "it fits, or to an object it gives: both calls leave in one message."
            }
            div class="map-frame" {
                (legend(atlas, &map))
                div class="scroll" role="region" aria-label="The pipelining map" tabindex="0" { (picture(atlas, &map)) }
            }
            p class="small" { (left_out(&map)) }
            (table(atlas, &map))
        }
    }
}

fn legend(atlas: &Atlas<'_>, map: &Map<'_>) -> Markup {
    let is_drawn = |flow: &usize| map.curves.iter().any(|curve| curve.flow == *flow);
    let drawn: Vec<usize> = (0..map.flows.len()).filter(is_drawn).collect();
    html! {
        ul class="legend" aria-label="Types in the picture" {
            @for flow in drawn.iter().take(HUES * 3) {
                li class=(hue(*flow)) data-flow=(flow) { (type_markup(atlas, &map.flows[*flow].ty)) }
            }
            @if drawn.len() > HUES * 3 { li class="more" { "and " (drawn.len() - HUES * 3) " more" } }
        }
    }
}

fn left_out(map: &Map<'_>) -> String {
    let mut text = String::new();
    if !map.has_methods {
        text.push_str("The API is large: the picture joins services instead of methods. ");
    }
    if map.curves_left_out > 0 {
        let _ = write!(text, "{} not drawn; ", counted(map.curves_left_out, "connection"));
        text.push_str("objects and types that fit few places went first. ");
    }
    if map.services_left_out > 0 {
        let _ = write!(text, "{} not drawn. ", counted(map.services_left_out, "service"));
    }
    if map.plain_flows > 0 {
        let _ = write!(
            text,
            "{} (numbers, texts and the like) left out: {} almost anywhere.",
            counted(map.plain_flows, "plain type"),
            if map.plain_flows == 1 { "it fits" } else { "they fit" }
        );
    }
    text
}

fn picture(atlas: &Atlas<'_>, map: &Map<'_>) -> Markup {
    let layout = layout(atlas, map);
    html! {
        svg class="map" viewBox={ "0 0 " (layout.width) " " (layout.height) } width=(layout.width) height=(layout.height)
            role="group" aria-label="Services as cards, with curves from results to what they fit; the table below says the same" {
            @for curve in &map.curves {
                @if let Some(path) = layout.path(map, curve) {
                    path class={ "curve " (hue(curve.flow)) } d=(path) data-flow=(curve.flow)
                        data-from=(node(curve.from)) data-to=(node(curve.to)) { title { (curve.words) } }
                }
            }
            @for card in &layout.cards { (card_markup(atlas, map, card)) }
        }
    }
}

/// Arranges cards in columns by depth; a long column continues in the next one.
fn layout(atlas: &Atlas<'_>, map: &Map<'_>) -> Layout {
    let mut services: Vec<(usize, usize)> =
        map.services.iter().map(|at| (atlas.depth(*at).unwrap_or(usize::MAX), *at)).collect();
    services.sort_unstable();
    let mut layout = Layout { cards: Vec::new(), lanes: Vec::new(), width: 0, height: 0 };
    let (mut x, mut y, mut in_column, mut last_depth) = (MARGIN, 16, 0, None);
    for (depth, service) in services {
        let is_full = in_column == CARDS_IN_COLUMN_MAX;
        if last_depth.is_some_and(|last| last != depth || is_full) {
            (x, y, in_column) = (x + CARD_WIDTH + COLUMN_GAP, 16, 0);
        }
        let rows = if map.has_methods { atlas.description.services[service].methods.len() } else { 0 };
        let height = HEAD + rows * ROW + if rows > 0 { 8 } else { 0 };
        layout.cards.push(Card { service, x, y, height });
        layout.height = layout.height.max(y + height + CARD_GAP);
        y += height + CARD_GAP;
        (in_column, last_depth) = (in_column + 1, Some(depth));
    }
    layout.width = x + CARD_WIDTH + MARGIN;
    layout.find_lanes(map);
    layout
}

impl Layout {
    fn card(&self, service: usize) -> Option<&Card> {
        self.cards.iter().find(|card| card.service == service)
    }

    /// The path of a curve, from the right of a result to the left of the argument that it fits. A curve that leads back, or stays
    /// in its column, takes a lane below all cards. Curves of one colour share a lane, so many of them are one line with branches.
    fn path(&self, map: &Map<'_>, curve: &Curve) -> Option<String> {
        let (from, to) = (self.card(curve.from.service())?, self.card(curve.to.service())?);
        let (x1, y1) = (from.x + CARD_WIDTH, from.row_y(map, curve.from));
        let (x2, y2) = (to.x, to.row_y(map, curve.to));
        if x2 > x1 {
            let bend = ((x2 - x1) / 2).max(48);
            return Some(format!("M{x1} {y1}C{} {y1} {} {y2} {x2} {y2}", x1 + bend, x2.saturating_sub(bend)));
        }
        let lane = self.lanes.iter().position(|hue| *hue == curve.flow % HUES)?;
        let (out, back) = (x1 + 16 + lane * LANE_ASIDE, x2 - 16 - lane * LANE_ASIDE);
        let below = self.height - LANES_FOOT - (self.lanes.len() - 1 - lane) * LANE_BELOW;
        let r = CORNER;
        Some(format!(
            "M{x1} {y1}H{}Q{out} {y1} {out} {}V{}Q{out} {below} {} {below}H{}Q{back} {below} {back} {}V{}Q{back} {y2} {} {y2}H{x2}",
            out - r,
            y1 + r,
            below - r,
            out - r,
            back + r,
            below - r,
            y2 + r,
            back + r,
        ))
    }

    /// Gives each colour of curves that lead back a lane.
    fn find_lanes(&mut self, map: &Map<'_>) {
        let leads_back = |curve: &&Curve| {
            let ends = self.card(curve.from.service()).zip(self.card(curve.to.service()));
            ends.is_some_and(|(from, to)| to.x <= from.x)
        };
        let hues: BTreeSet<usize> =
            map.curves.iter().filter(leads_back).map(|curve| curve.flow % HUES).collect();
        self.lanes = hues.into_iter().collect();
        if !self.lanes.is_empty() {
            self.height += self.lanes.len() * LANE_BELOW;
        }
    }
}

impl Card {
    fn row_y(&self, map: &Map<'_>, end: End) -> usize {
        match end {
            End::Method(at) if map.has_methods => self.y + HEAD + at.method * ROW + ROW / 2,
            _ => self.y + HEAD / 2,
        }
    }
}

fn card_markup(atlas: &Atlas<'_>, map: &Map<'_>, card: &Card) -> Markup {
    let service = &atlas.description.services[card.service];
    let is_client = service.implemented_by == Side::Client;
    let head = End::Service(card.service);
    html! {
        g class=(if is_client { "card client" } else { "card" }) {
            rect class="card-body" x=(card.x) y=(card.y) width=(CARD_WIDTH) height=(card.height) rx="10" {}
            a class="node head" href=(atlas.service_file(card.service)) data-node=(node(head)) {
                rect class="hit" x=(card.x + 1) y=(card.y + 1) width=(CARD_WIDTH - 2) height=(HEAD - 2) rx="9" {}
                text x=(card.x + 14) y=(card.y + 24) { (shortened(service.trait_name(), HEAD_LETTERS)) }
            }
            (ports(map, head, card.x, card.y + HEAD / 2))
            @if map.has_methods && !service.methods.is_empty() {
                line class="rule" x1=(card.x) y1=(card.y + HEAD) x2=(card.x + CARD_WIDTH) y2=(card.y + HEAD) {}
                @for method in 0..service.methods.len() { (row(atlas, map, card, At { service: card.service, method })) }
            }
        }
    }
}

fn row(atlas: &Atlas<'_>, map: &Map<'_>, card: &Card, at: At) -> Markup {
    let (_, method) = atlas.method(at);
    let middle = card.row_y(map, End::Method(at));
    let end = End::Method(at);
    let is_used = map.curves.iter().any(|curve| curve.from == end || curve.to == end);
    html! {
        a class=(if is_used { "node" } else { "node unused" }) href=(atlas.method_link(at)) data-node=(node(end)) {
            rect class="hit" x=(card.x + 4) y=(middle - ROW / 2 + 1) width=(CARD_WIDTH - 8) height=(ROW - 2) rx="5" {}
            text x=(card.x + 14) y=(middle + 4) { (shortened(method.trait_name(), ROW_LETTERS)) }
        }
        (ports(map, end, card.x, middle))
    }
}

/// The dots where curves arrive and leave, in the colour of the first curve.
fn ports(map: &Map<'_>, end: End, x: usize, y: usize) -> Markup {
    let arriving = map.curves.iter().find(|curve| curve.to == end);
    let leaving = map.curves.iter().find(|curve| curve.from == end);
    html! {
        @if let Some(curve) = arriving { circle class={ "port hue-" (curve.flow % HUES) } cx=(x) cy=(y) r="4" {} }
        @if let Some(curve) = leaving { circle class={ "port hue-" (curve.flow % HUES) } cx=(x + CARD_WIDTH) cy=(y) r="4" {} }
    }
}

fn node(end: End) -> String {
    match end {
        End::Service(service) => format!("{service}"),
        End::Method(at) => format!("{}.{}", at.service, at.method),
    }
}

fn table(atlas: &Atlas<'_>, map: &Map<'_>) -> Markup {
    let is_long = map.flows.len() > 12;
    let rest = map.flows.len().saturating_sub(TABLE_ROWS_MAX);
    html! {
        details class="facts" open[!is_long] {
            summary { "The same as a table: " (counted(map.flows.len(), "type")) }
            div class="scroll" {
                table class="stacked" {
                    thead { tr { th scope="col" { "Type" } th scope="col" { "Comes from" } th scope="col" { "Fits" } } }
                    tbody {
                        @for flow in map.flows.iter().take(TABLE_ROWS_MAX) {
                            tr {
                                th scope="row" { (type_markup(atlas, &flow.ty)) }
                                td data-label="Comes from" { (sources(atlas, flow)) }
                                td data-label="Fits" { (sinks(atlas, flow)) }
                            }
                        }
                    }
                }
            }
            @if rest > 0 { p class="small" { (counted(rest, "type")) " more: see the methods." } }
        }
    }
}
