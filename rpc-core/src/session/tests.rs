//! What a session does, by messages and virtual time alone.

/// The descriptor of a method: `method!("add", ["a": u64] -> u64, String, MethodAttributes::NONE)`.
macro_rules! method {
    ($name:literal, [$($argument:literal: $type:ty),*] -> $result:ty, $error:ty, $attributes:expr) => {
        $crate::schema::descriptor::MethodDescriptor {
            name: $name,
            rust_name: $name,
            docs: "",
            arguments: &[$(
                $crate::schema::descriptor::ArgumentDescriptor::new::<$type>($argument, stringify!($type))
            ),*],
            result: $crate::schema::descriptor::ValueDescriptor::new::<$result>(stringify!($result)),
            error: Some($crate::schema::descriptor::ValueDescriptor::new::<$error>(stringify!($error))),
            attributes: $attributes,
            cache: $crate::schema::descriptor::SignatureCache::new(),
        }
    };
}

mod calls;
mod cost_attacks;
mod cuts;
mod model;
mod object_attacks;
mod object_model;
pub(crate) mod pair;
mod retries;
mod stranger;
mod stream_attacks;
mod stream_model;
mod streams;
mod talk;
pub(crate) mod things;
