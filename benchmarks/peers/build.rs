//! The stubs of the services of gRPC, from a description in Rust, and of Cap'n Proto, from its schema.

use tonic_build::manual::{Builder, Method, Service};

fn main() {
    let method = |name: &str, route: &str, input: &str, output: &str| {
        let method = Method::builder().name(name).route_name(route).codec_path("tonic_prost::ProstCodec");
        method
            .input_type(format!("crate::tonic_peer::{input}"))
            .output_type(format!("crate::tonic_peer::{output}"))
    };
    let service = Service::builder()
        .name("Echo")
        .package("echo")
        .method(method("small", "Small", "Item", "Item").build())
        .method(method("bytes", "Bytes", "Payload", "Payload").build())
        .method(method("next", "Next", "Number", "Number").build())
        .method(method("items", "Items", "Nothing", "Item").server_streaming().build());
    Builder::new().compile(&[service.build()]);

    println!("cargo::rerun-if-changed=schema");
    let mut schema = capnpc::CompilerCommand::new();
    let compiled = schema
        .default_parent_module(vec!["capnp_peer".into()])
        .src_prefix("schema")
        .import_path("schema")
        .file("schema/echo.capnp")
        .run();
    if let Err(failure) = compiled {
        println!(
            "cargo::error=the Cap'n Proto schema does not compile; is `capnp` installed (apt-get install capnproto)? {failure}"
        );
    }
}
