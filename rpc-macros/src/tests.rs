//! Snapshots of generated code: `tests/expansions/NAME.rs` expands to `NAME.expanded.rs`.
//!
//! `UPDATE_EXPANSIONS=1 cargo nextest run -p rpc-macros` updates them.

use std::{collections::BTreeSet, env, fs, path::PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::{
    File, Ident, Item, Meta, Stmt,
    ext::IdentExt,
    visit::{self, Visit},
};

use crate::{attributes::Runtime, names::RESERVED};

/// The names of all snapshots.
const EXPANSIONS: [&str; 8] =
    ["service", "options", "conditional", "batch", "refused", "structs", "enums", "data"];

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
fn every_expansion_is_among_those_that_are_searched_for_names() {
    let files = fs::read_dir(directory()).expect("the directory is there");
    let names =
        files.map(|file| file.expect("it can be read").file_name().into_string().expect("it is text"));
    let inputs: BTreeSet<String> = names.filter(|name| name.matches('.').count() == 1).collect();
    let known: BTreeSet<String> = EXPANSIONS.iter().map(|name| format!("{name}.rs")).collect();
    assert_eq!(inputs, known);
}

/// A binding with the name of a constant or unit variant in scope would be a pattern that matches it.
#[test]
fn what_generated_code_binds_has_reserved_names_or_the_users() {
    for name in EXPANSIONS {
        let (input, expanded) = (read_input(name), expand_all(name));
        let mut bindings = Bindings::default();
        bindings.visit_file(&syn::parse2(expanded).expect("the output is Rust"));
        assert!(name == "data" || !bindings.0.is_empty(), "nothing is found in `{name}`");
        let written = words(input.into_token_stream());
        for binding in bindings.0 {
            let reserved = [RESERVED, "__Rpc", "__RPC_"].iter().any(|prefix| binding.starts_with(prefix));
            // rustc's messages list the implementation of `Deserialize<'de>` beside others by this name.
            let reserved = reserved || binding == "'de";
            assert!(
                reserved || written.contains(&binding),
                "`{binding}` in `{name}` is a name that users have"
            );
        }
    }
}

/// All words of generated code that are not the user's, bindings without their prefix, as constants and types. `tests/generated/taken.rs` has them in
/// scope of its services.
#[test]
fn all_words_of_generated_code_are_tried_as_the_users() {
    let mut taken = BTreeSet::new();
    for name in EXPANSIONS {
        let written = words(read_input(name).into_token_stream());
        let generated = words(expand_all(name));
        let plain = generated.iter().map(|word| word.strip_prefix(RESERVED).unwrap_or(word).to_owned());
        taken.extend(plain.filter(|word| !written.contains(word)));
    }
    // Serde's derives name this type without a path.
    taken.remove("usize");
    taken.retain(|word| syn::parse_str::<Ident>(word).is_ok() && !word.starts_with("__"));
    let list: String = taken.iter().map(|word| format!("    {word}\n")).collect();
    check_snapshot(
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/generated/taken/words.rs"),
        &format!(
            "// Every word of generated code. `UPDATE_EXPANSIONS=1` writes them anew.\ntake! {{\n{list}}}\n"
        ),
    );
}

/// The names that generated code binds: in patterns, as generic parameters, as arguments, and by items inside functions.
#[derive(Default)]
struct Bindings(BTreeSet<String>);

impl<'a> Visit<'a> for Bindings {
    fn visit_pat_ident(&mut self, pattern: &'a syn::PatIdent) {
        self.0.insert(pattern.ident.unraw().to_string());
        visit::visit_pat_ident(self, pattern);
    }

    fn visit_generics(&mut self, generics: &'a syn::Generics) {
        self.0.extend(generics.params.iter().map(|parameter| match parameter {
            syn::GenericParam::Type(ty) => ty.ident.to_string(),
            syn::GenericParam::Const(constant) => constant.ident.to_string(),
            syn::GenericParam::Lifetime(lifetime) => lifetime.lifetime.to_string(),
        }));
        visit::visit_generics(self, generics);
    }

    /// `as _` binds no name.
    fn visit_use_rename(&mut self, renamed: &'a syn::UseRename) {
        self.0.extend(Some(renamed.rename.to_string()).filter(|name| name != "_"));
    }

    fn visit_use_name(&mut self, name: &'a syn::UseName) {
        self.0.insert(name.ident.to_string());
    }

    fn visit_label(&mut self, label: &'a syn::Label) {
        self.0.insert(label.name.ident.to_string());
    }

    fn visit_stmt(&mut self, statement: &'a Stmt) {
        match statement {
            Stmt::Item(Item::Static(item)) => self.0.extend([item.ident.to_string()]),
            Stmt::Item(Item::Use(item)) => visit::visit_item_use(self, item),
            Stmt::Item(item) => panic!("which names does this take? {}", quote!(#item)),
            Stmt::Local(_) | Stmt::Expr(..) | Stmt::Macro(_) => {}
        }
        visit::visit_stmt(self, statement);
    }
}

/// Every identifier among these tokens, without `r#`.
fn words(tokens: TokenStream) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for token in tokens {
        match token {
            TokenTree::Ident(word) => found.extend([word.unraw().to_string()]),
            TokenTree::Group(group) => found.extend(words(group.stream())),
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
    found
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
    let expanded: File = syn::parse2(expand_all(name)).expect("the output is Rust");
    check_snapshot(directory().join(format!("{name}.expanded.rs")), &prettyplease::unparse(&expanded));
}

#[track_caller]
fn check_snapshot(path: PathBuf, expected: &str) {
    if env::var_os("UPDATE_EXPANSIONS").is_some() {
        fs::write(&path, expected).expect("the snapshot can be written");
    }
    let known = fs::read_to_string(&path).unwrap_or_default();
    assert!(known == expected, "{} is out of date; it should be:\n{expected}", path.display());
}

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/expansions")
}

fn read_input(name: &str) -> File {
    let input = fs::read_to_string(directory().join(format!("{name}.rs"))).expect("the input is there");
    syn::parse_str(&input).expect("the input is Rust")
}

fn expand_all(name: &str) -> TokenStream {
    read_input(name).items.into_iter().map(expand).collect()
}

/// Expands the first attribute of the item, as rustc would.
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
        "rpc" => crate::rpc::expand(Runtime::Core, arguments, quote!(#item)),
        "data" => crate::data::expand(Runtime::Core, arguments, quote!(#item)),
        "derive" => crate::pipeline::expand(Runtime::Core, quote!(#item)),
        other => panic!("`{other}` is not one of our macros"),
    }
}

#[test]
fn a_client_names_the_methods_that_take_a_result_and_are_for_everybody() {
    let service = quote! {
        #[doc(hidden)]
        trait Chat {
            async fn find(&self) -> User;
            async fn greet(&self, user: User);
            async fn follow(&self, other: Option<User>);
            #[doc(hidden)]
            async fn internal(&self, user: User);
            #[deprecated]
            async fn old(&self, user: User);
        }
    };
    let text = crate::rpc::expand(Runtime::Core, TokenStream::new(), service).to_string();
    let told =
        "its result can be passed to [`greet`](Self::greet) as `user`, [`follow`](Self::follow) as `other`.";
    assert!(text.contains(told), "{text}");
    let server = text.split_once("Answers calls of [`Chat`](trait@Chat)").expect("a server").0;
    assert!(
        server.trim_end().ends_with("# [doc (hidden)] # [doc = \""),
        "the server is hidden too: {server}"
    );
    let many: TokenStream = (0..100)
        .map(|number| {
            let name = quote::format_ident!("method_{number}");
            quote!(async fn #name(&self, user: User) -> User;)
        })
        .collect();
    let text =
        crate::rpc::expand(Runtime::Core, TokenStream::new(), quote!(trait Chat { #many })).to_string();
    assert!(text.contains("[`method_11`](Self::method_11) as `user`, others."), "no more than are read");
    assert!(!text.contains("[`method_12`]"), "no more than are read");
}
