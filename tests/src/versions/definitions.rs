//! Types as data: what a generator makes, and what can be told of them without running any of the code under test.

use std::fmt::Write;

/// Types of one version. The outermost is kind 0.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Types {
    pub(super) kinds: Vec<Kind>,
    pub(super) defs: Vec<Def>,
}

/// What is in one place. Parts are numbers of kinds.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Leaf(Leaf),
    Option(usize),
    Vec(usize),
    /// From strings.
    Map(usize),
    Tuple(Vec<usize>),
    /// A struct or enum, in a box.
    Def(usize),
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Leaf {
    Unit,
    Bool,
    U8,
    U32,
    U64,
    I8,
    I32,
    I64,
    Char,
    Text,
}

pub(super) const LEAVES: [Leaf; 10] = [
    Leaf::Unit,
    Leaf::Bool,
    Leaf::U8,
    Leaf::U32,
    Leaf::U64,
    Leaf::I8,
    Leaf::I32,
    Leaf::I64,
    Leaf::Char,
    Leaf::Text,
];

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Def {
    pub(super) name: &'static str,
    pub(super) body: Body,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Body {
    Struct(Form),
    Enum(Vec<Variant>),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Form {
    pub(super) style: Style,
    pub(super) fields: Vec<Field>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Style {
    Named,
    /// One unnamed field is a newtype; none is a unit.
    Tuple,
}

/// A field with serde's attributes.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) kind: usize,
    pub(super) skip: bool,
    pub(super) default: bool,
    pub(super) alias: Option<&'static str>,
    pub(super) skip_if_least: bool,
    pub(super) skip_reading: bool,
    pub(super) skip_writing: bool,
    pub(super) written_as: Option<&'static str>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Variant {
    pub(super) name: &'static str,
    pub(super) form: Form,
    pub(super) skip: bool,
    pub(super) alias: Option<&'static str>,
    pub(super) written_as: Option<&'static str>,
}

/// A value. Struct fields and variants count all that are declared.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Number(i64),
    Text(String),
    None,
    Some(Box<Value>),
    List(Vec<Value>),
    Map(Vec<(String, Value)>),
    Variant(usize, Vec<Value>),
}

impl Form {
    /// The fields that are read, in their order.
    pub(super) fn read(&self) -> impl Iterator<Item = &Field> {
        self.fields.iter().filter(|field| !field.skip && !field.skip_reading)
    }

    /// What serde makes of it.
    pub(super) fn is_newtype(&self) -> bool {
        self.style == Style::Tuple && self.fields.len() == 1
    }
}

impl Def {
    pub(super) fn forms(&self) -> Vec<&Form> {
        match &self.body {
            Body::Struct(form) => vec![form],
            Body::Enum(variants) => variants.iter().map(|variant| &variant.form).collect(),
        }
    }

    pub(super) fn forms_mut(&mut self) -> Vec<&mut Form> {
        match &mut self.body {
            Body::Struct(form) => vec![form],
            Body::Enum(variants) => variants.iter_mut().map(|variant| &mut variant.form).collect(),
        }
    }
}

impl Types {
    /// The nesting of each kind's least value; `None` where there is none.
    pub(super) fn heights(&self) -> Vec<Option<usize>> {
        let mut heights = vec![None; self.kinds.len()];
        loop {
            let next: Vec<_> = self.kinds.iter().map(|kind| self.height(kind, &heights)).collect();
            if next == heights {
                return heights;
            }
            heights = next;
        }
    }

    fn height(&self, kind: &Kind, heights: &[Option<usize>]) -> Option<usize> {
        let most = |parts: &mut dyn Iterator<Item = usize>| {
            let parts: Option<Vec<usize>> = parts.map(|part| heights[part]).collect();
            parts.map(|parts| parts.into_iter().max().map_or(1, |most| most + 1))
        };
        match kind {
            Kind::Leaf(_) | Kind::Option(_) | Kind::Vec(_) | Kind::Map(_) => Some(0),
            Kind::Tuple(parts) => most(&mut parts.iter().copied()),
            Kind::Def(def) => match &self.defs[*def].body {
                Body::Struct(form) => most(&mut form.read().map(|field| field.kind)),
                Body::Enum(variants) => variants
                    .iter()
                    .filter(|variant| !variant.skip)
                    .filter_map(|variant| most(&mut variant.form.read().map(|field| field.kind)))
                    .min(),
            },
        }
    }

    /// What a chain of newtypes is around: a kind that is not one, and `None` if it is around nothing but itself.
    fn unwrapped(&self, kind: usize) -> Option<usize> {
        let mut kind = kind;
        for _ in 0..=self.kinds.len() {
            match &self.kinds[kind] {
                Kind::Def(def) => match &self.defs[*def].body {
                    Body::Struct(form) if form.is_newtype() => kind = form.fields[0].kind,
                    Body::Struct(_) | Body::Enum(_) => return Some(kind),
                },
                _ => return Some(kind),
            }
        }
        None
    }

    /// Parts in a row as they are read: `None` if the kind is something else than a row.
    fn row(&self, kind: usize) -> Option<Vec<(&'static str, usize)>> {
        match &self.kinds[kind] {
            Kind::Leaf(Leaf::Unit) => Some(Vec::new()),
            Kind::Tuple(parts) => Some(parts.iter().map(|part| ("", *part)).collect()),
            Kind::Def(def) => match &self.defs[*def].body {
                Body::Struct(form) => Some(named(form)),
                Body::Enum(_) => None,
            },
            _ => None,
        }
    }

    /// Whether the outermost kinds of two versions are read alike, names of fields and variants included. Parts of which no
    /// value exists may be anything: there are no bytes of them.
    pub(super) fn is_same_as(&self, other: &Types) -> bool {
        let heights = [self.heights(), other.heights()];
        Pair { one: self, other, heights, assumed: Vec::new() }.is_same(0, 0)
    }

    /// Whether some value that can be made is written otherwise than it is read.
    pub(super) fn is_one_sided(&self) -> bool {
        let heights = self.heights();
        let can = |form: &Form| form.read().all(|field| heights[field.kind].is_some());
        let mut seen = vec![false; self.kinds.len()];
        let mut open = vec![0];
        while let Some(kind) = open.pop() {
            if std::mem::replace(&mut seen[kind], true) || heights[kind].is_none() {
                continue;
            }
            match &self.kinds[kind] {
                Kind::Leaf(_) => {}
                Kind::Option(part) | Kind::Vec(part) | Kind::Map(part) => open.push(*part),
                Kind::Tuple(parts) => open.extend(parts),
                Kind::Def(def) => {
                    if let Body::Enum(variants) = &self.defs[*def].body {
                        let shifts = variants.iter().scan(false, |skipped, variant| {
                            *skipped |= variant.skip;
                            Some(*skipped && !variant.skip && can(&variant.form))
                        });
                        let renamed = |variant: &Variant| {
                            !variant.skip && variant.written_as.is_some() && can(&variant.form)
                        };
                        if shifts.into_iter().any(|shifts| shifts) || variants.iter().any(renamed) {
                            return true;
                        }
                    }
                    let skipped = |form: &Form| match &self.defs[*def].body {
                        Body::Struct(_) => false,
                        Body::Enum(variants) => {
                            variants.iter().any(|variant| variant.skip && std::ptr::eq(&variant.form, form))
                        }
                    };
                    for form in self.defs[*def].forms() {
                        if !can(form) || skipped(form) {
                            continue;
                        }
                        let one_sided = |field: &Field| {
                            field.skip_if_least
                                || field.skip_reading
                                || field.skip_writing
                                || field.written_as.is_some()
                        };
                        if form.fields.iter().any(|field| !field.skip && one_sided(field)) {
                            return true;
                        }
                        open.extend(form.read().map(|field| field.kind));
                    }
                }
            }
        }
        false
    }

    /// A value with the names of fields and variants, to compare what two versions make of it.
    pub(super) fn told(&self, kind: usize, value: &Value) -> String {
        let mut out = String::new();
        self.tell(kind, value, &mut out);
        out
    }

    fn tell(&self, kind: usize, value: &Value, out: &mut String) {
        let mut list = |values: &mut dyn Iterator<Item = (String, usize, &Value)>,
                        [open, close]: [&str; 2]| {
            out.push_str(open);
            for (name, kind, value) in values {
                out.push_str(&name);
                self.tell(kind, value, out);
                out.push(' ');
            }
            out.push_str(close);
        };
        match (&self.kinds[kind], value) {
            (Kind::Leaf(Leaf::Unit), _) => out.push_str("()"),
            (_, Value::Number(number)) => write!(out, "{number}").unwrap(),
            (_, Value::Text(text)) => write!(out, "{text:?}").unwrap(),
            (_, Value::None) => out.push_str("none"),
            (Kind::Option(part), Value::Some(inner)) => {
                list(&mut [(String::new(), *part, &**inner)].into_iter(), ["some<", ">"]);
            }
            (Kind::Vec(part), Value::List(values)) => {
                list(&mut values.iter().map(|value| (String::new(), *part, value)), ["[", "]"]);
            }
            (Kind::Map(part), Value::Map(entries)) => {
                list(&mut entries.iter().map(|(key, value)| (format!("{key:?}="), *part, value)), ["{", "}"]);
            }
            (Kind::Tuple(parts), Value::List(values)) => {
                list(
                    &mut parts.iter().zip(values).map(|(part, value)| (String::new(), *part, value)),
                    ["(", ")"],
                );
            }
            (Kind::Def(def), value) => {
                let (form, name, values) = match (&self.defs[*def].body, value) {
                    (Body::Struct(form), Value::List(values)) => (form, "", values),
                    (Body::Enum(variants), Value::Variant(index, values)) => {
                        (&variants[*index].form, variants[*index].name, values)
                    }
                    _ => panic!("{value:?} is not of {kind}"),
                };
                if form.is_newtype() && name.is_empty() {
                    return self.tell(form.fields[0].kind, &values[0], out);
                }
                let fields =
                    form.fields.iter().zip(values).filter(|(field, _)| !field.skip && !field.skip_reading);
                let fields = fields.map(|(field, value)| match form.style {
                    Style::Named => (format!("{}:", field.name), field.kind, value),
                    Style::Tuple => (String::new(), field.kind, value),
                });
                list(&mut { fields }, [&format!("{name}("), ")"]);
            }
            (kind, value) => panic!("{value:?} is not of {kind:?}"),
        }
    }

    /// The least value of a kind, which must have one.
    pub(super) fn least(&self, kind: usize) -> Value {
        let heights = self.heights();
        self.least_of(kind, &heights)
    }

    fn least_of(&self, kind: usize, heights: &[Option<usize>]) -> Value {
        let fields = |form: &Form| -> Vec<Value> {
            let value = |field: &Field| match field.skip || field.skip_reading {
                // What serde's `Default` gives.
                true => self.empty(field.kind),
                false => self.least_of(field.kind, heights),
            };
            form.fields.iter().map(value).collect()
        };
        match &self.kinds[kind] {
            Kind::Tuple(parts) => {
                Value::List(parts.iter().map(|part| self.least_of(*part, heights)).collect())
            }
            Kind::Def(def) => match &self.defs[*def].body {
                Body::Struct(form) => Value::List(fields(form)),
                Body::Enum(variants) => {
                    let height = |form: &Form| {
                        form.read().try_fold(0, |most: usize, field| Some(most.max(heights[field.kind]?)))
                    };
                    let known = variants.iter().enumerate().filter(|(_, variant)| !variant.skip);
                    let known = known.filter_map(|(index, variant)| Some((height(&variant.form)?, index)));
                    let (_, index) = known.min().expect("it has a finite value");
                    Value::Variant(index, fields(&variants[index].form))
                }
            },
            _ => self.empty(kind),
        }
    }

    pub(super) fn empty(&self, kind: usize) -> Value {
        match &self.kinds[kind] {
            Kind::Leaf(Leaf::Text) => Value::Text(String::new()),
            Kind::Leaf(_) => Value::Number(0),
            Kind::Option(_) => Value::None,
            Kind::Vec(_) => Value::List(Vec::new()),
            Kind::Map(_) => Value::Map(Vec::new()),
            Kind::Tuple(_) | Kind::Def(_) => panic!("no default"),
        }
    }
}

fn named(form: &Form) -> Vec<(&'static str, usize)> {
    let name = |field: &Field| match form.style {
        Style::Named => field.name,
        Style::Tuple => "",
    };
    form.read().map(|field| (name(field), field.kind)).collect()
}

/// Two versions that are compared.
struct Pair<'a> {
    one: &'a Types,
    other: &'a Types,
    heights: [Vec<Option<usize>>; 2],
    assumed: Vec<(usize, usize)>,
}

