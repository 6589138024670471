//! The stubs of the gRPC service, as `protoc` would have them made, from a description in Rust.

use tonic_build::manual::{Builder, Method, Service};

fn main() {
    let items = Method::builder()
        .name("items")
        .route_name("Items")
        .input_type("crate::tonic_peer::Request")
        .output_type("crate::tonic_peer::Item")
        .codec_path("tonic_prost::ProstCodec")
        .server_streaming()
        .build();
    Builder::new().compile(&[Service::builder().name("Flow").package("flow").method(items).build()]);
}
