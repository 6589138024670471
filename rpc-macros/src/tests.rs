//! What the macros write, as files to read: `tests/expansions/NAME.rs` becomes `NAME.expanded.rs`.
//!
//! `UPDATE_EXPANSIONS=1 cargo nextest run -p rpc-macros` writes them anew.

use std::{env, fs, path::PathBuf};

use proc_macro2::TokenStream;
use quote::quote;
use syn::{File, Item, Meta};

#[test]
fn a_small_service_expands_to_its_parts() {
    check_expansion("service");
}

#[test]
fn every_option_reaches_the_code() {
    check_expansion("options");
}

#[test]
fn conditional_methods_are_counted_by_rustc() {
    check_expansion("conditional");
}

#[test]
fn batch_methods_answer_many_calls() {
    check_expansion("batch");
}

#[test]
fn a_refused_method_stays_in_the_trait_alone() {
    check_expansion("refused");
}

#[test]
fn structs_get_pipes_of_their_fields() {
    check_expansion("structs");
}

#[test]
fn enums_get_pipes_of_their_variants() {
    check_expansion("enums");
}

#[test]
fn data_is_three_derives() {
    check_expansion("data");
}

#[test]
fn type_names_read_as_written() {
    for written in [
        "Vec<u8>",
        "std::collections::BTreeMap<String, Vec<Option<u8>>>",
        "(u8, String)",
        "(u8,)",
        "()",
        "[u8; 4]",
        "::std::borrow::Cow<'static, str>",
        "<Vec<u8> as IntoIterator>::Item",
        "Box<dyn Fn(u8, u8) -> Vec<u8> + Send>",
        "Box<dyn Iterator<Item = u8>>",
        "Tagged<{ 1 + 2 }>",
        "r#type",
        "Tag<-1>",
    ] {
        let ty: TokenStream = written.parse().expect("it is Rust");
        assert_eq!(crate::text::readable(ty), written);
    }
}

/// Expands every item of the input file that carries one of the macros.
#[track_caller]
fn check_expansion(name: &str) {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/expansions");
    let input = fs::read_to_string(directory.join(format!("{name}.rs"))).expect("the input is there");
    let input: File = syn::parse_str(&input).expect("the input is Rust");
    let expanded: TokenStream = input.items.into_iter().map(expand).collect();
    let expanded: File = syn::parse2(expanded).expect("the output is Rust");
    let expanded = prettyplease::unparse(&expanded);
    let path = directory.join(format!("{name}.expanded.rs"));
    if env::var_os("UPDATE_EXPANSIONS").is_some() {
        fs::write(&path, &expanded).expect("the snapshot can be written");
    }
    let known = fs::read_to_string(&path).unwrap_or_default();
    assert!(known == expanded, "{} is out of date; the macro writes:\n{expanded}", path.display());
}

/// What rustc would do with the first attribute of the item.
fn expand(mut item: Item) -> TokenStream {
    let attributes = match &mut item {
        Item::Trait(item) => &mut item.attrs,
        Item::Struct(item) => &mut item.attrs,
        Item::Enum(item) => &mut item.attrs,
        other => panic!("no macro goes on {}", quote!(#other)),
    };
    let attribute = attributes.remove(0);
    let arguments = match &attribute.meta {
        Meta::List(list) => list.tokens.clone(),
        _ => TokenStream::new(),
    };
    let name = attribute.path().get_ident().expect("it is a plain name").to_string();
    match name.as_str() {
        "rpc" => crate::rpc::expand(arguments, quote!(#item)),
        "data" => crate::data::expand(arguments, quote!(#item)),
        "derive" => crate::pipeline::expand(quote!(#item)),
        other => panic!("`{other}` is not one of our macros"),
    }
}
