//! The names that generated code gives to its own locals, generic parameters, lifetimes and statics.
//!
//! Hygiene does not protect a binding from a constant, a static or a unit variant of the same name in scope: `let call` would be
//! a pattern that matches it. So each of these names starts with a prefix that no user writes. The comments on render functions
//! leave out the prefix, and paths too.

use proc_macro2::Span;
use syn::Ident;

/// The prefix of locals. Generic parameters and statics have the same prefix in their own case.
pub(crate) const RESERVED: &str = "__rpc_";

/// A binding of generated code: `__rpc_call` for `call`. No argument of the user can clash with it.
pub(crate) fn local(name: &str) -> Ident {
    Ident::new(&format!("{RESERVED}{name}"), Span::mixed_site())
}
