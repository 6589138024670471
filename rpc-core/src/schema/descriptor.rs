//! Descriptors of services as data: names, docs, types and attributes, for dispatch, checks, documentation and tools.
//!
//! `#[rpc]` writes one [`ServiceDescriptor`] for each trait, in a `static`. Layouts are traced on first use and cached here.

use std::sync::{
    OnceLock,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    path::Path,
    schema::{
        compatibility::MethodVersion,
        layout::{self, Layout, declared::Declarations},
        shown::ShownError,
    },
};

/// One service: a trait under `#[rpc]`.
#[derive(Debug)]
pub struct ServiceDescriptor {
    /// The name on the wire: the trait's name, or that of `#[rpc(name = "…")]`.
    pub name: &'static str,
    /// The trait's name.
    pub rust_name: &'static str,
    /// The trait's doc comment.
    pub docs: &'static str,
    /// Whether a call that waits for a promise holds back later calls (`#[rpc(ordered)]`).
    pub ordered: bool,
    /// The methods, in the order of the trait.
    pub methods: &'static [MethodDescriptor],
    #[doc(hidden)]
    pub objects: ObjectsCache,
}

/// The services of the objects that a service's methods take and return; empty until first use.
#[doc(hidden)]
#[derive(Debug, Default)]
pub struct ObjectsCache(OnceLock<Vec<&'static ServiceDescriptor>>);

impl ObjectsCache {
    #[doc(hidden)]
    pub const fn new() -> Self {
        Self(OnceLock::new())
    }
}

/// One method of a service.
#[derive(Debug)]
pub struct MethodDescriptor {
    /// The name on the wire: the method's name, or that of `#[rpc(name = "…")]`.
    pub name: &'static str,
    /// The method's name in the trait.
    pub rust_name: &'static str,
    /// The method's doc comment.
    pub docs: &'static str,
    /// The arguments that are sent, in order. A context is not among them.
    pub arguments: &'static [ArgumentDescriptor],
    /// The `T` of `Result<T, E>`, or the plain result.
    pub result: ValueDescriptor,
    /// The `E` of `Result<T, E>`; `None` for a method that cannot fail.
    pub error: Option<ValueDescriptor>,
    /// Properties set by `#[rpc(…)]` and Rust's own attributes.
    pub attributes: MethodAttributes,
    #[doc(hidden)]
    pub cache: SignatureCache,
}

/// One argument of a method.
#[derive(Debug)]
pub struct ArgumentDescriptor {
    /// The argument's name in the trait.
    pub name: &'static str,
    /// The argument's type.
    pub value: ValueDescriptor,
}

/// The type of an argument, a result or an error.
pub struct ValueDescriptor {
    /// The type as written in the trait.
    pub type_name: &'static str,
    layout: fn(&'static str) -> Layout,
    text_layout: fn() -> Layout,
    /// Collects the declarations of the types in it.
    declared: fn(&mut Declarations),
    /// Of an error: how it is shown.
    shown: Option<fn() -> ShownError>,
}

/// Properties of a method that attributes set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MethodAttributes {
    /// Running the method twice has the effect of running it once, so a call may be retried.
    pub idempotent: bool,
    /// The caller gets neither a result nor an error.
    pub oneway: bool,
    /// The handler runs on the blocking pool.
    pub blocking: bool,
    /// A dropped promise does not stop the handler.
    pub no_cancel: bool,
    /// The wire name of the batch method of this service, which answers many calls of this method at once.
    pub batch: Option<&'static str>,
    /// The note of `#[deprecated]`, which may be empty; `None` without the attribute.
    pub deprecated: Option<&'static str>,
}

impl MethodAttributes {
    /// The properties of a method without attributes.
    pub const NONE: Self = Self {
        idempotent: false,
        oneway: false,
        blocking: false,
        no_cancel: false,
        batch: None,
        deprecated: None,
    };
}

impl ArgumentDescriptor {
    #[doc(hidden)]
    pub const fn new<T: Serialize + DeserializeOwned>(name: &'static str, type_name: &'static str) -> Self {
        Self { name, value: ValueDescriptor::new::<T>(type_name) }
    }

    #[doc(hidden)]
    pub const fn declared(self, declared: fn(&mut Declarations)) -> Self {
        Self { name: self.name, value: self.value.declared(declared) }
    }
}

impl ValueDescriptor {
    #[doc(hidden)]
    pub const fn new<T: Serialize + DeserializeOwned>(type_name: &'static str) -> Self {
        Self {
            type_name,
            layout: Layout::of_exchanged::<T>,
            text_layout: Layout::of_text::<T>,
            declared: |_| (),
            shown: None,
        }
    }

    /// The same descriptor, of the result of a method without an error; see [`no_result`](crate::schema::plain::no_result).
    #[doc(hidden)]
    pub const fn without_error(self, (): ()) -> Self {
        self
    }

    #[doc(hidden)]
    pub const fn shown(self, shown: fn() -> ShownError) -> Self {
        Self { shown: Some(shown), ..self }
    }

    #[doc(hidden)]
    pub const fn declared(self, declared: fn(&mut Declarations)) -> Self {
        Self { declared, ..self }
    }

    /// The differences between the declarations of the types in it and their traced layouts, one sentence each.
    fn disagreements(&self, layout: &Layout) -> Vec<String> {
        let found = self.declarations();
        let mut problems = layout.disagreements(&found);
        problems.extend(layout.differences_of_parts(&found));
        problems
    }

    /// The declarations of the types in it that are under `#[data]`.
    pub fn declarations(&self) -> Declarations {
        let mut found = Declarations::default();
        self.declare(&mut found);
        found
    }

    /// Adds the declarations of the types in it to `found`.
    pub fn declare(&self, found: &mut Declarations) {
        (self.declared)(found);
    }

    /// Traces the type's layout in human-readable formats, like JSON.
    pub fn text_layout(&self) -> Layout {
        (self.text_layout)()
    }

    /// Traces the type's positional layout.
    pub fn layout(&self) -> Layout {
        (self.layout)(self.type_name).filled(&self.declarations())
    }
}

impl std::fmt::Debug for ValueDescriptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.type_name)
    }
}

