//! The compatibility rule: whether a call can be made between two versions of an API. Sessions enforce it, tools predict it.
//!
//! This is the rule alone; the texts of refusals are in `session/methods.rs` and `error.rs`.
//!
//! Before its first call of a method, a caller sends the names of the service and the method and the fingerprint of the method's
//! signature. The called side compares them with its own. Nothing else is compared, and nothing is converted.
//!
//! ```
//! use rpc_core::schema::compatibility::{Compatibility, MethodVersion, Offered, of_call};
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
    /// The method's [`Signature::fingerprint`](crate::schema::Signature::fingerprint).
    pub fingerprint: u64,
    /// Whether the method has no [`problems`](crate::schema::MethodDescriptor::problems).
    pub is_callable: bool,
}

/// What the called side has under the names that the caller sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offered {
    /// There is no service of that name.
    NoService,
    /// There is a service of that name, without a method of that name.
    NoMethod,
    /// There is a method of that name.
    Method(MethodVersion),
}

/// The fate of a call. All variants but [`Works`](Self::Works) are refusals, which the caller sees as the
/// [`Refusal`](crate::Refusal) of the same name; its session goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Compatibility {
    /// The call reaches the method.
    Works,
    /// The called side has no such service.
    UnknownService,
    /// The called side's service has no such method.
    UnknownMethod,
    /// The method has problems on one side: its types cannot be sent.
    NotCallable,
    /// The two versions of the method differ in arguments, result or error.
    SchemaMismatch,
}

/// The fate of a call of `called`, which is the caller's version, at a side that has `offered`.
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
