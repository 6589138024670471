//! Methods and traits under `cfg`: numbers count what is there.

use rpc_core::{Service, ServiceClient, rpc};

#[rpc]
pub trait Conditional {
    #[cfg(any())]
    async fn never(&self, missing: TypeThatIsNotThere) -> TypeThatIsNotThere;
    async fn first(&self);
    #[cfg(not(any()))]
    async fn always(&self);
    #[cfg_attr(all(), cfg(any()), doc = "gone")]
    async fn hidden(&self, missing: TypeThatIsNotThere);
    #[cfg(any())]
    async fn replaced(&self) -> u8;
    #[cfg(not(any()))]
    async fn replaced(&self) -> u16;
    /// The last.
    async fn last(&self);
    #[cfg(any())]
    #[rpc(batch = "lacks")]
    async fn lack(&self, missing: TypeThatIsNotThere);
    #[cfg(any())]
    async fn lacks(&self, missing: Vec<TypeThatIsNotThere>);
    #[cfg(not(any()))]
    #[rpc(batch = "r#match")]
    async fn one(&self, id: u8) -> u8;
    async fn r#match(&self, ids: Vec<u8>) -> Vec<u8>;
}

#[rpc]
#[cfg(any())]
pub trait Absent {
    async fn missing(&self, missing: TypeThatIsNotThere);
}

struct Here;

impl Conditional for Here {
    async fn first(&self) {}
    async fn always(&self) {}
    async fn replaced(&self) -> u16 {
        1
    }
    async fn last(&self) {}
    async fn one(&self, id: u8) -> u8 {
        id
    }
    async fn r#match(&self, ids: Vec<u8>) -> Vec<u8> {
        ids
    }
}

#[test]
fn the_descriptor_has_the_methods_that_exist() {
    let names: Vec<&str> = ConditionalClient::descriptor().methods.iter().map(|method| method.name).collect();
    assert_eq!(names, ["first", "always", "replaced", "last", "one", "match"]);
    assert_eq!(ConditionalClient::descriptor().methods[4].attributes.batch, Some("match"));
    assert_eq!(ConditionalServer::new(Here).descriptor().methods[2].result.type_name, "u16");
}