/// The traced layouts of a method; empty until first use.
#[doc(hidden)]
#[derive(Debug, Default)]
pub struct SignatureCache {
    signature: OnceLock<Signature>,
    result_bytes: AtomicUsize,
    /// Whether a warning was given that the method's handler blocks.
    blocks: AtomicBool,
}

impl SignatureCache {
    #[doc(hidden)]
    pub const fn new() -> Self {
        Self { signature: OnceLock::new(), result_bytes: AtomicUsize::new(0), blocks: AtomicBool::new(false) }
    }
}

/// The least length of a result that is remembered as expected.
const EXPECTED_BYTES_MIN: usize = 64 << 10;

/// The layouts of a method's arguments and results, and the fingerprint both sides compare.
#[derive(Debug)]
#[non_exhaustive]
pub struct Signature {
    /// The layout of each argument.
    pub arguments: Vec<Layout>,
    /// The result's layout.
    pub result: Layout,
    /// The error's layout; `None` for a method that cannot fail.
    pub error: Option<Layout>,
    /// A number that both sides share if their bytes mean the same: layouts and the names of arguments, fields and variants agree.
    pub fingerprint: u64,
    problems: Vec<String>,
    /// Whether no argument consists of many values.
    decodes_fast: bool,
    /// Whether the result does not consist of many values.
    encodes_fast: bool,
}

impl MethodDescriptor {
    /// The method's layouts, traced on first use.
    pub fn signature(&self) -> &Signature {
        self.cache.signature.get_or_init(|| {
            let arguments: Vec<Layout> =
                self.arguments.iter().map(|argument| argument.value.layout()).collect();
            let result = self.result.layout();
            let error = self.error.as_ref().map(ValueDescriptor::layout);
            let names = self.arguments.iter().map(|argument| layout::fingerprint_of_name(argument.name));
            let parts = arguments.iter().chain([&result]).chain(&error).map(Layout::fingerprint);
            let fingerprint = names.chain(parts).fold(arguments.len() as u64, |hash, part| {
                (hash.rotate_left(23) ^ part).wrapping_mul(0x9e37_79b9_7f4a_7c15)
            });
            let problems = self.find_problems(&arguments, &result, error.as_ref());
            let decodes_fast = arguments.iter().all(Layout::is_of_few_values);
            let encodes_fast = result.is_of_few_values();
            Signature { arguments, result, error, fingerprint, problems, decodes_fast, encodes_fast }
        })
    }

    /// Whether even long arguments are decoded fast: they have few values, and only texts and byte strings in them are long.
    #[cfg(feature = "driver")]
    pub(crate) fn decodes_fast(&self) -> bool {
        self.signature().decodes_fast
    }

    /// Whether even long results are encoded fast: they have few values, and only texts and byte strings in them are long.
    pub(crate) fn encodes_fast(&self) -> bool {
        self.signature().encodes_fast
    }

    /// How the method's own error is shown where its type is not known.
    pub(crate) fn shown_error(&self) -> Option<ShownError> {
        Some(self.error.as_ref()?.shown?())
    }

    /// A path into the method's result, in the words of its type.
    pub(crate) fn words_of(&self, path: &Path) -> String {
        self.signature().result.words_of(path)
    }

    /// The expected length of a result, by the results that the method returned before in this process; zero if they were short.
    pub(crate) fn expected_bytes(&self) -> usize {
        self.cache.result_bytes.load(Ordering::Relaxed)
    }

