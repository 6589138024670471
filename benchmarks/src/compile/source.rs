//! The same service twice: for every five methods one struct, two to four arguments a method, and an error that is told
//! apart.

use std::{fmt::Write, path::Path};

/// What a program is written with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framework {
    Rpc,
    Tarpc,
}

/// How a program differs from what it is at first.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Edit {
    pub(super) body: bool,
    pub(super) signature: bool,
}

/// Methods around one struct.
const GROUP: usize = 5;

impl Framework {
    pub(super) const ALL: [Self; 2] = [Self::Rpc, Self::Tarpc];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Rpc => "rpc",
            Self::Tarpc => "tarpc",
        }
    }

    pub(super) fn package(self) -> &'static str {
        match self {
            Self::Rpc => "service-rpc",
            Self::Tarpc => "service-tarpc",
        }
    }

    pub(super) fn manifest(self, repository: &Path) -> String {
        let dependencies = match self {
            Self::Rpc => ["rpc-core", "rpc-server", "rpc-client"].iter().fold(String::new(), |mut all, name| {
                let _ = writeln!(all, "{name} = {{ path = {:?} }}", repository.join(name));
                all
            }),
            Self::Tarpc => r#"tarpc = { version = "=0.38.0", features = ["tokio1", "tcp", "serde-transport", "serde-transport-bincode"] }
futures = "0.3"
serde = { version = "1", features = ["derive"] }
"#
            .to_owned(),
        };
        format!(
            "[workspace]\n\n[package]\nname = {:?}\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[dependencies]\n{dependencies}\
             tokio = {{ version = \"1\", features = [\"rt-multi-thread\", \"macros\", \"net\"] }}\n",
            self.package()
        )
    }
}

/// One method as both traits, both servers and both clients have it.
struct Method {
    name: String,
    /// With types.
    arguments: String,
    /// Without.
    values: String,
    result: String,
    body: String,
}

fn method(number: usize, edit: Edit) -> Method {
    let entity = format!("Entity{}", number / GROUP);
    // The change is in a method of the middle of the first group; the others stay what they are.
    let is_edited = number == 3;
    let amount = if is_edited && edit.signature { "i32" } else { "i64" };
    let more = if is_edited && edit.body { 1 } else { 0 };
    let made = format!("{entity} {{ id, name: name.clone(), tags: vec![name], score: 0.5 }}");
    let (arguments, values, result, body) = match number % GROUP {
        0 => ("id: u64, name: String", "7, \"ann\".to_owned()", entity, format!("Ok({made})")),
        1 => (
            "filter: Filter, page: u32, name: String",
            "Filter { text: None, active: true }, 1, \"ann\".to_owned()",
            format!("Vec<{entity}>"),
            format!("let id = u64::from(page) + u64::from(filter.active); Ok(vec![{made}])"),
        ),
        2 => (
            "id: u64, deep: bool",
            "7, true",
            format!("Option<{entity}>"),
            format!("let name = String::new(); Ok(deep.then(|| {made}))"),
        ),
        3 => (
            "from: u64, to: u64, amount: AMOUNT, note: Option<String>",
            "1, 2, 3, None",
            "u64".to_owned(),
            format!("drop((amount, note)); Ok(from + to + {more})"),
        ),
        _ => (
            "ids: Vec<u64>, text: String",
            "vec![1, 2], \"text\".to_owned()",
            "Vec<(u64, String)>".to_owned(),
            "if ids.is_empty() { return Err(ServiceError::Missing(0)); } \
             Ok(ids.into_iter().map(|id| (id, text.clone())).collect())"
                .to_owned(),
        ),
    };
    Method {
        name: format!("method{number}"),
        arguments: arguments.replace("AMOUNT", amount),
        values: values.to_owned(),
        result: format!("Result<{result}, ServiceError>"),
        body,
    }
}

