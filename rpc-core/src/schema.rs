//! What services and values look like: descriptors of methods, layouts of types, and how both are compared.

pub mod compatibility;
pub(crate) mod descriptor;
pub(crate) mod layout;
pub(crate) mod markers;
