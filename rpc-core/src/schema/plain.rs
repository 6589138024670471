//! A constant that tells an alias of `Result` from other types.

use std::marker::PhantomData;

/// Asks whether a type is no `Result`: `Plain::<T>::IS`, with [`PlainByDefault`] in scope. The constant of the type itself, which
/// only `Result`s have, goes before that of the trait.
#[derive(Debug)]
pub struct Plain<T>(PhantomData<T>);

impl<T, E> Plain<Result<T, E>> {
    /// A `Result` is not plain.
    pub const IS: bool = false;
}

/// See [`Plain`].
pub trait PlainByDefault {
    /// All other types are plain.
    const IS: bool = true;
}

impl<T> PlainByDefault for Plain<T> {}

/// Refuses an alias of `Result` as the result of a method: an error in it would count as a value.
///
/// # Panics
/// When `is_plain` is false. Generated code asks in a static, so that rustc reports the panic.
pub const fn no_result(is_plain: bool) {
    assert!(
        is_plain,
        "this is an alias of `Result`, behind which `#[rpc]` cannot see the error; write `Result<T, E>`"
    );
}
