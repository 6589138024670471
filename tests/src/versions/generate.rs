//! Makes types, a second version of them that differs in one place, and values of both.

use super::{
    definitions::{Body, Def, Field, Form, Kind, LEAVES, Leaf, Style, Types, Value, Variant},
    dynamic::{KINDS_MAX, PARTS_MAX},
};

/// Numbers that a seed decides (xorshift).
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % bound
    }

    fn chance(&mut self, one_in: usize) -> bool {
        self.below(one_in) == 0
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

const DEFS: [&str; 4] = ["Ash", "Beech", "Cedar", "Fir"];
const FIELDS: [&str; PARTS_MAX] = ["a", "b", "c", "d", "e", "f", "g", "h"];
const VARIANTS: [&str; PARTS_MAX] = ["One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight"];
const FIELD_ALIASES: [&str; 6] = ["aa", "bb", "cc", "zz", "yy", "xx"];
const VARIANT_ALIASES: [&str; 4] = ["Alias", "Other", "Zulu", "Yoke"];

/// Types that refer to each other at will: some have no finite value, most are recursive.
pub(super) fn types(random: &mut Random) -> Types {
    let mut types = Types::default();
    let defs = 1 + random.below(DEFS.len());
    // The kinds of definitions come first, so that everything can refer to them; the outermost is one of them.
    types.kinds = (0..defs).map(Kind::Def).collect();
    for _ in 0..4 + random.below(8) {
        let known = types.kinds.len();
        let kind = match random.below(10) {
            0 => Kind::Option(random.below(known)),
            1 => Kind::Vec(random.below(known)),
            2 => Kind::Map(random.below(known)),
            3 => Kind::Tuple((0..1 + random.below(3)).map(|_| random.below(known)).collect()),
            _ => Kind::Leaf(*random.pick(&LEAVES)),
        };
        types.kinds.push(kind);
    }
    for name in &DEFS[..defs] {
        let body = match random.chance(3) {
            true => Body::Struct(form(random, &types)),
            false => {
                let variant = |name: &&'static str| Variant {
                    name,
                    form: form(random, &types),
                    skip: false,
                    alias: None,
                    written_as: None,
                };
                let names: Vec<_> = VARIANTS[..1 + Random::new(random_seed(&types)).below(5)].to_vec();
                Body::Enum(names.iter().map(variant).collect())
            }
        };
        types.defs.push(Def { name, body });
    }
    types
}

fn random_seed(types: &Types) -> u64 {
    types.kinds.len() as u64 * 31 + types.defs.len() as u64
}

fn form(random: &mut Random, types: &Types) -> Form {
    let style = if random.chance(2) { Style::Named } else { Style::Tuple };
    let count = random.below(4);
    let fields = FIELDS[..count].iter().map(|name| Field {
        name,
        // Leaves are as likely as all else.
        kind: random.below(types.kinds.len()),
        ..Field::default()
    });
    Form { style, fields: fields.collect() }
}

/// A second version that differs in one place, or in none that matters.
pub(super) fn changed(types: &Types, random: &mut Random) -> Types {
    loop {
        let mut other = types.clone();
        if change(&mut other, random) {
            return other;
        }
    }
}

