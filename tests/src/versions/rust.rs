//! Generated types as Rust, to be derived: what the dynamic ones are held against.

use std::fmt::Write;

use super::definitions::{Body, Field, Form, Kind, Leaf, Style, Types, Variant};

/// A file of modules, a type each, and a function that gives the layouts of all.
pub(super) fn file(types: &[(u64, Types)]) -> String {
    let mut out = String::from(
        "// Written by a test, see `versions.rs`: generated types as serde's derive makes them.\n\
         #![allow(dead_code, clippy::all)]\n\n\
         use std::collections::BTreeMap;\n\n\
         use rpc_core::schema::Layout;\n\
         use serde::{Deserialize, Serialize};\n\n\
         pub(super) fn layouts() -> Vec<(u64, Layout)> {\n    vec![\n",
    );
    for (seed, types) in types {
        let outermost = kind(types, 0);
        writeln!(
            out,
            "        ({seed}, {{ use types_{seed}::*; Layout::of_exchanged::<{outermost}>(\"T\") }}),"
        )
        .unwrap();
    }
    out.push_str("    ]\n}\n");
    for (seed, types) in types {
        writeln!(out, "\nmod types_{seed} {{\n    use super::*;").unwrap();
        for def in &types.defs {
            out.push_str("\n    #[derive(Serialize, Deserialize)]\n");
            match &def.body {
                Body::Struct(form) => {
                    let end = if form.style == Style::Tuple { ";" } else { "" };
                    writeln!(out, "    pub(super) struct {}{}{end}", def.name, content(types, form)).unwrap();
                }
                Body::Enum(variants) => {
                    writeln!(out, "    pub(super) enum {} {{", def.name).unwrap();
                    for variant in variants {
                        let attributes = variant_attributes(variant);
                        writeln!(
                            out,
                            "        {attributes}{}{},",
                            variant.name,
                            content(types, &variant.form)
                        )
                        .unwrap();
                    }
                    out.push_str("    }\n");
                }
            }
        }
        out.push_str("}\n");
    }
    out
}

fn content(types: &Types, form: &Form) -> String {
    let fields: Vec<String> = form.fields.iter().map(|field| one(types, form.style, field)).collect();
    match form.style {
        Style::Tuple if fields.is_empty() => String::new(),
        Style::Tuple => format!("({})", fields.join(", ")),
        Style::Named => format!(" {{ {} }}", fields.join(", ")),
    }
}

fn one(types: &Types, style: Style, field: &Field) -> String {
    let ty = kind(types, field.kind);
    match style {
        Style::Tuple => ty,
        Style::Named => format!("{}{}: {ty}", field_attributes(types, field), field.name),
    }
}

fn field_attributes(types: &Types, field: &Field) -> String {
    let mut options = Vec::new();
    let mut add = |given: bool, option: &str| {
        if given {
            options.push(option.to_owned());
        }
    };
    add(field.skip, "skip");
    add(field.default, "default");
    add(field.skip_reading, "skip_deserializing");
    add(field.skip_writing, "skip_serializing");
    let is_least = match types.kinds[field.kind] {
        Kind::Option(_) => "Option::is_none",
        Kind::Vec(_) => "Vec::is_empty",
        _ => "String::is_empty",
    };
    add(field.skip_if_least, &format!("skip_serializing_if = \"{is_least}\""));
    names(options, field.alias, field.written_as)
}

fn variant_attributes(variant: &Variant) -> String {
    let options = if variant.skip { vec!["skip".to_owned()] } else { Vec::new() };
    names(options, variant.alias, variant.written_as)
}

fn names(mut options: Vec<String>, alias: Option<&str>, written_as: Option<&str>) -> String {
    options.extend(alias.map(|alias| format!("alias = \"{alias}\"")));
    options.extend(written_as.map(|name| format!("rename(serialize = \"{name}\")")));
    if options.is_empty() { String::new() } else { format!("#[serde({})] ", options.join(", ")) }
}

fn kind(types: &Types, number: usize) -> String {
    match &types.kinds[number] {
        Kind::Leaf(leaf) => match leaf {
            Leaf::Unit => "()".into(),
            Leaf::Char => "char".into(),
            Leaf::Text => "String".into(),
            other => format!("{other:?}").to_lowercase(),
        },
        Kind::Option(part) => format!("Option<{}>", kind(types, *part)),
        Kind::Vec(part) => format!("Vec<{}>", kind(types, *part)),
        Kind::Map(part) => format!("BTreeMap<String, {}>", kind(types, *part)),
        Kind::Tuple(parts) => {
            parts.iter().fold("(".to_owned(), |text, part| text + &kind(types, *part) + ", ") + ")"
        }
        Kind::Def(def) => format!("Box<{}>", types.defs[*def].name),
    }
}