    /// Takes note of the length of a result. The expected length rises at once and falls slowly.
    pub(crate) fn returned(&self, bytes: usize) {
        let before = self.expected_bytes();
        let expected = bytes.max(before - before / 4);
        let expected = if expected < EXPECTED_BYTES_MIN { 0 } else { expected };
        if expected != before {
            self.cache.result_bytes.store(expected, Ordering::Relaxed);
        }
    }

    /// Whether nobody was told yet that the method's handler blocks its thread.
    pub(crate) fn is_first_to_block(&self) -> bool {
        !self.cache.blocks.swap(true, Ordering::Relaxed)
    }

    /// This side's version of the method, to compare with the other side's.
    pub fn version(&self) -> MethodVersion {
        let signature = self.signature();
        MethodVersion { fingerprint: signature.fingerprint, is_callable: signature.problems.is_empty() }
    }

    /// The services of the objects that the method takes and returns.
    pub(crate) fn objects(&self) -> impl Iterator<Item = &'static ServiceDescriptor> {
        let signature = self.signature();
        let layouts = signature.arguments.iter().chain([&signature.result]).chain(&signature.error);
        layouts.flat_map(Layout::objects)
    }

    /// The signature as one readable line: argument names and layouts, result, error.
    pub fn layout_text(&self) -> String {
        let signature = self.signature();
        let arguments: Vec<String> = self
            .arguments
            .iter()
            .zip(&signature.arguments)
            .map(|(argument, layout)| format!("{}: {layout}", argument.name))
            .collect();
        let mut text = format!("({}) -> {}", arguments.join(", "), signature.result);
        if let Some(error) = &signature.error {
            text.push_str(&format!(" or {error}"));
        }
        text
    }

    /// The reasons why the method cannot be called, one sentence each: parts of its types that bincode cannot carry, that are
    /// written differently than they are read, or that tracing could not reach. Empty if the method can be called.
    pub fn problems(&self) -> &[String] {
        &self.signature().problems
    }

    fn find_problems(&self, arguments: &[Layout], result: &Layout, error: Option<&Layout>) -> Vec<String> {
        let named = |name: String, value: &ValueDescriptor, layout: &Layout| {
            let problems = layout.problems().into_iter().chain(value.disagreements(layout));
            problems.map(|problem| format!("{name}: {problem}")).collect::<Vec<_>>()
        };
        let arguments = self.arguments.iter().zip(arguments);
        let of_arguments = arguments.flat_map(|(argument, layout)| {
            named(format!("argument `{}`", argument.name), &argument.value, layout)
        });
        let of_error =
            self.error.iter().zip(error).flat_map(|(value, layout)| named("error".into(), value, layout));
        let hidden = (error.is_none() && result.is_result()).then(|| {
            "result: it is a `Result` inside of another type, so its errors would count as values; write `Result<T, E>`".into()
        });
        of_arguments
            .chain(named("result".into(), &self.result, result))
            .chain(of_error)
            .chain(hidden)
            .collect()
    }
}

/// The descriptor of the built-in call that runs a map, for places that name a method.
pub(crate) static MAP: MethodDescriptor = MethodDescriptor {
    name: "map",
    rust_name: "map",
    docs: "",
    arguments: &[],
    result: ValueDescriptor::new::<()>("()"),
    error: None,
    attributes: MethodAttributes::NONE,
    cache: SignatureCache::new(),
};

impl ServiceDescriptor {
    /// The services of the objects that the methods take and return; traced on first use.
    pub(crate) fn objects(&self) -> &[&'static ServiceDescriptor] {
        self.objects.0.get_or_init(|| {
            let mut objects: Vec<&'static ServiceDescriptor> = Vec::new();
            for object in self.methods.iter().flat_map(MethodDescriptor::objects) {
                if objects.iter().all(|known| known.name != object.name) {
                    objects.push(object);
                }
            }
            objects
        })
    }

    /// The reasons why methods of this service, and of the services whose objects it takes and returns, cannot be called: one line
    /// each.
    pub(crate) fn problems(&'static self) -> Vec<String> {
        let mut services = vec![self];
        let mut next = 0;
        let mut problems = Vec::new();
        while let Some(service) = services.get(next).copied() {
            next += 1;
            for object in service.objects() {
                if services.iter().all(|known| known.name != object.name) {
                    services.push(object);
                }
            }
            for method in service.methods {
                let named = |problem: &String| format!("`{}.{}`: {problem}", service.name, method.name);
                problems.extend(method.problems().iter().map(named));
            }
        }
        problems
    }

    /// The index of the method with this wire name.
    pub(crate) fn method_named(&self, name: &str) -> Option<usize> {
        self.methods.iter().position(|method| method.name == name)
    }
}
