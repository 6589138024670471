//! The arguments that a client's method accepts: values, promises, and substitutes for them.

use serde::Serialize;

use crate::caller::{arguments::Arguments, promise::Promise};

/// An argument that can be passed where a remote method takes a `T`: a `T`, a promise of one (by value or by
/// reference), a `&str` or `&String` for a `String`, a promise of a `T` for an `Option<T>`, a promise of a `Box<T>` for a `T`, a tuple
/// of promises for a tuple.
///
/// A promise inside a struct literal is not supported: pass it as an argument of its own.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be passed where a remote method takes `{T}`",
    label = "pass a `{T}`, a `Promise<{T}, _>` or a `&Promise<{T}, _>`",
    note = "a value is passed as it is: `x.clone()` if it is needed again, `Some(\"…\".to_owned())` for an optional text, the `Ok` of a `Result`; clients and promises also by reference",
    note = "an implementation is passed as an object: `…Client::local(implementation)`; a stream is made with `Streaming::from_iter(…)` or `Streaming::new(…)`, and `widen()` gives one another error type",
    note = "parts of promises are promises: a struct's `.field()`, an `Option`'s `.some()`, a `Vec`'s `.index(0)`; promises inside of other values are passed as arguments of their own"
)]
pub trait IntoArg<T> {
    #[doc(hidden)]
    fn put_into(self, arguments: &mut Arguments<'_>);
}

#[diagnostic::do_not_recommend]
impl<T: Serialize + 'static> IntoArg<T> for T {
    fn put_into(self, arguments: &mut Arguments<'_>) {
        arguments.push_owned(&self);
    }
}

#[diagnostic::do_not_recommend]
impl IntoArg<String> for &str {
    fn put_into(self, arguments: &mut Arguments<'_>) {
        arguments.push_value(self);
    }
}

#[diagnostic::do_not_recommend]
impl IntoArg<String> for &String {
    fn put_into(self, arguments: &mut Arguments<'_>) {
        arguments.push_value(self);
    }
}

#[diagnostic::do_not_recommend]
impl<T, E> IntoArg<T> for Promise<T, E> {
    fn put_into(self, arguments: &mut Arguments<'_>) {
        arguments.push_promise(self.place());
    }
}

#[diagnostic::do_not_recommend]
impl<T, E> IntoArg<T> for &Promise<T, E> {
    fn put_into(self, arguments: &mut Arguments<'_>) {
        arguments.push_promise(self.place());
    }
}

// A box is written like its content.
#[diagnostic::do_not_recommend]
impl<T, E> IntoArg<T> for Promise<Box<T>, E> {
    fn put_into(self, arguments: &mut Arguments<'_>) {
        arguments.push_promise(self.place());
    }
}

#[diagnostic::do_not_recommend]
impl<T, E> IntoArg<T> for &Promise<Box<T>, E> {
    fn put_into(self, arguments: &mut Arguments<'_>) {
        arguments.push_promise(self.place());
    }
}

#[diagnostic::do_not_recommend]
impl<T, E> IntoArg<Option<T>> for Promise<T, E> {
    fn put_into(self, arguments: &mut Arguments<'_>) {
        arguments.push_promise_as_some(self.place());
    }
}

#[diagnostic::do_not_recommend]
impl<T, E> IntoArg<Option<T>> for &Promise<T, E> {
    fn put_into(self, arguments: &mut Arguments<'_>) {
        arguments.push_promise_as_some(self.place());
    }
}

macro_rules! tuples_of_promises {
    ($($($value:ident $error:ident $index:tt),+;)+) => {$(
        #[diagnostic::do_not_recommend]
        impl<$($value, $error),+> IntoArg<($($value,)+)> for ($(Promise<$value, $error>,)+) {
            fn put_into(self, arguments: &mut Arguments<'_>) {
                arguments.push_tuple(&[$(self.$index.place()),+]);
            }
        }
        #[diagnostic::do_not_recommend]
        impl<$($value, $error),+> IntoArg<($($value,)+)> for ($(&Promise<$value, $error>,)+) {
            fn put_into(self, arguments: &mut Arguments<'_>) {
                arguments.push_tuple(&[$(self.$index.place()),+]);
            }
        }
    )+};
}
tuples_of_promises! {
    A EA 0, B EB 1;
    A EA 0, B EB 1, C EC 2;
    A EA 0, B EB 1, C EC 2, D ED 3;
}
