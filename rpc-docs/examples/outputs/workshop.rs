//! An API with one of everything: what examples and declarations have to cope with in real types.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rpc_core::{Streaming, data, rpc};

/// Names a tool.
#[data]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ToolId(pub u32);

/// A tool's id in another workshop.
#[data]
#[derive(Debug, Clone, Copy)]
pub struct ForeignId(pub ToolId);

/// What a tool is for.
#[data]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Use {
    /// For wood.
    Wood,
    /// For metal.
    #[serde(rename = "hard-metal")]
    Metal,
}

/// A tool; see [`Workshop::tool`] and [Bench::take].
#[data]
#[derive(Debug, Clone)]
pub struct Tool {
    /// Its [`ToolId`].
    pub id: ToolId,
    /// What it is, in [`Shape::Round`] or not.
    pub r#type: Shape,
    #[serde(rename = "the-name")]
    pub name: String,
    /// What it needs.
    #[serde(default)]
    pub needs: Vec<ToolId>,
    pub spare: Option<ToolId>,
    pub lent: Option<Option<ToolId>>,
    pub uses: BTreeSet<Use>,
    pub sizes: HashMap<Use, f64>,
    pub places: BTreeMap<ToolId, (i32, i32)>,
    pub parts: Vec<Tool>,
    pub larger: Option<Box<Tool>>,
    pub price: u64,
    pub grid: [u8; 3],
    pub picture: bytes::Bytes,
    pub then: bool,
}

/// How something looks.
#[data]
#[derive(Debug, Clone)]
pub enum Shape {
    /// A circle.
    Round(f32),
    Box {
        width: u8,
        height: u8,
    },
    Other(String, char),
    Nothing,
}

/// A pair without names.
#[data]
#[derive(Debug, Clone)]
pub struct Pair(pub ToolId, pub String);

/// A part of a list.
#[data]
#[derive(Debug, Clone)]
pub struct Page<T> {
    pub items: Vec<T>,
    pub next: Option<u64>,
}

/// What a customer gets who comes in.
#[data]
#[derive(Debug, Clone)]
pub struct Welcome {
    pub bench: BenchClient,
    pub second: Option<BenchClient>,
    pub greeting: String,
}

/// Why the workshop refuses.
#[data]
#[derive(Debug, thiserror::Error)]
pub enum WorkshopError {
    #[error("there is no tool {0:?}")]
    NoTool(ToolId),
    #[error("the workshop is closed")]
    Closed,
}

#[data]
#[derive(Debug, thiserror::Error)]
#[error("it broke")]
pub struct Broken {
    pub reason: String,
}

/// Another name of the same.
pub type Count = u32;

/// Tools and benches.
#[rpc]
pub trait Workshop {
    /// One tool.
    #[rpc(batch = "tools", idempotent)]
    async fn tool(&self, id: ToolId) -> Result<Tool, WorkshopError>;
    /// Several tools.
    async fn tools(&self, ids: Vec<ToolId>) -> Vec<Result<Tool, WorkshopError>>;
    async fn pages(&self, after: Option<u64>, count: Count, r#type: Shape) -> Page<Tool>;
    async fn ids(&self, uses: BTreeSet<Use>) -> Vec<ToolId>;
    async fn pair(&self, both: (ToolId, ToolId), foreign: ForeignId) -> Result<Pair, Broken>;
    async fn both(&self) -> (Tool, Vec<ToolId>, Option<ToolId>);
    async fn come_in(
        &self,
        name: String,
        age: u8,
        weight: f64,
        letter: char,
        member: bool,
    ) -> Result<Welcome, WorkshopError>;
    async fn measure(&self, values: Streaming<f64>) -> f64;
    async fn upload(
        &self,
        chunks: Streaming<bytes::Bytes>,
        names: HashMap<String, ToolId>,
    ) -> Streaming<ToolId, Broken>;
    async fn picture(&self, of: ToolId) -> bytes::Bytes;
    async fn now(&self) -> u64;
    async fn nothing(&self);
    async fn maybe(&self, maybe: Option<Option<ToolId>>, unit: ()) -> Option<Tool>;
    /// Not to be answered.
    #[rpc(oneway)]
    async fn note(&self, about: ToolId, text: String);
    #[rpc(name = "then")]
    async fn and_then(&self, after: ToolId) -> ToolId;
    #[rpc(name = "the-last")]
    #[deprecated = "use [`Workshop::tools`]"]
    async fn last(&self) -> Option<ToolId>;
    async fn r#match(&self, workshop: String, r#move: u16) -> Result<Vec<Vec<ToolId>>, WorkshopError>;
}

/// A place to work.
#[rpc(ordered)]
pub trait Bench {
    async fn take(&self, tool: ToolId) -> Result<HandleClient, WorkshopError>;
    async fn neighbour(&self) -> Option<BenchClient>;
    async fn watch(&self, watcher: WatcherClient, every: u32) -> Streaming<Page<ToolId>>;
    #[rpc(oneway)]
    async fn leave(&self);
}

/// A tool in somebody's hand.
#[rpc]
pub trait Handle {
    async fn put_back(&self) -> Result<(), Broken>;
    async fn what(&self) -> Tool;
}

/// What a customer wants to be asked.
#[rpc]
pub trait Watcher {
    async fn may(&self, tool: Tool) -> bool;
    async fn price(&self, tool: ToolId, r#type: Shape) -> Result<u64, Broken>;
    #[rpc(oneway)]
    async fn seen(&self, tool: ToolId);
}

/// Values as serde writes them, by the names of their types: what the schemas must accept. Bytes, which `serde_json` writes as a
/// list, are in the form that all text protocols have here.
pub fn values() -> serde_json::Value {
    let tool = |parts, larger| Tool {
        id: ToolId(7),
        r#type: Shape::Box { width: 1, height: 2 },
        name: "plane".into(),
        needs: vec![ToolId(1)],
        spare: Some(ToolId(2)),
        lent: None,
        uses: [Use::Metal].into(),
        sizes: [(Use::Wood, 0.5)].into(),
        places: [(ToolId(3), (-1, 2))].into(),
        parts,
        larger,
        price: 9_007_199_254_740_991,
        grid: [0, 1, 255],
        picture: bytes::Bytes::new(),
        then: true,
    };
    let whole = tool(vec![tool(Vec::new(), None)], Some(Box::new(tool(Vec::new(), None))));
    let mut whole = serde_json::json!(whole);
    let tools = ["/picture", "/parts/0/picture", "/larger/picture"];
    for picture in tools {
        if let Some(picture) = whole.pointer_mut(picture) {
            *picture = "AAEC".into();
        }
    }
    serde_json::json!([
        {"type": "Tool", "value": whole},
        {"type": "Shape", "value": Shape::Round(1.5)},
        {"type": "Shape", "value": Shape::Other("hexagon".into(), 'é')},
        {"type": "Shape", "value": Shape::Nothing},
        {"type": "Pair", "value": Pair(ToolId(1), String::new())},
        {"type": "Page_ToolId", "value": Page { items: vec![ToolId(1)], next: Some(2) }},
        {"type": "ForeignId", "value": ForeignId(ToolId(4))},
        {"type": "WorkshopError", "value": WorkshopError::NoTool(ToolId(5))},
        {"type": "WorkshopError", "value": WorkshopError::Closed},
        {"type": "Broken", "value": Broken { reason: "old".into() }},
    ])
}
