//! Schemas: descriptors of services and methods, layouts of types, and how both are compared.

pub mod compatibility;
pub(crate) mod descriptor;
pub(crate) mod layout;
pub(crate) mod markers;
pub(crate) mod plain;
pub(crate) mod shown;
pub(crate) mod travels;
