//! The macros of `rpc-core`.
use proc_macro::TokenStream;
/// placeholder
#[proc_macro_attribute]
pub fn rpc(_: TokenStream, item: TokenStream) -> TokenStream {
    item
}
/// placeholder
#[proc_macro_attribute]
pub fn data(_: TokenStream, item: TokenStream) -> TokenStream {
    item
}
/// placeholder
#[proc_macro_derive(Pipeline)]
pub fn pipeline(_: TokenStream) -> TokenStream {
    TokenStream::new()
}
