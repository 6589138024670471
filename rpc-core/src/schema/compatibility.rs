//! Whether a call can be made between two versions of an API: the one rule, which sessions enforce and tools foretell.
//!
//! This is the rule alone; how a refusal is worded is in `session/methods.rs` and `error.rs`.
//!
//! A caller says the service, the method and the fingerprint of the method's signature before the first call of it. The
//! called side compares them with what it has. Nothing else is compared, and nothing is converted.
//!
//! ```
//! use rpc_core::compatibility::{Compatibility, MethodVersion, Offered, of_call};
//!
//! let old = MethodVersion { fingerprint: 1, is_callable: true };
//! let new = MethodVersion { fingerprint: 2, is_callable: true };
//! assert_eq!(of_call(old, Offered::Method(old)), Compatibility::Works);
//! assert_eq!(of_call(old, Offered::Method(new)), Compatibility::SchemaMismatch);
//! assert_eq!(of_call(old, Offered::NoMethod), Compatibility::UnknownMethod);
//! ```

/// A method as one side has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MethodVersion {
    /// [`Signature::fingerprint`](crate::Signature::fingerprint).
    pub fingerprint: u64,
    /// The method has no [`problems`](crate::MethodDescriptor::problems).
    pub is_callable: bool,
}

/// What the called side has under the names that the caller says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offered {
    /// No service of that name.
    NoService,
    /// A service of that name without a method of that name.
    NoMethod,
    /// A method.
    Method(MethodVersion),
}

/// What becomes of a call. All but the first are refusals, which the caller sees as the
/// [`Refusal`](crate::Refusal) of the same name; its session goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Compatibility {
    /// It reaches the method.
    Works,
    /// The called side has no such service.
    UnknownService,
    /// Its service has no such method.
    UnknownMethod,
    /// The types of the method cannot travel.
    NotCallable,
    /// The two versions of the method differ in arguments, result or error.
    SchemaMismatch,
}

/// What becomes of a call of a method at a side that has this.
pub fn of_call(called: MethodVersion, offered: Offered) -> Compatibility {
    match offered {
        // The caller's own side refuses it.
        _ if !called.is_callable => Compatibility::NotCallable,
        Offered::NoService => Compatibility::UnknownService,
        Offered::NoMethod => Compatibility::UnknownMethod,
        Offered::Method(method) if !method.is_callable => Compatibility::NotCallable,
        Offered::Method(method) if method.fingerprint != called.fingerprint => Compatibility::SchemaMismatch,
        Offered::Method(_) => Compatibility::Works,
    }
}
