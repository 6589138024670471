//! Renders the declaration of a `#[data]` type, with which its traced layout is compared.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{
    Attribute, Data, DeriveInput, Fields, GenericArgument, Ident, LitStr, PathArguments, Type, TypePath,
    ext::IdentExt,
    parse::{ParseStream, Parser},
};

use crate::{
    attributes::{self, Runtime},
    names::local,
    pipeline::serde::SerdeOptions,
    text::readable,
    travel,
};

/// Input: `struct User { id: UserId, #[serde(rename = "nom")] name: String }`
/// Output:
/// ```text
/// impl Declared for User {
///     fn declare(found: &mut Declarations) {
///         const FIELDS: &[DeclaredField] = &[DeclaredField { name: "id", … }, DeclaredField { name: "nom", … }];
///         let declaration = Declaration { name: "User", docs: &[], remarks: &[(2usize, RustName("name"))], parts: DeclaredParts::Fields(FIELDS) };
///         if found.add::<Self>(declaration) {
///             (&Witness::<UserId>::new()).__rpc_declare(found);
///         }
///     }
/// }
/// ```
/// A type whose bytes are those of another type is declared without parts.
pub(crate) fn render(runtime: &Runtime, input: &DeriveInput) -> Option<TokenStream> {
    let container = SerdeOptions::read(&input.attrs);
    let is_another = ["transparent", "from", "try_from", "remote", "untagged", "tag", "content"];
    let is_another = is_another.into_iter().any(|option| container.has(option));
    let private = runtime.private();
    let ident = &input.ident;
    let mut about = About::new(&private);
    about.part(&input.attrs);
    let parts = match &input.data {
        _ if is_another => quote!(#private::DeclaredParts::Another),
        Data::Struct(data) => {
            let rule = container.read_name("rename_all");
            let is_default = container.has("default");
            if matches!(data.fields, Fields::Unnamed(_)) {
                about.punctuation(&data.fields);
            }
            let fields = render_fields(&mut about, &data.fields, rule.as_deref(), is_default);
            quote!(#private::DeclaredParts::Fields(&[#(#fields),*]))
        }
        Data::Enum(data) => {
            let variants: Vec<_> = data
                .variants
                .iter()
                .zip(0_u32..)
                .filter_map(|(variant, index)| render_variant(&mut about, &container, variant, index))
                .collect();
            quote!(#private::DeclaredParts::Variants(&[#(#variants),*]))
        }
        Data::Union(_) => return None,
    };
    let name = ident.unraw().to_string();
    let (docs, remarks) = about.render();
    let found = local("found");
    let mut types = Vec::new();
    for field in all_fields(&input.data) {
        let options = SerdeOptions::read(&field.attrs);
        if !options.is_skipped() && !options.is_opaque() {
            collect(&field.ty, &mut types);
        }
    }
    let constants: Vec<_> = input.generics.const_params().map(|constant| &constant.ident).collect();
    types.retain(|ty| !constants.iter().any(|constant| is_ident(ty, |ident| ident == *constant)));
    let row = whole_row(&input.data)
        .filter(|_| !is_another)
        .map(|elements| render_row(&private, &found, &quote!(Self), elements.into_iter()));
    let used =
        (row.is_some() && types.is_empty()).then(|| quote!(use #private::{ByLayout as _, ByNoLayout as _};));
    let witnesses = render_witnesses(&private, &found, &types);
    let checks = (!is_another).then(|| render_checks(runtime, &container, input)).flatten();
    let witnesses = quote!(#witnesses #used #row);
    let (impl_generics, type_generics, where_clause) = input.generics.split_for_impl();
    Some(quote! {
        #[automatically_derived]
        #[allow(deprecated)]
        impl #impl_generics #private::Declared for #ident #type_generics #where_clause {
            fn declare(#found: &mut #private::Declarations) {
                #checks
                if #private::Declarations::add::<Self>(#found, #private::Declaration { name: #name, docs: #docs, remarks: #remarks, parts: #parts }) {
                    #witnesses
                }
            }
        }
    })
}

/// Input: `#[data] struct Group { leader: User, count: u64 }`
/// Output: `let _: PhantomData<(<User as Travels<_>>::Type,)>;`, so that a field that cannot travel is explained before serde's
/// derives report it.
///
/// Types that name the path of serde, as those under `#[data]` do, derive its traits, which ask the same of their fields. Nothing
/// is rendered for generic types, whose fields may depend on bounds.
fn render_checks(runtime: &Runtime, container: &SerdeOptions, input: &DeriveInput) -> Option<TokenStream> {
    if !container.has("crate") || !input.generics.params.is_empty() {
        return None;
    }
    let is_written = |attributes: &[Attribute]| {
        let options = SerdeOptions::read(attributes);
        !options.is_skipped() && !options.is_opaque()
    };
    let fields: Vec<&syn::Field> = match &input.data {
        Data::Enum(data) => {
            let variants = data.variants.iter().filter(|variant| is_written(&variant.attrs));
            variants.flat_map(|variant| &variant.fields).collect()
        }
        others => all_fields(others),
    };
    let mut types: Vec<&Type> = Vec::new();
    for field in fields.into_iter().filter(|field| is_written(&field.attrs)) {
        if types.iter().all(|known| readable(known) != readable(&field.ty)) {
            types.push(&field.ty);
        }
    }
    let types = types.into_iter().filter_map(|ty| travel::render_doubtful(runtime, ty));
    let types: Vec<TokenStream> = types.collect();
    let private = runtime.private();
    (!types.is_empty()).then(|| quote!(let _: #private::PhantomData<(#(#types,)*)>;))
}

/// Input: `User`, `Vec<Message>`. Output: code that asks `User`, `Vec<Message>` and `Message` for their declarations.
pub(crate) fn render_witnesses(private: &TokenStream, found: &Ident, types: &[Type]) -> TokenStream {
    let used = (!types.is_empty())
        .then(|| quote!(use #private::{ByDeclaration as _, ByLayout as _, ByNoLayout as _, ByNothing as _};));
    let asked = types.iter().map(|ty| match ty {
        Type::Tuple(tuple) => render_row(private, found, &quote!(#ty), tuple.elems.iter()),
        _ => quote! {
            (&#private::Witness::<#ty>::new()).__rpc_declare(#found);
            #private::Declarations::element(#found, (&#private::Witness::<#ty>::new()).__rpc_element());
        },
    });
    quote!(#used #(#asked)*)
}

/// Input: `(Isin, f64)` and its elements. Output: code that says how to trace each element that travels:
/// `found.row::<(Isin, f64)>(vec![(&Witness::<Isin>::new()).element(), …]);`
fn render_row<'a>(
    private: &TokenStream,
    found: &Ident,
    row: &TokenStream,
    elements: impl Iterator<Item = &'a Type>,
) -> TokenStream {
    quote! {
        #private::Declarations::row::<#row>(
            #found,
            #private::Vec::from([#((&#private::Witness::<#elements>::new()).__rpc_element()),*]),
        );
    }
}

/// Adds a type and the types named in it, each once. Leaves out types that certainly have no declaration.
pub(crate) fn collect(ty: &Type, into: &mut Vec<Type>) {
    match ty {
        Type::Path(path) => {
            let segments = &path.path.segments;
            let is_known = || into.iter().any(|known| readable(known) == readable(ty));
            if !is_plain(ty) && !is_known() {
                into.push(ty.clone());
            }
            for segment in segments {
                if let PathArguments::AngleBracketed(generics) = &segment.arguments {
                    for argument in &generics.args {
                        if let GenericArgument::Type(inner) = argument
                            && !is_ident(inner, looks_constant)
                        {
                            collect(inner, into);
                        }
                    }
                }
            }
        }
        Type::Tuple(tuple) => {
            // Tracing may not get past the first element.
            let is_known = || into.iter().any(|known| readable(known) == readable(ty));
            if tuple.elems.len() > 1 && !is_known() {
                into.push(ty.clone());
            }
            tuple.elems.iter().for_each(|inner| collect(inner, into));
        }
        Type::Array(array) => collect(&array.elem, into),
        Type::Paren(inner) => collect(&inner.elem, into),
        Type::Group(inner) => collect(&inner.elem, into),
        // Other types do not travel.
        _ => {}
    }
}

/// Whether a type is written with the name of a standard type.
pub(crate) fn is_plain(ty: &Type) -> bool {
    matches!(ty, Type::Path(path) if is_plain_path(path))
}

/// Whether a path is the name of a standard type.
pub(crate) fn is_plain_path(path: &TypePath) -> bool {
    let segments = &path.path.segments;
    path.qself.is_none()
        && segments.len() == 1
        && segments.iter().all(|only| PLAIN.iter().any(|plain| only.ident == plain))
}

/// Whether a type is written as one identifier for which `is_so` is true.
fn is_ident(ty: &Type, is_so: impl FnOnce(&Ident) -> bool) -> bool {
    let Type::Path(path) = ty else { return false };
    path.qself.is_none() && path.path.get_ident().is_some_and(is_so)
}

/// Whether a name is written like a constant. syn parses `WIDTH` in `Row<WIDTH>` as a type. Types with such a name are not asked
/// for a declaration; a type parameter has none anyway.
fn looks_constant(ident: &Ident) -> bool {
    !ident.unraw().to_string().contains(char::is_lowercase)
}

/// Standard types by their usual names. They are not asked for a declaration; only their type arguments are.
const PLAIN: &[&str] = &[
    "bool",
    "char",
    "u8",
    "u16",
    "u32",
    "u64",
    "u128",
    "usize",
    "i8",
    "i16",
    "i32",
    "i64",
    "i128",
    "isize",
    "f32",
    "f64",
    "str",
    "String",
    "Vec",
    "Option",
    "Box",
    "Arc",
    "Rc",
    "HashMap",
    "HashSet",
    "BTreeMap",
    "BTreeSet",
    "VecDeque",
    "Result",
    "PhantomData",
    "Duration",
    "Bytes",
];

/// The elements of a tuple struct, if each of them is serialised like its type.
fn whole_row(data: &Data) -> Option<Vec<&Type>> {
    let Data::Struct(data) = data else { return None };
    let Fields::Unnamed(fields) = &data.fields else { return None };
    let is_plain = |field: &syn::Field| {
        let options = SerdeOptions::read(&field.attrs);
        !options.is_skipped() && !options.is_opaque()
    };
    // For a newtype this names the wrapped type, which its `Deserialize` does not reveal. Plain types need no such hint.
    let is_told = match fields.unnamed.len() {
        0 => false,
        1 => fields.unnamed.iter().all(|only| !self::is_plain(&only.ty)),
        _ => true,
    };
    let is_row = is_told && fields.unnamed.iter().all(is_plain);
    is_row.then(|| fields.unnamed.iter().map(|field| &field.ty).collect())
}

fn all_fields(data: &Data) -> Vec<&syn::Field> {
    match data {
        Data::Struct(data) => data.fields.iter().collect(),
        Data::Enum(data) => data.variants.iter().flat_map(|variant| &variant.fields).collect(),
        Data::Union(_) => Vec::new(),
    }
}

/// Renders the declared fields. `is_default`: the struct has `#[serde(default)]`, so all fields have a default.
fn render_fields(
    about: &mut About<'_>,
    fields: &Fields,
    rule: Option<&str>,
    is_default: bool,
) -> Vec<TokenStream> {
    let private = about.private;
    let mut ordinal = 0;
    let one = |(index, field): (usize, &syn::Field)| {
        let options = SerdeOptions::read(&field.attrs);
        if options.is_skipped() {
            return None;
        }
        about.part(&field.attrs);
        if field.ident.is_none() {
            about.rust_name(&index.to_string(), &ordinal.to_string());
        }
        ordinal += 1;
        about.spelled(&field.ty);
        let name = field.ident.as_ref().map(|ident| {
            let own = ident.unraw().to_string();
            let name = options
                .read_name("rename")
                .unwrap_or_else(|| rule.map_or(own.clone(), |rule| of_field(&own, rule)));
            about.rust_name(&own, &name);
            name
        });
        if options.is_opaque() {
            about.remark(quote!(Opaque));
        }
        let name = name.unwrap_or_default();
        let aliases = options.texts("alias");
        let has_default = is_default || options.has("default");
        Some(
            quote!(#private::DeclaredField { name: #name, aliases: &[#(#aliases),*], has_default: #has_default }),
        )
    };
    fields.iter().enumerate().filter_map(one).collect()
}

fn render_variant(
    about: &mut About<'_>,
    container: &SerdeOptions,
    variant: &syn::Variant,
    index: u32,
) -> Option<TokenStream> {
    let private = about.private;
    let options = SerdeOptions::read(&variant.attrs);
    if options.is_skipped() {
        return None;
    }
    about.part(&variant.attrs);
    let own = variant.ident.unraw().to_string();
    let rule = container.read_name("rename_all");
    let name = options
        .read_name("rename")
        .unwrap_or_else(|| rule.as_deref().map_or(own.clone(), |rule| of_variant(&own, rule)));
    about.rust_name(&own, &name);
    if let Some(message) = error_message(&variant.attrs) {
        about.remark(quote!(Message(#message)));
    }
    let aliases = options.texts("alias");
    let is_other = options.has("other");
    let field_rule = options.read_name("rename_all").or_else(|| container.read_name("rename_all_fields"));
    let fields = match options.is_opaque() {
        true => quote!(#private::Option::None),
        false => {
            about.punctuation(&variant.fields);
            let fields = render_fields(about, &variant.fields, field_rule.as_deref(), false);
            quote!(#private::Option::Some(&[#(#fields),*]))
        }
    };
    Some(quote! {
        #private::DeclaredVariant {
            name: #name,
            aliases: &[#(#aliases),*],
            index: #index,
            is_other: #is_other,
            fields: #fields,
        }
    })
}

/// Docs and remarks on a type and its parts, in the order of their numbers. Only unusual properties cost tokens.
struct About<'a> {
    private: &'a TokenStream,
    docs: Vec<TokenStream>,
    remarks: Vec<TokenStream>,
}

impl<'a> About<'a> {
    fn new(private: &'a TokenStream) -> Self {
        Self { private, docs: Vec::new(), remarks: Vec::new() }
    }

    /// Adds the next part, with its attributes.
    fn part(&mut self, attributes: &[Attribute]) {
        self.docs.push(attributes::docs_text(attributes));
        if let Some(note) = attributes::deprecation(attributes) {
            self.remark(quote!(Deprecated(#note)));
        }
    }

    fn rust_name(&mut self, own: &str, name: &str) {
        if own != name {
            self.remark(quote!(RustName(#own)));
        }
    }

    /// Notes the brackets of fields of which at most one travels, because the layout does not show them.
    fn punctuation(&mut self, fields: &Fields) {
        let travels = |field: &&syn::Field| !SerdeOptions::read(&field.attrs).is_skipped();
        match (fields, fields.iter().filter(travels).count()) {
            (Fields::Named(_), 0) => self.remark(quote!(Braces)),
            // A single unnamed field has no list, skipped or not.
            (Fields::Unnamed(_), 0 | 1) if fields.len() != 1 => self.remark(quote!(Parentheses)),
            _ => {}
        }
    }

    /// Notes the written type if other types have the same layout: promises of those do not fit an argument of this type.
    fn spelled(&mut self, ty: &Type) {
        let text = readable(ty);
        let is_letter = |letter: char| letter.is_alphanumeric() || letter == '_';
        let mut words = text.split(|letter| !is_letter(letter));
        let is_one_of_several = |word: &str| ["Box", "Rc", "Arc", "Cow", "usize", "isize"].contains(&word);
        if words.any(is_one_of_several) {
            self.remark(quote!(Spelled(#text)));
        }
    }

    /// Adds a remark on the last part.
    fn remark(&mut self, remark: TokenStream) {
        let (private, part) = (self.private, self.docs.len().saturating_sub(1));
        self.remarks.push(quote!((#part, #private::Remark::#remark)));
    }

    /// Input: a commented struct whose second field is renamed.
    /// Output: `&["Somebody."]` and `&[(2usize, Remark::RustName("name"))]`.
    fn render(mut self) -> (TokenStream, TokenStream) {
        let is_silent = |docs: &TokenStream| docs.to_string() == "\"\"";
        while self.docs.last().is_some_and(is_silent) {
            self.docs.pop();
        }
        let Self { docs, remarks, .. } = self;
        (quote!(&[#(#docs),*]), quote!(&[#(#remarks),*]))
    }
}

/// Input: `#[error("there is no user {0:?}")]`, as thiserror and similar crates read it. Output: the message.
fn error_message(attributes: &[Attribute]) -> Option<String> {
    let attribute = attributes.iter().find(|attribute| attribute.path().is_ident("error"))?;
    let list = attribute.meta.require_list().ok()?;
    let message = |input: ParseStream<'_>| {
        let message: LitStr = input.parse()?;
        let _values: TokenStream = input.parse()?;
        Ok(message.value())
    };
    message.parse2(list.tokens.clone()).ok()
}

/// Applies serde's `rename_all` rule to the name of a variant.
fn of_variant(name: &str, rule: &str) -> String {
    let snake = || {
        let mut snake = String::new();
        for (index, letter) in name.char_indices() {
            if index > 0 && letter.is_uppercase() {
                snake.push('_');
            }
            snake.push(letter.to_ascii_lowercase());
        }
        snake
    };
    match rule {
        "lowercase" => name.to_ascii_lowercase(),
        "UPPERCASE" => name.to_ascii_uppercase(),
        "camelCase" => with_first(name, |first| first.to_ascii_lowercase()),
        "snake_case" => snake(),
        "SCREAMING_SNAKE_CASE" => snake().to_ascii_uppercase(),
        "kebab-case" => snake().replace('_', "-"),
        "SCREAMING-KEBAB-CASE" => snake().to_ascii_uppercase().replace('_', "-"),
        _ => name.to_owned(),
    }
}

/// Applies serde's `rename_all` rule to the name of a field.
fn of_field(name: &str, rule: &str) -> String {
    let pascal = || {
        let words = name.split('_').filter(|word| !word.is_empty());
        words.map(|word| with_first(word, |first| first.to_ascii_uppercase())).collect::<String>()
    };
    match rule {
        "UPPERCASE" | "SCREAMING_SNAKE_CASE" => name.to_ascii_uppercase(),
        "PascalCase" => pascal(),
        "camelCase" => with_first(&pascal(), |first| first.to_ascii_lowercase()),
        "kebab-case" => name.replace('_', "-"),
        "SCREAMING-KEBAB-CASE" => name.to_ascii_uppercase().replace('_', "-"),
        _ => name.to_owned(),
    }
}

fn with_first(word: &str, change: impl Fn(char) -> char) -> String {
    let mut letters = word.chars();
    letters.next().map(change).into_iter().chain(letters).collect()
}
