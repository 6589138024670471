//! A documented API gives no warnings, and an undocumented one none twice.
#![deny(warnings, missing_docs, unreachable_pub)]

use rpc_core::{Context, data, rpc};

/// Somebody.
#[data]
#[derive(Debug)]
pub struct User {
    /// Their number.
    pub id: u64,
    #[expect(missing_docs)]
    pub undocumented: u8,
    private: u8,
}

/// What is on the board.
#[data]
#[derive(Debug)]
pub enum Shape {
    /// A round one.
    Circle {
        /// Its size.
        radius: f64,
    },
    /// Two.
    Pair(u8, u8),
    /// Nothing.
    Empty,
    #[expect(missing_docs)]
    Undocumented(u8),
}

/// A generic one.
#[data]
#[derive(Debug)]
pub struct Page<T>(
    /// What is on it.
    pub Vec<T>,
);

/// Rooms.
#[rpc]
pub trait Chat {
    /// Finds.
    async fn find(&self, id: u64) -> Result<User, Shape>;
    #[expect(missing_docs)]
    async fn undocumented(&self, #[rpc(context)] cx: Context) -> Page<u8>;
    /// Is no longer used.
    #[deprecated]
    async fn old(&self);
    /// Takes much.
    #[rpc(oneway)]
    #[expect(clippy::too_many_arguments)]
    async fn many(&self, a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8, h: u8);
}

#[expect(missing_docs)]
#[rpc(name = "undocumented")]
pub trait Undocumented {}

/// A trait that is itself on its way out.
#[rpc]
#[deprecated]
pub trait Old {
    /// Does nothing.
    async fn nothing(&self);
}