type Row = Vec<(&'static str, usize)>;

impl Pair<'_> {
    fn is_same(&mut self, one: usize, other: usize) -> bool {
        if self.is_without_values(&[("", one)], &[("", other)]) {
            return true;
        }
        let (one, other) = match (self.one.unwrapped(one), self.other.unwrapped(other)) {
            (Some(one), Some(other)) => (one, other),
            (one, other) => return one.is_none() && other.is_none(),
        };
        if self.assumed.contains(&(one, other)) {
            return true;
        }
        self.assumed.push((one, other));
        if let (Some(one), Some(other)) = (self.one.row(one), self.other.row(other)) {
            return self.are_same(&one, &other);
        }
        let (types, others) = (self.one, self.other);
        match (&types.kinds[one], &others.kinds[other]) {
            (Kind::Leaf(one), Kind::Leaf(other)) => one == other,
            (Kind::Option(one), Kind::Option(other))
            | (Kind::Vec(one), Kind::Vec(other))
            | (Kind::Map(one), Kind::Map(other)) => self.is_same(*one, *other),
            (Kind::Def(one), Kind::Def(other)) => {
                let (Body::Enum(one), Body::Enum(other)) =
                    (&types.defs[*one].body, &others.defs[*other].body)
                else {
                    return false;
                };
                let one: Vec<_> = one.iter().filter(|variant| !variant.skip).collect();
                let other: Vec<_> = other.iter().filter(|variant| !variant.skip).collect();
                one.len() == other.len()
                    && one.iter().zip(other).all(|(one, other)| {
                        let rows = (named(&one.form), named(&other.form));
                        self.is_without_values(&rows.0, &rows.1)
                            || (one.name == other.name && self.are_same(&rows.0, &rows.1))
                    })
            }
            _ => false,
        }
    }

    fn are_same(&mut self, one: &Row, other: &Row) -> bool {
        one.len() == other.len()
            && one
                .iter()
                .zip(other)
                .all(|((name, one), (other_name, other))| name == other_name && self.is_same(*one, *other))
    }

    fn is_without_values(&self, one: &[(&'static str, usize)], other: &[(&'static str, usize)]) -> bool {
        let [of_one, of_other] = &self.heights;
        one.iter().any(|(_, kind)| of_one[*kind].is_none())
            && other.iter().any(|(_, kind)| of_other[*kind].is_none())
    }
}
