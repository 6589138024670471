//! The names that generated code gives to its own locals, generic parameters, lifetimes and statics.
//!
//! Hygiene does not keep a binding apart from a constant, a static or a unit variant in scope: `let call` is then a
//! pattern that means theirs. So each of these names starts with a prefix that no user writes. The comments above render
//! functions leave it out, as they do the paths.

use proc_macro2::Span;
use syn::Ident;

/// What the names of locals start with. Those of generic parameters and statics start with the same, in their own case.
pub(crate) const RESERVED: &str = "__rpc_";

/// A binding of generated code: `__rpc_call` for `call`. No argument of the user's is the same, whatever its name.
pub(crate) fn local(name: &str) -> Ident {
    Ident::new(&format!("{RESERVED}{name}"), Span::mixed_site())
}