pub(super) fn program(framework: Framework, methods: usize, edit: Edit) -> String {
    let data = match framework {
        Framework::Rpc => "#[rpc_core::data]\n#[derive(Debug, Clone)]",
        Framework::Tarpc => "#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]",
    };
    let mut out = format!(
        "{data}\npub struct Filter {{ pub text: Option<String>, pub active: bool }}\n\
         {data}\npub enum ServiceError {{ Missing(u64), Refused {{ why: String }} }}\n\
         impl std::fmt::Display for ServiceError {{\n    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result \
         {{ write!(f, \"{{self:?}}\") }}\n}}\nimpl std::error::Error for ServiceError {{}}\n"
    );
    for entity in 0..methods.div_ceil(GROUP) {
        let _ = writeln!(
            out,
            "{data}\npub struct Entity{entity} {{ pub id: u64, pub name: String, pub tags: Vec<String>, pub score: f64 }}"
        );
    }
    let (attribute, receiver, served, called) = match framework {
        Framework::Rpc => ("#[rpc_core::rpc]", "&self, ", "&self, ", ""),
        Framework::Tarpc => {
            ("#[tarpc::service]", "", "self, _: tarpc::context::Context, ", "tarpc::context::current(), ")
        }
    };
    let methods: Vec<Method> = (0..methods).map(|number| method(number, edit)).collect();
    let _ = writeln!(out, "{attribute}\npub trait Shop {{");
    for Method { name, arguments, result, .. } in &methods {
        let _ = writeln!(out, "    async fn {name}({receiver}{arguments}) -> {result};");
    }
    let _ = writeln!(out, "}}\n\n#[derive(Clone)]\nstruct Store;\n\nimpl Shop for Store {{");
    for Method { name, arguments, result, body, .. } in &methods {
        let _ = writeln!(out, "    async fn {name}({served}{arguments}) -> {result} {{ {body} }}");
    }
    out.push_str("}\n\ntype Failure = Box<dyn std::error::Error + Send + Sync>;\n\n");
    // One function a group, as in a program that grew.
    let answered = if framework == Framework::Tarpc { "??" } else { "?" };
    for (group, methods) in methods.chunks(GROUP).enumerate() {
        let _ = writeln!(out, "async fn use{group}(shop: &ShopClient) -> Result<(), Failure> {{");
        for Method { name, values, .. } in methods {
            let _ = writeln!(out, "    drop(shop.{name}({called}{values}).await{answered});");
        }
        out.push_str("    Ok(())\n}\n\n");
    }
    out.push_str(match framework {
        Framework::Rpc => RPC_MAIN,
        Framework::Tarpc => TARPC_MAIN,
    });
    for group in 0..methods.len().div_ceil(GROUP) {
        let _ = writeln!(out, "    use{group}(&shop).await?;");
    }
    out.push_str("    Ok(())\n}\n");
    out
}

const RPC_MAIN: &str = r#"#[tokio::main]
async fn main() -> Result<(), Failure> {
    let server = rpc_server::Server::builder().service(ShopServer::new(Store)).bind("127.0.0.1:0").await?;
    let url = server.url()?;
    tokio::spawn(server.serve());
    let shop: ShopClient = rpc_client::Client::connect(&url).await?.service();
"#;

const TARPC_MAIN: &str = r#"#[tokio::main]
async fn main() -> Result<(), Failure> {
    use futures::StreamExt;
    use tarpc::{client, serde_transport::tcp, server::{BaseChannel, Channel}, tokio_serde::formats::Bincode};

    let listener = tcp::listen("127.0.0.1:0", Bincode::default).await?;
    let address = listener.local_addr();
    tokio::spawn(listener.filter_map(|link| async { link.ok() }).for_each(|link| async {
        let calls = BaseChannel::with_defaults(link).execute(Store.serve());
        tokio::spawn(calls.for_each(|call| async { tokio::spawn(call); }));
    }));
    let shop = ShopClient::new(client::Config::default(), tcp::connect(address, Bincode::default).await?).spawn();
"#;