/// False if this change cannot be made.
fn change(types: &mut Types, random: &mut Random) -> bool {
    let change = random.below(17);
    let kinds = types.kinds.len();
    let leaf = random.pick(&LEAVES);
    let other_kind = random.below(kinds);
    if change < 4 {
        let place = random.below(kinds);
        let moved = kinds < KINDS_MAX;
        match (&mut types.kinds[place], change) {
            (Kind::Leaf(old), 0) if old != leaf => *old = *leaf,
            (Kind::Option(part), 1) => types.kinds[place] = Kind::Vec(*part),
            (Kind::Vec(part), 1) => types.kinds[place] = Kind::Option(*part),
            (Kind::Leaf(_), 2) if moved => {
                let inner = std::mem::replace(&mut types.kinds[place], Kind::Option(kinds));
                types.kinds.push(inner);
            }
            (Kind::Tuple(parts), 3) if parts.len() < PARTS_MAX => parts.push(other_kind),
            _ => return false,
        }
        return true;
    }
    let place = random.below(types.defs.len());
    let alias = *random.pick(&FIELD_ALIASES);
    let variant_alias = *random.pick(&VARIANT_ALIASES);
    let can_default: Vec<usize> =
        (0..kinds).filter(|kind| !matches!(types.kinds[*kind], Kind::Tuple(_) | Kind::Def(_))).collect();
    let can_be_skipped_if: Vec<usize> = (0..kinds)
        .filter(|kind| matches!(types.kinds[*kind], Kind::Option(_) | Kind::Vec(_) | Kind::Leaf(Leaf::Text)))
        .collect();
    if let (Body::Enum(variants), 4..8) = (&mut types.defs[place].body, change) {
        let count = variants.len();
        let index = random.below(count);
        match change {
            4 if count > 1 => variants.swap(index, (index + 1) % count),
            5 => variants[index].name = VARIANTS[PARTS_MAX - 1],
            6 if count < PARTS_MAX - 1 => {
                let form = Form { style: Style::Tuple, fields: Vec::new() };
                let name = VARIANTS[PARTS_MAX - 2];
                let added = Variant { name, form, skip: random.chance(2), alias: None, written_as: None };
                variants.insert(random.below(count + 1), added);
            }
            7 => match random.below(3) {
                0 => variants[index].alias = Some(variant_alias),
                1 => variants[index].written_as = Some("Written"),
                _ if count > 1 => drop(variants.remove(index)),
                _ => return false,
            },
            _ => return false,
        }
        return true;
    }
    let mut forms = types.defs[place].forms_mut();
    let form = random.below(forms.len());
    let form = &mut *forms[form];
    let count = form.fields.len();
    if change == 8 {
        form.style = if form.style == Style::Named { Style::Tuple } else { Style::Named };
        return count > 0;
    }
    if change == 9 && count < PARTS_MAX - 2 {
        let added = Field { name: FIELDS[PARTS_MAX - 2], kind: other_kind, ..Field::default() };
        form.fields.insert(random.below(count + 1), added);
        return true;
    }
    if count == 0 {
        return false;
    }
    let index = random.below(count);
    let is_named = form.style == Style::Named;
    let field = &mut form.fields[index];
    let can_default = can_default.contains(&field.kind);
    match change {
        10 if count > 1 => form.fields.swap(index, (index + 1) % count),
        11 if is_named => field.name = FIELDS[PARTS_MAX - 1],
        12 => drop(form.fields.remove(index)),
        13 => field.kind = other_kind,
        14 if is_named => field.alias = Some(alias),
        15 if is_named && can_default => match random.below(3) {
            0 => field.default = true,
            1 => field.skip = true,
            _ => field.skip_reading = true,
        },
        16 if is_named && can_be_skipped_if.contains(&field.kind) => {
            field.default = true;
            field.skip_if_least = true;
        }
        16 if is_named => field.written_as = Some("written"),
        _ => return false,
    }
    true
}

/// A value of a kind that has one; deeper ones cost fuel.
pub(super) fn value(types: &Types, kind: usize, fuel: &mut usize, random: &mut Random) -> Value {
    let heights = types.heights();
    grown(types, &heights, kind, fuel, random)
}

fn grown(
    types: &Types,
    heights: &[Option<usize>],
    kind: usize,
    fuel: &mut usize,
    random: &mut Random,
) -> Value {
    if *fuel == 0 {
        return types.least(kind);
    }
    *fuel -= 1;
    let can = |part: usize| heights[part].is_some();
    match &types.kinds[kind] {
        Kind::Leaf(Leaf::Unit) => Value::Number(0),
        Kind::Leaf(Leaf::Bool) => Value::Number(random.below(2) as i64),
        Kind::Leaf(Leaf::I8 | Leaf::I32 | Leaf::I64) => Value::Number(random.below(200) as i64 - 100),
        Kind::Leaf(Leaf::Text) => Value::Text("xyzzy"[..random.below(6)].into()),
        Kind::Leaf(Leaf::Char) => Value::Number(97 + random.below(26) as i64),
        Kind::Leaf(_) => Value::Number(random.below(200) as i64),
        Kind::Option(part) if can(*part) && random.chance(2) => {
            Value::Some(Box::new(grown(types, heights, *part, fuel, random)))
        }
        Kind::Option(_) => Value::None,
        Kind::Vec(part) => {
            let count = if can(*part) { random.below(3) } else { 0 };
            Value::List((0..count).map(|_| grown(types, heights, *part, fuel, random)).collect())
        }
        Kind::Map(part) => {
            let count = if can(*part) { random.below(3) } else { 0 };
            let entry = |index| (format!("k{index}"), grown(types, heights, *part, fuel, random));
            Value::Map((0..count).map(entry).collect())
        }
        Kind::Tuple(parts) => {
            Value::List(parts.iter().map(|part| grown(types, heights, *part, fuel, random)).collect())
        }
        Kind::Def(def) => {
            let (form, index) = match &types.defs[*def].body {
                Body::Struct(form) => (form, None),
                Body::Enum(variants) => {
                    let fits = |index: &usize| {
                        let variant = &variants[*index];
                        !variant.skip && variant.form.read().all(|field| can(field.kind))
                    };
                    let possible: Vec<usize> = (0..variants.len()).filter(fits).collect();
                    let index = *random.pick(&possible);
                    (&variants[index].form, Some(index))
                }
            };
            let fields = form.fields.iter().map(|field| match field.skip || field.skip_reading {
                true => types.empty(field.kind),
                false => grown(types, heights, field.kind, fuel, random),
            });
            let fields = fields.collect();
            match index {
                None => Value::List(fields),
                Some(index) => Value::Variant(index, fields),
            }
        }
    }
}
